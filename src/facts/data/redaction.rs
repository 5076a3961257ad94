//! The redaction rules: whether they compile, pass their own tests, cover the classes, and where they are used.
//!
//! ```yaml
//! redaction: 1
//! updated: 2026-10-01
//! tokens: deterministic        # the same value becomes the same token
//! over: [prompts, outputs, tool-arguments, tool-results]
//! rules:
//!   - class: pii
//!     name: email
//!     pattern: '[a-z0-9._%+-]+@[a-z0-9.-]+\.[a-z]{2,}'
//!     token: '<email:{hash}>'
//!     finds: [ana@customer.example]       # its own tests: found whole …
//!     leaves: [order A-1001]              # … and left alone
//! used_by:                     # place: the file there that loads these rules, relative to the manifest
//!   model: config/model.yaml   # places: model, tools, retrieval, answers, logs, traces, cache
//!   traces: ops/collector.yaml
//! ```
//! `facts.data.redaction`: `path`, `exists`, `readable` (its rules are in this form), `deterministic`, `over`, `used_by`
//! (place to `file`, `exists`, `refers`), `faults` in words, `classes`, `dates`. Rules in another form are there, but what
//! they do can't be told. `facts.data.rules` is a list of one: `rules`, and `trouble` by place (`model`, `tools`,
//! `retrieval`, `answers`) where nothing shows that data is redacted on its way there.

use std::collections::{BTreeMap, BTreeSet};

use regex::RegexBuilder;
use serde_json::{Map, Value, json};

use super::{Sight, string, strings, used_by};

/// The rules of the file that `data.redaction` names.
#[derive(Debug, Default)]
pub(super) struct Rules {
    path: Option<String>,
    exists: bool,
    readable: bool,
    deterministic: bool,
    dates: Value,
    used_by: Map<String, Value>,
    faults: Vec<String>,
    /// What the rules go over, such as `tool-arguments`.
    over: Vec<String>,
    /// Class to the faults of its rules.
    classes: BTreeMap<String, Vec<String>>,
}

impl Rules {
    /// Opens the rules and runs their tests.
    pub(super) fn open(sight: &Sight<'_>) -> Self {
        let Some(path) = sight.text("/data/redaction") else { return Self::default() };
        let mut rules = Self { path: Some(path.to_owned()), ..Self::default() };
        let Some(file) = sight.file(path) else { return rules };
        rules.exists = true;
        rules.dates = file.get("dates").cloned().unwrap_or_default();
        if let Some(error) = string(file, "error") {
            rules.faults.push(error);
        }
        let Some(said) = file.get("json") else { return rules };
        rules.used_by = used_by(sight, path, said);
        rules.over = strings(said.get("over"));
        rules.deterministic = said.get("tokens").and_then(Value::as_str) == Some("deterministic");
        let Some(list) = said.get("rules").and_then(Value::as_array) else { return rules };
        rules.readable = list.iter().all(|rule| rule.get("class").is_some() && rule.get("pattern").is_some());
        for rule in list.iter().filter(|_| rules.readable) {
            let class = string(rule, "class").unwrap_or_default();
            let faults = faults(rule);
            rules.classes.entry(class).or_default().extend(faults.clone());
            rules.faults.extend(faults);
        }
        rules
    }

    /// What is wrong with the rules for a class; nothing when they are fine, or when no rules can be read at all.
    pub(super) fn fault_of(&self, class: &str) -> Option<String> {
        let path = self.path.as_ref().filter(|_| self.readable)?;
        match self.classes.get(class) {
            None => Some(format!("{path} has no rule for it")),
            Some(faults) => faults.first().cloned(),
        }
    }

    /// Why it is not shown that anything is redacted on its way to a place; nothing when it is.
    fn trouble(&self, place: &str) -> Option<String> {
        let Some(path) = &self.path else { return Some("`data.redaction` names no rules".to_owned()) };
        if !self.exists {
            return Some(format!("{path} does not exist"));
        }
        if !self.readable {
            return Some(format!("what {path} does can't be told, its rules are in another form"));
        }
        match self.used_by.get(place) {
            None => Some(format!("{path} does not say where it is used for that (`used_by.{place}`)")),
            Some(used) if used.get("refers") == Some(&Value::Bool(true)) => None,
            Some(used) => {
                let file = string(used, "file").unwrap_or_default();
                Some(format!("{file}, which is said to use {path}, does not name it"))
            }
        }
    }

    /// The rules as the one item of a list.
    pub(super) fn item(&self) -> Value {
        let places = ["model", "tools", "retrieval", "answers"];
        let trouble = places.into_iter().filter_map(|place| Some((place.to_owned(), self.trouble(place)?.into())));
        let trouble: Map<String, Value> = trouble.collect();
        json!([{"name": self.path.as_deref().unwrap_or_default(), "at": "/data/redaction", "rules": true, "trouble": trouble}])
    }

    pub(super) fn facts(&self) -> Value {
        let classes: BTreeSet<&String> = self.classes.keys().collect();
        json!({
            "path": self.path, "exists": self.exists, "readable": self.readable, "deterministic": self.deterministic, "over": self.over,
            "dates": self.dates, "used_by": self.used_by, "faults": self.faults, "classes": classes,
        })
    }
}

/// What is wrong with one rule, by its own tests.
fn faults(rule: &Value) -> Vec<String> {
    let name = string(rule, "name").or_else(|| string(rule, "class")).unwrap_or_default();
    let pattern = rule.get("pattern").and_then(Value::as_str).unwrap_or_default();
    let compiled = match RegexBuilder::new(pattern).case_insensitive(true).size_limit(1 << 20).build() {
        Ok(compiled) if !pattern.is_empty() => compiled,
        Ok(_) => return vec![format!("the rule `{name}` has no pattern")],
        Err(_) => return vec![format!("the pattern of `{name}` is not a regular expression")],
    };
    let (finds, leaves) = (strings(rule.get("finds")), strings(rule.get("leaves")));
    if finds.is_empty() {
        return vec![format!("the rule `{name}` has no test (`finds`)")];
    }
    let whole = |text: &String| compiled.find_iter(text).any(|found| found.as_str().len() == text.len());
    let missed = finds.iter().filter(|text| !whole(text)).map(|_| format!("`{name}` misses one of its own tests"));
    let caught = leaves.iter().filter(|text| compiled.is_match(text));
    let caught = caught.map(|text| format!("`{name}` takes `{text}`, which it must leave"));
    missed.take(1).chain(caught.take(1)).collect()
}
