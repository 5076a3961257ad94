use std::sync::{Arc, Mutex};

use axum::{Json, Router, routing::post};
use futures_util::FutureExt as _;
use serde_json::{Value, json};

use super::stub::{built, context, reply, response, serve, talk, text};
use crate::{
    agent::{Tools, TurnError},
    world::Offer,
};

type Log = Arc<Mutex<Vec<Value>>>;

/// A model that answers with the given completions in turn, the last one for ever.
async fn model(script: Vec<Value>) -> (String, Log) {
    let log: Log = Arc::default();
    let seen = Arc::clone(&log);
    let url = serve(Router::new().route(
        "/v1/chat/completions",
        post(move |Json(body): Json<Value>| async move {
            let mut seen = seen.lock().expect("unpoisoned");
            let next = script.get(seen.len()).or(script.last()).cloned().expect("a script");
            seen.push(body);
            Json(next)
        }),
    ))
    .await;
    (format!("{url}/v1"), log)
}

fn says(text: &str) -> Value {
    json!({"choices": [{"message": {"role": "assistant", "content": text}}], "usage": {"prompt_tokens": 3, "completion_tokens": 4}})
}

fn wants(name: &str, arguments: &str) -> Value {
    let call = json!({"id": "c1", "type": "function", "function": {"name": name, "arguments": arguments}});
    json!({"choices": [{"message": {"role": "assistant", "content": null, "tool_calls": [call]}}], "usage": {"total_tokens": 10}})
}

fn tools(log: &Log) -> Tools {
    let log = Arc::clone(log);
    let offer = Offer {
        name: "get_order".to_owned(),
        about: "Looks up an order.".to_owned(),
        input: json!({"type": "object", "properties": {"id": {"type": "string"}}}),
    };
    let run = move |name: String, args: Value| {
        log.lock().expect("unpoisoned").push(json!([name, args]));
        async { json!({"result": {"paid_usd": 80}}) }.boxed()
    };
    Tools { offers: vec![offer], run: Arc::new(run) }
}

#[tokio::test]
async fn an_agent_behind_chat_completions_keeps_its_history() {
    let (url, log) = model(vec![says("first"), says("second")]).await;
    let endpoint = json!({"protocol": "openai", "url": url, "model": "m", "system": "be kind"});
    let answers = talk(endpoint, &["a", "b"]).await.expect("answers");
    assert_eq!((answers[1].text.as_str(), answers[1].usage.tokens), ("second", 7));
    let log = log.lock().expect("unpoisoned");
    assert_eq!(
        log[1],
        json!({"model": "m", "messages": [
            {"role": "system", "content": "be kind"}, {"role": "user", "content": "a"},
            {"role": "assistant", "content": "first"}, {"role": "user", "content": "b"}
        ]})
    );
}

#[tokio::test]
async fn a_stream_is_put_together() {
    let body = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n\
        data: {\"choices\":[{\"delta\":{\"content\":\"Hel\"}}]}\n\n\
        data: {\"choices\":[{\"delta\":{\"content\":\"lo\",\"tool_calls\":[{\"index\":0,\"id\":\"c\",\"function\":{\"name\":\"look\",\"arguments\":\"{\\\"a\\\"\"}}]}}]}\n\n\
        data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\":1}\"}}]}}]}\n\n\
        data: {\"choices\":[],\"usage\":{\"total_tokens\":9}}\n\ndata: [DONE]\n\n";
    let url = reply(200, &[("content-type", "text/event-stream")], body).await;
    let answers = talk(json!({"protocol": "openai", "url": url, "stream": true}), &["x"]).await.expect("answers");
    assert_eq!((answers[0].text.as_str(), answers[0].usage.tokens), ("Hello", 9));
    assert_eq!((answers[0].claimed[0].tool.as_str(), &answers[0].claimed[0].args), ("look", &json!({"a": 1})));
}

#[tokio::test]
async fn the_gate_runs_the_tools_of_a_bare_model() {
    let (url, log) =
        model(vec![wants("get_order", "{\"id\": \"1042\"}"), wants("get_order", "oops"), says("done")]).await;
    let endpoint = json!({"protocol": "openai", "url": url, "model": "m", "bare_model": true, "system": "You refund."});
    let adapter = built(endpoint, &[]).expect("usable");
    assert!(adapter.runs_tools() && adapter.uses_tools_url());
    let calls: Log = Arc::default();
    let mut session = adapter.open(&context(), Some(tools(&calls))).await.expect("opens");
    let answer = session.turn("refund me").await.expect("answers");
    assert_eq!((answer.text.as_str(), answer.usage.tokens, answer.usage.steps), ("done", 27, 3));
    assert_eq!(
        *calls.lock().expect("unpoisoned"),
        [json!(["get_order", {"id": "1042"}]), json!(["get_order", "oops"])]
    );
    let log = log.lock().expect("unpoisoned");
    assert_eq!(log[0]["tools"][0]["function"]["name"], "get_order");
    assert_eq!(
        log[1]["messages"][3],
        json!({"role": "tool", "tool_call_id": "c1", "content": "{\"result\":{\"paid_usd\":80}}"})
    );
}

#[tokio::test]
async fn a_model_that_goes_round_in_circles_is_stopped() {
    let (url, log) = model(vec![wants("get_order", "{}")]).await;
    let adapter =
        built(json!({"protocol": "openai", "url": url, "model": "m", "bare_model": true}), &[]).expect("usable");
    let mut session = adapter.open(&context(), Some(tools(&Log::default()))).await.expect("opens");
    assert!(matches!(session.turn("x").await, Err(TurnError::Agent(_))));
    assert_eq!(log.lock().expect("unpoisoned").len(), 25);
}

#[tokio::test]
async fn what_is_no_completion_is_no_answer() {
    let (url, _) = model(vec![wants("get_order", "{}")]).await;
    let Err(TurnError::Agent(message)) = text(json!({"protocol": "openai", "url": url})).await else {
        panic!("no text")
    };
    assert!(message.contains("`endpoint.bare_model: true`"), "{message}");
    for (body, said) in [
        ("", "empty body"),
        ("{}", "no chat completion: {}"),
        (r#"{"error": {"message": "no quota"}}"#, "the agent says: no quota"),
        (r#"{"choices": [{"message": {"content": ""}}]}"#, "empty answer"),
    ] {
        let url = serve(Router::new().route("/x", post(move || async move { response(200, &[], body) }))).await;
        let outcome = text(json!({"protocol": "openai", "url": format!("{url}/x")})).await;
        let Err(TurnError::Agent(message)) = outcome else { panic!("{outcome:?}") };
        assert!(message.contains(said), "{message}");
    }
}
