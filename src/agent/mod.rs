//! Adapters: how the gate talks to the agent under test.

mod contract;

pub use contract::{Answer, Message, ToolOffer, TrialContext, TurnError};
