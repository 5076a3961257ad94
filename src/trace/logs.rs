//! Log records as OTLP brings them, binary or as JSON, in one form; and a line of a file, which holds either spans or logs.
//! Must not know what a log means.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    OtlpError, SentSpan,
    otlp::{attributes, attributes_of_json, either, hex, hex_id, items, plain, spans_of, text, value, whole},
    wire,
};

/// One log record as it was sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SentLog {
    /// The id of the trace that it belongs to, in hex; empty for none.
    pub trace: String,
    /// The name of the event that it tells of; empty for none.
    pub name: String,
    /// Nanoseconds since 1970.
    pub at: u64,
    /// What it says.
    pub body: Value,
    /// Its attributes.
    pub attributes: BTreeMap<String, Value>,
}

/// What one request brought.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sent {
    /// Spans.
    pub spans: Vec<SentSpan>,
    /// Log records.
    pub logs: Vec<SentLog>,
}

/// What stands on one line of a file of export requests: spans or logs; metrics are left out.
pub fn sent_of_line(line: &[u8]) -> Result<Sent, OtlpError> {
    let document: Value = serde_json::from_slice(line).map_err(|error| OtlpError::Form(error.to_string()))?;
    if either(&document, "resourceMetrics", "resource_metrics").is_some_and(Value::is_array) {
        return Ok(Sent::default());
    }
    if either(&document, "resourceLogs", "resource_logs").is_some() {
        return Ok(Sent { logs: logs_of(&document)?, ..Sent::default() });
    }
    Ok(Sent { spans: spans_of(&document)?, ..Sent::default() })
}

/// Log records of an export request as JSON.
pub fn logs_of_json(body: &[u8]) -> Result<Vec<SentLog>, OtlpError> {
    logs_of(&serde_json::from_slice(body).map_err(|error| OtlpError::Form(error.to_string()))?)
}

fn logs_of(document: &Value) -> Result<Vec<SentLog>, OtlpError> {
    let missing = OtlpError::Kind("resourceLogs");
    let Some(members) = document.as_object() else { return Err(missing) };
    if !members.is_empty() && !either(document, "resourceLogs", "resource_logs").is_some_and(Value::is_array) {
        return Err(missing);
    }
    let resources = items(document, "resourceLogs", "resource_logs");
    let scopes = resources.flat_map(|resource| items(resource, "scopeLogs", "scope_logs"));
    Ok(scopes.flat_map(|scope| items(scope, "logRecords", "log_records")).map(of_json).collect())
}

fn of_json(log: &Value) -> SentLog {
    let text = |name: &str, other: &str| either(log, name, other).and_then(Value::as_str).unwrap_or_default();
    let time = |name: &str, other: &str| either(log, name, other).and_then(whole).filter(|time| *time > 0);
    let at = time("timeUnixNano", "time_unix_nano").or_else(|| time("observedTimeUnixNano", "observed_time_unix_nano"));
    SentLog {
        trace: hex_id(text("traceId", "trace_id"), 32),
        name: text("eventName", "event_name").to_owned(),
        at: at.unwrap_or_default(),
        body: log.get("body").map_or(Value::Null, plain),
        attributes: attributes_of_json(log),
    }
}

/// Log records of an export request in Protocol Buffers.
pub fn logs_of_protobuf(body: &[u8]) -> Result<Vec<SentLog>, OtlpError> {
    let request = <wire::ExportLogs as prost::Message>::decode(body);
    let request = request.map_err(|error| OtlpError::Form(error.to_string()))?;
    let scopes = request.resource_logs.into_iter().flat_map(|resource| resource.scope_logs);
    Ok(scopes.flat_map(|scope| scope.log_records).map(of_wire).collect())
}

fn of_wire(log: wire::LogRecord) -> SentLog {
    SentLog {
        trace: if log.trace.len() == 16 { hex(&log.trace) } else { String::new() },
        name: text(&log.event_name),
        at: if log.time_unix_nano > 0 { log.time_unix_nano } else { log.observed_time_unix_nano },
        body: log.body.map_or(Value::Null, value),
        attributes: attributes(log.attributes),
    }
}
