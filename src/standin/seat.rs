//! One trial's place at the stand-ins: its world, and the spans that came of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::{Map, Value};
use tokio::sync::Notify;

use super::{
    Inventory, Token,
    desk::Hints,
    model::Line,
    relay::{Asked, Reply, Way},
    watch::{Watch, text_of_log, text_of_span},
};
use crate::{
    record::{LogRecord, Looked, Telemetry},
    trace::{self, SentLog, SentSpan},
    world::{Canary, Offer, Outcome, Play, Searched, World},
};

/// Spans of one trial that are kept.
const MAX_SPANS: usize = 4_000;
/// Bytes of attributes of one trial that are kept; spans beyond it come without.
const MAX_ATTRIBUTES: usize = 4 * 1024 * 1024;
/// Longest attribute of such a span that is kept all the same: names and counts.
const LONGEST_CUT: usize = 128;
/// Log records of one trial that are kept.
const MAX_LOGS: usize = 1_000;
/// Bytes of them that are kept.
const MAX_LOGGED: usize = 256 * 1024;
/// A trace is at rest when all calls have their spans and nothing came for so long.
const REST: Duration = Duration::from_millis(300);

/// One trial's place.
#[derive(Debug)]
pub(super) struct Seat {
    token: Token,
    play: Mutex<Play>,
    model: Mutex<Line>,
    began: Instant,
    /// The same in nanoseconds since 1970, as spans tell time.
    began_at: u64,
    /// Nothing may take effect: the tools are shown to see how calls arrive.
    is_probe: bool,
    /// Calls of tools that the manifest forwards leave the world.
    leaves: AtomicBool,
    /// Its tools were listed.
    is_listed: AtomicBool,
    /// When the agent last asked for anything, in nanoseconds since 1970.
    asked_at: AtomicU64,
    told: Mutex<Told>,
    arrived: Notify,
    watch: Arc<Watch>,
}

/// What a call came to: in the world, or elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Came {
    Here(Outcome),
    Back(Reply),
}

#[derive(Debug, Default)]
struct Told {
    spans: Vec<SentSpan>,
    logs: Vec<LogRecord>,
    /// Bytes of these.
    logged: usize,
    /// Bytes of the spans' attributes.
    size: usize,
    dropped: u32,
    cut: bool,
    /// Canaries in what is not kept.
    canaries: BTreeSet<String>,
    /// Whether a secret of the environment stands there.
    secret: bool,
    /// Spans right under the gate's own; the last of a turn to end is one of them.
    firsts: usize,
    /// When the last of these ended.
    ended_at: u64,
}

#[expect(clippy::disallowed_methods, reason = "spans tell the time of day; nothing is decided by it")]
fn nanoseconds() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX)
}

impl Seat {
    pub(super) fn new(token: Token, play: Play, watch: Arc<Watch>, is_probe: bool) -> Self {
        Self {
            token,
            play: Mutex::new(play),
            model: Mutex::default(),
            began: Instant::now(),
            began_at: nanoseconds(),
            is_probe,
            leaves: AtomicBool::new(false),
            is_listed: AtomicBool::new(false),
            asked_at: AtomicU64::new(0),
            told: Mutex::default(),
            arrived: Notify::new(),
            watch,
        }
    }

    pub(super) fn token(&self) -> &str {
        self.token.as_str()
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

    /// Notes that the agent asks for something: its turn is not over.
    pub(super) fn note_asked(&self) {
        self.asked_at.store(nanoseconds(), Ordering::Relaxed);
    }

    /// What must not stand in a prompt.
    pub(super) fn watch(&self) -> &Watch {
        &self.watch
    }

    /// Lets calls of tools that the manifest forwards leave the world.
    pub(super) fn let_leave(&self) {
        self.leaves.store(true, Ordering::Relaxed);
    }

    fn leaves(&self) -> bool {
        self.leaves.load(Ordering::Relaxed)
    }

    /// Carries out one call, in the trial's world or in a system of staging; a call of the gate itself carries nothing along.
    pub(super) async fn carry_out(
        self: &Arc<Self>,
        inventory: &Inventory,
        (tool, args): (&str, Value),
        hints: Option<&Hints>,
        meta: Map<String, Value>,
    ) -> Came {
        if self.is_probe {
            return Came::Here(Outcome::Blocked("not available now".to_owned()));
        }
        self.note_asked();
        let at_ms = self.at_ms();
        let way = inventory.relays.way(tool);
        let leaving = {
            let mut play = self.play();
            // A person's yes is told by the world, which is what approvals are held against.
            let is_out = self.leaves() && !play.world().approving().any(|approving| approving == tool);
            let open = way.filter(|way| way.is_open && is_out);
            let begun = match open {
                Some(way) => play.begin(tool, &args, at_ms, &way.system).map(|place| (Arc::clone(way), place)),
                None => Err(play.call(tool, args.clone(), at_ms)),
            };
            if let Some(way) = way.filter(|_| open.is_none() && !play.world().has_tool(tool)) {
                play.note_withheld(&way.system);
            }
            if let Some(hints) = hints {
                play.note_carried(&hints.carried);
            }
            begun
        };
        match leaving {
            Err(outcome) => Came::Here(outcome),
            Ok((way, place)) => {
                let key = hints.zip(way.key_header.as_ref()).and_then(|(hints, name)| hints.header(name));
                let asked = Asked { tool: tool.to_owned(), args, meta, key };
                Came::Back(Arc::clone(self).send(way, place, asked).await)
            }
        }
    }

    /// Carries a call that was begun to its system and back. It goes on when the agent hangs up: what was done there is done.
    async fn send(self: Arc<Self>, way: Arc<Way>, place: usize, asked: Asked) -> Reply {
        let carried = tokio::spawn(async move {
            let answer = way.carry(&asked).await;
            let forwarded = way.forwarded(&answer);
            self.play().settle(place, answer.status, answer.result, forwarded);
            answer.reply
        });
        carried.await.unwrap_or_else(|_| Reply::Nothing("was given up".to_owned()))
    }

    /// What real servers say of the tools whose calls leave, by name and as they say it.
    pub(super) fn listed(&self, inventory: &Inventory, offers: &[Offer]) -> BTreeMap<String, Value> {
        if !self.leaves() || self.is_probe {
            return BTreeMap::new();
        }
        let play = self.play();
        let stays = |tool: &str| play.world().approving().any(|approving| approving == tool);
        let leaving = offers
            .iter()
            .filter(|offer| inventory.relays.way(&offer.name).is_some_and(|way| way.is_open) && !stays(&offer.name));
        let listed =
            leaving.filter_map(|offer| Some((offer.name.clone(), inventory.relays.listed(&offer.name)?.clone())));
        listed.collect()
    }

    /// The tools that the agent is shown, of one system or of all.
    pub(super) fn list(&self, inventory: &Inventory, system: Option<&str>) -> Vec<Offer> {
        self.note_asked();
        self.is_listed.store(true, Ordering::Relaxed);
        if self.is_probe {
            return inventory.standing(system);
        }
        let offers = self.play().list(|tool| inventory.is_of(tool, system));
        inventory.with_forwarded(offers, system, self.leaves())
    }

    /// How the agent, a client of MCP, knows the tools of this trial; `kept` is what it was last shown at this URL.
    pub(super) fn looked(&self, inventory: &Inventory, kept: Option<&[Offer]>) -> Looked {
        let play = self.play();
        if self.is_listed.load(Ordering::Relaxed) || !play.ledger().is_empty() {
            return Looked::Now;
        }
        let Some(kept) = kept else { return Looked::Never };
        let offered = inventory.with_forwarded(play.world().offers(), None, self.leaves());
        let is_same = !play.changes_lists() && offered.iter().all(|offer| kept.contains(offer));
        if is_same { Looked::Before } else { Looked::Stale }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether something happened before the trial began.
    pub(super) fn is_after(&self, nanoseconds: u64) -> bool {
        nanoseconds < self.began_at
    }

    pub(super) fn is_probe(&self) -> bool {
        self.is_probe
    }

    /// Takes a span that belongs to this trial.
    pub(super) fn take(&self, mut span: SentSpan) {
        let world = self.world();
        let mut told = self.told();
        if span.parent == self.token.span() {
            told.firsts += 1;
            told.ended_at = told.ended_at.max(span.end);
        }
        if told.spans.len() >= MAX_SPANS {
            told.dropped = told.dropped.saturating_add(1);
            told.search(&world, &self.watch, text_of_span(&span));
            return;
        }
        let size: usize = span.attributes.iter().map(|(key, value)| key.len() + value.to_string().len()).sum();
        if told.size + size > MAX_ATTRIBUTES {
            told.search(&world, &self.watch, text_of_span(&span));
            span.attributes.retain(|_, value| value.to_string().len() <= LONGEST_CUT);
            told.cut = true;
        } else {
            told.size += size;
        }
        told.spans.push(span);
    }

    /// Takes a log record that belongs to this trial.
    pub(super) fn take_log(&self, log: SentLog) {
        let world = self.world();
        let mut told = self.told();
        let words = text_of_log(&log);
        let rest: Value = log.attributes.into_iter().collect();
        let size = log.name.len() + log.body.to_string().len() + rest.to_string().len();
        if told.logs.len() >= MAX_LOGS || told.logged + size > MAX_LOGGED {
            told.cut = true;
            told.search(&world, &self.watch, words);
            return;
        }
        told.logged += size;
        told.logs.push(LogRecord { name: log.name, body: log.body, rest });
    }

    /// Tells those who wait that spans came.
    pub(super) fn wake(&self) {
        self.arrived.notify_waiters();
    }

    /// Waits until the trace of so many turns is whole, at most for `patience`; whether it is.
    pub(super) async fn settle(&self, turns: usize, patience: Duration) -> bool {
        let end = tokio::time::Instant::now() + patience;
        loop {
            let arrived = self.arrived.notified();
            tokio::pin!(arrived);
            // Registers before it looks, so that spans in between are not missed.
            arrived.as_mut().enable();
            if self.is_whole(turns) {
                return true;
            }
            let is_covered = self.is_covered();
            let until = if is_covered { end.min(tokio::time::Instant::now() + REST) } else { end };
            if tokio::time::timeout_at(until, arrived).await.is_err() {
                return is_covered;
            }
        }
    }

    /// Whether the last span of each turn is there: one right under the gate's own that ended after all that the agent asked
    /// for. Some SDKs have others there, for what they do before the turn; then the parents of later spans are missing.
    fn is_whole(&self, turns: usize) -> bool {
        let told = self.told();
        if told.firsts < turns.max(1) || told.ended_at < self.asked_at.load(Ordering::Relaxed) {
            return false;
        }
        let ids: BTreeSet<&str> = told.spans.iter().map(|span| span.id.as_str()).collect();
        let is_known = |parent: &str| parent.is_empty() || parent == self.token.span() || ids.contains(parent);
        told.spans.iter().all(|span| is_known(&span.parent))
    }

    /// Whether each call so far has its span.
    fn is_covered(&self) -> bool {
        if self.told().spans.is_empty() {
            return false;
        }
        let telemetry = self.read();
        let ledger = self.play().ledger().to_vec();
        trace::uncovered(&ledger, &telemetry) == 0
    }

    fn world(&self) -> Arc<World> {
        Arc::clone(self.play().world())
    }

    /// What the spans and logs tell. What is not kept of them was searched for canaries.
    pub(super) fn telemetry(&self) -> Telemetry {
        let world = self.world();
        let mut telemetry = self.read();
        let mut told = self.told();
        if telemetry.cut || telemetry.others > 0 {
            let words: Vec<String> = told.spans.iter().map(text_of_span).collect();
            for words in words {
                told.search(&world, &self.watch, words);
            }
        }
        telemetry.canaries.extend(told.canaries.iter().cloned());
        telemetry.secret = told.secret;
        telemetry
    }

    fn read(&self) -> Telemetry {
        let told = self.told();
        let mut telemetry = trace::read(&told.spans, self.began_at);
        telemetry.dropped = told.dropped;
        telemetry.cut |= told.cut;
        telemetry.logs.clone_from(&told.logs);
        telemetry
    }
}

impl Told {
    /// Looks for canaries of the trial's world and for secrets in what is not kept.
    fn search(&mut self, world: &World, watch: &Watch, text: String) {
        self.secret |= watch.has_secret(&text);
        self.canaries.extend(seen(world, text));
    }
}

/// Names of the world's canaries that stand in a text.
pub(super) fn seen(world: &World, text: String) -> Vec<String> {
    if world.canaries().is_empty() {
        return Vec::new();
    }
    let text = Searched::new(text);
    let seen = world.canaries().iter().filter(|(_, value)| Canary::new(value).seen_in(&text).is_some());
    seen.map(|(name, _)| name.clone()).collect()
}
