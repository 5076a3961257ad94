//! Simulated systems behind the agent's tools: state, tool behaviour, planted content, canaries. Pure.

mod format;

pub use format::{Approval, Requirement, WorldFile, WorldTool};
