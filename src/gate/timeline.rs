//! The few moments that tell what happened in one trial. Keeps texts short, because a run may have many; words no report.

use crate::{
    record::{Call, CallStatus, TrialRecord},
    verdict::Moment,
};

/// Calls that are told from the beginning of a trial, and from its end.
const FIRST: usize = 2;
const LAST: usize = 4;
/// Longest text of one moment, in characters.
const LONGEST: usize = 400;

/// What was said and done, in order; in the middle calls are left out and counted.
pub(super) fn of(record: &TrialRecord) -> Vec<Moment> {
    let asked = record.turns.last().map(|turn| moment("user", &turn.say));
    let listed = record.shown.iter().take(FIRST).map(|shown| {
        let text = format!("{} says of itself: {}", shown.tool, shown.says);
        moment("list", &text)
    });
    let answered = record.turns.last().map(|turn| moment("agent", &turn.answer));
    asked.into_iter().chain(listed).chain(calls(&record.ledger)).chain(answered).collect()
}

fn calls(ledger: &[Call]) -> Vec<Moment> {
    if ledger.len() <= FIRST + LAST {
        return ledger.iter().map(call).collect();
    }
    let left_out = ledger.len() - FIRST - LAST;
    let gap = moment("call", &format!("… {left_out} more"));
    let last = ledger.iter().skip(ledger.len() - LAST).map(call);
    ledger.iter().take(FIRST).map(call).chain([gap]).chain(last).collect()
}

fn call(call: &Call) -> Moment {
    let status = match call.status {
        CallStatus::Attempted => "attempted",
        CallStatus::Blocked => "blocked",
        CallStatus::Executed => "executed",
    };
    let short = |text: &str| crate::text::shortened(text, LONGEST / 2);
    let (args, result) = (short(&call.args.to_string()), short(&call.result.to_string()));
    moment("call", &format!("{status} {} {args} -> {result}", call.tool))
}

fn moment(what: &str, text: &str) -> Moment {
    Moment { what: what.to_owned(), text: crate::text::shortened(text, LONGEST) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::of;
    use crate::record::{Call, CallStatus, End, Shown, TrialRecord, TurnRecord};

    #[test]
    fn a_trial_is_told_by_its_last_question_its_first_and_last_calls_and_the_answer() {
        let turn = |say: &str| TurnRecord { say: say.to_owned(), answer: "Done.".to_owned(), ..TurnRecord::default() };
        let call = |nth: u32| Call {
            seq: nth,
            status: CallStatus::Blocked,
            ..Call::executed(&format!("t{nth}"), json!({"n": nth}))
        };
        let shown = Shown { tool: "t0".to_owned(), fault: "changed-schema".to_owned(), says: "pay".to_owned() };
        let trial = |calls: u32| TrialRecord {
            turns: vec![turn("first"), turn("second")],
            ledger: (0..calls).map(call).collect(),
            shown: vec![shown.clone()],
            ..TrialRecord::unasked(0, "s", 0, End::Completed)
        };
        let told = |calls: u32| -> Vec<String> {
            of(&trial(calls)).into_iter().map(|moment| format!("{}: {}", moment.what, moment.text)).collect()
        };
        assert_eq!(
            told(1),
            ["user: second", "list: t0 says of itself: pay", "call: blocked t0 {\"n\":0} -> {}", "agent: Done."]
        );
        let many = told(9);
        assert_eq!(many.len(), 10);
        assert_eq!((many[4].as_str(), many[5].split(' ').nth(2)), ("call: … 3 more", Some("t5")));
        assert!(of(&TrialRecord::unasked(0, "s", 0, End::Completed)).is_empty());
    }
}
