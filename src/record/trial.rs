//! One finished trial as it stands in `trials.ndjson`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{drill::Probe, ledger::Call, model::ModelCall, span::Telemetry};
use crate::source::Route;

/// All that happened in one trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrialRecord {
    /// Position in the plan, from 0.
    pub index: u32,
    /// The scenario's id.
    pub scenario: String,
    /// Which try of this scenario, from 0.
    pub trial: u32,
    /// The turns in order.
    pub turns: Vec<TurnRecord>,
    /// Calls that arrived at the stand-ins.
    pub ledger: Vec<Call>,
    /// What the agent was shown in lists of tools that the scenario's faults changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shown: Vec<Shown>,
    /// Whether the agent, a client of MCP, knew the tools of this trial; nothing when its calls come over plain HTTP, which
    /// has no list that must be read, and when it never spoke to the gate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looked: Option<Looked>,
    /// Requests that arrived at the model stand-in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub model_calls: Vec<ModelCall>,
    /// What the trial was to show, for a drill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill: Option<Probe>,
    /// The world's state when the trial was over.
    #[serde(default)]
    pub state: Value,
    /// What arrived at the trace receiver; nothing when the agent was not pointed there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telemetry: Option<Telemetry>,
    /// Whether the trial ran to its end.
    pub end: End,
    /// Requests sent, retries included.
    pub attempts: u32,
    /// Milliseconds from the first request to the last answer.
    pub duration_ms: u64,
    /// The ruling on what was seen, when values of data classes are tokens on record: what is left can't tell any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ruling: Option<Ruling>,
}

impl TrialRecord {
    /// A trial that ended before anything was asked.
    pub fn unasked(index: u32, scenario: &str, trial: u32, end: End) -> Self {
        Self {
            index,
            scenario: scenario.to_owned(),
            trial,
            turns: Vec::new(),
            ledger: Vec::new(),
            shown: Vec::new(),
            looked: None,
            model_calls: Vec::new(),
            drill: None,
            state: Value::Null,
            telemetry: None,
            end,
            attempts: 0,
            duration_ms: 0,
            ruling: None,
        }
    }

    /// Hands out every text by others to be changed.
    pub(super) fn each_text_mut(&mut self, change: &mut impl FnMut(&mut String)) {
        for turn in &mut self.turns {
            change(&mut turn.say);
            change(&mut turn.answer);
            turn.claimed.iter_mut().for_each(|claim| change(&mut claim.tool));
        }
        for call in &mut self.ledger {
            change(&mut call.tool);
            call.grants.iter_mut().for_each(|grant| change(&mut grant.tool));
            call.forwarded.iter_mut().flat_map(|way| &mut way.refused).for_each(&mut *change);
            if let Some(carried) = &mut call.carried {
                carried.traceparent.iter_mut().chain(&mut carried.baggage).for_each(&mut *change);
            }
        }
        self.shown.iter_mut().for_each(|shown| change(&mut shown.says));
        for call in &mut self.model_calls {
            [&mut call.model, &mut call.finish].into_iter().chain(&mut call.failed).for_each(&mut *change);
        }
        for span in self.telemetry.iter_mut().flat_map(|told| &mut told.spans) {
            change(&mut span.name);
            span.call_id.iter_mut().chain(&mut span.error).for_each(&mut *change);
        }
        self.telemetry.iter_mut().flat_map(|told| &mut told.logs).for_each(|log| change(&mut log.name));
        match &mut self.end {
            End::AgentError { message } | End::InfraError { message } | End::Skipped { message } => change(message),
            End::Completed => {}
        }
        self.ruling.iter_mut().flat_map(|ruling| &mut ruling.misses).for_each(|miss| {
            change(&mut miss.message);
            miss.expected.iter_mut().chain(&mut miss.actual).for_each(&mut *change);
        });
    }

    /// Hands out every value by others to be changed.
    pub(super) fn each_value_mut(&mut self, change: &mut impl FnMut(&mut Value)) {
        for turn in &mut self.turns {
            turn.claimed.iter_mut().for_each(|claim| change(&mut claim.args));
            turn.state.iter_mut().for_each(&mut *change);
        }
        for call in &mut self.ledger {
            change(&mut call.args);
            change(&mut call.result);
            call.grants.iter_mut().for_each(|grant| change(&mut grant.args));
            call.forwarded.iter_mut().filter_map(|way| way.answer.as_mut()).for_each(&mut *change);
        }
        self.model_calls
            .iter_mut()
            .flat_map(|call| &mut call.said)
            .flat_map(|said| &mut said.new)
            .for_each(&mut *change);
        self.drill.iter_mut().for_each(|probe| change(&mut probe.args));
        for span in self.telemetry.iter_mut().flat_map(|told| &mut told.spans) {
            [&mut span.input, &mut span.output, &mut span.rest].into_iter().for_each(&mut *change);
        }
        for log in self.telemetry.iter_mut().flat_map(|told| &mut told.logs) {
            [&mut log.body, &mut log.rest].into_iter().for_each(&mut *change);
        }
        change(&mut self.state);
    }
}

/// What a list of tools said of one of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// The tool.
    pub tool: String,
    /// How the list was changed, by the word of the scenario's `faults`.
    pub fault: String,
    /// The words that stood there.
    pub says: String,
}

/// How a client of MCP knew the tools of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Looked {
    /// It listed or called them during the trial.
    Now,
    /// It listed them before, and they were the same.
    Before,
    /// It listed them before this trial's tools were in place, and these are others.
    Stale,
    /// It neither listed nor called any.
    Never,
}

/// One user message and the agent's answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TurnRecord {
    /// What was sent.
    pub say: String,
    /// What came back.
    pub answer: String,
    /// Tool calls that the agent says it made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claimed: Vec<Claim>,
    /// Usage that the agent reports.
    #[serde(default)]
    pub usage: Usage,
    /// Milliseconds until the answer was complete.
    pub latency_ms: u64,
    /// The world's state after this turn; kept only where an expectation of the turn asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Value>,
}

/// A tool call that the agent claims.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// The tool's name.
    pub tool: String,
    /// The arguments, if given.
    #[serde(default)]
    pub args: Value,
    /// Whether the agent says that its own policy stopped the call.
    #[serde(default)]
    pub blocked: bool,
}

/// Usage as reported, zero where nothing was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens in and out.
    #[serde(default)]
    pub tokens: u64,
    /// Steps of the agent's loop.
    #[serde(default)]
    pub steps: u64,
    /// What models cost, in US dollars.
    #[serde(default)]
    pub usd: f64,
    /// What calls of tools cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools_usd: Option<f64>,
    /// What the time of the people cost who reviewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review_usd: Option<f64>,
    /// What all of it cost together, where the agent does not tell the parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_usd: Option<f64>,
}

/// Why a trial that was dropped in flight has no result; such a trial is not on record, so a resumed run tries it again.
pub const DROPPED: &str = "dropped in flight";

/// How a trial ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "how")]
pub enum End {
    /// Every turn was answered.
    Completed,
    /// The agent failed: 5xx, an unreadable answer, a timeout, an oversized body.
    AgentError {
        /// What was seen.
        message: String,
    },
    /// The way to the agent failed: refused, reset, DNS, 429 beyond the retries.
    InfraError {
        /// What was seen.
        message: String,
    },
    /// The run ended before the trial did.
    Skipped {
        /// Why.
        message: String,
    },
}

/// The grade of a trial that was given before values in it became tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ruling {
    /// The grade's name.
    pub grade: String,
    /// What did not hold, worst first.
    pub misses: Vec<RuledMiss>,
    /// Calls that a policy stopped.
    pub blocked_attempts: u32,
}

/// One thing that did not hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuledMiss {
    /// How bad it is: `A`, `B` or `C`.
    pub category: String,
    /// What happened.
    pub message: String,
    /// What was expected, where it can be written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What was seen, where it can be written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actual: Option<String>,
    /// The expectation's place in the scenario file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<Route>,
}
