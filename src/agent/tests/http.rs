use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    http::{HeaderMap, Uri},
    routing::{any, get, post},
};
use serde_json::{Value, json};

use super::stub::{built, context, pieces, reply, response, serve, talk, text};
use crate::{
    agent::TurnError,
    record::{Claim, Usage},
};

#[tokio::test]
async fn a_default_agent_needs_only_a_url() {
    let seen: Arc<Mutex<Vec<(HeaderMap, Value)>>> = Arc::default();
    let log = Arc::clone(&seen);
    let url = serve(Router::new().route(
        "/chat",
        post(move |headers: HeaderMap, Json(body): Json<Value>| async move {
            let answer = format!("you said {{{{ prompt }}}} {}", body["message"].as_str().unwrap_or_default());
            log.lock().expect("unpoisoned").push((headers, body));
            Json(json!({
                "answer": answer, "usage": {"total_tokens": 7, "steps": 2},
                "tool_calls": [{"tool": "get_order", "args": {"id": 1}, "blocked": true}]
            }))
        }),
    ))
    .await;
    let endpoint = json!({"url": format!("{url}/chat"), "auth": {"bearer": "env:KEY", "headers": {"X-Team": "blue"}}});
    let answers = talk(endpoint, &["{{ 7*7 }}", "and now?"]).await.expect("answers");
    assert_eq!(answers[0].text, "you said {{ prompt }} {{ 7*7 }}");
    assert_eq!(answers[0].usage, Usage { tokens: 7, steps: 2, ..Usage::default() });
    assert_eq!(answers[0].claimed, [Claim { tool: "get_order".to_owned(), args: json!({"id": 1}), blocked: true }]);
    let seen = seen.lock().expect("unpoisoned");
    let (headers, body) = &seen[1];
    assert_eq!(headers["authorization"], "Bearer s3cr3t-value");
    assert_eq!(headers["x-team"], "blue");
    assert_eq!(headers["traceparent"], context().traceparent.as_str());
    assert_eq!(headers["baggage"], "run_id=r1,agentready.trial=tok");
    assert_eq!(headers["x-agentready-tools"], context().tools_url.as_str());
    assert_eq!(
        *body,
        json!({
            "message": "and now?", "session_id": "small-refund#0", "tools_url": context().tools_url,
            "history": [
                {"role": "user", "content": "{{ 7*7 }}"},
                {"role": "assistant", "content": "you said {{ prompt }} {{ 7*7 }}"}
            ]
        })
    );
}

#[tokio::test]
async fn body_query_and_headers_are_templates_and_the_answer_is_cel() {
    let url = serve(Router::new().route(
        "/v2/ask",
        post(|uri: Uri, headers: HeaderMap, Json(body): Json<Value>| async move {
            let trial = headers["x-trial"].to_str().expect("text").to_owned();
            Json(json!({"out": [{"text": format!("{}|{trial}|{}|{}", uri.path(), uri.query().unwrap_or_default(), body["n"])}], "cost": {"usd": 0.5}}))
        }),
    ))
    .await;
    let endpoint = json!({
        "url": format!("{url}/api"),
        "request": {
            "url": "/v2/ask", "headers": {"X-Trial": "t-{{ trial.token }}"}, "query": {"q": "{{ prompt }}&x=1"},
            "body": {"n": "turn {{ turn }}", "in": [{"role": "user", "content": "{{ prompt }}"}]}
        },
        "response": {"answer": "body.out[0].text", "usage": "{'usd': body.cost.usd}", "tool_calls": "body.nothing"}
    });
    let answers = talk(endpoint, &["hi"]).await.expect("answers");
    assert_eq!(answers[0].text, "/v2/ask|t-tok|q=hi%26x%3D1|\"turn 0\"");
    assert!((answers[0].usage.usd - 0.5).abs() < 1e-9);
}

#[tokio::test]
async fn default_extraction_takes_the_first_text_it_knows() {
    for (body, expected) in [
        (r#""plain""#, "plain"),
        (r#"{"output": "o", "text": "t"}"#, "o"),
        (r#"{"message": {"x": 1}, "content": "c"}"#, "c"),
    ] {
        let url = reply(200, &[("content-type", "application/json")], body).await;
        assert_eq!(text(json!({"url": url})).await, Ok(expected.to_owned()), "{body}");
    }
    let url = reply(200, &[], r#"{"result": 1, "id": "x"}"#).await;
    let Err(TurnError::Agent(message)) = text(json!({"url": url})).await else { panic!("no answer") };
    assert!(message.contains("`endpoint.response.answer` is needed; the body has keys `result`, `id`"), "{message}");
    let url = reply(200, &[], "just text").await;
    assert_eq!(text(json!({"url": url, "response": {"format": "text"}})).await, Ok("just text".to_owned()));
}

#[tokio::test]
async fn events_split_in_the_middle_of_a_character_are_folded() {
    let body = "\u{feff}: ping\r\n\r\ndata: {\"delta\": \"Grüße \"}\r\n\r\ndata: {\"delta\": \"✓\"}\r\n\r\ndata: [DONE]\r\n\r\n";
    let bytes: Vec<Vec<u8>> = body.as_bytes().chunks(1).map(<[u8]>::to_vec).collect();
    let url = serve(Router::new().fallback(any(move || {
        let bytes = bytes.clone();
        async move { response(200, &[("content-type", "text/event-stream")], pieces(bytes, Duration::ZERO)) }
    })))
    .await;
    assert_eq!(text(json!({"url": url, "response": {"format": "sse"}})).await, Ok("Grüße ✓".to_owned()));
    let Err(TurnError::Setup(message)) = text(json!({"url": url})).await else { panic!("wrong format") };
    assert!(message.contains("`endpoint.response.format: sse` reads it"), "{message}");
    let folded = json!({"url": url, "response": {
        "format": "sse", "delta": "event.data.delta.lower()", "usage": "{'tokens': events.size()}"
    }});
    assert_eq!(
        talk(folded, &["x"]).await.map(|a| (a[0].text.clone(), a[0].usage.tokens)),
        Ok(("grüße ✓".to_owned(), 2))
    );
}

#[tokio::test]
async fn json_lines_are_folded() {
    let body = "{\"t\": \"a\"}\n{\"t\": \"b\"}\n{\"done\": true, \"final\": \"whole\"}\n";
    let url = reply(200, &[("content-type", "application/x-ndjson")], body).await;
    let by_delta = json!({"url": url, "response": {"format": "ndjson", "delta": "event.data.t"}});
    assert_eq!(text(by_delta).await, Ok("ab".to_owned()));
    let by_answer = json!({"url": url, "response": {"format": "ndjson", "answer": "events[2].data.final"}});
    assert_eq!(text(by_answer).await, Ok("whole".to_owned()));
}

#[tokio::test]
async fn a_session_is_opened_kept_by_cookie_and_closed() {
    let closed = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&closed);
    let url =
        serve(
            Router::new()
                .route(
                    "/login",
                    post(|| async {
                        response(201, &[("set-cookie", "sid=abc; Path=/; HttpOnly")], r#"{"session": {"id": "s-9"}}"#)
                    }),
                )
                .route(
                    "/s/s-9",
                    post(|headers: HeaderMap| async move {
                        Json(json!({"answer": headers["cookie"].to_str().expect("text")}))
                    }),
                )
                .route(
                    "/s/s-9/close",
                    post(move |body: String| async move {
                        assert_eq!(body, "");
                        count.fetch_add(1, Ordering::SeqCst);
                    }),
                ),
        )
        .await;
    let endpoint = json!({
        "url": url,
        "setup": [{"request": {"url": "/login"}, "capture": {"id": "body.session.id"}}],
        "request": {"url": "/s/{{ session.id }}"},
        "teardown": [{"request": {"url": "/missing"}}, {"request": {"url": "/s/{{ session.id }}/close"}}]
    });
    let adapter = built(endpoint, &[]).expect("usable");
    let mut session = adapter.open(&context(), None).await.expect("opens");
    assert_eq!(session.turn("x").await.map(|answer| answer.text), Ok("sid=abc".to_owned()));
    assert!(matches!(session.close().await, Err(TurnError::Setup(_))));
    assert_eq!(closed.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_agent_that_answers_later_is_asked_again() {
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    let url = serve(Router::new().route("/jobs", post(|| async { response(202, &[], r#"{"job": "j1"}"#) })).route(
        "/jobs/j1",
        get(move || async move {
            match count.fetch_add(1, Ordering::SeqCst) {
                0 => response(429, &[("retry-after", "0")], ""),
                1 => response(200, &[], r#"{"state": "running"}"#),
                _ => response(200, &[], r#"{"state": "done", "answer": "late"}"#),
            }
        }),
    ))
    .await;
    let mut endpoint = json!({
        "url": format!("{url}/jobs"), "trial_timeout": "300ms",
        "poll": {"url": "/jobs/{{ submitted.job }}", "every": "10ms", "until": "body.state == 'done'"}
    });
    assert_eq!(text(endpoint.clone()).await, Ok("late".to_owned()));
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    endpoint["poll"]["fail_if"] = json!("body.state == 'done'");
    assert!(matches!(text(endpoint.clone()).await, Err(TurnError::Agent(_))));
    endpoint["poll"] = json!({"url": "/jobs/j1", "every": "10ms", "until": "body.state == 'never'"});
    assert_eq!(text(endpoint).await, Err(TurnError::Timeout(Duration::from_millis(300))));
}

#[tokio::test]
async fn mistakes_in_the_endpoint_stand_at_their_place() {
    for (endpoint, route, message) in [
        (json!({}), "/endpoint", "needs `url`"),
        (json!({"url": "ftp://x"}), "/endpoint/url", "no http or https URL"),
        (json!({"url": "http://x", "response": {"answer": "body."}}), "/endpoint/response/answer", "not a CEL"),
        (json!({"url": "http://x", "request": {"body": {"a": ["{{ promt }}"]}}}), "/endpoint/request/body/a/0", ""),
        (json!({"url": "http://x", "request": {"method": "G E T"}}), "/endpoint/request/method", "no HTTP method"),
        (json!({"url": "http://x", "auth": {"bearer": "env:NOPE"}}), "/endpoint/auth/bearer", "`NOPE` is not set"),
        (json!({"url": "http://x", "protocol": "mcp"}), "/endpoint/protocol", "`mcp` is not spoken by this version"),
        (json!({"protocol": "command"}), "/endpoint", "needs `run`"),
        (
            json!({"url": "http://x", "setup": [{"request": {}, "capture": {"id": "1 +"}}]}),
            "/endpoint/setup/0/capture/id",
            "not a CEL",
        ),
    ] {
        let error = built(endpoint, &[]).expect_err(route);
        assert_eq!(error.route().as_str(), route);
        assert!(error.to_string().contains(message), "{error}");
    }
}

#[tokio::test]
async fn a_password_goes_out_encoded_and_is_hidden_in_both_forms() {
    let url = serve(Router::new().fallback(any(|headers: HeaderMap| async move {
        Json(headers["authorization"].to_str().expect("text").to_owned())
    })))
    .await;
    let adapter =
        built(json!({"url": url, "auth": {"basic": "env:LOGIN"}}), &[("LOGIN", "ann:passw0rd")]).expect("usable");
    let mut session = adapter.open(&context(), None).await.expect("opens");
    let answer = session.turn("x").await.expect("answers");
    assert_eq!(answer.text, "Basic YW5uOnBhc3N3MHJk");
    assert_eq!(adapter.secrets().values(), ["YW5uOnBhc3N3MHJk", "ann:passw0rd", "passw0rd"]);
    assert_eq!(adapter.secrets().redacted(&answer.text), "Basic [secret]");
}

#[test]
fn only_a_template_tells_the_agent_where_the_tools_are() {
    let told = built(json!({"url": "http://x"}), &[]).expect("usable");
    assert!(told.uses_tools_url() && !told.runs_tools());
    let untold = built(json!({"url": "http://x", "request": {"body": {"q": "{{ prompt }}"}}}), &[]).expect("usable");
    assert!(!untold.uses_tools_url());
}
