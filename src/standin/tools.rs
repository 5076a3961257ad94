//! The tools over plain HTTP: `POST …/tools/<name>` with the arguments as JSON, `GET …/tools` for the list.
//!
//! 200 `{"result": …}` executed, 403 `{"error": …}` refused by a guard, 404 unknown tool, 400 malformed arguments. Where
//! a scenario lets a tool misbehave, the answer is late, broken or lost as the world says. What a system of staging answered
//! bears its status, and beside `result` or `error` all that it said, as `mcp` or `body`.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, FromRef, Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use futures_util::stream;
use serde_json::{Value, json};

use super::{
    Inventory,
    desk::Desk,
    mcp,
    relay::{self, Reply},
    seat::Came,
};
use crate::world::{Mishap, Outcome, cut, garbled};

/// The largest arguments of one call in bytes (256 KiB).
pub(super) const MAX_ARGUMENTS: usize = 256 * 1024;
/// JSON-RPC: the server did not take the arguments, or has no such tool.
const INVALID_PARAMS: i64 = -32602;

#[derive(Clone)]
struct Shared {
    desk: Arc<Desk>,
    inventory: Arc<Inventory>,
    mcp: mcp::Endpoint,
}

impl FromRef<Shared> for mcp::Endpoint {
    fn from_ref(shared: &Shared) -> Self {
        shared.mcp.clone()
    }
}

pub(super) fn router(desk: &Arc<Desk>, inventory: &Arc<Inventory>) -> Router {
    let mcp = mcp::Endpoint::new(Arc::clone(desk), Arc::clone(inventory));
    Router::new()
        .route("/t/{token}/tools/{tool}", post(call))
        .route("/t/{token}/tools", get(list).post(mcp::all))
        .route("/t/{token}/systems/{system}/tools", post(mcp::of_system))
        .layer(DefaultBodyLimit::max(MAX_ARGUMENTS))
        .with_state(Shared { desk: Arc::clone(desk), inventory: Arc::clone(inventory), mcp })
}

async fn call(
    State(shared): State<Shared>,
    Path((token, tool)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    shared.desk.note_http();
    let hints = shared.desk.hints(&headers);
    let Some(seat) = shared.desk.claim(&token, &hints) else {
        return (StatusCode::GONE, Json(error("this call belongs to no trial in flight"))).into_response();
    };
    let args = if body.is_empty() { Ok(json!({})) } else { serde_json::from_slice(&body) };
    // Malformed JSON still arrives at the ledger, as text.
    let args = args.unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into_owned()));
    let meta = hints.meta();
    match seat.carry_out(&shared.inventory, (&tool, args), Some(&hints), meta).await {
        Came::Here(outcome) => deliver(outcome).await,
        Came::Back(reply) => {
            let (status, answer) = returned(reply);
            (status, Json(answer)).into_response()
        }
    }
}

async fn list(State(shared): State<Shared>, Path(token): Path<String>, headers: HeaderMap) -> Response {
    let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accepts.contains("text/event-stream") {
        // An MCP client asks for the stream of server messages; this server has none.
        return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "POST")]).into_response();
    }
    shared.desk.note_http();
    let Some((seat, _)) = shared.desk.find(&token, &shared.desk.hints(&headers)) else {
        return (StatusCode::GONE, Json(error("the trial is over"))).into_response();
    };
    let offers: Vec<Value> = seat
        .list(&shared.inventory, None)
        .into_iter()
        .map(|offer| json!({"name": offer.name, "about": offer.about, "input": offer.input}))
        .collect();
    Json(offers).into_response()
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
        Outcome::Faulty(Mishap::Error { status, retry_after, text }) => refused(status, retry_after, &text),
        outcome => {
            let (status, answer) = plain(outcome);
            (status, Json(answer)).into_response()
        }
    }
}

/// An error of the way to the tool.
pub(super) fn refused(status: u16, retry_after: Option<Duration>, text: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let wait = retry_after.map(|wait| [(header::RETRY_AFTER, wait.as_secs().max(1).to_string())]);
    (status, wait, Json(error(text))).into_response()
}

/// An answer whose connection ends before the answer does.
pub(super) fn broken(head: String) -> Response {
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

/// What came back from a system of staging, as a value.
pub(super) fn returned(reply: Reply) -> (StatusCode, Value) {
    match reply {
        Reply::Result(result) if result.get("isError") == Some(&Value::Bool(true)) => {
            let said = text_of(&relay::meaning(&result));
            (StatusCode::FORBIDDEN, json!({"error": said, "mcp": result}))
        }
        Reply::Result(result) => (StatusCode::OK, json!({"result": relay::meaning(&result), "mcp": result})),
        Reply::Error(told) => {
            let said = told.get("message").map_or_else(|| told.to_string(), text_of);
            let is_theirs = told.get("code").and_then(Value::as_i64) == Some(INVALID_PARAMS);
            let status = if is_theirs { StatusCode::BAD_REQUEST } else { StatusCode::BAD_GATEWAY };
            (status, json!({"error": said, "mcp": {"error": told}}))
        }
        Reply::Http(status, body) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
            if status.is_success() {
                return (StatusCode::OK, json!({"result": body}));
            }
            (status, json!({"error": text_of(&body), "body": body}))
        }
        Reply::Nothing(why) => (StatusCode::BAD_GATEWAY, error(&format!("the tool {why}"))),
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

pub(super) fn error(message: &str) -> Value {
    json!({"error": message})
}
