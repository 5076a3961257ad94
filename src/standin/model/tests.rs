//! The wire of the model stand-in.

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
