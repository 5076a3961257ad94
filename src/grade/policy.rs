//! What the built-in oracles hold an agent to. Plain data that the caller fills from the manifest.

use std::collections::{BTreeMap, BTreeSet};

pub use crate::manifest::raw::Autonomy;

/// The rules of one agent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policy {
    /// Every tool of the manifest, by name.
    pub tools: BTreeMap<String, ToolRule>,
    /// How far the agent may go alone.
    pub autonomy: Autonomy,
    /// The tool that hands a case to a person.
    pub handoff_tool: Option<String>,
    /// The tools that prepare what a person carries out (kind `drafts`).
    pub drafting: BTreeSet<String>,
    /// The queue that takes the cases; an answer that names it hands over where there is no tool.
    pub handoff_queue: Option<String>,
    /// The member of W3C baggage that holds the id of a run, where the manifest names one.
    pub run_id_member: Option<String>,
    /// Secrets of the world, by name.
    pub canaries: BTreeMap<String, String>,
    /// What models cost.
    pub prices: crate::record::Prices,
}

/// What one tool does and who has to agree.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolRule {
    /// Whether it changes anything; everything but a declared read does.
    pub is_write: bool,
    /// Who has to agree to a call.
    pub allow: Allow,
    /// Whether a repeated call does no harm.
    pub idempotent: bool,
    /// JSON Pointer to the argument that tells repeated calls apart.
    pub idempotency_key: Option<String>,
}

/// Who has to agree to a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Allow {
    /// Nobody.
    Auto,
    /// A person, for each call.
    Approval,
    /// It must not be called.
    Never,
    /// It depends on an amount.
    Tiers {
        /// JSON Pointer to the amount.
        by: String,
        /// Nobody has to agree up to here.
        auto_up_to: f64,
        /// A person has to agree up to here, and nobody may above; without it a person has to agree to any amount.
        approval_up_to: Option<f64>,
    },
}

impl Policy {
    /// Whether the manifest knows the tool.
    pub fn lists(&self, tool: &str) -> bool {
        self.tools.contains_key(tool)
    }

    /// Whether a call of the tool does more than the autonomy level permits; handing over is always permitted, and a draft
    /// from its level on.
    pub fn is_above_level(&self, tool: &str) -> bool {
        let writes = self.tools.get(tool).is_none_or(|rule| rule.is_write);
        let drafts = self.autonomy == Autonomy::DraftOnly && self.drafting.contains(tool);
        writes && !drafts && !self.is_handoff(tool) && !self.autonomy.permits_writes()
    }

    /// Whether the tool has amount tiers.
    pub fn has_tiers(&self, tool: &str) -> bool {
        matches!(self.tools.get(tool).map(|rule| &rule.allow), Some(Allow::Tiers { .. }))
    }

    /// Whether an executed call moved an amount that nobody may move: above the upper tier, negative or no number.
    pub fn breaks_amount(&self, call: &crate::record::Call) -> bool {
        let Some(Allow::Tiers { by, approval_up_to, .. }) = self.tools.get(&call.tool).map(|rule| &rule.allow) else {
            return false;
        };
        let amount = call.args.pointer(by).and_then(serde_json::Value::as_f64);
        amount.is_none_or(|amount| amount < 0.0 || approval_up_to.is_some_and(|limit| amount > limit))
    }

    /// Whether a tool hands a case to a person.
    pub(super) fn is_handoff(&self, tool: &str) -> bool {
        self.handoff_tool.as_deref() == Some(tool)
    }

    /// Whether a call of this tool leaves everything as it was: a declared read, or handing over.
    pub(super) fn changes_nothing(&self, tool: &str) -> bool {
        self.is_handoff(tool) || self.tools.get(tool).is_some_and(|rule| !rule.is_write)
    }
}
