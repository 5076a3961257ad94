//! Adapters against scripted agents.

mod command;
mod hostile;
mod http;
mod openai;
mod process;
mod stub;
