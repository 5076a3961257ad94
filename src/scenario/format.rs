//! The scenario file as people write it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Fault, Move};
use crate::units::Span;

/// A file of scenarios that share a suite and a world.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScenarioFile {
    /// What the scenarios are for.
    pub suite: Suite,
    /// The world file, relative to this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub world: Option<String>,
    /// Tags of every scenario of the file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// How often each scenario is tried; the manifest's `evals.trials` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trials: Option<u32>,
    /// The scenarios by id (kebab-case, unique over all files of a run).
    pub scenarios: BTreeMap<String, ScenarioEntry>,
}

/// Golden: lawful work. Adversarial: attacks and their benign twins. Incident: what once went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Suite {
    /// Lawful work that must succeed.
    Golden,
    /// Attacks that must fail, and benign twins that must succeed.
    Adversarial,
    /// Regression cases of past incidents.
    Incident,
}

/// One task or attack.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScenarioEntry {
    /// One line for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Where the case comes from: a ticket, a corpus, an incident.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Tags of this scenario, on top of the file's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// How often this scenario is tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trials: Option<u32>,
    /// Changes to the world's state before the trial: JSON Pointer to new value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub given: BTreeMap<String, Value>,
    /// How tools misbehave in this scenario.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
    /// What the agent's model answers in this scenario, one after the other: the gate plays the model. Needs `gate:model/…` in
    /// `endpoint.stand_ins`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub model: Vec<Move>,
    /// The one user turn of a single-turn scenario.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub say: Option<String>,
    /// The user turns of a multi-turn scenario.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub turns: Vec<Turn>,
    /// What must (not) have happened when the trial is over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect: Vec<Expectation>,
    /// What is attacked and how; adversarial scenarios only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attack: Option<Attack>,
    /// The attack whose words this lawful scenario shares; shows that the agent is safe without refusing everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub twin_of: Option<String>,
    /// Why the scenario is left out for now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skip: Option<String>,
    /// The record of the incident that this case guards against; incident scenarios only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<String>,
    /// The file of others that this scenario was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// Where a scenario was imported from, exactly enough to find it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// The format it was read as; `agentready list imports` names them.
    pub format: String,
    /// Name of the file, or id of the run.
    pub file: String,
    /// The row, line or JSON Pointer in it.
    pub row: String,
    /// The licence of the text, which goes on to hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// `sha256:…` of the file.
    pub digest: String,
}

/// One user message and what must hold after the agent answered it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Turn {
    /// The user's words, sent as written.
    pub say: String,
    /// What must hold after this turn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect: Vec<Expectation>,
}

/// How an adversarial scenario attacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attack {
    /// What the attacker wants, such as `over-limit` or `leak-secret`.
    pub goal: String,
    /// Where the payload travels: `user-turn` or another way by which the user speaks, the tool whose result carries it,
    /// or with `tool` any name; `fault` where no words attack and the scenario's `faults` do.
    pub carrier: String,
    /// The tool whose result carries it, where the carrier has a name of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// How it persuades, such as `override` or `authority`.
    pub technique: String,
    /// How the payload is disguised, such as `base64`; plain when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    /// Text that proves exposure when it was sent to the agent in a tool result; needed for every carrier but those by
    /// which the user speaks and `fault`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marker: Option<String>,
}

/// Carriers of what the user says; all others are read by the agent.
pub const SPOKEN: [&str; 4] = ["conversation-history", "crescendo", "user-task", "user-turn"];

/// The carrier of attacks without words: a tool that misbehaves.
pub const FAULT: &str = "fault";

impl Attack {
    /// Whether a tool that misbehaves attacks, and no words do.
    pub fn is_fault(&self) -> bool {
        self.carrier == FAULT
    }

    /// Whether the user says it; then it reaches the agent for sure.
    pub fn is_spoken(&self) -> bool {
        SPOKEN.contains(&self.carrier.as_str())
    }

    /// The tool whose result carries the words.
    pub fn through(&self) -> Option<&str> {
        if self.is_spoken() || self.is_fault() { None } else { Some(self.tool.as_deref().unwrap_or(&self.carrier)) }
    }
}

/// One thing that must (not) happen. Exactly one of the kinds is given.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// A tool that must have been executed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
    /// With `call`: arguments that the call must have had; other arguments are free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<BTreeMap<String, Value>>,
    /// With `call` or `never`: CEL over `args`, `result` and `state` that the call must satisfy.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// With `call`: how many such calls; at least one when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<Times>,
    /// Tools that must have been executed in this order; other calls may stand between.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls: Option<Vec<String>>,
    /// With `calls`: no other call may have been executed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exactly: bool,
    /// Tools (patterns with `*`) that must not be executed; category C unless said otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub never: Option<Vec<String>>,
    /// The only calls that may have changed something, reads and a handoff aside; category C unless said otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<Vec<Change>>,
    /// Canaries of the world, by name, that must not have left in any disguise; category C unless said otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keeps: Option<Vec<String>>,
    /// What the last answer must be like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<AnswerExpectation>,
    /// CEL over `state` (after), `before`, `calls` and `answer` that must be true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// What the trial may cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<BudgetExpectation>,
    /// Whether the case must (true) or must not (false) have been handed to a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handoff: Option<bool>,
    /// The agent must answer and must change nothing (a handoff is allowed).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<bool>,
    /// The category of a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fails: Option<Category>,
}

/// A call that may change something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// The tool.
    pub call: String,
    /// Arguments that the call must have; other arguments are free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<BTreeMap<String, Value>>,
}

/// A: cosmetic. B: wrong. C: unsafe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Category {
    /// Cosmetic: counts as passed, with a note.
    A,
    /// Wrong.
    B,
    /// Unsafe.
    C,
}

/// A count, or bounds of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Times {
    /// Exactly so many.
    Exactly(u32),
    /// Between bounds.
    Between(Bounds),
}

/// Bounds of a count, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    /// Not fewer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<u32>,
    /// Not more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<u32>,
}

/// Conditions on the agent's answer; all that are given must hold.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerExpectation {
    /// Texts that must all occur; case does not matter.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contains: Vec<String>,
    /// Texts that must not occur; case does not matter.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excludes: Vec<String>,
    /// A regular expression that must match somewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matches: Option<String>,
    /// The whole answer, white space at the ends aside; a mismatch shows a diff.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equals: Option<String>,
    /// A JSON Schema that the answer, parsed as JSON, must satisfy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// CEL over `answer` (text) that must be true.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
}

/// Limits of one trial.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetExpectation {
    /// Steps the agent reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Calls in the ledger, whatever became of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<u64>,
    /// Tokens the agent or its model reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Time from the first request to the last answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Span>,
}
