//! An agent that answers every question the same way after a set time, and knows what it served.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
    routing::post,
    serve::ListenerExt as _,
};

const ANSWER: &str = r#"{"answer":"Record r-1 is open; it was last changed on 2026-11-02 by the records team.","usage":{"tokens":118,"usd":0.0004}}"#;

/// The running stub.
pub(crate) struct Stub {
    pub(crate) url: String,
    desk: Arc<Mutex<Desk>>,
}

/// What the stub does, and what it did since it was set.
#[derive(Clone, Copy, Default)]
struct Desk {
    delay: Duration,
    per_second: Option<f64>,
    tokens: f64,
    filled: Option<Instant>,
    served: Served,
}

/// What was served since the stub was set. The first request is the gate's preflight and is left out.
#[derive(Clone, Copy, Default)]
pub(crate) struct Served {
    arrived: u64,
    count: u32,
    busy: Duration,
    began: Option<Instant>,
    ended: Option<Instant>,
}

impl Served {
    /// Mean time from a request's arrival to its answer.
    pub(crate) fn mean(&self) -> Duration {
        self.busy / self.count.max(1)
    }

    /// Time from the first arrival to the last answer.
    pub(crate) fn span(&self) -> Duration {
        self.began.zip(self.ended).map_or(Duration::ZERO, |(began, ended)| ended - began)
    }
}

impl Stub {
    /// Serves on a free port from a thread of its own.
    pub(crate) fn start() -> Self {
        let desk = Arc::new(Mutex::new(Desk::default()));
        let shared = Arc::clone(&desk);
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        listener.set_nonblocking(true).expect("a socket that does not block");
        let address = listener.local_addr().expect("a bound socket");
        thread::spawn(move || {
            let app = Router::new().route("/", post(answer)).with_state(shared);
            super::runtime().block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listening socket");
                let listener = listener.tap_io(|socket| socket.set_nodelay(true).expect("an open socket"));
                axum::serve(listener, app).await.expect("the stub serves until the end");
            });
        });
        Self { url: format!("http://{address}/"), desk }
    }

    /// Sets delay and accepted rate, and forgets what was served.
    pub(crate) fn set(&self, delay: Duration, per_second: Option<f64>) {
        *locked(&self.desk) = Desk { delay, per_second, tokens: 1.0, ..Desk::default() };
    }

    /// What was served since.
    pub(crate) fn served(&self) -> Served {
        locked(&self.desk).served
    }
}

impl Desk {
    /// Whether a request fits the rate: a bucket that holds a twentieth of a second.
    fn admits(&mut self, now: Instant) -> bool {
        let Some(rate) = self.per_second else { return true };
        let passed = self.filled.map_or(0.0, |filled| (now - filled).as_secs_f64());
        self.filled = Some(now);
        self.tokens = (self.tokens + passed * rate).min((rate / 20.0).max(1.0));
        let admitted = self.tokens >= 1.0;
        self.tokens -= if admitted { 1.0 } else { 0.0 };
        admitted
    }
}

async fn answer(State(desk): State<Arc<Mutex<Desk>>>, _: Bytes) -> Response {
    let now = Instant::now();
    let (delay, counts) = {
        let mut desk = locked(&desk);
        if !desk.admits(now) {
            return StatusCode::TOO_MANY_REQUESTS.into_response();
        }
        desk.served.arrived += 1;
        let counts = desk.served.arrived > 1;
        if counts {
            desk.served.began.get_or_insert(now);
        }
        (desk.delay, counts)
    };
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    if counts {
        let mut desk = locked(&desk);
        let end = Instant::now();
        desk.served.busy += end - now;
        desk.served.count += 1;
        desk.served.ended = Some(end);
    }
    ([(CONTENT_TYPE, "application/json")], ANSWER).into_response()
}

fn locked(desk: &Mutex<Desk>) -> MutexGuard<'_, Desk> {
    desk.lock().unwrap_or_else(PoisonError::into_inner)
}
