//! The manifest as people write it, one file per section, with the defaults of each field.
//!
//! Owns names, types and defaults only. References between sections are resolved one level up.
//! A limit that is left out takes its default; a fact that is left out stays absent.

#[macro_use]
mod word;

mod agent;
mod approvals;
mod audit;
mod budgets;
mod change;
mod cost;
mod data;
mod day;
mod evals;
mod gate;
mod hook;
mod identity;
mod incident;
mod model;
mod observability;
mod policy;
mod systems;
mod tools;

use std::{collections::BTreeMap, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};

pub use agent::{Agent, Autonomy, Owner, Workflow};
pub use approvals::{Approvals, ApproverGroup, Relaxation};
pub use audit::{Audit, Export, RunIdCarrier, Storage};
pub use budgets::{Budgets, OnExceed, Reaction, RunCaps, WindowCaps};
pub use change::{Change, ReleaseRollback, Rollout, Stage};
pub use cost::{Cache, Cost, CostAlerts};
pub use data::{ClassRule, Data, DataClass, Handling, NoData, Processor, Retention, RetrievalSource, Tenancy, Writers};
pub use day::Day;
pub use evals::{Evals, Judge};
pub use gate::{Confidence, GateRules, Threshold, Waiver};
pub use hook::Hook;
pub use identity::{ActsAs, Credential, CredentialDefaults, Delivery, Grant, Identity};
pub use incident::{Incident, KillSwitch};
pub use model::Model;
pub use observability::{Observability, Semconv, Traces};
pub use policy::{Admin, Decision, Destinations, Engine, Exception, FORBIDDEN, Handoff, Policy};
pub use systems::{Backoff, CircuitBreaker, Credentials, Forward, Resilience, System};
pub use tools::{Allow, AllowWord, Effect, EffectSource, Restore, Rollback, Tiers, Tool};

use super::endpoint::Endpoint;
use crate::units::Span;

/// What a team claims about its agent.
///
/// Durations are written `10s`, `24h`, `14d`; shares `5%`; money is in the unit that the key names; paths are
/// relative to the manifest; `env:NAME` reads a secret when it is needed and is never logged.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "agentready manifest")]
pub struct ManifestFile {
    /// Version of this format.
    pub manifest: Version,
    /// Who the agent is, what it is for, and how far it may go alone.
    pub agent: Agent,
    /// What the gate is asked to decide by.
    #[serde(default)]
    pub gate: GateRules,
    /// How the gate reaches the agent under test.
    pub endpoint: Endpoint,
    /// The models by the name of their job; snapshots, not aliases.
    #[serde(default)]
    pub models: BTreeMap<String, Model>,
    /// Patterns of prompt files.
    #[serde(default = "default_prompts")]
    pub prompts: Vec<String>,
    /// In whose name the agent acts.
    #[serde(default)]
    pub identity: Identity,
    /// How it treats slow and failing systems.
    #[serde(default)]
    pub resilience: Resilience,
    /// What it touches.
    #[serde(default)]
    pub systems: BTreeMap<String, System>,
    /// What it can call.
    #[serde(default)]
    pub tools: BTreeMap<String, Tool>,
    /// Where and when a case goes to a person.
    #[serde(default)]
    pub handoff: Handoff,
    /// What stands between the model and the tools.
    #[serde(default)]
    pub policy: Policy,
    /// Which actions wait for a person.
    #[serde(default)]
    pub approvals: Approvals,
    /// Caps on what it may use.
    #[serde(default)]
    pub budgets: Budgets,
    /// KPI to its target, such as `>= 85%`.
    #[serde(default)]
    pub kpis: BTreeMap<String, String>,
    /// What can be seen of it while it works.
    #[serde(default)]
    pub observability: Observability,
    /// What is kept of each run.
    #[serde(default)]
    pub audit: Audit,
    /// What it is tried with.
    #[serde(default)]
    pub evals: Evals,
    /// What a run costs and what it may cost.
    #[serde(default)]
    pub cost: Cost,
    /// Which data it handles, and where that may go.
    #[serde(default)]
    pub data: Data,
    /// What happens when something goes wrong.
    #[serde(default)]
    pub incident: Incident,
    /// How a new version gets out, and back.
    #[serde(default)]
    pub change: Change,
}

fn default_prompts() -> Vec<String> {
    vec!["prompts/**".to_owned()]
}

impl ManifestFile {
    /// Fills the defaults that hang on what else a section says.
    pub(super) fn fill(&mut self) {
        const RUNS_PER_MINUTE: u64 = 60;
        const AGENT_STOPS_WITHIN: Span = Span(Duration::from_secs(300));
        self.budgets.per_minute.runs.get_or_insert(RUNS_PER_MINUTE);
        if let Some(switch) = &mut self.incident.kill_switch.agent {
            switch.within.get_or_insert(AGENT_STOPS_WITHIN);
        }
        let secrets = self.data.classes.entry("secrets".to_owned());
        if let ClassRule::Handled(class) = secrets.or_insert_with(|| ClassRule::Handled(DataClass::default())) {
            class.model.get_or_insert(Handling::Never);
            class.retrieval.get_or_insert(Handling::Never);
        }
    }
}

/// Version of the manifest format; `1` is the only one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Version(u32);

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u32::deserialize(deserializer)? {
            1 => Ok(Self(1)),
            other => Err(de::Error::custom(format!("manifest version {other} is not known; write `manifest: 1`"))),
        }
    }
}

impl JsonSchema for Version {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Version".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "integer", "const": 1})
    }
}
