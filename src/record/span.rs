//! What the agent itself told of a trial: its spans, read and reduced to what can be compared.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// All that arrived of one trial at the trace receiver.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Telemetry {
    /// Calls of tools and models and runs of agents, in the order of their beginning; one for each call, however many
    /// spans told of it.
    pub spans: Vec<SpanRecord>,
    /// Log records, in the order of their arrival.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logs: Vec<LogRecord>,
    /// Spans that said nothing of these.
    #[serde(default)]
    pub others: u32,
    /// Spans beyond what is kept of a trial.
    #[serde(default)]
    pub dropped: u32,
    /// Whether texts of spans or logs were cut to what is kept of a trial.
    #[serde(default)]
    pub cut: bool,
    /// Names of canaries in spans and logs of a trial of which not all is kept: they were searched as they came.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub canaries: BTreeSet<String>,
    /// Whether a secret of the environment stood in what is not kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub secret: bool,
}

/// What a span tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SpanKind {
    /// A call of a tool.
    Tool,
    /// A call of a model.
    Model,
    /// A run of an agent.
    Agent,
}

/// One call or run as spans tell of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpanRecord {
    /// Its id, in hex.
    pub id: String,
    /// The nearest span around it that is kept, else its parent in the trace.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub parent: String,
    /// What it tells of.
    pub kind: SpanKind,
    /// The convention that its names follow.
    pub dialect: String,
    /// The tool, the model or the agent, as far as it is named.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The model's id of a tool call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_id: Option<String>,
    /// Arguments, prompt or task.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub input: Value,
    /// Result or answer.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub output: Value,
    /// Tokens that the model read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_in: Option<u64>,
    /// Tokens that the model wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_out: Option<u64>,
    /// Dollars that a call of a model cost, as the span says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usd: Option<f64>,
    /// What went wrong, as the span says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Milliseconds from the trial's beginning to its own, by the agent's clock.
    pub at_ms: i64,
    /// Milliseconds that it took.
    pub took_ms: u64,
    /// Spans inside it that tell of the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<String>,
    /// What else it says.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub rest: Value,
}

/// One log record as the agent sent it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LogRecord {
    /// The name of the event that it tells of, if it has one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// What it says.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub body: Value,
    /// Its attributes.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub rest: Value,
}

impl Telemetry {
    /// Spans of one kind.
    pub fn of(&self, kind: SpanKind) -> impl Iterator<Item = &SpanRecord> {
        self.spans.iter().filter(move |span| span.kind == kind)
    }

    /// Tokens in and out of all model calls; nothing when no span names any.
    pub fn tokens(&self) -> Option<u64> {
        let told = self.of(SpanKind::Model).flat_map(|span| [span.tokens_in, span.tokens_out]).flatten();
        told.fold(None, |sum: Option<u64>, tokens| Some(sum.unwrap_or_default().saturating_add(tokens)))
    }
}
