//! The real provider behind the stand-in: what an agent asks in a trial goes there and comes back as it comes, streams
//! too, and what it used is noted. Must change nothing on the way but the key.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use futures_util::StreamExt as _;
use serde_json::Value;

use super::super::seat::{Seat, seen};
use crate::{
    provider::{Format, Tell, Told},
    record::{Class, ModelCall},
    source::Files,
    world::gather,
};

/// How long one answer may take; trials have limits of their own.
const PATIENCE: Duration = Duration::from_secs(600);
/// Bytes of an answer that are read for its usage (16 MiB); more are passed on unread.
const MAX_READ: usize = 16 * 1024 * 1024;
/// Headers that belong to one connection, say how the body was packed, name the trial, or are the gate's to say.
const NOT_PASSED: [&str; 12] = [
    "accept-encoding",
    "baggage",
    "connection",
    "content-encoding",
    "content-length",
    "host",
    "keep-alive",
    "te",
    "traceparent",
    "tracestate",
    "transfer-encoding",
    "upgrade",
];

/// A real provider.
#[derive(Clone)]
pub struct Upstream {
    /// Asks it.
    pub http: reqwest::Client,
    /// Its base URL, as clients of this provider take it.
    pub url: String,
    /// The key, where it is not the agent's own.
    pub key: Option<String>,
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Upstream({})", self.url)
    }
}

/// What the stand-in does beside answering by a script.
#[derive(Debug, Default)]
pub struct Recording {
    /// Real providers, by provider.
    pub upstreams: BTreeMap<String, Upstream>,
    /// Classes of data that no prompt may hold.
    pub classes: Vec<Class>,
}

/// One request on its way to a provider.
pub(super) struct Passed<'r> {
    pub(super) format: &'r Format,
    pub(super) method: Method,
    /// Path and query below the base URL.
    pub(super) path: &'r str,
    pub(super) headers: &'r HeaderMap,
    pub(super) body: Bytes,
}

/// A call that says what can be seen in a request of any format: size and time, and canaries of the trial's world, classes
/// of data and secrets that stand in it.
pub(super) fn inspect(seat: &Seat, recording: &Recording, request: &Value, body: &[u8]) -> ModelCall {
    let (world, turn) = {
        let play = seat.play();
        (Arc::clone(play.world()), play.turn())
    };
    let call = ModelCall {
        prompt: Files::digest(&String::from_utf8_lossy(body)),
        bytes: u64::try_from(body.len()).unwrap_or(u64::MAX),
        turn,
        at_ms: seat.at_ms(),
        ..ModelCall::default()
    };
    if world.canaries().is_empty() && recording.classes.is_empty() && seat.watch().is_blind() {
        return call;
    }
    let mut text = String::new();
    gather(request, &mut text);
    let holds = |class: &&Class| class.patterns.iter().any(|pattern| pattern.is_match(&text));
    let classes = recording.classes.iter().filter(holds).map(|class| class.name.clone()).collect();
    let secret = seat.watch().has_secret(&text);
    ModelCall { canaries: seen(&world, text), classes, secret, ..call }
}

/// Passes a request on and its answer back.
pub(super) async fn pass(
    seat: &Arc<Seat>,
    upstream: &Upstream,
    passed: Passed<'_>,
    (call, request): (ModelCall, Value),
) -> Response {
    let &Format { provider, tell, refusal, .. } = passed.format;
    let Some(place) = seat.model().note(ModelCall { forwarded: true, ..call }, request) else {
        return (StatusCode::TOO_MANY_REQUESTS, axum::Json(refusal(super::TOO_MANY))).into_response();
    };
    let mut note = Note { seat: Arc::clone(seat), place, tell, is_stream: false, read: Vec::new(), failed: None };
    let url = format!("{}{}", upstream.url.trim_end_matches('/'), passed.path);
    let headers = headers(upstream, &passed);
    let request = upstream.http.request(passed.method, url).timeout(PATIENCE).headers(headers);
    let response = match request.body(passed.body).send().await {
        Ok(response) => response,
        Err(error) => {
            let why = format!("the model's provider can't be asked: {}", cause(&error));
            let answer = (StatusCode::BAD_GATEWAY, axum::Json(refusal(&why))).into_response();
            note.failed = Some(why);
            return answer;
        }
    };
    let status = response.status();
    if is_hindrance(status) {
        let what = if status == StatusCode::TOO_MANY_REQUESTS { "is rate limited and " } else { "" };
        let status = status.as_u16();
        note.failed = Some(format!("the model's provider ({provider}) {what}answered {status}"));
    }
    let mut answer = Response::builder().status(status);
    for (name, value) in response.headers().iter().filter(|(name, _)| !NOT_PASSED.contains(&name.as_str())) {
        answer = answer.header(name, value);
    }
    let form = response.headers().get(header::CONTENT_TYPE).and_then(|form| form.to_str().ok()).unwrap_or_default();
    note.is_stream = form.starts_with("text/event-stream");
    // The note lives in the stream, so that it is made also when the agent hangs up.
    let body = response.bytes_stream().map(move |piece| {
        match &piece {
            Ok(piece) => note.take(piece),
            Err(error) => note.failed = Some(format!("the model's answer broke off: {}", cause(error))),
        }
        piece
    });
    answer.body(Body::from_stream(body)).unwrap_or_else(|_| StatusCode::BAD_GATEWAY.into_response())
}

/// Whether a provider's refusal says nothing of the agent: it is about the key, the rate or the provider itself.
fn is_hindrance(status: StatusCode) -> bool {
    status.is_server_error() || [401, 402, 403, 407, 408, 429].contains(&status.as_u16())
}

/// The innermost reason, without the address.
fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if error.is_timeout() { "no answer in time".to_owned() } else { crate::text::printable_line(&cause.to_string()) }
}

fn headers(upstream: &Upstream, passed: &Passed<'_>) -> HeaderMap {
    const KEYS: [&str; 3] = ["authorization", "x-api-key", "api-key"];
    let is_passed = |name: &HeaderName| {
        !NOT_PASSED.contains(&name.as_str()) && (upstream.key.is_none() || !KEYS.contains(&name.as_str()))
    };
    let mut headers: HeaderMap =
        passed.headers.iter().filter(|(name, _)| is_passed(name)).map(|(n, v)| (n.clone(), v.clone())).collect();
    if let Some(key) = &upstream.key {
        let (name, value) = match passed.format.provider {
            "anthropic" => (HeaderName::from_static("x-api-key"), key.clone()),
            _ => (header::AUTHORIZATION, format!("Bearer {key}")),
        };
        if let Ok(mut value) = HeaderValue::from_str(&value) {
            value.set_sensitive(true);
            headers.insert(name, value);
        }
    }
    headers
}

/// Keeps an answer until it is over, and then notes what it says of itself.
struct Note {
    seat: Arc<Seat>,
    place: usize,
    tell: Tell,
    is_stream: bool,
    read: Vec<u8>,
    failed: Option<String>,
}

impl Note {
    fn take(&mut self, piece: &[u8]) {
        let room = MAX_READ.saturating_sub(self.read.len());
        self.read.extend(piece.iter().take(room));
    }

    fn told(&self) -> Told {
        let mut told = Told::default();
        if !self.is_stream {
            if let Ok(document) = serde_json::from_slice::<Value>(&self.read) {
                (self.tell)(&document, &mut told);
            }
            return told;
        }
        for line in self.read.split(|byte| *byte == b'\n') {
            let data = line.strip_prefix(b"data:").map(<[u8]>::trim_ascii);
            if let Some(document) = data.and_then(|data| serde_json::from_slice::<Value>(data).ok()) {
                (self.tell)(&document, &mut told);
            }
        }
        told
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        let told = self.told();
        let failed = self.failed.take();
        if let Some(call) = self.seat.model().calls.get_mut(self.place) {
            call.calls = told.calls;
            call.finish = crate::text::shortened(&told.finish, 100);
            call.is_uncounted = failed.is_none() && (told.tokens_in.is_none() || told.tokens_out.is_none());
            call.tokens_in = told.tokens_in.unwrap_or_default();
            call.tokens_out = told.tokens_out.unwrap_or_default();
            call.failed = failed;
        }
    }
}
