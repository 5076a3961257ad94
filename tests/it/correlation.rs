//! Calls find their own trial, by whichever way the agent supports, with several trials in flight.

use serde_json::Value;

use crate::support::Bench;

/// Checks the demo agent at tools over MCP that its environment names, and gives the report and the trials on record.
fn checked(flaws: &str, more: &[&str]) -> (i32, Value, Vec<Value>) {
    checked_with(flaws, "", more)
}

/// The same with a line in the place of the one that tells the agent its tools' URL.
fn checked_with(flaws: &str, line: &str, more: &[&str]) -> (i32, Value, Vec<Value>) {
    let bench = Bench::new();
    bench.copy("fixtures/demo");
    bench.copy("scenarios");
    let manifest = bench.read("fixtures/demo/agentready.yaml");
    let told = "      tools_url: \"{{ tools_url }}\"\n";
    assert!(manifest.contains(told));
    let stand_ins = "stand_ins: {OPENAI_BASE_URL: gate:model/openai, ";
    assert!(manifest.contains(stand_ins));
    let manifest = manifest.replace("{flaws}", flaws).replace(told, line).replacen(
        stand_ins,
        "stand_ins: {TOOLS_MCP_URL: \"gate:tools\", ",
        1,
    );
    bench.write("fixtures/demo/agentready.yaml", &manifest);
    let mut arguments = vec!["check", "fixtures/demo/agentready.yaml", "--no-progress", "--suite", "golden"];
    arguments.extend(["--format", "json=report.json", "--record", "records"]);
    arguments.extend(more);
    let done = bench.run(&arguments);
    let report = bench.json("report.json");
    let id = report["run"]["id"].as_str().expect("an id").to_owned();
    let lines = bench.read(&format!("records/{id}/trials.ndjson"));
    let trials = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")["trial"].clone());
    (done.code, report, trials.collect())
}

/// How many calls there were, each of which must speak of a ticket that the user of its own trial named.
fn calls_about_their_own_tickets(trials: &[Value]) -> usize {
    let mut calls = 0;
    for trial in trials {
        let said: String =
            trial["turns"].as_array().expect("turns").iter().map(|turn| turn["say"].to_string()).collect();
        for call in trial["ledger"].as_array().expect("a ledger") {
            calls += 1;
            if let Some(ticket) = call["args"]["ticket_id"].as_str() {
                let from_tools = trial["ledger"].to_string().matches(ticket).count() > 1;
                assert!(said.contains(ticket) || from_tools, "{}: {call}", trial["scenario"]);
            }
        }
    }
    calls
}

#[test]
fn an_agent_that_passes_its_context_on_has_eight_trials_in_flight_at_one_url() {
    let (_, report, trials) = checked("", &["--concurrency", "8"]);
    assert_eq!(report["run"]["correlation"], "traceparent", "{}", report["verdict"]);
    assert_eq!(report["trials"]["pass"], report["trials"]["planned"], "{}", report["failures"]);
    assert!(calls_about_their_own_tickets(&trials) > 200);
    for trial in &trials {
        // The agent makes an id for each of its runs: a foreign call would bear another.
        for turn in 0..2 {
            let of_turn = trial["ledger"].as_array().expect("a ledger").iter().filter(|call| call["turn"] == turn);
            let ids: Vec<&str> = of_turn.filter_map(|call| call["carried"]["baggage"].as_str()).collect();
            assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "{}: {ids:?}", trial["scenario"]);
        }
    }
    assert_eq!(report["metrics"]["run_id_propagation"]["value"], 1.0);
}

#[test]
fn an_agent_that_drops_its_context_runs_on_lanes() {
    let (_, report, trials) = checked("--flaw drops-context", &["--concurrency", "3"]);
    assert_eq!(report["run"]["correlation"], "lane", "{}", report["verdict"]);
    assert_eq!(report["trials"]["pass"], report["trials"]["planned"], "{}", report["failures"]);
    assert!(calls_about_their_own_tickets(&trials) > 200);
    assert_eq!(report["metrics"]["run_id_propagation"]["value"], 0.0);
}

#[test]
fn an_agent_that_takes_no_notice_of_its_url_is_reported_by_the_way_that_its_calls_came() {
    let line = "      for_others: \"{{ tools_url }}\"\n";
    let (_, report, trials) = checked_with("", line, &["--concurrency", "8", "--filter", "*-question"]);
    assert_eq!(report["run"]["correlation"], "traceparent", "{}", report["verdict"]);
    assert_eq!(report["trials"]["pass"], report["trials"]["planned"], "{}", report["failures"]);
    assert!(trials.iter().all(|trial| trial["ledger"].as_array().is_some_and(|ledger| !ledger.is_empty())));
}
