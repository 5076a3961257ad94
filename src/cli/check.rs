//! `check`: the gate from manifest to exit code.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use super::{
    args::{CheckArgs, TryingArgs},
    case::{self, Case, Options},
    drills,
    judge::{Bench, Closing, Known, PREFLIGHT, inputs, judge, manifest_input},
    live::{self, Lived, Orders},
    output::Output,
    raise,
};
use crate::{
    checklist::Catalogue,
    context::Context,
    drill,
    exit::Fault,
    manifest,
    plan::Selection,
    record::{self, Ending, Redactor, RunHeader, Writer},
    report::{FormatTarget, Targets},
    run::{Bounds, Cancel},
    source::{Diagnostic, Diagnostics, Files},
    verdict::Report,
};

/// A check to carry out, wherever its files come from.
pub(crate) struct Job<'a> {
    pub(crate) files: Files,
    pub(crate) manifest: String,
    pub(crate) options: Options,
    pub(crate) trying: &'a TryingArgs,
    pub(crate) static_only: bool,
    pub(crate) offline: bool,
    /// How long a trial waits for a rate limited agent in all.
    pub(crate) patience: std::time::Duration,
    pub(crate) variables: BTreeMap<String, String>,
    /// What the manifest is compared with: a revision, a file, a run or `last`.
    pub(crate) base: Option<String>,
    /// Folder below which records are written, and the record to go on with.
    pub(crate) records: PathBuf,
    pub(crate) resume: Option<PathBuf>,
    /// The day of the verdict, where it is not today.
    pub(crate) today: Option<&'static str>,
}

/// Runs `check`.
pub(crate) fn check(args: &CheckArgs, context: &Context, output: &Output) -> Result<u8, Fault> {
    let targets = open(&args.writing.formats)?;
    let (files, manifest) = case::find(args.manifest.as_deref(), &context.cwd, args.judging.allow_outside)?;
    let checks = args.judging.checks.as_ref().map(|folder| relative(&files, &context.path(folder))).transpose()?;
    let job = Job {
        files,
        manifest,
        options: Options {
            profiles: args.judging.profiles.clone(),
            checks,
            selection: selection(&args.trying),
            may_be_empty: args.static_only,
            attacks: args.trying.attacks,
            seed: args.trying.seed,
        },
        trying: &args.trying,
        static_only: args.static_only,
        offline: args.judging.offline,
        patience: live::PATIENCE,
        variables: BTreeMap::new(),
        base: args.base.clone(),
        records: context.path(&args.writing.record),
        resume: args
            .writing
            .resume
            .as_ref()
            .map(|run| record_folder(&context.path(&args.writing.record), run, context)),
        today: None,
    };
    let output =
        Output { progress: output.progress && !args.writing.no_progress, ..output.telling(args.writing.verbose) };
    let report = carry_out(job, context, &output)?;
    finish(&report, targets, args.writing.exit_zero, &output)
}

/// Opens every report's target before the run, so that a wrong path costs no run.
pub(crate) fn open(formats: &[FormatTarget]) -> Result<Targets, Fault> {
    Targets::open(formats).map_err(|errors| {
        Fault::Input(Diagnostics(errors.iter().map(|error| Diagnostic::error(error.to_string())).collect()))
    })
}

/// Loads, tries, judges.
pub(crate) fn carry_out(job: Job<'_>, context: &Context, output: &Output) -> Result<Report, Fault> {
    // Neither hangs on the case: the checks are ready when it is.
    std::thread::spawn(|| {
        manifest::prepare();
        Catalogue::prepare();
        drill::prepare();
    });
    let mut case = Case::load(job.files, &job.manifest, &job.options)?;
    if let Some(base) = &job.base {
        let checks = job.options.checks.as_deref();
        case.base = Some(super::base::compare(base, &case, checks, (&job.records, context))?);
    }
    let mut header = header(&case, &job.options, job.trying, context);
    if let Some(today) = job.today {
        today.clone_into(&mut header.today);
    }
    if job.static_only {
        let runtime = runtime()?;
        let facts = runtime.block_on(live::collect_facts(&case, None, (true, context)));
        let header = RunHeader {
            id: "static".to_owned(),
            correlation: "none".to_owned(),
            inputs: manifest_input(&case.files, &case.shown),
            ..header
        };
        let duration_ms = u64::try_from(context.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let closing = Closing { duration_ms, ..Closing::default() };
        let known = Known { claims: case.give_claims(), facts };
        let report = judge(Bench::new(&case, false), known, &header, &closing);
        // A large case takes as long to give back as to load; the reports need not wait for it.
        std::thread::spawn(move || drop((case, header)));
        return Ok(report);
    }
    let progress = std::cell::RefCell::new(output.progress());
    let events = |event| {
        let at = context.started.elapsed();
        progress.borrow_mut().show(&crate::ui::Moment { at, event });
    };
    let orders = Orders {
        concurrency: job.trying.concurrency,
        bounds: Bounds { max_duration: job.trying.max_duration.map(|span| span.0), max_spend: job.trying.max_spend },
        patience: job.patience,
        no_exec: job.trying.no_exec,
        offline: job.offline,
        variables: job.variables,
        secrets: std::cell::RefCell::default(),
        cancel: Cancel::default(),
        events: &events,
    };
    let (records, resume) = (job.records, job.resume);
    runtime()?.block_on(async {
        live::obey_ctrl_c(&orders.cancel);
        drive(&case, header, context, &orders, (&records, resume.as_deref())).await
    })
}

pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Fault> {
    // One thread: the trials wait on the network, and two threads only race for the connection pool.
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Fault::internal("start the runtime", error))
}

async fn drive(
    case: &Case,
    header: RunHeader,
    context: &Context,
    orders: &Orders<'_>,
    (records, resume): (&Path, Option<&Path>),
) -> Result<Report, Fault> {
    let ready = async {
        let mut agent = raise::raise(case, context, orders).await?;
        match agent.preflight(case).await {
            Ok(()) => {
                agent.widen(case, context, orders).await;
                Ok(agent)
            }
            Err(why) => Err(Ok(format!("{why}{}", agent.death()))),
        }
    };
    let mut raised = tokio::select! {
        ready = ready => match ready {
            Ok(agent) => Ok(agent),
            Err(Ok(why)) => {
                let lines: Vec<&str> = why.lines().map(str::trim).collect();
                Err(format!("{PREFLIGHT}: {}", lines.join(" / ")))
            }
            Err(Err(fault)) => return Err(fault),
        },
        reason = orders.cancel.thrown() => Err(reason.name().to_owned()),
    };
    let facts = live::collect_facts(case, raised.as_ref().ok(), (orders.offline, context)).await;
    let correlation = raised.as_ref().map_or("none", |agent| agent.correlation).to_owned();
    let header = RunHeader { facts, correlation, inputs: inputs(&case.files, &case.shown), ..header };
    let claims = case.evidence.get("manifest").unwrap_or(&serde_json::Value::Null);
    let tokens = super::token::values(claims, &context.env).into_values().map(str::to_owned);
    orders.secrets.borrow_mut().extend(tokens.chain(super::pages::tokens(claims, &context.env)));
    let secrets = orders.secrets.borrow().clone();
    let key = crate::standin::Token::random().as_str().to_owned();
    let redactor = Redactor::new(secrets.into_iter().map(|value| ("secret".to_owned(), value))).with_classes(
        super::policy::classes(&case.manifest),
        case.own_texts(),
        key,
    );
    let mut bench = Bench::new(case, live::is_observable(&header.correlation));
    let (header, mut writer, before) = match resume {
        None => {
            let folder = records.join(&header.id);
            let writer =
                Writer::create(&folder, &header, redactor).map_err(|e| Fault::internal("write the record", e))?;
            (header, writer, Ending::default())
        }
        Some(folder) => resumed(folder, &header, &mut bench, redactor)?,
    };
    let lived = match &mut raised {
        Ok(agent) => live::trials(case, (agent, context), orders, &header, (&mut bench, &mut writer)).await?,
        Err(why) => Lived { stopped: Some(why.clone()), ..Lived::default() },
    };
    let header = taken_down(raised.ok(), header, (&mut writer, resume.is_none())).await?;
    let astray = match &lived.stopped {
        None => drills::run(case, context, orders, &header, (&mut bench, &mut writer)).await?,
        Some(_) => 0,
    };
    let stopped = lived.stopped.map(|why| writer.redacted(&why));
    let closing = Closing {
        duration_ms: before.duration_ms + u64::try_from(context.started.elapsed().as_millis()).unwrap_or(u64::MAX),
        stopped,
        unattributed: before.unattributed_calls + lived.unattributed + astray,
        strays: before.stray_spans + lived.strays,
        stray_leaks: both(before.stray_leaks, lived.stray_leaks),
        live: true,
        record: Some(header.id.clone()),
    };
    let known = Known { claims: case.claims(), facts: header.facts.clone() };
    let mut report = judge(bench, known, &header, &closing);
    // What the record holds is told: a secret of the environment may stand in a file as well.
    report.each_text(&mut |text| *text = writer.redacted(text));
    let ending = Ending {
        decision: report.verdict.decision.word().to_owned(),
        exit_code: report.verdict.exit_code,
        last_line: writer.last_line().to_owned(),
        ..closing.ending()
    };
    writer.finish(&ending).map_err(|error| Fault::internal("write the record", error))?;
    Ok(report)
}

/// What leaked in either part of a run that was resumed, each once.
fn both(before: Vec<String>, now: Vec<String>) -> Vec<String> {
    before.into_iter().chain(now).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Ends the agent; the header says how its calls were really told apart.
async fn taken_down(
    agent: Option<raise::Agent>,
    mut header: RunHeader,
    (writer, is_fresh): (&mut Writer, bool),
) -> Result<RunHeader, Fault> {
    let Some(agent) = agent else { return Ok(header) };
    let told = agent.told();
    agent.stop().await;
    if is_fresh && told != header.correlation {
        told.clone_into(&mut header.correlation);
        writer.header(&header).map_err(|error| Fault::internal("write the record", error))?;
    }
    Ok(header)
}

/// Reads a killed run back; refuses when what it was made of has changed.
fn resumed(
    folder: &Path,
    header: &RunHeader,
    bench: &mut Bench<'_>,
    redactor: Redactor,
) -> Result<(RunHeader, Writer, Ending), Fault> {
    let refused = |why: &str| {
        Fault::usage(why, "resume with the flags and files of the first run, or start a new run without --resume")
    };
    let old = record::read_header(folder).map_err(|error| refused(&error.to_string()))?;
    let changed: Vec<&str> = old
        .inputs
        .iter()
        .filter(|(name, input)| header.inputs.get(*name).is_none_or(|new| new.digest != input.digest))
        .map(|(name, _)| name.as_str())
        .chain(header.inputs.keys().filter(|name| !old.inputs.contains_key(*name)).map(String::as_str))
        .collect();
    if !changed.is_empty() {
        return Err(refused(&format!("the run can't go on: {} changed since it began", changed.join(", "))));
    }
    if old.seed != header.seed {
        return Err(refused(&format!("the run can't go on: it has seed {}, not {}", old.seed, header.seed)));
    }
    if (&old.version, &old.checklist) != (&header.version, &header.checklist) {
        return Err(refused("the run can't go on: the program or its checks changed since it began"));
    }
    let same = (&old.suites, &old.filters, &old.trials, (old.planned, old.attacks), &old.profiles)
        == (&header.suites, &header.filters, &header.trials, (header.planned, header.attacks), &header.profiles);
    if !same {
        return Err(refused("the run can't go on: it was started with another selection of scenarios"));
    }
    let mut writer = Writer::resume(folder, redactor).map_err(|error| refused(&error.to_string()))?;
    let before = record::read_ending(folder).map_err(|error| refused(&error.to_string()))?.unwrap_or_default();
    if old.correlation != "none" {
        bench.observes(live::is_observable(&old.correlation));
    }
    record::trials(folder, |trial| {
        bench.read(&trial);
    })
    .map_err(|error| refused(&error.to_string()))?;
    // What the earlier part saw stays on record while this one runs.
    let open = Ending { last_line: String::new(), ..before.clone() };
    writer.finish(&open).map_err(|error| Fault::internal("write the record", error))?;
    // The day of the verdict is the day of its last trial; facts are those of the first part that saw the agent.
    let mut joined = RunHeader { today: old.today.clone().max(header.today.clone()), ..old };
    if bench.done().is_empty() {
        joined.facts = header.facts.clone();
        joined.correlation.clone_from(&header.correlation);
    }
    writer.header(&joined).map_err(|error| Fault::internal("write the record", error))?;
    Ok((joined, writer, before))
}

fn header(case: &Case, options: &Options, trying: &TryingArgs, context: &Context) -> RunHeader {
    let stamp = context.now.strftime("%Y%m%dT%H%M%SZ");
    let tail: String = crate::standin::Token::random().as_str().chars().take(6).collect();
    RunHeader {
        record: record::VERSION,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        id: format!("{stamp}-{tail}"),
        started: context.now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        today: context.today(),
        seed: trying.seed,
        attacks: trying.attacks,
        manifest: case.manifest.name.clone(),
        checklist: case.catalogue.digest(),
        profiles: options.profiles.clone(),
        suites: trying.suites.iter().map(|suite| format!("{suite:?}").to_lowercase()).collect(),
        filters: trying.filters.clone(),
        trials: trying.trials,
        planned: u32::try_from(case.plan.trials.len()).unwrap_or(u32::MAX),
        checks: options.checks.clone(),
        correlation: String::new(),
        facts: serde_json::Value::Null,
        environment: [("os", std::env::consts::OS), ("arch", std::env::consts::ARCH)]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        inputs: BTreeMap::new(),
    }
}

/// The selection that the command line asks for.
pub(crate) fn selection(trying: &TryingArgs) -> Selection {
    Selection {
        suites: trying.suites.iter().copied().map(Into::into).collect(),
        filters: trying.filters.clone(),
        trials: trying.trials,
    }
}

/// A path as a name among the files.
pub(crate) fn relative(files: &Files, path: &Path) -> Result<String, Fault> {
    let real = path
        .canonicalize()
        .map_err(|error| Fault::usage(format!("`{}`: {error}", path.display()), "name an existing folder"))?;
    let inside = files.root().and_then(|root| real.strip_prefix(root).ok());
    Ok(inside.unwrap_or(&real).to_string_lossy().replace('\\', "/"))
}

/// A record by its folder, or by the run's id below the usual place.
pub(crate) fn record_folder(records: &Path, run: &Path, context: &Context) -> PathBuf {
    let direct = context.path(run);
    if direct.join("run.json").is_file() { direct } else { records.join(run) }
}

/// Writes the reports and gives the exit code.
pub(crate) fn finish(report: &Report, targets: Targets, exit_zero: bool, output: &Output) -> Result<u8, Fault> {
    output.reports(report, targets)?;
    let code = report.verdict.exit_code;
    if exit_zero && (code == crate::exit::NO_GO || code == crate::exit::INCONCLUSIVE) {
        let word = report.verdict.decision.word();
        output.say(&format!("--exit-zero: the verdict is {word}; exit code {code} becomes 0"));
        return Ok(crate::exit::GO);
    }
    Ok(code)
}
