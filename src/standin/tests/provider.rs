//! The model stand-in in front of a provider: what is passed on, what comes back, and what is noted of it.

use std::{collections::BTreeMap, sync::Mutex};

use axum::{
    Json, Router,
    body::Body,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
};
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use super::{Gateway, Inventory, Lane, Token, post};
use crate::{
    record::{Class, ModelCall, unanswered},
    scenario::Move,
    source::Files,
    standin::{Recording, Upstream},
    world::{self, Play},
};

const CHAT: &str = r#"data: {"choices":[{"index":0,"delta":{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"look","arguments":""}}]}}]}

data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}}]}

data: {"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}

data: {"choices":[],"usage":{"prompt_tokens":120,"completion_tokens":30}}

data: [DONE]

"#;
const RESPONSES: &str = r#"event: response.created
data: {"type":"response.created","response":{"status":"in_progress","output":[],"usage":null}}

event: response.completed
data: {"type":"response.completed","response":{"status":"completed","output":[{"type":"function_call","name":"look","call_id":"c1","arguments":"{}"}],"usage":{"input_tokens":120,"output_tokens":30}}}

"#;
const MESSAGES: &str = r#"event: message_start
data: {"type":"message_start","message":{"content":[],"stop_reason":null,"usage":{"input_tokens":20,"cache_read_input_tokens":100,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"c1","name":"look","input":{}}}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":30}}

event: message_stop
data: {"type":"message_stop"}

"#;

fn whole(path: &str) -> Value {
    match path {
        "/v1/chat/completions" => json!({"choices": [{"finish_reason": "tool_calls", "message": {"tool_calls":
            [{"id": "c1", "function": {"name": "look", "arguments": "{}"}}]}}],
            "usage": {"prompt_tokens": 120, "completion_tokens": 30}, "system_fingerprint": "kept as it is"}),
        "/v1/responses" => {
            json!({"object": "response", "status": "completed", "output": [{"type": "function_call", "name":
            "look"}], "usage": {"input_tokens": 120, "output_tokens": 30}})
        }
        "/v1/messages" => json!({"content": [{"type": "tool_use", "name": "look"}], "stop_reason": "tool_use",
            "usage": {"input_tokens": 20, "cache_read_input_tokens": 100, "output_tokens": 30}}),
        "/v1/models" => json!({"data": [{"id": "real"}]}),
        "/v1/embeddings" => json!({"data": [], "usage": {"prompt_tokens": 7, "total_tokens": 7}}),
        _ => json!({"error": "no such place"}),
    }
}

/// What reached the provider: path, key and body.
type Seen = std::sync::Arc<Mutex<Vec<(String, String, String)>>>;

async fn serve(State(seen): State<Seen>, method: Method, uri: Uri, headers: HeaderMap, body: String) -> Response {
    let told = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    assert_eq!(told("baggage"), "", "nothing of the trial goes to the provider");
    let key = format!("{}{}", told("authorization"), told("x-api-key"));
    seen.lock().expect("no panic").push((format!("{method} {uri}"), key, body.clone()));
    let asked: Value = serde_json::from_str(&body).unwrap_or_default();
    match asked["model"].as_str() {
        Some("busy") => (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "7")], "{}").into_response(),
        Some("wrong") => (StatusCode::BAD_REQUEST, "{\"error\":{\"message\":\"no such tool\"}}").into_response(),
        Some("breaks") => {
            let end = futures_util::stream::once(async {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                Err(std::io::Error::other("gone"))
            });
            let body = Body::from_stream(futures_util::stream::iter([Ok("data: {}\n\n")]).chain(end));
            ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response()
        }
        _ if asked["stream"] == json!(true) => {
            let stream = match uri.path() {
                "/v1/chat/completions" => CHAT,
                "/v1/responses" => RESPONSES,
                _ => MESSAGES,
            };
            ([(header::CONTENT_TYPE, "text/event-stream; charset=utf-8")], stream).into_response()
        }
        _ => Json(whole(uri.path())).into_response(),
    }
}

struct Line {
    gateway: Gateway,
    lane: Lane,
    token: Token,
    seen: Seen,
}

const WORLD: &str = "{state: {}, canaries: {desk-key: sk-desk-51f0c7e2b9}, tools: {}}";

impl Line {
    /// A trial whose agent asks providers that are real as far as the gate can tell.
    async fn new(key: Option<&str>) -> Self {
        let seen = Seen::default();
        let app = Router::new().fallback(serve).with_state(seen.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self::before(&url, key, seen).await
    }

    async fn before(url: &str, key: Option<&str>, seen: Seen) -> Self {
        let gateway = Gateway::start(Inventory::default()).await.expect("listens");
        let upstream = |url: String| Upstream {
            http: crate::agent::plain_client(&url).expect("a client"),
            url,
            key: key.map(str::to_owned),
        };
        let upstreams = [("openai", format!("{url}/v1")), ("anthropic", url.to_owned())];
        let card = Class {
            name: "cardholder".to_owned(),
            fields: Vec::new(),
            patterns: vec![regex::Regex::new(r"\b\d{4} \d{4} \d{4} \d{4}\b").expect("valid")],
        };
        gateway.record_model(Recording {
            upstreams: upstreams.into_iter().map(|(name, url)| (name.to_owned(), upstream(url))).collect(),
            classes: vec![card],
        });
        gateway.look_for(BTreeMap::new(), vec!["env-s3cret".to_owned()]);
        let (token, lane) = (Token::random(), gateway.lane());
        let files = Files::texts([("w.yaml".to_owned(), WORLD.into())].into());
        let world = world::load(&files, "w.yaml").expect("the world loads");
        gateway.open(&token, Some(&lane), Play::new(world, &BTreeMap::new()).expect("begins"));
        Self { gateway, lane, token, seen }
    }

    fn url(&self, path: &str) -> String {
        let provider = if path.contains("messages") { "anthropic" } else { "openai" };
        let base = self.gateway.model_url(&self.lane, provider).expect("spoken");
        format!("{base}{}", if provider == "openai" { path.trim_start_matches("/v1") } else { path })
    }

    async fn ask(&self, path: &str, body: &Value) -> (u16, String) {
        let url = self.url(path);
        let client = crate::agent::plain_client(&url).expect("a client");
        let request = client.post(&url).header("baggage", format!("agentready.trial={}", self.token));
        let request = request.header("authorization", "Bearer of-the-agent").header("accept-encoding", "br");
        let response = request.body(body.to_string()).send().await.expect("an answer");
        (response.status().as_u16(), response.text().await.unwrap_or_else(|_| "broken off".to_owned()))
    }

    fn closed(self) -> Vec<ModelCall> {
        self.gateway.close(&self.token).model_calls
    }
}

#[tokio::test]
async fn each_format_is_passed_on_whole_and_as_a_stream_and_its_usage_is_noted() {
    let formats = [
        ("/v1/chat/completions", CHAT, "tool_calls", "openai-chat"),
        ("/v1/responses", RESPONSES, "completed", "openai-responses"),
        ("/v1/messages", MESSAGES, "tool_use", "anthropic"),
    ];
    for (path, stream, finish, format) in formats {
        let line = Line::new(Some("the-key")).await;
        let tools = json!([{"name": "look", "function": {"name": "look"}}]);
        let asked = json!({"model": "m", "messages": [], "input": [], "tools": tools});
        let (status, text) = line.ask(path, &asked).await;
        assert_eq!((status, serde_json::from_str(&text).expect("JSON")), (200, whole(path)));
        let mut streamed = asked.clone();
        streamed["stream"] = json!(true);
        assert_eq!(line.ask(path, &streamed).await, (200, stream.to_owned()));
        let seen = line.seen.lock().expect("no panic").clone();
        let bodies: Vec<Value> = seen.iter().map(|(_, _, body)| serde_json::from_str(body).expect("JSON")).collect();
        assert_eq!(bodies, [asked, streamed], "as it was sent");
        assert!(seen.iter().all(|(_, key, _)| key.ends_with("the-key") && !key.contains("of-the-agent")), "{seen:?}");
        let calls = line.closed();
        let told: Vec<_> = calls
            .iter()
            .map(|call| {
                (call.format.as_str(), call.tools, call.calls, call.finish.as_str(), call.tokens_in, call.tokens_out)
            })
            .collect();
        assert_eq!(told, [(format, 1, 1, finish, 120, 30); 2]);
        assert!(calls.iter().all(|call| call.forwarded && !call.is_uncounted && call.failed.is_none()));
    }
}

#[tokio::test]
async fn what_is_no_conversation_is_passed_on_too_and_a_script_goes_before_the_provider() {
    let line = Line::new(None).await;
    let (_, text) = line.ask("/v1/embeddings", &json!({"input": "words"})).await;
    assert!(text.contains("total_tokens"), "{text}");
    let url = line.url("/v1/models");
    let models = crate::agent::plain_client(&url).expect("a client").get(&url).send().await.expect("an answer");
    assert_eq!(models.json::<Value>().await.expect("JSON"), json!({"data": [{"id": "real"}]}));
    assert_eq!(line.seen.lock().expect("no panic")[0].1, "Bearer of-the-agent", "without a key, the agent's own");
    line.gateway.follow(&line.token, vec![Move::saying("By the script.")]);
    let (_, text) = line.ask("/v1/chat/completions", &json!({"model": "m", "messages": []})).await;
    assert!(text.contains("By the script."), "{text}");
    let forwarded: Vec<bool> = line.closed().iter().map(|call| call.forwarded).collect();
    assert_eq!(forwarded, [true, true, false]);
}

#[tokio::test]
async fn canaries_classes_and_secrets_in_a_prompt_are_noted_and_what_it_said_is_kept() {
    let line = Line::new(None).await;
    for said in ["nothing", "the key is SK-DESK 51f0c7e2b9", "card 4929 1180 4417 2035", "it is\nenv-s3cret"] {
        let asked = json!({"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": said}]}]});
        line.ask("/v1/chat/completions", &asked).await;
    }
    let calls = line.closed();
    let told: Vec<_> = calls.iter().map(|call| (call.canaries.join(","), call.classes.join(","))).collect();
    let texts = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(told, [texts("", ""), texts("desk-key", ""), texts("", "cardholder"), texts("", "")]);
    assert_eq!(calls.iter().map(|call| call.secret).collect::<Vec<_>>(), [false, false, false, true]);
    let said: Vec<Vec<&str>> = calls
        .iter()
        .map(|call| call.said.as_ref().expect("an object").told().map(|(field, _)| field).collect())
        .collect();
    assert_eq!(said, [vec!["messages", "model"], vec!["messages"], vec!["messages"], vec!["messages"]]);
}

#[tokio::test]
async fn a_provider_that_fails_is_told_to_the_agent_and_leaves_the_question_open() {
    let line = Line::new(None).await;
    let asking = |model: &str| json!({"model": model, "messages": [], "stream": true});
    assert_eq!(line.ask("/v1/chat/completions", &asking("wrong")).await.0, 400);
    assert_eq!(unanswered(&line.gateway.close(&line.token).model_calls), None, "the agent's own mistake");
    for (model, status, why) in [("busy", 429, "answered 429"), ("breaks", 200, "broke off")] {
        let line = Line::new(None).await;
        assert_eq!(line.ask("/v1/chat/completions", &asking(model)).await.0, status);
        let calls = line.closed();
        assert!(unanswered(&calls).is_some_and(|told| told.contains(why)), "{calls:?}");
    }
    let dead = Line::before("http://127.0.0.1:9", None, Seen::default()).await;
    let (status, text) = dead.ask("/v1/messages", &json!({"model": "m", "messages": []})).await;
    assert!(status == 502 && text.contains("\"type\":\"error\""), "{status} {text}");
    assert!(unanswered(&dead.closed()).is_some_and(|why| why.contains("can't be asked")));
}

#[test]
fn a_question_that_was_asked_again_with_success_is_answered() {
    let call = |prompt: &str, failed: Option<&str>| ModelCall {
        prompt: prompt.to_owned(),
        failed: failed.map(str::to_owned),
        ..ModelCall::default()
    };
    let cases = [
        (vec![call("a", Some("429")), call("a", None)], None),
        (vec![call("a", Some("429")), call("b", None)], Some("429")),
        (vec![call("a", None), call("a", Some("429"))], Some("429")),
        (vec![], None),
    ];
    for (calls, why) in cases {
        assert_eq!(unanswered(&calls), why, "{calls:?}");
    }
}

#[tokio::test]
async fn questions_of_trials_that_are_over_go_nowhere() {
    let line = Line::new(None).await;
    let url = line.url("/v1/chat/completions");
    line.gateway.close(&line.token);
    assert_eq!(post(&url, "{\"messages\": []}", &[]).await.0, 410);
    assert_eq!(post(&line.url("/v1/embeddings"), "{}", &[]).await.0, 410);
    assert!(line.seen.lock().expect("no panic").is_empty());
}

#[tokio::test]
async fn a_stream_comes_through_piece_by_piece() {
    let (send, receive) = tokio::sync::mpsc::unbounded_channel::<&'static str>();
    let pieces = std::sync::Arc::new(tokio::sync::Mutex::new(receive));
    let app = Router::new().fallback(move || {
        let pieces = std::sync::Arc::clone(&pieces);
        let stream = futures_util::stream::unfold(pieces, |pieces| async move {
            let next = pieces.lock().await.recv().await?;
            Some((Ok::<_, std::io::Error>(next), pieces))
        });
        async move { ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(stream)) }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    tokio::spawn(async move { axum::serve(listener, app).await });
    let line = Line::before(&url, None, Seen::default()).await;
    let url = line.url("/v1/chat/completions");
    send.send("data: {\"n\":1}\n\n").expect("open");
    let client = crate::agent::plain_client(&url).expect("a client");
    let response = client.post(&url).body("{\"messages\": []}").send().await.expect("an answer");
    let mut stream = response.bytes_stream();
    assert_eq!(stream.next().await.expect("a piece").expect("whole"), "data: {\"n\":1}\n\n");
    send.send("data: {\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\n").expect("open");
    assert!(stream.next().await.expect("a piece").expect("whole").starts_with(b"data: {\"usage\""));
    drop(send);
    assert!(stream.next().await.is_none());
    let calls = line.closed();
    assert_eq!((calls[0].tokens_in, calls[0].tokens_out), (3, 2));
}
