//! Numbers over grades, and the verdict. Pure; fails closed: what was not assessed is never a pass.
#![warn(clippy::wildcard_enum_match_arm)]

mod attacks;
mod decide;
mod measure;
mod tally;

pub use decide::{Circumstances, decide};
pub use measure::{Bar, Measured, measure};
pub use tally::Tally;

#[cfg(test)]
mod tests;
