//! What fools others: dead ports, refusals, bodies without end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{Router, routing::any};
use serde_json::json;

use super::stub::{endless, reply, response, serve, soon, talk, text};
use crate::agent::TurnError;

#[tokio::test]
async fn a_status_says_whose_fault_it_is() {
    let limited = |seconds: Option<u64>| TurnError::RateLimited { retry_after: seconds.map(Duration::from_secs) };
    for (status, headers, expected) in [
        (429, &[("retry-after", "7")] as &'static [(&str, &str)], limited(Some(7))),
        (429, &[], limited(None)),
        (503, &[("retry-after", "2")], limited(Some(2))),
        (
            429,
            &[("date", "Wed, 21 Oct 2015 07:28:00 GMT"), ("retry-after", "Wed, 21 Oct 2015 07:28:30 GMT")],
            limited(Some(30)),
        ),
    ] {
        let url = reply(status, headers, "slow down").await;
        assert_eq!(text(json!({"url": url})).await, Err(expected), "{status} {headers:?}");
    }
    for (status, is_setup) in [(401, true), (403, true), (404, true), (405, true), (415, true), (307, true)]
        .into_iter()
        .chain([(400, false), (422, false), (500, false), (503, false)])
    {
        let url = reply(status, &[], "because s3cr3t-value").await;
        let error = text(json!({"url": url, "auth": {"bearer": "env:KEY"}})).await.expect_err("refused");
        let message = error.to_string();
        assert!(message.starts_with(&format!("POST {url}/ answered {status} ")), "{message}");
        assert!(!message.contains("s3cr3t-value"), "{message}");
        assert_eq!(matches!(error, TurnError::Setup(_)), is_setup, "{error:?}");
        assert_eq!(matches!(error, TurnError::Agent(_)), !is_setup, "{error:?}");
    }
}

#[tokio::test]
async fn a_dead_port_is_a_transport_failure() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/chat?key=private", listener.local_addr().expect("bound"));
    drop(listener);
    let Err(TurnError::Transport(message)) = text(json!({"url": url})).await else { panic!("nobody is there") };
    assert!(message.contains("/chat failed: Connection refused"), "{message}");
    assert!(!message.contains("private"), "{message}");
}

#[tokio::test]
async fn an_unreadable_answer_is_the_agents_failure() {
    for (body, message) in [
        ("", "answered 200 OK with an empty body"),
        ("\n ", "answered 200 OK with an empty body"),
        ("{\"answer\": ", "answered what is not JSON: {\"answer\":"),
        ("\u{1b}[2J", "answered what is not JSON: \\u{1b}[2J"),
        ("{\"answer\": \" \"}", "gave an empty answer"),
        ("{}", "`endpoint.response.answer` is needed; the body has keys none"),
    ] {
        let url = reply(200, &[("content-type", "application/json")], body).await;
        let Err(TurnError::Agent(said)) = text(json!({"url": url})).await else { panic!("{body}") };
        assert!(said.contains(message), "{said}");
    }
    let url = reply(200, &[("content-type", "text/html; charset=utf-8")], "<html>login</html>").await;
    assert!(matches!(text(json!({"url": url})).await, Err(TurnError::Setup(_))));
    let url = reply(200, &[], r#"{"answer": "ok", "error": "out of quota"}"#).await;
    let Err(TurnError::Agent(said)) = text(json!({"url": url, "response": {"error": "body.error"}})).await else {
        panic!("an error was reported")
    };
    assert!(said.ends_with("the agent says: out of quota"), "{said}");
}

#[tokio::test]
async fn bodies_without_end_are_cut_off_in_bytes_and_time() {
    let big = vec![b'x'; 64 * 1024].leak();
    let url = serve(
        Router::new()
            .route("/flood", any(|| async { response(200, &[], endless(big, Duration::ZERO)) }))
            .route("/refusal", any(|| async { response(500, &[], endless(big, Duration::ZERO)) }))
            .route("/drip", any(|| async { response(200, &[], endless(b"x", Duration::from_millis(20))) }))
            .route("/silence", any(|| async { std::future::pending::<()>().await })),
    )
    .await;
    let ask = |path: &str, format: &str| {
        let endpoint = json!({"url": format!("{url}{path}"), "timeout": "300ms", "response": {"format": format, "max_bytes": 1_000_000}});
        async move { soon(text(endpoint)).await }
    };
    let start = Instant::now();
    for format in ["json", "sse", "text"] {
        let Err(TurnError::Agent(message)) = ask("/flood", format).await else { panic!("{format}") };
        assert!(message.ends_with("answered more than 1000000 bytes"), "{message}");
        assert_eq!(ask("/drip", format).await, Err(TurnError::Timeout(Duration::from_millis(300))));
    }
    assert!(matches!(ask("/refusal", "json").await, Err(TurnError::Agent(_))));
    assert_eq!(ask("/silence", "json").await, Err(TurnError::Timeout(Duration::from_millis(300))));
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_stream_that_stays_open_after_done_is_complete() {
    let url = serve(Router::new().fallback(any(|| async {
        let said = futures_util::stream::iter([Ok::<_, std::io::Error>("data: hi\n\ndata: [DONE]\n\n")]);
        let open = futures_util::stream::pending();
        let body = axum::body::Body::from_stream(futures_util::StreamExt::chain(said, open));
        response(200, &[("content-type", "text/event-stream")], body)
    })))
    .await;
    let endpoint = json!({"url": url, "timeout": "2s", "response": {"format": "sse"}});
    assert_eq!(soon(text(endpoint)).await, Ok("hi".to_owned()));
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_the_agents_failure() {
    let url = serve(Router::new().fallback(any(|| async {
        let begun = futures_util::stream::iter([Ok("{\"answer\":")]);
        let broken = futures_util::stream::once(async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            Err(std::io::Error::other("gone"))
        });
        let failing = futures_util::StreamExt::chain(begun, broken);
        response(200, &[], axum::body::Body::from_stream(failing))
    })))
    .await;
    let Err(TurnError::Agent(message)) = text(json!({"url": url})).await else { panic!("half an answer") };
    assert!(message.contains("the answer broke off"), "{message}");
}

#[tokio::test]
async fn nobody_can_lead_the_gate_to_another_server() {
    let visits = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&visits);
    let other = serve(Router::new().fallback(any(move || async move {
        count.fetch_add(1, Ordering::SeqCst);
        "\"pwned\""
    })))
    .await;
    let target = other.clone();
    let url = serve(
        Router::new()
            .route(
                "/away",
                any({
                    let target = target.clone();
                    move || async move { response(307, &[("location", &target)], "") }
                }),
            )
            .route("/near", any(|| async { response(307, &[("location", "/here")], "") }))
            .route("/here", any(|| async { "\"here\"" }))
            .route("/job", any(move || async move { response(200, &[], format!("{{\"at\": \"{target}/x\"}}")) })),
    )
    .await;
    let Err(TurnError::Setup(message)) = text(json!({"url": format!("{url}/away")})).await else { panic!("led away") };
    assert!(message.contains(&format!("points to {other}")), "{message}");
    assert_eq!(text(json!({"url": format!("{url}/near")})).await, Ok("here".to_owned()));
    for poll_url in ["{{ submitted.at }}", "//{{ submitted.at }}", "http://{{ submitted.at | replace('http://', '') }}"]
    {
        let poll = json!({"url": poll_url, "every": "10ms", "until": "true"});
        let outcome = talk(json!({"url": format!("{url}/job"), "poll": poll}), &["x"]).await;
        assert!(matches!(outcome, Err(TurnError::Setup(_))), "{poll_url}: {outcome:?}");
    }
    assert_eq!(visits.load(Ordering::SeqCst), 0);
}
