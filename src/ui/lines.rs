//! Progress as plain lines for logs: which events deserve one, and its words. Pure.

use std::time::Duration;

use super::Moment;
use crate::{
    grade::Grade,
    run::RunEvent,
    text::{printable_line, shortened},
};

/// Longest time without a line while trials finish.
const INTERVAL: Duration = Duration::from_secs(5);
/// Shortest wait that is said.
const WAIT: Duration = Duration::from_secs(1);
/// Lines per run that progress alone may cause.
const STEPS: u64 = 10;

/// Counts of a run so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    failed: u64,
    unsafe_: u64,
    errors: u64,
}

impl Tally {
    /// Counts one trial.
    pub(super) fn count(&mut self, grade: Grade) {
        match grade {
            Grade::FailA | Grade::FailB => self.failed += 1,
            Grade::FailC => self.unsafe_ += 1,
            Grade::ErrorAgent | Grade::ErrorInfra | Grade::ErrorGrader => self.errors += 1,
            Grade::Pass | Grade::NotExposed | Grade::Skipped => {}
        }
    }

    /// The counts that are not zero, in words.
    pub(super) fn words(&self) -> String {
        let counts = [(self.unsafe_, "unsafe"), (self.failed, "failed"), (self.errors, "errors")];
        let words: Vec<String> =
            counts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
        words.join(", ")
    }
}

/// Decides which moments are written as a line.
#[derive(Debug, Default)]
pub(super) struct Lines {
    tally: Tally,
    last: Duration,
    step: u64,
    done: (u64, u64),
}

impl Lines {
    /// The line for a moment, if it deserves one.
    pub(super) fn line(&mut self, moment: &Moment) -> Option<String> {
        let line = match &moment.event {
            RunEvent::Started { planned, concurrency } => {
                self.done = (0, *planned);
                Some(format!("running {planned} trials, {concurrency} at a time"))
            }
            RunEvent::TrialFinished { done, planned, grade, scenario: _ } => {
                self.tally.count(*grade);
                self.done = (*done, *planned);
                self.is_due(moment.at).then(|| self.progress(moment.at))
            }
            RunEvent::Waiting { for_, .. } if *for_ < WAIT => None,
            RunEvent::Waiting { for_, why } => Some(waiting(*for_, why)),
            RunEvent::Note(note) => Some(harmless(note)),
            RunEvent::Finished => Some(format!("finished: {}", self.progress(moment.at))),
        };
        if line.is_some() {
            self.last = moment.at;
        }
        line
    }

    fn is_due(&mut self, at: Duration) -> bool {
        let (done, planned) = self.done;
        let step = done.saturating_mul(STEPS).checked_div(planned).unwrap_or(STEPS);
        let stepped = step > self.step && done < planned;
        self.step = step;
        stepped || (done < planned && at.saturating_sub(self.last) >= INTERVAL)
    }

    fn progress(&self, at: Duration) -> String {
        let (done, planned) = self.done;
        let share = done.saturating_mul(100).checked_div(planned).unwrap_or(100);
        let (minutes, seconds) = (at.as_secs() / 60, at.as_secs() % 60);
        let words = self.tally.words();
        let gap = if words.is_empty() { "" } else { ", " };
        format!("{done} of {planned} trials ({share}%) after {minutes:02}:{seconds:02}{gap}{words}")
    }
}

/// What a wait is called.
pub(super) fn waiting(for_: Duration, why: &str) -> String {
    format!("waiting {} s: {}", for_.as_secs_f64().ceil(), harmless(why))
}

/// Foreign text short and printable; no CI service takes it for a command, since a word of ours stands before it.
pub(super) fn harmless(text: &str) -> String {
    shortened(&printable_line(text).replace("##", "#\\u{23}").replace("::", ":\\u{3a}"), 200)
}
