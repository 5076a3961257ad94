//! Caps on what a run, a minute, an hour and a day may use.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Span;

/// Caps; a missing one takes its default and is tested all the same.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Budgets {
    /// Caps of one run.
    pub per_run: RunCaps,
    /// Caps of a minute; 60 runs unless it says otherwise.
    pub per_minute: WindowCaps,
    /// Caps of an hour.
    pub per_hour: WindowCaps,
    /// Caps of a day.
    pub per_day: WindowCaps,
    /// Objective for the 95th percentile of a run's duration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_p95: Option<Span>,
    /// What happens when a cap is reached.
    pub on_exceed: OnExceed,
    /// Report of the last load test.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_test: Option<String>,
}

/// Caps of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RunCaps {
    /// Steps of the agent's loop.
    #[schemars(range(min = 1))]
    pub steps: u64,
    /// Tool calls.
    #[schemars(range(min = 1))]
    pub tool_calls: u64,
    /// Model calls.
    #[schemars(range(min = 1))]
    pub model_calls: u64,
    /// Input and output tokens over all calls.
    #[schemars(range(min = 1))]
    pub tokens: u64,
    /// Dollars.
    #[schemars(range(min = 0))]
    pub spend_usd: f64,
    /// Writes; retries with the same idempotency key count once.
    pub writes: u64,
    /// The hard stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wall_clock: Option<Span>,
}

impl Default for RunCaps {
    fn default() -> Self {
        Self {
            steps: 25,
            tool_calls: 20,
            model_calls: 25,
            tokens: 200_000,
            spend_usd: 1.0,
            writes: 1,
            wall_clock: None,
        }
    }
}

/// Caps of a window of time, over all runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WindowCaps {
    /// Runs started.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runs: Option<u64>,
    /// Tool calls.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<u64>,
    /// Model calls.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_calls: Option<u64>,
    /// Input and output tokens.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Dollars.
    #[schemars(range(min = 0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spend_usd: Option<f64>,
    /// Writes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub writes: Option<u64>,
}

/// What happens when a cap is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OnExceed {
    /// The reaction.
    #[serde(rename = "do")]
    pub reaction: Reaction,
    /// The model to go on with; needed for `cheaper-model`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

impl Default for OnExceed {
    fn default() -> Self {
        Self { reaction: Reaction::Stop, model: None }
    }
}

words! {
    /// What happens when a cap is reached.
    pub enum Reaction {
        /// The run ends.
        Stop = "stop",
        /// The case goes to a person.
        Escalate = "escalate",
        /// A person is asked whether to go on.
        Ask = "ask",
        /// The run goes on with another model, up to twice the cap.
        CheaperModel = "cheaper-model",
    }
}
