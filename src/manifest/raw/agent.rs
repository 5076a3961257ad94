//! Who the agent is, what it is for, and how far it may go alone.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The agent and the one workflow it owns.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// Short name, used in reports.
    #[schemars(length(min = 1))]
    pub name: String,
    /// The one workflow it owns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow: Option<Workflow>,
    /// One sentence: why it exists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// What starts a run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starts_when: Option<String>,
    /// What ends a run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends_when: Option<String>,
    /// One page: does, never does, hands off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spec: Option<String>,
    /// How far it may go without a person.
    pub autonomy: Autonomy,
    /// Who answers for it.
    #[serde(default)]
    pub owner: Owner,
    /// URL of its A2A agent card.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub card: Option<String>,
}

/// The workflow; a list is read too, so that a check can object to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Workflow {
    /// One workflow, as it should be.
    One(String),
    /// Several workflows.
    Several(Vec<String>),
}

words! {
    /// How far the agent may go without a person, lowest first.
    pub enum Autonomy {
        /// Calls read tools only.
        ReadOnly = "read-only",
        /// Prepares changes that a person carries out.
        DraftOnly = "draft-only",
        /// Writes, and each write waits for a person's approval.
        Assist = "assist",
        /// Writes inside stated limits without asking.
        Autopilot = "autopilot",
    }
}

/// What is not said permits least.
impl Default for Autonomy {
    fn default() -> Self {
        Self::ReadOnly
    }
}

impl Autonomy {
    /// Whether an agent of this level may change anything at all.
    pub fn permits_writes(self) -> bool {
        match self {
            Self::ReadOnly | Self::DraftOnly => false,
            Self::Assist | Self::Autopilot => true,
        }
    }
}

/// Who answers for the agent.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Owner {
    /// The team.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// The rotation of the paging system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_call: Option<String>,
}
