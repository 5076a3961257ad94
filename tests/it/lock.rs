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
fn the_locks_of_the_fixtures_are_what_the_command_writes() {
    for agent in ["demo", "complete", "selftest"] {
        let bench = Bench::new();
        bench.copy("scenarios");
        bench.copy(&format!("fixtures/{agent}"));
        let (manifest, lock) =
            (format!("fixtures/{agent}/agentready.yaml"), format!("fixtures/{agent}/agentready.lock"));
        let committed = bench.read(&lock);
        // What only a server could tell stays; everything else has to come again.
        let is_kept = |line: &&str| !line.starts_with('"') || line.starts_with("\"tool:");
        let kept: Vec<&str> = committed.lines().filter(is_kept).collect();
        bench.write(&lock, &kept.join("\n"));
        let written = bench.run(&["lock", &manifest]);
        assert_eq!(written.code, 0, "{}", written.all());
        assert_eq!(bench.read(&lock), committed, "run `agentready lock {manifest}`");
    }
}

#[test]
fn a_team_s_own_checks_are_locked_file_by_file_and_a_report_says_what_changed_since() {
    let bench = Bench::new();
    let page = "suite: golden\nscenarios:\n  NAME: {say: Where?, expect: [{answer: {contains: [here]}}]}\n";
    let page = |name: &str| page.replace("NAME", name);
    bench.write("bot/agentready.yaml", include_str!("../../fixtures/manifests/minimal.yaml"));
    bench.write("bot/evals/golden/pages.yaml", &page("one"));
    let own = include_str!("../../checks/identity/human-owner.yaml");
    bench.write("rules/house/human-owner.yaml", own);
    let locked = bench.run(&["lock", "bot/agentready.yaml", "--checks", "rules"]);
    assert!(locked.out.contains("new      ../rules/house/human-owner.yaml\nnew      checks\n"), "{}", locked.all());
    assert!(bench.read("bot/agentready.lock").contains("\"checks\" = \"agentready "), "{}", locked.all());
    let check = ["check", "--static", "--offline", "--checks", "rules", "bot/agentready.yaml"];
    let same = bench.run(&check);
    assert!(!same.out.contains("since agentready.lock"), "{}", same.all());
    bench.write("rules/house/human-owner.yaml", &own.replace("severity: major", "severity: minor"));
    bench.write("bot/evals/golden/more.yaml", &page("two"));
    let weaker = bench.run(&check);
    let note = "since agentready.lock: changed ../rules/house/human-owner.yaml, new evals/golden/more.yaml";
    assert!(weaker.out.contains(note), "{}", weaker.all());
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
