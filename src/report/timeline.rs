//! One trial as a timeline: what was said, what was called, what did not hold.

use super::foreign;
use crate::{
    grade::Graded,
    record::{Call, CallStatus, End, Passage, TrialRecord},
};

/// Longest answer or result that a timeline shows, in characters.
const MAX_TEXT: usize = 1200;

/// Renders a trial for people.
pub fn timeline(record: &TrialRecord, graded: &Graded) -> String {
    let mut lines = vec![format!(
        "{}#{}  {}  ({} ms, {} requests)",
        foreign::line(&record.scenario),
        record.trial,
        graded.grade.name(),
        record.duration_ms,
        record.attempts
    )];
    lines.extend(record.shown.iter().map(|shown| {
        let (tool, fault) = (foreign::line(&shown.tool), foreign::line(&shown.fault));
        format!("  list   ({fault}) {tool} says of itself: {}", block(&shown.says))
    }));
    for (number, turn) in (0_u32..).zip(&record.turns) {
        lines.push(format!("  user   {}", block(&turn.say)));
        lines.extend(record.ledger.iter().filter(|call| call.turn == number).map(call_line));
        lines.push(format!("  agent  {}", block(&turn.answer)));
        lines.extend(turn.claimed.iter().filter(|claim| claim.blocked).map(|claim| {
            format!("  says   its policy stopped {} {}", foreign::line(&claim.tool), block(&claim.args.to_string()))
        }));
    }
    let answered = u32::try_from(record.turns.len()).unwrap_or(u32::MAX);
    lines.extend(record.ledger.iter().filter(|call| call.turn >= answered).map(call_line));
    match &record.end {
        End::Completed => {}
        End::AgentError { message } | End::InfraError { message } | End::Skipped { message } => {
            lines.push(format!("  end    {}", block(message)));
        }
    }
    for miss in &graded.misses {
        lines.push(format!("  miss   [{:?}] {}", miss.category, block(&miss.message)));
        lines.extend(miss.expected.iter().map(|text| format!("         expected {}", block(text))));
        lines.extend(miss.actual.iter().map(|text| format!("         seen     {}", block(text))));
    }
    lines.push(String::new());
    lines.join("\n")
}

/// One call that the gate saw, on a line.
pub fn call_line(call: &Call) -> String {
    let status = match call.status {
        CallStatus::Attempted => "attempted",
        CallStatus::Blocked => "blocked",
        CallStatus::Executed => "executed",
    };
    let fault = call.fault.as_ref().map_or_else(String::new, |fault| format!("({}) ", foreign::line(fault)));
    let way = call.forwarded.as_ref().map_or_else(String::new, |way| {
        let how = match way.passage {
            Passage::Answered => "answered by",
            Passage::Lost => "lost on the way to",
            Passage::Sent => "sent to",
            Passage::Withheld => "not forwarded to",
        };
        let refused: Vec<String> = way.refused.iter().map(|asked| foreign::line(asked)).collect();
        let refused =
            if refused.is_empty() { String::new() } else { format!(", which was refused {}", refused.join(", ")) };
        format!("({how} {}{refused}) ", foreign::line(&way.system))
    });
    format!(
        "  call   {:>5} ms  {status}  {} {} -> {fault}{way}{}",
        call.at_ms,
        foreign::line(&call.tool),
        block(&call.args.to_string()),
        block(&call.result.to_string())
    )
}

/// Foreign text on indented lines.
fn block(text: &str) -> String {
    foreign::block(text, MAX_TEXT).replace('\n', "\n         ")
}
