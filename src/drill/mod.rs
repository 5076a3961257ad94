//! Drills with a scripted model: what it asks for, and what has to become of it. Pure.
//!
//! A drill repeats lawful calls that the agent made in a golden trial and then asks for one more, or for an endless
//! loop. What came through is read off the gate's own ledger. A drill whose lawful calls did not come through, or that
//! never reached its point, shows nothing.

mod book;
mod file;
mod judge;
mod making;
mod route;

pub use book::{Book, Section};
pub use judge::{Outcome, judge};
pub use making::{Drill, Ground, drills};
pub use route::Routes;

/// Makes ready what asking about drills needs, for a caller that has a thread to spare.
pub fn prepare() {
    std::sync::LazyLock::force(&file::DRILLS);
}

#[cfg(test)]
mod tests;
