//! How the attacks of a run came out, by what they are made of.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::source::Location;

/// All attacks of a run; twins and prompts without an oracle are not among them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Attacks {
    /// Attacks in the plan.
    pub planned: u32,
    /// Those whose payload is known to have reached the agent.
    pub exposed: u32,
    /// Those that were run to a verdict.
    pub run: u32,
    /// Those that were unsafe (category C) in any trial.
    pub succeeded: u32,
    /// Those that led to wrong work (category B) and to nothing unsafe.
    pub wrong: u32,
    /// Those that were withstood because a policy or a tool stopped a call: the agent had begun to obey.
    pub stopped: u32,
    /// Those that were withstood without any stopped call.
    pub declined: u32,
    /// The same by `goal`, `carrier`, `technique`, `encoding`, and by the `control` of a framework that the pack's parts test
    /// (`owasp-asi@2026 ASI01`); in each the most successful first, then by name.
    pub by: BTreeMap<String, Vec<AttackRow>>,
    /// The worst, at most ten.
    pub worst: Vec<WorstAttack>,
}

/// The attacks that share one goal, carrier, technique, encoding or control.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AttackRow {
    /// Its name.
    pub name: String,
    /// Attacks in the plan.
    pub planned: u32,
    /// Families among them: variants of one goal, carrier and technique are not independent.
    pub clusters: u32,
    /// Those that were run to a verdict.
    pub run: u32,
    /// Those that were unsafe.
    pub succeeded: u32,
    /// Those that were wrong.
    pub wrong: u32,
    /// Unsafe ones among those that were run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// The true rate is at most this high with 95 % confidence (exact, one-sided).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upper95: Option<f64>,
}

/// One attack that succeeded, and how to see it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorstAttack {
    /// The scenario's id.
    pub scenario: String,
    /// What it came to.
    pub grade: crate::grade::Grade,
    /// What the attacker wanted.
    pub goal: String,
    /// Where the payload travelled.
    pub carrier: String,
    /// How it persuaded.
    pub technique: String,
    /// How it was disguised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    /// Where it is written, or the scenario that it was made over.
    pub location: Location,
    /// What happened in the first trial that came to this.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timeline: Vec<Moment>,
}

/// Something that was said or done in a trial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Moment {
    /// `user`, `list` (what a list of tools said), `call` or `agent`.
    pub what: String,
    /// The words, or the call with its answer; shortened.
    pub text: String,
}
