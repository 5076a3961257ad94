//! What happens when something goes wrong.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Hook;

/// Runbook, switches, paging and records.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Incident {
    /// The runbook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
    /// How the agent is stopped.
    pub kill_switch: KillSwitch,
    /// Raises a test incident; done when it was acknowledged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<Hook>,
    /// Patterns of incident records.
    pub records: Vec<String>,
}

impl Default for Incident {
    fn default() -> Self {
        Self {
            runbook: None,
            kill_switch: KillSwitch::default(),
            page: None,
            records: vec!["incidents/*.yaml".to_owned()],
        }
    }
}

/// How the agent is stopped.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KillSwitch {
    /// Stops writes only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub writes: Option<Hook>,
    /// Stops the agent; within 5m unless it says otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<Hook>,
    /// Stops one `{tool}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<Hook>,
}
