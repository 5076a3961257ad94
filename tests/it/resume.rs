//! A run that was killed goes on where it stopped, and refuses to when its inputs changed; Ctrl-C drains.

use std::{
    fmt::Write as _,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use crate::support::{Bench, Done, agent};

fn project(bench: &Bench, url: &str, scenarios: usize) {
    bench.write(
        "agentready.yaml",
        &format!(
            "manifest: 1\nagent: {{name: slow, workflow: Say done, purpose: Say that it is done and nothing else., autonomy: read-only}}\n\
             endpoint: {{url: '{url}', response: {{answer: body.answer}}, concurrency: 4}}\nevals: {{golden: [golden.yaml]}}\n"
        ),
    );
    let mut text = "suite: golden\nscenarios:\n".to_owned();
    for n in 0..scenarios {
        let _ = writeln!(text, "  g-{n:03}: {{say: hello {n}, expect: [{{answer: {{equals: done}}}}]}}");
    }
    bench.write("golden.yaml", &text);
}

fn lines(bench: &Bench, run: &str) -> usize {
    bench.read(&format!(".agentready/runs/{run}/trials.ndjson")).lines().count()
}

fn spawned(bench: &Bench) -> Child {
    let mut command = bench.command(&["check", "--no-progress", "--format", "json=report.json"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts")
}

/// Starts a check and waits until some trials are on disk.
fn started(bench: &Bench, at_least: usize) -> (Child, String) {
    let child = spawned(bench);
    let deadline = Instant::now() + Duration::from_secs(60);
    let recorded = || {
        let run = std::fs::read_dir(bench.path().join(".agentready/runs")).ok()?.flatten().next()?;
        let text = std::fs::read_to_string(run.path().join("trials.ndjson")).ok()?;
        (text.lines().count() >= at_least).then(|| run.file_name().to_string_lossy().into_owned())
    };
    let mut run = recorded();
    while run.is_none() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
        run = recorded();
    }
    (child, run.expect("trials are recorded in time"))
}

#[test]
fn a_killed_run_goes_on_without_repeating_finished_trials() {
    let bench = Bench::new();
    let agent = agent(Duration::from_millis(60), "done");
    project(&bench, &agent.url, 60);
    let (mut child, run) = started(&bench, 12);
    child.kill().expect("kill -9");
    child.wait().expect("ends");
    let finished = lines(&bench, &run);
    assert!((12..60).contains(&finished), "{finished} trials were on disk");
    let known: Vec<String> = agent.sessions.lock().expect("no panic").clone();

    let done = bench.run(&["check", "--no-progress", "--resume", &run, "--format", "json=report.json"]);
    assert_eq!(done.code, 1, "{}", done.all());
    let report = bench.json("report.json");
    assert_eq!(report["trials"]["planned"], 60, "{}", done.all());
    assert_eq!(report["trials"]["pass"], 60, "{}", done.all());
    let all: Vec<String> = agent.sessions.lock().expect("no panic").clone();
    let again = all.iter().skip(known.len()).filter(|session| known.contains(session)).count();
    assert!(again <= 5, "{again} trials were repeated; only the four in flight and the preflight may be");
    assert_eq!(lines(&bench, &run), 60);

    bench.write("golden.yaml", &bench.read("golden.yaml").replace("hello 7", "hello seven"));
    let refused = bench.run(&["check", "--resume", &run]);
    assert_eq!(refused.code, 2, "{}", refused.all());
    assert!(refused.err.contains("golden.yaml"), "{}", refused.all());
    let other_seed = bench.run(&["check", "--seed", "5", "--resume", &run]);
    assert_eq!(other_seed.code, 2, "{}", other_seed.all());
}

#[cfg(unix)]
fn interrupt(child: &Child) {
    let status = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill");
    assert!(status.success());
}

#[cfg(unix)]
#[test]
fn ctrl_c_drains_and_still_writes_record_and_report() {
    let bench = Bench::new();
    let agent = agent(Duration::from_millis(80), "done");
    project(&bench, &agent.url, 200);
    let (child, run) = started(&bench, 5);
    interrupt(&child);
    let done = Done::from(child.wait_with_output().expect("ends"));
    assert_eq!(done.code, 130, "{}", done.all());
    let report = bench.json("report.json");
    assert!(["NO-GO", "INCONCLUSIVE"].contains(&report["verdict"]["decision"].as_str().expect("a word")));
    assert_eq!(report["verdict"]["exit_code"], 130);
    let passed = report["trials"]["pass"].as_u64().expect("a count");
    let skipped = report["trials"]["skipped"].as_u64().expect("a count");
    assert_eq!(passed + skipped, 200, "trials in flight were drained: {}", done.all());
    assert_eq!(lines(&bench, &run) as u64, passed);
}

#[cfg(unix)]
#[test]
fn a_second_ctrl_c_ends_at_once_and_still_writes_the_report() {
    let bench = Bench::new();
    let agent = agent(Duration::from_secs(20), "done");
    project(&bench, &agent.url, 8);
    let child = spawned(&bench);
    std::thread::sleep(Duration::from_secs(2));
    let began = Instant::now();
    interrupt(&child);
    std::thread::sleep(Duration::from_millis(300));
    interrupt(&child);
    let done = Done::from(child.wait_with_output().expect("ends"));
    assert_eq!(done.code, 130, "{}", done.all());
    assert!(began.elapsed() < Duration::from_secs(10), "ended after {:?}", began.elapsed());
    assert_eq!(bench.json("report.json")["verdict"]["exit_code"], 130);
}
