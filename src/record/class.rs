//! Values of data classes (an address, a card number) as tokens. What the run's own files hold is left as it is: it is made
//! up for the trials and lies in the repository anyway. A trial is graded before this, so that a token hides no leak; its
//! ruling goes on record with it. Must not know manifests.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use regex::Regex;
use serde_json::Value;

use super::TrialRecord;
use crate::source::Files;

/// Shortest value that is replaced wherever it stands; a shorter one only in the field that holds it.
const TELLING: usize = 4;
/// Fewest digits of a number that can be somebody's.
const DIGITS: usize = 7;
/// Most candidates of one trial that are looked for in the run's own texts.
const MAX_CANDIDATES: usize = 2_000;
/// Most bytes of one trial that are searched, counted for each value anew: about a second.
const MAX_SEARCHED: usize = 1_000_000_000;
/// Longest beginning of a value that a shortened sentence can end in.
const MAX_HEAD: usize = 2_000;
/// What stands for every text of a trial that holds too many values to be told apart.
pub(super) const WITHHELD: &str = "[class:withheld]";

/// How values of one class are recognised.
#[derive(Clone, Debug)]
pub struct Class {
    /// Its name in the manifest.
    pub name: String,
    /// Names of fields that hold it; case does not matter.
    pub fields: Vec<String>,
    /// What recognises it in any text.
    pub patterns: Vec<Regex>,
}

/// The classes of a run and the texts that it was made of.
#[derive(Clone, Default)]
pub(super) struct Classes {
    listed: Vec<Class>,
    own: Vec<Arc<str>>,
    /// Makes tokens of this run that nobody can try values against.
    key: String,
    /// Values that stand in the run's own texts: those are long, and values come again.
    known: Arc<Mutex<BTreeSet<String>>>,
}

impl Classes {
    pub(super) fn new(mut classes: Vec<Class>, own: Vec<Arc<str>>, key: String) -> Self {
        for class in &mut classes {
            class.fields.iter_mut().for_each(|field| *field = field.to_lowercase());
        }
        Self { listed: classes, own, key, known: Arc::default() }
    }

    /// The values of classes in what the agent said and sent, and in what it was given.
    pub(super) fn found(&self, trial: &mut TrialRecord) -> Found {
        let mut found = Found::default();
        if self.listed.is_empty() {
            return found;
        }
        trial.each_text_mut(&mut |text| {
            found.reads(text);
            self.in_text(text, &mut found);
        });
        trial.each_value_mut(&mut |value| {
            found.reads(&value.to_string());
            self.in_value(value, &mut found);
        });
        found
    }

    fn in_value(&self, value: &Value, found: &mut Found) {
        match value {
            Value::String(text) => {
                self.in_text(text, found);
                // What a tool answered stands in a prompt, and in a span, as text.
                if let Some(inner) = document(text) {
                    self.in_value(&inner, found);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.in_value(item, found)),
            Value::Object(entries) => {
                for (key, item) in entries {
                    self.in_text(key, found);
                    self.in_field(key, item, found);
                    self.in_value(item, found);
                }
            }
            Value::Number(number) => self.in_text(&number.to_string(), found),
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn in_field(&self, key: &str, value: &Value, found: &mut Found) {
        let key = key.to_lowercase();
        let Some(class) = self.listed.iter().find(|class| class.fields.contains(&key)) else { return };
        let held = match value {
            Value::Array(items) => items.as_slice(),
            value => std::slice::from_ref(value),
        };
        for text in held.iter().filter_map(said) {
            self.keep(&class.name, text.trim(), found);
        }
    }

    fn in_text(&self, text: &str, found: &mut Found) {
        for class in &self.listed {
            for pattern in &class.patterns {
                pattern.find_iter(text).for_each(|value| self.keep(&class.name, value.as_str(), found));
            }
        }
    }

    fn keep(&self, class: &str, value: &str, found: &mut Found) {
        if value.is_empty() || found.tokens.contains_key(value) || self.is_own(value, found) {
            return;
        }
        let digest: String =
            Files::digest(&format!("{}{value}", self.key)).trim_start_matches("sha256:").chars().take(8).collect();
        found.tokens.insert(value.to_owned(), format!("[class:{class}:{digest}]"));
    }

    fn is_own(&self, value: &str, found: &mut Found) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.contains(value) {
            return true;
        }
        found.candidates += 1;
        let is_own = !found.has_too_many() && self.own.iter().any(|text| text.contains(value));
        if is_own {
            known.insert(value.to_owned());
        }
        is_own
    }
}

/// What a text holds that is itself JSON: an object or a list.
fn document(text: &str) -> Option<Value> {
    let is_open = text.trim_start().starts_with(['{', '[']);
    is_open.then(|| serde_json::from_str(text).ok()).flatten()
}

/// Texts and longer numbers; the rest is nobody's.
fn said(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()).filter(|text| text.len() >= DIGITS),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Values of one trial, each with its token.
#[derive(Default)]
pub(super) struct Found {
    tokens: BTreeMap<String, String>,
    candidates: usize,
    /// Bytes that are searched for each value.
    searched: usize,
}

impl Found {
    pub(super) fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    fn reads(&mut self, text: &str) {
        self.searched = self.searched.saturating_add(text.len() + MAX_HEAD * text.matches('…').count());
    }

    /// Whether the trial holds more than can be told apart in bounded time: an agent may send what it likes.
    fn has_too_many(&self) -> bool {
        self.candidates > MAX_CANDIDATES || self.tokens.len().saturating_mul(self.searched) > MAX_SEARCHED
    }

    /// The trial with a token for each value.
    pub(super) fn hidden(self, mut trial: TrialRecord) -> TrialRecord {
        if self.has_too_many() {
            trial.each_text_mut(&mut |text| WITHHELD.clone_into(text));
            trial.each_value_mut(&mut |value| *value = WITHHELD.into());
            return trial;
        }
        let tokens = Tokens::of(self.tokens);
        trial.each_text_mut(&mut |text| *text = tokens.text(text));
        trial.each_value_mut(&mut |value| tokens.value(value));
        trial
    }
}

/// Values with their tokens, the longest first.
struct Tokens(Vec<(String, String)>);

impl Tokens {
    fn of(tokens: BTreeMap<String, String>) -> Self {
        let mut tokens: Vec<_> = tokens.into_iter().collect();
        tokens.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        Self(tokens)
    }

    fn value(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.text(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::Object(entries) => {
                let old = std::mem::take(entries);
                entries.extend(old.into_iter().map(|(key, mut item)| {
                    self.value(&mut item);
                    (self.text(&key), item)
                }));
            }
            Value::Number(number) => {
                let text = number.to_string();
                let hidden = self.text(&text);
                if hidden != text {
                    *value = Value::String(hidden);
                }
            }
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn text(&self, text: &str) -> String {
        if let Some((_, token)) = self.0.iter().find(|(value, _)| value == text.trim()) {
            return token.clone();
        }
        self.0.iter().filter(|(value, _)| value.chars().count() >= TELLING).fold(
            text.to_owned(),
            |text, (value, token)| {
                let text = text.replace(value, token);
                let quoted = Value::from(value.as_str()).to_string();
                let quoted = quoted.trim_matches('"');
                let text = if quoted == value { text } else { text.replace(quoted, token) };
                without_a_cut(text, value, token)
            },
        )
    }
}

/// Sentences of a ruling are shortened: what stands before `…` may be the beginning of a value.
fn without_a_cut(text: String, value: &str, token: &str) -> String {
    if !text.contains('…') {
        return text;
    }
    let heads: Vec<&str> =
        value.char_indices().map(|(at, _)| at).skip(TELLING).take(MAX_HEAD).filter_map(|at| value.get(..at)).collect();
    let mut pieces: Vec<String> = text.split('…').map(str::to_owned).collect();
    let last = pieces.len() - 1;
    for piece in pieces.iter_mut().take(last) {
        if let Some(head) = heads.iter().rev().find(|head| piece.ends_with(**head)) {
            piece.truncate(piece.len() - head.len());
            piece.push_str(token);
        }
    }
    pieces.join("…")
}
