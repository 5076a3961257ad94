//! What happens in a run, as far as someone who waits for it wants to know.

use std::time::Duration;

use crate::grade::Grade;

/// One thing that happened in a run.
#[derive(Clone, Debug, PartialEq)]
pub enum RunEvent {
    /// The run begins.
    Started {
        /// Trials planned.
        planned: u64,
        /// Trials at a time.
        concurrency: usize,
    },
    /// A trial has its grade.
    TrialFinished {
        /// Trials finished so far, this one included.
        done: u64,
        /// Trials planned.
        planned: u64,
        /// The trial's grade.
        grade: Grade,
        /// The scenario's id.
        scenario: String,
    },
    /// The run waits on purpose.
    Waiting {
        /// How long.
        for_: Duration,
        /// For what.
        why: String,
    },
    /// Something worth a line.
    Note(String),
    /// The run is over.
    Finished,
}
