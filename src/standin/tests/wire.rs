//! What clients of a dozen frameworks sent to an MCP server, recorded and sent once more to the gateway, in their order.
//! Sessions of the server that was recorded are left out: the gateway gives none, so no client would name one.

use std::{collections::BTreeMap, fs, sync::Arc};

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Gateway, Inventory, Token};
use crate::{
    record::CallStatus,
    source::Files,
    world::{self, Play, World},
};

const WORLD: &str = "
tools:
  lookup_order:
    input: {type: object, required: [order_id], properties: {order_id: {type: string}}}
    returns: \"{'status': 'shipped'}\"
  issue_refund:
    input:
      type: object
      required: [order_id, amount]
      properties: {order_id: {type: string}, amount: {type: number}, currency: {type: string}}
    sets: {/refunded: args.amount}
  read_ticket:
    input: {type: object, required: [ticket_id], properties: {ticket_id: {type: string}}}
    returns: \"{'text': 'Where is my order?'}\"
";

/// One request as it was on the wire.
#[derive(Deserialize)]
struct Sent {
    http: String,
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: Option<Value>,
}

fn world() -> Arc<World> {
    let files = Files::texts([("w.yaml".to_owned(), WORLD.into())].into());
    world::load(&files, "w.yaml").expect("the world loads")
}

fn recordings() -> Vec<(String, Vec<Sent>)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/mcp");
    let files = fs::read_dir(folder).expect("recordings").map(|entry| entry.expect("a file").path());
    let read = |path: std::path::PathBuf| {
        let text = fs::read_to_string(&path).expect("a recording is text");
        let lines = text.lines().map(|line| serde_json::from_str(line).expect("a line is one request"));
        (path.file_stem().expect("a name").to_string_lossy().into_owned(), lines.collect())
    };
    files.map(read).collect()
}

/// What the gateway has to say to a request.
fn holds(sent: &Sent, status: u16, answer: &Value) -> bool {
    let body = sent.body.as_ref().unwrap_or(&Value::Null);
    match (sent.http.as_str(), body["method"].as_str()) {
        // No stream to wait on, and no session to end.
        ("GET" | "DELETE", None) => status == 405,
        ("POST", Some(method)) if method.starts_with("notifications/") => status == 202,
        ("POST", Some(method)) => {
            let result = &answer["result"];
            let has_content = match method {
                "initialize" => result["protocolVersion"] == body["params"]["protocolVersion"],
                "server/discover" => result["supportedVersions"].is_array(),
                "tools/list" => result["tools"].as_array().is_some_and(|tools| tools.len() == 3),
                "tools/call" => result["content"].is_array() && result["isError"] != true,
                _ => false,
            };
            status == 200 && answer["id"] == body["id"] && has_content
        }
        _ => false,
    }
}

#[tokio::test]
async fn what_clients_of_a_dozen_frameworks_sent_is_answered_and_their_calls_are_seen() {
    let recordings = recordings();
    assert!(recordings.len() >= 20, "{} recordings", recordings.len());
    let mut calls = 0;
    for (name, requests) in recordings {
        let gateway = Gateway::start(Inventory::new(BTreeMap::new(), [world().as_ref()])).await.expect("starts");
        let (lane, token) = (gateway.lane(), Token::random());
        gateway.open(&token, Some(&lane), Play::new(world(), &BTreeMap::new()).expect("a play"));
        let url = gateway.lane_url(&lane, None);
        let client = crate::agent::plain_client(&url).expect("a client");
        let mut wanted = Vec::new();
        for (at, sent) in requests.iter().enumerate() {
            let method = sent.http.parse().expect("a method");
            let mut request = client.request(method, &url);
            for (header, value) in &sent.headers {
                request = request.header(header, value);
            }
            if let Some(body) = &sent.body {
                request = request.body(body.to_string());
            }
            let response = request.send().await.expect("an answer");
            let (status, answer) = (response.status().as_u16(), response.json::<Value>().await.unwrap_or_default());
            assert!(holds(sent, status, &answer), "{name}, request {at}: {status} {answer} to {:?}", sent.body);
            let body = sent.body.as_ref().unwrap_or(&Value::Null);
            if body["method"] == "tools/call" {
                wanted.push(json!([body["params"]["name"], body["params"]["arguments"]]));
            }
        }
        let seen = gateway.close(&token).ledger;
        assert!(seen.iter().all(|call| call.status == CallStatus::Executed), "{name}");
        let seen: Vec<Value> = seen.iter().map(|call| json!([call.tool, call.args])).collect();
        assert_eq!(seen, wanted, "{name}");
        assert_eq!(gateway.unattributed(), 0, "{name}");
        calls += seen.len();
    }
    assert!(calls >= 40, "{calls} calls");
}
