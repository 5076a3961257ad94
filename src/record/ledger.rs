//! Tool calls that the gate saw itself.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One tool call as it arrived at the stand-in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Position in the trial, from 0.
    pub seq: u32,
    /// The user turn during which it arrived, from 0.
    pub turn: u32,
    /// The tool's name.
    pub tool: String,
    /// The arguments as sent.
    pub args: Value,
    /// What became of it.
    pub status: CallStatus,
    /// What the tool answered (for a refusal: the error text).
    pub result: Value,
    /// How the tool misbehaved, by the word of the scenario's `faults`; the result is then what the agent was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// The approval that this call granted, if it is a call of an approval tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grants: Option<Grant>,
    /// That a person decided about this call, granted or not, if it is a call of an approval tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review: Option<Review>,
    /// How it went, where the manifest forwards the tool to a system of staging.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forwarded: Option<Forwarded>,
    /// What came along with the call; nothing for a call that the gate carried out itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carried: Option<Carried>,
    /// Milliseconds since the trial began.
    pub at_ms: u64,
}

impl Call {
    /// A call that took effect, the first one of its trial.
    pub fn executed(tool: &str, args: Value) -> Self {
        Self {
            seq: 0,
            turn: 0,
            tool: tool.to_owned(),
            args,
            status: CallStatus::Executed,
            result: Value::Object(serde_json::Map::new()),
            fault: None,
            grants: None,
            review: None,
            forwarded: None,
            carried: None,
            at_ms: 0,
        }
    }
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallStatus {
    /// It arrived but could not be carried out: unknown tool, malformed arguments, a fault.
    Attempted,
    /// A guard of the tool refused it.
    Blocked,
    /// It took effect.
    Executed,
}

/// How a call went that is forwarded in some scenarios.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forwarded {
    /// The system of the manifest.
    pub system: String,
    /// How far it came.
    pub passage: Passage,
    /// All that was answered, where that is more than the result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Value>,
    /// What the server asked of its client meanwhile (sampling, elicitation, roots), which the gate refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<String>,
}

/// How far a forwarded call came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Passage {
    /// The system answered.
    Answered,
    /// It was sent, and no answer came that could be read.
    Lost,
    /// It was sent, and nothing came back before the trial ended.
    Sent,
    /// It was not sent, and the world has no such tool.
    Withheld,
}

/// W3C trace context that came along with a call, in headers or in MCP's `_meta`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carried {
    /// `traceparent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// `baggage`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baggage: Option<String>,
}

impl Carried {
    /// The value of a member of the baggage.
    pub fn member(&self, name: &str) -> Option<&str> {
        let members = self.baggage.iter().flat_map(|baggage| baggage.split(','));
        let mut found = members.filter_map(|member| {
            let (key, value) = member.trim().split_once('=')?;
            let value = value.split(';').next().unwrap_or(value).trim();
            (key.trim() == name && !value.is_empty()).then_some(value)
        });
        found.next()
    }

    /// The trace id.
    pub fn trace(&self) -> Option<&str> {
        self.traceparent.as_deref()?.split('-').nth(1)
    }

    /// The id of the span that sent it.
    pub fn span(&self) -> Option<&str> {
        self.traceparent.as_deref()?.split('-').nth(2)
    }
}

/// A person's decision in the world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Review {
    /// Minutes that it took by the world's clock; nothing where the world does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minutes: Option<f64>,
}

/// An approval given by a person in the world.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grant {
    /// The tool that may now be called once.
    pub tool: String,
    /// Arguments that the call must agree with.
    pub args: Value,
}
