//! The live part of a check: the facts that need the network or the agent, and the trials.

use std::{cell::RefCell, collections::BTreeMap, time::Duration};

use serde_json::Value;

use super::{
    case::Case,
    described::{self, Described},
    judge::Bench,
    pages,
    raise::Agent,
    receipts::Receipts,
    token, vars,
};
use crate::{
    context::Context,
    exit::Fault,
    facts,
    plan::PlannedTrial,
    record::{DROPPED, End, RunHeader, Writer},
    run::{Bounds, Cancel, CancelReason, Course, Pace, RunEvent, execute},
};

/// How long a trial waits for a rate limited agent in all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// How long the tool stand-in listens after the last answer.
const SETTLE: Duration = Duration::from_millis(200);

/// How to run.
pub(crate) struct Orders<'a> {
    pub(crate) concurrency: Option<u32>,
    pub(crate) bounds: Bounds,
    pub(crate) patience: Duration,
    pub(crate) no_exec: bool,
    pub(crate) offline: bool,
    /// Values for `{name}` in the endpoint beside `{port}` and `{agentready}`.
    pub(crate) variables: BTreeMap<String, String>,
    /// Secrets that were read for the endpoint, known before the agent starts.
    pub(crate) secrets: RefCell<Vec<String>>,
    pub(crate) cancel: Cancel,
    pub(crate) events: &'a dyn Fn(RunEvent),
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lived {
    pub(crate) stopped: Option<String>,
    pub(crate) unattributed: u32,
}

/// Collects what stands behind the claims, with the network only when allowed.
pub(crate) async fn collect_facts(case: &Case, agent: Option<&Agent>, (offline, context): (bool, &Context)) -> Value {
    let (evidence, env) = (&case.evidence, &context.env);
    let receipts = Receipts::new(context.now, context.started);
    let issuer = evidence.pointer("/manifest/identity/issuer").and_then(Value::as_str).unwrap_or_default().to_owned();
    let oidc = match agent {
        Some(agent) if !offline && !issuer.is_empty() => {
            Some(vars::discovery(&issuer, agent.endpoint(), &receipts).await)
        }
        _ => None,
    };
    let claims = evidence.get("manifest").unwrap_or(&Value::Null);
    let tokens = match agent {
        Some(_) => token::claims(claims, env, (oidc.as_ref().and_then(|served| served.as_ref().ok()), context.now)),
        None => BTreeMap::new(),
    };
    let described = match agent {
        Some(_) if !offline => described::fetch(claims, env, &receipts).await,
        _ => Described::default(),
    };
    let git = match case.files.root() {
        Some(root) if root.join(".git").exists() => {
            let questions = facts::git_questions(&case.files, evidence, &case.manifest.name);
            super::git::ask(root, &questions).await
        }
        _ => None,
    };
    let repositories = if offline { Vec::new() } else { facts::repositories(claims, git.as_ref()) };
    let branch_rules = super::forge::branch_rules(&repositories, env, &receipts).await;
    let options = facts::Options {
        live: agent.is_some(),
        offline,
        manifest: case.manifest.name.clone(),
        checks: Some(case.catalogue.digest()),
        fetched: facts::Fetched {
            oidc,
            tokens,
            tools: described.tools,
            documents: described.documents,
            git,
            branch_rules,
            series: None,
            receipts: receipts.taken(),
        },
    };
    let mut facts = facts::collect(&case.files, evidence, &options);
    if let (Some(agent), false) = (agent, offline) {
        let url = agent.endpoint().url.as_deref().and_then(|url| reqwest::Url::parse(url).ok());
        let pages = pages::ask((claims, &facts), env, url.and_then(|url| url.port()), &receipts).await;
        facts::add_pages(&mut facts, pages, &receipts.taken());
    }
    if let (Some(root), true) = (case.files.root(), options.fetched.git.is_some()) {
        let days = super::git::days(root, &facts::named_files(&facts)).await;
        facts::date(&mut facts, &days);
    }
    if let (Some(base), Some(facts)) = (&case.base, facts.as_object_mut()) {
        facts.insert("base".to_owned(), base.clone());
    }
    if case.holds_secrets() {
        facts::mask(&mut facts);
    }
    facts
}

/// Runs the trials that are left and hands each to the bench and the record.
pub(crate) async fn trials(
    case: &Case,
    agent: &mut Agent,
    orders: &Orders<'_>,
    header: &RunHeader,
    (bench, writer): (&mut Bench<'_>, &mut Writer),
) -> Result<Lived, Fault> {
    let todo: Vec<PlannedTrial> =
        case.plan.trials.iter().filter(|planned| !bench.done().contains(&planned.index)).copied().collect();
    let concurrency = agent.concurrency(orders.concurrency);
    let slots = concurrency as usize * agent.lanes.len();
    (orders.events)(RunEvent::Started { planned: todo.len() as u64, concurrency: slots });
    let pace = Pace::new(case.manifest.raw.endpoint.rate.map(|rate| rate.per_second));
    let stages = agent.stages(&header.id, (&orders.cancel, &pace, orders.events), orders.patience);
    let course = Course { plan: &case.plan, worlds: &case.worlds, todo, concurrency, bounds: orders.bounds };
    let planned = course.todo.len() as u64;
    let progress = RefCell::new((0_u64, 0_u32));
    let patience = u32::try_from(slots * 2).unwrap_or(u32::MAX).max(20);
    let summary = {
        let mut sink = |record: crate::record::TrialRecord| -> Result<(), String> {
            let is_dropped = matches!(&record.end, End::Skipped { message } if message == DROPPED);
            if is_dropped && !bench.is_unsafe(&record) {
                return Ok(());
            }
            let rule = |seen: &crate::record::TrialRecord| bench.graded(seen).map(|graded| graded.ruling());
            let record = writer.trial(record, rule).map_err(|error| error.to_string())?;
            let Some(graded) = bench.add(&record) else { return Ok(()) };
            let mut progress = progress.borrow_mut();
            progress.0 += 1;
            progress.1 = if matches!(graded.grade, crate::grade::Grade::ErrorAgent | crate::grade::Grade::ErrorInfra) {
                progress.1 + 1
            } else {
                0
            };
            if progress.1 >= patience {
                orders.cancel.throw(CancelReason::AgentGone);
            }
            (orders.events)(RunEvent::TrialFinished {
                done: progress.0,
                planned,
                grade: graded.grade,
                scenario: record.scenario,
            });
            Ok(())
        };
        execute(&stages, &course, &mut sink).await
    };
    if is_observable(&header.correlation) {
        // Calls that come after the last answer still count.
        tokio::time::sleep(SETTLE).await;
    }
    (orders.events)(RunEvent::Finished);
    if let Some(error) = summary.failed {
        return Err(Fault::internal("write the record", error));
    }
    let finished = bench.done().len() == case.plan.trials.len();
    let stopped = summary.stopped.filter(|_| !finished).map(|reason| format!("{}{}", reason.name(), agent.death()));
    Ok(Lived { stopped, unattributed: agent.gateway.unattributed() })
}

/// Whether tool calls reach the gate's ledger at all.
pub(crate) fn is_observable(correlation: &str) -> bool {
    correlation != "none"
}

/// First Ctrl-C drains, second drops.
pub(crate) fn obey_ctrl_c(cancel: &Cancel) {
    let cancel = cancel.clone();
    tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            if cancel.reason() == Some(CancelReason::Interrupted) {
                cancel.kill();
            }
            cancel.throw(CancelReason::Interrupted);
        }
    });
}
