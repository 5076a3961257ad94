//! The dispatcher: workers that pull trials from the plan, each with a deadline, retries of transport errors only,
//! one shared pace, and an end that Ctrl-C, time or money can bring forward.
//!
//! It knows neither grades nor reports: each finished trial goes to the caller's sink, which writes it down before the
//! slot starts its next one.

mod cancel;
mod dispatch;
mod event;
mod pace;
mod trial;

pub use cancel::{Cancel, CancelReason};
pub use dispatch::{Bounds, Course, Sink, Summary, execute};
pub use event::RunEvent;
pub use pace::Pace;
pub use trial::{Limits, Reach, Stage};

#[cfg(test)]
mod tests;
