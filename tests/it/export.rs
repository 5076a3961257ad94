//! Agents that can't be pointed to the gate's receiver: their spans are read from the file that their own exporter writes.

use serde_json::Value;

use crate::support::{Bench, collector};

/// Checks the demo agent, whose spans go to a collector that appends them to a file with some lines in it.
fn checked(earlier: &str, later: &str, flaws: &str) -> (i32, Value) {
    let bench = Bench::new();
    bench.copy("fixtures/demo");
    bench.copy("scenarios");
    let file = bench.write("spans.jsonl", earlier);
    let url = collector(&file, later);
    let manifest = bench.read("fixtures/demo/agentready.yaml");
    for told in ["gate:otlp", "observability:\n"] {
        assert!(manifest.contains(told), "{told}");
    }
    let manifest = manifest
        .replace("{flaws}", flaws)
        .replace("gate:otlp", &format!("\"{url}\""))
        .replace("observability:\n", "observability:\n  export: ../../spans.jsonl\n");
    bench.write("fixtures/demo/agentready.yaml", &manifest);
    let mut arguments = vec!["check", "fixtures/demo/agentready.yaml", "--no-progress", "--suite", "golden"];
    arguments.extend(["--format", "json=report.json", "--record", "records"]);
    let done = bench.run(&arguments);
    (done.code, bench.json("report.json"))
}

#[test]
fn spans_of_a_file_are_held_against_the_ledger_and_lines_of_earlier_runs_are_not_read() {
    let (_, report) = checked("no OTLP at all\n{\"resourceSpans\": 7}\n", "", "");
    let coverage = &report["metrics"]["trace_coverage"];
    assert_eq!(coverage["value"], 1.0, "{}", report["traced"]);
    assert!(coverage["denominator"].as_f64() > Some(200.0), "{coverage}");
    let check = report["checks"].as_array().expect("checks").iter();
    let check = check.into_iter().find(|check| check["id"] == "observability/trace-coverage").expect("shipped");
    assert_eq!(check["rung"], "proven", "{check}");
}

#[test]
fn calls_that_the_file_does_not_tell_of_are_named() {
    let (code, report) = checked("", "", "--flaw missing-spans");
    assert_eq!(code, 1);
    assert!(report["metrics"]["trace_coverage"]["value"].as_f64() < Some(1.0), "{}", report["traced"]);
    assert_ne!(report["traced"]["missing"].as_array().expect("calls").len(), 0);
}

#[test]
fn a_line_that_is_no_otlp_ends_without_a_go_and_is_named() {
    let (code, report) = checked("{}\n", "{\"spans\": []}\n", "");
    assert_ne!(code, 0);
    let reasons = report["verdict"]["reasons"].to_string();
    assert!(reasons.contains("spans.jsonl:") && reasons.contains("resourceSpans"), "{reasons}");
}
