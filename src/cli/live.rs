//! The live part of a check: stand-ins up, agent up, one preflight, the trials, everything down again.

use std::{cell::RefCell, collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use serde_json::Value;

use super::{
    case::Case,
    described::{self, Described},
    judge::Bench,
    vars,
};
use crate::{
    agent::{self, Adapter, Process},
    context::Context,
    exit::Fault,
    facts,
    manifest::endpoint::{Endpoint, Protocol},
    plan::PlannedTrial,
    record::{DROPPED, End, RunHeader, Writer},
    run::{Bounds, Cancel, CancelReason, Course, Limits, Pace, RunEvent, Stage, execute},
    scenario::Scenario,
    standin::Gateway,
    world::World,
};

/// Trials in flight when nothing says otherwise.
const CONCURRENCY: u32 = 8;
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

/// The agent under test, reachable.
pub(crate) struct Agent {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) adapter: Adapter,
    pub(crate) process: Option<Process>,
    pub(crate) endpoint: Endpoint,
    pub(crate) own_url: bool,
    pub(crate) correlation: &'static str,
}

/// Brings stand-ins and agent up. An agent that can't be reached is `Err(Ok(reason))`, a wrong manifest `Err(Err(fault))`.
pub(crate) async fn raise(case: &Case, context: &Context, orders: &Orders<'_>) -> Result<Agent, Result<String, Fault>> {
    let gateway = Gateway::start().await.map_err(|error| Err(Fault::internal("start the stand-ins", error)))?;
    let gateway = Arc::new(gateway);
    let declared = &case.manifest.raw.endpoint;
    if orders.no_exec && (declared.start.is_some() || declared.protocol == Protocol::Command) {
        return Err(Ok("the manifest runs the agent by a command and --no-exec forbids commands".to_owned()));
    }
    let mut variables = orders.variables.clone();
    let port = vars::free_port().map_err(|error| Err(Fault::internal("find a free port", error)))?;
    variables.insert("port".to_owned(), port.to_string());
    variables.insert("agentready".to_owned(), context.program.display().to_string());
    let endpoint = vars::endpoint(declared, &variables);
    let folder = endpoint.cwd.iter().fold(manifest_folder(case, context), |folder, cwd| folder.join(cwd));
    let stand_ins = vars::stand_ins(&endpoint, &gateway.run_url(), port);
    let place = agent::Place { folder: manifest_folder(case, context), variables };
    let adapter = agent::adapter(&endpoint, &context.env, &place).map_err(|error| Err(misplaced(case, &error)))?;
    orders.secrets.borrow_mut().extend(adapter.secrets().values().into_iter().map(str::to_owned));
    let own_url = adapter.uses_tools_url();
    let correlation = if endpoint.bare_model {
        "gate"
    } else if own_url {
        "url"
    } else if endpoint.stand_ins.values().any(|value| value == "gate:tools") {
        "exclusive"
    } else {
        "none"
    };
    let mut process = None;
    if let Some(command) = &endpoint.start {
        let url = endpoint.url.clone().unwrap_or_default();
        let mut env = context.env.clone();
        env.extend(stand_ins);
        (orders.events)(RunEvent::Note("starting the agent".to_owned()));
        let started = Process::start(command, env, &folder, &endpoint.ready, &url).await;
        process = Some(started.map_err(|error| Ok(error.to_string()))?);
    }
    Ok(Agent { gateway, adapter, process, endpoint, own_url, correlation })
}

fn misplaced(case: &Case, error: &agent::AdapterError) -> Fault {
    let document = &case.manifest.document;
    let problem = crate::source::Diagnostic::error(error.to_string()).at(document.file(), document.span(error.route()));
    Fault::Input(problem.into())
}

/// The folder of the manifest; for files in the binary or a record the working directory.
fn manifest_folder(case: &Case, context: &Context) -> PathBuf {
    let Some(root) = case.files.root() else { return context.cwd.clone() };
    root.join(&case.manifest.name).parent().map_or_else(|| root.to_path_buf(), PathBuf::from)
}

impl Agent {
    /// Asks the first scenario's words once; refusals of the way itself end the run before it begins.
    pub(crate) async fn preflight(&self, case: &Case) -> Result<(), String> {
        let Some(planned) = case.plan.trials.iter().find(|planned| case.plan.scenario(planned).skip.is_none()) else {
            return Ok(());
        };
        let scenario = case.plan.scenario(planned);
        // An empty world: nothing that the agent does before the suites can take effect unseen.
        let world = World::empty();
        let scenario = &Scenario { given: BTreeMap::new(), ..scenario.clone() };
        let cancel = Cancel::default();
        let pace = Pace::new(None);
        let quiet = |_: RunEvent| {};
        let stage = self.stage("preflight", (&cancel, &pace, &quiet), Duration::ZERO);
        let record = stage.run(planned, scenario, &world).await;
        match record.end {
            End::InfraError { message } if !message.contains("rate limited") => Err(message),
            _ => Ok(()),
        }
    }

    pub(crate) fn stage<'a>(
        &'a self,
        run_id: &'a str,
        (cancel, pace, events): (&'a Cancel, &'a Pace, &'a dyn Fn(RunEvent)),
        patience: Duration,
    ) -> Stage<'a> {
        Stage {
            adapter: &self.adapter,
            gateway: &self.gateway,
            run_id,
            own_url: self.own_url,
            pace,
            limits: Limits { trial: self.endpoint.trial_timeout.0, retries: 2, patience },
            cancel,
            events,
        }
    }

    /// Trials in flight: one when calls can't be told apart.
    fn concurrency(&self, wanted: Option<u32>) -> u32 {
        let wanted = wanted.or(self.endpoint.concurrency).unwrap_or(CONCURRENCY);
        if self.correlation == "exclusive" { 1 } else { wanted }
    }

    /// The last lines the agent printed, for messages about its death.
    pub(crate) fn death(&mut self) -> String {
        let Some(process) = &mut self.process else { return String::new() };
        let Some(status) = process.has_died() else { return String::new() };
        let tail = process.tail();
        let last: Vec<&str> = tail.iter().rev().take(3).rev().map(String::as_str).collect();
        format!("; the agent's process ended with {status}, the last it wrote: {}", last.join(" / "))
    }
}

/// Collects what stands behind the claims, with the network only when allowed.
pub(crate) async fn collect_facts(
    case: &Case,
    agent: Option<&Agent>,
    (offline, env): (bool, &BTreeMap<String, String>),
) -> Value {
    let evidence = &case.evidence;
    let issuer = evidence.pointer("/manifest/identity/issuer").and_then(Value::as_str).unwrap_or_default().to_owned();
    let oidc = match agent {
        Some(agent) if !offline && !issuer.is_empty() => Some(vars::discovery(&issuer, &agent.endpoint).await),
        _ => None,
    };
    let claims = evidence.get("manifest").unwrap_or(&Value::Null);
    let described = match agent {
        Some(_) if !offline => described::fetch(claims, env).await,
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
    let branch_rules = super::forge::branch_rules(&repositories, env).await;
    let options = facts::Options {
        live: agent.is_some(),
        offline,
        manifest: case.manifest.name.clone(),
        checks: Some(case.catalogue.digest()),
        fetched: facts::Fetched {
            oidc,
            tools: described.tools,
            documents: described.documents,
            git,
            branch_rules,
            series: None,
        },
    };
    let mut facts = facts::collect(&case.files, evidence, &options);
    if let (Some(base), Some(facts)) = (&case.base, facts.as_object_mut()) {
        facts.insert("base".to_owned(), base.clone());
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
    (orders.events)(RunEvent::Started { planned: todo.len() as u64, concurrency: concurrency as usize });
    let pace = Pace::new(agent.endpoint.rate.map(|rate| rate.per_second));
    let stage = agent.stage(&header.id, (&orders.cancel, &pace, orders.events), orders.patience);
    let course = Course { plan: &case.plan, worlds: &case.worlds, todo, concurrency, bounds: orders.bounds };
    let planned = course.todo.len() as u64;
    let progress = RefCell::new((0_u64, 0_u32));
    let patience = (concurrency * 2).max(20);
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
        execute(&stage, &course, &mut sink).await
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
