//! Replaces secrets by stable tokens before anything is written.

use serde_json::Value;

use super::{End, Ending, RunHeader, TrialRecord};

/// How the token begins that stands for a secret.
pub const REDACTED: &str = "[redacted:";

/// Knows the secrets of a run.
#[derive(Clone, Default)]
pub struct Redactor {
    secrets: Vec<(String, String)>,
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
        Self { secrets }
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
    pub(super) fn trial(&self, mut trial: TrialRecord) -> TrialRecord {
        if self.secrets.is_empty() {
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
