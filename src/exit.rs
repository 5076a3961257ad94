//! The exit table: one number for every way a command can end, the same for every report format.
#![warn(clippy::wildcard_enum_match_arm)]

use crate::{source::Diagnostics, verdict::Decision};

/// GO, also with waivers; and every command that only shows something.
pub const GO: u8 = 0;
/// NO-GO.
pub const NO_GO: u8 = 1;
/// Bad input: usage, manifest, scenario, check, nothing selected.
pub const BAD_INPUT: u8 = 2;
/// INCONCLUSIVE: endpoint down, too few valid trials, a budget of the run spent, live evidence not gathered.
pub const INCONCLUSIVE: u8 = 3;
/// Internal error, or a report that could not be written.
pub const INTERNAL: u8 = 4;
/// Interrupted by Ctrl-C.
pub const INTERRUPTED: u8 = 130;

/// Why a command ended without a verdict.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A file, flag or selection of the user's is wrong.
    #[error("{0}")]
    Input(Diagnostics),
    /// The gate itself, or the machine below it, failed.
    #[error("{0}")]
    Internal(String),
}

impl From<Diagnostics> for Fault {
    fn from(diagnostics: Diagnostics) -> Self {
        Self::Input(diagnostics)
    }
}

impl Fault {
    /// A mistake in flags or in what they select.
    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Input(crate::source::Diagnostic::error(message).hint(hint).into())
    }

    /// The gate's own failure, with what it was doing.
    pub fn internal(doing: &str, error: impl std::fmt::Display) -> Self {
        Self::Internal(format!("failed to {doing}: {error}"))
    }

    /// The exit code that goes with it.
    pub fn code(&self) -> u8 {
        match self {
            Self::Input(_) => BAD_INPUT,
            Self::Internal(_) => INTERNAL,
        }
    }
}

/// The exit code of a decision.
pub fn of_decision(decision: Decision, interrupted: bool) -> u8 {
    match decision {
        _ if interrupted => INTERRUPTED,
        Decision::Go | Decision::GoWithWaivers => GO,
        Decision::NoGo => NO_GO,
        Decision::Inconclusive => INCONCLUSIVE,
    }
}

#[cfg(test)]
mod tests {
    use super::of_decision;
    use crate::verdict::Decision;

    #[test]
    fn every_decision_has_its_code() {
        for (decision, code) in
            [(Decision::Go, 0), (Decision::GoWithWaivers, 0), (Decision::NoGo, 1), (Decision::Inconclusive, 3)]
        {
            assert_eq!(of_decision(decision, false), code);
            assert_eq!(of_decision(decision, true), 130);
        }
    }
}
