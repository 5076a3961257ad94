//! The append-only record of a run.

mod ledger;
mod trial;

pub use ledger::{Call, CallStatus, Grant};
pub use trial::{Claim, End, TrialRecord, TurnRecord, Usage};
