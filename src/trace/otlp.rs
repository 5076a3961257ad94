//! Spans as OTLP brings them, binary or as JSON, in one form. Reads whatever comes: what is no OTLP is an error, what is
//! out of place in it is left out. Must not know what a span means.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::{Map, Value};

use super::wire;

/// One span as it was sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SentSpan {
    /// The id of its trace, in hex.
    pub trace: String,
    /// Its id, in hex.
    pub id: String,
    /// The id of the span that it is part of; empty for the first of a trace.
    pub parent: String,
    /// Its name.
    pub name: String,
    /// The library that made it.
    pub scope: String,
    /// Nanoseconds since 1970.
    pub start: u64,
    /// Nanoseconds since 1970.
    pub end: u64,
    /// What its status says, if it says that the span failed.
    pub failed: Option<String>,
    /// Its attributes, and those of its events that it does not have itself.
    pub attributes: BTreeMap<String, Value>,
}

/// A body that is no OTLP.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OtlpError {
    /// It can't be decoded.
    #[error("the body is no OTLP: {0}")]
    Form(String),
    /// It is JSON of another kind.
    #[error("the body is JSON without a list of `{0}`")]
    Kind(&'static str),
}

/// Spans of an export request as JSON. Ids are hex; some exporters write base64 or names of enumerations, which the
/// standard forbids and which are read all the same.
pub fn spans_of_json(body: &[u8]) -> Result<Vec<SentSpan>, OtlpError> {
    let document: Value = serde_json::from_slice(body).map_err(|error| OtlpError::Form(error.to_string()))?;
    spans_of(&document)
}

/// The same for a document that is parsed.
pub fn spans_of(document: &Value) -> Result<Vec<SentSpan>, OtlpError> {
    let missing = OtlpError::Kind("resourceSpans");
    let Some(members) = document.as_object() else { return Err(missing) };
    if !members.is_empty() && !either(document, "resourceSpans", "resource_spans").is_some_and(Value::is_array) {
        return Err(missing);
    }
    let resources = items(document, "resourceSpans", "resource_spans");
    let scopes = resources.flat_map(|resource| items(resource, "scopeSpans", "scope_spans"));
    let spans = scopes.flat_map(|scope| {
        let name = scope.pointer("/scope/name").and_then(Value::as_str).unwrap_or_default();
        items(scope, "spans", "spans").map(move |span| of_json(span, name))
    });
    Ok(spans.collect())
}

pub(super) fn either<'v>(value: &'v Value, name: &str, other: &str) -> Option<&'v Value> {
    value.get(name).or_else(|| value.get(other))
}

pub(super) fn items<'v>(value: &'v Value, name: &str, other: &str) -> impl Iterator<Item = &'v Value> {
    either(value, name, other).and_then(Value::as_array).into_iter().flatten()
}

fn of_json(span: &Value, scope: &str) -> SentSpan {
    let text = |name: &str| span.get(name).and_then(Value::as_str).unwrap_or_default();
    let time = |name: &str, other: &str| either(span, name, other).and_then(whole).unwrap_or_default();
    let id = |name: &str, other: &str, digits: usize| {
        hex_id(either(span, name, other).and_then(Value::as_str).unwrap_or_default(), digits)
    };
    let mut attributes = attributes_of_json(span);
    for event in items(span, "events", "events") {
        for (key, value) in attributes_of_json(event) {
            attributes.entry(key).or_insert(value);
        }
    }
    let status = span.get("status").unwrap_or(&Value::Null);
    let is_error = status.get("code").is_some_and(|code| code == 2 || code == "2" || code == "STATUS_CODE_ERROR");
    let message = status.get("message").and_then(Value::as_str).unwrap_or_default();
    SentSpan {
        trace: id("traceId", "trace_id", 32),
        id: id("spanId", "span_id", 16),
        parent: id("parentSpanId", "parent_span_id", 16),
        name: text("name").to_owned(),
        scope: scope.to_owned(),
        start: time("startTimeUnixNano", "start_time_unix_nano"),
        end: time("endTimeUnixNano", "end_time_unix_nano"),
        failed: is_error.then(|| message.to_owned()),
        attributes,
    }
}

/// 64-bit numbers are texts in the JSON form of Protocol Buffers.
pub(super) fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

pub(super) fn attributes_of_json(holder: &Value) -> BTreeMap<String, Value> {
    let list = items(holder, "attributes", "attributes");
    list.filter_map(|one| Some((one.get("key")?.as_str()?.to_owned(), plain(one.get("value")?)))).collect()
}

/// The value inside an `AnyValue`.
pub(super) fn plain(value: &Value) -> Value {
    let Some((kind, inner)) = value.as_object().and_then(|members| members.iter().next()) else { return Value::Null };
    match kind.as_str() {
        "arrayValue" | "array_value" => items(inner, "values", "values").map(plain).collect(),
        "kvlistValue" | "kvlist_value" => {
            let entries = items(inner, "values", "values");
            let entries =
                entries.filter_map(|one| Some((one.get("key")?.as_str()?.to_owned(), plain(one.get("value")?))));
            Value::Object(entries.collect())
        }
        "intValue" | "int_value" => match inner.as_str().and_then(|text| text.parse::<i64>().ok()) {
            Some(number) => number.into(),
            None => inner.clone(),
        },
        _ => inner.clone(),
    }
}

/// An id in small hex digits; base64 of the right length is turned into them.
pub(super) fn hex_id(text: &str, digits: usize) -> String {
    if text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return text.to_ascii_lowercase();
    }
    let bytes = base64(text).filter(|bytes| bytes.len() * 2 == digits);
    bytes.map(|bytes| hex(&bytes)).unwrap_or_default()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    if bytes.iter().all(|byte| *byte == 0) {
        return String::new();
    }
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// RFC 4648, section 4, of short texts.
fn base64(text: &str) -> Option<Vec<u8>> {
    const LONGEST: usize = 32;
    let text = text.trim_end_matches('=');
    if text.len() > LONGEST {
        return None;
    }
    let mut bits = 0_u32;
    let mut held = 0_u32;
    let mut bytes = Vec::new();
    for c in text.bytes() {
        let value = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from((bits >> held) & 0xFF).ok()?);
        }
    }
    Some(bytes)
}

/// Spans of an export request in Protocol Buffers.
pub fn spans_of_protobuf(body: &[u8]) -> Result<Vec<SentSpan>, OtlpError> {
    let request = <wire::ExportTrace as prost::Message>::decode(body);
    let request = request.map_err(|error| OtlpError::Form(error.to_string()))?;
    let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
    let spans = scopes.flat_map(|scope| {
        let name = text(&scope.scope.unwrap_or_default().name);
        scope.spans.into_iter().map(move |span| of_wire(span, &name))
    });
    Ok(spans.collect())
}

/// Texts come from anywhere; what is no UTF-8 must not cost the whole batch.
pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn of_wire(span: wire::Span, scope: &str) -> SentSpan {
    let id = |bytes: &[u8], length: usize| if bytes.len() == length { hex(bytes) } else { String::new() };
    let mut attributes = attributes(span.attributes);
    for (key, value) in span.events.into_iter().flat_map(|event| self::attributes(event.attributes)) {
        attributes.entry(key).or_insert(value);
    }
    SentSpan {
        trace: id(&span.trace, 16),
        id: id(&span.id, 8),
        parent: id(&span.parent, 8),
        name: text(&span.name),
        scope: scope.to_owned(),
        start: span.start_time_unix_nano,
        end: span.end_time_unix_nano,
        failed: span.status.filter(|status| status.code == 2).map(|status| text(&status.message)),
        attributes,
    }
}

pub(super) fn attributes(list: Vec<wire::KeyValue>) -> BTreeMap<String, Value> {
    list.into_iter().map(|one| (text(&one.key), one.value.map_or(Value::Null, value))).collect()
}

pub(super) fn value(any: wire::AnyValue) -> Value {
    use wire::any_value::Value as Any;
    match any.value {
        None => Value::Null,
        Some(Any::String(bytes)) => text(&bytes).into(),
        Some(Any::Bool(flag)) => flag.into(),
        Some(Any::Int(number)) => number.into(),
        Some(Any::Double(number)) => number.into(),
        Some(Any::Bytes(bytes)) => hex(&bytes).into(),
        Some(Any::Array(list)) => list.values.into_iter().map(value).collect(),
        Some(Any::Map(list)) => {
            let entries = list.values.into_iter().map(|one| (text(&one.key), one.value.map_or(Value::Null, value)));
            Value::Object(entries.collect::<Map<_, _>>())
        }
    }
}
