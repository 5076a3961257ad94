//! Runs the drills after the suites: the agent is started anew with a scripted model at the place of its own.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    case::Case,
    judge::{self, Bench},
    live::Orders,
    raise,
};
use crate::{
    context::Context,
    drill::{Drill, Ground, drills},
    exit::Fault,
    plan::{Plan, PlannedTrial},
    record::{DROPPED, End, Prices, Probe, RunHeader, TrialRecord, Writer},
    run::{Bounds, Course, Pace, RunEvent, execute},
    scenario::Scenario,
    world::World,
};

/// Tries every drill that the manifest gives reason for and that is not on record yet; gives the number of calls that
/// belonged to none.
pub(crate) async fn run(
    case: &Case,
    context: &Context,
    orders: &Orders<'_>,
    header: &RunHeader,
    (bench, writer): (&mut Bench<'_>, &mut Writer),
) -> Result<u32, Fault> {
    let is_wanted = raise::plays_model(&case.manifest.raw.endpoint) && !bench.routes().is_empty();
    if !is_wanted || orders.cancel.reason().is_some() {
        return Ok(0);
    }
    let evidence = judge::evidence_before_drills(case, header);
    let ground =
        Ground { evidence: &evidence, routes: bench.routes(), scenarios: &case.plan.scenarios, worlds: &case.worlds };
    let mut made = named(drills(&ground));
    made.retain(|(name, _)| !bench.book().done().contains(name.as_str()));
    let (tried, hindered): (Vec<_>, Vec<_>) = made.into_iter().partition(|(_, drill)| drill.probe.hindered.is_none());
    let log = RefCell::new((bench, writer));
    for (name, drill) in hindered {
        note(&log, case, untried(&name, drill.probe))?;
    }
    if tried.is_empty() {
        return Ok(0);
    }
    (orders.events)(RunEvent::Note(format!("{} drills with a scripted model", tried.len())));
    let agent = match raise::raise_scripted(case, context, orders).await {
        Ok(agent) => agent,
        Err(Ok(why)) => {
            for (name, drill) in tried {
                let probe = Probe { hindered: Some(why.clone()), ..drill.probe };
                note(&log, case, untried(&name, probe))?;
            }
            return Ok(0);
        }
        Err(Err(fault)) => return Err(fault),
    };
    let ran = on(&agent, case, (context, orders), header, (&tried, &log)).await;
    let unattributed = agent.gateway.unattributed();
    agent.stop().await;
    ran.map(|()| unattributed)
}

/// Drills under names that no other has.
fn named(drills: Vec<Drill>) -> Vec<(String, Drill)> {
    let mut taken = BTreeSet::new();
    let name = |drill: &mut Drill| {
        let case = drill.probe.case.clone();
        let mut number = 1;
        while !taken.insert(drill.probe.id()) {
            number += 1;
            drill.probe.case = format!("{case} {number}");
        }
        drill.probe.id()
    };
    let mut name = name;
    drills.into_iter().map(|mut drill| (name(&mut drill), drill)).collect()
}

/// The record of a drill that could not be tried.
fn untried(name: &str, probe: Probe) -> TrialRecord {
    let why = probe.hindered.clone().unwrap_or_default();
    TrialRecord { drill: Some(probe), ..TrialRecord::unasked(0, name, 0, End::Skipped { message: why }) }
}

type Log<'l, 'b, 'c> = RefCell<(&'l mut Bench<'c>, &'b mut Writer)>;

fn note(log: &Log<'_, '_, '_>, case: &Case, record: TrialRecord) -> Result<(), Fault> {
    let (bench, writer) = &mut *log.borrow_mut();
    let index = case.plan.trials.len() + bench.book().done().len();
    let record = TrialRecord { index: u32::try_from(index).unwrap_or(u32::MAX), ..record };
    let record = writer.trial(record, |_| None).map_err(|error| Fault::internal("write the record", error))?;
    bench.add_drill(&record);
    Ok(())
}

async fn on(
    agent: &raise::Agent,
    case: &Case,
    (context, orders): (&Context, &Orders<'_>),
    header: &RunHeader,
    (tried, log): (&[(String, Drill)], &Log<'_, '_, '_>),
) -> Result<(), Fault> {
    let of = |(name, drill): &(String, Drill)| {
        let scenario = case.plan.scenarios.get(drill.scenario)?;
        let world = case.worlds.get(drill.scenario)?;
        let scenario = Scenario { id: name.clone(), model: drill.moves.clone(), ..bare(scenario) };
        Some((scenario, Arc::clone(world)))
    };
    let (scenarios, worlds): (Vec<Scenario>, Vec<Arc<World>>) = tried.iter().filter_map(of).unzip();
    let trials: Vec<PlannedTrial> =
        (0..scenarios.len()).zip(0..).map(|(scenario, index)| PlannedTrial { index, scenario, trial: 0 }).collect();
    let plan = Plan { scenarios, trials: trials.clone() };
    let pace = Pace::new(case.manifest.raw.endpoint.rate.map(|rate| rate.per_second));
    let stages = agent.scripted_stages(&header.id, (&orders.cancel, &pace, orders.events), orders.patience);
    let left = orders.bounds.max_duration.map(|most| most.saturating_sub(context.started.elapsed()));
    let bounds = Bounds { max_duration: left, ..orders.bounds };
    let course =
        Course { plan: &plan, worlds: &worlds, todo: trials, concurrency: 1, bounds, prices: &Prices::default() };
    let probes: BTreeMap<&str, &Probe> = tried.iter().map(|(name, drill)| (name.as_str(), &drill.probe)).collect();
    let mut sink = |record: TrialRecord| -> Result<(), String> {
        if matches!(&record.end, End::Skipped { message } if message == DROPPED) {
            return Ok(());
        }
        let drill = probes.get(record.scenario.as_str()).map(|probe| (*probe).clone());
        note(log, case, TrialRecord { drill, ..record }).map_err(|fault| fault.to_string())
    };
    let summary = execute(&stages, &course, &mut sink).await;
    match summary.failed {
        Some(error) => Err(Fault::internal("write the record", error)),
        None => Ok(()),
    }
}

/// The words and the world of a scenario, without anything that is expected.
fn bare(scenario: &Scenario) -> Scenario {
    let turns =
        scenario.turns.iter().map(|turn| crate::scenario::PlannedTurn { say: turn.say.clone(), expect: Vec::new() });
    Scenario { turns: turns.collect(), expect: Vec::new(), skip: None, ..scenario.clone() }
}
