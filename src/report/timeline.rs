//! One trial as a timeline: what was said, what was called, what did not hold.

use super::foreign;
use crate::{
    grade::Graded,
    record::{Call, CallStatus, End, ModelCall, Passage, Said, TrialRecord},
};

/// Longest answer or result that a timeline shows, in characters.
const MAX_TEXT: usize = 1200;
/// Longest part of a prompt.
const MAX_PART: usize = 400;

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
        lines.extend(asked(record, |turn| turn == number));
        lines.push(format!("  agent  {}", block(&turn.answer)));
        lines.extend(turn.claimed.iter().filter(|claim| claim.blocked).map(|claim| {
            format!("  says   its policy stopped {} {}", foreign::line(&claim.tool), block(&claim.args.to_string()))
        }));
    }
    let answered = u32::try_from(record.turns.len()).unwrap_or(u32::MAX);
    lines.extend(asked(record, |turn| turn >= answered));
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

/// What the agent asked of its model and of its tools in some turns, in the order of time.
fn asked(record: &TrialRecord, is_meant: impl Fn(u32) -> bool) -> Vec<String> {
    let tools = record.ledger.iter().filter(|call| is_meant(call.turn)).map(|call| (call.at_ms, call_line(call)));
    let models = record.model_calls.iter().filter(|call| is_meant(call.turn));
    let mut lines: Vec<(u64, String)> = models.map(|call| (call.at_ms, model_lines(call))).chain(tools).collect();
    lines.sort_by_key(|(at, _)| *at);
    lines.into_iter().map(|(_, line)| line).collect()
}

/// One question to the model: what it cost, how it ended, and what it said that no question before it did.
fn model_lines(call: &ModelCall) -> String {
    let ended = call.failed.as_deref().unwrap_or(&call.finish);
    let mut lines = vec![format!(
        "  model  {:>5} ms  {} {}: {} tokens in, {} out; {}",
        call.at_ms,
        foreign::line(&call.format),
        foreign::line(&call.model),
        call.tokens_in,
        call.tokens_out,
        foreign::line(ended)
    )];
    let told = call
        .said
        .iter()
        .flat_map(Said::told)
        .filter(|(field, part)| *field != "model" && (part.is_string() || part.is_object()));
    lines.extend(told.map(|(field, part)| {
        let part = part.as_str().map_or_else(|| part.to_string(), str::to_owned);
        format!("         {}: {}", foreign::line(field), indented(&part, MAX_PART))
    }));
    let left_out = call.said.as_ref().map_or(0, |said| said.left_out);
    lines.extend(
        (left_out > 0).then(|| format!("         {left_out} parts of it are not kept: the prompts are too long")),
    );
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
    indented(text, MAX_TEXT)
}

fn indented(text: &str, longest: usize) -> String {
    foreign::block(text, longest).replace('\n', "\n         ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        grade::{Grade, Graded},
        record::{Prompts, TurnRecord},
    };

    #[test]
    fn questions_to_the_model_stand_among_the_calls_of_their_turn() {
        let mut prompts = Prompts::default();
        let mut asked = |at_ms: u64, messages: serde_json::Value| {
            let request = json!({"model": "m", "messages": messages, "stream": true});
            let said = Some(prompts.take(request.as_object().expect("an object").clone()));
            let (format, model) = ("openai-chat".to_owned(), "m\u{1b}[2J".to_owned());
            ModelCall {
                format,
                model,
                said,
                at_ms,
                tokens_in: 12,
                tokens_out: 3,
                finish: "stop".to_owned(),
                ..ModelCall::default()
            }
        };
        let (user, result) = (json!({"role": "user", "content": "help"}), json!({"role": "tool", "content": "found"}));
        let mut record = TrialRecord::unasked(0, "s", 0, End::Completed);
        record.model_calls = vec![asked(1, json!([user])), asked(9, json!([user, result]))];
        record.ledger = vec![Call { at_ms: 5, ..Call::executed("look", json!({})) }];
        record.turns = vec![TurnRecord { say: "help".to_owned(), answer: "done".to_owned(), ..TurnRecord::default() }];
        let graded = Graded { grade: Grade::Pass, misses: Vec::new(), blocked_attempts: 0 };
        insta::assert_snapshot!(timeline(&record, &graded), @r#"
        s#0  pass  (0 ms, 0 requests)
          user   help
          model      1 ms  openai-chat m\u{1b}[2J: 12 tokens in, 3 out; stop
                 messages: {"role":"user","content":"help"}
          call       5 ms  executed  look {} -> {}
          model      9 ms  openai-chat m\u{1b}[2J: 12 tokens in, 3 out; stop
                 messages: {"role":"tool","content":"found"}
          agent  done
        "#);
    }
}
