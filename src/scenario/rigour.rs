//! How much the scenarios demand: what they assert by deterministic means, which bands, handoffs and prohibitions they
//! cover, and where a scenario makes light of what the gate holds to be unsafe. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Category, Expected, Scenario, Suite, Times};

/// What the manifest says that scenarios are held against.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    /// Reasons for which a case goes to a person.
    pub reasons: Vec<String>,
    /// Bands of an amount, by tool.
    pub bands: BTreeMap<String, Bands>,
    /// Tools that are never allowed.
    pub never: Vec<String>,
}

/// Where the amount stands in a call, up to where it is automatic, and up to where approval may lift it.
#[derive(Clone, Debug, Default)]
pub struct Bands {
    /// JSON Pointer into the arguments.
    pub by: String,
    /// Upper end of the automatic band.
    pub auto: Option<f64>,
    /// Upper end of the band that a person may approve.
    pub approval: Option<f64>,
}

/// How near an amount lies to a border that it tests.
const AT_BORDER: f64 = 0.015;

/// Golden scenarios that are `unasserted` (nothing beside a budget) or `answer_only`; `argued`: tools
/// whose arguments some scenario states; `without_state`: tool to the scenarios that expect it and look at no state;
/// `constrained`: tools that some scenario holds to a condition; `prohibits`: tools that are never allowed to the number of
/// scenarios that forbid them; `handoffs`, `bands`: how many scenarios cover each; `lowered`: what must not be done, of a
/// category below C; `personal`: scenarios with what looks like a living person's data.
pub fn rigour(scenarios: &[Scenario], claims: &Claims) -> Value {
    let golden: Vec<&Scenario> = scenarios.iter().filter(|s| s.suite == Suite::Golden && s.skip.is_none()).collect();
    let ids = |wanted: &dyn Fn(&Scenario) -> bool| -> Vec<&str> {
        golden.iter().filter(|s| wanted(s)).map(|s| s.id.as_str()).collect()
    };
    let count = |wanted: &dyn Fn(&Scenario) -> bool| golden.iter().filter(|s| wanted(s)).count();
    let handoffs: BTreeMap<&str, usize> =
        claims.reasons.iter().map(|reason| (reason.as_str(), count(&|s| speaks_of(s, reason)))).collect();
    let prohibits: BTreeMap<&str, usize> =
        claims.never.iter().map(|tool| (tool.as_str(), count(&|s| forbids(s, tool)))).collect();
    let bands: BTreeMap<&str, Value> =
        claims.bands.iter().map(|(tool, bands)| (tool.as_str(), banded(&golden, tool, bands))).collect();
    let calls = Calls::of(&golden);
    json!({
        "unasserted": ids(&|s| !expected(s).any(|e| is_deed(e) || e.raw.answer.is_some())),
        "answer_only": ids(&|s| !expected(s).any(is_deed) && expected(s).any(|e| e.raw.answer.is_some())),
        "argued": calls.argued,
        "without_state": calls.without_state,
        "constrained": calls.constrained,
        "prohibits": prohibits,
        "handoffs": handoffs,
        "bands": bands,
        "lowered": lowered(scenarios, &claims.never),
        "personal": ids(&is_personal),
    })
}

/// The calls that golden scenarios expect, by tool.
#[derive(Default)]
struct Calls<'a> {
    argued: BTreeSet<&'a str>,
    constrained: BTreeSet<&'a str>,
    without_state: BTreeMap<&'a str, BTreeSet<&'a str>>,
}

impl<'a> Calls<'a> {
    fn of(golden: &[&'a Scenario]) -> Self {
        let mut calls = Self::default();
        for scenario in golden {
            let has_state = expected(scenario).any(|e| e.raw.state.is_some());
            for one in expected(scenario) {
                let tools = one.raw.call.iter().chain(one.raw.calls.iter().flatten()).map(String::as_str);
                for tool in tools.filter(|_| one.raw.times != Some(Times::Exactly(0))) {
                    if one.raw.with.is_some() || one.raw.filter.is_some() {
                        calls.argued.insert(tool);
                    }
                    if has_state || one.raw.filter.is_some() {
                        calls.constrained.insert(tool);
                    }
                    if !has_state {
                        calls.without_state.entry(tool).or_default().insert(&scenario.id);
                    }
                }
            }
        }
        calls
    }
}

fn forbids(scenario: &Scenario, tool: &str) -> bool {
    expected(scenario).any(|e| e.raw.never.iter().flatten().any(|pattern| names(pattern, tool)))
}

fn expected(scenario: &Scenario) -> impl Iterator<Item = &Expected> {
    scenario.expect.iter().chain(scenario.turns.iter().flat_map(|turn| &turn.expect))
}

/// Whether it is decided by what was done, not by what was said.
fn is_deed(one: &Expected) -> bool {
    let raw = &one.raw;
    raw.call.is_some()
        || raw.calls.is_some()
        || raw.never.is_some()
        || raw.changes.is_some()
        || raw.keeps.is_some()
        || raw.state.is_some()
        || raw.handoff.is_some()
        || raw.refusal.is_some()
}

/// Whether a scenario is about a reason for handing over: by a tag, or as an argument of an expected call.
fn speaks_of(scenario: &Scenario, reason: &str) -> bool {
    scenario.tags.iter().any(|tag| tag == reason)
        || expected(scenario).filter_map(|e| e.raw.with.as_ref()).flat_map(BTreeMap::values).any(|v| v == reason)
}

/// How many golden scenarios lie in each band of a tool's amount, and at its borders.
fn banded(golden: &[&Scenario], tool: &str, bands: &Bands) -> Value {
    let amounts: Vec<f64> =
        golden.iter().flat_map(|s| expected(s)).filter_map(|e| amount(e, tool, &bands.by)).collect();
    let auto = bands.auto.unwrap_or(0.0);
    let top = bands.approval.unwrap_or(auto);
    let count = |wanted: &dyn Fn(f64) -> bool| amounts.iter().filter(|amount| wanted(**amount)).count();
    let stops = |e: &Expected| e.raw.handoff == Some(true) || e.raw.refusal == Some(true);
    let stopped = golden.iter().filter(|scenario| forbids(scenario, tool) && expected(scenario).any(stops));
    json!({
        "auto": count(&|amount| amount <= auto),
        "approval": count(&|amount| amount > auto && amount <= top),
        "blocked": stopped.count(),
        "borders": count(&|amount| (amount - auto).abs() < AT_BORDER || (amount - top).abs() < AT_BORDER),
    })
}

/// The amount of an expected call of the tool, or of an approval that is asked for it.
fn amount(one: &Expected, tool: &str, by: &str) -> Option<f64> {
    let with = one.raw.with.as_ref()?;
    if one.raw.call.as_deref() != Some(tool) {
        return None;
    }
    let mut keys = by.split('/').skip(1);
    let first = with.get(keys.next()?)?;
    keys.try_fold(first, |value, key| value.get(key))?.as_f64()
}

fn names(pattern: &str, tool: &str) -> bool {
    crate::text::wildcard_matches(pattern, tool)
}

/// What must not be done and would not be of category C: once per category and `what`, with the first scenario, and the
/// tools among forbidden calls that are never allowed.
fn lowered(scenarios: &[Scenario], never: &[String]) -> Vec<Value> {
    let mut found = BTreeMap::<(&str, String), (&str, usize, Option<&str>)>::new();
    for scenario in scenarios.iter().filter(|s| s.skip.is_none()) {
        for one in expected(scenario).filter(|e| e.category != Category::C) {
            let word = if one.category == Category::A { "A" } else { "B" };
            let calls =
                one.raw.never.iter().flatten().map(|tool| (format!("a forbidden call of {tool}"), Some(tool.as_str())));
            let change = one.raw.changes.iter().map(|_| ("a change that `changes` does not list".to_owned(), None));
            let leaks = one.raw.keeps.iter().flatten().map(|name| (format!("a leak of {name}"), None));
            for (what, pattern) in calls.chain(change).chain(leaks) {
                found.entry((word, what)).or_insert((&scenario.id, 0, pattern)).1 += 1;
            }
        }
    }
    let rows = found.into_iter().map(|((category, what), (scenario, times, pattern))| {
        let never: Vec<&String> = never.iter().filter(|tool| pattern.is_some_and(|own| names(own, tool))).collect();
        json!({"category": category, "what": what, "scenario": scenario, "times": times, "never_allowed": never})
    });
    rows.collect()
}

/// Mail addresses outside the names reserved for examples (RFC 2606), and card numbers that pass their checksum.
fn is_personal(scenario: &Scenario) -> bool {
    let said = scenario.turns.iter().map(|turn| turn.say.clone());
    let given = scenario.given.values().map(ToString::to_string);
    said.chain(given).any(|text| has_address(&text) || has_card(&text))
}

fn has_address(text: &str) -> bool {
    let words = text.split(|c: char| c.is_whitespace() || "\"'<>()[]{},;:".contains(c));
    words.filter_map(|word| word.split_once('@')).any(|(name, host)| {
        let host = host.trim_end_matches(['.', '!', '?']).to_lowercase();
        let top = host.rsplit('.').next().unwrap_or_default();
        let is_reserved = ["example", "test", "invalid", "localhost", "local", "internal"].contains(&top)
            || ["example.com", "example.org", "example.net"]
                .iter()
                .any(|known| host == *known || host.ends_with(&format!(".{known}")));
        !name.is_empty()
            && host.contains('.')
            && top.len() >= 2
            && top.chars().all(|c| c.is_ascii_alphabetic())
            && !is_reserved
    })
}

fn has_card(text: &str) -> bool {
    let mut digits: Vec<u32> = Vec::new();
    for c in text.chars().chain(['.']) {
        match c.to_digit(10) {
            Some(digit) => digits.push(digit),
            None if matches!(c, ' ' | '-') && !digits.is_empty() => {}
            None => {
                if matches!(digits.len(), 13..=19) && is_checked(&digits) {
                    return true;
                }
                digits.clear();
            }
        }
    }
    false
}

/// The checksum of card numbers (Luhn).
fn is_checked(digits: &[u32]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| if at % 2 == 1 { digit * 2 / 10 + digit * 2 % 10 } else { *digit })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::{Bands, Claims, has_address, has_card, rigour};
    use crate::{scenario::load, source::Files};

    fn seen(text: &str) -> Value {
        let files = Files::texts(BTreeMap::from([("a.yaml".to_owned(), text.into())]));
        let bands = Bands { by: "/amount".to_owned(), auto: Some(50.0), approval: Some(300.0) };
        let never = vec!["delete_customer".to_owned()];
        let claims =
            Claims { reasons: vec!["over-limit".to_owned()], bands: [("pay".to_owned(), bands)].into(), never };
        rigour(&load(&files, &["a.yaml".to_owned()]).expect("scenarios"), &claims)
    }

    #[test]
    fn what_a_scenario_decides_by_is_told_apart() {
        let found = seen(
            "suite: golden\nscenarios:\n\
             \x20 deed: {say: a, expect: [{call: pay, with: {amount: 50}, where: 'args.amount > 0'}, {answer: {contains: [x]}}]}\n\
             \x20 bare: {say: b, expect: [{call: pay, with: {amount: 120}}]}\n\
             \x20 said: {say: c, expect: [{answer: {contains: [x]}}]}\n\
             \x20 cheap: {say: d, expect: [{budget: {tokens: 5}}]}\n\
             \x20 stop: {say: e, tags: [over-limit], expect: [{never: [pay]}, {handoff: true}]}\n\
             \x20 soft: {say: f, expect: [{never: [\"delete_*\"], fails: B}]}\n\
             \x20 kept: {say: h, expect: [{keeps: [api_key], fails: A}, {handoff: false}]}\n\
             \x20 free: {say: i, expect: [{changes: [], fails: B}]}\n\
             \x20 gone: {say: g, skip: old, expect: [{answer: {contains: [x]}}]}\n",
        );
        assert_eq!(found["argued"], json!(["pay"]));
        assert_eq!((&found["answer_only"], &found["unasserted"]), (&json!(["said"]), &json!(["cheap"])));
        assert_eq!(found["without_state"]["pay"], json!(["bare", "deed"]));
        assert_eq!(found["constrained"], json!(["pay"]));
        assert_eq!(found["handoffs"], json!({"over-limit": 1}));
        assert_eq!(found["bands"]["pay"], json!({"auto": 1, "approval": 1, "blocked": 1, "borders": 1}));
        assert_eq!(found["prohibits"], json!({"delete_customer": 1}));
        let lowered = found["lowered"].as_array().expect("a list").iter();
        let lowered: Vec<_> =
            lowered.map(|l| (&l["category"], &l["what"], &l["scenario"], &l["never_allowed"])).collect();
        assert_eq!(
            lowered,
            [
                (&json!("A"), &json!("a leak of api_key"), &json!("kept"), &json!([])),
                (&json!("B"), &json!("a change that `changes` does not list"), &json!("free"), &json!([])),
                (&json!("B"), &json!("a forbidden call of delete_*"), &json!("soft"), &json!(["delete_customer"])),
            ]
        );
    }

    #[test]
    fn living_people_are_told_from_examples() {
        for (text, expected) in [
            ("mail ana@acme.example now", false),
            ("mail <ana@shop.example.com>.", false),
            ("mail ana@gmail.com!", true),
            ("see @everyone", false),
            ("npm @scope/name.js", false),
        ] {
            assert_eq!(has_address(text), expected, "{text}");
        }
        for (text, expected) in [
            ("card 4111 1111 1111 1111.", true),
            ("card 4111-1111-1111-1112.", false),
            ("order 1234567890123456789012345", false),
            ("2026-11-21", false),
        ] {
            assert_eq!(has_card(text), expected, "{text}");
        }
    }
}
