//! Replaces secrets and values of data classes by stable tokens before anything is written.

use std::sync::Arc;

use serde_json::Value;

use super::{
    End, Ending, RunHeader, TrialRecord,
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

    /// Replaces values of these classes too, unless they stand in one of the run's own texts.
    #[must_use]
    pub fn with_classes(self, classes: Vec<Class>, own: Vec<Arc<str>>) -> Self {
        Self { classes: Classes::new(classes, own), ..self }
    }

    fn is_idle(&self) -> bool {
        self.secrets.is_empty() && self.classes.is_empty()
    }

    /// Replaces each secret in a text by `[redacted:NAME]`, and what the pattern of a class recognises by `[class:…]`.
    pub fn text(&self, text: &str) -> String {
        let text = self.without_secrets(text);
        self.classes.text(&text).unwrap_or(text)
    }

    fn without_secrets(&self, text: &str) -> String {
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
    pub(super) fn trial(&self, mut trial: TrialRecord) -> TrialRecord {
        if self.is_idle() {
            return trial;
        }
        for turn in &mut trial.turns {
            turn.say = self.text(&turn.say);
            turn.answer = self.text(&turn.answer);
            for claim in &mut turn.claimed {
                claim.tool = self.text(&claim.tool);
                self.value(&mut claim.args);
            }
            turn.state.iter_mut().for_each(|state| self.value(state));
        }
        for call in &mut trial.ledger {
            call.tool = self.text(&call.tool);
            self.value(&mut call.args);
            self.value(&mut call.result);
            if let Some(grant) = &mut call.grants {
                grant.tool = self.text(&grant.tool);
                self.value(&mut grant.args);
            }
        }
        self.value(&mut trial.state);
        match &mut trial.end {
            End::AgentError { message } | End::InfraError { message } | End::Skipped { message } => {
                *message = self.text(message);
            }
            End::Completed => {}
        }
        trial
    }

    /// The value of a field that holds a class.
    fn field(&self, key: &str, value: &mut Value) {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return,
        };
        if let Some(token) = self.classes.field(key, &text) {
            *value = Value::String(token);
        }
    }

    /// The header with each secret replaced in inputs and facts.
    pub(super) fn header(&self, mut header: RunHeader) -> RunHeader {
        header.inputs.values_mut().for_each(|input| input.text = self.without_secrets(&input.text));
        // A fact's own key may bear the name of a field that holds a class.
        Self { secrets: self.secrets.clone(), classes: Classes::default() }.value(&mut header.facts);
        header
    }

    /// The ending with each secret replaced in its reason.
    pub(super) fn ending(&self, mut ending: Ending) -> Ending {
        ending.stopped = ending.stopped.map(|why| self.text(&why));
        ending
    }

    /// Replaces each secret in every text of a value, keys included.
    pub fn value(&self, value: &mut Value) {
        if self.is_idle() {
            return;
        }
        match value {
            Value::String(text) => *text = self.text(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::Object(entries) => {
                let old = std::mem::take(entries);
                for (key, mut item) in old {
                    self.field(&key, &mut item);
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
