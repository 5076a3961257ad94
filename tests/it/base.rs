//! `--base`: what became weaker since a recorded run, by its name, by its folder, and as the newest one.

use std::time::Duration;

use serde_json::Value;

use crate::support::{Bench, agent};

/// A read-only agent with so many golden scenarios and so many tool calls in a run.
fn project(bench: &Bench, url: &str, (scenarios, calls): (usize, usize)) {
    let manifest = format!(
        "manifest: 1\nagent: {{name: calm, workflow: Say done, purpose: Say that it is done and nothing else., \
         autonomy: read-only}}\nendpoint: {{url: '{url}', response: {{answer: body.answer}}}}\n\
         budgets: {{per_run: {{tool_calls: {calls}}}}}\nevals: {{golden: [golden.yaml]}}\n"
    );
    bench.write("agentready.yaml", &manifest);
    let rows = (0..scenarios).map(|n| format!("  g-{n}: {{say: hello {n}, expect: [{{answer: {{equals: done}}}}]}}\n"));
    bench.write("golden.yaml", &format!("suite: golden\nscenarios:\n{}", rows.collect::<String>()));
}

/// What a static check against a base finds weaker.
fn weaker(bench: &Bench, base: &str) -> Vec<String> {
    let done = bench.run(&["check", "--static", "--base", base, "--format", "json=report.json"]);
    assert_eq!(done.code, 1, "{}", done.all());
    let report = bench.json("report.json");
    let messages = report["findings"].as_array().into_iter().flatten().filter_map(|one| one["message"].as_str());
    messages.filter(|text| text.contains("the base: ")).map(str::to_owned).collect()
}

#[test]
fn a_run_is_a_base_by_its_name_by_its_folder_and_as_the_last_one() {
    let bench = Bench::new();
    let agent = agent(Duration::ZERO, "done");
    project(&bench, &agent.url, (3, 5));
    let none = bench.run(&["check", "--static", "--base", "last"]);
    assert_eq!(none.code, 2, "{}", none.all());
    assert!(none.err.contains("there is no record below"), "{}", none.all());
    bench.run(&["check", "--no-progress", "--format", "json=run.json"]);
    let run = bench.json("run.json")["run"]["id"].as_str().expect("an id").to_owned();
    let folder = format!(".agentready/runs/{run}");
    assert!(weaker(&bench, "last").is_empty(), "nothing has changed");

    project(&bench, &agent.url, (2, 50));
    let steps = [
        "weaker than the base: evals.golden: the scenario `g-2` was taken away",
        "more than on the base: budgets.per_run.tool_calls: `5` became `50`",
    ];
    for base in ["last", &run, &folder] {
        assert_eq!(weaker(&bench, base), steps, "{base}");
    }

    // The newest record is the last one, and a record that can't be read is no base.
    bench.run(&["check", "--no-progress", "--format", "json=run.json"]);
    assert_ne!(bench.json("run.json")["run"]["id"], Value::from(run.as_str()));
    assert!(weaker(&bench, "last").is_empty(), "the new run has the new manifest");
    bench.write(&format!("{folder}/run.json"), "{}");
    let broken = bench.run(&["check", "--static", "--base", &run]);
    assert_eq!(broken.code, 2, "{}", broken.all());
    assert!(broken.err.contains("the base's record can't be read"), "{}", broken.all());
}
