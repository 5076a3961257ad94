//! One binary for all integration tests.

mod architecture;
mod commands;
mod demo;
mod hostile;
mod resume;
mod support;
