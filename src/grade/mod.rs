//! Trial to grade: assertions and oracles. Pure.

mod outcome;

pub use outcome::{Grade, Graded, Miss};
