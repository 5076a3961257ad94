use std::sync::{Arc, Mutex};

use axum::{
    Json, Router,
    extract::Request,
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::any,
};
use serde_json::{Value, json};

use super::stub::{serve, soon, talk, text};
use crate::agent::TurnError;

/// What the stub was asked: method and path, version header, body.
type Asked = Arc<Mutex<Vec<(String, Option<String>, Value)>>>;

/// An agent with this card that answers its messages and looks in turn.
async fn agent(card: Value, answers: Vec<Value>) -> (String, Asked) {
    let asked = Asked::default();
    let log = Arc::clone(&asked);
    let answers = Arc::new(Mutex::new(answers.into_iter()));
    let handle = move |request: Request| {
        let (log, answers, card) = (Arc::clone(&log), Arc::clone(&answers), card.clone());
        async move { answer(request, card, &log, &answers).await }
    };
    (serve(Router::new().fallback(any(handle))).await, asked)
}

async fn answer(request: Request, card: Value, log: &Asked, answers: &Mutex<std::vec::IntoIter<Value>>) -> Response {
    let path = request.uri().path().to_owned();
    if path == "/.well-known/agent-card.json" {
        return Json(card).into_response();
    }
    let named = format!("{} {path}", request.method());
    let version = request.headers().get("a2a-version").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.expect("a body");
    log.lock().expect("unpoisoned").push((named, version, serde_json::from_slice(&body).unwrap_or_default()));
    match answers.lock().expect("unpoisoned").next() {
        Some(answer) => Json(answer).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn card(binding: &str, version: &str) -> Value {
    json!({"supportedInterfaces": [{"url": "/a2a", "protocolBinding": binding, "protocolVersion": version}]})
}

fn task(state: &str, text: &str) -> Value {
    json!({"id": "t1", "contextId": "c1", "status": {"state": state, "message": {"parts": [{"text": text}]}}})
}

#[tokio::test]
async fn both_versions_speak_over_both_bindings() {
    let said =
        |body: &Value| body.pointer("/params/message").or_else(|| body.get("message")).cloned().expect("a message");
    for (binding, version, method, header, role, look) in [
        ("JSONRPC", "1.0", "POST /a2a", Some("1.0"), "ROLE_USER", "POST /a2a"),
        ("JSONRPC", "0.3.0", "POST /a2a", None, "user", "POST /a2a"),
        ("HTTP+JSON", "1.0", "POST /a2a/message:send", Some("1.0"), "ROLE_USER", "GET /a2a/tasks/t1"),
        ("HTTP+JSON", "0.3", "POST /a2a/v1/message:send", None, "ROLE_USER", "GET /a2a/v1/tasks/t1"),
    ] {
        let wrapped = |value: Value| if binding == "JSONRPC" { json!({"result": value}) } else { value };
        let first = wrapped(json!({"task": task("submitted", "")}));
        let (url, asked) = agent(card(binding, version), vec![first, wrapped(task("completed", "Done."))]).await;
        let answers = soon(talk(json!({"protocol": "a2a", "url": url}), &["hello"])).await.expect("answers");
        assert_eq!(answers[0].text, "Done.", "{binding} {version}");
        let asked = asked.lock().expect("unpoisoned");
        let (named, seen, body) = &asked[0];
        assert_eq!((named.as_str(), seen.as_deref()), (method, header), "{binding} {version}");
        assert_eq!(said(body)["role"], role);
        assert_eq!(said(body)["metadata"]["agentready.tools"], "http://127.0.0.1:9/t/tok/tools");
        assert_eq!(asked[1].0, look);
    }
}

#[tokio::test]
async fn a_task_that_asks_goes_on_with_the_next_turn() {
    let answers = [
        task("TASK_STATE_INPUT_REQUIRED", "How much?"),
        task("TASK_STATE_COMPLETED", "Done."),
        task("TASK_STATE_COMPLETED", "Bye."),
    ];
    let answers = answers.map(|task| json!({"result": {"task": task}})).to_vec();
    let (url, asked) = agent(card("JSONRPC", "1.0"), answers).await;
    let endpoint = json!({"protocol": "a2a", "url": url});
    let answers = soon(talk(endpoint, &["refund", "$20", "thanks"])).await.expect("answers");
    assert_eq!(answers.iter().map(|answer| answer.text.as_str()).collect::<Vec<_>>(), ["How much?", "Done.", "Bye."]);
    let asked = asked.lock().expect("unpoisoned");
    let place = |at: usize| {
        let message = &asked[at].2["params"]["message"];
        (message["contextId"].as_str(), message["taskId"].as_str())
    };
    assert_eq!([place(0), place(1), place(2)], [(None, None), (Some("c1"), Some("t1")), (Some("c1"), None)]);
}

#[tokio::test]
async fn what_is_no_answer_says_whose_fault_it_is() {
    for (answer, is_setup, said) in [
        (
            json!({"error": {"code": -32009, "message": "version '0.3' is not supported"}}),
            true,
            "the agent says: version '0.3' is not supported (-32009)",
        ),
        (json!({"error": {"code": -32601, "message": "no such method"}}), true, "no such method (-32601)"),
        (json!({"error": {"code": -32603, "message": "boom"}}), false, "the agent says: boom (-32603)"),
        (
            json!({"result": {"task": task("TASK_STATE_FAILED", "the backend is down")}}),
            false,
            "the task ended as failed: the backend is down",
        ),
        (json!({"result": {"task": task("canceled", "")}}), false, "the task ended as canceled"),
        (json!({"result": {"task": task("completed", "")}}), false, "gave an empty answer"),
        (
            json!({"result": {"task": {"status": {"state": "working"}}}}),
            false,
            "answered what is no message and no task",
        ),
        (json!({"result": [1]}), false, "answered what is no message and no task: {\"result\":[1]}"),
    ] {
        let (url, _) = agent(card("JSONRPC", "1.0"), vec![answer.clone()]).await;
        let error = soon(text(json!({"protocol": "a2a", "url": url}))).await.expect_err("no answer");
        assert_eq!(matches!(error, TurnError::Setup(_)), is_setup, "{error:?}");
        assert!(error.to_string().contains(said), "{answer}: {error}");
    }
    let rejected = json!({"result": {"task": task("rejected", "")}});
    let (url, _) = agent(card("JSONRPC", "1.0"), vec![rejected]).await;
    assert_eq!(text(json!({"protocol": "a2a", "url": url})).await.expect("answers"), "The task was rejected.");
}

#[tokio::test]
async fn without_a_usable_card_nothing_is_sent() {
    let url = serve(Router::new()).await;
    let error = text(json!({"protocol": "a2a", "url": format!("{url}/bot")})).await.expect_err("no card");
    let TurnError::Setup(message) = error else { panic!("{error:?}") };
    assert_eq!(message.matches("/.well-known/").count(), 4, "{message}");
    let (url, asked) = agent(json!({"url": "https://elsewhere.example/"}), vec![]).await;
    let error = text(json!({"protocol": "a2a", "url": url})).await.expect_err("elsewhere");
    assert!(error.to_string().contains("a host that `endpoint.url` does not name"), "{error}");
    assert!(asked.lock().expect("unpoisoned").is_empty());
}

#[tokio::test]
async fn a_task_that_never_ends_meets_the_time_of_a_trial() {
    let working = json!({"result": {"task": task("working", "")}});
    let (url, _) = agent(card("JSONRPC", "1.0"), vec![working; 100]).await;
    let endpoint = json!({"protocol": "a2a", "url": url, "trial_timeout": "300ms"});
    assert!(matches!(soon(text(endpoint)).await, Err(TurnError::Timeout(_))));
}
