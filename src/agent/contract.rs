//! What every adapter takes and gives.

use std::time::Duration;

use crate::record::{Claim, Usage};

/// Everything an adapter may tell the agent about the trial it is in.
#[derive(Clone, Debug)]
pub struct TrialContext {
    /// The gate's run id.
    pub run_id: String,
    /// `<scenario>#<trial>`.
    pub trial_id: String,
    /// Unguessable token of this trial; part of `tools_url`.
    pub token: String,
    /// Base URL of this trial's tools: `POST {tools_url}/<tool name>`.
    pub tools_url: String,
    /// W3C trace context of the trial.
    pub traceparent: String,
    /// W3C baggage: `run_id=…,agentready.trial=<token>`.
    pub baggage: String,
    /// The header that names the trial, with its value, where the manifest asks for one.
    pub header: Option<(String, String)>,
}

/// One message of the conversation so far.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Message {
    /// `user` or `assistant`.
    pub role: &'static str,
    /// The text.
    pub content: String,
}

/// The agent's answer to one turn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// The final text.
    pub text: String,
    /// Tool calls that the agent says it made.
    pub claimed: Vec<Claim>,
    /// Usage that the agent reports.
    pub usage: Usage,
}

/// Why a turn has no answer.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum TurnError {
    /// Refused, reset, unresolved: nothing reached the agent, so it may be tried again.
    #[error("{0}")]
    Transport(String),
    /// HTTP 429 or 503 with a wish to wait: may be tried again later.
    #[error("the agent is rate limited")]
    RateLimited {
        /// The server's `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// 401, 403, 404, a wrong content type: the endpoint is not set up as the manifest says.
    #[error("{0}")]
    Setup(String),
    /// 5xx, an unreadable or empty answer, an oversized body, a dead process: the agent failed.
    #[error("{0}")]
    Agent(String),
    /// No complete answer in time.
    #[error("no complete answer within {}", crate::units::format_duration(*.0))]
    Timeout(Duration),
}
