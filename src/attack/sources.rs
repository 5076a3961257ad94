//! What a task's reads say, and which of its writes rest on one of them alone: a value that neither the user nor another
//! read gives. Pure.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{
    ground::under,
    survey::{Host, gather},
};
use crate::scenario::{Change, Scenario, Times};

/// A read that was followed, with what came back.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Source {
    pub(super) tool: String,
    pub(super) args: Value,
    pub(super) result: Value,
    /// Whether it said something, and is no search that the task does not ask for.
    pub(super) likely: bool,
}

/// What a task comes to, by which a read shows that the task needs it.
pub(super) struct Wants<'a> {
    said: &'a str,
    /// Arguments of the calls that it asks for.
    values: Vec<Value>,
    /// Words that its answer has to hold.
    answers: Vec<String>,
}

impl<'a> Wants<'a> {
    /// Nothing where the scenario neither says what is to be called or answered, nor hands over.
    pub(super) fn of(scenario: &Scenario, said: &'a str) -> Option<Self> {
        let raw = || scenario.expectations().map(|expected| &expected.raw);
        let called = raw().filter(|raw| raw.call.is_some() && !matches!(raw.times, Some(Times::Exactly(0))));
        let values = called.flat_map(|raw| raw.with.iter().flatten()).map(|(_, value)| value.clone());
        let answers = raw().filter_map(|raw| serde_json::to_value(raw.answer.as_ref()?).ok());
        let wants =
            Self { said, values: values.collect(), answers: answers.map(|answer| answer.to_string()).collect() };
        let is_closed = raw().any(|raw| raw.handoff == Some(true) || raw.refusal == Some(true) || raw.exactly);
        (is_closed || !wants.values.is_empty() || !wants.answers.is_empty()).then_some(wants)
    }

    /// Whether the user names what is read, or the task's calls or answer rest on what it says. A text that another record
    /// of the same tool gives as well, such as a currency, is no reason to open this one.
    pub(super) fn is_met_by(&self, read: &Source, all: &[&Source]) -> bool {
        let is_named = read.args.as_object().is_some_and(|args| args.values().all(|value| is_said(self.said, value)));
        let others = || all.iter().filter(|other| other.tool == read.tool && other.args != read.args);
        let is_shared = |place: &str, text: &str| {
            let mut there = others().filter_map(|other| other.result.pointer(place)?.as_str());
            there.any(|other| plain(other).trim() == text)
        };
        let mut is_told = false;
        gather(&read.result, "", &mut |place, text| {
            let text = plain(text).trim();
            is_told |=
                text.len() > 1 && self.answers.iter().any(|answer| answer.contains(text)) && !is_shared(place, text);
        });
        is_named || is_told || self.values.iter().any(|value| tells(value) && holds(&read.result, value))
    }
}

/// The most fields of one record that are spoiled one by one.
const MOST_FIELDS: usize = 12;

/// `readings`: each read as `{tool, args, sole, echo, lists}`; `fields`: each field of a record as `{tool, at, sole}`.
/// `sole` are the writes whose arguments hold a value that is known from here alone; `echo` is the place where the record
/// bears the id it was asked for, with the id of another.
pub(super) fn readings(host: &Host<'_>, all: &[Host<'_>]) -> (Vec<Value>, Vec<Value>) {
    let said = host.scenario.turns.iter().map(|turn| turn.say.as_str()).collect::<Vec<_>>().join("\n");
    let (mut readings, mut fields) = (Vec::new(), Vec::new());
    for (at, source) in host.sources.iter().enumerate() {
        let elsewhere = |value: &Value| {
            let others = host.sources.iter().enumerate().filter(|(other, _)| *other != at);
            is_said(&said, value) || others.into_iter().any(|(_, other)| gives(other, "", value))
        };
        let sole = |place: &str| -> BTreeSet<&str> {
            let rests = |change: &&Change| {
                let args = change.with.iter().flatten().map(|(_, value)| value);
                args.into_iter().any(|value| tells(value) && gives(source, place, value) && !elsewhere(value))
            };
            host.changes.iter().flatten().filter(rests).map(|change| change.call.as_str()).collect()
        };
        let is_asked_for = host.scenario.expectations().any(|e| e.raw.call.as_deref() == Some(&source.tool));
        let named = source.args.as_object().is_some_and(|args| args.values().all(|value| is_said(&said, value)));
        if !source.likely || (sole("").is_empty() && !named && !is_asked_for) {
            continue;
        }
        let mut lists = false;
        let entries = source.result.as_object();
        for value in entries.into_iter().flatten().map(|(_, value)| value) {
            lists |= value.as_array().is_some_and(|items| !items.is_empty());
        }
        readings.push(json!({"tool": source.tool, "args": source.args, "sole": sole(""), "echo": echo(source, all), "lists": lists}));
        for (key, value) in entries.into_iter().flatten().take(MOST_FIELDS).filter(|(_, value)| !is_bare(value)) {
            let place = format!("/{}", key.replace('~', "~0").replace('/', "~1"));
            let sole = sole(&place);
            fields.push(json!({"tool": source.tool, "at": place, "sole": sole, "echoes": is_asked(source, value)}));
        }
    }
    (readings, fields)
}

/// Nothing can be missed of an empty value.
fn is_bare(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => plain(text).is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Whether a value names something: ids, addresses and amounts, but no free words.
fn tells(value: &Value) -> bool {
    match value {
        Value::Number(_) => true,
        Value::String(text) => {
            text.chars().any(|c| c.is_ascii_digit() || c == '@') && !text.contains(char::is_whitespace)
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => false,
    }
}

fn is_asked(source: &Source, value: &Value) -> bool {
    source.args.as_object().is_some_and(|args| args.values().any(|asked| is_same(asked, value)))
}

/// Whether the read's result, or the part of it at a place, holds a value that it was not asked with.
fn gives(source: &Source, place: &str, wanted: &Value) -> bool {
    source.result.pointer(place).is_some_and(|part| holds(part, wanted)) && !is_asked(source, wanted)
}

fn holds(value: &Value, wanted: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(|item| holds(item, wanted)),
        Value::Object(entries) => {
            entries.iter().any(|(key, value)| wanted.as_str() == Some(key) || holds(value, wanted))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => is_same(value, wanted),
    }
}

fn is_same(value: &Value, wanted: &Value) -> bool {
    match (value, wanted) {
        (Value::String(text), Value::String(wanted)) => plain(text) == wanted,
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        _ => false,
    }
}

/// A text without the mark behind it.
fn plain(text: &str) -> &str {
    text.split('\u{27E6}').next().unwrap_or_default()
}

/// Whether the user's words give a value.
fn is_said(said: &str, value: &Value) -> bool {
    let words = || {
        said.split(|c: char| c.is_whitespace() || "$€£¥,;:()".contains(c))
            .map(|word| word.trim_matches(['.', '!', '?']))
    };
    match value {
        Value::String(text) => said.to_lowercase().contains(&text.to_lowercase()),
        Value::Number(number) => words().any(|word| word.parse().ok() == number.as_f64()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => false,
    }
}

/// Where a record bears the id that it was asked for, and the id of another record.
fn echo(source: &Source, all: &[Host<'_>]) -> Option<Value> {
    let asked: Vec<(&String, &Value)> = source.args.as_object()?.iter().filter(|(_, value)| tells(value)).collect();
    let [(key, own)] = asked.as_slice() else { return None };
    let own = own.as_str()?;
    let mut place = None;
    gather(&source.result, "", &mut |pointer, text| {
        if plain(text) == own && place.is_none() {
            place = Some(pointer.to_owned());
        }
    });
    let others = all.iter().flat_map(|host| &host.sources).filter(|other| other.tool == source.tool);
    let mut others = others.filter_map(|other| other.args.get(key.as_str())?.as_str());
    let other = others.find(|other| *other != own)?;
    Some(json!({"at": place?, "value": other}))
}

/// The writes that a task makes after one of its writes, where it says in which order they come.
pub(super) fn later(host: &Host<'_>, tool: &str) -> Vec<Value> {
    let orders = host.scenario.expectations().filter_map(|expected| expected.raw.calls.as_ref());
    let Some(order) = orders.max_by_key(|calls| calls.len()) else { return Vec::new() };
    let Some(at) = order.iter().position(|call| call == tool) else { return Vec::new() };
    let after: Vec<&String> = order.iter().skip(at + 1).filter(|call| *call != tool).collect();
    let writes = host.changes.iter().flatten().filter(|change| after.contains(&&change.call));
    let entry = |change: &Change| {
        let args: Map<String, Value> = change.with.clone().unwrap_or_default().into_iter().collect();
        (!args.is_empty()).then(|| json!({"tool": change.call, "args": *under(&json!({"args": args}), "args")}))
    };
    writes.filter_map(entry).collect()
}
