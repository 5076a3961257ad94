//! The bar on a terminal, the lines in a log, or nothing. The only writer of progress.

use std::{
    fmt,
    io::{self, Write},
};

use indicatif::{ProgressBar, ProgressStyle};

use crate::run::RunEvent;

use super::{
    Moment,
    lines::{Lines, Tally, harmless, waiting},
};

/// Shows a run to who waits for it.
pub struct Progress {
    face: Face,
}

enum Face {
    Silent,
    Bar(ProgressBar, Tally),
    Lines(Lines, Box<dyn Write + Send>),
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.face {
            Face::Silent => "Progress::silent",
            Face::Bar(..) => "Progress::bar",
            Face::Lines(..) => "Progress::lines",
        })
    }
}

impl Progress {
    /// Shows nothing.
    pub fn silent() -> Self {
        Self { face: Face::Silent }
    }

    /// Draws a bar on standard error, for terminals.
    pub fn bar() -> Self {
        let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} {elapsed} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::no_length().with_style(style.progress_chars("=> "));
        Self { face: Face::Bar(bar, Tally::default()) }
    }

    /// Writes plain lines on standard error, a few per run, for logs.
    pub fn lines() -> Self {
        Self::lines_to(Box::new(io::stderr()))
    }

    /// Writes plain lines somewhere else.
    pub fn lines_to(out: Box<dyn Write + Send>) -> Self {
        Self { face: Face::Lines(Lines::default(), out) }
    }

    /// Shows what happened. Progress that can't be written is no reason to stop a run.
    pub fn show(&mut self, moment: &Moment) {
        match &mut self.face {
            Face::Silent => {}
            Face::Bar(bar, tally) => draw(bar, tally, &moment.event),
            Face::Lines(lines, out) => {
                if let Some(line) = lines.line(moment) {
                    // A log that went away must not end the run.
                    let _ = writeln!(out, "agentready: {line}").and_then(|()| out.flush());
                }
            }
        }
    }
}

fn draw(bar: &ProgressBar, tally: &mut Tally, event: &RunEvent) {
    match event {
        RunEvent::Started { planned, concurrency: _ } => bar.set_length(*planned),
        RunEvent::TrialFinished { done, planned, grade, scenario: _ } => {
            tally.count(*grade);
            bar.set_length(*planned);
            bar.set_message(tally.words());
            bar.set_position(*done);
        }
        RunEvent::Waiting { for_, why } => bar.set_message(waiting(*for_, why)),
        RunEvent::Note(note) => bar.println(harmless(note)),
        RunEvent::Finished => bar.finish_and_clear(),
    }
}
