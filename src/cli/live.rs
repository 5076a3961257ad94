//! The live part of a check: the facts that need the network or the agent, and the trials.

use std::{cell::RefCell, collections::BTreeMap, time::Duration};

use serde_json::Value;

use super::{
    case::Case,
    described::{self, Described},
    judge::Bench,
    pages,
    raise::{self, Agent},
    receipts::Receipts,
    token, vars,
};
use crate::{
    context::Context,
    exit::Fault,
    facts,
    grade::Grade,
    plan::PlannedTrial,
    record::{DROPPED, End, RunHeader, TrialRecord, Writer},
    run::{Bounds, Cancel, CancelReason, Course, Pace, RunEvent, execute},
    standin::Leaks,
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
    /// Spans that belonged to no trial in flight.
    pub(crate) strays: u32,
    /// Canaries and secrets in those, in words.
    pub(crate) stray_leaks: Vec<String>,
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
    let repositories = facts::repositories(claims, git.as_ref());
    let (repositories, unasked) = match agent {
        _ if !offline => (repositories, Vec::new()),
        Some(_) => (Vec::new(), described::places(claims).into_iter().chain(repositories).collect()),
        None => Default::default(),
    };
    let branch_rules = super::forge::branch_rules(&repositories, env, &receipts).await;
    let options = facts::Options {
        live: agent.is_some(),
        offline,
        manifest: case.manifest.name.clone(),
        checks: case.catalogue.pins(),
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
    if let Some(facts) = facts.as_object_mut() {
        facts.extend(case.base.iter().map(|base| ("base".to_owned(), base.clone())));
        if !unasked.is_empty() {
            facts.insert("unasked".to_owned(), unasked.into());
        }
    }
    if case.holds_secrets() {
        facts::mask(&mut facts);
    }
    facts
}

/// Runs the trials that are left and hands each to the bench and the record: first those of the agent as it is, then those
/// whose scenarios script its model.
pub(crate) async fn trials(
    case: &Case,
    (agent, context): (&mut Agent, &Context),
    orders: &Orders<'_>,
    header: &RunHeader,
    (bench, writer): (&mut Bench<'_>, &mut Writer),
) -> Result<Lived, Fault> {
    let todo = case.plan.trials.iter().filter(|planned| !bench.done().contains(&planned.index)).copied();
    let is_plain = |planned: &PlannedTrial| case.plan.scenario(planned).model.is_empty();
    let (todo, scripted): (Vec<PlannedTrial>, Vec<PlannedTrial>) = todo.partition(is_plain);
    let concurrency = agent.concurrency(orders.concurrency);
    let slots = concurrency as usize * agent.lanes.len();
    let planned = (todo.len() + scripted.len()) as u64;
    (orders.events)(RunEvent::Started { planned, concurrency: slots });
    let pace = Pace::new(case.manifest.raw.endpoint.rate.map(|rate| rate.per_second));
    let patience = u32::try_from(slots * 2).unwrap_or(u32::MAX).max(20);
    let mut desk = Desk { orders, bench, writer, planned, done: 0, errors: 0, patience };
    let told = (&orders.cancel, &pace, orders.events);
    let course = |todo, concurrency, bounds| Course {
        plan: &case.plan,
        worlds: &case.worlds,
        todo,
        concurrency,
        bounds,
        prices: &case.policy.prices,
    };
    let look = |agent: &Agent| {
        agent.gateway.look_for(case.policy.canaries.clone(), orders.secrets.borrow().clone());
    };
    look(agent);
    let stages = agent.stages(&header.id, told, orders.patience);
    let mut summary =
        execute(&stages, &course(todo, concurrency, orders.bounds), &mut |record| desk.take(record)).await;
    drop(stages);
    let (mut unattributed, mut leaks) = (0, Leaks::default());
    if !scripted.is_empty() && summary.failed.is_none() && orders.cancel.reason().is_none() {
        match raise::raise_scripted(case, context, orders).await {
            Ok(agent) => {
                look(&agent);
                let left = orders.bounds.max_duration.map(|most| most.saturating_sub(context.started.elapsed()));
                let bounds = Bounds { max_duration: left, ..orders.bounds };
                let stages = agent.scripted_stages(&header.id, told, orders.patience);
                summary = execute(&stages, &course(scripted, 1, bounds), &mut |record| desk.take(record)).await;
                drop(stages);
                unattributed = agent.gateway.unattributed();
                leaks = agent.gateway.stray_leaks();
                agent.stop().await;
            }
            Err(Err(fault)) => return Err(fault),
            Err(Ok(why)) => summary.failed = desk.untried(case, &scripted, &why),
        }
    }
    if is_observable(&header.correlation) {
        // Calls that come after the last answer still count.
        tokio::time::sleep(SETTLE).await;
    }
    (orders.events)(RunEvent::Finished);
    if let Some(error) = summary.failed {
        return Err(Fault::internal("write the record", error));
    }
    let finished = desk.bench.done().len() == case.plan.trials.len();
    let stopped = summary.stopped.filter(|_| !finished).map(|reason| format!("{}{}", reason.name(), agent.death()));
    // Spans that nobody can read may have told of anything.
    let stopped = agent.gateway.end_export().filter(|_| stopped.is_none()).or(stopped);
    let strays = u32::try_from(agent.gateway.stray_spans()).unwrap_or(u32::MAX);
    leaks.extend(agent.gateway.stray_leaks());
    let stray_leaks = in_words(leaks);
    Ok(Lived { stopped, unattributed: unattributed + agent.gateway.unattributed(), strays, stray_leaks })
}

/// What leaked, as reports and records say it.
fn in_words(leaks: Leaks) -> Vec<String> {
    let canaries = leaks.canaries.into_iter().map(|name| format!("canary `{name}`"));
    canaries.chain(leaks.secret.then(|| "a secret of the environment".to_owned())).collect()
}

/// Where finished trials go: to the record, then to the bench.
struct Desk<'d, 'o, 'b> {
    orders: &'d Orders<'o>,
    bench: &'d mut Bench<'b>,
    writer: &'d mut Writer,
    planned: u64,
    done: u64,
    /// Trials in a row that ended in an error, and how many of them end the run.
    errors: u32,
    patience: u32,
}

impl Desk<'_, '_, '_> {
    fn take(&mut self, record: TrialRecord) -> Result<(), String> {
        let is_dropped = matches!(&record.end, End::Skipped { message } if message == DROPPED);
        if is_dropped && !self.bench.is_unsafe(&record) {
            return Ok(());
        }
        let bench = &*self.bench;
        let rule = |seen: &TrialRecord| bench.graded(seen).map(|graded| graded.ruling());
        let record = self.writer.trial(record, rule).map_err(|error| error.to_string())?;
        let Some(graded) = self.bench.add(&record) else { return Ok(()) };
        self.done += 1;
        let is_error = matches!(graded.grade, Grade::ErrorAgent | Grade::ErrorInfra);
        self.errors = if is_error { self.errors + 1 } else { 0 };
        if self.errors >= self.patience {
            self.orders.cancel.throw(CancelReason::AgentGone);
        }
        (self.orders.events)(RunEvent::TrialFinished {
            done: self.done,
            planned: self.planned,
            grade: graded.grade,
            scenario: record.scenario,
        });
        Ok(())
    }

    /// Notes trials whose model could not be scripted: nothing of the agent was seen.
    fn untried(&mut self, case: &Case, trials: &[PlannedTrial], why: &str) -> Option<String> {
        // None of these says that the agent is gone.
        self.patience = u32::MAX;
        let mut untried = trials.iter().map(|planned| {
            let scenario = case.plan.scenario(planned);
            let end = match &scenario.skip {
                Some(why) => End::Skipped { message: why.clone() },
                None => End::InfraError { message: format!("the scenario scripts the model, and {why}") },
            };
            self.take(TrialRecord::unasked(planned.index, &scenario.id, planned.trial, end))
        });
        untried.find_map(Result::err)
    }
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
