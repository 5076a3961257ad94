//! One trial's world: its state and its ledger. Every call lands in the ledger; a call takes effect wholly or not.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;

use super::{
    effect::{self, Decided, Done, Refusal},
    machine::{Offer, State, World},
    mishap::{self, Faults, Mishap},
    pointer::Ids,
};
use crate::{
    record::{Call, CallStatus, Carried, Forwarded, Passage, Shown},
    scenario::{Fault, FaultKind},
};

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
    /// Its answer is late, broken or lost on the way, whatever became of it.
    Faulty(Mishap),
}

impl Outcome {
    /// What the tool answers.
    pub(super) fn answer(&self) -> Value {
        match self {
            Self::Executed(result) => result.clone(),
            Self::Blocked(text) | Self::Unknown(text) | Self::Malformed(text) => text.as_str().into(),
            Self::Faulty(mishap) => mishap::given(mishap),
        }
    }

    fn status(&self) -> CallStatus {
        match self {
            Self::Executed(_) => CallStatus::Executed,
            Self::Blocked(_) => CallStatus::Blocked,
            Self::Unknown(_) | Self::Malformed(_) | Self::Faulty(_) => CallStatus::Attempted,
        }
    }
}

impl From<Refusal> for Outcome {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unknown(text) => Self::Unknown(text),
            Refusal::Blocked(text) => Self::Blocked(text),
            Refusal::Malformed(text) => Self::Malformed(text),
        }
    }
}

/// The arguments of a call, if they are not too large.
fn measured(args: Value) -> Result<Value, Outcome> {
    if args.is_null() {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    if args.to_string().len() <= MAX_ARGUMENT_BYTES {
        return Ok(args);
    }
    Err(Outcome::Malformed(format!("the arguments are larger than {} KiB", MAX_ARGUMENT_BYTES / 1024)))
}

/// A call with what became of it and what the agent is told.
struct Befallen {
    outcome: Outcome,
    status: CallStatus,
    decided: Decided,
    fault: Option<String>,
}

/// The world of one trial.
#[derive(Clone, Debug)]
pub struct Play {
    world: Arc<World>,
    /// As the trial found it.
    start: Arc<State>,
    state: Arc<State>,
    faults: Faults,
    ids: Ids,
    turn: u32,
    ledger: Vec<Call>,
    shown: Vec<Shown>,
}

impl Play {
    /// Sets the world up as a scenario's `given` says.
    pub fn new(world: Arc<World>, given: &BTreeMap<String, Value>) -> Result<Self, String> {
        let start = world.start(given)?;
        let (state, faults) = (Arc::clone(&start), Faults::default());
        Ok(Self { world, start, state, faults, ids: Ids::default(), turn: 0, ledger: Vec::new(), shown: Vec::new() })
    }

    /// Lets tools misbehave.
    #[must_use]
    pub fn with_faults(self, faults: &[Fault]) -> Self {
        Self { faults: Faults::new(faults), ..self }
    }

    /// Carries out one call and writes it to the ledger.
    pub fn call(&mut self, tool: &str, args: Value, at_ms: u64) -> Outcome {
        if let Some(full) = self.full() {
            return full;
        }
        let (args, befallen) = match measured(args) {
            Ok(args) => {
                let befallen = self.befall(tool, &args);
                (args, befallen)
            }
            Err(outcome) => {
                (Value::Null, Befallen { status: outcome.status(), outcome, decided: Decided::default(), fault: None })
            }
        };
        let Befallen { outcome, status, decided: Decided { grant, review }, fault } = befallen;
        let result = outcome.answer();
        let call = self.written(tool, args, at_ms);
        self.ledger.push(Call { status, result, fault, grants: grant, review, ..call });
        outcome
    }

    /// Writes down a call that goes to a system of staging in place of the world; it counts as attempted until it is
    /// settled. Gives its place in the ledger.
    pub fn begin(&mut self, tool: &str, args: &Value, at_ms: u64, system: &str) -> Result<usize, Outcome> {
        if let Some(full) = self.full() {
            return Err(full);
        }
        let (args, refused) = match measured(args.clone()) {
            Ok(args) => (args, None),
            Err(outcome) => (Value::Null, Some(outcome)),
        };
        let call = self.written(tool, args, at_ms);
        let result = refused.as_ref().map_or(Value::Null, Outcome::answer);
        let way = Forwarded { system: system.to_owned(), passage: Passage::Sent, answer: None, refused: Vec::new() };
        let forwarded = Some(way).filter(|_| refused.is_none());
        self.ledger.push(Call { result, forwarded, ..call });
        refused.map_or(Ok(self.ledger.len() - 1), Err)
    }

    /// Says what became of a call that was begun.
    pub fn settle(&mut self, place: usize, status: CallStatus, result: Value, forwarded: Forwarded) {
        if let Some(call) = self.ledger.get_mut(place) {
            (call.status, call.result, call.forwarded) = (status, result, Some(forwarded));
        }
    }

    /// Says that the last call would have gone to a system of staging in another scenario, and that the world could do
    /// nothing with it.
    pub fn note_withheld(&mut self, system: &str) {
        let way =
            Forwarded { system: system.to_owned(), passage: Passage::Withheld, answer: None, refused: Vec::new() };
        if let Some(call) = self.ledger.last_mut() {
            call.forwarded = Some(way);
        }
    }

    /// What a call comes to that is one too many.
    fn full(&self) -> Option<Outcome> {
        let is_full = self.ledger.len() >= MAX_CALLS;
        is_full.then(|| Outcome::Malformed(format!("this trial has made {MAX_CALLS} calls, which is the most")))
    }

    /// A call of which nothing is known but that it arrived.
    fn written(&self, tool: &str, args: Value, at_ms: u64) -> Call {
        Call {
            seq: u32::try_from(self.ledger.len()).unwrap_or(u32::MAX),
            turn: self.turn,
            tool: crate::text::shortened(tool, 200),
            args,
            status: CallStatus::Attempted,
            result: Value::Null,
            fault: None,
            grants: None,
            review: None,
            forwarded: None,
            carried: None,
            at_ms,
        }
    }

    /// Carries a call out as the faults let it.
    fn befall(&mut self, tool: &str, args: &Value) -> Befallen {
        let Some(fault) = self.faults.due(tool) else {
            let (outcome, decided) = self.carry_out(tool, args);
            return Befallen { status: outcome.status(), outcome, decided, fault: None };
        };
        let name = || Some(fault.kind.name().to_owned());
        if mishap::prevents(&fault) {
            let nothing = Outcome::Malformed(String::new());
            let outcome = mishap::spoiled(&fault, &nothing).unwrap_or(nothing);
            return Befallen { status: outcome.status(), outcome, decided: Decided::default(), fault: name() };
        }
        let (outcome, mut decided) = self.carry_out(tool, args);
        let status = outcome.status();
        let told = match fault.kind {
            FaultKind::DuplicateDelivery => {
                let (again, other) = self.carry_out(tool, args);
                decided = Decided { grant: decided.grant.or(other.grant), review: decided.review.or(other.review) };
                again
            }
            FaultKind::StaleData if fault.at.is_empty() => self.earlier(tool, args),
            _ => outcome.clone(),
        };
        let spoiled = match fault.kind {
            FaultKind::StaleData if fault.at.is_empty() => (told != outcome).then_some(told),
            _ => mishap::spoiled(&fault, &told),
        };
        match spoiled {
            Some(spoiled) => Befallen { outcome: spoiled, status, decided, fault: name() },
            None => Befallen { outcome, status, decided, fault: None },
        }
    }

    /// Carries a call out on the state of the trial.
    fn carry_out(&mut self, tool: &str, args: &Value) -> (Outcome, Decided) {
        match effect::carry_out(&self.world, &self.state, &self.ids, tool, args) {
            Ok(Done { state, ids, result, decided }) => {
                self.state = state.unwrap_or_else(|| Arc::clone(&self.state));
                self.ids = ids;
                (Outcome::Executed(result), decided)
            }
            Err(refusal) => (refusal.into(), Decided::default()),
        }
    }

    /// What the call would have come to when the trial began.
    fn earlier(&self, tool: &str, args: &Value) -> Outcome {
        let done = effect::carry_out(&self.world, &self.start, &Ids::default(), tool, args);
        done.map_or_else(Outcome::from, |done| Outcome::Executed(done.result))
    }

    /// Says what came along with the last call.
    pub fn note_carried(&mut self, carried: &Carried) {
        if let Some(call) = self.ledger.last_mut().filter(|call| call.carried.is_none()) {
            call.carried = Some(carried.clone());
        }
    }

    /// The user turn that is under way, from 0.
    pub fn turn(&self) -> u32 {
        self.turn
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

    /// What lists of tools said where a fault changed them.
    pub fn shown(&self) -> &[Shown] {
        &self.shown
    }

    /// The list of those tools of the world that are asked for, as the agent is given it.
    pub fn list(&mut self, is_asked: impl Fn(&str) -> bool) -> Vec<Offer> {
        let mut offers = self.world.offers();
        offers.retain(|offer| is_asked(&offer.name));
        let shown = self.faults.changed_in(&mut offers);
        self.shown.extend(shown.into_iter().take(MAX_CALLS.saturating_sub(self.shown.len())));
        offers
    }

    /// Whether some list of tools says something else than the world does.
    pub fn changes_lists(&self) -> bool {
        self.faults.are_of_lists()
    }

    /// The world that is played.
    pub fn world(&self) -> &Arc<World> {
        &self.world
    }
}
