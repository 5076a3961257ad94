//! MCP over stdio, as an agent sees it that spawns its server.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use super::{Gateway, Token, open};
use crate::{agent::plain_client, record::CallStatus, standin::bridge};

/// Sends these lines, ends the input, and gives every line that came back.
async fn said(gateway: &Gateway, token: &Token, lines: &[String]) -> Vec<Value> {
    let url = gateway.tools_url(token);
    let (client, server) = tokio::io::duplex(1 << 16);
    let (input, output) = tokio::io::split(server);
    let http = plain_client(&url).expect("a client");
    let url = url.parse().expect("a URL");
    let serving = tokio::spawn(async move { bridge(http, url, BufReader::new(input), output).await });
    let (answers, mut asks) = tokio::io::split(client);
    let mut answers = BufReader::new(answers).lines();
    let mut seen = Vec::new();
    for line in lines {
        asks.write_all(format!("{line}\n").as_bytes()).await.expect("writes");
        // Answers come in their own order; these are asked one by one.
        let has_answer = !line.contains("notifications/") && !line.trim().is_empty();
        if has_answer {
            let answer = tokio::time::timeout(Duration::from_secs(5), answers.next_line()).await.expect("in time");
            seen.push(serde_json::from_str(&answer.expect("reads").expect("a line")).expect("JSON"));
        }
    }
    asks.shutdown().await.expect("ends");
    serving.await.expect("runs").expect("ends well");
    seen
}

fn message(id: u32, method: &str, params: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string()
}

#[tokio::test]
async fn both_eras_are_spoken_line_by_line() {
    let (gateway, token) = open().await;
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}
    });
    let order = |id: &str| json!({"name": "get_order", "arguments": {"id": id}});
    let mut modern = order("1");
    modern["_meta"] = meta.clone();
    let begin =
        json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}});
    let answers = said(
        &gateway,
        &token,
        &[
            message(1, "initialize", &begin),
            json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string(),
            String::new(),
            message(2, "tools/list", &json!({})),
            message(3, "tools/call", &order("1")),
            message(4, "tools/call", &order("2")),
            message(5, "tools/call", &json!({"name": "nobody", "arguments": {}})),
            "{\"jsonrpc\":".to_owned(),
            message(6, "server/discover", &json!({"_meta": meta})),
            message(7, "tools/call", &modern),
        ],
    )
    .await;
    let ids: Vec<_> = answers.iter().map(|answer| answer["id"].as_u64()).collect();
    assert_eq!(ids, [Some(1), Some(2), Some(3), Some(4), Some(5), None, Some(6), Some(7)]);
    assert_eq!(answers[0]["result"]["protocolVersion"], "2025-06-18");
    assert_eq!(answers[1]["result"]["tools"].as_array().map(Vec::len), Some(2));
    assert_eq!(answers[2]["result"]["structuredContent"], json!({"paid": 5}));
    assert_eq!(answers[3]["result"]["isError"], true);
    assert!(answers[4]["error"]["message"].as_str().is_some_and(|text| text.contains("nobody")));
    assert_eq!(answers[5]["error"]["code"], -32700);
    assert!(answers[6]["result"]["supportedVersions"].to_string().contains("2026-07-28"), "{}", answers[6]);
    assert_eq!(answers[7]["result"]["structuredContent"], json!({"paid": 5}));
    let executed = gateway.ledger(&token).iter().filter(|call| call.status == CallStatus::Executed).count();
    assert_eq!(executed, 2);
}

#[tokio::test]
async fn what_the_gate_does_not_answer_is_said_to_the_client() {
    let (gateway, token) = open().await;
    gateway.close(&token);
    let call = message(1, "tools/call", &json!({"name": "get_order", "arguments": {"id": "1"}}));
    let late = said(&gateway, &token, std::slice::from_ref(&call)).await;
    assert!(late[0].to_string().contains("belongs to no trial in flight"), "{}", late[0]);
    let (client, server) = tokio::io::duplex(1 << 16);
    let (input, output) = tokio::io::split(server);
    let url = "http://127.0.0.1:1/t/x/tools";
    let http = plain_client(url).expect("a client");
    let serving = bridge(http, url.parse().expect("a URL"), BufReader::new(input), output);
    let (answers, mut asks) = tokio::io::split(client);
    asks.write_all(call.as_bytes()).await.expect("a last line needs no end");
    asks.shutdown().await.expect("ends");
    serving.await.expect("ends well");
    let answer = BufReader::new(answers).lines().next_line().await.expect("reads").expect("a line");
    assert!(answer.contains("the gate's tools did not answer"), "{answer}");
}
