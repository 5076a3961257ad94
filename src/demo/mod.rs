//! The built-in refund agent: a real loop of model step, policy gate, tool call and answer, sound by default and
//! with named flaws on demand. It is an agent like any other: started as a process, reached over HTTP, and it must
//! not know anything of the gate that tries it.

mod agent;
mod flaw;
mod impairment;
mod limits;
mod model;
mod money;
mod oversight;
mod policy;
mod prices;
mod records;
mod redaction;
mod remote;
mod request;
mod schemas;
mod server;
mod telemetry;
#[cfg(test)]
mod tests;
mod tools;

pub use flaw::{FLAWS, Flaw, FlawEntry, UnknownFlaw};
pub use server::{ServeError, Surroundings, keys, serve};
