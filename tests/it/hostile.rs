//! What an agent says never reaches a terminal, a log or a report raw.

use std::time::Duration;

use crate::support::{Bench, agent};

const ANSWER: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}::error file=a::pwned\n::error::second\n##[error]third\n</script><script>alert(1)</script>]]>\n![x](http://evil.example/x.png) [link](javascript:alert(1)) | a | b |\n@everyone </details>```\n\u{202e}gnp.exe\u{200b}\u{0}\u{b}\u{fffe}";

#[test]
fn a_hostile_answer_is_harmless_in_every_report() {
    let bench = Bench::new();
    let agent = agent(Duration::ZERO, ANSWER);
    bench.write(
        "agentready.yaml",
        &format!(
            "manifest: 1\nagent: {{name: hostile, workflow: w, purpose: p, autonomy: read-only}}\n\
             endpoint: {{url: '{}', response: {{answer: body.answer}}}}\nevals: {{golden: [golden.yaml]}}\n",
            agent.url
        ),
    );
    bench.write(
        "golden.yaml",
        "suite: golden\nscenarios:\n  plain: {say: hello, expect: [{answer: {equals: hello}}]}\n",
    );
    let done = bench.run(&[
        "check",
        "--format",
        "terminal=r.txt",
        "--format",
        "json=r.json",
        "--format",
        "junit=r.xml",
        "--format",
        "markdown=r.md",
    ]);
    assert_eq!(done.code, 1, "{}", done.all());
    let replay = bench.run(&["replay", bench.json("r.json")["run"]["id"].as_str().expect("an id"), "0"]);
    assert_eq!(replay.code, 0, "{}", replay.all());
    assert!(replay.out.contains("pwned"), "the answer is shown, made harmless: {}", replay.all());
    let texts = [
        ("stdout", done.out.clone()),
        ("stderr", done.err.clone()),
        ("replay", replay.out),
        ("terminal", bench.read("r.txt")),
        ("json", bench.read("r.json")),
        ("junit", bench.read("r.xml")),
        ("markdown", bench.read("r.md")),
    ];
    for (name, text) in &texts {
        let raw = text
            .chars()
            .find(|c| (c.is_control() && *c != '\n' && *c != '\t') || "\u{202e}\u{200b}\u{fffe}".contains(*c));
        assert_eq!(raw, None, "{name} holds a raw character");
        for line in text.lines() {
            let line = line.trim_start();
            assert!(!line.starts_with("::") && !line.contains("##["), "{name}: {line}");
        }
    }
    assert!(done.out.contains("plain"), "the failing scenario is named: {}", done.all());
}

#[test]
fn a_secret_of_the_environment_is_in_no_output() {
    let bench = Bench::new();
    let agent = agent(Duration::ZERO, "my token is tok-5ecret-value");
    bench.write(
        "agentready.yaml",
        &format!(
            "manifest: 1\nagent: {{name: a, workflow: w, purpose: p, autonomy: read-only}}\n\
             endpoint: {{url: '{}', auth: {{bearer: 'env:AGENT_TOKEN'}}, response: {{answer: body.answer}}}}\nevals: {{golden: [golden.yaml]}}\n",
            agent.url
        ),
    );
    bench.write(
        "golden.yaml",
        "suite: golden\nscenarios:\n  plain: {say: hello, expect: [{answer: {equals: hello}}]}\n",
    );
    let run = |arguments: &[&str]| {
        let mut command = bench.command(arguments);
        command.env("AGENT_TOKEN", "tok-5ecret-value");
        crate::support::Done::from(command.output().expect("starts"))
    };
    let done = run(&["check", "--format", "json=r.json", "--format", "junit=r.xml", "--format", "markdown=r.md"]);
    assert_eq!(done.code, 1, "{}", done.all());
    let id = bench.json("r.json")["run"]["id"].as_str().expect("an id").to_owned();
    let folder = format!(".agentready/runs/{id}");
    for text in [
        done.out,
        done.err,
        bench.read("r.json"),
        bench.read("r.xml"),
        bench.read("r.md"),
        bench.read(&format!("{folder}/run.json")),
        bench.read(&format!("{folder}/trials.ndjson")),
        bench.read(&format!("{folder}/verdict.json")),
    ] {
        assert!(!text.contains("tok-5ecret-value"), "{text}");
    }
    assert!(bench.read(&format!("{folder}/trials.ndjson")).contains("[redacted:secret]"));
    let missing = bench.run(&["check"]);
    assert_eq!(missing.code, 2, "{}", missing.all());
    assert!(missing.err.contains("AGENT_TOKEN"), "{}", missing.all());
}

#[test]
fn a_secret_written_into_the_manifest_is_in_no_report() {
    let bench = Bench::new();
    let agent = agent(Duration::ZERO, "hello");
    // Put together here, so that no scanner takes this file for a leak.
    let key = format!("sk_{}", "live_4eC39HqLyjWDarjtT1zdp7dc");
    let token = format!("gh{}", "p_q7Zr2LwX9vT4bN8mK3sP6yHd1cJ5fGu0aB3d");
    bench.write(
        "agentready.yaml",
        &format!(
            "manifest: 1\nagent: {{name: keys, workflow: w, purpose: 'uses {token}', autonomy: autopilot}}\n\
             endpoint: {{url: '{}', response: {{answer: body.answer}}}}\nmodels: {{answer: 'example/{key}'}}\n\
             systems:\n  pay: {{mcp: 'https://x:{key}@pay.example', credentials: {{write: {{scopes: ['{token}']}}}}}}\n\
             tools:\n  refund: {{system: pay, effect: write, idempotency_key: '{key}'}}\n\
             evals: {{golden: [golden.yaml]}}\n",
            agent.url
        ),
    );
    bench.write(
        "golden.yaml",
        "suite: golden\nscenarios:\n  plain: {say: hello, expect: [{answer: {equals: hello}}]}\n",
    );
    let formats = ["--format", "terminal=r.txt,json=r.json,junit=r.xml,markdown=r.md", "--offline"];
    let wrong = bench.write("wrong.yaml", &format!("manifest: 1\nagent: {{name: keys, purpse: '{key}'}}\n"));
    let refused = bench.run(&["check", &wrong.to_string_lossy()]);
    assert!(refused.code == 2 && refused.err.contains("purpse: 'sk_lxxx"), "{}", refused.all());
    for how in [&["check"][..], &["check", "--static"]] {
        let done = bench.run(&[how, &formats[..]].concat());
        assert_eq!(done.code, 1, "{}", done.all());
        let findings = bench.json("r.json")["findings"].as_array().expect("findings").clone();
        let masked =
            |finding: &&serde_json::Value| finding["excerpt"]["text"].as_str().is_some_and(|t| t.contains("xxx"));
        assert!(findings.iter().any(|finding| masked(&finding)), "a line with a key is shown: {findings:#?}");
        assert!(bench.read("r.txt").contains("sk_lxxx"), "{}", bench.read("r.txt"));
        for name in ["r.txt", "r.json", "r.xml", "r.md"] {
            let text = bench.read(name);
            for secret in [&key, &token] {
                assert!(!text.contains(secret.as_str()), "{name} of {how:?} holds {secret}");
            }
        }
        let id = bench.json("r.json")["run"]["id"].as_str().expect("an id").to_owned();
        if id != "static" {
            let notes = bench.json("r.json")["notes"].to_string();
            assert!(notes.contains("--offline left 1 server unasked: systems.pay.mcp; "), "{notes}");
            for name in ["run.json", "trials.ndjson", "verdict.json"] {
                let text = bench.read(&format!(".agentready/runs/{id}/{name}"));
                for secret in [&key, &token] {
                    assert!(!text.contains(secret.as_str()), "{name} holds {secret}: {text}");
                }
            }
            let record = bench.read(&format!(".agentready/runs/{id}/run.json"));
            assert!(record.contains("sk_lxxx"), "the manifest is kept with its secrets masked: {record}");
            let again = "terminal=again.txt,json=again.json,junit=again.xml,markdown=again.md";
            bench.run(&["report", &id, "--format", again]);
            let near = bench.run(&["report", &format!("{id}0")]);
            assert!(near.code == 2 && near.err.contains(&format!("did you mean `{id}`?")), "{}", near.all());
            for (name, again) in
                [("r.txt", "again.txt"), ("r.json", "again.json"), ("r.xml", "again.xml"), ("r.md", "again.md")]
            {
                assert_eq!(bench.read(name), bench.read(again));
            }
        }
        for text in [done.out, done.err] {
            assert!(!text.contains(&key) && !text.contains(&token), "{text}");
        }
    }
}
