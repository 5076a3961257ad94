//! The running stand-ins: their URLs, and the trials that are opened and closed at them.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use serde_json::{Map, Value};
use tokio::{net::TcpListener, task::JoinHandle};

use super::{
    Inventory, Token,
    desk::{Desk, Way},
    export::Export,
    model::{self, Recording, Script},
    otlp,
    seat::{Came, Seat},
    tools,
    watch::{Leaks, Watch},
};
use crate::{
    record::{Call, Looked, ModelCall, Shown, Telemetry},
    scenario::Move,
    world::{Offer, Play, World},
};

/// Why the stand-ins could not start.
#[derive(Debug, thiserror::Error)]
#[error("the tool stand-in can't listen on loopback: {0}")]
pub struct GatewayError(std::io::Error);

/// The running tool stand-in.
#[derive(Debug)]
pub struct Gateway {
    address: SocketAddr,
    desk: Arc<Desk>,
    inventory: Arc<Inventory>,
    server: JoinHandle<()>,
    /// Trials in a row whose spans were waited for in vain.
    in_vain: AtomicU32,
    export: OnceLock<Export>,
    recording: Arc<OnceLock<Recording>>,
}

/// A URL that an agent keeps for all its trials; calls there are told apart by `baggage` or `traceparent`, else one trial
/// at a time sits on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane(Token);

/// What a trial left behind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Finished {
    /// Every call that arrived.
    pub ledger: Vec<Call>,
    /// What changed lists of tools said.
    pub shown: Vec<Shown>,
    /// How a client of MCP knew the tools.
    pub looked: Option<Looked>,
    /// The world's state at the end.
    pub state: Value,
    /// What the model was asked.
    pub model_calls: Vec<ModelCall>,
    /// What the agent's spans told.
    pub telemetry: Telemetry,
}

/// How long the spans of a trial may take: exporters send what they have every five seconds, unless they are told to.
const SETTLE: Duration = Duration::from_secs(6);

impl Gateway {
    /// Listens on a free loopback port.
    pub async fn start(inventory: Inventory) -> Result<Self, GatewayError> {
        Self::start_reading(inventory, None).await
    }

    /// The same, where a header may name the trial of a request; a text that is no name of a header names none.
    pub async fn start_reading(inventory: Inventory, header: Option<&str>) -> Result<Self, GatewayError> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(GatewayError)?;
        let address = listener.local_addr().map_err(GatewayError)?;
        let desk = Arc::new(Desk::reading(header.and_then(|name| name.parse().ok())));
        let (inventory, recording) = (Arc::new(inventory), Arc::default());
        let app = tools::router(&desk, &inventory).merge(model::router(&desk, &recording)).merge(otlp::router(&desk));
        let server = tokio::spawn(async move {
            // The server ends with the run: `Drop` aborts this task.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { address, desk, inventory, server, in_vain: AtomicU32::new(0), export: OnceLock::new(), recording })
    }

    /// Base URL of one trial's tools, for HTTP and MCP.
    pub fn tools_url(&self, token: &Token) -> String {
        format!("http://{}/t/{token}/tools", self.address)
    }

    /// Opens a URL for one agent process.
    pub fn lane(&self) -> Lane {
        let lane = Token::random();
        self.desk.add_lane(&lane);
        Lane(lane)
    }

    /// The URL of a lane, of all tools or of one system's.
    pub fn lane_url(&self, lane: &Lane, system: Option<&str>) -> String {
        match system {
            None => self.tools_url(&lane.0),
            Some(system) => format!("http://{}/t/{}/systems/{system}/tools", self.address, lane.0),
        }
    }

    /// The base URL of a lane's model in the form that clients of a provider take; nothing for a provider whose format is
    /// not spoken.
    pub fn model_url(&self, lane: &Lane, provider: &str) -> Option<String> {
        Some(format!("http://{}/t/{}/{}", self.address, lane.0, model::place(provider)?))
    }

    /// Where an agent process at this lane sends its telemetry.
    pub fn telemetry_url(&self, lane: &Lane) -> String {
        format!("http://{}/t/{}/otlp", self.address, lane.0)
    }

    /// Says what the model stand-in does in trials without a script; the first word counts.
    pub fn record_model(&self, recording: Recording) {
        self.recording.get_or_init(|| recording);
    }

    /// Takes spans and logs from a file that the agent's own exporter writes, as it grows; `name` stands for it in messages.
    pub fn follow_export(&self, path: std::path::PathBuf, name: &str) {
        self.export.get_or_init(|| Export::follow(&self.desk, path, name));
    }

    /// Reads such a file to its end; gives its first line that is no OTLP.
    pub fn end_export(&self) -> Option<String> {
        self.export.get()?.close(&self.desk)
    }

    /// Waits until the spans of a trial are there, one trace for each turn. Agents that never send any are waited for less and
    /// less.
    pub async fn settle(&self, token: &Token, turns: usize) {
        let Some(seat) = self.desk.seat(token.as_str()) else { return };
        let patience = SETTLE / (1 << self.in_vain.load(Ordering::Relaxed).min(6));
        if seat.settle(turns, patience).await {
            self.in_vain.store(0, Ordering::Relaxed);
        } else {
            self.in_vain.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Looks for canaries and secrets in all that arrives from now on, also in what belongs to no trial.
    pub fn look_for(&self, canaries: BTreeMap<String, String>, secrets: Vec<String>) {
        self.desk.look_for(Watch::new(canaries, secrets));
    }

    /// Canaries and secrets in spans and logs that belong to no trial so far.
    pub fn stray_leaks(&self) -> Leaks {
        self.desk.stray_leaks()
    }

    /// Spans that belong to no trial so far.
    pub fn stray_spans(&self) -> usize {
        self.desk.strays()
    }

    /// Opens a trial's world under its token, at a lane if its agent has one.
    pub fn open(&self, token: &Token, lane: Option<&Lane>, play: Play) {
        self.desk.sit(token, lane.map(|lane| &lane.0), Seat::new(token.clone(), play, self.desk.watch(), false));
    }

    /// Says what the model of an open trial emits.
    pub fn follow(&self, token: &Token, moves: Vec<Move>) {
        if let Some(seat) = self.desk.seat(token.as_str()) {
            seat.model().script = Some(Script::new(moves));
        }
    }

    /// Lets calls of an open trial leave the world for the systems that the manifest forwards to.
    pub fn forward(&self, token: &Token) {
        if let Some(seat) = self.desk.seat(token.as_str()) {
            seat.let_leave();
        }
    }

    /// Opens a trial that shows the tools and lets nothing take effect.
    pub fn open_probe(&self, token: &Token, lane: Option<&Lane>) {
        let play = Play::new(World::empty(), &BTreeMap::new()).expect("the empty world begins");
        self.desk.sit(token, lane.map(|lane| &lane.0), Seat::new(token.clone(), play, self.desk.watch(), true));
    }

    /// Says that the next user turn begins.
    pub fn next_turn(&self, token: &Token) {
        if let Some(seat) = self.desk.seat(token.as_str()) {
            seat.play().next_turn();
        }
    }

    /// The world's state so far.
    pub fn state(&self, token: &Token) -> Value {
        self.desk.seat(token.as_str()).map_or(Value::Null, |seat| seat.play().state().clone())
    }

    /// The calls of a trial so far.
    pub fn ledger(&self, token: &Token) -> Vec<Call> {
        self.desk.seat(token.as_str()).map(|seat| seat.play().ledger().to_vec()).unwrap_or_default()
    }

    /// Carries out a call for an agent whose tool loop the gate runs itself.
    pub async fn call(&self, token: &Token, tool: &str, args: Value) -> Value {
        match self.desk.seat(token.as_str()) {
            Some(seat) => match seat.carry_out(&self.inventory, (tool, args), None, Map::new()).await {
                Came::Here(outcome) => tools::plain(outcome).1,
                Came::Back(reply) => tools::returned(reply).1,
            },
            None => tools::error("the trial is over"),
        }
    }

    /// The tools of the trial, as a list of them shows them.
    pub fn offers(&self, token: &Token) -> Vec<Offer> {
        self.desk.seat(token.as_str()).map(|seat| seat.list(&self.inventory, None)).unwrap_or_default()
    }

    /// Closes a trial; calls that arrive later are counted as unattributed.
    pub fn close(&self, token: &Token) -> Finished {
        let looked = self.desk.seat(token.as_str()).and_then(|seat| self.desk.looked(&seat, &self.inventory));
        self.desk.rise(token).map_or_else(Finished::default, |seat| {
            let telemetry = seat.telemetry();
            let play = seat.play();
            Finished {
                ledger: play.ledger().to_vec(),
                shown: play.shown().to_vec(),
                looked,
                model_calls: std::mem::take(&mut seat.model().calls),
                state: play.state().clone(),
                telemetry,
            }
        })
    }

    /// Calls that belonged to no trial in flight.
    pub fn unattributed(&self) -> u32 {
        self.desk.unattributed()
    }

    /// Whether questions to the model don't say of which trial they are.
    pub fn guessed_model(&self) -> bool {
        self.desk.guessed_model()
    }

    /// The ways in which calls were given to their trials so far.
    pub fn ways(&self) -> BTreeSet<Way> {
        self.desk.ways()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.server.abort();
    }
}
