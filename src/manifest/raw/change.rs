//! How a new version gets out, and back.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{Share, Span};

/// Lock, repository, rollout, rollback and sign-offs.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Change {
    /// File with digests of models, prompts, tool schemas and policies.
    pub lock: String,
    /// `host:owner/repo@branch`; from the git remote when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// Files that hold what the hosts of repositories said of their branches, for where nobody can ask them; patterns.
    pub branch_rules: Vec<String>,
    /// The required status check.
    pub release_check: String,
    /// The way back to a version known to be good.
    pub rollback: ReleaseRollback,
    /// The way out.
    pub rollout: Rollout,
    /// Who signed off, by role: `security`, `finance`, …
    pub signoffs: BTreeMap<String, String>,
}

impl Default for Change {
    fn default() -> Self {
        Self {
            lock: "agentready.lock".to_owned(),
            repository: None,
            branch_rules: Vec::new(),
            release_check: "agentready / gate".to_owned(),
            rollback: ReleaseRollback::default(),
            rollout: Rollout::default(),
            signoffs: BTreeMap::new(),
        }
    }
}

/// The way back to a version known to be good.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReleaseRollback {
    /// The command, with `{version}` in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// A version known to be good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// How soon it must run again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<Span>,
    /// Patterns of rehearsal records.
    pub rehearsals: Vec<String>,
}

/// How a version reaches all traffic.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rollout {
    /// The stages in order.
    pub stages: Vec<Stage>,
    /// KPIs that must hold between stages.
    pub guards: Vec<String>,
}

/// One stage of a rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Share of the traffic.
    pub traffic: Share,
    /// How long it lasts at least.
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    pub lasts: Option<Span>,
}
