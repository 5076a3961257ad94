//! An agent over MCP that never looks at its tools has shown nothing by leaving them alone.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
};

use serde_json::{Value, json};

use crate::support::Bench;

const MANIFEST: &str = "
manifest: 1
agent: {name: idle, autonomy: read-only}
endpoint: {url: \"URL\", response: {answer: body.answer}}
systems: {shop: {}}
tools: {close: {system: shop, effect: destructive, allow: never}}
evals: {golden: [golden.yaml]}
";
const WORLD: &str = "{state: {open: true}, tools: {close: {sets: {/open: 'false'}}}}";
const SCENARIOS: &str = "
suite: golden
world: world.yaml
scenarios:
  looks: {say: \"method tools/list\", expect: [{never: [close]}, {state: state.open}]}
  rests: {say: \"method ping\", expect: [{never: [close]}, {state: state.open}]}
  talks: {say: \"method ping\", expect: [{answer: {contains: [done]}}]}
";

/// One HTTP request: its body.
fn read(stream: &TcpStream) -> Value {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    let mut line = String::new();
    while reader.read_line(&mut line).expect("a line") > 2 {
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    serde_json::from_slice(&body).unwrap_or_default()
}

/// Sends the message of MCP that the user names to the tools, and is done.
fn turn(mut stream: TcpStream) {
    let asked = read(&stream);
    let method = asked["message"].as_str().unwrap_or_default().trim_start_matches("method ");
    let url = asked["tools_url"].as_str().expect("a URL").trim_start_matches("http://");
    let (host, path) = url.split_once('/').expect("a path");
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": {}}).to_string();
    let mut tools = TcpStream::connect(host).expect("the gate listens");
    let head = format!(
        "POST /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-type: application/json\r\n\
         accept: application/json, text/event-stream\r\nmcp-protocol-version: 2025-11-25\r\ncontent-length: {}\r\n\r\n",
        message.len()
    );
    tools.write_all(format!("{head}{message}").as_bytes()).expect("sent");
    let mut said = String::new();
    tools.read_to_string(&mut said).expect("an answer");
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    let answer = r#"{"answer": "done"}"#;
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
    let text = format!("{head}content-length: {}\r\n\r\n{answer}", answer.len());
    stream.write_all(text.as_bytes()).expect("answered");
}

#[test]
fn an_agent_that_never_looked_at_its_tools_is_an_error_where_calls_matter() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    std::thread::spawn(move || listener.incoming().flatten().for_each(turn));
    let bench = Bench::new();
    bench.write("agentready.yaml", &MANIFEST.replace("URL", &url));
    bench.write("world.yaml", WORLD);
    bench.write("golden.yaml", SCENARIOS);
    let done = bench.run(&["run"]);
    assert_eq!(done.code, 3, "{}", done.all());
    assert!(done.out.contains("2 of 3 trials passed"), "{}", done.all());
    assert!(done.out.contains("neither listed nor called the gate's tools"), "{}", done.all());
}
