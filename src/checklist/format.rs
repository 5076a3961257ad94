//! The form of a check file, as people write it. The id is the path: `checks/<area>/<name>.yaml`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::rung::{Autonomy, Rung, Severity};

/// A check. Expressions are CEL over the evidence document; `it` is the item that `each` yields, and
/// `inconclusive` also sees `rung`, the rung that was reached. A key that is missing means "not shown".
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckFile {
    /// What it asks for, as an order.
    pub title: String,
    /// Why it matters, in one sentence.
    pub why: String,
    /// How much harm its absence allows.
    pub severity: Severity,
    /// Levels of autonomy at which it weighs less (or more).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub severity_for: BTreeMap<Autonomy, Severity>,
    /// Levels of autonomy it speaks to; all when left out.
    #[serde(default = "all_levels")]
    pub autonomy: Vec<Autonomy>,
    /// Profiles that ask for it; it is asked of every agent when left out, else only where one of them (or
    /// `advisory`) is active.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub profiles: Vec<String>,
    /// Whether it applies to this agent; true when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applies: Option<String>,
    /// The things it speaks of, a list; an empty list means that it does not apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<String>,
    /// Parts that are reported on their own; the check stands at the weakest one that applies. What a part
    /// leaves out it takes from the check, except `declared`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parts: BTreeMap<String, Part>,
    /// The manifest says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared: Option<String>,
    /// What stands behind the claim agrees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<String>,
    /// The gate saw it itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proven: Option<String>,
    /// The gate saw the opposite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refuted: Option<String>,
    /// The gate tried and could not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inconclusive: Option<String>,
    /// Checks that this one waits for, each with when it does: while that is so and the other one is open, the other one
    /// tells of it, and this one stays open without a finding of its own. Also sees `rung`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub follows: BTreeMap<String, String>,
    /// What each rung means, in words.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub words: BTreeMap<Rung, String>,
    /// The metric or drill that the next rung waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<String>,
    /// The least rung it needs, whatever its severity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor: Option<Rung>,
    /// The highest rung it can have; the highest that it defines when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling: Option<Rung>,
    /// A rung that suffices although a higher one exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enough: Option<Rung>,
    /// Why it can fall short, in order: the first whose `when` holds is told instead of `finding`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
    /// What is wrong, a template over `it`, `rung`, `agent`, `identity`, `handoff`, `budgets`, `evals`,
    /// `metrics`, `suites`, `thresholds` and the small `facts` (`card`, `infra`, `manifests`, `oidc`, `spec`).
    pub finding: String,
    /// What was seen, in one line; a template over the same names, without `it`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<String>,
    /// What to do.
    pub fix: String,
    /// Lines for the manifest to begin with, as YAML from its top; what is written down already is left out when shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paste: Option<String>,
    /// Clauses of the seed lists it comes from: `002/2.3a`.
    #[serde(default)]
    pub sources: Vec<String>,
    /// Thresholds it compares with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<String>,
    /// `framework@version` to control ids.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub controls: BTreeMap<String, Vec<String>>,
    /// Places in the manifest it reads, such as `agent.owner.team`; the first one is where findings stand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    /// Whether a waiver may lower it.
    #[serde(default = "yes")]
    pub waivable: bool,
    /// What trips it and what does not; these are its tests.
    #[serde(default)]
    pub examples: Examples,
}

impl CheckFile {
    /// The fixes that reasons of its own have, each with when.
    pub fn other_fixes(&self) -> impl Iterator<Item = (&str, &str)> {
        let reasons = self.reasons.iter().chain(self.parts.values().flat_map(|part| &part.reasons));
        reasons.filter_map(|reason| Some((reason.when.as_str(), reason.fix.as_deref()?.trim())))
    }
}

fn all_levels() -> Vec<Autonomy> {
    Autonomy::ALL.to_vec()
}

fn yes() -> bool {
    true
}

/// A part of a check, reported as `id#part`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The things it speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<String>,
    /// The manifest says it.
    pub declared: String,
    /// What stands behind the claim agrees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<String>,
    /// The gate saw it itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proven: Option<String>,
    /// The gate saw the opposite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refuted: Option<String>,
    /// The gate tried and could not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inconclusive: Option<String>,
    /// Checks that it waits for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub follows: BTreeMap<String, String>,
    /// Why it can fall short; those of the check come after its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
    /// What is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finding: Option<String>,
    /// Clauses of the seed lists.
    #[serde(default)]
    pub sources: Vec<String>,
    /// Places in the manifest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
}

/// One reason why a check falls short.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// When it is the one. Also sees `rung`.
    pub when: String,
    /// What is wrong then; what `finding` says when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finding: Option<String>,
    /// What to do then; what `fix` says when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

/// What trips a check and what does not.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Examples {
    /// Each of these leaves the check unmet.
    #[serde(default)]
    pub trips: Vec<Example>,
    /// Each of these meets it.
    #[serde(default)]
    pub passes: Vec<Example>,
}

/// A piece of a manifest laid over a sound one, and what else the gate sees; null takes a key away.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// The piece of manifest.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub manifest: Value,
    /// Facts, metrics, suites, … that differ from those of a sound agent.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub evidence: Value,
    /// Whether the gate could not tell; for what trips.
    #[serde(default)]
    pub inconclusive: bool,
}
