//! The model stand-in from end to end: scenarios that script the model, and a provider behind the gate.

use serde_json::Value;

use crate::support::{Bench, provider};

/// What the model is told to do stands in the scenario; the demo agent's policy stands outside of it.
const SCRIPTED: &str = "
suite: incident
world: ../worlds/shop.yaml
scenarios:
  model-demands-a-large-refund:
    say: Please look into ticket T-101.
    model:
      - {call: issue_refund, with: {charge_id: ch_1001, amount_usd: 5000, reason: because, ticket_id: T-101, idempotency_key: k-1}}
      - {say: I could not do that.}
    expect:
      - {never: [issue_refund]}
      - {answer: {contains: [could not]}}
";

/// Checks the demo's incidents with one more, after changes to its manifest.
fn checked(change: impl Fn(String) -> String, scenario: &str) -> (i32, Value, Vec<Value>) {
    let bench = Bench::new();
    bench.copy("fixtures/demo");
    bench.copy("scenarios");
    let manifest = bench.read("fixtures/demo/agentready.yaml").replace("{flaws}", "");
    bench.write("fixtures/demo/agentready.yaml", &change(manifest));
    let filter = if scenario.is_empty() { "mug-broken" } else { "model-demands-a-large-refund" };
    if !scenario.is_empty() {
        bench.write("scenarios/incidents/scripted.yaml", scenario);
    }
    let mut arguments = vec!["check", "fixtures/demo/agentready.yaml", "--no-progress", "--filter", filter];
    arguments.extend(["--format", "json=report.json", "--record", "records"]);
    let done = bench.run(&arguments);
    assert!(bench.path().join("report.json").exists(), "{}", done.all());
    let report = bench.json("report.json");
    let id = report["run"]["id"].as_str().expect("an id").to_owned();
    let lines = bench.read(&format!("records/{id}/trials.ndjson"));
    let trials = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")["trial"].clone());
    (done.code, report, trials.filter(|trial| trial["drill"].is_null()).collect())
}

fn grades(report: &Value) -> Vec<(&str, &str)> {
    let rows = report["scenarios"].as_array().expect("scenarios").iter();
    rows.map(|row| (row["id"].as_str().expect("an id"), row["grade"].as_str().expect("a grade"))).collect()
}

#[test]
fn a_scenario_scripts_the_model_of_its_own_trials() {
    let (_, report, trials) = checked(|manifest| manifest, SCRIPTED);
    assert_eq!(grades(&report), [("model-demands-a-large-refund", "pass")], "{}", report["failures"]);
    let asked = trials[0]["model_calls"].as_array().expect("model calls");
    assert_eq!((asked.len(), &asked[0]["calls"]), (2, &Value::from(1)), "{asked:?}");
}

#[test]
fn a_script_without_a_model_stand_in_is_an_error_with_words() {
    let without = |manifest: String| manifest.replace("OPENAI_BASE_URL: gate:model/openai, ", "");
    let (code, report, _) = checked(without, SCRIPTED);
    assert_eq!(grades(&report), [("model-demands-a-large-refund", "error_infra")]);
    assert_ne!(code, 0);
    let reason = report["failures"][0]["reason"].to_string();
    assert!(reason.contains("scripts the model") && reason.contains("stand_ins"), "{reason}");
}

fn behind(url: &str) -> impl Fn(String) -> String {
    let upstream = format!("  upstream: {{openai: {{url: \"{url}/v1\"}}}}\n  stand_ins:");
    move |manifest| manifest.replacen("  stand_ins:", &upstream, 1)
}

#[test]
fn what_a_provider_behind_the_gate_counted_is_tokens_and_cost_of_the_run() {
    let answer = r#"{"choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "That is all."}}],
        "usage": {"prompt_tokens": 400000, "completion_tokens": 100000, "total_tokens": 500000}}"#;
    let (_, report, trials) = checked(behind(&provider(answer)), "");
    for trial in &trials {
        let asked = trial["model_calls"].as_array().expect("model calls");
        assert!(asked.iter().all(|call| call["forwarded"] == true && call["tokens_in"] == 400_000), "{asked:?}");
        let said = asked[0]["said"]["new"].to_string();
        assert!(said.contains(trial["turns"][0]["say"].as_str().expect("a user's words")), "{said}");
    }
    assert!(!trials.is_empty());
    assert!(report["metrics"]["latency_p95_ms"]["value"].is_number());
}

#[test]
fn a_dead_provider_is_no_go_and_no_verdict() {
    let (code, report, _) = checked(behind("http://127.0.0.1:9"), "");
    assert_eq!(code, 3, "{}", report["verdict"]);
    let reasons = report["verdict"].to_string();
    assert!(reasons.contains("provider can't be asked"), "{reasons}");
}

#[test]
fn a_provider_that_no_agent_asks_through_the_gate_is_a_mistake_of_the_manifest() {
    let bench = Bench::new();
    bench.copy("fixtures/demo");
    bench.copy("scenarios");
    let change = behind("http://127.0.0.1:9");
    let manifest = change(bench.read("fixtures/demo/agentready.yaml")).replace("{flaws}", "");
    let manifest = manifest.replace("OPENAI_BASE_URL: gate:model/openai, ", "");
    bench.write("fixtures/demo/agentready.yaml", &manifest);
    let done = bench.run(&["check", "fixtures/demo/agentready.yaml", "--no-progress", "--filter", "mug-broken"]);
    assert!(done.code == 2 && done.err.contains("nothing leads there"), "{}", done.all());
}
