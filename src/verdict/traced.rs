//! What the agent's own traces told, held against the gate's ledger.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// All trials whose spans the gate received.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Traced {
    /// Trials that ran to their end, of agents that were pointed to the trace receiver.
    pub trials: u32,
    /// Calls that the agent sent to the gate's tools.
    pub calls: u32,
    /// Those whose span was found by the id that came along with the call.
    pub by_id: u32,
    /// Those whose span was found by the tool and its arguments.
    pub by_arguments: u32,
    /// Those whose span was found by the tool and the time.
    pub by_time: u32,
    /// Those without a span, the first in plan order, at most fifty; `calls` less the three above is their number.
    pub missing: Vec<TracedCall>,
    /// Spans of tools of the manifest without a call behind them.
    pub unbacked: u32,
    /// The first of those, at most fifty.
    pub unbacked_calls: Vec<TracedCall>,
    /// Spans that belonged to no trial in flight: of trials that were over, or of none.
    #[serde(default)]
    pub strays: u32,
    /// Trials in which spans tell of more tokens than the agent reported.
    pub tokens_underreported: u32,
    /// Trials of which more spans or texts came than are kept.
    pub cut: u32,
    /// Trials that ended with an answer, and what is on their spans.
    pub content: TracedContent,
}

/// A call of a tool in a trial.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct TracedCall {
    /// The scenario's id.
    pub scenario: String,
    /// Which try of it, from 0.
    pub trial: u32,
    /// Position in the trial, from 1: of the call in the ledger, or of the span among those of tools.
    pub call: u32,
    /// The tool's name.
    pub tool: String,
}

/// What spans of answered trials hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TracedContent {
    /// Trials that ended with an answer.
    pub trials: u32,
    /// Those with a call of a model.
    pub with_model_calls: u32,
    /// Those with the answer on a span of an agent.
    pub with_final_output: u32,
    /// Those in which every call has its span.
    pub with_all_steps: u32,
    /// Calls of models.
    pub model_calls: u32,
    /// Those with their prompt.
    pub with_prompt: u32,
    /// Calls of tools.
    pub tool_calls: u32,
    /// Those with their arguments.
    pub with_input: u32,
    /// Those with their result, or with what went wrong.
    pub with_output: u32,
}
