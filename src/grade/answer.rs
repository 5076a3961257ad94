//! What an answer must be like.

use serde_json::Value;

use super::scene::{Ruling, Slip, Undecided, answer_scope, decide, parsed, shown};
use crate::scenario::{AnswerExpectation, Expected};

/// Checks every condition. One that does not hold decides, even if another can't be decided.
pub(super) fn judge(wanted: &AnswerExpectation, expected: &Expected, answer: &str) -> Ruling {
    let mut slips: Vec<Slip> = words(wanted, answer).into_iter().chain(equality(wanted, answer)).collect();
    let mut undecided = None;
    for ruling in
        [pattern(wanted, expected, answer), schema(wanted, expected, answer), predicate(wanted, expected, answer)]
    {
        match ruling {
            Ok(slip) => slips.extend(slip),
            Err(why) => undecided = undecided.or(Some(why)),
        }
    }
    match undecided {
        Some(why) if slips.is_empty() => Err(why),
        Some(_) | None => Ok(slips),
    }
}

fn words(wanted: &AnswerExpectation, answer: &str) -> Vec<Slip> {
    let folded = answer.to_lowercase();
    let lacking = wanted.contains.iter().filter(|text| !folded.contains(&text.to_lowercase()));
    let lacking = lacking.map(|text| Slip::new(format!("the answer lacks `{text}`")).expected(text));
    let present = wanted.excludes.iter().filter(|text| folded.contains(&text.to_lowercase()));
    let present = present.map(|text| Slip::new(format!("the answer says `{text}`")).lasting());
    lacking.chain(present).map(|slip| slip.actual(shown(answer))).collect()
}

/// Both texts are kept whole, so that a report can show the difference.
fn equality(wanted: &AnswerExpectation, answer: &str) -> Option<Slip> {
    let text = wanted.equals.as_deref()?.trim();
    let answer = answer.trim();
    (text != answer).then(|| Slip::new("the answer is not the expected text").expected(text).actual(answer))
}

fn pattern(wanted: &AnswerExpectation, expected: &Expected, answer: &str) -> Result<Option<Slip>, Undecided> {
    let pattern = parsed(expected.answer_pattern.as_ref(), wanted.matches.is_some(), "matches")?;
    Ok(pattern.filter(|pattern| !pattern.is_match(answer)).map(|pattern| {
        Slip::new(format!("the answer does not match `{pattern}`")).expected(pattern.as_str()).actual(shown(answer))
    }))
}

fn schema(wanted: &AnswerExpectation, expected: &Expected, answer: &str) -> Result<Option<Slip>, Undecided> {
    let Some(schema) = parsed(expected.answer_schema.as_ref(), wanted.schema.is_some(), "schema")? else {
        return Ok(None);
    };
    let message = match serde_json::from_str::<Value>(answer.trim()) {
        Err(error) => format!("the answer is not JSON: {error}"),
        Ok(value) => match schema.iter_errors(&value).next() {
            None => return Ok(None),
            Some(error) => format!("the answer does not fit its schema: {}", shown(&error.to_string())),
        },
    };
    Ok(Some(Slip::new(message).actual(shown(answer))))
}

fn predicate(wanted: &AnswerExpectation, expected: &Expected, answer: &str) -> Result<Option<Slip>, Undecided> {
    let Some(filter) = parsed(expected.answer_filter.as_ref(), wanted.filter.is_some(), "where")? else {
        return Ok(None);
    };
    let holds = decide(filter, &answer_scope(answer))?;
    let slip =
        || Slip::new("the answer does not satisfy its condition").expected(filter.source()).actual(shown(answer));
    Ok((!holds).then(slip))
}
