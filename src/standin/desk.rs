//! Trials in flight: which of them a request belongs to, by its URL or by what it carries, and what could not be given to one.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Instant,
};

use axum::http::HeaderMap;
use serde_json::Value;

use super::{Inventory, Token, model::Script};
use crate::{
    record::{Carried, ModelCall},
    world::{Offer, Outcome, Play},
};

/// Everything that is open.
#[derive(Debug, Default)]
pub(super) struct Desk {
    open: Mutex<Open>,
    unattributed: AtomicU32,
    ways: Mutex<BTreeSet<Way>>,
}

#[derive(Debug, Default)]
struct Open {
    seats: BTreeMap<String, Arc<Seat>>,
    /// The trial that sits on each lane; a lane is a URL that an agent process keeps for all its trials.
    lanes: BTreeMap<String, Option<String>>,
}

/// One trial's place.
#[derive(Debug)]
pub(super) struct Seat {
    play: Mutex<Play>,
    model: Mutex<Line>,
    began: Instant,
    /// Nothing may take effect: the tools are shown to see how calls arrive.
    is_probe: bool,
}

/// One trial's line to the model.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// What answers.
    pub(super) script: Option<Script>,
    /// What was asked so far.
    pub(super) calls: Vec<ModelCall>,
}

/// How a call was given to its trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// The URL bears the trial's token.
    Url,
    /// `baggage` or `traceparent` among the headers.
    Headers,
    /// The same in MCP's `_meta`.
    Meta,
    /// The one trial that was in flight at this URL.
    Alone,
}

/// What a request carries of its trial beside the URL.
#[derive(Clone, Debug, Default)]
pub(super) struct Hints {
    carried: Carried,
    is_meta: bool,
}

/// Longest value of trace context that is kept.
const LONGEST: usize = 2048;

impl Hints {
    pub(super) fn headers(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        Self { carried: carried(text("baggage"), text("traceparent")), is_meta: false }
    }

    /// What MCP carries in `_meta` (SEP-414), where the headers do not name a trial as well.
    pub(super) fn or_meta(self, baggage: Option<&str>, traceparent: Option<&str>) -> Self {
        let meta = carried(baggage, traceparent);
        if self.trial().is_some() || (self.carried.trace().is_some() && meta.member(TRIAL).is_none()) {
            return self;
        }
        let is_meta = meta != Carried::default();
        Self { carried: if is_meta { meta } else { self.carried }, is_meta }
    }

    fn trial(&self) -> Option<&str> {
        self.carried.member(TRIAL)
    }
}

/// The member of the baggage that names a trial.
const TRIAL: &str = "agentready.trial";

fn carried(baggage: Option<&str>, traceparent: Option<&str>) -> Carried {
    let kept = |text: &str| crate::text::shortened(text, LONGEST);
    Carried { traceparent: traceparent.map(kept), baggage: baggage.map(kept) }
}

impl Desk {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a URL for one agent process.
    pub(super) fn add_lane(&self, lane: &Token) {
        self.open().lanes.insert(lane.as_str().to_owned(), None);
    }

    pub(super) fn sit(&self, token: &Token, lane: Option<&Token>, seat: Seat) {
        let mut open = self.open();
        open.seats.insert(token.as_str().to_owned(), Arc::new(seat));
        if let Some(sitting) = lane.and_then(|lane| open.lanes.get_mut(lane.as_str())) {
            *sitting = Some(token.as_str().to_owned());
        }
    }

    pub(super) fn rise(&self, token: &Token) -> Option<Arc<Seat>> {
        let mut open = self.open();
        for sitting in open.lanes.values_mut() {
            if sitting.as_deref() == Some(token.as_str()) {
                *sitting = None;
            }
        }
        open.seats.remove(token.as_str())
    }

    /// The trial of a token.
    pub(super) fn seat(&self, token: &str) -> Option<Arc<Seat>> {
        self.open().seats.get(token).cloned()
    }

    /// By the token in the URL; on a lane by what the request carries, else the trial that sits there.
    pub(super) fn find(&self, token: &str, hints: &Hints) -> Option<(Arc<Seat>, Way)> {
        let open = self.open();
        let seat = |token: &str| open.seats.get(token).cloned();
        let Some(sitting) = open.lanes.get(token) else {
            return Some((open.seats.get(token).cloned()?, Way::Url));
        };
        let told = if hints.is_meta { Way::Meta } else { Way::Headers };
        if let Some(named) = hints.trial() {
            // Who names a trial means that one, also when it is over.
            return Some((seat(named)?, told));
        }
        if let Some(traced) = hints.carried.trace().and_then(seat) {
            return Some((traced, told));
        }
        let alone = match sitting {
            Some(sitting) => seat(sitting),
            None if open.seats.len() == 1 && open.lanes.len() == 1 => open.seats.values().next().cloned(),
            None => None,
        };
        Some((alone?, Way::Alone))
    }

    /// The same for a call, which is counted, also when it belongs to no trial.
    pub(super) fn claim(&self, token: &str, hints: &Hints) -> Option<Arc<Seat>> {
        let Some((seat, way)) = self.find(token, hints) else {
            self.unattributed.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        self.ways.lock().unwrap_or_else(PoisonError::into_inner).insert(way);
        Some(seat)
    }

    /// Every way in which a call was given to its trial so far.
    pub(super) fn ways(&self) -> BTreeSet<Way> {
        self.ways.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn unattributed(&self) -> u32 {
        self.unattributed.load(Ordering::Relaxed)
    }
}

impl Seat {
    pub(super) fn new(play: Play, is_probe: bool) -> Self {
        Self { play: Mutex::new(play), model: Mutex::default(), began: Instant::now(), is_probe }
    }

    pub(super) fn play(&self) -> MutexGuard<'_, Play> {
        self.play.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn model(&self) -> MutexGuard<'_, Line> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Milliseconds since the trial began.
    pub(super) fn at_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Carries out one call in the trial's world; a call of the gate itself carries nothing along.
    pub(super) fn carry_out(&self, tool: &str, args: Value, hints: Option<&Hints>) -> Outcome {
        if self.is_probe {
            return Outcome::Blocked("not available now".to_owned());
        }
        let at_ms = self.at_ms();
        let mut play = self.play();
        let outcome = play.call(tool, args, at_ms);
        if let Some(hints) = hints {
            play.note_carried(&hints.carried);
        }
        outcome
    }

    /// The tools that the agent is shown, of one system or of all.
    pub(super) fn list(&self, inventory: &Inventory, system: Option<&str>) -> Vec<Offer> {
        if self.is_probe { inventory.standing(system) } else { self.play().list(|tool| inventory.is_of(tool, system)) }
    }
}
