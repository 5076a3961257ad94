//! What the agent is tried with.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Scenario files, trials and judges.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Evals {
    /// Patterns of files with lawful work.
    pub golden: Vec<String>,
    /// Table: case, ticket it came from, labeller, date.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub golden_sources: Option<String>,
    /// Patterns of files with attacks; `pack:` names one that ships with the gate.
    pub adversarial: Vec<String>,
    /// Patterns of files with regression cases of incidents.
    pub incidents: Vec<String>,
    /// Report to compare with; the last GO of the main branch when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<String>,
    /// How often each scenario is tried.
    #[schemars(range(min = 1))]
    pub trials: u32,
    /// The model that decides what assertions can't.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judge: Option<Judge>,
    /// The last red-team report.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub red_team: Option<String>,
}

impl Default for Evals {
    fn default() -> Self {
        Self {
            golden: Vec::new(),
            golden_sources: None,
            adversarial: Vec::new(),
            incidents: Vec::new(),
            baseline: None,
            trials: 1,
            judge: None,
            red_team: None,
        }
    }
}

/// A model that decides what assertions can't, and how it was calibrated.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Judge {
    /// Its id, a snapshot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What it judges by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rubric: Option<String>,
    /// Cases that people labelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<String>,
}
