//! An event and when it happened.

use std::time::Duration;

use crate::run::RunEvent;

/// An event and when it happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Moment {
    /// Time since the run began, by the run's own clock.
    pub at: Duration,
    /// What happened.
    pub event: RunEvent,
}
