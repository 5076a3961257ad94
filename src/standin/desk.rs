//! Trials in flight: which of them a request belongs to, by its URL or by what it carries, and what could not be given to one.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};

use super::{
    Inventory, Token,
    seat::Seat,
    watch::{Leaks, Watch, text_of_log, text_of_span},
};
use crate::{
    record::{Carried, Looked},
    trace::{Sent, SentLog, SentSpan},
    world::Offer,
};

/// Everything that is open.
#[derive(Debug, Default)]
pub(super) struct Desk {
    open: Mutex<Open>,
    /// The header that names a trial, where the manifest has one.
    header: Option<HeaderName>,
    unattributed: AtomicU32,
    ways: Mutex<BTreeSet<Way>>,
    model_ways: Mutex<BTreeSet<Way>>,
    watch: OnceLock<Arc<Watch>>,
}

#[derive(Debug, Default)]
struct Open {
    seats: BTreeMap<String, Arc<Seat>>,
    /// The trial that sits on each lane; a lane is a URL that an agent process keeps for all its trials.
    lanes: BTreeMap<String, Option<String>>,
    /// Trace ids that are not the trial's token, as its calls carried them.
    traces: BTreeMap<String, String>,
    /// Spans of traces that no call has carried yet.
    strays: VecDeque<SentSpan>,
    /// How many more there were.
    gone: usize,
    /// What stood in those, and in log records of no trial.
    leaks: Leaks,
    /// Traces of probes, which nobody asks for.
    probed: BTreeSet<String>,
    /// What lists of tools said last, by lane; agents may keep it. Lists of one system each add to it.
    kept: BTreeMap<String, Vec<Offer>>,
    /// Who speaks to the gate.
    is_client: Clients,
}

/// By which protocols tools were asked for.
#[derive(Debug, Default)]
struct Clients {
    http: bool,
    mcp: bool,
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
    /// The header that the manifest names.
    Header,
    /// The one trial that was in flight at this URL.
    Alone,
}

/// What a request carries of its trial beside the URL.
#[derive(Clone, Debug, Default)]
pub(super) struct Hints {
    pub(super) carried: Carried,
    is_meta: bool,
    /// What the header of the manifest says.
    named: Option<String>,
    /// All headers of the request.
    headers: HeaderMap,
}

/// Spans without a trial that are kept for a while.
const MAX_STRAYS: usize = 2_000;
/// Longest value of trace context that is kept.
const LONGEST: usize = 2048;

impl Hints {
    fn headers(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let carried = carried(text("baggage"), text("traceparent"));
        Self { carried, headers: headers.clone(), ..Self::default() }
    }

    /// What MCP carries in `_meta` (SEP-414), where the headers do not name a trial as well.
    pub(super) fn or_meta(self, baggage: Option<&str>, traceparent: Option<&str>) -> Self {
        let meta = carried(baggage, traceparent);
        if self.trial().is_some() || (self.carried.trace().is_some() && meta.member(TRIAL).is_none()) {
            return self;
        }
        let is_meta = meta != Carried::default();
        Self { carried: if is_meta { meta } else { self.carried }, is_meta, ..self }
    }

    /// The trace context in the form of MCP's `_meta`.
    pub(super) fn meta(&self) -> Map<String, Value> {
        let Carried { traceparent, baggage } = &self.carried;
        let named = [("traceparent", traceparent), ("baggage", baggage)];
        named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?.into()))).collect()
    }

    /// A header of the request.
    pub(super) fn header(&self, name: &HeaderName) -> Option<HeaderValue> {
        self.headers.get(name).cloned()
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

/// What says to which trial a span or a log record belongs.
struct Mark<'s> {
    trace: &'s str,
    attributes: &'s BTreeMap<String, Value>,
    at: u64,
}

impl<'s> Mark<'s> {
    fn of_span(span: &'s SentSpan) -> Self {
        Self { trace: &span.trace, attributes: &span.attributes, at: span.start }
    }

    fn of_log(log: &'s SentLog) -> Self {
        Self { trace: &log.trace, attributes: &log.attributes, at: log.at }
    }
}

impl Open {
    /// The one trial that can be meant at a lane where nothing names it.
    fn alone(&self, lane: &str) -> Option<Arc<Seat>> {
        match self.lanes.get(lane)? {
            Some(sitting) => self.seats.get(sitting).cloned(),
            None if self.seats.len() == 1 && self.lanes.len() == 1 => self.seats.values().next().cloned(),
            None => None,
        }
    }

    fn seat_of(&self, token: &str, mark: &Mark<'_>) -> Option<Arc<Seat>> {
        let seat = |token: &str| self.seats.get(token).cloned();
        let told = || mark.attributes.get(TRIAL).and_then(Value::as_str).and_then(seat);
        let learned = || self.traces.get(mark.trace).and_then(|token| seat(token));
        // What began before the trial did is the end of another one.
        let alone = || self.alone(token).filter(|seat| !seat.is_after(mark.at));
        seat(mark.trace).or_else(told).or_else(learned).or_else(|| seat(token)).or_else(alone)
    }

    /// Notes that a trace belongs to a trial, and gives the trial what came of it before.
    fn learn(&mut self, trace: &str, seat: &Arc<Seat>) {
        if self.seats.contains_key(trace) || self.traces.insert(trace.to_owned(), seat.token().to_owned()).is_some() {
            return;
        }
        let (theirs, others) = std::mem::take(&mut self.strays).into_iter().partition(|span| span.trace == trace);
        self.strays = others;
        let theirs: VecDeque<SentSpan> = theirs;
        for span in theirs {
            seat.take(span);
        }
    }

    fn keep(&mut self, span: SentSpan, watch: &Watch) {
        if self.probed.contains(&span.trace) {
            self.leaks.extend(watch.leaks(text_of_span(&span)));
            return;
        }
        if self.strays.len() >= MAX_STRAYS {
            self.gone += 1;
            let oldest = self.strays.pop_front();
            if let Some(oldest) = oldest {
                self.leaks.extend(watch.leaks(text_of_span(&oldest)));
            }
        }
        self.strays.push_back(span);
    }
}

impl Desk {
    /// A desk at which a header names trials.
    pub(super) fn reading(header: Option<HeaderName>) -> Self {
        Self { header, ..Self::default() }
    }

    /// What a request carries in its headers.
    pub(super) fn hints(&self, headers: &HeaderMap) -> Hints {
        Hints { named: self.named(headers), ..Hints::headers(headers) }
    }

    /// What the header of the manifest says.
    fn named(&self, headers: &HeaderMap) -> Option<String> {
        let value = headers.get(self.header.as_ref()?)?.to_str().ok()?.trim();
        (!value.is_empty()).then(|| crate::text::shortened(value, LONGEST))
    }

    /// The trial that the header of the manifest names, for a request that has come to this URL.
    pub(super) fn meant(&self, token: String, headers: &HeaderMap) -> String {
        self.named(headers).filter(|named| self.open().seats.contains_key(named)).unwrap_or(token)
    }

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
        let seat = open.seats.remove(token.as_str());
        if seat.as_ref().is_some_and(|seat| seat.is_probe()) {
            let theirs = open.traces.iter().filter(|(_, sitting)| *sitting == token.as_str());
            let theirs: Vec<String> = theirs.map(|(trace, _)| trace.clone()).collect();
            open.probed.extend(theirs.into_iter().chain([token.as_str().to_owned()]));
        }
        open.traces.retain(|_, sitting| sitting != token.as_str());
        seat
    }

    /// Notes that tools were asked for over plain HTTP.
    pub(super) fn note_http(&self) {
        self.open().is_client.http = true;
    }

    /// Notes that tools were asked for over MCP.
    pub(super) fn note_mcp(&self) {
        self.open().is_client.mcp = true;
    }

    /// Notes what a list of tools said at a lane.
    pub(super) fn keep_list(&self, token: &str, offers: &[Offer]) {
        let mut open = self.open();
        if open.lanes.contains_key(token) {
            let kept = open.kept.entry(token.to_owned()).or_default();
            kept.retain(|known| !offers.iter().any(|offer| offer.name == known.name));
            kept.extend_from_slice(offers);
        }
    }

    /// How the agent of a trial, when it is a client of MCP and of nothing else, knows the trial's tools.
    pub(super) fn looked(&self, seat: &Seat, inventory: &Inventory) -> Option<Looked> {
        let open = self.open();
        if !open.is_client.mcp || open.is_client.http {
            return None;
        }
        let sits = |sitting: &Option<String>| sitting.as_deref() == Some(seat.token());
        let lane = open.lanes.iter().find(|(_, sitting)| sits(sitting)).map(|(lane, _)| lane);
        // Who shares one lane with others sits nowhere.
        let lane = lane.or_else(|| open.lanes.keys().next().filter(|_| open.lanes.len() == 1));
        let kept = lane.and_then(|lane| open.kept.get(lane));
        Some(seat.looked(inventory, kept.map(Vec::as_slice)))
    }

    /// The trial of a token.
    pub(super) fn seat(&self, token: &str) -> Option<Arc<Seat>> {
        self.open().seats.get(token).cloned()
    }

    /// By the token in the URL; on a lane by what the request carries, else the trial that sits there.
    pub(super) fn find(&self, token: &str, hints: &Hints) -> Option<(Arc<Seat>, Way)> {
        let open = self.open();
        let seat = |token: &str| open.seats.get(token).cloned();
        if !open.lanes.contains_key(token) {
            return Some((open.seats.get(token).cloned()?, Way::Url));
        }
        let told = if hints.is_meta { Way::Meta } else { Way::Headers };
        if let Some(named) = hints.trial() {
            // Who names a trial means that one, also when it is over.
            return Some((seat(named)?, told));
        }
        if let Some(traced) = hints.carried.trace().and_then(seat) {
            return Some((traced, told));
        }
        if let Some(named) = &hints.named {
            return Some((seat(named)?, Way::Header));
        }
        Some((open.alone(token)?, Way::Alone))
    }

    /// The same for a question to the model.
    pub(super) fn find_asking(&self, token: &str, hints: &Hints) -> Option<Arc<Seat>> {
        let (seat, way) = self.find(token, hints)?;
        seat.note_asked();
        self.model_ways.lock().unwrap_or_else(PoisonError::into_inner).insert(way);
        Some(seat)
    }

    /// The same for a call, which is counted, also when it belongs to no trial.
    pub(super) fn claim(&self, token: &str, hints: &Hints) -> Option<Arc<Seat>> {
        let Some((seat, way)) = self.find(token, hints) else {
            self.unattributed.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        self.ways.lock().unwrap_or_else(PoisonError::into_inner).insert(way);
        if let Some(trace) = hints.carried.trace().filter(|trace| *trace != seat.token()) {
            self.open().learn(trace, &seat);
        }
        Some(seat)
    }

    /// Gives spans to their trials: by the trace id that the gate began, by the baggage on them, by the trace id that a call
    /// of the trial carried, by the URL; on a lane to the trial that sits there. What finds none is kept for a while, in
    /// case a call names its trace later.
    pub(super) fn take(&self, token: &str, batch: Sent) {
        let watch = self.watch();
        let mut open = self.open();
        let mut woken = BTreeMap::new();
        for log in batch.logs {
            match open.seat_of(token, &Mark::of_log(&log)) {
                Some(seat) => seat.take_log(log),
                None => open.leaks.extend(watch.leaks(text_of_log(&log))),
            }
        }
        for span in batch.spans {
            match open.seat_of(token, &Mark::of_span(&span)) {
                Some(seat) => {
                    seat.take(span);
                    woken.insert(seat.token().to_owned(), seat);
                }
                None => open.keep(span, &watch),
            }
        }
        drop(open);
        for seat in woken.values() {
            seat.wake();
        }
    }

    /// The same for what a file brings that all processes of the agent write: with one lane it is that lane's.
    pub(super) fn take_from_file(&self, batch: Sent) {
        let only = {
            let open = self.open();
            open.lanes.keys().next().filter(|_| open.lanes.len() == 1).cloned()
        };
        self.take(&only.unwrap_or_default(), batch);
    }

    /// Whether a URL with this token is or was given out and is in use.
    pub(super) fn knows(&self, token: &str) -> bool {
        let open = self.open();
        open.lanes.contains_key(token) || open.seats.contains_key(token)
    }

    /// Says what to look for in all that arrives; the first time counts.
    pub(super) fn look_for(&self, watch: Watch) {
        self.watch.get_or_init(|| Arc::new(watch));
    }

    pub(super) fn watch(&self) -> Arc<Watch> {
        self.watch.get().cloned().unwrap_or_default()
    }

    /// What stood in spans and logs that belong to no trial so far.
    pub(super) fn stray_leaks(&self) -> Leaks {
        let watch = self.watch();
        let open = self.open();
        let mut leaks = open.leaks.clone();
        for span in &open.strays {
            leaks.extend(watch.leaks(text_of_span(span)));
        }
        leaks
    }

    /// Spans that belong to no trial so far.
    pub(super) fn strays(&self) -> usize {
        let open = self.open();
        open.strays.len() + open.gone
    }

    /// Every way in which a call was given to its trial so far.
    pub(super) fn ways(&self) -> BTreeSet<Way> {
        self.ways.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether some question to the model was given to the only trial in flight, for want of anything that names one.
    pub(super) fn guessed_model(&self) -> bool {
        self.model_ways.lock().unwrap_or_else(PoisonError::into_inner).contains(&Way::Alone)
    }

    pub(super) fn unattributed(&self) -> u32 {
        self.unattributed.load(Ordering::Relaxed)
    }
}
