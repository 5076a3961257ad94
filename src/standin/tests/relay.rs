//! Tools that are forwarded: what a real server says comes back as it was said, and the ledger knows what became of each call.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};

use super::{Gateway, Inventory, Token, play, post as send};
use crate::{
    record::{
        Call,
        CallStatus::{Attempted, Blocked, Executed},
        Passage,
    },
    standin::{Exit, Place, Relays, Staging, Web},
};

/// What the server of staging saw.
#[derive(Clone, Default)]
struct Seen {
    calls: Arc<Mutex<Vec<Value>>>,
    opened: Arc<AtomicU32>,
    slow: Arc<tokio::sync::Notify>,
}

/// A result with all that the types of a protocol library would not know.
fn rich() -> Value {
    json!({
        "content": [{"type": "hologram", "beam": [1, 2.50, "ü"]}, {"type": "text", "text": "A-1", "_meta": {"x": 1}}],
        "_meta": {"acme/served-by": "b7"}, "acmeExtra": {"deep": [null]},
    })
}

fn said(name: &str) -> Value {
    match name {
        "rich" => json!({"result": rich()}),
        "close" => json!({"result": {"content": [{"type": "text", "text": "{\"closed\": true}"}]}}),
        "refuse" => json!({"result": {"content": [{"type": "text", "text": "not yours"}], "isError": true}}),
        "get_order" => json!({"error": {"code": -32602, "message": "no such order", "data": {"seen": ["A-1"]}}}),
        _ => json!({"error": {"code": -32601, "message": "what?"}}),
    }
}

const NAMES: [&str; 9] = ["rich", "close", "refuse", "get_order", "hang", "cut", "large", "elsewhere", "asks"];

fn listed() -> Value {
    let tool = |name: &&str| {
        json!({"name": name, "title": "Ü", "description": format!("staging: {name}"), "inputSchema": {"type": "object"},
            "outputSchema": {"type": "object"}, "annotations": {"readOnlyHint": true, "acme": 1}, "_meta": {"acme/x": [2.50]},
            "icons": [{"src": "data:,"}], "acmeExtra": null})
    };
    json!({"result": {"tools": NAMES.iter().map(tool).collect::<Vec<_>>(), "ttlMs": 0}})
}

/// A server of MCP: `new` needs no session, `old` has one that it forgets once and answers in streams.
async fn mcp(
    State(seen): State<Seen>,
    Path(era): Path<String>,
    headers: HeaderMap,
    Json(ask): Json<Value>,
) -> Response {
    let session = headers.get("mcp-session-id").and_then(|id| id.to_str().ok());
    let version = headers.get("mcp-protocol-version").and_then(|version| version.to_str().ok());
    let method = ask["method"].as_str().unwrap_or_default();
    let is_new = era == "new";
    if headers.get("x-key").is_none_or(|key| key != "s3cret") {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let mut answer = match method {
        "server/discover" if is_new => json!({"result": {"supportedVersions": ["2026-07-28"]}}),
        "server/discover" => return StatusCode::BAD_REQUEST.into_response(),
        "initialize" => {
            let id = format!("s{}", seen.opened.fetch_add(1, Ordering::Relaxed));
            let hello = json!({"jsonrpc": "2.0", "id": ask["id"], "result": {"protocolVersion": "2025-06-18"}});
            return ([("mcp-session-id", id)], Json(hello)).into_response();
        }
        "notifications/initialized" => return StatusCode::ACCEPTED.into_response(),
        _ if !is_new && (session != Some("s1") || version != Some("2025-06-18")) => {
            return StatusCode::NOT_FOUND.into_response();
        }
        _ if is_new && headers.get("mcp-method").is_none_or(|named| named != method) => {
            return StatusCode::BAD_REQUEST.into_response();
        }
        "tools/list" => listed(),
        // What the gate says to what it is asked below.
        "" => {
            seen.calls.lock().expect("no panic").push(ask);
            seen.slow.notify_one();
            return StatusCode::ACCEPTED.into_response();
        }
        "tools/call" if ask["params"]["name"] == "asks" => {
            let asked = [("p", "ping"), ("s", "sampling/createMessage")]
                .map(|(id, method)| Ok(format!("data: {}\n\n", json!({"jsonrpc": "2.0", "id": id, "method": method}))));
            let rest = async move {
                while seen.calls.lock().expect("no panic").len() < 2 {
                    seen.slow.notified().await;
                }
                let text = json!({"jsonrpc": "2.0", "id": ask["id"], "result": {"content": []}});
                Ok::<_, std::io::Error>(format!("data: {text}\n\n"))
            };
            let pieces = stream::iter(asked).chain(stream::once(rest));
            return ([("content-type", "text/event-stream")], Body::from_stream(pieces)).into_response();
        }
        "tools/call" => {
            seen.calls.lock().expect("no panic").push(ask["params"].clone());
            match ask["params"]["name"].as_str().unwrap_or_default() {
                "hang" => {
                    seen.slow.notified().await;
                    json!({"result": {"content": [], "structuredContent": {"late": true}}})
                }
                "cut" => {
                    let rest = async {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                        Err(std::io::Error::other("cut"))
                    };
                    let pieces = stream::iter([Ok("{\"jsonrpc\"")]).chain(stream::once(rest));
                    return Body::from_stream(pieces).into_response();
                }
                "large" => return " ".repeat(5 << 20).into_response(),
                "elsewhere" => {
                    return (StatusCode::TEMPORARY_REDIRECT, [("location", "http://127.0.0.2:9/")]).into_response();
                }
                name => said(name),
            }
        }
        _ => json!({"error": {"code": -32601, "message": "no such method"}}),
    };
    answer["jsonrpc"] = json!("2.0");
    answer["id"] = ask["id"].clone();
    if is_new {
        return Json(answer).into_response();
    }
    let told = json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {}});
    ([("content-type", "text/event-stream")], format!("data: {told}\n\nevent: message\ndata: {answer}\n\n"))
        .into_response()
}

async fn order(Path(id): Path<String>, uri: Uri, headers: HeaderMap) -> Response {
    let trace = headers.get("traceparent").and_then(|value| value.to_str().ok()).unwrap_or_default();
    match id.as_str() {
        "A-1" => Json(json!({"id": id, "asked": uri.query().unwrap_or_default(), "trace": trace})).into_response(),
        "A-3" => Json(json!({"key": headers.get("idempotency-key").and_then(|key| key.to_str().ok())})).into_response(),
        "A-5" => (StatusCode::INTERNAL_SERVER_ERROR, "oh").into_response(),
        _ => (StatusCode::NOT_FOUND, Json(json!({"detail": "no order"}))).into_response(),
    }
}

struct Bench {
    gateway: Gateway,
    token: Token,
    seen: Seen,
}

/// A gateway in front of staging; every tool may leave.
async fn bench(era: &str, open: bool) -> Bench {
    let seen = Seen::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let home = format!("http://{}", listener.local_addr().expect("bound"));
    let router = Router::new()
        .route("/{era}/mcp", post(mcp))
        .route("/orders/{id}", get(order))
        .route("/orders/{id}/close", post(|Json(body): Json<Value>| async move { Json(json!({"took": body})) }))
        .with_state(seen.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let parsed = |path: &str| reqwest::Url::parse(&format!("{home}{path}")).expect("a URL");
    let web = Web {
        http: crate::agent::plain_client(&home).expect("a client"),
        headers: HeaderMap::from_iter([("x-key".parse().expect("a name"), "s3cret".parse().expect("a value"))]),
    };
    let (place, tools) = match era {
        "http" => {
            let endpoints = [("get_order", "GET /orders/{id}"), ("close", "POST /orders/{id}/close")];
            (
                Place::Http(parsed("/"), web),
                endpoints.map(|(name, endpoint)| (name, Some(endpoint.to_owned()))).to_vec(),
            )
        }
        _ => (Place::Mcp(parsed(&format!("/{era}/mcp")), web), NAMES.map(|name| (name, None)).to_vec()),
    };
    let staging = Staging { system: "shop".to_owned(), place, timeout: Duration::from_millis(400) };
    let key_header = Some("Idempotency-Key".parse().expect("a name"));
    let exit = |(name, endpoint): (&str, Option<String>)| {
        (name.to_owned(), Exit { endpoint, is_open: open, key_header: key_header.clone() })
    };
    let mut relays = Relays::default();
    relays.add(staging, tools.into_iter().map(exit).collect()).await.expect("staging is there");
    let gateway = Gateway::start(Inventory::default().with_relays(relays)).await.expect("starts");
    let token = Token::random();
    gateway.open(&token, None, play());
    gateway.forward(&token);
    Bench { gateway, token, seen }
}

impl Bench {
    /// Calls a tool over MCP; gives the whole message.
    async fn call(&self, name: &str, args: Value) -> Value {
        let meta =
            json!({"traceparent": "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01", "progressToken": 4});
        let params = json!({"name": name, "arguments": args, "_meta": meta});
        let ask = json!({"jsonrpc": "2.0", "id": "q", "method": "tools/call", "params": params});
        let headers = [
            ("accept", "application/json, text/event-stream"),
            ("content-type", "application/json"),
            ("mcp-protocol-version", "2025-11-25"),
        ];
        send(&self.gateway.tools_url(&self.token), &ask.to_string(), &headers).await.1
    }

    fn last(&self) -> Call {
        self.gateway.ledger(&self.token).pop().expect("a call")
    }
}

#[tokio::test]
async fn what_a_real_server_says_comes_back_as_it_was_said() {
    for era in ["new", "old"] {
        let bench = bench(era, true).await;
        let answer = bench.call("rich", json!({"id": "A-1", "big": 9_007_199_254_740_993_u64})).await;
        assert_eq!(answer, json!({"jsonrpc": "2.0", "id": "q", "result": rich()}), "{era}");
        let call = bench.last();
        let way = call.forwarded.clone().expect("it was forwarded");
        assert_eq!((call.status, call.result, way.system.as_str()), (Executed, rich(), "shop"), "{era}");
        let sent = bench.seen.calls.lock().expect("no panic").remove(0);
        assert_eq!(sent["arguments"], json!({"id": "A-1", "big": 9_007_199_254_740_993_u64}));
        assert!(sent["_meta"]["traceparent"].is_string() && sent["_meta"]["progressToken"].is_null(), "{sent}");

        let refused = bench.call("refuse", json!({})).await;
        assert_eq!(refused["result"], said("refuse")["result"], "{era}");
        assert_eq!((bench.last().status, bench.last().result), (Blocked, json!("not yours")));
        let error = bench.call("get_order", json!({})).await;
        assert_eq!((&error["error"], &error["result"]), (&said("get_order")["error"], &Value::Null), "{era}");
        let call = bench.last();
        assert_eq!((call.status, call.result), (Attempted, json!("no such order")));
        assert_eq!(call.forwarded.expect("forwarded").answer, Some(said("get_order")["error"].clone()));
        assert_eq!(
            bench.seen.opened.load(Ordering::Relaxed),
            if era == "new" { 0 } else { 2 },
            "one session was forgotten"
        );
    }
}

#[tokio::test]
async fn what_a_server_asks_while_it_works_is_answered_before_it_goes_on() {
    let bench = bench("old", true).await;
    assert_eq!(bench.call("asks", json!({})).await["result"], json!({"content": []}));
    let way = bench.last().forwarded.expect("it was forwarded");
    assert_eq!(way.refused, ["sampling/createMessage"]);
    let mut said = bench.seen.calls.lock().expect("no panic").clone();
    said.sort_by_key(|said| said["id"].to_string());
    assert_eq!((&said[0]["id"], &said[0]["result"]), (&json!("p"), &json!({})));
    assert_eq!((&said[1]["id"], &said[1]["error"]["code"]), (&json!("s"), &json!(-32601)));
}

#[tokio::test]
async fn a_call_whose_answer_never_came_is_attempted_and_lost() {
    let bench = bench("new", true).await;
    for (name, why) in [
        ("hang", "gave no answer within 400ms"),
        ("cut", "broke off its answer"),
        ("large", "answered more than 4 MiB"),
        ("elsewhere", "answered HTTP 307"),
    ] {
        let answer = bench.call(name, json!({})).await;
        assert_eq!(answer["result"]["isError"], true, "{name}: {answer}");
        let call = bench.last();
        let passage = call.forwarded.expect("it was forwarded").passage;
        assert_eq!((call.status, passage, call.result), (Attempted, Passage::Lost, json!(why)), "{name}");
    }
}

#[tokio::test]
async fn an_agent_that_hangs_up_does_not_undo_what_was_done() {
    let bench = bench("new", true).await;
    let call = bench.call("hang", json!({}));
    assert!(tokio::time::timeout(Duration::from_millis(100), call).await.is_err(), "the agent gave up");
    let sent = bench.last();
    assert_eq!((sent.status, sent.result), (Attempted, Value::Null), "on record before it is answered");
    assert_eq!(sent.forwarded.map(|way| way.passage), Some(Passage::Sent));
    bench.seen.slow.notify_one();
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        if bench.last().status == Executed {
            break;
        }
    }
    assert_eq!((bench.last().status, bench.last().result), (Executed, json!({"late": true})));
}

#[tokio::test]
async fn an_http_api_is_asked_as_the_endpoint_of_the_tool_says() {
    let bench = bench("http", true).await;
    let url = bench.gateway.tools_url(&bench.token);
    let trace = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01";
    let headers = [("traceparent", trace)];
    let (status, answer) = send(&format!("{url}/get_order"), "{\"id\": \"A-1\", \"full\": true}", &headers).await;
    let order = json!({"id": "A-1", "asked": "full=true", "trace": trace});
    assert_eq!((status, answer), (200, json!({"result": order.clone()})));
    assert_eq!((bench.last().status, bench.last().result), (Executed, order));
    let (status, answer) = send(&format!("{url}/get_order"), "{\"id\": \"A-2\"}", &[]).await;
    let refusal = json!({"detail": "no order"});
    assert_eq!((status, &answer["body"], bench.last().status), (404, &refusal, Blocked));
    let (status, answer) = send(&format!("{url}/get_order"), "{\"id\": \"A-5\"}", &[]).await;
    assert_eq!((status, answer["error"].as_str(), bench.last().status), (500, Some("oh"), Attempted));
    assert_eq!(bench.last().forwarded.expect("forwarded").passage, Passage::Lost);
    let (_, answer) = send(&format!("{url}/close"), "{\"id\": \"A-1\", \"why\": [1]}", &[]).await;
    assert_eq!(answer, json!({"result": {"took": {"why": [1]}}}));
    assert_eq!(send(&format!("{url}/get_order"), "{}", &[]).await.0, 400, "no id, so nothing is asked");
    // The agent's idempotency key goes along, where the manifest names its header.
    let keyed = [("idempotency-key", "k-1"), ("x-other", "k-2")];
    let (_, answer) = send(&format!("{url}/get_order"), "{\"id\": \"A-3\"}", &keyed).await;
    assert_eq!(answer["result"], json!({"key": "k-1"}));
    assert_eq!(send(&format!("{url}/get_order"), "{\"id\": \"A-3\"}", &[]).await.1["result"], json!({"key": null}));
    // The same over MCP.
    let answer = bench.call("get_order", json!({"id": "A-1"})).await;
    assert_eq!(answer["result"]["structuredContent"]["id"], "A-1", "{answer}");
    assert_eq!(bench.call("get_order", json!({"id": "x"})).await["result"]["isError"], true);
}

#[tokio::test]
async fn what_may_not_leave_stays_with_the_world_and_says_so_when_the_world_can_do_nothing() {
    let bench = bench("new", false).await;
    let (status, _) = send(&format!("{}/close", bench.gateway.tools_url(&bench.token)), "{}", &[]).await;
    assert_eq!((status, bench.gateway.state(&bench.token)["closed"].clone()), (200, json!(true)), "the world did it");
    assert_eq!(bench.last().forwarded, None);
    bench.call("rich", json!({})).await;
    assert_eq!(bench.last().forwarded.expect("withheld").passage, Passage::Withheld);
    assert!(bench.seen.calls.lock().expect("no panic").is_empty(), "nothing was sent");

    let bench = self::bench("new", true).await;
    let attacked = Token::random();
    bench.gateway.open(&attacked, None, play());
    assert_eq!(send(&format!("{}/close", bench.gateway.tools_url(&attacked)), "{}", &[]).await.0, 200);
    assert_eq!(bench.gateway.state(&attacked)["closed"], true, "a trial that was not let out keeps to its world");
    assert!(bench.seen.calls.lock().expect("no panic").is_empty());
}

#[tokio::test]
async fn the_list_of_tools_says_what_the_server_says() {
    let bench = bench("old", true).await;
    let offers = bench.gateway.offers(&bench.token);
    let about = |name: &str| offers.iter().find(|offer| offer.name == name).map(|offer| offer.about.clone());
    assert_eq!(about("rich").as_deref(), Some("staging: rich"), "which the world does not have");
    assert_eq!(about("close").as_deref(), Some("staging: close"), "which the world has too");
    assert_eq!(bench.gateway.call(&bench.token, "close", json!({})).await["result"], json!({"closed": true}));
}

#[tokio::test]
async fn a_client_of_mcp_sees_the_list_of_a_real_server_whole_where_calls_leave() {
    let ask = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}).to_string();
    let headers = [
        ("accept", "application/json, text/event-stream"),
        ("content-type", "application/json"),
        ("mcp-protocol-version", "2025-11-25"),
    ];
    let bench = bench("new", true).await;
    let (_, answer) = send(&bench.gateway.tools_url(&bench.token), &ask, &headers).await;
    let theirs = listed();
    for tool in answer["result"]["tools"].as_array().expect("a list") {
        let listed = theirs["result"]["tools"].as_array().expect("a list");
        assert!(listed.contains(tool), "{tool}");
    }
    assert_eq!(answer["result"]["tools"].as_array().map(Vec::len), Some(NAMES.len()));
    // A trial that stays with the world promises nothing that the world does not keep.
    let attacked = Token::random();
    bench.gateway.open(&attacked, None, play());
    let (_, answer) = send(&bench.gateway.tools_url(&attacked), &ask, &headers).await;
    for tool in answer["result"]["tools"].as_array().expect("a list") {
        assert!(tool.get("outputSchema").is_none() && tool.get("_meta").is_none(), "{tool}");
    }
}
