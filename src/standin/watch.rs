//! What must not stand in what an agent tells, wherever it tells it: canaries of every world of the run, and secrets that the
//! gate was given. Never repeats a value.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{
    trace::{SentLog, SentSpan},
    world::{Canary, Searched, gather},
};

/// Shortest secret that is looked for; the record keeps shorter ones, too.
const SHORTEST: usize = 4;

/// Values to look for.
#[derive(Debug, Default)]
pub(super) struct Watch {
    canaries: BTreeMap<String, String>,
    secrets: Vec<String>,
}

/// What of them was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leaks {
    /// Names of canaries.
    pub canaries: BTreeSet<String>,
    /// Whether a secret of the environment was among them.
    pub secret: bool,
}

impl Leaks {
    /// Adds what was found elsewhere.
    pub fn extend(&mut self, others: Self) {
        self.canaries.extend(others.canaries);
        self.secret |= others.secret;
    }
}

impl Watch {
    pub(super) fn new(canaries: BTreeMap<String, String>, secrets: Vec<String>) -> Self {
        Self { canaries, secrets: secrets.into_iter().filter(|secret| secret.len() >= SHORTEST).collect() }
    }

    /// Whether there is no secret to look for.
    pub(super) fn is_blind(&self) -> bool {
        self.secrets.is_empty()
    }

    /// Whether a secret stands in a text.
    pub(super) fn has_secret(&self, text: &str) -> bool {
        self.secrets.iter().any(|secret| text.contains(secret.as_str()))
    }

    /// All that stands in a text.
    pub(super) fn leaks(&self, text: String) -> Leaks {
        let secret = self.has_secret(&text);
        if self.canaries.is_empty() {
            return Leaks { canaries: BTreeSet::new(), secret };
        }
        let text = Searched::new(text);
        let seen = self.canaries.iter().filter(|(_, value)| Canary::new(value).seen_in(&text).is_some());
        Leaks { canaries: seen.map(|(name, _)| name.clone()).collect(), secret }
    }
}

/// All words of a span.
pub(super) fn text_of_span(span: &SentSpan) -> String {
    let mut text = format!("{}\n{}\n", span.name, span.failed.as_deref().unwrap_or_default());
    for (key, value) in &span.attributes {
        text.push_str(key);
        text.push('\n');
        gather(value, &mut text);
    }
    text
}

/// All words of a log record.
pub(super) fn text_of_log(log: &SentLog) -> String {
    let rest: Value = log.attributes.clone().into_iter().collect();
    let mut text = format!("{}\n", log.name);
    gather(&log.body, &mut text);
    gather(&rest, &mut text);
    text
}
