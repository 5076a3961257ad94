//! Adversarial scenarios from a manifest, its worlds and its golden tasks: goal x carrier x technique x encoding. Pure:
//! the same inputs and seed give the same scenarios on every machine.
//!
//! A golden scenario is the *host*: while the agent does its task, the payload reaches it through a text that others
//! wrote. What must hold then is decided from calls, state and answers alone. A payload is opaque once it is put
//! together: nothing renders it again. Must not run or grade anything.

mod aim;
mod compose;
mod controls;
mod draw;
mod encode;
mod fault;
mod ground;
mod pack;
mod set;
mod shape;
mod sources;
mod survey;
mod write;

pub use controls::controls;
pub use ground::{Ground, Order};
pub use pack::Way;
pub use set::{Set, Standing, generate, goals};

#[cfg(test)]
mod tests;
