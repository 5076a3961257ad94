//! `agentready lock`: what it writes, what it says, and what `--check` makes of a change.

use crate::support::Bench;

#[test]
fn a_lock_is_written_once_and_says_what_changed_since() {
    let bench = Bench::new();
    bench.write("agentready.yaml", include_str!("../../fixtures/manifests/minimal.yaml"));
    bench.write("prompts/answer.md", "Quote the page.");
    let missing = bench.run(&["lock", "--check"]);
    assert_eq!(missing.code, 1, "{}", missing.all());
    let written = bench.run(&["lock"]);
    assert_eq!(written.code, 0, "{}", written.all());
    for said in ["new      checks", "new      model:answer", "new      prompts/answer.md"] {
        assert!(written.out.contains(said), "{said}: {}", written.all());
    }
    let fresh = bench.run(&["lock", "--check"]);
    assert_eq!((fresh.code, fresh.out.as_str()), (0, ""), "{}", fresh.all());
    bench.write("prompts/answer.md", "Answer from memory.");
    let stale = bench.run(&["lock", "--check"]);
    assert_eq!((stale.code, stale.out.as_str()), (1, "changed  prompts/answer.md\n"), "{}", stale.all());
}

#[test]
fn a_strange_file_is_not_written_over() {
    let bench = Bench::new();
    bench.write("agentready.yaml", include_str!("../../fixtures/manifests/minimal.yaml"));
    bench.write("agentready.lock", "these are my notes\n");
    let done = bench.run(&["lock"]);
    assert_eq!(done.code, 2, "{}", done.all());
    assert!(done.err.contains("is no lock"), "{}", done.all());
}
