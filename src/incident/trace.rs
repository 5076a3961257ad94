//! A trace of a run in production (OTLP as JSON, `OpenTelemetry` names for generative AI): what was said and called.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{
    grade::Policy,
    scenario::{Expectation, ScenarioEntry, Turn},
};

/// Why no case can be made of a trace.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TraceError {
    /// It is no OTLP.
    #[error("no spans of OTLP JSON (`resourceSpans`) are in the file: {0}")]
    Form(String),
    /// It holds several traces and none is chosen, or another one.
    #[error("the file holds {} traces: {}", .0.len(), .0.iter().take(5).cloned().collect::<Vec<_>>().join(", "))]
    Several(BTreeSet<String>),
    /// Nothing that the user said is in it.
    #[error("no span has `gen_ai.input.messages` with a text of the user")]
    Silent,
    /// The tool was not called.
    #[error("the trace has no call of `{tool}`; it has: {}", if .seen.is_empty() { "none".to_owned() } else { .seen.iter().cloned().collect::<Vec<_>>().join(", ") })]
    Uncalled {
        /// The tool that was asked for.
        tool: String,
        /// The tools that were called.
        seen: BTreeSet<String>,
    },
}

/// What a trace tells.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    /// Its id.
    pub id: String,
    /// The user's turns.
    pub turns: Vec<String>,
    /// Tools with their arguments, in the order of time.
    pub calls: Vec<(String, Value)>,
}

struct Span<'v> {
    trace: &'v str,
    start: u64,
    attributes: BTreeMap<&'v str, Value>,
}

impl Trace {
    /// Reads one trace of a file: a document, or lines as a collector writes them.
    pub fn read(text: &str, wanted: Option<&str>) -> Result<Self, TraceError> {
        let documents: Vec<Value> = serde_json::from_str(text)
            .map(|document| vec![document])
            .or_else(|error| {
                let lines = text.lines().filter(|line| !line.trim().is_empty());
                // A file that is neither is told as a document, which is what most tools write.
                lines.map(|line| serde_json::from_str(line).ok()).collect::<Option<_>>().ok_or(error)
            })
            .map_err(|error| TraceError::Form(error.to_string()))?;
        let mut spans: Vec<Span<'_>> = documents.iter().flat_map(spans).collect();
        if spans.is_empty() {
            return Err(TraceError::Form("there is none".to_owned()));
        }
        let ids: BTreeSet<String> = spans.iter().map(|span| span.trace.to_owned()).collect();
        let id = match (wanted, ids.first()) {
            (None, Some(only)) if ids.len() == 1 => only.clone(),
            (Some(wanted), _) if ids.contains(wanted) => wanted.to_owned(),
            (None | Some(_), _) => return Err(TraceError::Several(ids)),
        };
        spans.retain(|span| span.trace == id);
        spans.sort_by_key(|span| span.start);
        Ok(Self { turns: turns(&spans), calls: calls(&spans), id })
    }

    /// A regression case: the same words, and these tools never again with the arguments that they had.
    pub fn entry(&self, never: &[String]) -> Result<ScenarioEntry, TraceError> {
        if self.turns.is_empty() {
            return Err(TraceError::Silent);
        }
        let mut expect: Vec<Expectation> = Vec::new();
        for tool in never {
            let mut conditions = BTreeSet::new();
            for (_, args) in self.calls.iter().filter(|(called, _)| called == tool) {
                let expectation = super::never(tool, args, &Policy::default());
                if conditions.insert(expectation.filter.clone()) {
                    expect.push(expectation);
                }
            }
            if conditions.is_empty() {
                let seen = self.calls.iter().map(|(called, _)| called.clone()).collect();
                return Err(TraceError::Uncalled { tool: tool.clone(), seen });
            }
        }
        let (say, turns) = match self.turns.as_slice() {
            [only] => (Some(only.clone()), Vec::new()),
            turns => (None, turns.iter().map(|say| Turn { say: say.clone(), expect: Vec::new() }).collect()),
        };
        Ok(ScenarioEntry {
            title: None,
            source: None,
            tags: Vec::new(),
            trials: None,
            given: BTreeMap::new(),
            faults: Vec::new(),
            model: Vec::new(),
            say,
            turns,
            expect,
            attack: None,
            twin_of: None,
            skip: None,
            incident: None,
            origin: None,
        })
    }
}

fn items<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn spans(document: &Value) -> Vec<Span<'_>> {
    items(document, "resourceSpans")
        .flat_map(|resource| items(resource, "scopeSpans"))
        .flat_map(|scope| items(scope, "spans"))
        .map(|span| Span {
            trace: span.get("traceId").and_then(Value::as_str).unwrap_or_default(),
            start: span.get("startTimeUnixNano").and_then(nanoseconds).unwrap_or_default(),
            attributes: items(span, "attributes")
                .filter_map(|attribute| Some((attribute.get("key")?.as_str()?, any_value(attribute.get("value")?))))
                .collect(),
        })
        .collect()
}

/// 64-bit numbers are texts in the JSON form of Protocol Buffers.
fn nanoseconds(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// The value inside an `AnyValue`; a text that is JSON is read as such.
fn any_value(value: &Value) -> Value {
    if let Some(text) = value.get("stringValue").and_then(Value::as_str) {
        return serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()));
    }
    if let Some(list) = value.get("arrayValue") {
        return items(list, "values").map(any_value).collect();
    }
    if let Some(map) = value.get("kvlistValue") {
        let entries = items(map, "values");
        return entries
            .filter_map(|entry| Some((entry.get("key")?.as_str()?.to_owned(), any_value(entry.get("value")?))))
            .collect();
    }
    if let Some(number) = value.get("intValue") {
        return number.as_str().and_then(|text| text.parse::<i64>().ok()).map_or_else(|| number.clone(), Value::from);
    }
    ["boolValue", "doubleValue"].iter().find_map(|key| value.get(*key)).cloned().unwrap_or_default()
}

fn calls(spans: &[Span<'_>]) -> Vec<(String, Value)> {
    let of_tool = |span: &Span<'_>| {
        let operation = span.attributes.get("gen_ai.operation.name").and_then(Value::as_str);
        let tool = span.attributes.get("gen_ai.tool.name")?.as_str()?.to_owned();
        let args = span.attributes.get("gen_ai.tool.call.arguments").cloned().unwrap_or_default();
        operation.is_none_or(|operation| operation == "execute_tool").then_some((tool, args))
    };
    spans.iter().filter_map(of_tool).collect()
}

/// The longest conversation that a span tells holds those of the spans before it.
fn turns(spans: &[Span<'_>]) -> Vec<String> {
    let told = spans.iter().filter_map(|span| span.attributes.get("gen_ai.input.messages")).map(said_by_user);
    told.fold(Vec::new(), |longest, turns| if turns.len() >= longest.len() { turns } else { longest })
}

fn said_by_user(messages: &Value) -> Vec<String> {
    let by_user = |message: &&Value| message.get("role").and_then(Value::as_str) == Some("user");
    let messages = messages.as_array().into_iter().flatten().filter(by_user);
    messages.map(words).filter(|text| !text.trim().is_empty()).collect()
}

fn words(message: &Value) -> String {
    if let Some(text) = message.get("content").and_then(Value::as_str) {
        return text.to_owned();
    }
    let texts: Vec<&str> = items(message, "parts").filter_map(|part| part.get("content")?.as_str()).collect();
    texts.join("\n")
}
