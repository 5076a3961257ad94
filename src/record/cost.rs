//! What a trial cost by part, as the gate counts it and as the agent tells it. Must not know what that says of the agent.

use super::{CallStatus, Prices, SpanKind, TrialRecord, Usage};

/// Dollars by part; a part that could not be counted whole is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Tokens of models.
    pub inference: Option<f64>,
    /// Calls of paid tools.
    pub tools: Option<f64>,
    /// Minutes of people who decided.
    pub review: Option<f64>,
}

/// What the agent says that a trial cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Told {
    /// By part.
    pub parts: Cost,
    /// Everything together.
    pub total: Option<f64>,
}

impl Prices {
    /// What a trial cost by the gate's own count. Tokens are its provider's, else those of its spans, which tell of all of
    /// them where `is_whole`; calls and people are those of the ledger.
    pub fn parts(&self, record: &TrialRecord, is_whole: bool) -> Cost {
        let executed = || record.ledger.iter().filter(|call| call.status == CallStatus::Executed);
        let paid = executed().filter_map(|call| self.tools.get(&call.tool));
        let minutes: Option<f64> = executed().filter_map(|call| call.review).map(|review| review.minutes).sum();
        let hourly = self.reviewer_usd_per_hour.filter(|usd| *usd > 0.0);
        Cost {
            inference: self.counted(record).or_else(|| self.traced(record).filter(|_| is_whole)),
            tools: (!self.tools.is_empty()).then(|| paid.sum()),
            review: minutes.zip(hourly).map(|(minutes, usd)| minutes * usd / 60.0),
        }
    }

    /// Executed calls of paid tools.
    pub fn paid_calls(&self, record: &TrialRecord) -> u64 {
        let executed = record.ledger.iter().filter(|call| call.status == CallStatus::Executed);
        executed.filter(|call| self.tools.get(&call.tool).is_some_and(|usd| *usd > 0.0)).count() as u64
    }
}

/// What the agent tells of a trial's cost: with its answers, else (of models) on its spans. What it does not tell in each
/// turn, or on each span with tokens, it does not tell.
pub fn told(record: &TrialRecord) -> Told {
    let of_turns = |of: fn(&Usage) -> Option<f64>| -> Option<f64> {
        let told: Option<f64> = record.turns.iter().map(|turn| of(&turn.usage)).sum();
        told.filter(|_| !record.turns.is_empty())
    };
    let (tools, review) = (of_turns(|usage| usage.tools_usd), of_turns(|usage| usage.review_usd));
    let models: f64 = record.turns.iter().map(|turn| turn.usage.usd).sum();
    // Who tells the other parts tells this one too, when it is nothing.
    let is_told = models > 0.0 || tools.is_some() || review.is_some();
    let inference = is_told.then_some(models).or_else(|| on_spans(record));
    Told { parts: Cost { inference, tools, review }, total: of_turns(|usage| usage.total_usd) }
}

fn on_spans(record: &TrialRecord) -> Option<f64> {
    let spans = record.telemetry.as_ref()?.of(SpanKind::Model);
    let mut told = spans.filter(|span| span.usd.is_some() || span.tokens_in.is_some() || span.tokens_out.is_some());
    let first = told.next()?;
    std::iter::once(first).chain(told).map(|span| span.usd).sum()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Cost, Told, told};
    use crate::record::{Call, End, Price, Prices, Review, TrialRecord, TurnRecord, Usage};

    fn prices() -> Prices {
        Prices {
            models: [("p/m".to_owned(), Price { input: 2.0, output: 10.0 })].into(),
            tools: [("pay".to_owned(), 0.25), ("free".to_owned(), 0.0)].into(),
            reviewer_usd_per_hour: Some(30.0),
        }
    }

    fn trial(ledger: Vec<Call>, usages: &[Usage], spans: &Value) -> TrialRecord {
        let turns = usages.iter().map(|usage| TurnRecord { usage: *usage, ..TurnRecord::default() });
        let telemetry = Some(serde_json::from_value(json!({ "spans": spans })).expect("telemetry"));
        TrialRecord { ledger, turns: turns.collect(), telemetry, ..TrialRecord::unasked(0, "s", 0, End::Completed) }
    }

    fn call(tool: &str) -> Call {
        Call::executed(tool, json!({}))
    }

    fn review(minutes: Option<f64>) -> Call {
        Call { review: Some(Review { minutes }), ..call("ask") }
    }

    fn span(tokens: u64, usd: Option<f64>) -> Value {
        let mut span = json!({"id": "a", "kind": "model", "dialect": "d", "name": "m", "at_ms": 0, "took_ms": 0,
            "tokens_in": tokens});
        if let (Some(usd), Some(span)) = (usd, span.as_object_mut()) {
            span.insert("usd".to_owned(), usd.into());
        }
        span
    }

    #[test]
    fn each_part_is_counted_whole_or_not_at_all() {
        let spans = || json!([span(1_000_000, None)]);
        let blocked = Call { status: crate::record::CallStatus::Blocked, ..call("pay") };
        let cost = |inference, tools, review| Cost { inference, tools, review };
        let cases = [
            (
                vec![call("pay"), call("pay"), blocked, call("free")],
                spans(),
                true,
                cost(Some(2.0), Some(0.5), Some(0.0)),
            ),
            (vec![review(Some(4.0)), review(Some(2.0))], spans(), true, cost(Some(2.0), Some(0.0), Some(3.0))),
            (vec![review(Some(4.0)), review(None)], spans(), true, cost(Some(2.0), Some(0.0), None)),
            // Tokens on spans count only where all calls have theirs; without any nothing is known.
            (vec![], spans(), false, cost(None, Some(0.0), Some(0.0))),
            (vec![], json!([]), true, cost(None, Some(0.0), Some(0.0))),
        ];
        for (ledger, spans, is_whole, expected) in cases {
            let record = trial(ledger, &[Usage::default()], &spans);
            assert_eq!(prices().parts(&record, is_whole), expected, "{:?} {spans}", record.ledger);
        }
        let bare = Prices { tools: [].into(), reviewer_usd_per_hour: None, ..prices() };
        let record = trial(vec![call("pay"), review(Some(1.0))], &[], &spans());
        assert_eq!(bare.parts(&record, true), cost(Some(2.0), None, None));
        assert_eq!((bare.paid_calls(&record), prices().paid_calls(&record)), (0, 1));
    }

    #[test]
    fn what_the_agent_tells_is_what_it_tells_in_every_turn() {
        let by_part = Usage { usd: 0.5, tools_usd: Some(0.25), review_usd: Some(2.0), ..Usage::default() };
        let free = Usage { usd: 0.0, ..by_part };
        let models = Usage { usd: 0.5, ..Usage::default() };
        let total = Usage { total_usd: Some(3.0), ..Usage::default() };
        let is = |inference, tools, review, total| Told { parts: Cost { inference, tools, review }, total };
        let cases = [
            (vec![by_part, free], json!([]), is(Some(0.5), Some(0.5), Some(4.0), None)),
            (vec![by_part, models], json!([]), is(Some(1.0), None, None, None)),
            (vec![free], json!([]), is(Some(0.0), Some(0.25), Some(2.0), None)),
            (vec![total, total], json!([]), is(None, None, None, Some(6.0))),
            (vec![total, models], json!([]), is(Some(0.5), None, None, None)),
            (
                vec![Usage::default()],
                json!([span(5, Some(0.5)), span(5, Some(0.25))]),
                is(Some(0.75), None, None, None),
            ),
            (vec![Usage::default()], json!([span(5, Some(0.5)), span(5, None)]), Told::default()),
            (vec![models], json!([span(5, Some(9.0))]), is(Some(0.5), None, None, None)),
            (vec![], json!([]), Told::default()),
        ];
        for (usages, spans, expected) in cases {
            assert_eq!(told(&trial(vec![], &usages, &spans)), expected, "{usages:?} {spans}");
        }
    }
}
