//! Live progress on standard error, from events only.
//!
//! Keeps no clock and asks nobody: when something happened stands in the event. Foreign text (scenario names,
//! reasons to wait) is made printable here, since this is where it meets the terminal.

mod lines;
mod moment;
mod progress;

pub use moment::Moment;
pub use progress::Progress;

#[cfg(test)]
mod tests;
