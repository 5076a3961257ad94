//! The words that rank evidence and harm: rungs, severities, autonomy levels, and the floors between them.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crate::manifest::raw::Autonomy;

/// How far an item of the checklist is shown, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Rung {
    /// The gate saw the opposite.
    Refuted,
    /// Nothing says it.
    Absent,
    /// The manifest says it.
    Declared,
    /// What stands behind the claim was opened and agrees.
    Verified,
    /// The gate exercised it and saw the result itself.
    Proven,
}

impl Rung {
    /// The word in files and reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Refuted => "refuted",
            Self::Absent => "absent",
            Self::Declared => "declared",
            Self::Verified => "verified",
            Self::Proven => "proven",
        }
    }

    /// One rung down; never below absent, since what was seen to be false is no matter of degree.
    #[must_use]
    pub fn lowered(self) -> Self {
        match self {
            Self::Refuted | Self::Absent | Self::Declared => Self::Absent,
            Self::Verified => Self::Declared,
            Self::Proven => Self::Verified,
        }
    }
}

impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// How much harm a missing check allows, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Without it harm has no bound, or the gate's own measurement means nothing.
    Blocker,
    /// Harm stays bounded, but is found late or undone with pain.
    Major,
    /// Costs money, comfort or paperwork.
    Minor,
}

impl Severity {
    /// The word in files and reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Blocker => "blocker",
            Self::Major => "major",
            Self::Minor => "minor",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// The rung that a severity asks for at a level of autonomy.
pub fn floor(severity: Severity, autonomy: Autonomy) -> Rung {
    match (severity, autonomy) {
        (Severity::Blocker, Autonomy::Autopilot) => Rung::Proven,
        (Severity::Blocker, Autonomy::ReadOnly | Autonomy::DraftOnly | Autonomy::Assist)
        | (Severity::Major, Autonomy::DraftOnly | Autonomy::Assist | Autonomy::Autopilot) => Rung::Verified,
        (Severity::Minor, Autonomy::DraftOnly | Autonomy::Assist | Autonomy::Autopilot) => Rung::Declared,
        (Severity::Major | Severity::Minor, Autonomy::ReadOnly) => Rung::Absent,
    }
}

#[cfg(test)]
mod tests {
    use super::{Autonomy, Rung, Severity, floor};

    #[test]
    fn floors_follow_the_table() {
        let row = |severity| Autonomy::ALL.iter().map(|autonomy| floor(severity, *autonomy).word()).collect::<Vec<_>>();
        assert_eq!(row(Severity::Blocker), ["verified", "verified", "verified", "proven"]);
        assert_eq!(row(Severity::Major), ["absent", "verified", "verified", "verified"]);
        assert_eq!(row(Severity::Minor), ["absent", "declared", "declared", "declared"]);
    }

    #[test]
    fn a_step_down_ends_at_absent() {
        assert_eq!(Rung::Proven.lowered(), Rung::Verified);
        assert_eq!(Rung::Declared.lowered(), Rung::Absent);
        assert_eq!(Rung::Absent.lowered(), Rung::Absent);
    }
}
