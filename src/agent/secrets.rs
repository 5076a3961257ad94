//! Values that come from the environment and must not be seen.
//!
//! The environment is handed in by the caller. A value that was asked for is remembered, so that errors and
//! the record can hide it; no error and no debug text ever shows one.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// Shorter values are not hidden: they would tear holes into ordinary words.
const SHORTEST_HIDDEN: usize = 4;

/// Why a secret could not be read.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum SecretError {
    /// The variable does not exist or is empty.
    #[error("environment variable `{0}` is not set")]
    Unset(String),
}

/// The environment, and which of its values were used.
#[derive(Clone, Default)]
pub struct Secrets {
    environment: BTreeMap<String, String>,
    used: BTreeSet<String>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({} used)", self.used.len())
    }
}

impl Secrets {
    /// Takes the environment to look names up in.
    pub fn new(environment: BTreeMap<String, String>) -> Self {
        Self { environment, used: BTreeSet::new() }
    }

    /// The value behind `env:NAME`; any other text is the value itself. Both are hidden from now on.
    pub fn resolve(&mut self, text: &str) -> Result<String, SecretError> {
        let value = match text.strip_prefix("env:") {
            None => text.to_owned(),
            Some(name) => self
                .environment
                .get(name)
                .filter(|value| !value.is_empty())
                .cloned()
                .ok_or_else(|| SecretError::Unset(name.to_owned()))?,
        };
        self.hide(&value);
        Ok(value)
    }

    /// Hides a value that was derived from a secret.
    pub fn hide(&mut self, value: &str) {
        if value.chars().count() >= SHORTEST_HIDDEN {
            self.used.insert(value.to_owned());
        }
    }

    /// The values to keep out of everything that is written, longest first.
    pub fn values(&self) -> Vec<&str> {
        let mut values: Vec<&str> = self.used.iter().map(String::as_str).collect();
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        values
    }

    /// The text with every known value replaced.
    pub fn redacted(&self, text: &str) -> String {
        self.values().into_iter().fold(text.to_owned(), |text, value| text.replace(value, "[secret]"))
    }
}

#[cfg(test)]
mod tests {
    use super::{SecretError, Secrets};

    #[test]
    fn a_secret_is_read_once_and_never_shown() {
        let mut secrets = Secrets::new([("KEY".to_owned(), "s3cr3t-value".to_owned())].into());
        assert_eq!(secrets.resolve("env:KEY"), Ok("s3cr3t-value".to_owned()));
        assert_eq!(secrets.resolve("env:NONE"), Err(SecretError::Unset("NONE".to_owned())));
        assert_eq!(secrets.redacted("token s3cr3t-value."), "token [secret].");
        assert!(!format!("{secrets:?}").contains("s3cr3t"));
        assert_eq!(secrets.values(), ["s3cr3t-value"]);
    }
}
