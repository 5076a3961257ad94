use std::sync::{Arc, Mutex};

use axum::{Json, Router, body::Body, extract::Request, response::IntoResponse as _, routing::any};
use serde_json::{Value, json};

use super::stub::{built, response, serve, soon, talk};
use crate::agent::{Answer, PRESETS, TurnError};

/// Requests as `METHOD path?query` and body.
type Asked = Vec<(String, Value)>;

/// Says two things to a server that gives these replies in turn: JSON, or text as a stream of events.
async fn spoken(preset: &str, values: Value, replies: Vec<Value>) -> (Result<Vec<Answer>, TurnError>, Asked) {
    let asked = Arc::new(Mutex::new(Asked::new()));
    let log = Arc::clone(&asked);
    let replies = Arc::new(Mutex::new(replies.into_iter()));
    let handle = move |request: Request| {
        let (log, replies) = (Arc::clone(&log), Arc::clone(&replies));
        async move {
            let named = format!("{} {}", request.method(), request.uri());
            let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.expect("a body");
            log.lock().expect("unpoisoned").push((named, serde_json::from_slice(&body).unwrap_or_default()));
            match replies.lock().expect("unpoisoned").next().unwrap_or_default() {
                Value::String(events) => response(200, &[("content-type", "text/event-stream")], Body::from(events)),
                body => Json(body).into_response(),
            }
        }
    };
    let url = serve(Router::new().fallback(any(handle))).await;
    let endpoint = json!({"preset": preset, "values": values, "url": format!("{url}/")});
    let answers = soon(talk(endpoint, &["refund 9", "thanks"])).await;
    let asked = asked.lock().expect("unpoisoned").clone();
    (answers, asked)
}

fn sse(events: &[Value]) -> Value {
    let frames: Vec<String> = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    frames.concat().into()
}

/// What each server answers to two messages, the first of which makes it call `refund` with `{"id": "9"}`.
fn replies(preset: &str) -> Vec<Value> {
    let refund = json!({"id": "9"});
    match preset {
        "adk" => {
            let says = |text: &str, partial: bool| json!({"author": "bot", "partial": partial, "content": {"role": "model", "parts": [{"text": text}]}});
            let call = json!({"content": {"parts": [{"functionCall": {"id": "c", "name": "refund", "args": refund}}]}, "usageMetadata": {"totalTokenCount": 30}});
            let result = json!({"content": {"parts": [{"functionResponse": {"name": "refund", "response": {}}}]}});
            vec![
                json!({"id": "tok"}),
                json!([call, result, says("Do", true), says("Done.", false)]),
                json!([says("Bye.", false)]),
            ]
        }
        "ag-ui" => {
            let text = |text: &str| json!({"type": "TEXT_MESSAGE_CONTENT", "messageId": "m", "delta": text});
            let args = |piece: &str| json!({"type": "TOOL_CALL_ARGS", "toolCallId": "c", "delta": piece});
            let call = json!({"type": "TOOL_CALL_START", "toolCallId": "c", "toolCallName": "refund"});
            let (begun, ended) = (json!({"type": "RUN_STARTED"}), json!({"type": "RUN_FINISHED"}));
            vec![
                sse(&[begun.clone(), call, args("{\"id\":"), args("\"9\"}"), text("Do"), text("ne."), ended.clone()]),
                sse(&[begun, text("Bye."), ended]),
            ]
        }
        "agentcore" => {
            let message = json!({"result": {"role": "assistant", "content": [{"text": "Done."}]}});
            vec![message, json!({"response": "Bye."})]
        }
        "foundry" => vec![json!({"response": "Done."}), json!({"message": "Bye."})],
        "langgraph" => {
            let human = |text: &str| json!({"type": "human", "content": text});
            let first = vec![
                human("refund 9"),
                json!({"type": "ai", "content": "", "tool_calls": [{"name": "refund", "args": refund, "id": "c"}]}),
                json!({"type": "tool", "content": "ok"}),
                json!({"type": "ai", "content": [{"type": "text", "text": "Done."}], "tool_calls": []}),
            ];
            let mut both = first.clone();
            both.extend([human("thanks"), json!({"type": "ai", "content": "Bye."})]);
            vec![json!({"thread_id": "th"}), json!({"messages": first}), json!({"messages": both}), json!({})]
        }
        "vercel-ui" => {
            let text = |text: &str| json!({"type": "text-delta", "id": "t", "delta": text});
            let call =
                json!({"type": "tool-input-available", "toolCallId": "c", "toolName": "refund", "input": refund});
            vec![
                sse(&[json!({"type": "start"}), call, text("Do"), text("ne."), json!({"type": "finish"})]),
                sse(&[text("Bye."), json!({"type": "finish"}), "[DONE]".into()]),
            ]
        }
        other => panic!("no replies of {other}"),
    }
}

fn values(preset: &str) -> Value {
    match preset {
        "adk" => json!({"app": "support"}),
        "langgraph" => json!({"assistant": "support"}),
        _ => json!({}),
    }
}

#[tokio::test]
async fn each_preset_speaks_with_its_server() {
    for preset in PRESETS.iter() {
        let name = preset.name.as_str();
        let (answers, asked) = spoken(name, values(name), replies(name)).await;
        let answers = answers.unwrap_or_else(|error| panic!("{name}: {error}"));
        let texts: Vec<&str> = answers.iter().map(|answer| answer.text.as_str()).collect();
        assert_eq!(texts, ["Done.", "Bye."], "{name}");
        let claims = |at: usize| {
            let claimed = answers[at].claimed.iter();
            claimed.map(|claim| format!("{} {}", claim.tool, claim.args)).collect::<Vec<_>>()
        };
        let tells = !matches!(name, "agentcore" | "foundry");
        assert_eq!(claims(0), if tells { vec!["refund {\"id\":\"9\"}"] } else { vec![] }, "{name}");
        assert_eq!(claims(1), Vec::<String>::new(), "{name}");
        assert_eq!(answers[0].usage.tokens, if name == "adk" { 30 } else { 0 }, "{name}");
        insta::assert_json_snapshot!(format!("preset_{name}"), asked);
    }
}

#[tokio::test]
async fn what_went_wrong_on_the_server_is_no_answer() {
    let run_error = sse(&[json!({"type": "RUN_ERROR", "message": "boom"})]);
    for (preset, reply, said) in [
        ("adk", json!([{"errorCode": "X", "errorMessage": "boom"}]), "boom"),
        ("ag-ui", run_error, "boom"),
        (
            "ag-ui",
            sse(&[json!({"type": "TEXT_MESSAGE_CONTENT", "delta": "half"})]),
            "the stream ended before RUN_FINISHED",
        ),
        ("agentcore", json!({"error": "boom"}), "boom"),
        ("foundry", json!({"error": {"message": "boom"}}), "boom"),
        ("langgraph", json!({"__error__": {"error": "E", "message": "boom"}}), "boom"),
        ("vercel-ui", sse(&[json!({"type": "error", "errorText": "boom"})]), "boom"),
        ("vercel-ui", sse(&[json!({"type": "text-delta", "delta": "half"})]), "the stream ended before `finish`"),
    ] {
        let opened = if matches!(preset, "adk" | "langgraph") { vec![json!({"thread_id": "th"})] } else { vec![] };
        let replies = opened.into_iter().chain([reply]).collect();
        let (answers, _) = spoken(preset, values(preset), replies).await;
        let Err(TurnError::Agent(message)) = answers else { panic!("{preset}: {answers:?}") };
        assert!(message.ends_with(&format!("the agent says: {said}")), "{preset}: {message}");
    }
}

#[tokio::test]
async fn the_manifest_outweighs_a_preset() {
    let endpoint = json!({
        "url": "http://127.0.0.1:9/", "preset": "adk", "values": {"app": "support"},
        "request": {"headers": {"x-a": "1"}, "body": {"userId": "u", "metadata": {"entity_id": "e"}}}
    });
    let endpoint =
        crate::agent::preset::applied(&serde_json::from_value(endpoint).expect("an endpoint")).expect("applies");
    let body = &endpoint.request.body;
    assert_eq!(
        (&body["userId"], &body["appName"], &body["metadata"]["entity_id"]),
        (&json!("u"), &json!("{{ values.app }}"), &json!("e"))
    );
    assert!(endpoint.response.answer.is_some() && endpoint.request.headers.contains_key("x-a"));
}

#[test]
fn a_preset_that_is_used_wrongly_says_so_at_its_place() {
    for (endpoint, place, message) in [
        (json!({"preset": "langraph"}), "/endpoint/preset", "there is no preset `langraph`; did you mean `langgraph`?"),
        (
            json!({"preset": "adk"}),
            "/endpoint/preset",
            "preset `adk` needs `endpoint.values.app`: the app's folder name",
        ),
        (
            json!({"preset": "ag-ui", "values": {"app": "x"}}),
            "/endpoint/values/app",
            "preset `ag-ui` has no value `app`; it has none",
        ),
        (json!({"preset": "adk", "protocol": "openai"}), "/endpoint/preset", "a preset goes with protocol `http`"),
    ] {
        let mut endpoint = endpoint;
        endpoint["url"] = json!("http://127.0.0.1:9/");
        let error = built(endpoint, &[]).expect_err("wrong");
        assert_eq!((error.route(), error.to_string().as_str()), (&crate::source::Route::pointer(place), message));
    }
}
