//! Replaces secrets and values of data classes by stable tokens before anything is written.

use std::sync::Arc;

use serde_json::Value;

use super::{
    Ending, Ruling, RunHeader, TrialRecord,
    class::{Class, Classes},
};

/// How the token begins that stands for a secret.
pub const REDACTED: &str = "[redacted:";

/// Knows the secrets and the data classes of a run.
#[derive(Clone, Default)]
pub struct Redactor {
    secrets: Vec<(String, String)>,
    classes: Classes,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Redactor({} secrets)", self.secrets.len())
    }
}

impl Redactor {
    /// Takes secrets as (name, value); values shorter than four characters are too common to replace.
    pub fn new(secrets: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut secrets: Vec<_> = secrets.into_iter().filter(|(_, value)| value.len() >= 4).collect();
        secrets.sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
        Self { secrets, classes: Classes::default() }
    }

    /// Replaces values of these classes too, unless they stand in one of the run's own texts; `key` keeps anybody from
    /// trying values against the tokens.
    #[must_use]
    pub fn with_classes(self, classes: Vec<Class>, own: Vec<Arc<str>>, key: String) -> Self {
        Self { classes: Classes::new(classes, own, key), ..self }
    }

    /// Replaces each secret in a text by `[redacted:NAME]`.
    pub fn text(&self, text: &str) -> String {
        self.secrets
            .iter()
            .filter(|(_, value)| text.contains(value.as_str()))
            .fold(None, |current: Option<String>, (name, value)| {
                let base = current.as_deref().unwrap_or(text);
                Some(base.replace(value, &format!("{REDACTED}{name}]")))
            })
            .unwrap_or_else(|| text.to_owned())
    }

    /// The trial with each secret replaced, in what others said; the record's own words are left alone.
    pub(super) fn without_secrets(&self, mut trial: TrialRecord) -> TrialRecord {
        if !self.secrets.is_empty() {
            trial.each_text_mut(&mut |text| *text = self.text(text));
            trial.each_value_mut(&mut |value| self.value(value));
        }
        trial
    }

    /// The trial with each value of a class replaced, and the ruling that was given before; a trial without such a value
    /// is left as it is, because it can be judged again.
    pub(super) fn without_classes(
        &self,
        mut trial: TrialRecord,
        rule: impl FnOnce(&TrialRecord) -> Option<Ruling>,
    ) -> TrialRecord {
        let found = self.classes.found(&mut trial);
        if found.is_empty() {
            return trial;
        }
        trial.ruling = rule(&trial);
        found.hidden(trial)
    }

    /// The header with each secret replaced in inputs and facts.
    pub(super) fn header(&self, mut header: RunHeader) -> RunHeader {
        header.inputs.values_mut().for_each(|input| input.text = self.text(&input.text));
        self.value(&mut header.facts);
        header
    }

    /// The ending with each secret replaced in its reason.
    pub(super) fn ending(&self, mut ending: Ending) -> Ending {
        ending.stopped = ending.stopped.map(|why| self.text(&why));
        ending
    }

    /// Replaces each secret in every text of a value, keys included.
    pub fn value(&self, value: &mut Value) {
        if self.secrets.is_empty() {
            return;
        }
        match value {
            Value::String(text) => *text = self.text(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::Object(entries) => {
                let old = std::mem::take(entries);
                for (key, mut item) in old {
                    self.value(&mut item);
                    entries.insert(self.text(&key), item);
                }
            }
            Value::Number(number) => {
                let text = number.to_string();
                let redacted = self.text(&text);
                if redacted != text {
                    *value = Value::String(redacted);
                }
            }
            Value::Null | Value::Bool(_) => {}
        }
    }
}
