//! What a run came to, version 1: the gate fills it and every report renders it. Own structs, so that internal types
//! may change without breaking readers. Decides and renders nothing.
//!
//! | change | allowed within version 1 |
//! |---|---|
//! | a new key, a new metric, a new check | yes |
//! | a key renamed, removed or given another type | no |
//! | a new word in `decision`, `rung` or `grade` | no |

mod attacks;
mod source;
mod traced;
mod way;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    grade::Grade,
    source::{Excerpt, Location},
};

pub use attacks::{AttackRow, Attacks, Moment, WorstAttack};
pub use source::Source;
pub use traced::{Traced, TracedCall, TracedContent};
pub use way::{Area, Edit, Paste, ToGo};

/// All that a reader needs to know of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// Version of this format.
    pub report: u32,
    /// Who wrote it.
    pub tool: Tool,
    /// The run it speaks of.
    pub run: Run,
    /// The agent under test.
    pub agent: Agent,
    /// The answer.
    pub verdict: Verdict,
    /// Planned trials by grade; the grades add up to `planned`.
    pub trials: Trials,
    /// Scenarios by suite.
    pub suites: Suites,
    /// How attacks came out, when there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attacks: Option<Attacks>,
    /// Drills with a scripted model, by name; none when the agent was not given one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drills: Vec<Drill>,
    /// What the agent's own traces told, when they were received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traced: Option<Traced>,
    /// Numbers over grades, by name.
    pub metrics: BTreeMap<String, Metric>,
    /// Every check of the catalogue, in order of its id.
    pub checks: Vec<Check>,
    /// How far each area of the checklist is shown, by name.
    #[serde(default)]
    pub ladder: Vec<Area>,
    /// What would turn the verdict into GO.
    #[serde(default)]
    pub to_go: ToGo,
    /// Every rule of the asked profiles.
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// Checks at a place in the manifest that stand below the rung they need, worst first.
    pub findings: Vec<Finding>,
    /// Trials that did not pass, worst first.
    pub failures: Vec<Failure>,
    /// Every scenario with its grade, in plan order.
    pub scenarios: Vec<Scenario>,
    /// Waivers of the manifest and what became of them.
    pub waivers: Vec<Waiver>,
    /// Where the facts behind the claims come from, and how old they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Source>,
    /// What the reader should know beside the verdict (loosened thresholds, unused waivers, waits).
    pub notes: Vec<String>,
}

impl Report {
    /// Hands every text that others may have written to `change`: what the manifest, its files and the agent say.
    /// Excerpts are left out: they are cut from a text in which secrets are masked.
    pub fn each_text(&mut self, change: &mut dyn FnMut(&mut String)) {
        change(&mut self.agent.name);
        self.verdict.reasons.iter_mut().chain(&mut self.notes).for_each(&mut *change);
        for check in &mut self.checks {
            change(&mut check.evidence);
        }
        for rule in &mut self.rules {
            change(&mut rule.stands);
        }
        for call in
            self.traced.iter_mut().flat_map(|traced| traced.missing.iter_mut().chain(&mut traced.unbacked_calls))
        {
            change(&mut call.tool);
        }
        self.to_go.remains.iter_mut().for_each(&mut *change);
        for drill in &mut self.drills {
            drill.broken.iter_mut().chain(&mut drill.unsure).for_each(&mut *change);
        }
        for source in &mut self.sources {
            change(&mut source.from);
        }
        for finding in &mut self.findings {
            change(&mut finding.message);
            change(&mut finding.place);
        }
        for failure in &mut self.failures {
            change(&mut failure.reason);
            failure.expected.iter_mut().chain(&mut failure.actual).for_each(&mut *change);
        }
        for waiver in &mut self.waivers {
            change(&mut waiver.reason);
            change(&mut waiver.approved_by);
        }
    }
}

/// What the agent did when a scripted model asked for what it must not do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Drill {
    /// The drill.
    pub name: String,
    /// What it shows.
    pub title: String,
    /// Cases that were to be tried.
    pub cases: u32,
    /// Cases that held.
    pub held: u32,
    /// What came through.
    pub broken: Vec<String>,
    /// What shows nothing, and why.
    pub unsure: Vec<String>,
    /// Why there was nothing to try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<String>,
}

/// The program that wrote the report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Tool {
    /// `agentready`.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// The run behind a report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// Folder name below `.agentready/runs/`, or `static`.
    pub id: String,
    /// RFC 3339.
    pub started: String,
    /// Wall time in milliseconds.
    pub duration_ms: u64,
    /// Seed of everything drawn.
    pub seed: u64,
    /// The manifest that was judged.
    pub manifest: ManifestRef,
    /// How tool calls were attributed to trials: `url`, `header`, `exclusive`, `gate` (the gate runs the tools itself) or `none`.
    pub correlation: String,
    /// Where the record lies, when there is one.
    #[serde(default)]
    pub record: Option<String>,
}

/// A file and its digest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ManifestRef {
    /// Path relative to the repository root.
    pub path: String,
    /// `sha256:…`.
    pub digest: String,
}

/// The agent under test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Agent {
    /// Its name.
    pub name: String,
    /// Its autonomy level.
    pub autonomy: String,
}

/// The answer and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// The decision.
    pub decision: Decision,
    /// The exit code that goes with it.
    pub exit_code: u8,
    /// Profiles that were asked.
    pub profiles: Vec<String>,
    /// What stands in the way of GO, worst first; empty for GO.
    pub reasons: Vec<String>,
}

/// The four decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Decision {
    /// Ready.
    #[serde(rename = "GO")]
    Go,
    /// Ready, with accepted and dated exceptions.
    #[serde(rename = "GO-WITH-WAIVERS")]
    GoWithWaivers,
    /// Not ready.
    #[serde(rename = "NO-GO")]
    NoGo,
    /// Not enough evidence to say.
    #[serde(rename = "INCONCLUSIVE")]
    Inconclusive,
}

impl Decision {
    /// The word in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Go => "GO",
            Self::GoWithWaivers => "GO-WITH-WAIVERS",
            Self::NoGo => "NO-GO",
            Self::Inconclusive => "INCONCLUSIVE",
        }
    }
}

/// Planned trials by grade.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Trials {
    /// How many were planned.
    pub planned: u32,
    /// Everything held.
    pub pass: u32,
    /// Cosmetic failures.
    pub fail_a: u32,
    /// Wrong outcomes.
    pub fail_b: u32,
    /// Unsafe outcomes.
    pub fail_c: u32,
    /// The agent gave no usable answer.
    pub error_agent: u32,
    /// The way to the agent failed.
    pub error_infra: u32,
    /// The gate could not decide.
    pub error_grader: u32,
    /// The attack never reached the agent.
    pub not_exposed: u32,
    /// Not run.
    pub skipped: u32,
    /// Calls that a policy stopped, over all trials.
    pub blocked_attempts: u32,
}

/// Scenarios by suite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Suites {
    /// Lawful work.
    pub golden: GoldenSuite,
    /// Attacks and twins.
    pub adversarial: AdversarialSuite,
    /// Past incidents.
    pub incident: IncidentSuite,
}

/// The golden suite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GoldenSuite {
    /// Scenarios planned.
    pub scenarios: u32,
    /// Scenarios of which all trials passed.
    pub passed: u32,
}

/// The adversarial suite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AdversarialSuite {
    /// Attack scenarios planned, twins not counted.
    pub scenarios: u32,
    /// Distinct goal-carrier-technique families among them.
    pub clusters: u32,
    /// Benign twins planned.
    pub twins: u32,
    /// Benign twins that passed.
    pub twins_passed: u32,
}

/// The incident suite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IncidentSuite {
    /// Scenarios planned.
    pub scenarios: u32,
    /// Scenarios of which all trials passed.
    pub passed: u32,
}

/// A number with what stands behind it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Metric {
    /// The number; null when the denominator is zero.
    pub value: Option<f64>,
    /// What was counted.
    pub numerator: Option<f64>,
    /// Out of how many.
    pub denominator: Option<f64>,
    /// Exact one-sided 95 % lower bound, for rates.
    pub lower95: Option<f64>,
    /// Exact one-sided 95 % upper bound, for rates.
    pub upper95: Option<f64>,
    /// What is asked for, if anything.
    pub threshold: Option<f64>,
    /// Whether it is met; null when nothing is asked or nothing was measured.
    pub met: Option<bool>,
    /// `rate`, `count`, `usd`, `ms`.
    pub unit: String,
}

/// A check of the catalogue as it stands for this agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[expect(clippy::struct_excessive_bools, reason = "version 1 is frozen as keys that a reader can test one by one")]
pub struct Check {
    /// `area/name`.
    pub id: String,
    /// What it asks for.
    pub title: String,
    /// `blocker`, `major` or `minor`.
    pub severity: String,
    /// How far it is shown: refuted, absent, declared, verified, proven.
    pub rung: String,
    /// The rung it needs here.
    pub needed: String,
    /// Whether it stands high enough.
    pub met: bool,
    /// Whether it applies to this agent.
    pub applies: bool,
    /// Whether a waiver lowered what it needs.
    pub waived: bool,
    /// Whether the gate tried and could not tell.
    pub inconclusive: bool,
    /// Whether a profile asks for it, so that it blocks while unmet.
    #[serde(default)]
    pub demanded: bool,
    /// What was seen, in one line.
    pub evidence: String,
    /// What the next rung waits for, where this version can't reach it yet.
    #[serde(default)]
    pub waits: Option<String>,
}

/// A rule of a profile as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rule {
    /// The profile it belongs to.
    pub profile: String,
    /// The rule in words.
    pub says: String,
    /// Whether it holds.
    pub met: bool,
    /// Whether the gate could not tell.
    pub inconclusive: bool,
    /// What fails, or which evidence it waits for.
    pub stands: String,
    /// The checks that keep it from holding.
    #[serde(default)]
    pub checks: Vec<String>,
}

/// A check below its needed rung, at a place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// The check's id.
    pub check: String,
    /// Its severity.
    pub severity: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub fix: String,
    /// How far it is shown there.
    #[serde(default)]
    pub rung: String,
    /// The rung it needs.
    #[serde(default)]
    pub needed: String,
    /// Where.
    pub location: Location,
    /// The place in the manifest as people write it: `tools.issue_refund`.
    #[serde(default)]
    pub place: String,
    /// Whether the place itself is not written down, so that `location` is its nearest parent's.
    #[serde(default)]
    pub missing: bool,
    /// The line at `location`; nothing when not even a parent of the place is written down.
    #[serde(default)]
    pub excerpt: Option<Excerpt>,
    /// Whether it stands in the way of GO.
    pub blocks: bool,
    /// Checks that are open for the same cause and have no finding of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<String>,
}

/// A trial that did not pass.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// The scenario's id.
    pub scenario: String,
    /// Its suite.
    pub suite: String,
    /// Which try, from 0.
    pub trial: u32,
    /// The outcome.
    pub grade: Grade,
    /// What happened, worst first, one sentence each, joined.
    pub reason: String,
    /// What was expected, where it can be written down.
    #[serde(default)]
    pub expected: Option<String>,
    /// What was seen, where it can be written down.
    #[serde(default)]
    pub actual: Option<String>,
    /// The scenario's place.
    pub location: Location,
}

/// A scenario's result over its trials.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Scenario {
    /// Its id.
    pub id: String,
    /// Its suite.
    pub suite: String,
    /// The worst grade of its trials.
    pub grade: Grade,
    /// Planned trials.
    pub trials: u32,
    /// Trials that passed.
    pub passed: u32,
    /// Sum of the trials' wall time in milliseconds.
    pub duration_ms: u64,
    /// The attack it is the benign twin of.
    #[serde(default)]
    pub twin_of: Option<String>,
}

/// A waiver and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Waiver {
    /// The check's id.
    pub check: String,
    /// Why.
    pub reason: String,
    /// Who accepted it.
    pub approved_by: String,
    /// Until when.
    pub expires: String,
    /// `used`, `unused`, `expired` or `refused`.
    pub state: String,
}
