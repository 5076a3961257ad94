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
    /// Milliseconds since the trial began.
    pub at_ms: u64,
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

/// An approval given by a person in the world.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grant {
    /// The tool that may now be called once.
    pub tool: String,
    /// Arguments that the call must agree with.
    pub args: Value,
}
