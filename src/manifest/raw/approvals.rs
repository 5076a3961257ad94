//! Which actions wait for a person, and for whom.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Day;
use crate::units::Span;

/// Which actions wait for a person, and for whom.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Approvals {
    /// Kinds of action that always wait, besides everything irreversible.
    pub required_for: Vec<String>,
    /// The page that explains it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doc: Option<String>,
    /// Who may approve.
    pub groups: BTreeMap<String, ApproverGroup>,
    /// The group that approves unless a tool names another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_group: Option<String>,
    /// URL to list, approve, deny, revoke and rerun.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
    /// What the approver sees.
    pub preview: Vec<String>,
    /// How long an approval can be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_after: Option<Span>,
    /// Each step away from approval for every write.
    pub relaxations: Vec<Relaxation>,
}

impl Default for Approvals {
    fn default() -> Self {
        Self {
            required_for: ["refunds", "deletes", "permission-changes"].map(str::to_owned).into(),
            doc: None,
            groups: BTreeMap::new(),
            default_group: None,
            api: None,
            preview: Vec::new(),
            expires_after: None,
            relaxations: Vec::new(),
        }
    }
}

/// People who may approve, never for their own requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApproverGroup {
    /// The group at the identity provider.
    pub idp_group: String,
    /// How many must agree.
    #[serde(default = "one")]
    #[schemars(range(min = 1))]
    pub min: u32,
}

fn one() -> u32 {
    1
}

/// One step away from approval for every write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Relaxation {
    /// The tool.
    pub tool: String,
    /// What holds since then.
    pub to: String,
    /// The first day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Day>,
    /// Who allowed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
    /// What it rests on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
}
