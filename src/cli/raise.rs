//! Brings the agent up at the stand-ins, finds out by a probe how its tool calls can be told apart, and takes it down.
//!
//! Calls are told apart by a URL for each trial where the protocol allows it, else by what they carry (`baggage`,
//! `traceparent`), else by lanes: several processes of the agent, each with a URL of its own and one trial at a time.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use futures_util::future::join_all;

use super::{case::Case, forward, live::Orders, vars};
use crate::{
    agent::{self, Adapter, Process},
    context::Context,
    exit::Fault,
    manifest::endpoint::{Endpoint, Protocol},
    plan::PlannedTrial,
    record::End,
    run::{Cancel, Limits, Pace, Reach, RunEvent, Stage},
    scenario::Scenario,
    source::{Diagnostic, Files, Route},
    standin::{Gateway, Inventory, InventoryTool, Lane, Recording, Upstream, Way},
    world::World,
};

/// Trials in flight when nothing says otherwise.
const CONCURRENCY: u32 = 8;
/// Processes of an agent whose calls can't be told apart, when nothing says otherwise.
const LANES: u32 = 4;

/// The agent under test, reachable.
pub(crate) struct Agent {
    pub(crate) gateway: Arc<Gateway>,
    /// Its processes, or the one place where it already runs.
    pub(crate) lanes: Vec<Standing>,
    /// How tool calls find their trial.
    pub(crate) correlation: &'static str,
    /// Whether its spans come from a file that it writes.
    is_exporting: bool,
    /// Whether its questions to the model don't say of which trial they are, so that each process has one at a time.
    shares_model: bool,
}

/// One agent that takes trials.
pub(crate) struct Standing {
    adapter: Adapter,
    process: Option<Process>,
    endpoint: Endpoint,
    reach: Reach,
    lane: Lane,
}

/// Whether the started agent can be given a model that the gate plays.
pub(crate) fn plays_model(declared: &Endpoint) -> bool {
    declared.start.is_some() && vars::models(declared).next().is_some()
}

/// Why there is no agent: it can't be reached (`Ok`), or the manifest is wrong (`Err`).
pub(crate) type Fallen = Result<String, Fault>;

/// Brings stand-ins and agent up.
pub(crate) async fn raise(case: &Case, context: &Context, orders: &Orders<'_>) -> Result<Agent, Fallen> {
    let declared = &case.manifest.raw.endpoint;
    if orders.no_exec && (declared.start.is_some() || declared.protocol == Protocol::Command) {
        return Err(Ok("the manifest runs the agent by a command and --no-exec forbids commands".to_owned()));
    }
    let (relays, secrets) = forward::relays(case, context, (orders.offline, orders.no_exec)).await?;
    orders.secrets.borrow_mut().extend(secrets);
    let gateway = Gateway::start_reading(inventory(case).with_relays(relays), header(declared)).await;
    let gateway = Arc::new(gateway.map_err(|error| Err(Fault::internal("start the stand-ins", error)))?);
    let is_exporting = follow_export(case, &gateway).map_err(Err)?;
    gateway.record_model(recording(case, context, orders).map_err(Err)?);
    let standing = stand(case, context, orders, (&gateway, gateway.lane(), false)).await?;
    let correlation = if standing.endpoint.bare_model {
        "gate"
    } else if standing.reach == Reach::Url {
        "url"
    } else if standing.endpoint.stand_ins.values().any(|value| vars::is_tools(value)) {
        "exclusive"
    } else {
        "none"
    };
    Ok(Agent { gateway, lanes: vec![standing], correlation, is_exporting, shares_model: false })
}

/// Starts the agent, in several processes where it takes a port, with a scripted model in place of its own: for drills, and
/// for scenarios that script the model.
pub(crate) async fn raise_scripted(case: &Case, context: &Context, orders: &Orders<'_>) -> Result<Agent, Fallen> {
    let declared = &case.manifest.raw.endpoint;
    if !plays_model(declared) {
        return Err(Ok(
            "the manifest gives the agent no model that the gate plays: `gate:model/…` in endpoint.stand_ins, \
             of an agent that the gate starts"
                .to_owned(),
        ));
    }
    if orders.no_exec {
        return Err(Ok("the manifest runs the agent by a command and --no-exec forbids commands".to_owned()));
    }
    let gateway = Gateway::start_reading(inventory(case), header(declared)).await;
    let gateway = Arc::new(gateway.map_err(|error| Err(Fault::internal("start the stand-ins", error)))?);
    let takes_a_port = declared.url.as_ref().is_some_and(|url| url.contains("{port}"));
    let wanted =
        if takes_a_port { orders.concurrency.or(declared.concurrency).unwrap_or(LANES).clamp(1, LANES) } else { 1 };
    let lanes = (0..wanted).map(|_| stand(case, context, orders, (&gateway, gateway.lane(), true)));
    let (lanes, failed): (Vec<_>, Vec<_>) = join_all(lanes).await.into_iter().partition(Result::is_ok);
    let lanes: Vec<Standing> = lanes.into_iter().flatten().collect();
    match failed.into_iter().find_map(Result::err) {
        Some(error) if lanes.is_empty() => Err(error),
        _ => Ok(Agent { gateway, lanes, correlation: "lane", is_exporting: false, shares_model: false }),
    }
}

/// The header that names trials.
fn header(declared: &Endpoint) -> Option<&str> {
    declared.correlation.as_ref().map(|correlation| correlation.header.as_str())
}

/// The real providers behind the model stand-in, and what no prompt to them may hold.
fn recording(case: &Case, context: &Context, orders: &Orders<'_>) -> Result<Recording, Fault> {
    let mut secrets = agent::Secrets::new(context.env.clone());
    let mut recording = Recording { classes: super::policy::kept_from_model(&case.manifest), ..Recording::default() };
    let endpoint = &case.manifest.raw.endpoint;
    for (provider, declared) in &endpoint.upstream {
        let at = Route::pointer("/endpoint/upstream").join(provider.name());
        let wrong = |key: &str, why: String| {
            let document = &case.manifest.document;
            let at = if key.is_empty() { at.clone() } else { at.join(key) };
            Fault::Input(Diagnostic::error(why).at(document.file(), document.span(&at)).into())
        };
        if endpoint.start.is_none() || vars::models(endpoint).all(|(_, asked)| asked != provider.name()) {
            let name = provider.name();
            return Err(wrong(
                "",
                format!("nothing leads there: no agent is started with `gate:model/{name}` in stand_ins"),
            ));
        }
        let http = agent::plain_client(&declared.url).filter(|_| declared.url.starts_with("http"));
        let http = http.ok_or_else(|| wrong("url", format!("`{}` is no URL", declared.url)))?;
        let key = match declared.key.as_deref() {
            Some(key) if !key.starts_with("env:") => {
                return Err(wrong("key", "a key does not stand in a manifest: write `env:NAME`".to_owned()));
            }
            Some(key) => Some(secrets.resolve(key).map_err(|error| wrong("key", error.to_string()))?),
            None => None,
        };
        let upstream = Upstream { http, url: declared.url.clone(), key };
        recording.upstreams.insert(provider.name().to_owned(), upstream);
    }
    orders.secrets.borrow_mut().extend(secrets.values().into_iter().map(str::to_owned));
    Ok(recording)
}

/// Reads the agent's spans from the file that the manifest names, if it names one.
fn follow_export(case: &Case, gateway: &Gateway) -> Result<bool, Fault> {
    let Some(export) = &case.manifest.raw.observability.export else { return Ok(false) };
    let name = Files::resolve(&case.manifest.name, export);
    let path = case.files.place(&name).map_err(|error| {
        let document = &case.manifest.document;
        let at = document.span(&Route::pointer("/observability/export"));
        Fault::Input(Diagnostic::from(error).at(document.file(), at).into())
    })?;
    gateway.follow_export(path, &name);
    Ok(true)
}

/// What the tool servers tell of the manifest's tools, and what the worlds offer.
pub(crate) fn inventory(case: &Case) -> Inventory {
    let listed = case.manifest.raw.tools.iter().map(|(name, tool)| {
        let is_idempotent = tool.idempotent.unwrap_or(tool.idempotency_key.is_some());
        (name.clone(), InventoryTool { system: tool.system.clone(), effect: tool.known_effect().0, is_idempotent })
    });
    Inventory::new(listed.collect(), case.worlds.iter().map(AsRef::as_ref))
}

/// Starts one agent at a lane, or finds the one that runs.
async fn stand(
    case: &Case,
    context: &Context,
    orders: &Orders<'_>,
    (gateway, lane, is_scripted): (&Gateway, Lane, bool),
) -> Result<Standing, Fallen> {
    let declared = &case.manifest.raw.endpoint;
    let mut variables = orders.variables.clone();
    let port = vars::free_port().map_err(|error| Err(Fault::internal("find a free port", error)))?;
    variables.insert("port".to_owned(), port.to_string());
    variables.insert("agentready".to_owned(), context.program.display().to_string());
    let endpoint = vars::endpoint(declared, &variables);
    let folder = endpoint.cwd.iter().fold(manifest_folder(case, context), |folder, cwd| folder.join(cwd));
    let otlp = gateway.telemetry_url(&lane);
    let mut stand_ins = vars::stand_ins(&endpoint, port, |system| gateway.lane_url(&lane, system), &otlp);
    let is_forwarded = |provider: &str| endpoint.upstream.keys().any(|known| known.name() == provider);
    let models = vars::models(&endpoint).filter(|(_, provider)| is_scripted || is_forwarded(provider));
    stand_ins.extend(models.filter_map(|(name, provider)| Some((name.clone(), gateway.model_url(&lane, provider)?))));
    let place = agent::Place { folder: manifest_folder(case, context), variables };
    let adapter = agent::adapter(&endpoint, &context.env, &place).map_err(|error| Err(misplaced(case, &error)))?;
    orders.secrets.borrow_mut().extend(adapter.secrets().values().into_iter().map(str::to_owned));
    let reach = if endpoint.bare_model || adapter.uses_tools_url() { Reach::Url } else { Reach::Lane(lane.clone()) };
    let mut process = None;
    if let Some(command) = &endpoint.start {
        let url = endpoint.url.clone().unwrap_or_default();
        let mut env = context.env.clone();
        env.extend(stand_ins);
        (orders.events)(RunEvent::Note("starting the agent".to_owned()));
        let started = Process::start(command, env, &folder, &endpoint.ready, &url).await;
        process = Some(started.map_err(|error| Ok(error.to_string()))?);
    }
    Ok(Standing { adapter, process, endpoint, reach, lane })
}

pub(crate) fn misplaced(case: &Case, error: &agent::AdapterError) -> Fault {
    let document = &case.manifest.document;
    let problem = Diagnostic::error(error.to_string()).at(document.file(), document.span(error.route()));
    Fault::Input(problem.into())
}

/// The folder of the manifest; for files in the binary or a record the working directory.
pub(super) fn manifest_folder(case: &Case, context: &Context) -> PathBuf {
    let Some(root) = case.files.root() else { return context.cwd.clone() };
    root.join(&case.manifest.name).parent().map_or_else(|| root.to_path_buf(), PathBuf::from)
}

/// The trial whose words the probe takes: one that expects a tool call, else the first.
fn probing(case: &Case) -> Option<&PlannedTrial> {
    let is_tried = |scenario: &Scenario| scenario.skip.is_none() && scenario.model.is_empty();
    let tried = || case.plan.trials.iter().filter(|planned| is_tried(case.plan.scenario(planned)));
    let calls = |planned: &&PlannedTrial| case.plan.scenario(planned).expectations().any(|e| e.raw.call.is_some());
    tried().find(calls).or_else(|| tried().next())
}

/// The way of correlation that these calls allow, the weakest where they came in several; nothing before any call.
fn told_by(ways: &BTreeSet<Way>) -> Option<&'static str> {
    let weakest = ways.iter().copied().max_by_key(|way| match way {
        Way::Meta => 0,
        Way::Headers => 1,
        Way::Header => 2,
        Way::Url => 3,
        Way::Alone => 4,
    })?;
    Some(match weakest {
        Way::Headers => "traceparent",
        Way::Meta => "meta",
        Way::Header => "header",
        Way::Url => "url",
        Way::Alone => "exclusive",
    })
}

/// Whether calls decide how they are told apart; lanes, and calls that the gate makes itself, are what they are.
fn is_open(correlation: &str) -> bool {
    !matches!(correlation, "gate" | "lane" | "none")
}

impl Agent {
    /// Where the first of its processes is.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.standing().endpoint
    }

    fn standing(&self) -> &Standing {
        self.lanes.first().expect("an agent stands somewhere")
    }

    /// Asks one scenario's words once, with tools that refuse: whether the agent answers, and how its calls arrive.
    /// Refusals of the way itself end the run before it begins.
    pub(crate) async fn preflight(&mut self, case: &Case) -> Result<(), String> {
        let Some(planned) = probing(case) else { return Ok(()) };
        // Nothing is given: what the agent does before the suites finds an empty world.
        let scenario = &Scenario { given: BTreeMap::new(), ..case.plan.scenario(planned).clone() };
        let (cancel, pace) = (Cancel::default(), Pace::new(None));
        let quiet = |_: RunEvent| {};
        let stage = self.stage(self.standing(), "preflight", (&cancel, &pace, &quiet), Duration::ZERO);
        let record = Stage { is_probe: true, ..stage }.run(planned, scenario, &World::empty()).await;
        if let Some(told) = told_by(&self.gateway.ways()).filter(|_| is_open(self.correlation)) {
            let lane = self.standing().lane.clone();
            let reach = match told {
                "url" => Reach::Url,
                "exclusive" => Reach::Lane(lane),
                _ => Reach::Hints(lane),
            };
            self.correlation = told;
            self.lanes.iter_mut().for_each(|standing| standing.reach = reach.clone());
        }
        self.shares_model = self.gateway.guessed_model();
        match record.end {
            End::InfraError { message } if !message.contains("rate limited") => Err(message),
            _ => Ok(()),
        }
    }

    /// How calls were really given to their trials so far, which the probe may not have seen.
    pub(crate) fn told(&self) -> &'static str {
        told_by(&self.gateway.ways()).filter(|_| is_open(self.correlation)).unwrap_or(self.correlation)
    }

    /// Starts the agent several times when one process can have one trial at a time only. Where that fails, for want of a
    /// port that the agent takes, one process is enough.
    pub(crate) async fn widen(&mut self, case: &Case, context: &Context, orders: &Orders<'_>) {
        let declared = &case.manifest.raw.endpoint;
        let wanted = orders.concurrency.or(declared.concurrency).unwrap_or(LANES);
        let takes_a_port = declared.url.as_ref().is_some_and(|url| url.contains("{port}"));
        let is_told_apart = self.correlation != "exclusive" && !self.shares_model;
        if is_told_apart || declared.start.is_none() || !takes_a_port || wanted < 2 {
            return;
        }
        let gateway = Arc::clone(&self.gateway);
        let more = (1..wanted).map(|_| stand(case, context, orders, (&gateway, gateway.lane(), false)));
        let more: Vec<_> = join_all(more).await;
        let failed = more.iter().filter(|standing| standing.is_err()).count();
        if failed > 0 {
            (orders.events)(RunEvent::Note(format!("{failed} more processes of the agent did not start")));
        }
        self.lanes.extend(more.into_iter().flatten());
        if self.lanes.len() > 1 && self.correlation == "exclusive" {
            self.correlation = "lane";
        }
    }

    fn stage<'a>(
        &'a self,
        standing: &'a Standing,
        run_id: &'a str,
        (cancel, pace, events): (&'a Cancel, &'a Pace, &'a dyn Fn(RunEvent)),
        patience: Duration,
    ) -> Stage<'a> {
        Stage {
            adapter: &standing.adapter,
            gateway: &self.gateway,
            run_id,
            reach: standing.reach.clone(),
            model: self.shares_model.then(|| standing.lane.clone()),
            is_probe: false,
            header: header(&standing.endpoint).map(str::to_owned),
            is_traced: self.is_exporting || vars::is_traced(&standing.endpoint),
            pace,
            limits: Limits { trial: standing.endpoint.trial_timeout.0, retries: 2, patience },
            cancel,
            events,
        }
    }

    /// Where trials can be run: one stage for each process.
    pub(crate) fn stages<'a>(
        &'a self,
        run_id: &'a str,
        (cancel, pace, events): (&'a Cancel, &'a Pace, &'a dyn Fn(RunEvent)),
        patience: Duration,
    ) -> Vec<Stage<'a>> {
        self.lanes.iter().map(|standing| self.stage(standing, run_id, (cancel, pace, events), patience)).collect()
    }

    /// The same with a scripted model, of which each process has one trial at a time: its model is asked at one place.
    pub(crate) fn scripted_stages<'a>(
        &'a self,
        run_id: &'a str,
        told: (&'a Cancel, &'a Pace, &'a dyn Fn(RunEvent)),
        patience: Duration,
    ) -> Vec<Stage<'a>> {
        let of = |standing: &'a Standing| {
            let stage = self.stage(standing, run_id, told, patience);
            Stage { model: Some(standing.lane.clone()), ..stage }
        };
        self.lanes.iter().map(of).collect()
    }

    /// Trials in flight on each stage: one when calls can't be told apart.
    pub(crate) fn concurrency(&self, wanted: Option<u32>) -> u32 {
        let wanted = wanted.or(self.endpoint().concurrency).unwrap_or(CONCURRENCY);
        let is_alone = self.shares_model || self.correlation == "exclusive" || self.correlation == "lane";
        if is_alone { 1 } else { wanted }
    }

    /// The last lines that a dead process printed, for messages about its death.
    pub(crate) fn death(&mut self) -> String {
        let died = self.lanes.iter_mut().find_map(|standing| {
            let process = standing.process.as_mut()?;
            Some((process.has_died()?, process.tail()))
        });
        let Some((status, tail)) = died else { return String::new() };
        let last: Vec<&str> = tail.iter().rev().take(3).rev().map(String::as_str).collect();
        format!("; the agent's process ended with {status}, the last it wrote: {}", last.join(" / "))
    }

    /// Ends every process that was started.
    pub(crate) async fn stop(self) {
        join_all(self.lanes.into_iter().filter_map(|standing| standing.process).map(Process::stop)).await;
    }
}
