//! The HTTP tool server: `POST /t/<token>/tools/<name>` with the arguments as JSON.
//!
//! 200 `{"result": …}` executed, 403 `{"error": …}` refused by a guard, 404 unknown tool, 400 malformed arguments. Where
//! a scenario lets a tool misbehave, the answer is late, broken or lost as the world says.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use futures_util::stream;
use serde_json::{Value, json};

use super::{
    Token,
    gateway::{Desk, Seat},
};
use crate::world::{Mishap, Outcome, cut, garbled};

/// The largest arguments of one call in bytes (256 KiB).
const MAX_ARGUMENTS: usize = 256 * 1024;

#[derive(Clone)]
struct Shared {
    desk: Arc<Desk>,
    run: Arc<str>,
}

pub(super) fn router(desk: Arc<Desk>, run: &Token) -> Router {
    Router::new()
        .route("/t/{token}/tools/{tool}", post(call))
        .route("/t/{token}/tools", get(list))
        .layer(DefaultBodyLimit::max(MAX_ARGUMENTS))
        .with_state(Shared { desk, run: run.as_str().into() })
}

async fn call(
    State(shared): State<Shared>,
    Path((token, tool)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(seat) = find(&shared, &token, &headers) else {
        shared.desk.count_unattributed();
        return (StatusCode::GONE, Json(error("this call belongs to no trial in flight"))).into_response();
    };
    let args = if body.is_empty() { Ok(json!({})) } else { serde_json::from_slice(&body) };
    // Malformed JSON still arrives at the ledger, as text.
    let args = args.unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into_owned()));
    deliver(carry_out(&seat, &tool, args)).await
}

async fn list(State(shared): State<Shared>, Path(token): Path<String>, headers: HeaderMap) -> Response {
    let Some(seat) = find(&shared, &token, &headers) else {
        return (StatusCode::GONE, Json(error("the trial is over"))).into_response();
    };
    let offers: Vec<Value> = seat
        .play()
        .offers()
        .into_iter()
        .map(|(name, about, input)| json!({"name": name, "about": about, "input": input}))
        .collect();
    Json(offers).into_response()
}

/// By the token in the URL; else by baggage, trace id, or because only one trial is in flight.
fn find(shared: &Shared, token: &str, headers: &HeaderMap) -> Option<Arc<Seat>> {
    if token != &*shared.run {
        return shared.desk.seat(token);
    }
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let baggage = header("baggage").and_then(|text| {
        text.split(',').find_map(|member| member.trim().strip_prefix("agentready.trial=")).map(str::to_owned)
    });
    let trace = header("traceparent").and_then(|text| text.split('-').nth(1)).map(str::to_owned);
    if let Some(token) = baggage {
        // Who names a trial means that one, also when it is over.
        return shared.desk.seat(&token);
    }
    trace.and_then(|token| shared.desk.seat(&token)).or_else(|| shared.desk.only_seat())
}

/// Carries out one call in the trial's world.
pub(super) fn carry_out(seat: &Seat, tool: &str, args: Value) -> Outcome {
    let at_ms = u64::try_from(seat.began.elapsed().as_millis()).unwrap_or(u64::MAX);
    seat.play().call(tool, args, at_ms)
}

/// Sends what a call came to, whole or not.
async fn deliver(outcome: Outcome) -> Response {
    let outcome = match outcome {
        Outcome::Faulty(Mishap::Late(wait, outcome)) => {
            tokio::time::sleep(wait).await;
            *outcome
        }
        outcome => outcome,
    };
    match outcome {
        Outcome::Faulty(Mishap::Silent(wait)) => {
            tokio::time::sleep(wait).await;
            broken(String::new())
        }
        Outcome::Faulty(Mishap::Reset) => broken(String::new()),
        Outcome::Faulty(Mishap::Cut(result)) => broken(cut(&json!({"result": result}).to_string())),
        Outcome::Faulty(Mishap::Garbled(result)) => {
            let text = garbled(&json!({"result": result}).to_string());
            ([(header::CONTENT_TYPE, "application/json")], text).into_response()
        }
        Outcome::Faulty(Mishap::Error { status, retry_after, text }) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let wait = retry_after.map(|wait| [(header::RETRY_AFTER, wait.as_secs().max(1).to_string())]);
            (status, wait, Json(error(&text))).into_response()
        }
        outcome => {
            let (status, answer) = plain(outcome);
            (status, Json(answer)).into_response()
        }
    }
}

/// An answer whose connection ends before the answer does.
fn broken(head: String) -> Response {
    let lost = || std::io::Error::new(std::io::ErrorKind::ConnectionReset, "lost on the way");
    let pieces = [Ok(Bytes::from(head)), Err(lost())];
    ([(header::CONTENT_TYPE, "application/json")], Body::from_stream(stream::iter(pieces))).into_response()
}

/// What a call came to, as a value for those who carry out the calls themselves; what was lost is told as lost.
pub(super) fn plain(outcome: Outcome) -> (StatusCode, Value) {
    match outcome {
        Outcome::Executed(result) => (StatusCode::OK, json!({"result": result})),
        Outcome::Blocked(why) => (StatusCode::FORBIDDEN, error(&why)),
        Outcome::Unknown(why) => (StatusCode::NOT_FOUND, error(&why)),
        Outcome::Malformed(why) => (StatusCode::BAD_REQUEST, error(&why)),
        Outcome::Faulty(mishap) => match mishap {
            Mishap::Late(_, outcome) => plain(*outcome),
            Mishap::Silent(_) | Mishap::Reset => (StatusCode::BAD_GATEWAY, error("the tool did not answer")),
            Mishap::Error { text, .. } => (StatusCode::BAD_GATEWAY, error(&text)),
            Mishap::Garbled(result) => (StatusCode::OK, Value::String(garbled(&result.to_string()))),
            Mishap::Cut(result) => (StatusCode::OK, Value::String(cut(&result.to_string()))),
            Mishap::Padded(result, bytes) => (StatusCode::OK, json!({"result": result, "padding": " ".repeat(bytes)})),
        },
    }
}

pub(super) fn error(message: &str) -> Value {
    json!({"error": message})
}
