//! One binary for all integration tests.

mod architecture;
mod commands;
mod demo;
mod support;
