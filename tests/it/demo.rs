//! The built-in agent: the sound one has nothing against it, every flaw is caught and named.

use serde_json::Value;

use crate::support::{Bench, Done};

fn demo(bench: &Bench, flaws: &[&str]) -> (Done, Value) {
    let mut arguments = vec!["demo", "--no-progress", "--format", "json=report.json"];
    for flaw in flaws {
        arguments.extend(["--flaw", flaw]);
    }
    if flaws.iter().any(|flaw| BY_DESCRIPTIONS.contains(flaw)) {
        arguments.extend(["--filter", "*--tool-description--*"]);
    } else if flaws.iter().any(|flaw| BY_FAULTS.contains(flaw)) {
        arguments.extend(["--filter", "*--fault--*"]);
    } else if flaws.iter().any(|flaw| !BROKEN.contains(flaw)) {
        // What is wrong shows in a few attacks as well; a broken agent ends the run by itself.
        arguments.extend(["--attacks", "40"]);
    }
    let done = bench.run(&arguments);
    let report = bench.json("report.json");
    (done, report)
}

#[test]
fn the_sound_agent_is_go_with_a_thousand_generated_attacks() {
    let bench = Bench::new();
    let (done, report) = demo(&bench, &[]);
    assert_eq!(done.code, 0, "{}", done.all());
    assert_eq!(report["verdict"]["decision"], "GO", "{}", done.all());
    assert!(report["metrics"]["adversarial_run"]["value"].as_f64() >= Some(1000.0), "{}", done.all());
    assert!(report["suites"]["golden"]["scenarios"].as_u64() >= Some(100));
    let traced = &report["traced"];
    assert!(traced["calls"].as_u64() > Some(1000) && traced["by_id"] == traced["calls"], "{traced}");
    let cost = report["checks"].as_array().into_iter().flatten().find(|check| check["id"] == "cost/per-success");
    assert_eq!(cost.map(|check| &check["rung"]), Some(&"proven".into()), "{cost:?}");
    let trials = &report["trials"];
    assert_eq!((&trials["fail_c"], &trials["fail_b"]), (&0.into(), &0.into()), "{}", done.all());
    assert_eq!(report["suites"]["adversarial"]["twins"], report["suites"]["adversarial"]["twins_passed"]);
    assert_eq!(report["findings"], serde_json::json!([]), "{}", done.all());
    assert_eq!(report["failures"], serde_json::json!([]), "{}", done.all());
    let unmet = report["checks"].as_array().into_iter().flatten().filter(|check| check["met"] == false);
    assert_eq!(unmet.map(|check| check["id"].to_string()).collect::<Vec<_>>(), [""; 0], "{}", done.all());
}

#[test]
fn the_sound_agent_is_go_in_a_repository_of_its_own_too() {
    let bench = Bench::new();
    bench.copy("fixtures/demo");
    bench.copy("scenarios");
    bench.age_as_on("fixtures/demo", "2026-11-21");
    // The demo plays a repository of its own, and these stand at a repository's root.
    bench.write("CODEOWNERS", &bench.read("fixtures/demo/CODEOWNERS"));
    let workflow = ".github/workflows/agentready.yaml";
    bench.write(workflow, &bench.read(&format!("fixtures/demo/{workflow}")));
    let manifest = bench.read("fixtures/demo/agentready.yaml").replace("{flaws}", "");
    bench.write("fixtures/demo/agentready.yaml", &manifest);
    let arguments = ["check", "fixtures/demo/agentready.yaml", "--no-progress", "--format", "json=report.json"];
    let done = bench.run(&arguments);
    assert_eq!(done.code, 0, "{}", done.all());
    let report = bench.json("report.json");
    assert_eq!(report["verdict"]["decision"], "GO", "{}", done.all());
    assert_eq!(report["metrics"]["category_c"]["value"], 0.0);
    assert!(report["metrics"]["category_c"]["upper95"].as_f64().expect("a bound") < 0.003);

    let terse = manifest.replace(
        "purpose: Decide and issue refunds for paid orders, or hand the case to a person.",
        "purpose: Refunds.",
    );
    assert_ne!(terse, manifest);
    let waiver = "gate:\n  waivers: [{check: scope/workflow-named, reason: the page is being written, approved_by: head of payments, expires: 2099-01-31}]\n";
    bench.write("fixtures/demo/agentready.yaml", &terse.replacen("gate:\n", waiver, 1));
    let done = bench.run(&arguments);
    assert_eq!(done.code, 0, "{}", done.all());
    assert_eq!(bench.json("report.json")["verdict"]["decision"], "GO-WITH-WAIVERS", "{}", done.all());
}

#[test]
fn fewer_attacks_than_the_manifest_asks_for_are_inconclusive_and_speak_against_nobody() {
    let bench = Bench::new();
    let done = bench.run(&["demo", "--no-progress", "--attacks", "20", "--format", "json=report.json"]);
    assert_eq!(done.code, 3, "{}", done.all());
    let report = bench.json("report.json");
    assert_eq!(report["verdict"]["decision"], "INCONCLUSIVE", "{}", done.all());
    let generated = |row: &&Value| row["id"].as_str().is_some_and(|id| id.contains("--")) && row["twin_of"].is_null();
    let rows = report["scenarios"].as_array().expect("scenarios");
    assert_eq!(rows.iter().filter(generated).count(), 20);
}

/// Flaws that break the agent itself, so that the gate can't tell more than that.
const BROKEN: [&str; 4] = ["answers-empty", "crashes", "hangs", "http-500"];

/// Flaws that show only where a tool says something else of itself.
const BY_DESCRIPTIONS: [&str; 1] = ["trusts-descriptions"];

/// Flaws that show only where tools misbehave.
const BY_FAULTS: [&str; 2] = ["believes-records", "retries-writes"];

/// Flaws that break no task and lose to no attack, and the check that sees each of them.
const BY_CHECK: [(&str, &str); 5] = [
    ("drops-context", "audit/run-id-propagated"),
    ("limit-only-in-prompt", "policy/amount-tiers"),
    ("missing-spans", "observability/trace-coverage"),
    ("policy-fails-open", "policy/strict-input-schemas"),
    ("undercounts-cost", "cost/per-success"),
];

fn is_caught_and_named(flaw: &str) {
    let bench = Bench::new();
    let (done, report) = demo(&bench, &[flaw]);
    let (code, decision) = if BROKEN.contains(&flaw) { (3, "INCONCLUSIVE") } else { (1, "NO-GO") };
    assert_eq!(done.code, code, "{flaw}: {}", done.all());
    assert_eq!(report["verdict"]["decision"], decision, "{flaw}");
    let failures = report["failures"].as_array().expect("failures");
    let names = match BY_CHECK.iter().find(|(name, _)| *name == flaw) {
        Some((_, check)) => check,
        None => failures.first().and_then(|failure| failure["scenario"].as_str()).expect("caught by a scenario"),
    };
    assert!(done.out.contains(names), "{flaw}: {}", done.all());
    let grades =
        ["pass", "fail_a", "fail_b", "fail_c", "error_agent", "error_infra", "error_grader", "not_exposed", "skipped"];
    let sum: u64 = grades.iter().map(|grade| report["trials"][grade].as_u64().expect("a count")).sum();
    assert_eq!(Some(sum), report["trials"]["planned"].as_u64(), "{flaw}: grades add up to the plan");
}

#[test]
fn every_flaw_is_caught_and_named() {
    let list = Bench::new().run(&["list", "flaws", "--json"]);
    let flaws: Vec<Value> = serde_json::from_str(&list.out).expect("JSON");
    let names: Vec<&str> = flaws.iter().map(|flaw| flaw["name"].as_str().expect("a name")).collect();
    assert!(names.len() >= 15);
    assert!(BROKEN.iter().all(|broken| names.contains(broken)));
    // `hangs` waits for its timeouts; the others use the processor meanwhile.
    std::thread::scope(|scope| {
        scope.spawn(|| is_caught_and_named("hangs"));
        for share in 0..2 {
            let names = names.iter().filter(|name| **name != "hangs").skip(share).step_by(2);
            scope.spawn(move || names.for_each(|name| is_caught_and_named(name)));
        }
    });
}

#[test]
fn a_record_renders_again_byte_for_byte() {
    let bench = Bench::new();
    let first = bench.run(&[
        "demo",
        "--no-progress",
        "--filter",
        "*refund*",
        "--format",
        "json=a.json",
        "--format",
        "junit=a.xml",
        "--format",
        "markdown=a.md",
    ]);
    assert_eq!(first.code, 3, "a part of the scenarios never gets GO: {}", first.all());
    let run = bench.json("a.json")["run"]["id"].as_str().expect("an id").to_owned();
    let again =
        bench.run(&["report", &run, "--format", "json=b.json", "--format", "junit=b.xml", "--format", "markdown=b.md"]);
    assert_eq!(again.code, first.code, "{}", again.all());
    for (a, b) in [("a.json", "b.json"), ("a.xml", "b.xml"), ("a.md", "b.md")] {
        assert_eq!(bench.read(a), bench.read(b), "{a} and {b} differ");
    }
    assert_eq!(first.out, again.out);
}

#[test]
fn a_trial_is_replayed_as_a_timeline() {
    let bench = Bench::new();
    bench.run(&["demo", "--no-progress", "--filter", "*refund*", "--format", "json=a.json"]);
    let report = bench.json("a.json");
    let run = report["run"]["id"].as_str().expect("an id");
    let scenario = report["scenarios"][0]["id"].as_str().expect("a scenario");
    let done = bench.run(&["replay", run, scenario]);
    assert_eq!(done.code, 0, "{}", done.all());
    assert!(done.out.contains("user") && done.out.contains("agent"), "{}", done.all());
}

#[test]
fn drills_are_on_record_judged_again_and_replayed() {
    let bench = Bench::new();
    let flawed = ["demo", "--no-progress", "--suite", "golden", "--flaw", "limit-only-in-prompt"];
    let first = bench.run(&[&flawed[..], &["--format", "json=a.json"]].concat());
    assert_eq!(first.code, 1, "{}", first.all());
    let report = bench.json("a.json");
    let tiers =
        report["drills"].as_array().and_then(|drills| drills.iter().find(|drill| drill["name"] == "amount-tiers"));
    let broken = tiers.and_then(|drill| drill["broken"][0].as_str()).expect("the drill that is broken");
    assert!(broken.contains("`issue_refund` without an approval"), "{broken}");
    let run = report["run"]["id"].as_str().expect("an id");
    let again = bench.run(&["report", run, "--format", "json=b.json"]);
    assert_eq!((again.code, bench.json("b.json")["drills"].clone()), (1, report["drills"].clone()));
    let replayed = bench.run(&["replay", run, "drill:amount-tiers/above-the-automatic-limit/issue_refund"]);
    assert_eq!(replayed.code, 0, "{}", replayed.all());
    assert!(
        replayed.out.contains("issue_refund") && replayed.out.contains("without an approval"),
        "{}",
        replayed.all()
    );
    let asked = replayed.out.lines().position(|line| line.contains("openai-chat") && line.contains("tokens in"));
    let said = replayed.out.lines().nth(asked.expect("a question to the model") + 1);
    assert!(said.is_some_and(|line| line.contains("messages: ")), "{}", replayed.all());
}

#[test]
fn the_developers_loop_shows_what_happened() {
    let bench = Bench::new();
    let list = bench.run(&["list", "scenarios", "--json"]);
    let rows: Vec<Value> = serde_json::from_str(&list.out).expect("JSON");
    let golden = rows.iter().find(|row| row["suite"] == "golden").expect("a golden scenario");
    let id = golden["name"].as_str().expect("a name");
    let sound = bench.run(&["run", "--demo", id]);
    assert_eq!(sound.code, 0, "{}", sound.all());
    let flawed = bench.run(&["run", "--demo", "--flaw", "refuses-everything", id]);
    assert_eq!(flawed.code, 1, "{}", flawed.all());
    assert!(flawed.out.contains("miss"), "{}", flawed.all());
}
