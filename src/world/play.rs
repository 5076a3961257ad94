//! One trial's world: its state and its ledger. Every call lands in the ledger; a call takes effect wholly or not.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;

use super::{
    effect::{self, Done, Refusal},
    machine::{State, World},
    pointer::Ids,
};
use crate::record::{Call, CallStatus};

/// The most calls that one trial may make; later ones are refused and not recorded.
pub const MAX_CALLS: usize = 1000;
/// The largest arguments of a call, in bytes of JSON (256 KiB); larger ones are recorded as `null`.
pub const MAX_ARGUMENT_BYTES: usize = 256 * 1024;

/// What a call comes to, as the agent sees it.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It took effect and returned this.
    Executed(Value),
    /// A guard refused it, with this text.
    Blocked(String),
    /// There is no such tool.
    Unknown(String),
    /// It could not be carried out.
    Malformed(String),
}

/// The world of one trial.
#[derive(Clone, Debug)]
pub struct Play {
    world: Arc<World>,
    state: Arc<State>,
    ids: Ids,
    turn: u32,
    ledger: Vec<Call>,
}

impl Play {
    /// Sets the world up as a scenario's `given` says.
    pub fn new(world: Arc<World>, given: &BTreeMap<String, Value>) -> Result<Self, String> {
        let state = world.start(given)?;
        Ok(Self { world, state, ids: Ids::default(), turn: 0, ledger: Vec::new() })
    }

    /// Carries out one call and writes it to the ledger.
    pub fn call(&mut self, tool: &str, args: Value, at_ms: u64) -> Outcome {
        if self.ledger.len() >= MAX_CALLS {
            return Outcome::Malformed(format!("this trial has made {MAX_CALLS} calls, which is the most"));
        }
        let args = if args.is_null() { Value::Object(serde_json::Map::new()) } else { args };
        let (args, done) = if args.to_string().len() > MAX_ARGUMENT_BYTES {
            let limit = MAX_ARGUMENT_BYTES / 1024;
            (Value::Null, Err(Refusal::Malformed(format!("the arguments are larger than {limit} KiB"))))
        } else {
            let done = effect::carry_out(&self.world, &self.state, &self.ids, tool, &args);
            (args, done)
        };
        let mut grants = None;
        let outcome = match done {
            Ok(Done { state, ids, result, grant }) => {
                self.state = state.unwrap_or_else(|| Arc::clone(&self.state));
                self.ids = ids;
                grants = grant;
                Outcome::Executed(result)
            }
            Err(Refusal::Unknown(text)) => Outcome::Unknown(text),
            Err(Refusal::Blocked(text)) => Outcome::Blocked(text),
            Err(Refusal::Malformed(text)) => Outcome::Malformed(text),
        };
        let (status, result) = match &outcome {
            Outcome::Executed(result) => (CallStatus::Executed, result.clone()),
            Outcome::Blocked(text) => (CallStatus::Blocked, text.as_str().into()),
            Outcome::Unknown(text) | Outcome::Malformed(text) => (CallStatus::Attempted, text.as_str().into()),
        };
        let seq = u32::try_from(self.ledger.len()).unwrap_or(u32::MAX);
        let tool = crate::text::shortened(tool, 200);
        self.ledger.push(Call { seq, turn: self.turn, tool, args, status, result, grants, at_ms });
        outcome
    }

    /// Calls from now on belong to the next user turn.
    pub fn next_turn(&mut self) {
        self.turn += 1;
    }

    /// The state now.
    pub fn state(&self) -> &Value {
        self.state.json()
    }

    /// The calls so far, in order.
    pub fn ledger(&self) -> &[Call] {
        &self.ledger
    }

    /// The tools of the world: name, one line for the model, JSON Schema of the arguments.
    pub fn offers(&self) -> Vec<(String, String, Value)> {
        self.world.offers()
    }

    /// The world that is played.
    pub fn world(&self) -> &Arc<World> {
        &self.world
    }
}
