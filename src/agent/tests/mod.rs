//! Adapters against scripted agents.

mod a2a;
mod command;
mod hostile;
mod http;
mod model;
mod preset;
mod process;
mod stub;
