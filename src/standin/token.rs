//! Unguessable names for trials and runs.

use std::fmt;

/// 128 random bits in hex.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Token(String);

impl Token {
    /// Draws from the system's generator; never from the seed of the run, so that no agent can predict it.
    pub fn random() -> Self {
        Self(format!("{:032x}", rand::random::<u128>()))
    }

    /// The hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A W3C trace context whose trace id is the token.
    pub fn traceparent(&self) -> String {
        format!("00-{}-{}-01", self.0, self.span())
    }

    /// The id of the span that the gate says it sends from: spans right under it are the first of a turn.
    pub fn span(&self) -> String {
        let digits = self.0.get(16..).and_then(|half| u64::from_str_radix(half, 16).ok()).unwrap_or_default();
        format!("{:016x}", digits | 1)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for Token {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}
