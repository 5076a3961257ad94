//! Intervals, repeats and percentiles: what a handful of trials may be said to show.
//!
//! Owns the arithmetic only; what is counted and what a number must reach is the gate's business. Every function
//! is total: where nothing was measured there is no number, never a zero.

mod interval;
mod percentile;
mod rate;
mod repeats;
mod sign;

pub use interval::{clopper_pearson_lower, clopper_pearson_upper};
pub use percentile::p95;
pub use rate::Rate;
pub use repeats::{pass_at_k, pass_hat_k};
pub use sign::sign_test;
