//! Replaces secrets by stable tokens before anything is written.

use serde_json::Value;

use super::TrialRecord;

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
                Some(base.replace(value, &format!("[redacted:{name}]")))
            })
            .unwrap_or_else(|| text.to_owned())
    }

    /// The trial with each secret replaced.
    pub(super) fn trial(&self, trial: TrialRecord) -> TrialRecord {
        if self.secrets.is_empty() {
            return trial;
        }
        let mut value = serde_json::to_value(&trial).expect("a trial record is JSON");
        self.value(&mut value);
        serde_json::from_value(value).expect("replacing texts by texts keeps the shape")
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
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}
