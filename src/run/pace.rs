//! One shared pace for all requests: a declared rate is kept, an unknown one is found from what the server accepts.
//!
//! One slot is handed out at a time, in order of arrival: a pacer that hands out slots ahead freezes an old rate.
//! After the first 429 the accepted answers of a short window are counted; the run then cruises just below that
//! rate, grows slowly, and steps back at each further 429.

use std::time::Duration;

use tokio::{
    sync::Mutex,
    time::{Instant, sleep_until},
};

/// How long accepted answers are counted after the first 429.
const WINDOW: Duration = Duration::from_millis(600);
/// Share of the measured rate that the run cruises at.
const CRUISE: f64 = 0.98;
/// Growth per second while nothing is refused.
const GROWTH: f64 = 0.01;
/// Step back at each further 429.
const BACK: f64 = 0.98;
/// Refusals within this time of a change of the rate say nothing new.
const EPISODE: Duration = Duration::from_millis(500);
/// Slowest pace that is found out.
const SLOWEST: f64 = 0.2;

/// The pace of a run.
#[derive(Debug)]
pub struct Pace {
    next: Mutex<Instant>,
    state: std::sync::Mutex<State>,
}

#[derive(Debug)]
struct State {
    rate: Option<f64>,
    declared: bool,
    measuring: Option<(Instant, u32)>,
    grown: Instant,
    in_vain: u32,
    /// The rate that was last measured.
    measured: f64,
    /// When the rate was last set or stepped back.
    stepped: Instant,
}

impl Pace {
    /// Keeps to `per_second` when it is declared; else runs free until the first 429.
    pub fn new(per_second: Option<f64>) -> Self {
        let now = Instant::now();
        let state = State {
            rate: per_second,
            declared: per_second.is_some(),
            measuring: None,
            grown: now,
            in_vain: 0,
            measured: 0.0,
            stepped: now,
        };
        Self { next: Mutex::new(now), state: std::sync::Mutex::new(state) }
    }

    /// Waits for this request's turn.
    pub async fn turn(&self) {
        let Some(rate) = self.rate() else { return };
        // The lock is fair and is held while waiting: one slot ahead, first come first served.
        let mut next = self.next.lock().await;
        let now = Instant::now();
        if *next > now {
            sleep_until(*next).await;
        }
        let rate = self.rate().unwrap_or(rate);
        *next = (*next).max(now) + Duration::from_secs_f64(1.0 / rate);
    }

    /// Tells that the server took a request.
    pub fn accepted(&self) {
        let mut state = self.state();
        let now = Instant::now();
        if let Some((since, count)) = state.measuring {
            if now - since < WINDOW {
                state.measuring = Some((since, count + 1));
            } else {
                let rate = f64::from(count.max(1)) / (now - since).as_secs_f64() * CRUISE;
                state.rate = Some(rate.max(SLOWEST));
                state.measured = rate;
                state.stepped = now;
                state.measuring = None;
                state.grown = now;
            }
        } else if !state.declared
            && let Some(rate) = state.rate
        {
            let seconds = (now - state.grown).as_secs_f64();
            state.rate = Some(rate * (1.0 + GROWTH * seconds));
            state.grown = now;
        }
    }

    /// Tells that the server refused a request for its rate.
    pub fn refused(&self) {
        let mut state = self.state();
        let now = Instant::now();
        match (state.declared, state.rate, state.measuring) {
            (true, ..) | (false, _, Some(_)) => {}
            // Many refusals at once are one episode: answers to requests that were already on their way.
            (false, Some(_), None) if now - state.stepped < EPISODE => {}
            (false, None, None) => state.measuring = Some((now, 0)),
            (false, Some(rate), None) => {
                state.rate = Some((rate * BACK).max(state.measured / 10.0).max(SLOWEST));
                state.stepped = now;
            }
        }
    }

    /// How long a trial may wait in all: halved by each trial that waited in vain, so that an agent that is never
    /// ready does not hold up the run.
    pub fn patience(&self, full: Duration) -> Duration {
        full / (1 << self.state().in_vain.min(7))
    }

    /// Tells that a trial waited in vain.
    pub fn gave_up(&self) {
        self.state().in_vain += 1;
    }

    fn rate(&self) -> Option<f64> {
        self.state().rate
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
