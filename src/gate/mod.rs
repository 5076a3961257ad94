//! Numbers over grades, and the verdict. Pure; fails closed: what was not assessed is never a pass.
#![warn(clippy::wildcard_enum_match_arm)]

mod attacks;
mod cost;
mod decide;
mod ladder;
mod measure;
mod tally;
mod timeline;
mod to_go;
mod traced;

pub use decide::{Circumstances, decide};
pub use ladder::ladder;
pub use measure::{Bar, Measured, measure};
pub use tally::Tally;
pub use to_go::to_go;

#[cfg(test)]
mod tests;
