//! A fixed set of workers that pull from the plan.

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
    time::Duration,
};

use futures_util::future::join_all;
use tokio::time::Instant;

use super::{Cancel, CancelReason, Stage};
use crate::{
    plan::{Plan, PlannedTrial},
    record::{End, Prices, TrialRecord},
    world::World,
};

/// Takes each finished trial, in order of finishing.
pub type Sink<'a> = dyn FnMut(TrialRecord) -> Result<(), String> + 'a;

/// When a run ends although trials are left.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bounds {
    /// Wall time of the whole run.
    pub max_duration: Option<Duration>,
    /// Cost of all trials in US dollars.
    pub max_spend: Option<f64>,
}

/// The trials of a run and the worlds they need.
pub struct Course<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The world of each scenario, in the plan's order.
    pub worlds: &'a [Arc<World>],
    /// The trials still to run.
    pub todo: Vec<PlannedTrial>,
    /// Trials in flight at most, on each stage.
    pub concurrency: u32,
    /// When to stop early.
    pub bounds: Bounds,
    /// What models cost.
    pub prices: &'a Prices,
}

/// How a run went.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Why trials were left out, if any were.
    pub stopped: Option<CancelReason>,
    /// The sink's error that ended the run.
    pub failed: Option<String>,
}

/// Runs the trials of the course, each on whichever stage is free, and gives each to the sink. The stages share one
/// switch, which is that of the first.
pub async fn execute(stages: &[Stage<'_>], course: &Course<'_>, sink: &mut Sink<'_>) -> Summary {
    let next = Cell::new(0_usize);
    let spent = Cell::new(0.0_f64);
    let failed = RefCell::new(None);
    let sink = RefCell::new(sink);
    let Some(Stage { cancel, .. }) = stages.first() else { return Summary::default() };
    let cancel = *cancel;
    let worker = async |stage: &Stage<'_>| {
        while stage.cancel.reason().is_none() {
            let Some(planned) = course.todo.get(next.get()) else { break };
            next.set(next.get() + 1);
            let scenario = course.plan.scenario(planned);
            let world = course.worlds.get(planned.scenario).expect("one world for each planned scenario");
            let record = if let Some(why) = &scenario.skip {
                skipped(planned, &scenario.id, why)
            } else {
                stage.run(planned, scenario, world).await
            };
            spent.set(spent.get() + course.prices.of_trial(&record));
            // Written before this slot takes its next trial: a kill loses only what is in flight.
            if let Err(error) = (sink.borrow_mut())(record) {
                failed.replace(Some(error));
                stage.cancel.throw(CancelReason::Interrupted);
                stage.cancel.kill();
            }
            if course.bounds.max_spend.is_some_and(|limit| spent.get() >= limit) {
                stage.cancel.throw(CancelReason::MaxSpend);
            }
        }
    };
    let slots = stages.iter().flat_map(|stage| std::iter::repeat_n(stage, course.concurrency.max(1) as usize));
    let workers = slots.map(worker);
    let all = join_all(workers);
    match course.bounds.max_duration {
        None => {
            all.await;
        }
        Some(limit) => deadline(all, limit, cancel).await,
    }
    Summary { stopped: cancel.reason(), failed: failed.into_inner() }
}

/// Lets trials in flight finish for a while after the time is over, then drops them.
async fn deadline(all: impl Future, limit: Duration, cancel: &Cancel) {
    const GRACE: Duration = Duration::from_secs(10);
    let end = Instant::now() + limit;
    tokio::pin!(all);
    tokio::select! {
        _ = &mut all => return,
        () = tokio::time::sleep_until(end) => cancel.throw(CancelReason::MaxDuration),
    }
    if tokio::time::timeout(GRACE, &mut all).await.is_err() {
        cancel.kill();
        all.await;
    }
}

fn skipped(planned: &PlannedTrial, scenario: &str, why: &str) -> TrialRecord {
    TrialRecord::unasked(planned.index, scenario, planned.trial, End::Skipped { message: why.to_owned() })
}
