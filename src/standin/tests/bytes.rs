//! Whatever arrives at the tools, over MCP or plain HTTP, is answered soon; what can be a call stands in the ledger.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{Gateway, Inventory, Token, play, world};

/// Any JSON, with names that the protocols know among the keys and values.
fn values() -> impl Strategy<Value = Value> {
    let words = prop_oneof![
        Just("2.0".to_owned()),
        Just("2025-06-18".to_owned()),
        Just("2026-07-28".to_owned()),
        Just("get_order".to_owned()),
        Just("close".to_owned()),
        Just("1".to_owned()),
        ".{0,12}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        words.prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        let key = prop_oneof![
            Just("id".to_owned()),
            Just("name".to_owned()),
            Just("arguments".to_owned()),
            Just("_meta".to_owned()),
            Just("traceparent".to_owned()),
            Just("baggage".to_owned()),
            Just("protocolVersion".to_owned()),
            Just("io.modelcontextprotocol/protocolVersion".to_owned()),
            "[a-z]{1,4}",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..5).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

/// A message that is one of JSON-RPC, nearly one, or none.
fn messages() -> impl Strategy<Value = Vec<u8>> {
    let methods = prop_oneof![
        Just("initialize".to_owned()),
        Just("notifications/initialized".to_owned()),
        Just("ping".to_owned()),
        Just("server/discover".to_owned()),
        Just("tools/call".to_owned()),
        Just("tools/list".to_owned()),
        "[a-z/]{0,12}",
    ];
    let part = |value: BoxedStrategy<Value>| prop_oneof![4 => value.prop_map(Some), 1 => Just(None)];
    let parts =
        (part(methods.prop_map(Value::from).boxed()), part(values().boxed()), part(values().boxed()), any::<bool>());
    let shaped = parts.prop_map(|(method, params, id, is_listed)| {
        let named = [("jsonrpc", Some(json!("2.0"))), ("method", method), ("params", params), ("id", id)];
        let message: Map<String, Value> =
            named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
        let message = Value::Object(message);
        if is_listed { json!([message]) } else { message }.to_string().into_bytes()
    });
    prop_oneof![
        6 => shaped,
        2 => values().prop_map(|value| value.to_string().into_bytes()),
        2 => prop::collection::vec(any::<u8>(), 0..300),
    ]
}

#[test]
fn whatever_is_sent_to_the_tools_is_answered() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (gateway, token, url) = runtime.block_on(async {
        let inventory = Inventory::new(std::collections::BTreeMap::new(), [world().as_ref()]);
        let gateway = Gateway::start_reading(inventory, Some("x-case")).await.expect("starts");
        let (token, lane) = (Token::random(), gateway.lane());
        gateway.open(&token, Some(&lane), play());
        let url = gateway.lane_url(&lane, None);
        (gateway, token, url)
    });
    let http = crate::agent::plain_client(&url).expect("a client");
    let header = prop_oneof![
        Just("2025-11-25".to_owned()),
        Just("2026-07-28".to_owned()),
        Just("tools/call".to_owned()),
        "[ -~]{0,20}",
    ];
    let headers = prop::collection::btree_map(
        prop_oneof![
            Just("mcp-protocol-version"),
            Just("mcp-method"),
            Just("mcp-name"),
            Just("mcp-session-id"),
            Just("traceparent"),
            Just("baggage"),
            Just("x-case"),
            Just("accept"),
        ],
        header,
        0..4,
    );
    let path =
        prop_oneof![Just(""), Just("/get_order"), Just("/close"), Just("/%00"), Just("/..%2f"), Just("/get_order/")];
    let config = ProptestConfig { cases: 250, ..ProptestConfig::default() };
    proptest!(config, |(body in messages(), headers in headers, path in path, looks in any::<bool>())| {
        let place = format!("{url}{path}");
        let request = if looks { http.get(&place) } else { http.post(&place).header("content-type", "application/json").body(body) };
        let request = headers.iter().fold(request.header("accept", "application/json, text/event-stream"), |request, (name, value)| {
            request.header(*name, value.trim())
        });
        let asked = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(10), async {
            let answer = request.send().await.expect("an answer");
            (answer.status().as_u16(), answer.bytes().await.expect("a whole body"))
        }).await });
        let (status, _) = asked.expect("answered in time");
        prop_assert!(status < 500, "{place}: {status}");
    });
    let calls = gateway.close(&token).ledger.len();
    assert!(calls > 0, "some of it was a call");
}
