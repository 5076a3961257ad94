//! Adapters against scripted agents.

mod a2a;
mod command;
mod hostile;
mod http;
mod openai;
mod preset;
mod process;
mod stub;
