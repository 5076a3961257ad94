//! Agents and bare models behind the formats of providers, against scripted ones and against the gate's own model stand-in.

use std::sync::{Arc, Mutex};

use axum::{Json, Router, http::StatusCode, response::IntoResponse as _, routing::post};
use futures_util::FutureExt as _;
use serde_json::{Value, json};

use super::stub::{built, context, reply, response, serve, talk, text};
use crate::{
    agent::{Tools, TrialContext, TurnError},
    record::ModelCall,
    scenario::Move,
    standin::{Gateway, Inventory, Token},
    world::{Offer, Play, World},
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

/// A trial at the gate's model stand-in, whose script makes one lawful call, one that fails, and ends.
struct Scripted {
    gateway: Gateway,
    token: Token,
    url: String,
}

impl Scripted {
    async fn new(protocol: &str) -> Self {
        let gateway = Gateway::start(Inventory::default()).await.expect("listens");
        let (token, lane) = (Token::random(), gateway.lane());
        gateway.open(
            &token,
            Some(&lane),
            Play::new(World::empty(), &std::collections::BTreeMap::new()).expect("begins"),
        );
        let moves = json!([
            {"say": "I look.", "call": "get_order", "with": {"id": "1042"}, "tokens": 100},
            {"call": "get_order", "from": {"id": "string(last.result.paid_usd)"}, "at_once": 2, "tokens": 50},
            {"call": "refund", "from": {"why": "last.error"}, "tokens": 20},
            {"say": "Done.", "tokens": 7},
        ]);
        let moves: Vec<Move> = serde_json::from_value(moves).expect("moves");
        gateway.follow(&token, moves);
        let (provider, below) = if protocol == "anthropic" { ("anthropic", "/v1") } else { ("openai", "") };
        let url = format!("{}{below}", gateway.model_url(&lane, provider).expect("spoken"));
        Self { gateway, token, url }
    }

    fn asked(&self) -> Vec<ModelCall> {
        self.gateway.close(&self.token).model_calls
    }
}

/// A tool that knows one order.
fn one_order(log: &Log) -> Tools {
    let log = Arc::clone(log);
    let run = move |name: String, args: Value| {
        let result =
            if args["id"] == "1042" { json!({"result": {"paid_usd": 80}}) } else { json!({"error": "no order"}) };
        log.lock().expect("unpoisoned").push(json!([name, args]));
        async { result }.boxed()
    };
    Tools { run: Arc::new(run), ..tools(&Log::default()) }
}

#[tokio::test]
async fn the_gate_runs_the_tools_of_a_bare_model_in_each_format_whole_and_streamed() {
    for protocol in ["openai", "openai-responses", "anthropic"] {
        for stream in [false, true] {
            let model = Scripted::new(protocol).await;
            let endpoint = json!({"protocol": protocol, "url": model.url, "model": "m", "bare_model": true, "stream": stream,
                "system": "You refund."});
            let adapter = built(endpoint, &[]).expect("usable");
            let calls: Log = Arc::default();
            let baggage = format!("agentready.trial={}", model.token.as_str());
            let trial = TrialContext { baggage, ..context() };
            let mut session = adapter.open(&trial, Some(one_order(&calls))).await.expect("opens");
            let answer = session.turn("refund me").await.expect("answers");
            assert_eq!(
                (answer.text.as_str(), answer.usage.tokens, answer.usage.steps),
                ("Done.", 177, 4),
                "{protocol}"
            );
            let called = calls.lock().expect("unpoisoned").clone();
            let (lawful, other) = (json!(["get_order", {"id": "1042"}]), json!(["get_order", {"id": "80"}]));
            assert_eq!(called, [lawful, other.clone(), other, json!(["refund", {"why": "no order"}])], "{protocol}");
            // The conversation goes on.
            assert_eq!(session.turn("thanks").await.expect("answers").text, "That is all.");
            let asked = model.asked();
            let told: Vec<_> = asked.iter().map(|call| (call.model.as_str(), call.tools, call.calls)).collect();
            assert_eq!(told, [("m", 1, 1), ("m", 1, 2), ("m", 1, 1), ("m", 1, 0), ("m", 1, 0)], "{protocol}");
        }
    }
}

/// A provider that answers with the given statuses and bodies in turn, and what it was asked.
async fn provider(answers: Vec<(u16, Value)>) -> (String, Log) {
    let log: Log = Arc::default();
    let seen = Arc::clone(&log);
    let answer = move |Json(body): Json<Value>| async move {
        let mut seen = seen.lock().expect("unpoisoned");
        let (status, next) = answers.get(seen.len()).or(answers.last()).cloned().expect("a script");
        seen.push(body);
        (StatusCode::from_u16(status).expect("a status"), Json(next)).into_response()
    };
    (serve(Router::new().fallback(post(answer))).await, log)
}

fn message(content: &Value, stop: &str) -> Value {
    json!({"type": "message", "content": content, "stop_reason": stop, "usage": {"input_tokens": 2, "output_tokens": 3,
        "cache_read_input_tokens": 5}})
}

fn used(name: &str, id: &str) -> Value {
    json!([{"type": "tool_use", "id": id, "name": name, "input": {"id": id}}])
}

#[tokio::test]
async fn a_rate_limit_in_the_middle_of_a_turn_has_no_tool_called_twice() {
    let text = json!([{"type": "text", "text": "Done."}]);
    let (url, asked) = provider(vec![
        (200, message(&used("get_order", "1042"), "tool_use")),
        (529, json!({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}})),
        (429, json!({"type": "error", "error": {"type": "rate_limit_error", "message": "slow"}})),
        (200, message(&used("get_order", "7"), "tool_use")),
        (200, message(&text, "end_turn")),
    ])
    .await;
    let endpoint = json!({"protocol": "anthropic", "url": url, "model": "m", "bare_model": true});
    let adapter = built(endpoint, &[]).expect("usable");
    let calls: Log = Arc::default();
    let mut session = adapter.open(&context(), Some(one_order(&calls))).await.expect("opens");
    for _ in 0..2 {
        let limited = session.turn("refund me").await;
        assert!(matches!(limited, Err(TurnError::RateLimited { .. })), "{limited:?}");
    }
    let answer = session.turn("refund me").await.expect("answers");
    assert_eq!((answer.text.as_str(), answer.usage.tokens, answer.usage.steps), ("Done.", 30, 3));
    assert_eq!(
        *calls.lock().expect("unpoisoned"),
        [json!(["get_order", {"id": "1042"}]), json!(["get_order", {"id": "7"}])]
    );
    let asked = asked.lock().expect("unpoisoned");
    let last = &asked.last().expect("asked")["messages"];
    assert_eq!(last.as_array().map(Vec::len), Some(5), "{last}");
    assert_eq!(last[4]["content"][0]["is_error"], true, "a tool's error is told as one");
    assert!(last[2]["content"][0].get("is_error").is_none());
}

#[tokio::test]
async fn an_answer_that_was_cut_off_counts_for_nothing_and_a_refusal_is_an_answer() {
    let chat =
        |content: Value, finish: &str| json!({"choices": [{"message": {"content": content}, "finish_reason": finish}]});
    let response = |output: Value, status: &str| json!({"output": output, "status": status, "error": null});
    let said = json!([{"type": "message", "content": [{"type": "refusal", "refusal": "I can't."}]}]);
    for (protocol, body, expected) in [
        ("openai", chat(json!("half an ans"), "length"), Err("cut off")),
        ("openai-responses", response(json!([]), "incomplete"), Err("cut off")),
        ("anthropic", message(&used("get_order", "1"), "max_tokens"), Err("cut off")),
        ("openai", chat(json!(null), "content_filter"), Ok("The model refused.")),
        ("openai-responses", response(said, "completed"), Ok("I can't.")),
        ("anthropic", message(&json!([]), "refusal"), Ok("The model refused.")),
        ("anthropic", message(&used("get_order", "1"), "refusal"), Ok("The model refused.")),
        ("anthropic", message(&json!([]), "end_turn"), Err("empty answer")),
        ("openai-responses", json!({"status": "failed", "error": {"message": "no quota"}}), Err("no quota")),
        ("anthropic", json!({"type": "error", "error": {"message": "no quota"}}), Err("no quota")),
        ("anthropic", json!({"choices": []}), Err("what is no message")),
        ("openai-responses", json!({"choices": []}), Err("what is no response")),
    ] {
        let (url, _) = provider(vec![(200, body.clone())]).await;
        let adapter = built(json!({"protocol": protocol, "url": url, "model": "m", "bare_model": true}), &[]);
        let calls: Log = Arc::default();
        let mut session = adapter.expect("usable").open(&context(), Some(one_order(&calls))).await.expect("opens");
        match (session.turn("x").await, expected) {
            (Ok(answer), Ok(text)) => assert_eq!(answer.text, text, "{body}"),
            (Err(TurnError::Agent(message)), Err(part)) => assert!(message.contains(part), "{message}"),
            (outcome, _) => panic!("{body}: {outcome:?}"),
        }
        assert_eq!(calls.lock().expect("unpoisoned").len(), 0, "{body}");
    }
}

#[tokio::test]
async fn what_an_agent_behind_responses_did_itself_is_told_and_requests_take_fields_of_their_own() {
    let says = |text: &str| json!({"type": "message", "content": [{"type": "output_text", "text": text}]});
    let output = json!([
        {"type": "reasoning"},
        {"type": "mcp_call", "id": "mcp_1", "name": "refund", "arguments": "{\"id\":\"9\"}", "output": "ok"},
        {"type": "custom_tool_call", "call_id": "c", "name": "note", "input": "free text"},
        {"type": "web_search_call", "id": "ws_1", "status": "completed"},
        says("Done."), says("Bye."),
    ]);
    for (body, expected) in [
        (json!({"status": "completed", "output": output}), Ok("Done.\nBye.")),
        (json!({"status": "cancelled", "output": [says("half")]}), Err("what is no response")),
    ] {
        let (url, asked) = provider(vec![(200, body)]).await;
        let fields = json!({"store": false, "metadata": {"entity_id": "refunds"}});
        let adapter = built(json!({"protocol": "openai-responses", "url": url, "fields": fields}), &[]);
        let mut session = adapter.expect("usable").open(&context(), None).await.expect("opens");
        match (session.turn("x").await, expected) {
            (Ok(answer), Ok(text)) => {
                assert_eq!(answer.text, text);
                let told: Vec<_> =
                    answer.claimed.iter().map(|claim| format!("{} {}", claim.tool, claim.args)).collect();
                assert_eq!(told, ["refund {\"id\":\"9\"}", "note \"free text\""]);
            }
            (Err(TurnError::Agent(message)), Err(part)) => assert!(message.contains(part), "{message}"),
            (outcome, _) => panic!("{outcome:?}"),
        }
        let asked = asked.lock().expect("unpoisoned");
        assert_eq!((&asked[0]["store"], &asked[0]["metadata"]["entity_id"]), (&json!(false), &json!("refunds")));
    }
}

#[tokio::test]
async fn a_stream_that_breaks_off_or_tells_of_an_error_is_no_answer() {
    let start = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"content\":[]}}\n\n\
        data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n\
        data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hi\"}}\n\n";
    let error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"message\":\"overloaded\"}}\n\n";
    let end = "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\n";
    for (body, expected) in [
        (start.to_owned(), Err("no whole message")),
        (format!("{start}{error}"), Err("overloaded")),
        (format!("{start}{end}"), Ok("Hi")),
    ] {
        let form = [("content-type", "text/event-stream")];
        let answer = move || async move { response(200, &form, body) };
        let url = serve(Router::new().fallback(post(answer))).await;
        match (text(json!({"protocol": "anthropic", "url": url, "model": "m", "stream": true})).await, expected) {
            (Ok(text), Ok(expected)) => assert_eq!(text, expected),
            (Err(TurnError::Agent(message)), Err(part)) => assert!(message.contains(part), "{message}"),
            (outcome, _) => panic!("{outcome:?}"),
        }
    }
}
