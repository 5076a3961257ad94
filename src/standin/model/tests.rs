//! The wire of the model stand-in.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{Gateway, Inventory, Token};
use crate::{
    record::ModelCall,
    scenario::Move,
    world::{Play, World},
};

struct Line {
    gateway: Gateway,
    token: Token,
    url: String,
    http: reqwest::Client,
}

impl Line {
    async fn new(provider: &str, moves: Value) -> Self {
        let gateway = Gateway::start(Inventory::default()).await.expect("listens");
        let (token, lane) = (Token::random(), gateway.lane());
        let play = Play::new(World::empty(), &std::collections::BTreeMap::new()).expect("begins");
        gateway.open(&token, Some(&lane), play);
        let moves: Vec<Move> = serde_json::from_value(moves).expect("moves");
        if !moves.is_empty() {
            gateway.follow(&token, moves);
        }
        let url = gateway.model_url(&lane, provider).expect("spoken");
        let http = crate::agent::plain_client(&url).expect("a client");
        Self { gateway, token, url, http }
    }

    async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> (u16, String) {
        let response = self.http.post(format!("{}{path}", self.url)).body(body).send().await.expect("answered");
        (response.status().as_u16(), response.text().await.expect("a body"))
    }

    async fn ask(&self, path: &str, body: &Value) -> Value {
        let (status, text) = self.post(path, body.to_string()).await;
        assert_eq!(status, 200, "{text}");
        serde_json::from_str(&text).expect("JSON")
    }

    fn closed(&self) -> Vec<ModelCall> {
        self.gateway.close(&self.token).model_calls
    }
}

fn look() -> Value {
    json!([{"call": "look", "with": {"id": 7}, "say": "I look."}, {"say": "Done."}])
}

/// The data of a stream's events.
fn data(stream: &str) -> Vec<String> {
    stream.lines().filter_map(|line| line.strip_prefix("data: ")).map(str::to_owned).collect()
}

#[tokio::test]
async fn chat_completions_are_answered_by_the_script_and_go_on_record() {
    let line = Line::new("openai", look()).await;
    let tools = json!([{"type": "function", "function": {"name": "look", "parameters": {}}}]);
    let asked = json!({"model": "gpt", "tools": tools, "messages": [{"role": "user", "content": "help"}]});
    let first = line.ask("/chat/completions", &asked).await;
    let message = &first["choices"][0]["message"];
    assert_eq!(message["content"], "I look.");
    assert_eq!(message["tool_calls"][0]["function"], json!({"name": "look", "arguments": "{\"id\":7}"}));
    assert_eq!(first["choices"][0]["finish_reason"], "tool_calls");
    assert!(first["usage"]["total_tokens"].as_u64() > Some(10));
    let last = line.ask("/chat/completions", &asked).await;
    assert_eq!(
        (&last["choices"][0]["message"]["content"], &last["choices"][0]["finish_reason"]),
        (&json!("Done."), &json!("stop"))
    );
    let calls = line.closed();
    let told: Vec<_> =
        calls.iter().map(|call| (call.model.as_str(), call.tools, call.calls, call.finish.as_str())).collect();
    assert_eq!(told, [("gpt", 1, 1, "tool_calls"), ("gpt", 1, 0, "stop")]);
    assert_eq!(calls[0].prompt, calls[1].prompt);
}

#[tokio::test]
async fn a_stream_of_chat_completions_adds_up_to_the_same() {
    let line = Line::new("openai", look()).await;
    let tools = json!([{"type": "function", "function": {"name": "look"}}]);
    let options = json!({"include_usage": true});
    let asked = json!({"model": "m", "stream": true, "stream_options": options, "tools": tools, "messages": []});
    let (_, text) = line.post("/chat/completions", asked.to_string()).await;
    let mut chunks = data(&text);
    assert_eq!(chunks.pop().as_deref(), Some("[DONE]"));
    let chunks: Vec<Value> = chunks.iter().map(|chunk| serde_json::from_str(chunk).expect("JSON")).collect();
    let parts = |place: &str| -> String { chunks.iter().filter_map(|chunk| chunk.pointer(place)?.as_str()).collect() };
    assert_eq!(parts("/choices/0/delta/content"), "I look.");
    assert_eq!(parts("/choices/0/delta/tool_calls/0/function/name"), "look");
    assert_eq!(parts("/choices/0/delta/tool_calls/0/function/arguments"), "{\"id\":7}");
    assert_eq!(parts("/choices/0/finish_reason"), "tool_calls");
    assert!(chunks.last().expect("chunks")["usage"]["prompt_tokens"].is_u64());
}

#[tokio::test]
async fn what_belongs_to_no_script_or_no_trial_is_refused_in_the_providers_own_form() {
    let line = Line::new("openai", json!([])).await;
    for (body, status) in [("{\"messages\":[]}", 404), ("{\"messages\":1}", 400), ("{", 400), ("", 400)] {
        let (seen, text) = line.post("/chat/completions", body).await;
        assert_eq!(seen, status, "{body}");
        assert!(text.contains("\"error\":{"), "{text}");
    }
    assert_eq!(line.closed(), Vec::new());
    assert_eq!(line.post("/chat/completions", "{\"messages\":[]}").await.0, 410);
}

#[tokio::test]
async fn a_trial_has_a_most_of_questions() {
    let line = Line::new("openai", json!([{"say": "Again.", "times": 0}])).await;
    for _ in 0..super::MAX_ASKED {
        assert_eq!(line.post("/chat/completions", "{\"messages\":[]}").await.0, 200);
    }
    assert_eq!(line.post("/chat/completions", "{\"messages\":[]}").await.0, 429);
    assert_eq!(line.closed().len(), super::MAX_ASKED);
}

#[tokio::test]
async fn responses_are_answered_whole_and_as_a_stream_that_adds_up() {
    let line = Line::new("openai", look()).await;
    let tools = json!([{"type": "function", "name": "look"}]);
    let asked = json!({"model": "m", "tools": tools, "input": [{"role": "user", "content": "help"}], "stream": true});
    let (_, text) = line.post("/responses", asked.to_string()).await;
    let events: Vec<Value> = data(&text).iter().map(|event| serde_json::from_str(event).expect("JSON")).collect();
    let numbers: Vec<u64> = events.iter().filter_map(|event| event["sequence_number"].as_u64()).collect();
    assert_eq!(numbers, (0..events.len() as u64).collect::<Vec<_>>());
    let last = events.last().expect("events");
    assert_eq!(last["type"], "response.completed");
    let items = last["response"]["output"].as_array().expect("items");
    assert_eq!(items[0]["content"][0]["text"], "I look.");
    assert_eq!((&items[1]["name"], &items[1]["arguments"]), (&json!("look"), &json!("{\"id\":7}")));
    let done: Vec<&Value> = events
        .iter()
        .filter(|event| event["type"] == "response.output_item.done")
        .map(|event| &event["item"])
        .collect();
    assert_eq!(done, items.iter().collect::<Vec<_>>());
    let output = json!({"type": "function_call_output", "call_id": items[1]["call_id"], "output": "{}"});
    let rest = line.ask("/responses", &json!({"model": "m", "tools": tools, "input": [output]})).await;
    assert_eq!((&rest["status"], &rest["output"][0]["content"][0]["text"]), (&json!("completed"), &json!("Done.")));
    assert!(rest["usage"]["total_tokens"].is_u64());
}

#[tokio::test]
async fn messages_are_answered_whole_and_as_a_stream_that_adds_up() {
    let line = Line::new(
        "anthropic",
        json!([{"call": "look", "from": {"id": "size(said)"}, "say": "I look.", "times": 2},
        {"say": "Done.", "call": "look", "from": {"id": "last.id"}}]),
    )
    .await;
    let user = json!({"role": "user", "content": [{"type": "text", "text": "help"}]});
    let asked =
        json!({"model": "m", "max_tokens": 100, "tools": [{"name": "look", "input_schema": {}}], "messages": [user]});
    let first = line.ask("/v1/messages", &asked).await;
    let calling = json!({"type": "tool_use", "id": "call_1", "name": "look", "input": {"id": 1}});
    assert_eq!(first["content"], json!([{"type": "text", "text": "I look."}, calling]));
    assert_eq!(first["stop_reason"], "tool_use");
    let mut streamed = asked.clone();
    streamed["stream"] = json!(true);
    let (_, text) = line.post("/v1/messages", streamed.to_string()).await;
    let events: Vec<Value> = data(&text).iter().map(|event| serde_json::from_str(event).expect("JSON")).collect();
    let parts = |place: &str| -> String { events.iter().filter_map(|event| event.pointer(place)?.as_str()).collect() };
    assert_eq!((parts("/delta/text"), parts("/delta/partial_json")), ("I look.".to_owned(), "{\"id\":1}".to_owned()));
    assert_eq!(
        (parts("/delta/stop_reason").as_str(), &events.last().expect("events")["type"]),
        ("tool_use", &json!("message_stop"))
    );
    let result =
        json!({"type": "tool_result", "tool_use_id": "call_1", "content": [{"type": "text", "text": "{\"id\":9}"}]});
    let mut next = asked.clone();
    next["messages"] = json!([user, {"role": "user", "content": [result]}]);
    assert_eq!(line.ask("/v1/messages", &next).await["content"][1]["input"], json!({"id": 9}));
    assert!(line.ask("/v1/messages/count_tokens", &asked).await["input_tokens"].as_u64() > Some(10));
    let (status, text) = line.post("/v1/messages", "{}").await;
    assert_eq!(
        (status, text.starts_with("{\"type\":\"error\"") || text.contains("\"type\":\"error\"")),
        (400, true),
        "{text}"
    );
}

/// What agents could send: JSON in the shape of a request with anything in its places, and bytes that are no JSON.
fn requests() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z\\PC]{0,12}".prop_map(Value::from),
        prop_oneof![Just("user"), Just("tool"), Just("tool_result"), Just("function_call_output")]
            .prop_map(Value::from),
    ];
    let key = prop_oneof![
        Just("role".to_owned()),
        Just("content".to_owned()),
        Just("type".to_owned()),
        Just("name".to_owned()),
        Just("function".to_owned()),
        Just("text".to_owned()),
        Just("output".to_owned()),
        "[a-z]{1,4}",
    ];
    let value = leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(key.clone(), inner, 0..5).prop_map(|map| map.into_iter().collect()),
        ]
    });
    let top = prop_oneof![
        Just("messages".to_owned()),
        Just("input".to_owned()),
        Just("tools".to_owned()),
        Just("stream".to_owned()),
        Just("model".to_owned()),
        Just("stream_options".to_owned()),
    ];
    let shaped = prop::collection::btree_map(top, value, 0..6);
    prop_oneof![
        4 => shaped.prop_map(|map| map.into_iter().collect::<Value>().to_string().into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..200),
    ]
}

#[test]
fn whatever_is_sent_is_answered() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let moves = json!([{"call": "look", "from": {"id": "results"}, "times": 0}]);
    let (openai, anthropic) =
        runtime.block_on(async { (Line::new("openai", moves.clone()).await, Line::new("anthropic", moves).await) });
    let config = ProptestConfig { cases: 150, ..ProptestConfig::default() };
    proptest!(config, |(body in requests())| {
        for (line, path) in [(&openai, "/chat/completions"), (&openai, "/responses"), (&anthropic, "/v1/messages")] {
            let asked = runtime.block_on(async {
                tokio::time::timeout(std::time::Duration::from_secs(10), line.post(path, body.clone())).await
            });
            let (status, text) = asked.expect("answered in time");
            prop_assert!([200, 400].contains(&status), "{path}: {status} {text}");
        }
    });
}
