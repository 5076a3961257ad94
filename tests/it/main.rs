//! One binary for all integration tests.
#![expect(clippy::indexing_slicing, reason = "an index that is missing fails the test, as it should")]

mod architecture;
mod attack;
mod base;
mod commands;
mod correlation;
mod demo;
mod export;
mod forward;
mod hostile;
mod import;
mod incident;
mod lock;
mod looked;
mod model;
mod readme;
mod real;
mod resume;
mod support;
