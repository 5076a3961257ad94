//! What runs of the agent cost, by its own price list (`config/prices.yaml`): tokens, calls of paid tools, and minutes of the
//! people who decide. Must not cap anything; `limits` and `policy` do.

use std::{collections::BTreeMap, sync::LazyLock};

use serde::Deserialize;
use serde_json::Value;

use super::telemetry::MODEL;
use crate::source::{SourceFile, load_text};

static PRICES: LazyLock<Prices> = LazyLock::new(|| {
    let file = SourceFile::new("prices.yaml", include_str!("../../fixtures/demo/config/prices.yaml"));
    let said = load_text::<Value>(file).expect("the shipped prices are YAML").value;
    serde_json::from_value(said).expect("the shipped prices have this form")
});

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Prices {
    #[serde(rename = "dated")]
    _dated: String,
    models: BTreeMap<String, PerMillion>,
    tools: BTreeMap<String, f64>,
    people: BTreeMap<String, f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PerMillion {
    input: f64,
    #[serde(rename = "output")]
    _output: f64,
}

/// What tokens cost. The rules only read: what they write is free.
pub(super) fn usd(tokens: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "token counts stay far below 2^53")]
    let tokens = tokens as f64;
    let price = PRICES.models.get(MODEL).expect("the shipped prices name the model");
    tokens * price.input / 1e6
}

/// What a turn cost beside its tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Bill {
    pub(super) tools_usd: f64,
    pub(super) review_minutes: f64,
}

impl Bill {
    /// Adds a call that was carried out, and the minutes of the lead who decided, if one did.
    pub(super) fn add(&mut self, tool: &str, result: &Value) {
        self.tools_usd += PRICES.tools.get(tool).copied().unwrap_or_default();
        if tool == "request_approval" {
            self.review_minutes += result.get("minutes").and_then(Value::as_f64).unwrap_or_default();
        }
    }

    /// What the time of people cost.
    pub(super) fn review_usd(&self) -> f64 {
        let hourly = PRICES.people.get("refund-leads").copied().unwrap_or_default();
        self.review_minutes * hourly / 60.0
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Bill, usd};

    #[test]
    fn a_turn_costs_its_tokens_its_paid_calls_and_the_minutes_of_people() {
        let mut bill = Bill::default();
        for (tool, result) in [
            ("get_order", json!({})),
            ("search_policy", json!({})),
            ("send_decision", json!({"minutes": 9})),
            ("request_approval", json!({"approved": false, "minutes": 3})),
        ] {
            bill.add(tool, &result);
        }
        assert_eq!((bill.tools_usd, bill.review_minutes), (0.003, 3.0));
        assert!((bill.review_usd() - 1.9).abs() < 1e-9 && (usd(1_000_000) - 3.0).abs() < 1e-9);
    }
}
