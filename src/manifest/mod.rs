//! The claims: what the team says about the agent.

pub mod endpoint;
