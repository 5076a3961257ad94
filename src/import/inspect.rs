//! Datasets of Inspect: an input and the target that the answer must hold.

use super::{
    Format, Haul, Input,
    case::{Case, Shelf, answer, by_reference, said},
    row::Row,
    table,
};
use crate::scenario::AnswerExpectation;

pub(super) const FORMAT: Format = Format {
    name: "inspect",
    about: "Inspect datasets (CSV, JSON or JSONL: input, target, choices): golden scenarios whose answer must hold the target",
    licence: None,
    read,
};

fn read(input: &Input<'_>, haul: &mut Haul) {
    let wanted = table::Wanted { columns: &["input"], below: None };
    table::each(input.file, wanted, haul, one);
}

fn one(row: &mut Row, haul: &mut Haul) {
    let id = row.maybe("/id");
    let Some(mut turns) = turns(row, haul) else { return };
    let targets = targets(row);
    let choices = if row.list("/choices").is_some_and(|length| length > 0) { row.texts("/choices") } else { None };
    let Some(targets) = targets else { return };
    let mut entry = said(Vec::new());
    match (choices, targets.as_slice()) {
        (_, []) => {
            haul.leave_out("a sample without a target is scored by code of the task");
            return;
        }
        (Some(choices), letters) => {
            if let Some(last) = turns.last_mut() {
                last.push_str(&options(&choices));
            }
            let letters: Vec<String> = letters.iter().map(|letter| regex::escape(letter)).collect();
            let matches = Some(format!(r"(?i)\banswer\s*:\s*({})\b", letters.join("|")));
            entry.expect.push(answer(AnswerExpectation { matches, ..AnswerExpectation::default() }));
        }
        (None, [target]) => by_reference(&mut entry, target),
        (None, several) => {
            let any: Vec<String> = several.iter().map(|target| regex::escape(target)).collect();
            let matches = Some(format!("(?i)({})", any.join("|")));
            entry.expect.push(answer(AnswerExpectation { matches, ..AnswerExpectation::default() }));
        }
    }
    let entry = crate::scenario::ScenarioEntry { expect: entry.expect, skip: entry.skip, ..said(turns) };
    haul.cases.push(Case { shelf: Shelf::Golden, row: row.name.clone(), id, entry });
}

/// The user's turns: a text, or messages of which the user's are said.
fn turns(row: &mut Row, haul: &mut Haul) -> Option<Vec<String>> {
    let Some(messages) = row.get("/input").filter(|input| input.is_array()).and_then(serde_json::Value::as_array)
    else {
        return row.text("/input").map(|text| vec![text]);
    };
    let roles: Vec<String> = messages
        .iter()
        .map(|message| message.pointer("/role").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned())
        .collect();
    if roles.iter().any(|role| role == "assistant" || role == "tool") {
        haul.leave_out("the sample begins in the middle of a conversation");
        return None;
    }
    let said: Vec<usize> = (0..).zip(&roles).filter(|(_, role)| *role == "user").map(|(index, _)| index).collect();
    if said.is_empty() {
        row.wrong("/input", "holds no message of the user");
    }
    let turns: Vec<Option<String>> =
        said.into_iter().map(|index| row.text(&format!("/input/{index}/content"))).collect();
    turns.into_iter().collect::<Option<Vec<String>>>().filter(|turns| !turns.is_empty())
}

fn targets(row: &mut Row) -> Option<Vec<String>> {
    if row.list_or_text("/target") { row.texts("/target") } else { Some(row.maybe("/target").into_iter().collect()) }
}

fn options(choices: &[String]) -> String {
    let lettered = ('A'..='Z').zip(choices).map(|(letter, choice)| format!("\n{letter}) {choice}"));
    format!("\n{}\n\nEnd with a line `ANSWER: letter`.", lettered.collect::<String>())
}

impl Row {
    /// Whether a list stands there.
    fn list_or_text(&self, pointer: &str) -> bool {
        self.get(pointer).is_some_and(serde_json::Value::is_array)
    }
}
