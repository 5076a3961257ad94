//! A failed trial becomes a scenario that fails on the flaw and passes without it.

use serde_json::json;

use crate::support::Bench;

const CASE: &str = "chair-just-below-the-limit";
const MANIFEST: &str = "fixtures/demo/agentready.yaml";

/// Runs one scenario of the demo with a flaw and gives the id of the run.
fn flawed_run(bench: &Bench) -> String {
    let done =
        bench.run(&["demo", "--flaw", "over-refund", "--filter", CASE, "--format", "json=r.json", "--no-progress"]);
    assert_eq!(done.code, 1, "{}", done.all());
    bench.json("r.json")["run"]["id"].as_str().expect("a run").to_owned()
}

/// The demo as files, with the incidents of the run beside its own, and with these flaws.
fn manifest(bench: &Bench, name: &str, flaws: &str) {
    let text = std::fs::read_to_string(MANIFEST).expect("the demo's manifest");
    let text = text.replace("{flaws}", flaws);
    let own = "\"../../scenarios/incidents/*.yaml\"";
    assert!(text.contains(own), "the demo names its incidents in another way");
    bench.write(name, &text.replacen(own, &format!("{own}, \"../../evals/incidents/*.yaml\""), 1));
}

#[test]
fn an_incident_fails_with_the_flaw_and_passes_without() {
    let bench = Bench::new();
    let run = flawed_run(&bench);
    bench.copy("fixtures/demo");
    bench.copy("scenarios");
    let done = bench.run(&["incident", "add", &run, CASE, "--incident", "INC-7", "--id", "refund-without-approval"]);
    assert_eq!(done.code, 0, "{}", done.all());
    let written = bench.read("evals/incidents/refund-without-approval.yaml");
    assert!(written.contains("world: \"../../scenarios/worlds/shop.yaml\""), "{written}");
    assert!(written.contains("incident: INC-7") && written.contains(&run), "{written}");

    manifest(&bench, MANIFEST, "");
    manifest(&bench, "fixtures/demo/flawed.yaml", "--flaw over-refund");
    for (manifest, code) in [(MANIFEST, 0), ("fixtures/demo/flawed.yaml", 1)] {
        let done = bench.run(&["run", "--manifest", manifest, "refund-without-approval"]);
        assert_eq!(done.code, code, "{manifest}: {}", done.all());
    }
    // The incident runs although another suite is named, and fails the run on its own.
    let check = ["check", "fixtures/demo/flawed.yaml", "--suite", "golden", "--filter", "refund-without-approval"];
    let done =
        bench.run(&[&check[..], &["--filter", "mug-broken", "--format", "json=r.json", "--no-progress"]].concat());
    assert_eq!(done.code, 1, "{}", done.all());
    assert_eq!(bench.json("r.json")["suites"]["incident"], json!({"scenarios": 1, "passed": 0}));
}

#[test]
fn a_world_that_only_the_record_has_is_brought_along() {
    let bench = Bench::new();
    let run = flawed_run(&bench);
    let done =
        bench.run(&["incident", "add", &run, &format!("{CASE}#0"), "--out", "cases/again.yaml", "--id", "again"]);
    assert_eq!(done.code, 0, "{}", done.all());
    assert!(bench.read("cases/again.yaml").contains("world: again-world.yaml"));
    assert!(bench.read("cases/again-world.yaml").contains("issue_refund"));

    let twice = bench.run(&["incident", "add", &run, CASE, "--out", "cases/again.yaml", "--id", "again"]);
    assert_eq!(twice.code, 2, "{}", twice.all());
    assert!(twice.err.contains("exists already"), "{}", twice.all());
}

#[test]
fn what_is_no_incident_ends_with_two() {
    let bench = Bench::new();
    let done = bench.run(&["demo", "--filter", CASE, "--format", "json=r.json", "--no-progress"]);
    assert!(done.code != 2, "{}", done.all());
    let run = bench.json("r.json")["run"]["id"].as_str().expect("a run").to_owned();
    bench.write("w.yaml", "tools: {issue_refund: {}}\n");
    bench.write("trace.json", r#"{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "ab", "attributes": [
        {"key": "gen_ai.tool.name", "value": {"stringValue": "issue_refund"}},
        {"key": "gen_ai.input.messages", "value": {"stringValue": "[{\"role\": \"user\", \"content\": \"Pay.\"}]"}}]}]}]}]}"#);
    bench.write("no.json", "{}");
    let trace = |file: &'static str, tool: &'static str| {
        ["incident", "add", "--trace", file, "--never", tool, "--world", "w.yaml"]
    };
    for (arguments, said) in [
        (&["incident", "add", run.as_str(), CASE][..], "passed, so there is nothing to guard against"),
        (&["incident", "add", run.as_str(), "no-such"], "holds no trial `no-such`"),
        (&["incident", "add", "no-such-run", "1"], "the newest run there is"),
        (&["incident", "add"], "no trial is named"),
        (&["incident", "add", "--trace", "trace.json"], "--never"),
        (&trace("no.json", "issue_refund"), "no spans of OTLP JSON"),
        (&trace("trace.json", "pay"), "has no call of `pay`"),
    ] {
        let done = bench.run(arguments);
        assert_eq!(done.code, 2, "{arguments:?}: {}", done.all());
        assert!(done.err.contains(said), "{arguments:?} says {said}: {}", done.all());
    }
    let done = bench.run(&trace("trace.json", "issue_refund"));
    assert_eq!(done.code, 0, "{}", done.all());
    assert!(bench.read("evals/incidents/incident-trace-ab.yaml").contains("- {never: [issue_refund]}"));
}
