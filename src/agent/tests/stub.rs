//! A scripted agent on a free port, and the small things each test needs.

use std::{collections::BTreeMap, future::Future, time::Duration};

use axum::{Router, body::Body, response::Response, routing::any};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use serde_json::Value;

use crate::agent::{Adapter, AdapterError, Answer, Place, TrialContext, TurnError, adapter};

/// Serves on a free port for as long as the test's runtime lives.
pub(super) async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

/// Serves the same reply everywhere.
pub(super) async fn reply(status: u16, headers: &'static [(&'static str, &'static str)], body: &'static str) -> String {
    serve(Router::new().fallback(any(move || async move { response(status, headers, body) }))).await
}

pub(super) fn response(status: u16, headers: &[(&str, &str)], body: impl Into<Body>) -> Response {
    let builder = headers.iter().fold(Response::builder().status(status), |b, (name, value)| b.header(*name, *value));
    builder.body(body.into()).expect("a valid response")
}

/// A body of pieces with a pause before each.
pub(super) fn pieces(pieces: Vec<Vec<u8>>, pause: Duration) -> Body {
    Body::from_stream(paused(stream::iter(pieces), pause))
}

/// The same piece for ever.
pub(super) fn endless(piece: &'static [u8], pause: Duration) -> Body {
    Body::from_stream(paused(stream::repeat(piece.to_vec()), pause))
}

fn paused(
    pieces: impl Stream<Item = Vec<u8>> + Send + 'static,
    pause: Duration,
) -> impl Stream<Item = Result<Bytes, std::io::Error>> + Send + 'static {
    pieces.then(move |piece| async move {
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        Ok(Bytes::from(piece))
    })
}

pub(super) fn context() -> TrialContext {
    TrialContext {
        header: None,
        run_id: "r1".to_owned(),
        trial_id: "small-refund#0".to_owned(),
        token: "tok".to_owned(),
        tools_url: "http://127.0.0.1:9/t/tok/tools".to_owned(),
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
        baggage: "run_id=r1,agentready.trial=tok".to_owned(),
    }
}

pub(super) fn built(endpoint: Value, env: &[(&str, &str)]) -> Result<Adapter, AdapterError> {
    let endpoint = serde_json::from_value(endpoint).expect("an endpoint");
    let env: BTreeMap<_, _> = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    adapter(&endpoint, &env, &Place::default())
}

/// Opens a session, says each prompt, closes; the answers or the first failure.
pub(super) async fn talk(endpoint: Value, prompts: &[&str]) -> Result<Vec<Answer>, TurnError> {
    let adapter = built(endpoint, &[("KEY", "s3cr3t-value")]).expect("a usable endpoint");
    let mut session = adapter.open(&context(), None).await?;
    let mut answers = Vec::new();
    for prompt in prompts {
        answers.push(session.turn(prompt).await?);
    }
    session.close().await?;
    Ok(answers)
}

/// The one answer's text.
pub(super) async fn text(endpoint: Value) -> Result<String, TurnError> {
    Ok(talk(endpoint, &["hello"]).await?.remove(0).text)
}

/// Fails the test rather than hanging it.
pub(super) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(5), future).await.expect("ends soon")
}
