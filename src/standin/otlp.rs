//! The trace receiver: OTLP over HTTP, binary or JSON, plain or gzip. Spans and logs go to the trial that they belong to;
//! metrics are taken and left. Never answers in a way that makes an exporter send the same batch for ever.

use std::{io::Read as _, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::post,
};
use serde_json::json;

use super::desk::Desk;
use crate::trace::{OtlpError, Sent, logs_of_json, logs_of_protobuf, spans_of_json, spans_of_protobuf};

/// The largest body in bytes (8 MiB), as it is sent.
const MAX_BODY: usize = 8 * 1024 * 1024;
/// The largest body in bytes (32 MiB), unpacked.
const MAX_UNPACKED: usize = 32 * 1024 * 1024;
/// Spans or log records of one batch that are taken.
const MAX_ITEMS: usize = 10_000;

const JSON: &str = "application/json";
const PROTOBUF: &str = "application/x-protobuf";

pub(super) fn router(desk: &Arc<Desk>) -> Router {
    Router::new()
        .route("/t/{token}/otlp", post(traces))
        .route("/t/{token}/otlp/v1/traces", post(traces))
        .route("/t/{token}/otlp/v1/logs", post(logs))
        .route("/t/{token}/otlp/v1/metrics", post(others))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(Arc::clone(desk))
}

async fn traces(State(desk): State<Arc<Desk>>, Path(token): Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    let read = |form, body: &Bytes| {
        let mut spans = if form == JSON { spans_of_json(body) } else { spans_of_protobuf(body) }?;
        let beyond = spans.len().saturating_sub(MAX_ITEMS);
        spans.truncate(MAX_ITEMS);
        Ok((Sent { spans, ..Sent::default() }, beyond))
    };
    receive((&desk, &token), &headers, &body, (SPANS, read))
}

async fn logs(State(desk): State<Arc<Desk>>, Path(token): Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    let read = |form, body: &Bytes| {
        let mut logs = if form == JSON { logs_of_json(body) } else { logs_of_protobuf(body) }?;
        let beyond = logs.len().saturating_sub(MAX_ITEMS);
        logs.truncate(MAX_ITEMS);
        Ok((Sent { logs, ..Sent::default() }, beyond))
    };
    receive((&desk, &token), &headers, &body, (LOGS, read))
}

/// The word for what was left out of a batch.
const SPANS: &str = "rejectedSpans";
/// The same for logs.
const LOGS: &str = "rejectedLogRecords";

/// What a body in one of the two forms brings, and how much of it is left out.
type Read = fn(&'static str, &Bytes) -> Result<(Sent, usize), OtlpError>;

fn receive(
    (desk, token): (&Desk, &str),
    headers: &HeaderMap,
    body: &Bytes,
    (word, read): (&'static str, Read),
) -> Response {
    if !desk.knows(token) {
        return refused(JSON, StatusCode::NOT_FOUND, "nobody listens at this URL");
    }
    let Some(form) = form(headers) else {
        return refused(JSON, StatusCode::UNSUPPORTED_MEDIA_TYPE, "OTLP is application/x-protobuf or application/json");
    };
    let body = match unpacked(headers, body) {
        Ok(body) => body,
        Err((status, why)) => return refused(form, status, why),
    };
    match read(form, &body) {
        Ok((sent, beyond)) => {
            desk.take(&desk.meant(token.to_owned(), headers), sent);
            taken(form, (word, beyond))
        }
        Err(error) => refused(form, StatusCode::BAD_REQUEST, &error.to_string()),
    }
}

/// Metrics: an exporter that is refused would try again.
async fn others(State(desk): State<Arc<Desk>>, Path(token): Path<String>, headers: HeaderMap) -> Response {
    if !desk.knows(&token) {
        return refused(JSON, StatusCode::NOT_FOUND, "nobody listens at this URL");
    }
    taken(form(&headers).unwrap_or(JSON), (SPANS, 0))
}

fn form(headers: &HeaderMap) -> Option<&'static str> {
    let sent = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let sent = sent.split(';').next().unwrap_or_default().trim();
    [JSON, PROTOBUF].into_iter().find(|form| sent.eq_ignore_ascii_case(form))
}

type Refusal = (StatusCode, &'static str);

fn unpacked(headers: &HeaderMap, body: &Bytes) -> Result<Bytes, Refusal> {
    let packing = headers.get(header::CONTENT_ENCODING).map(|packing| packing.to_str().unwrap_or_default().trim());
    match packing {
        None | Some("" | "identity") => Ok(body.clone()),
        Some(packing) if packing.eq_ignore_ascii_case("gzip") => {
            let mut plain = Vec::new();
            let limit = u64::try_from(MAX_UNPACKED).unwrap_or(u64::MAX).saturating_add(1);
            let read = flate2::read::MultiGzDecoder::new(body.as_ref()).take(limit).read_to_end(&mut plain);
            match read {
                Err(_) => Err((StatusCode::BAD_REQUEST, "the body is not gzip")),
                Ok(size) if size > MAX_UNPACKED => Err((StatusCode::PAYLOAD_TOO_LARGE, "the body unpacks to too much")),
                Ok(_) => Ok(plain.into()),
            }
        }
        Some(_) => Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, "bodies are plain or gzip")),
    }
}

/// 200, in the form of the request; with what was left out of it.
fn taken(form: &'static str, (word, beyond): (&'static str, usize)) -> Response {
    const WHY: &str = "a batch of more than is taken at once";
    let body = match (form == JSON, beyond) {
        (true, 0) => Bytes::from_static(b"{}"),
        (false, 0) => Bytes::new(),
        (true, beyond) => {
            let partial = json!({word: beyond.to_string(), "errorMessage": WHY});
            json!({ "partialSuccess": partial }).to_string().into()
        }
        (false, beyond) => {
            let partial = Partial { rejected: i64::try_from(beyond).unwrap_or(i64::MAX), why: WHY.to_owned() };
            prost::Message::encode_to_vec(&Answer { partial: Some(partial) }).into()
        }
    };
    ([(header::CONTENT_TYPE, form)], body).into_response()
}

/// An error as the standard wants it: a `Status` in the form of the request. None of these is tried again.
fn refused(form: &'static str, status: StatusCode, why: &str) -> Response {
    const INVALID_ARGUMENT: i32 = 3;
    let body = if form == JSON {
        Bytes::from(json!({"code": INVALID_ARGUMENT, "message": why}).to_string())
    } else {
        prost::Message::encode_to_vec(&Status { code: INVALID_ARGUMENT, message: why.to_owned() }).into()
    };
    (status, [(header::CONTENT_TYPE, form)], body).into_response()
}

/// `ExportTraceServiceResponse`, which that of logs is alike.
#[derive(Clone, PartialEq, prost::Message)]
struct Answer {
    #[prost(message, optional, tag = "1")]
    partial: Option<Partial>,
}

/// `ExportTracePartialSuccess`, which that of logs is alike.
#[derive(Clone, PartialEq, prost::Message)]
struct Partial {
    #[prost(int64, tag = "1")]
    rejected: i64,
    #[prost(string, tag = "2")]
    why: String,
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, prost::Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}
