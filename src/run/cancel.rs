//! Ends a run before its plan does.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU8, Ordering},
};

use tokio::sync::Notify;

/// Why a run ends early. The order matters: a later reason replaces an earlier one, never the reverse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CancelReason {
    /// `--max-duration` is over.
    MaxDuration,
    /// `--max-spend` is spent.
    MaxSpend,
    /// Nothing but errors for a long stretch: the agent is gone.
    AgentGone,
    /// Ctrl-C.
    Interrupted,
}

impl CancelReason {
    const ALL: [Self; 4] = [Self::MaxDuration, Self::MaxSpend, Self::AgentGone, Self::Interrupted];

    /// The reason's name in records and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::MaxDuration => "max-duration",
            Self::MaxSpend => "max-spend",
            Self::AgentGone => "agent-gone",
            Self::Interrupted => "interrupted",
        }
    }
}

/// A switch that many may hold and any may throw: first no new trial starts, then trials in flight are dropped.
#[derive(Clone, Debug, Default)]
pub struct Cancel {
    reason: Arc<AtomicU8>,
    kill: Arc<AtomicBool>,
    changed: Arc<Notify>,
}

impl Cancel {
    /// Starts no further trial; a weaker reason than the present one changes nothing.
    pub fn throw(&self, reason: CancelReason) {
        self.reason.fetch_max(reason as u8 + 1, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    /// Drops the trials in flight, for the reason that was thrown before.
    pub fn kill(&self) {
        self.kill.store(true, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    /// The reason, once there is one.
    pub fn reason(&self) -> Option<CancelReason> {
        let state = self.reason.load(Ordering::SeqCst);
        CancelReason::ALL.into_iter().find(|reason| *reason as u8 + 1 == state)
    }

    /// Waits until there is a reason.
    pub async fn thrown(&self) -> CancelReason {
        loop {
            let notified = self.changed.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if let Some(reason) = self.reason() {
                return reason;
            }
            notified.await;
        }
    }

    /// Waits until trials in flight must be dropped.
    pub async fn killed(&self) {
        loop {
            let notified = self.changed.notified();
            tokio::pin!(notified);
            // Registers before it looks, so that a kill in between is not lost.
            notified.as_mut().enable();
            if self.kill.load(Ordering::SeqCst) {
                return;
            }
            notified.await;
        }
    }
}
