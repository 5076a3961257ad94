//! What stands between the model and the tools, and where a case goes when it is not for the agent.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The policy gate outside the model.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// What decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<Engine>,
    /// Patterns of its rule files.
    pub rules: Vec<String>,
    /// URL that lets the gate ask it without a model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decide: Option<String>,
    /// What holds for a call that no rule names.
    pub default: Decision,
    /// What holds when the policy gate fails.
    pub on_error: Decision,
    /// Class to patterns of tool names that are blocked. `delete-data`, `modify-iam` and `transfer-funds` are always among
    /// them with the usual patterns; an empty list says that the team does not forbid the class.
    #[serde(deserialize_with = "with_usual")]
    pub forbidden: BTreeMap<String, Vec<String>>,
    /// Tools that the owner allows although a class forbids them.
    pub exceptions: Vec<Exception>,
    /// Where data may be sent; an empty list means nowhere.
    pub destinations: Destinations,
    /// Where administrators change it.
    pub admin: Admin,
}

/// Classes of action that are always forbidden, with what such tools are called.
pub const FORBIDDEN: [(&str, &[&str]); 3] = [
    ("delete-data", &["delete_*", "purge_*", "drop_*", "erase_*", "wipe_*", "destroy_*", "truncate_*"]),
    ("modify-iam", &["grant_*", "iam_*", "*_role", "*_permission", "*_permissions"]),
    ("transfer-funds", &["payout_*", "transfer_*", "wire_*", "*_payout", "*_payouts"]),
];

fn usual() -> BTreeMap<String, Vec<String>> {
    let patterns = |patterns: &[&str]| patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
    FORBIDDEN.iter().map(|(class, of)| ((*class).to_owned(), patterns(of))).collect()
}

/// What is written comes on top of the usual classes.
fn with_usual<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Vec<String>>, D::Error> {
    let written = BTreeMap::<String, Vec<String>>::deserialize(deserializer)?;
    Ok(usual().into_iter().chain(written).collect())
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            engine: None,
            rules: Vec::new(),
            decide: None,
            default: Decision::Deny,
            on_error: Decision::Deny,
            forbidden: usual(),
            exceptions: Vec::new(),
            destinations: Destinations::default(),
            admin: Admin::default(),
        }
    }
}

words! {
    /// What decides about calls.
    pub enum Engine {
        /// Open Policy Agent.
        Opa = "opa",
        /// Cedar.
        Cedar = "cedar",
        /// `OpenFGA`.
        Openfga = "openfga",
        /// Code of the agent's own.
        Code = "code",
        /// A gateway in front of the tools.
        Gateway = "gateway",
    }
}

words! {
    /// Yes or no.
    pub enum Decision {
        /// The call is stopped.
        Deny = "deny",
        /// The call goes through.
        Allow = "allow",
    }
}

/// A tool that the owner allows although a class forbids it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    /// The tool.
    pub tool: String,
    /// The class of `policy.forbidden`.
    pub class: String,
    /// Who allowed it.
    pub approved_by: String,
    /// Where that is written down.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

/// Where data may be sent; an empty list means nowhere.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Destinations {
    /// Mail domains; `ticket-requester` is the person who opened the case.
    pub email_domains: Vec<String>,
    /// Chat channels.
    pub channels: Vec<String>,
    /// Storage buckets.
    pub buckets: Vec<String>,
    /// Hosts of webhooks.
    pub webhook_hosts: Vec<String>,
}

/// Where administrators change the policy.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    /// URL of an API or console, with `{workspace}` in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
}

/// Where and when a case goes to a person.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Handoff {
    /// The tool that hands over; chat-only agents need none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// The queue where people pick cases up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// The reasons.
    pub when: Vec<String>,
}
