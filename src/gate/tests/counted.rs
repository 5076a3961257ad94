//! What is counted of calls and turns, by the numbers that come of it.

use std::collections::BTreeMap;

use serde_json::json;

use super::{
    super::{Bar, Tally, measure},
    a_plan, record,
};
use crate::{
    grade::{Grade, Graded, Policy},
    plan::Plan,
    record::{Call, CallStatus, TrialRecord, TurnRecord},
};

/// The numbers of the trials that `tried` makes of empty ones; all of them pass.
fn numbers(plan: &Plan, policy: &Policy, tried: impl Fn(TrialRecord) -> Option<TrialRecord>) -> BTreeMap<String, f64> {
    let mut tally = Tally::default();
    for planned in &plan.trials {
        let graded = Graded { grade: Grade::Pass, misses: Vec::new(), blocked_attempts: 0 };
        if let Some(record) = tried(record(planned.index, &plan.scenario(planned).id)) {
            tally.add(plan, planned, policy, (&record, &graded));
        }
    }
    measure(&tally, plan, &Bar { thresholds: &BTreeMap::new(), bound: false, usd_per_success: None }).numbers
}

#[test]
fn a_call_bears_the_id_of_its_run_when_it_is_that_of_the_whole_turn() {
    let call = |turn: u32, baggage: Option<&str>| -> Call {
        let carried = json!({"baggage": baggage});
        serde_json::from_value(
            json!({"seq": 0, "turn": turn, "tool": "t", "args": {}, "status": "executed", "result": {},
            "at_ms": 0, "carried": carried}),
        )
        .expect("a call")
    };
    let own = Call { carried: None, ..call(0, None) };
    for (ledger, share, split) in [
        (vec![call(0, Some("run_id=a,x=1")), call(0, Some("x=1, run_id=a;p=1"))], Some(1.0), Some(0.0)),
        (vec![call(0, Some("run_id=a")), call(1, Some("run_id=b"))], Some(1.0), Some(0.0)),
        (vec![call(0, Some("run_id=a")), call(0, Some("run_id=b"))], Some(0.5), Some(1.0)),
        (
            vec![call(0, Some("run_id=")), call(0, Some("my_run_id=a")), call(0, None), call(0, Some("run_id=a"))],
            Some(0.25),
            Some(0.0),
        ),
        (vec![own], None, None),
        (vec![], None, None),
    ] {
        let policy = Policy { run_id_member: Some("run_id".to_owned()), ..Policy::default() };
        let only_first =
            |record: TrialRecord| (record.index == 0).then(|| TrialRecord { ledger: ledger.clone(), ..record });
        let numbers = numbers(&a_plan(1, 1), &policy, only_first);
        assert_eq!(numbers.get("run_id_propagation"), share.as_ref(), "{ledger:?}");
        assert_eq!(numbers.get("run_ids_split"), split.as_ref(), "{ledger:?}");
    }
}

#[test]
fn latency_is_that_of_golden_trials() {
    let numbers = numbers(&a_plan(2, 3), &Policy::default(), |record| {
        let latency_ms = if record.scenario.starts_with("g-") { 900 } else { 5000 };
        Some(TrialRecord { turns: vec![TurnRecord { latency_ms, ..TurnRecord::default() }], ..record })
    });
    assert_eq!(numbers.get("latency_p95_ms"), Some(&900.0));
}

#[test]
fn a_call_of_an_unlisted_tool_counts_as_tried_whatever_became_of_it() {
    let call = |status: CallStatus, tool: &str| Call { status, ..Call::executed(tool, json!({})) };
    let ledger = vec![call(CallStatus::Attempted, "create_payout"), call(CallStatus::Executed, "delete_all")];
    let only_first =
        |record: TrialRecord| (record.index == 0).then(|| TrialRecord { ledger: ledger.clone(), ..record });
    let numbers = numbers(&a_plan(1, 1), &Policy::default(), only_first);
    assert_eq!(format!("{} {}", numbers["calls_unlisted_tried"], numbers["calls_unlisted"]), "2 1");
    assert_eq!(numbers.get("handoff_planned").map(ToString::to_string).as_deref(), Some("0"));
}
