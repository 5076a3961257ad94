//! What the golden scenarios show of the workflow: the tools that they expect, and whether they begin and end as the
//! manifest says that runs begin and end.
//!
//! Words are compared by their stems; what a scenario means is not understood here. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Expectation, Scenario, Suite};

/// What the manifest says of a run.
#[derive(Clone, Copy, Debug)]
pub struct Course<'a> {
    /// What starts it.
    pub starts_when: &'a str,
    /// The states in which it is over, as one sentence.
    pub ends_when: &'a str,
    /// The tools that do more than read.
    pub writes: &'a BTreeSet<&'a str>,
}

/// Words too common to tell one state from another.
const COMMON: [&str; 24] = [
    "with", "that", "this", "from", "into", "when", "then", "gets", "have", "been", "will", "each", "must", "over",
    "after", "before", "reason", "user", "case", "person", "agent", "done", "comes", "ends",
];

/// How people say that nothing was done, by stem.
const REFUSALS: [&str; 10] =
    ["refus", "declin", "reject", "deni", "deny", "answer", "repli", "reply", "quot", "explain"];

/// How people say that a case went to a person, by stem.
const HANDOFFS: [&str; 5] = ["hand", "escalat", "forward", "rout", "pass"];

/// `calls`: tool to the number of golden scenarios that expect it; `starts`: golden scenarios that share a word with
/// the trigger; `ends`: each end state with the number of golden scenarios that end so.
pub fn coverage(scenarios: &[Scenario], course: &Course<'_>) -> Value {
    let golden: Vec<Seen<'_>> =
        scenarios.iter().filter(|s| s.suite == Suite::Golden && s.skip.is_none()).map(Seen::new).collect();
    let mut calls = BTreeMap::<&str, usize>::new();
    for name in golden.iter().flat_map(|seen| &seen.calls) {
        *calls.entry(name).or_default() += 1;
    }
    let trigger = stems(course.starts_when);
    let ends: Vec<Value> = states(course.ends_when)
        .into_iter()
        .map(|state| {
            let count = golden.iter().filter(|seen| seen.ends_in(state, course.writes)).count();
            json!({"state": state, "scenarios": count})
        })
        .collect();
    let starts = golden.iter().filter(|seen| !seen.words.is_disjoint(&trigger)).count();
    json!({"calls": calls, "starts": starts, "ends": ends})
}

/// The alternatives of a sentence: `issued, refused, or handed over` has three.
fn states(sentence: &str) -> Vec<&str> {
    let parts = sentence.split([',', ';']).flat_map(|part| part.split(" or "));
    parts.map(|part| part.trim().trim_start_matches("or ")).filter(|part| !part.is_empty()).collect()
}

struct Seen<'a> {
    calls: BTreeSet<&'a str>,
    words: BTreeSet<String>,
    refuses: bool,
    hands_off: bool,
}

impl<'a> Seen<'a> {
    fn new(scenario: &'a Scenario) -> Self {
        let expected = || {
            let all = scenario.expect.iter().chain(scenario.turns.iter().flat_map(|turn| &turn.expect));
            all.map(|expected| &expected.raw)
        };
        let calls: BTreeSet<&str> = expected().flat_map(called).collect();
        let said = scenario.turns.iter().map(|turn| turn.say.as_str());
        let told = scenario.tags.iter().chain(&scenario.title).chain(&scenario.source).map(String::as_str);
        let answers = expected().filter_map(|raw| raw.answer.as_ref()).flat_map(|answer| &answer.contains);
        let words = said.chain(told).chain(answers.map(String::as_str)).chain(calls.iter().copied()).flat_map(stems);
        Self {
            words: words.collect(),
            refuses: expected().any(|raw| raw.refusal == Some(true)),
            hands_off: expected().any(|raw| raw.handoff == Some(true)),
            calls,
        }
    }

    fn ends_in(&self, state: &str, writes: &BTreeSet<&str>) -> bool {
        let wanted = stems(state);
        let speaks_of = |known: &[&str]| wanted.iter().any(|word| known.contains(&word.as_str()));
        let writes = self.calls.iter().any(|name| writes.contains(name));
        if speaks_of(&HANDOFFS) {
            self.hands_off
        } else if speaks_of(&REFUSALS) {
            self.refuses || !self.hands_off && !writes
        } else {
            !self.words.is_disjoint(&wanted)
        }
    }
}

fn called(raw: &Expectation) -> impl Iterator<Item = &str> {
    raw.call.iter().chain(raw.calls.iter().flatten()).map(String::as_str)
}

/// The words of a text that tell something, without their endings.
fn stems(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase);
    words.filter(|word| word.chars().count() >= 4 && !COMMON.contains(&word.as_str())).map(|word| stem(&word)).collect()
}

fn stem(word: &str) -> String {
    let endings = ["ation", "ing", "als", "ed", "es", "al", "s", "e", "d"];
    let cut = endings.iter().find_map(|end| word.strip_suffix(end).filter(|rest| rest.chars().count() >= 4));
    cut.unwrap_or(word).to_owned()
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use serde_json::json;

    use super::{BTreeSet, Course, coverage};
    use crate::{scenario::load, source::Files};

    #[test]
    fn begin_and_end_are_found_in_the_golden_scenarios() {
        let text = "suite: golden\nscenarios:\n  a:\n    say: Please refund the mug of ticket 1\n    expect: [{call: issue_refund}]\n  \
                    b:\n    say: Take it back\n    expect: [{handoff: true}, {call: escalate}]\n  \
                    c:\n    say: Where is it\n    expect: [{never: [issue_refund]}]\n  \
                    d:\n    skip: later\n    say: Close the ticket\n    expect: [{call: close}]\n";
        let texts: BTreeMap<String, Arc<str>> = [("g.yaml".to_owned(), Arc::from(text))].into();
        let scenarios = load(&Files::texts(texts), &["g.yaml".to_owned()]).expect("loads");
        let writes = BTreeSet::from(["issue_refund", "escalate"]);
        let starts_when = "a ticket gets the tag refund-request";
        let course = |ends_when| Course { starts_when, ends_when, writes: &writes };
        let seen =
            coverage(&scenarios, &course("the refund is issued, refused with a reason, or handed to refunds-l2"));
        assert_eq!(seen["calls"], json!({"escalate": 1, "issue_refund": 1}));
        assert_eq!(seen["starts"], json!(1));
        let states = |seen: &serde_json::Value| -> Vec<(String, u64)> {
            let list = seen["ends"].as_array().expect("a list").iter();
            list.map(|end| (end["state"].as_str().expect("text").to_owned(), end["scenarios"].as_u64().expect("n")))
                .collect()
        };
        let expected = [("the refund is issued", 1), ("refused with a reason", 1), ("handed to refunds-l2", 1)];
        assert_eq!(states(&seen), expected.map(|(state, n)| (state.to_owned(), n)));
        let other = coverage(&scenarios, &course("the parcel is archived"));
        assert_eq!(states(&other), [("the parcel is archived".to_owned(), 0)]);
        assert_eq!(coverage(&scenarios, &course(""))["ends"], json!([]));
    }
}
