//! The model: what an agent asks its provider comes here, in the provider's own wire format. A script answers, where the
//! trial has one, else the real provider, where the manifest names one.
//!
//! It binds no policy and grades nothing: what was asked and answered goes into the trial's record.

mod script;
mod upstream;

use std::sync::{Arc, OnceLock};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, State},
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
    routing::{any, post},
};
use serde_json::{Value, json};

use super::{desk::Desk, seat::Seat};
use crate::{
    provider::{Asked, CHAT, Event, Format, MESSAGES, RESPONSES, Reply},
    record::{ModelCall, Prompts},
};

pub(super) use script::Script;
use upstream::Passed;
pub use upstream::{Recording, Upstream};

/// The largest request in bytes (8 MiB).
const MAX_PROMPT: usize = 8 * 1024 * 1024;
/// The most requests of one trial; later ones are refused and not recorded.
const MAX_ASKED: usize = 1000;
/// What is said to later ones.
const TOO_MANY: &str = "this trial has asked 1000 times, which is the most";

/// One trial's line to the model.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// What answers.
    pub(super) script: Option<Script>,
    /// What was asked so far.
    pub(super) calls: Vec<ModelCall>,
    prompts: Prompts,
}

impl Line {
    /// Notes a request and gives its place among the trial's; nothing when there are too many.
    fn note(&mut self, call: ModelCall, request: Value) -> Option<usize> {
        let place = self.calls.len();
        if place >= MAX_ASKED {
            return None;
        }
        let said = match request {
            Value::Object(fields) => Some(self.prompts.take(fields)),
            _ => None,
        };
        self.calls.push(ModelCall { said, ..call });
        Some(place)
    }
}

#[derive(Clone)]
struct Shared {
    desk: Arc<Desk>,
    recording: Arc<OnceLock<Recording>>,
}

impl Shared {
    fn upstream(&self, provider: &str) -> Option<(&Recording, &Upstream)> {
        let recording = self.recording.get()?;
        Some((recording, recording.upstreams.get(provider)?))
    }
}

/// The path of a provider's base URL below a token: with the version where its clients expect it.
pub(super) fn place(provider: &str) -> Option<&'static str> {
    match provider {
        "anthropic" => Some("model/anthropic"),
        "openai" => Some("model/openai/v1"),
        _ => None,
    }
}

pub(super) fn router(desk: &Arc<Desk>, recording: &Arc<OnceLock<Recording>>) -> Router {
    Router::new()
        .route("/t/{token}/model/openai/v1/chat/completions", post(chat_completions))
        .route("/t/{token}/model/openai/v1/responses", post(responses))
        .route("/t/{token}/model/openai/v1/{*rest}", any(openai))
        .route("/t/{token}/model/anthropic/v1/messages", post(messages))
        .route("/t/{token}/model/anthropic/v1/{*rest}", any(anthropic))
        .layer(DefaultBodyLimit::max(MAX_PROMPT))
        .with_state(Shared { desk: Arc::clone(desk), recording: Arc::clone(recording) })
}

async fn chat_completions(
    State(shared): State<Shared>,
    Path(token): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    answer(&shared, &CHAT, (&token, &headers), body).await
}

async fn responses(
    State(shared): State<Shared>,
    Path(token): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    answer(&shared, &RESPONSES, (&token, &headers), body).await
}

async fn messages(
    State(shared): State<Shared>,
    Path(token): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    answer(&shared, &MESSAGES, (&token, &headers), body).await
}

/// What else a client asks: `models`, embeddings, tokens to be counted.
type Else = (Method, Uri, HeaderMap);

async fn openai(
    State(shared): State<Shared>,
    Path((token, rest)): Path<(String, String)>,
    (method, uri, headers): Else,
    body: Bytes,
) -> Response {
    other(&shared, (&CHAT, &token, &rest), (method, uri, headers), body).await
}

async fn anthropic(
    State(shared): State<Shared>,
    Path((token, rest)): Path<(String, String)>,
    (method, uri, headers): Else,
    body: Bytes,
) -> Response {
    other(&shared, (&MESSAGES, &token, &rest), (method, uri, headers), body).await
}

/// What is neither a conversation nor known to the stand-in goes to the provider, where there is one.
async fn other(
    shared: &Shared,
    (format, token, rest): (&Format, &str, &str),
    (method, uri, headers): Else,
    body: Bytes,
) -> Response {
    let refused = |status: StatusCode, why: &str| (status, Json((format.refusal)(why))).into_response();
    let seat = shared.desk.find_asking(token, &shared.desk.hints(&headers));
    let is_scripted = seat.as_ref().is_some_and(|seat| seat.model().script.is_some());
    match shared.upstream(format.provider).filter(|_| !is_scripted) {
        Some((recording, upstream)) => {
            let Some(seat) = seat else { return refused(StatusCode::GONE, NO_TRIAL) };
            let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
            let path = format!("{}/{rest}{query}", format.version);
            let request = serde_json::from_slice(&body)
                .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into_owned()));
            let call = ModelCall {
                format: format.provider.to_owned(),
                ..upstream::inspect(&seat, recording, &request, &body)
            };
            let passed = Passed { format, method, path: &path, headers: &headers, body };
            upstream::pass(&seat, upstream, passed, (call, request)).await
        }
        None if rest == "models" && method == Method::GET => models(),
        None if rest == "messages/count_tokens" => {
            Json(json!({"input_tokens": script::tokens(body.len())})).into_response()
        }
        None => refused(StatusCode::NOT_FOUND, "the scripted model knows no such address"),
    }
}

/// One model, with the keys of both providers.
fn models() -> Response {
    let id = "scripted";
    let model = json!({"id": id, "object": "model", "type": "model", "created": 0, "owned_by": "agentready",
        "display_name": id, "created_at": "2026-01-01T00:00:00Z"});
    Json(json!({"object": "list", "data": [model], "has_more": false, "first_id": id, "last_id": id})).into_response()
}

/// Why a request without a trial is not answered.
const NO_TRIAL: &str = "this request belongs to no trial in flight";

async fn answer(shared: &Shared, format: &Format, (token, headers): (&str, &HeaderMap), body: Bytes) -> Response {
    let refused = |status: StatusCode, why: &str| (status, Json((format.refusal)(why))).into_response();
    let Some(seat) = shared.desk.find_asking(token, &shared.desk.hints(headers)) else {
        return refused(StatusCode::GONE, NO_TRIAL);
    };
    let read = serde_json::from_slice(&body).map_err(|error| format!("the body is no JSON: {error}"));
    let read = read.and_then(|request: Value| Ok(((format.read)(&request)?, request)));
    let (asked, request) = match read {
        Ok((asked, request)) => (Asked { bytes: body.len(), ..asked }, request),
        Err(why) => return refused(StatusCode::BAD_REQUEST, &why),
    };
    let nothing = Recording::default();
    let call = ModelCall {
        format: format.name.to_owned(),
        model: crate::text::shortened(&asked.model, 200),
        tools: u32::try_from(asked.tools.len()).unwrap_or(u32::MAX),
        ..upstream::inspect(&seat, shared.recording.get().unwrap_or(&nothing), &request, &body)
    };
    let is_scripted = seat.model().script.is_some();
    if let Some((_, upstream)) = shared.upstream(format.provider).filter(|_| !is_scripted) {
        let path = format!("{}{}", format.version, format.path);
        let passed = Passed { format, method: Method::POST, path: &path, headers, body };
        return upstream::pass(&seat, upstream, passed, (call, request)).await;
    }
    match reply(&seat, format, &asked, (call, request)) {
        Ok(reply) if asked.stream => streamed(&(format.events)(&asked, &reply)),
        Ok(reply) => Json((format.whole)(&asked, &reply)).into_response(),
        Err((status, why)) => refused(status, &why),
    }
}

/// The next answer of the trial's script, noted among its model calls.
fn reply(
    seat: &Seat,
    format: &Format,
    asked: &Asked,
    (call, request): (ModelCall, Value),
) -> Result<Reply, (StatusCode, String)> {
    let mut line = seat.model();
    if line.calls.len() >= MAX_ASKED {
        return Err((StatusCode::TOO_MANY_REQUESTS, TOO_MANY.to_owned()));
    }
    let Some(script) = &mut line.script else {
        return Err((StatusCode::NOT_FOUND, "no model stands behind this URL in this trial".to_owned()));
    };
    let replied = script.next(asked);
    let call = match &replied {
        Ok(reply) => ModelCall {
            calls: u32::try_from(reply.calls.len()).unwrap_or(u32::MAX),
            finish: (format.finish)(reply).to_owned(),
            tokens_in: reply.tokens_in,
            tokens_out: reply.tokens_out,
            ..call
        },
        Err(why) => ModelCall { failed: Some(format!("the model's script can't go on: {why}")), ..call },
    };
    line.note(call, request);
    replied.map_err(|why| (StatusCode::INTERNAL_SERVER_ERROR, why))
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

#[cfg(test)]
mod tests;
