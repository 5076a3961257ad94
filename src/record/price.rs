//! What models, tools and people cost, and what a trial cost by what the gate or the agent's spans counted. Must not know where prices stand.

use std::collections::BTreeMap;

use super::{SpanKind, TrialRecord};

/// Dollars for a million tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Price {
    /// Tokens that go in.
    pub input: f64,
    /// Tokens that come out.
    pub output: f64,
}

/// What models, tools and people cost.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prices {
    /// Prices of models by `provider/model`.
    pub models: BTreeMap<String, Price>,
    /// Dollars for a call of a paid tool.
    pub tools: BTreeMap<String, f64>,
    /// Dollars for an hour of a person who reviews.
    pub reviewer_usd_per_hour: Option<f64>,
}

impl Prices {
    /// The price of a model, by its full name or by the name that its provider knows it by.
    fn of(&self, model: &str) -> Option<Price> {
        let exact = self.models.get(model).copied();
        let is_it = |id: &&String| id.rsplit_once('/').is_some_and(|(_, name)| name == model);
        exact.or_else(|| {
            let mut named = self.models.keys().filter(is_it).filter_map(|id| self.models.get(id).copied());
            // Two providers may sell one model at two prices: that names none.
            named.next().filter(|_| named.next().is_none())
        })
    }

    fn cost(&self, model: &str, tokens_in: u64, tokens_out: u64) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "tokens are far below 2^53")]
        let millions = |tokens: u64| tokens as f64 / 1_000_000.0;
        let price = self.of(model)?;
        Some(millions(tokens_in) * price.input + millions(tokens_out) * price.output)
    }

    /// What the provider's own counts come to in a trial; nothing when it was not asked through the gate, did not count, or a
    /// model has no price.
    pub fn counted(&self, record: &TrialRecord) -> Option<f64> {
        let mut asked = record.model_calls.iter().filter(|call| call.forwarded && call.failed.is_none()).peekable();
        asked.peek()?;
        asked.map(|call| self.cost(&call.model, call.tokens_in, call.tokens_out).filter(|_| !call.is_uncounted)).sum()
    }

    /// What the tokens on the agent's spans come to; nothing when no span tells of any, or the model that answered is a
    /// script.
    pub(super) fn traced(&self, record: &TrialRecord) -> Option<f64> {
        let is_scripted = record.model_calls.iter().any(|call| !call.forwarded);
        let telemetry = record.telemetry.as_ref().filter(|_| !is_scripted)?;
        let told = telemetry.of(SpanKind::Model).filter(|span| span.tokens_in.is_some() || span.tokens_out.is_some());
        let cost = |span: &super::SpanRecord| {
            self.cost(&span.name, span.tokens_in.unwrap_or_default(), span.tokens_out.unwrap_or_default())
        };
        let mut told = told.peekable();
        told.peek()?;
        told.map(cost).sum()
    }

    /// Dollars of a trial: by the provider's counts, else the more of what the agent reports and what its spans tell.
    pub fn of_trial(&self, record: &TrialRecord) -> f64 {
        let reported = reported(record);
        self.counted(record).map_or_else(
            || self.traced(record).map_or(reported, |told| told.max(reported)),
            |counted| counted.max(reported),
        )
    }
}

/// Dollars that the agent reports itself.
fn reported(record: &TrialRecord) -> f64 {
    record.turns.iter().map(|turn| turn.usage.usd).sum()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Price, Prices};
    use crate::record::{End, TrialRecord, TurnRecord, Usage};

    fn prices() -> Prices {
        let price = |input, output| Price { input, output };
        let listed =
            [("openai/gpt-x", price(2.0, 10.0)), ("one/shared", price(1.0, 1.0)), ("two/shared", price(9.0, 9.0))];
        let models = listed.into_iter().map(|(id, price)| (id.to_owned(), price)).collect();
        Prices { models, ..Prices::default() }
    }

    fn trial(calls: &serde_json::Value, spans: &serde_json::Value, usd: f64) -> TrialRecord {
        let usage = Usage { usd, ..Usage::default() };
        TrialRecord {
            turns: vec![TurnRecord { usage, ..TurnRecord::default() }],
            model_calls: serde_json::from_value(calls.clone()).expect("calls"),
            telemetry: Some(serde_json::from_value(json!({ "spans": spans })).expect("telemetry")),
            ..TrialRecord::unasked(0, "s", 0, End::Completed)
        }
    }

    fn call(model: &str, more: &serde_json::Value) -> serde_json::Value {
        let mut call = json!({"format": "openai-chat", "model": model, "prompt": "sha256:a", "bytes": 1, "tools": 0,
            "calls": 0, "tokens_in": 1_000_000, "tokens_out": 500_000, "at_ms": 0, "forwarded": true});
        call.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
        call
    }

    fn span(model: &str) -> serde_json::Value {
        json!({"id": "a", "kind": "model", "dialect": "d", "name": model, "tokens_in": 1_000_000, "at_ms": 0, "took_ms": 0})
    }

    #[test]
    fn a_trial_costs_what_the_provider_counted_else_the_most_that_the_agent_tells() {
        let cases = [
            (json!([call("gpt-x", &json!({}))]), json!([]), 0.5, 7.0),
            (json!([call("openai/gpt-x", &json!({}))]), json!([]), 8.0, 8.0),
            // Who does not count, or has no price, leaves the agent's word.
            (json!([call("gpt-x", &json!({"is_uncounted": true}))]), json!([]), 0.5, 0.5),
            (json!([call("shared", &json!({}))]), json!([]), 0.5, 0.5),
            // What failed used nothing, and a script is no provider.
            (json!([call("gpt-x", &json!({})), call("gpt-x", &json!({"failed": "429"}))]), json!([]), 0.0, 7.0),
            (json!([call("gpt-x", &json!({"forwarded": false}))]), json!([span("gpt-x")]), 0.25, 0.25),
            (json!([]), json!([span("gpt-x")]), 0.5, 2.0),
            (json!([]), json!([span("gpt-x")]), 3.0, 3.0),
            (json!([]), json!([span("gpt-x"), span("unknown")]), 0.5, 0.5),
        ];
        for (calls, spans, usd, cost) in cases {
            let record = trial(&calls, &spans, usd);
            assert!((prices().of_trial(&record) - cost).abs() < 1e-9, "{calls} {}", prices().of_trial(&record));
        }
    }
}
