//! Waivers: a dated, approved step down for one check, and what became of each.

use super::{
    catalogue::Catalogue,
    rung::{Rung, Severity},
};
use crate::source::Location;

/// A waiver as the manifest states it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaiverClaim {
    /// The check's id.
    pub check: String,
    /// Why.
    pub reason: String,
    /// Who accepted it.
    pub approved_by: String,
    /// The last day it holds, `YYYY-MM-DD`.
    pub expires: String,
}

/// What became of a waiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WaiverState {
    /// It made the difference.
    Used,
    /// The check stands without it, or below what it allows.
    Unused,
    /// Its day has passed.
    Expired,
    /// This check can't be waived.
    Refused,
}

impl WaiverState {
    /// The word in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Used => "used",
            Self::Unused => "unused",
            Self::Expired => "expired",
            Self::Refused => "refused",
        }
    }
}

/// A waiver and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiver {
    /// What the manifest states.
    pub claim: WaiverClaim,
    /// What became of it.
    pub state: WaiverState,
    /// Why, in one sentence.
    pub why: String,
    /// Where it stands.
    pub location: Location,
}

/// How a check stands when its waiver is weighed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weighed {
    pub(super) applies: bool,
    pub(super) severity: Severity,
    pub(super) rung: Rung,
    pub(super) needed: Rung,
}

impl Weighed {
    fn is_met(self) -> bool {
        !self.applies || self.rung >= self.needed
    }
}

/// What a waiver does for its check: its state, why, and the need that then holds.
pub(super) fn weigh(
    claim: &WaiverClaim,
    catalogue: &Catalogue,
    standing: Option<Weighed>,
    (today, non_negotiables): (&str, &[String]),
) -> (WaiverState, String) {
    let file = match catalogue.get(&claim.check) {
        Ok(check) => check,
        Err(unknown) => {
            let near = unknown.near.as_ref().map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            return (WaiverState::Refused, format!("{unknown}{near}"));
        }
    };
    let refuse = |why: &str| (WaiverState::Refused, why.to_owned());
    if !file.file.waivable {
        return refuse("this check can't be waived");
    }
    if non_negotiables.contains(&claim.check) {
        return refuse("gate.non_negotiables names this check");
    }
    if claim.reason.trim().is_empty() || claim.approved_by.trim().is_empty() {
        return refuse("a waiver needs a reason and an approver");
    }
    match (date(&claim.expires), date(today)) {
        (Some(expires), Some(today)) if expires < today => {
            return (WaiverState::Expired, format!("it ended on {}", claim.expires));
        }
        (Some(_), Some(_)) => {}
        (None, _) => return refuse("`expires` is no date such as 2027-01-31"),
        (_, None) => return refuse("today's date is not known"),
    }
    match standing {
        None => (WaiverState::Unused, "the check was not asked".to_owned()),
        Some(standing) if !standing.applies => (WaiverState::Unused, "the check does not apply".to_owned()),
        Some(standing) if standing.is_met() => (WaiverState::Unused, "the check is met without it".to_owned()),
        Some(standing) if standing.rung == Rung::Refuted => match standing.severity {
            Severity::Blocker => refuse("the gate saw the opposite, and no waiver helps a blocker"),
            Severity::Major | Severity::Minor => {
                (WaiverState::Used, "the gate saw the opposite; accepted for now".to_owned())
            }
        },
        Some(standing) if standing.rung >= standing.needed.lowered() => {
            (WaiverState::Used, format!("{} suffices until {}", standing.needed.lowered(), claim.expires))
        }
        Some(standing) => {
            let allowed = standing.needed.lowered();
            (WaiverState::Unused, format!("it allows {allowed}, but the check stands at {}", standing.rung))
        }
    }
}

fn date(text: &str) -> Option<jiff::civil::Date> {
    text.get(..10)?.parse().ok()
}
