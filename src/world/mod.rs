//! Simulated systems behind the agent's tools: state, tool behaviour, planted content, canaries. Pure.
//!
//! A [`World`] is compiled once and shared; a [`Play`] is one trial's copy of it. The same calls give the same
//! states, results and ids. Must not know who calls: HTTP belongs to the stand-in.

mod canary;
mod effect;
mod format;
mod load;
mod machine;
mod mishap;
mod play;
mod pointer;

pub use canary::{Canary, Searched, gather};
pub use format::{Approval, Requirement, WorldFile, WorldTool};
pub use load::{load, schema};
pub use machine::{Offer, World};
pub use mishap::{Mishap, cut, garbled};
pub use play::{MAX_ARGUMENT_BYTES, MAX_CALLS, Outcome, Play};

#[cfg(test)]
mod tests;
