//! Values of data classes (an address, a card number) as stable tokens. What the run's own files hold is left as it is:
//! it is made up for the trials and lies in the repository anyway, and grading compares with it. Must not know manifests.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use regex::Regex;

use crate::source::Files;

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
    handled: Vec<Class>,
    own: Vec<Arc<str>>,
    /// Whether a value stands in the run's own texts; they are long, and values come again.
    answers: Arc<Mutex<BTreeMap<String, bool>>>,
}

impl Classes {
    pub(super) fn new(mut handled: Vec<Class>, own: Vec<Arc<str>>) -> Self {
        for class in &mut handled {
            class.fields.iter_mut().for_each(|field| *field = field.to_lowercase());
        }
        Self { handled, own, answers: Arc::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.handled.is_empty()
    }

    /// The token for the value of a field, when the field holds a class and the value is not the run's own.
    pub(super) fn field(&self, key: &str, value: &str) -> Option<String> {
        let key = key.to_lowercase();
        let class = self.handled.iter().find(|class| class.fields.contains(&key))?;
        (!value.trim().is_empty() && !self.is_own(value)).then(|| token(&class.name, value))
    }

    /// A text with each value that a pattern recognises replaced; nothing when there is none.
    pub(super) fn text(&self, text: &str) -> Option<String> {
        let patterns =
            self.handled.iter().flat_map(|class| class.patterns.iter().map(|pattern| (&class.name, pattern)));
        patterns.fold(None, |changed: Option<String>, (name, pattern)| {
            let current = changed.as_deref().unwrap_or(text);
            let foreign = |found: &str| !found.is_empty() && !self.is_own(found);
            if !pattern.find_iter(current).any(|found| foreign(found.as_str())) {
                return changed;
            }
            let replace = |found: &regex::Captures<'_>| {
                let found = found.get(0).map_or("", |whole| whole.as_str());
                if foreign(found) { token(name, found) } else { found.to_owned() }
            };
            Some(pattern.replace_all(current, replace).into_owned())
        })
    }

    fn is_own(&self, value: &str) -> bool {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = answers.get(value) {
            return *known;
        }
        let is_own = self.own.iter().any(|text| text.contains(value));
        answers.insert(value.to_owned(), is_own);
        is_own
    }
}

/// The same value has the same token in every run.
fn token(class: &str, value: &str) -> String {
    let digest: String = Files::digest(value).trim_start_matches("sha256:").chars().take(8).collect();
    format!("[class:{class}:{digest}]")
}
