//! Adapters against scripted agents.

mod a2a;
mod command;
mod hostile;
mod http;
mod openai;
mod process;
mod stub;
