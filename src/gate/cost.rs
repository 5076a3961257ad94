//! What a success of the golden suite costs, in three parts, and whether the agent says the same of each trial. The cost of
//! failed trials is in it. The order in which trials are added does not matter.

use crate::{
    grade::{Grade, Policy},
    record::{Cost, End, TrialRecord, told},
    trace,
};

/// How far an agent's own figure may lie from the gate's count.
const AGREEMENT: f64 = 0.05;

/// Names of the parts, in the order in which they are kept.
pub(super) const PARTS: [&str; 3] = ["inference", "tools", "review"];

/// What trials cost so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CostTally {
    pub(super) trials: u32,
    pub(super) passed: u32,
    pub(super) parts: [Part; 3],
    /// Executed calls of paid tools.
    pub(super) paid_calls: u64,
    /// Decisions of people.
    pub(super) reviews: u64,
}

/// One part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    /// Billionths of a dollar, so that the sum is the same in any order.
    nano_usd: u64,
    /// Trials in which it was counted whole.
    pub(super) whole: u32,
    /// Those of them of which the agent tells its own figure, and those in which that is another one.
    pub(super) told: u32,
    pub(super) off: u32,
}

impl Part {
    /// Dollars of all trials together.
    pub(super) fn usd(self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "millions of dollars are far below 2^53 billionths")]
        let nano = self.nano_usd as f64;
        nano / 1e9
    }
}

impl CostTally {
    /// Adds a trial of the golden suite that was assessed.
    pub(super) fn add(&mut self, record: &TrialRecord, policy: &Policy, grade: Grade) {
        self.trials += 1;
        self.passed += u32::from(matches!(grade, Grade::Pass | Grade::FailA));
        self.paid_calls += policy.prices.paid_calls(record);
        self.reviews += record.ledger.iter().filter(|call| call.review.is_some()).count() as u64;
        let counted = policy.prices.parts(record, is_whole(record));
        let told = told(record);
        let by_total = told.total.zip(total(counted)).map(|(told, counted)| is_off(told, counted));
        for (part, (counted, told)) in
            self.parts.iter_mut().zip(in_order(counted).into_iter().zip(in_order(told.parts)))
        {
            let Some(counted) = counted else { continue };
            part.whole += 1;
            part.nano_usd = part.nano_usd.saturating_add(nano(counted));
            if let Some(is_off) = told.map(|told| is_off(told, counted)).or(by_total) {
                part.told += 1;
                part.off += u32::from(is_off);
            }
        }
    }
}

/// Whether the trace tells of all that the agent did: each call that the gate saw has its span.
fn is_whole(record: &TrialRecord) -> bool {
    let telemetry = record.telemetry.as_ref().filter(|told| record.end == End::Completed && told.dropped == 0);
    telemetry.is_some_and(|told| trace::uncovered(&record.ledger, told) == 0)
}

fn in_order(cost: Cost) -> [Option<f64>; 3] {
    [cost.inference, cost.tools, cost.review]
}

fn total(cost: Cost) -> Option<f64> {
    in_order(cost).into_iter().sum()
}

fn is_off(told: f64, counted: f64) -> bool {
    (told - counted).abs() > AGREEMENT * counted + 1e-9
}

fn nano(usd: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "casts from f64 saturate")]
    let nano = (usd * 1e9).round() as u64;
    nano
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::CostTally;
    use crate::{
        grade::{Grade, Policy},
        record::{Call, End, Price, Prices, Review, TrialRecord, TurnRecord, Usage},
    };

    fn policy() -> Policy {
        let prices = Prices {
            models: [("p/m".to_owned(), Price { input: 1.0, output: 1.0 })].into(),
            tools: [("mail".to_owned(), 0.5)].into(),
            reviewer_usd_per_hour: Some(60.0),
        };
        Policy { prices, ..Policy::default() }
    }

    /// A million tokens, one mail, two minutes of a person: 1 + 0.5 + 2 dollars.
    fn trial(usage: Usage) -> TrialRecord {
        let span = json!({"id": "a", "kind": "model", "dialect": "d", "name": "m", "tokens_in": 1_000_000, "at_ms": 0, "took_ms": 0});
        let ask = Call { review: Some(Review { minutes: Some(2.0) }), ..Call::executed("ask", json!({})) };
        TrialRecord {
            turns: vec![TurnRecord { usage, ..TurnRecord::default() }],
            ledger: vec![Call::executed("mail", json!({})), ask],
            telemetry: serde_json::from_value(json!({"spans": [span]})).expect("telemetry"),
            ..TrialRecord::unasked(0, "s", 0, End::Completed)
        }
    }

    fn tally(trials: &[(TrialRecord, Grade)]) -> CostTally {
        let mut tally = CostTally::default();
        for (record, grade) in trials {
            tally.add(record, &policy(), *grade);
        }
        tally
    }

    fn by_part(usd: f64, tools: f64, review: f64) -> Usage {
        Usage { usd, tools_usd: Some(tools), review_usd: Some(review), ..Usage::default() }
    }

    #[test]
    fn failed_trials_cost_what_passed_ones_do() {
        let told = by_part(1.0, 0.5, 2.0);
        let tally = tally(&[(trial(told), Grade::Pass), (trial(told), Grade::FailB), (trial(told), Grade::FailA)]);
        assert_eq!((tally.trials, tally.passed, tally.paid_calls, tally.reviews), (3, 2, 3, 3));
        assert_eq!(tally.parts.map(|part| part.nano_usd), [3_000_000_000, 1_500_000_000, 6_000_000_000]);
        assert!(tally.parts.iter().all(|part| (part.whole, part.told, part.off) == (3, 3, 0)), "{tally:?}");
    }

    #[test]
    fn a_figure_may_be_five_percent_off_and_no_more() {
        let total = |usd| Usage { total_usd: Some(usd), ..Usage::default() };
        let cases = [
            (by_part(1.05, 0.475, 2.1), [(1, 0), (1, 0), (1, 0)]),
            (by_part(1.06, 0.5, 2.0), [(1, 1), (1, 0), (1, 0)]),
            (by_part(1.0, 0.0, 0.0), [(1, 0), (1, 1), (1, 1)]),
            (total(3.4), [(1, 0), (1, 0), (1, 0)]),
            (total(1.0), [(1, 1), (1, 1), (1, 1)]),
            // A part that is told by itself is held to that, the others to the whole.
            (Usage { usd: 1.0, ..total(3.0) }, [(1, 0), (1, 1), (1, 1)]),
            (Usage { usd: 1.0, ..Usage::default() }, [(1, 0), (0, 0), (0, 0)]),
            (Usage::default(), [(0, 0), (0, 0), (0, 0)]),
        ];
        for (usage, expected) in cases {
            let tally = tally(&[(trial(usage), Grade::Pass)]);
            assert_eq!(tally.parts.map(|part| (part.told, part.off)), expected, "{usage:?}");
        }
    }

    #[test]
    fn what_was_not_seen_whole_is_not_counted() {
        let told = by_part(1.0, 0.5, 2.0);
        let whole = |record: TrialRecord| tally(&[(record, Grade::Pass)]).parts.map(|part| part.whole);
        assert_eq!(whole(trial(told)), [1, 1, 1]);
        assert_eq!(whole(TrialRecord { telemetry: None, ..trial(told) }), [0, 1, 1]);
        let mut unclear = trial(told);
        unclear.ledger[1].review = Some(Review { minutes: None });
        assert_eq!(whole(unclear), [1, 1, 0]);
        let mut untold = trial(told);
        untold.ledger[0].carried = Some(crate::record::Carried::default());
        assert_eq!(whole(untold), [0, 1, 1], "a call without its span may hide a model's call");
    }
}
