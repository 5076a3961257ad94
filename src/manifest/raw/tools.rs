//! What the agent can call, what it does, and when it may.

use std::{borrow::Cow, collections::BTreeMap};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::ActsAs;
use crate::units::Span;

/// One tool.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    /// The system it belongs to.
    pub system: String,
    /// What a call does; found out when left out, and destructive while unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
    /// Whether it can be taken back; true for read and write, false for destructive and external-send.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reversible: Option<bool>,
    /// High-stakes classes it belongs to, see `approvals.required_for`; `drafts` marks what a person carries out later.
    #[serde(default)]
    pub kinds: Vec<String>,
    /// OAuth scopes it needs; those of the credential it uses when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// `METHOD /path`; not needed for MCP tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// File with the JSON Schema of its arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_schema: Option<String>,
    /// One valid set of arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub example: Option<Map<String, Value>>,
    /// When it may be called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Option<Allow>,
    /// Who approves; `approvals.default_group` when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approvers: Option<String>,
    /// Name to the change of `example` that the server must refuse.
    #[serde(default)]
    pub server_checks: BTreeMap<String, Map<String, Value>>,
    /// Where the idempotency key stands in the arguments, or the header that carries it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// Whether the same call twice does the same once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotent: Option<bool>,
    /// In whose name it is called; `identity.acts_as` when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acts_as: Option<ActsAs>,
    /// JSON Pointer to the argument that says where it sends.
    #[schemars(regex(pattern = "^/"), extend("x-expected" = "a JSON Pointer such as `/to`"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// JSON Pointer to the id of what was made or changed, in the result.
    #[schemars(regex(pattern = "^/"), extend("x-expected" = "a JSON Pointer such as `/refund_id`"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub side_effect_id: Option<String>,
    /// The way back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Rollback>,
}

words! {
    /// What a call does.
    pub enum Effect {
        /// Looks.
        Read = "read",
        /// Changes something that can be changed back.
        Write = "write",
        /// Deletes or ends something.
        Destructive = "destructive",
        /// Sends something out.
        ExternalSend = "external-send",
    }
}

words! {
    /// Where a tool's effect is known from.
    pub enum EffectSource {
        /// From the tool's `effect`.
        Manifest = "manifest",
        /// From the HTTP method of its `endpoint`.
        Endpoint = "endpoint",
        /// From nothing: it counts as destructive.
        Unknown = "unknown",
    }
}

words! {
    /// When a tool may be called, whatever the arguments.
    pub enum AllowWord {
        /// Without asking.
        Auto = "auto",
        /// After a person said yes.
        Approval = "approval",
        /// Not at all.
        Never = "never",
    }
}

/// When a tool may be called: a word, or bands of an amount.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Allow {
    /// The same for all arguments.
    Word(AllowWord),
    /// By an amount in the arguments.
    Tiers(Tiers),
}

/// Bands of an amount: automatic, with approval, blocked above.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tiers {
    /// JSON Pointer to the amount in the arguments.
    #[schemars(regex(pattern = "^/"), extend("x-expected" = "a JSON Pointer such as `/amount_usd`"))]
    pub by: String,
    /// Up to here without asking; 0 means always ask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_up_to: Option<f64>,
    /// Up to here after a person said yes; blocked above.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval_up_to: Option<f64>,
}

/// How a call is taken back: by a tool, or by a person who follows a runbook.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rollback {
    /// The tool that undoes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// What that tool writes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restore: Option<Restore>,
    /// How long undoing is possible.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<Span>,
    /// Runbook section for later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otherwise: Option<String>,
    /// Runbook section when no tool can do it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
}

words! {
    /// What an undoing call writes.
    pub enum Restore {
        /// What was read before.
        Previous = "previous",
    }
}

impl Tool {
    /// The effect to reckon with, and where it is known from.
    pub fn known_effect(&self) -> (Effect, EffectSource) {
        let by_method = || self.endpoint.as_deref().and_then(|endpoint| effect_of_method(endpoint.split(' ').next()?));
        match (self.effect, by_method()) {
            (Some(effect), _) => (effect, EffectSource::Manifest),
            (None, Some(effect)) => (effect, EffectSource::Endpoint),
            (None, None) => (Effect::Destructive, EffectSource::Unknown),
        }
    }

    /// Whether a call can be taken back, by what it says or by its effect.
    pub fn is_reversible(&self) -> bool {
        self.reversible.unwrap_or(match self.known_effect().0 {
            Effect::Read | Effect::Write => true,
            Effect::Destructive | Effect::ExternalSend => false,
        })
    }

    /// When it may be called, by what it says or by its effect.
    pub fn allowance(&self) -> Cow<'_, Allow> {
        match (&self.allow, self.known_effect().0) {
            (Some(allow), _) => Cow::Borrowed(allow),
            (None, Effect::Read) => Cow::Owned(Allow::Word(AllowWord::Auto)),
            (None, Effect::Write | Effect::Destructive | Effect::ExternalSend) => {
                Cow::Owned(Allow::Word(AllowWord::Approval))
            }
        }
    }
}

fn effect_of_method(method: &str) -> Option<Effect> {
    match method {
        "GET" | "HEAD" | "OPTIONS" => Some(Effect::Read),
        "POST" | "PUT" | "PATCH" => Some(Effect::Write),
        "DELETE" => Some(Effect::Destructive),
        _ => None,
    }
}
