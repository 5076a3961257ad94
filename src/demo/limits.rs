//! What the agent may use, read from its configuration (`config/limits.yaml`) and counted over all of its runs.
//! Must not decide what a single call may do; `policy` does.

use std::{
    collections::BTreeMap,
    sync::{LazyLock, Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde::Deserialize;
use serde_json::Value;

use super::{policy::Spent, prices::usd};
use crate::{
    manifest::endpoint::Rate,
    source::{SourceFile, load_text},
    units::Span,
};

/// The limits of this agent.
pub(super) static LIMITS: LazyLock<Limits> = LazyLock::new(|| {
    let file = SourceFile::new("limits.yaml", include_str!("../../fixtures/demo/config/limits.yaml"));
    let said = load_text::<Value>(file).expect("the shipped limits are YAML").value;
    serde_json::from_value(said).expect("the shipped limits have this form")
});

/// The configuration file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    pub(super) per_run: RunCaps,
    per_minute: Window,
    per_hour: Window,
    per_day: Window,
    #[expect(dead_code, reason = "there is one reaction, and `policy` carries it out")]
    on_exceed: Reaction,
    pub(super) clients: Clients,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Reaction {
    Escalate,
}

/// Caps of one conversation; the last call and the last write are kept for the handoff.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RunCaps {
    pub(super) steps: u64,
    pub(super) tool_calls: u64,
    pub(super) model_calls: u64,
    pub(super) tokens: u64,
    pub(super) spend_usd: f64,
    pub(super) writes: u64,
    pub(super) wall_clock: Span,
}

/// Caps of a stretch of time, over all runs.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Window {
    runs: Option<u64>,
    tool_calls: Option<u64>,
    model_calls: Option<u64>,
    tokens: Option<u64>,
    spend_usd: Option<f64>,
}

/// How patiently tools are called.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Clients {
    pub(super) timeout: Span,
    /// Attempts beyond the first; the agent makes none.
    #[serde(rename = "retries")]
    pub(super) _retries: u32,
    rate: Rate,
    circuit_breaker: Breaker,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Breaker {
    failures: usize,
    window: Span,
    open: Span,
}

/// What was used in a stretch of time that began at some moment.
#[derive(Debug)]
struct Used {
    length: Duration,
    since: Instant,
    runs: u64,
    spent: Spent,
}

impl Used {
    fn new(length: Duration) -> Self {
        Self { length, since: Instant::now(), runs: 0, spent: Spent::default() }
    }

    fn roll(&mut self, now: Instant) {
        if now.duration_since(self.since) >= self.length {
            *self = Self { since: now, ..Self::new(self.length) };
        }
    }

    fn is_spent(&self, caps: &Window) -> bool {
        let reached = |cap: Option<u64>, used: u64| cap.is_some_and(|cap| used >= cap);
        reached(caps.runs, self.runs)
            || reached(caps.tool_calls, self.spent.calls)
            || reached(caps.model_calls, self.spent.steps)
            || reached(caps.tokens, self.spent.tokens)
            || caps.spend_usd.is_some_and(|cap| usd(self.spent.tokens) >= cap)
    }
}

/// What all runs of this process used, and which tools keep failing.
#[derive(Debug)]
pub(super) struct Meter {
    used: Mutex<[Used; 3]>,
    pace: Mutex<(Option<Instant>, u32)>,
    failures: Mutex<BTreeMap<String, Vec<Instant>>>,
}

impl Default for Meter {
    fn default() -> Self {
        let windows = [60, 3600, 86_400].map(|seconds| Used::new(Duration::from_secs(seconds)));
        Self { used: Mutex::new(windows), pace: Mutex::default(), failures: Mutex::default() }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Meter {
    /// Counts a run, unless a cap of the minute, the hour or the day is reached.
    pub(super) fn admit(&self, limits: &Limits) -> bool {
        let now = Instant::now();
        let mut used = lock(&self.used);
        used.iter_mut().for_each(|used| used.roll(now));
        let caps = [&limits.per_minute, &limits.per_hour, &limits.per_day];
        let fits = used.iter().zip(caps).all(|(used, caps)| !used.is_spent(caps));
        if fits {
            used.iter_mut().for_each(|used| used.runs += 1);
        }
        fits
    }

    /// Adds what a turn used.
    pub(super) fn add(&self, before: Spent, after: Spent) {
        for used in lock(&self.used).iter_mut() {
            used.spent.steps += after.steps - before.steps;
            used.spent.calls += after.calls - before.calls;
            used.spent.writes += after.writes - before.writes;
            used.spent.tokens += after.tokens - before.tokens;
        }
    }

    /// Waits for the next second when the calls of this one are used up.
    pub(super) async fn keep_pace(&self, clients: &Clients) {
        let wait = {
            let mut pace = lock(&self.pace);
            let now = Instant::now();
            let passed = pace.0.map_or(Duration::MAX, |since| now.duration_since(since));
            if passed >= Duration::from_secs(1) {
                *pace = (Some(now), 1);
                None
            } else {
                pace.1 += 1;
                (f64::from(pace.1) > clients.rate.per_second).then(|| Duration::from_secs(1).saturating_sub(passed))
            }
        };
        if let Some(wait) = wait {
            tokio::time::sleep(wait).await;
        }
    }

    /// Whether calls to a place are stopped for a while because it keeps failing.
    pub(super) fn is_open(&self, place: &str, clients: &Clients) -> bool {
        let Breaker { failures, open, .. } = &clients.circuit_breaker;
        let failed = lock(&self.failures);
        let Some(times) = failed.get(place).filter(|times| times.len() >= *failures) else { return false };
        times.last().is_some_and(|last| last.elapsed() < open.0)
    }

    /// Notes how a call ended.
    pub(super) fn note(&self, place: &str, failed: bool, clients: &Clients) {
        const MOST_PLACES: usize = 4096;
        let mut failures = lock(&self.failures);
        if !failed {
            failures.remove(place);
            return;
        }
        if failures.len() >= MOST_PLACES {
            failures.pop_first();
        }
        let times = failures.entry(place.to_owned()).or_default();
        times.retain(|time| time.elapsed() < clients.circuit_breaker.window.0);
        times.push(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::{LIMITS, Limits, Meter, Window};
    use crate::demo::{policy::Spent, prices::usd};

    #[test]
    fn a_run_is_turned_away_when_a_window_is_spent() {
        let tight = |per_minute: Window, per_hour: Window| Limits { per_minute, per_hour, ..LIMITS.clone() };
        let meter = Meter::default();
        let two_runs = tight(Window { runs: Some(2), ..Window::default() }, Window::default());
        assert!(meter.admit(&two_runs) && meter.admit(&two_runs) && !meter.admit(&two_runs));
        let cheap = tight(Window::default(), Window { spend_usd: Some(usd(1000)), ..Window::default() });
        assert!(meter.admit(&cheap));
        meter.add(Spent::default(), Spent { tokens: 1000, ..Spent::default() });
        assert!(!meter.admit(&cheap) && meter.admit(&LIMITS));
    }

    #[test]
    fn a_tool_that_keeps_failing_is_left_alone() {
        let (meter, clients) = (Meter::default(), &LIMITS.clients);
        for _ in 0..clients.circuit_breaker.failures {
            assert!(!meter.is_open("mail", clients));
            meter.note("mail", true, clients);
        }
        assert!(meter.is_open("mail", clients) && !meter.is_open("shop", clients));
        meter.note("mail", false, clients);
        assert!(!meter.is_open("mail", clients));
    }
}
