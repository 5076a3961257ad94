//! The gate outside the model: what a proposed call may do, whatever the model thinks of it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{limits::LIMITS, money, prices::usd};

/// Refunds up to this sum per charge go out without a person.
pub(super) const AUTO_UP_TO: f64 = 50.0;
/// Refunds up to this sum per charge go out with a person's approval; above it never.
pub(super) const APPROVAL_UP_TO: f64 = 300.0;

/// Why a case goes to a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    OverLimit,
    UnclearRequest,
    ApprovalDenied,
    BudgetExceeded,
    PolicyBlock,
}

impl Why {
    /// The name that the queue uses.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::OverLimit => "over-limit",
            Self::UnclearRequest => "unclear-request",
            Self::ApprovalDenied => "approval-denied",
            Self::BudgetExceeded => "budget-exceeded",
            Self::PolicyBlock => "policy-block",
        }
    }
}

/// What the conversation has used up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spent {
    pub(super) steps: u64,
    pub(super) calls: u64,
    pub(super) writes: u64,
    pub(super) tokens: u64,
}

/// What a charge stands at.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Charge {
    pub(super) paid: f64,
    pub(super) refunded: f64,
}

/// Facts the gate took from structured fields of tool results; free text never gets in.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Known {
    requesters: BTreeSet<String>,
    charges: BTreeMap<String, Charge>,
    refunds: BTreeSet<String>,
    /// Writes that took effect, by tool and idempotency key.
    done: BTreeSet<(String, String)>,
}

/// What the gate says to a proposed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ruling {
    Allow,
    NeedsApproval,
    Block(Why),
}

/// Whether a tool changes anything.
pub(super) fn writes(tool: &str) -> bool {
    !matches!(tool, "get_order" | "get_charge" | "read_ticket" | "read_mail" | "search_policy")
}

impl Known {
    /// Learns from a tool result.
    pub(super) fn learn(&mut self, tool: &str, result: &Value) {
        let text = |key: &str| result.get(key).and_then(Value::as_str).map(str::to_owned);
        match tool {
            "read_ticket" => self.requesters.extend(text("requester")),
            "get_charge" => {
                let charge =
                    Charge { paid: money::of(result, "amount_usd"), refunded: money::of(result, "refunded_usd") };
                self.charges.extend(text("id").map(|id| (id, charge)));
                let issued = result.get("keys").and_then(Value::as_object);
                self.refunds.extend(
                    issued.into_iter().flat_map(|keys| keys.values()).filter_map(Value::as_str).map(str::to_owned),
                );
            }
            _ => {}
        }
    }

    /// Remembers a write that took effect.
    pub(super) fn remember(&mut self, tool: &str, args: &Value) {
        let key = args.get("idempotency_key").and_then(Value::as_str);
        self.done.extend(key.map(|key| (tool.to_owned(), key.to_owned())));
    }

    fn has_done(&self, tool: &str, args: &Value) -> bool {
        let key = args.get("idempotency_key").and_then(Value::as_str);
        key.is_some_and(|key| self.done.contains(&(tool.to_owned(), key.to_owned())))
    }

    fn refund(&self, args: &Value) -> Ruling {
        let Some(charge) = args.get("charge_id").and_then(Value::as_str).and_then(|id| self.charges.get(id)) else {
            return Ruling::Block(Why::PolicyBlock);
        };
        let amount = money::of(args, "amount_usd");
        let sum = money::cents(charge.refunded + amount);
        if sum > APPROVAL_UP_TO {
            Ruling::Block(Why::OverLimit)
        } else if amount <= 0.0 || !amount.is_finite() || sum > charge.paid {
            Ruling::Block(Why::PolicyBlock)
        } else if sum > AUTO_UP_TO {
            Ruling::NeedsApproval
        } else {
            Ruling::Allow
        }
    }
}

/// Rules on a proposed call.
pub(super) fn rule(tool: &str, args: &Value, known: &Known, spent: &Spent) -> Ruling {
    if is_spent(tool, spent) {
        return Ruling::Block(Why::BudgetExceeded);
    }
    if known.has_done(tool, args) {
        return Ruling::Block(Why::PolicyBlock);
    }
    let named = |key: &str| args.get(key).and_then(Value::as_str).unwrap_or_default();
    let allowed = match tool {
        "get_order" | "get_charge" | "read_ticket" | "read_mail" | "search_policy" | "update_ticket"
        | "escalate_case" | "request_approval" => true,
        "cancel_refund" if known.refunds.contains(named("refund_id")) => return Ruling::NeedsApproval,
        "send_decision" => known.requesters.contains(named("to")),
        "issue_refund" => return known.refund(args),
        _ => false,
    };
    if allowed { Ruling::Allow } else { Ruling::Block(Why::PolicyBlock) }
}

/// The handoff may use the last call and the last write, nothing else may.
fn is_spent(tool: &str, spent: &Spent) -> bool {
    let kept = u64::from(tool != "escalate_case");
    let caps = &LIMITS.per_run;
    spent.calls + kept >= caps.tool_calls
        || (writes(tool) && spent.writes + kept >= caps.writes)
        || spent.tokens >= caps.tokens
        || usd(spent.tokens) >= caps.spend_usd
        || spent.steps > caps.steps.min(caps.model_calls)
}
