//! The model: what an agent asks its provider comes here, in the provider's own wire format. A script answers, where the
//! trial has one.
//!
//! It binds no policy and grades nothing: what was asked and answered goes into the trial's record.

mod chat;
mod messages;
mod responses;
mod script;

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use serde_json::{Value, json};

use super::{desk::Desk, seat::Seat};
use crate::{record::ModelCall, source::Files};

pub(super) use script::Script;

/// The largest request in bytes (8 MiB).
const MAX_PROMPT: usize = 8 * 1024 * 1024;
/// The most requests of one trial; later ones are refused and not recorded.
const MAX_ASKED: usize = 1000;

/// What an agent asks its model, whatever the wire format.
#[derive(Clone, Debug, Default, PartialEq)]
struct Asked {
    model: String,
    stream: bool,
    /// Whether a stream tells the usage.
    wants_usage: bool,
    /// Names of the tools on offer.
    tools: Vec<String>,
    /// What the user said.
    said: Vec<String>,
    /// What tools answered, parsed where it is JSON.
    results: Vec<Value>,
    /// Size of the request.
    bytes: usize,
}

/// A tool call that the model asks for.
#[derive(Clone, Debug, PartialEq)]
struct Asking {
    id: String,
    tool: String,
    args: Value,
}

/// The model's answer.
#[derive(Clone, Debug, Default, PartialEq)]
struct Reply {
    text: String,
    calls: Vec<Asking>,
    tokens_in: u64,
    tokens_out: u64,
}

/// One event of a stream.
struct Event {
    name: Option<&'static str>,
    data: String,
}

impl Event {
    fn data(value: &Value) -> Self {
        Self { name: None, data: value.to_string() }
    }
}

/// A wire format.
struct Format {
    name: &'static str,
    read: fn(&Value) -> Result<Asked, String>,
    finish: fn(&Reply) -> &'static str,
    whole: fn(&Asked, &Reply) -> Value,
    events: fn(&Asked, &Reply) -> Vec<Event>,
    refusal: fn(&str) -> Value,
}

#[derive(Clone)]
struct Shared {
    desk: Arc<Desk>,
}

/// The path of a provider's base URL below a token: with the version where its clients expect it.
pub(super) fn place(provider: &str) -> Option<&'static str> {
    match provider {
        "anthropic" => Some("model/anthropic"),
        "openai" => Some("model/openai/v1"),
        _ => None,
    }
}

pub(super) fn router(desk: &Arc<Desk>) -> Router {
    Router::new()
        .route("/t/{token}/model/openai/v1/chat/completions", post(chat_completions))
        .route("/t/{token}/model/openai/v1/responses", post(responses))
        .route("/t/{token}/model/openai/v1/models", get(models))
        .route("/t/{token}/model/anthropic/v1/messages", post(messages))
        .route("/t/{token}/model/anthropic/v1/messages/count_tokens", post(count_tokens))
        .route("/t/{token}/model/anthropic/v1/models", get(models))
        .layer(DefaultBodyLimit::max(MAX_PROMPT))
        .with_state(Shared { desk: Arc::clone(desk) })
}

async fn chat_completions(
    State(shared): State<Shared>,
    Path(token): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    answer(&shared, &chat::FORMAT, (&token, &headers), &body)
}

async fn responses(
    State(shared): State<Shared>,
    Path(token): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    answer(&shared, &responses::FORMAT, (&token, &headers), &body)
}

async fn messages(
    State(shared): State<Shared>,
    Path(token): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    answer(&shared, &messages::FORMAT, (&token, &headers), &body)
}

async fn count_tokens(body: Bytes) -> Response {
    Json(json!({"input_tokens": script::tokens(body.len())})).into_response()
}

/// One model, with the keys of both providers.
async fn models() -> Response {
    let id = "scripted";
    let model = json!({"id": id, "object": "model", "type": "model", "created": 0, "owned_by": "agentready",
        "display_name": id, "created_at": "2026-01-01T00:00:00Z"});
    Json(json!({"object": "list", "data": [model], "has_more": false, "first_id": id, "last_id": id})).into_response()
}

fn answer(shared: &Shared, format: &Format, (token, headers): (&str, &HeaderMap), body: &[u8]) -> Response {
    let refused = |status: StatusCode, why: &str| (status, Json((format.refusal)(why))).into_response();
    let Some((seat, _)) = shared.desk.find(token, &shared.desk.hints(headers)) else {
        return refused(StatusCode::GONE, "this request belongs to no trial in flight");
    };
    let asked = serde_json::from_slice(body).map_err(|error| format!("the body is no JSON: {error}"));
    let asked = match asked.and_then(|body| (format.read)(&body)) {
        Ok(asked) => Asked { bytes: body.len(), ..asked },
        Err(why) => return refused(StatusCode::BAD_REQUEST, &why),
    };
    match reply(&seat, format, &asked, body) {
        Ok(reply) if asked.stream => streamed(&(format.events)(&asked, &reply)),
        Ok(reply) => Json((format.whole)(&asked, &reply)).into_response(),
        Err((status, why)) => refused(status, &why),
    }
}

/// The next answer of the trial's script, noted among its model calls.
fn reply(seat: &Seat, format: &Format, asked: &Asked, body: &[u8]) -> Result<Reply, (StatusCode, String)> {
    let at_ms = seat.at_ms();
    let mut line = seat.model();
    if line.calls.len() >= MAX_ASKED {
        return Err((
            StatusCode::TOO_MANY_REQUESTS,
            format!("this trial has asked {MAX_ASKED} times, which is the most"),
        ));
    }
    let Some(script) = &mut line.script else {
        return Err((StatusCode::NOT_FOUND, "no model stands behind this URL in this trial".to_owned()));
    };
    let reply = script.next(asked).map_err(|why| (StatusCode::INTERNAL_SERVER_ERROR, why))?;
    line.calls.push(ModelCall {
        format: format.name.to_owned(),
        model: crate::text::shortened(&asked.model, 200),
        prompt: Files::digest(&String::from_utf8_lossy(body)),
        bytes: u64::try_from(body.len()).unwrap_or(u64::MAX),
        tools: u32::try_from(asked.tools.len()).unwrap_or(u32::MAX),
        calls: u32::try_from(reply.calls.len()).unwrap_or(u32::MAX),
        finish: (format.finish)(&reply).to_owned(),
        tokens_in: reply.tokens_in,
        tokens_out: reply.tokens_out,
        canaries: Vec::new(),
        at_ms,
    });
    Ok(reply)
}

fn streamed(events: &[Event]) -> Response {
    let mut text = String::new();
    for event in events {
        for (key, value) in [("event", event.name), ("data", Some(event.data.as_str()))] {
            text.extend(value.into_iter().flat_map(|value| [key, ": ", value, "\n"]));
        }
        text.push('\n');
    }
    ([(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")], text).into_response()
}

/// The text of a message, whether it is one text or a list of parts.
fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts = parts.iter().filter_map(|part| part.get("text").or_else(|| part.get("content")));
            texts.map(text_of).collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

/// A tool's answer as a value: JSON where it is JSON.
fn result_of(content: &Value) -> Value {
    let text = text_of(content);
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

/// Entries of a list of objects; nothing where there is no list.
fn entries<'v>(body: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> + use<'v> {
    body.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn word<'v>(value: &'v Value, place: &str) -> Option<&'v str> {
    value.pointer(place).and_then(Value::as_str)
}

#[cfg(test)]
mod tests;
