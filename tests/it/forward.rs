//! A system of staging answers in place of the world, where nothing depends on the world.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use serde_json::Value;

use crate::support::{Bench, Done};

const MANIFEST: &str = "fixtures/demo/agentready.yaml";
const KEY: &str = "s3cret-of-staging";
const SCENARIOS: &str = "
suite: golden
world: ../worlds/shop.yaml
scenarios:
  asks-staging:
    say: How long after delivery can a customer get a refund?
    expect: [{call: search_policy, times: 1}, {answer: {contains: [45 days, KB-S]}}]
  asks-the-world:
    say: How long after delivery can a customer get a refund?
    expect:
      - {call: search_policy, times: 1}
      - {state: state.charges == before.charges}
      - {answer: {contains: [30 days, KB-1]}}
";

/// Serves one article, to who has the key, until the test ends; remembers what was asked.
fn staging() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let url = format!("http://{}/kb", listener.local_addr().expect("an address"));
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    std::thread::spawn(move || listener.incoming().flatten().for_each(|stream| answer(stream, &seen)));
    (url, asked)
}

fn answer(mut stream: TcpStream, asked: &Mutex<Vec<String>>) {
    let lines = BufReader::new(stream.try_clone().expect("a second handle")).lines();
    let head: Vec<String> = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    let key = head.iter().find_map(|line| line.strip_prefix("x-key: ")).unwrap_or_default();
    let articles = if key == KEY { r#"[{"id": "KB-S", "summary": "45 days"}]"# } else { "[]" };
    let body = format!("{{\"articles\": {articles}}}");
    let text = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    asked.lock().expect("no panic").extend(head.first().cloned());
    let _ = stream.write_all(text.as_bytes());
}

/// The demo with its policy base in staging.
fn demo(url: &str) -> Bench {
    let bench = Bench::new();
    forward(&bench, &format!("{{http: \"{url}\", auth: {{headers: {{X-Key: \"env:KB_KEY\"}}}}}}"));
    bench
}

/// The demo's files, with the policy base forwarded.
fn forward(bench: &Bench, place: &str) {
    bench.copy("fixtures/demo");
    bench.copy("scenarios");
    bench.write("scenarios/golden/staging.yaml", SCENARIOS);
    let manifest = bench.read(MANIFEST).replace("{flaws}", "");
    let kb = "  kb:\n";
    assert!(manifest.contains(kb));
    bench.write(MANIFEST, &manifest.replacen(kb, &format!("{kb}    forward: {place}\n"), 1));
}

fn run(bench: &Bench, key: Option<&str>, arguments: &[&str]) -> Done {
    let mut command = bench.command(arguments);
    match key {
        Some(key) => command.env("KB_KEY", key),
        None => command.env_remove("KB_KEY"),
    };
    Done::from(command.output().expect("the program starts"))
}

/// A server of MCP over stdio with one article; `called` is what it does with a call.
fn server(called: &str) -> String {
    let (list, knows) =
        (r#"{"tools": [{"name": "search_policy", "inputSchema": {}}]}"#, r#"{"supportedVersions": ["2026-07-28"]}"#);
    format!(
        r#"echo $$ >> pids
say() {{ printf '{{"jsonrpc": "2.0", "id": %s, "result": %s}}\n' "$id" "$1"; }}
while read -r line; do
  id=$(printf '%s' "$line" | sed 's/.*"id":\([0-9]*\).*/\1/')
  case "$line" in
    *tools/call*) {called};;
    *tools/list*) say '{list}';;
    *discover*) say '{knows}';;
  esac
done
"#
    )
}

#[test]
fn a_command_of_staging_runs_once_for_the_run_and_ends_with_it() {
    let bench = Bench::new();
    let article = r#"say '{"content": [], "structuredContent": {"articles": [{"id": "KB-S", "summary": "45 days"}]}}'"#;
    bench.write("fixtures/demo/server.sh", &server(article));
    forward(&bench, "{run: exec sh server.sh}");
    let check = ["check", MANIFEST, "--filter", "asks-*", "--format", "json=r.json", "--no-progress"];
    let done = bench.run(&check);
    let report = bench.json("r.json");
    assert_eq!((&report["trials"]["planned"], &report["trials"]["pass"]), (&2.into(), &2.into()), "{}", done.all());
    assert!(report["notes"].to_string().contains("are forwarded to `exec sh server.sh`"), "{}", report["notes"]);
    let pids = bench.read("fixtures/demo/pids");
    let pids: Vec<&str> = pids.lines().collect();
    assert_eq!(pids.len(), 1, "one process for all trials");
    let alive = std::process::Command::new("kill").args(["-0", pids[0]]).output().expect("kill is there");
    assert!(!alive.status.success(), "it ended with the run");
    let refused = bench.run(&[&check[..], &["--no-exec"]].concat());
    assert_eq!(bench.json("r.json")["trials"]["pass"], 0, "{}", refused.all());
    assert_eq!(bench.read("fixtures/demo/pids").lines().count(), 1, "nothing was started");
}

#[test]
fn a_command_of_staging_that_dies_is_an_error_and_never_a_pass() {
    let bench = Bench::new();
    bench.write("fixtures/demo/server.sh", &server("echo 'the disk is full' >&2; exit 3"));
    forward(&bench, "{run: sh server.sh}");
    let done = bench.run(&["run", "--manifest", MANIFEST, "asks-staging"]);
    assert_eq!(done.code, 3, "{}", done.all());
    for told in ["was forwarded to `kb`, which gave no usable answer", "lost on the way to kb", "the disk is full"] {
        assert!(done.out.contains(told), "{told}: {}", done.all());
    }
}

#[test]
fn reads_go_to_staging_unless_the_scenario_looks_at_the_world() {
    let (url, asked) = staging();
    let bench = demo(&url);
    let check =
        ["check", MANIFEST, "--filter", "asks-*", "--format", "json=r.json", "--record", "records", "--no-progress"];
    let done = run(&bench, Some(KEY), &check);
    let report = bench.json("r.json");
    assert_eq!(
        (&report["trials"]["planned"], &report["trials"]["pass"]),
        (&Value::from(2), &Value::from(2)),
        "{}",
        done.all()
    );
    assert_eq!(asked.lock().expect("no panic").len(), 1, "the world answered the other");
    assert!(asked.lock().expect("no panic")[0].starts_with("GET /kb/search?query=how+long"), "{asked:?}");
    assert!(report["notes"].to_string().contains("are forwarded to http://127.0.0.1"), "{}", report["notes"]);
    let id = report["run"]["id"].as_str().expect("an id");
    let trials = bench.read(&format!("records/{id}/trials.ndjson"));
    assert!(trials.contains("KB-S") && !trials.contains(KEY), "the key of staging is not kept");
    let ways: Vec<Value> = trials
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["trial"]["ledger"][0]["forwarded"].clone())
        .collect();
    assert!(
        ways.contains(&serde_json::json!({"system": "kb", "passage": "answered"})) && ways.contains(&Value::Null),
        "{ways:?}"
    );
    let again = bench.run(&["report", id, "--record", "records", "--format", "json"]);
    assert_eq!(again.out, bench.read("r.json"), "judged the same from the record");
}

#[test]
fn staging_that_can_not_be_asked_is_no_pass_and_no_fault_of_the_agent() {
    let (url, _) = staging();
    let bench = demo(&url);
    let done = run(&bench, Some(KEY), &["check", MANIFEST, "--filter", "asks-*", "--offline", "--no-progress"]);
    assert_eq!(done.code, 3, "{}", done.all());
    assert!(
        done.out.contains("are forwarded to http://127.0.0.1") && done.out.contains("--offline forbids"),
        "{}",
        done.all()
    );
    let done = run(&bench, None, &["run", "--manifest", MANIFEST, "asks-staging"]);
    assert_eq!(done.code, 2, "{}", done.all());
    assert!(done.err.contains("environment variable `KB_KEY` is not set"), "{}", done.all());

    let gone = demo("http://127.0.0.1:9/kb");
    let done = run(&gone, Some(KEY), &["run", "--manifest", MANIFEST, "asks-staging"]);
    assert_eq!(done.code, 3, "{}", done.all());
    assert!(done.out.contains("was forwarded to `kb`, which gave no usable answer"), "{}", done.all());
}
