//! Stand-ins: servers that play the agent's surroundings, so that the gate sees at first hand what the agent does.
//!
//! They bind to loopback, carry a random token in each URL, and write the ledger. What they simulate is the
//! `world`, and what they forward is answered elsewhere; they add no behaviour of their own.

mod desk;
mod export;
mod gateway;
mod inventory;
mod mcp;
mod model;
mod otlp;
mod relay;
mod seat;
mod stdio;
mod token;
mod tools;
mod watch;

pub use desk::Way;
pub use gateway::{Finished, Gateway, GatewayError, Lane};
pub use inventory::{Inventory, InventoryTool};
pub use model::{Recording, Upstream};
pub use relay::{Behind, Exit, Place, Relays, Staging, Stdio, Web, tools_of};
pub use stdio::bridge;
pub use token::Token;
pub use watch::Leaks;

#[cfg(test)]
mod tests;
