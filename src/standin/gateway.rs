//! Which trial a tool call belongs to, and the plays of the trials in flight.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Instant,
};

use serde_json::Value;
use tokio::{net::TcpListener, task::JoinHandle};

use super::{Token, tools};
use crate::{record::Call, world::Play};

/// Why the stand-ins could not start.
#[derive(Debug, thiserror::Error)]
#[error("the tool stand-in can't listen on loopback: {0}")]
pub struct GatewayError(std::io::Error);

/// The running tool stand-in.
#[derive(Debug)]
pub struct Gateway {
    address: SocketAddr,
    run: Token,
    desk: Arc<Desk>,
    server: JoinHandle<()>,
}

/// Trials in flight and what could not be given to one.
#[derive(Debug, Default)]
pub(super) struct Desk {
    open: Mutex<BTreeMap<String, Arc<Seat>>>,
    unattributed: AtomicU32,
}

/// One trial's place at the gateway.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) play: Mutex<Play>,
    pub(super) began: Instant,
}

/// What a trial left behind.
#[derive(Clone, Debug, PartialEq)]
pub struct Finished {
    /// Every call that arrived.
    pub ledger: Vec<Call>,
    /// The world's state at the end.
    pub state: Value,
}

impl Gateway {
    /// Listens on a free loopback port.
    pub async fn start() -> Result<Self, GatewayError> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(GatewayError)?;
        let address = listener.local_addr().map_err(GatewayError)?;
        let desk = Arc::new(Desk::default());
        let run = Token::random();
        let app = tools::router(Arc::clone(&desk), &run);
        let server = tokio::spawn(async move {
            // The server ends with the run: `Drop` aborts this task.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { address, run, desk, server })
    }

    /// Base URL of one trial's tools.
    pub fn tools_url(&self, token: &Token) -> String {
        format!("http://{}/t/{token}/tools", self.address)
    }

    /// Base URL for agents that can't be given one per trial; calls are told apart by `baggage` or `traceparent`.
    pub fn run_url(&self) -> String {
        self.tools_url(&self.run)
    }

    /// Opens a trial's world under its token.
    pub fn open(&self, token: &Token, play: Play) {
        let seat = Seat { play: Mutex::new(play), began: Instant::now() };
        self.desk.seats().insert(token.as_str().to_owned(), Arc::new(seat));
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

    /// Carries out a call for an agent whose tool loop the gate runs itself.
    pub fn call(&self, token: &Token, tool: &str, args: Value) -> Value {
        match self.desk.seat(token.as_str()) {
            Some(seat) => tools::plain(tools::carry_out(&seat, tool, args)).1,
            None => tools::error("the trial is over"),
        }
    }

    /// Name, one line and input schema of each tool of the trial.
    pub fn offers(&self, token: &Token) -> Vec<(String, String, Value)> {
        self.desk.seat(token.as_str()).map(|seat| seat.play().offers()).unwrap_or_default()
    }

    /// Closes a trial; calls that arrive later are counted as unattributed.
    pub fn close(&self, token: &Token) -> Finished {
        let seat = self.desk.seats().remove(token.as_str());
        seat.map_or(Finished { ledger: Vec::new(), state: Value::Null }, |seat| {
            let play = seat.play();
            Finished { ledger: play.ledger().to_vec(), state: play.state().clone() }
        })
    }

    /// Calls that belonged to no trial in flight.
    pub fn unattributed(&self) -> u32 {
        self.desk.unattributed.load(Ordering::Relaxed)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Desk {
    fn seats(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Seat>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn seat(&self, token: &str) -> Option<Arc<Seat>> {
        self.seats().get(token).cloned()
    }

    /// The only trial in flight, when there is exactly one.
    pub(super) fn only_seat(&self) -> Option<Arc<Seat>> {
        let seats = self.seats();
        if seats.len() == 1 { seats.values().next().cloned() } else { None }
    }

    pub(super) fn count_unattributed(&self) {
        self.unattributed.fetch_add(1, Ordering::Relaxed);
    }
}

impl Seat {
    pub(super) fn play(&self) -> MutexGuard<'_, Play> {
        self.play.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
