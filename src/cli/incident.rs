//! `incident add`: a failed trial of a record, or a trace from production, becomes a regression scenario.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    args::{IncidentAddArgs, IncidentArgs, IncidentCommand},
    case::Case,
    check,
    import::{absolute, relative},
    live,
    output::Output,
    rerender,
};
use crate::{
    context::Context,
    exit::{self, Fault},
    grade,
    incident::{self, Trace},
    record::{self, TrialRecord},
    scenario::{self, Origin, Scenario, ScenarioEntry, ScenarioFile, Suite},
    source::{self, Files},
    text::printable,
    world::{self, World},
};

/// Folder of incident scenarios, where none is named.
const FOLDER: &str = "evals/incidents";

/// Runs `incident`.
pub(crate) fn incident(args: &IncidentArgs, context: &Context, output: &Output) -> Result<u8, Fault> {
    match &args.command {
        IncidentCommand::Add(args) => match (&args.trace, &args.run, &args.trial) {
            (Some(trace), _, _) => from_trace(args, trace, context, output),
            (None, Some(run), Some(trial)) => from_record(args, (run, trial), context, output),
            (None, _, _) => Err(Fault::usage("no trial is named", "name a run and a trial, or a trace with --trace")),
        },
    }
}

/// A case on its way to a file.
struct Draft {
    id: String,
    entry: ScenarioEntry,
    /// Name and text of the world.
    world: Option<(String, Arc<str>)>,
}

fn from_record(
    args: &IncidentAddArgs,
    (run, trial): (&Path, &str),
    context: &Context,
    output: &Output,
) -> Result<u8, Fault> {
    let folder = check::record_folder(&context.path(&args.record), run, context);
    let (header, case) = rerender::load(&folder)?;
    let observable = live::is_observable(&header.correlation);
    let mut found: Option<(TrialRecord, ScenarioEntry)> = None;
    let mut why = None;
    record::trials(&folder, |record| {
        if found.is_some() || !rerender::is_wanted(trial, &record) {
            return;
        }
        match guard(&case, &record, observable) {
            Some(Ok(entry)) => found = Some((record, entry)),
            Some(Err(error)) => why = Some(error),
            None => {}
        }
    })
    .map_err(|error| rerender::unreadable(&error))?;
    let Some((record, entry)) = found else {
        let hint = "an incident is a failed trial: `agentready report` names them all";
        let message = why.map_or_else(|| format!("the record holds no trial `{trial}`"), |error| error.to_string());
        return Err(Fault::usage(message, hint));
    };
    let place = format!("{}#{}", record.scenario, record.trial);
    let digest = header.inputs.get(&header.manifest).map(|input| input.digest.clone()).unwrap_or_default();
    let entry = ScenarioEntry {
        title: args.title.clone().or(entry.title),
        source: Some(format!("run {}, trial {place}", header.id)),
        incident: args.incident.clone(),
        origin: Some(Origin {
            format: "record".to_owned(),
            file: header.id.clone(),
            row: place,
            licence: None,
            digest,
        }),
        ..entry
    };
    let original = case.plan.scenarios.iter().find(|scenario| scenario.id == record.scenario);
    let world = original.and_then(|scenario| scenario.world.clone());
    let world = world.and_then(|name| Some((name.clone(), case.files.read(&name).ok()?.text().into())));
    let day = header.today.replace('-', "");
    let draft = Draft { id: format!("incident-{day}-{}", record.scenario), entry, world };
    let placed = Placed::new(args, &draft, context);
    let read_back = placed.read_back(&draft)?;
    fails_again(&case, &record, (&read_back.0, &read_back.1), observable)?;
    placed.write(&draft, output)
}

/// The case of one trial; nothing when the trial is not of the plan.
fn guard(
    case: &Case,
    record: &TrialRecord,
    observable: bool,
) -> Option<Result<ScenarioEntry, incident::IncidentError>> {
    let position = case.plan.scenarios.iter().position(|scenario| scenario.id == record.scenario)?;
    let (scenario, world) = (case.plan.scenarios.get(position)?, case.worlds.get(position)?);
    let before = world.initial(&scenario.given).ok()?;
    let trial = grade::Trial { record, before: &before, observable };
    Some(incident::from_trial(scenario, &trial, &case.policy))
}

/// A case that would not have caught its own incident guards against nothing.
fn fails_again(
    case: &Case,
    record: &TrialRecord,
    (scenario, world): (&Scenario, &World),
    observable: bool,
) -> Result<(), Fault> {
    let before = world.initial(&scenario.given).map_err(|error| Fault::internal("set up the world again", error))?;
    let trial = grade::Trial { record, before: &before, observable };
    let graded = grade::grade(scenario, &trial, &case.policy);
    if matches!(graded.grade, grade::Grade::FailB | grade::Grade::FailC) {
        return Ok(());
    }
    Err(Fault::internal("make a case of the trial", "it would pass on the trial that it was made of"))
}

fn from_trace(args: &IncidentAddArgs, path: &Path, context: &Context, output: &Output) -> Result<u8, Fault> {
    let read = |path: &Path| {
        std::fs::read_to_string(context.path(path))
            .map_err(|error| Fault::usage(format!("`{}`: {error}", path.display()), "name a text file"))
    };
    let text = read(path)?;
    let told = |error: incident::TraceError| {
        let hint = match &error {
            incident::TraceError::Form(_) => "export the trace as OTLP JSON",
            incident::TraceError::Several(_) => "choose one with --trace-id",
            incident::TraceError::Silent => {
                "let the instrumentation record message content, or write the scenario by hand"
            }
            incident::TraceError::Uncalled { .. } => "name the call that was wrong with --never",
        };
        Fault::usage(format!("`{}`: {error}", path.display()), hint)
    };
    let trace = Trace::read(&text, args.trace_id.as_deref()).map_err(told)?;
    let entry = trace.entry(&args.never).map_err(told)?;
    let Some(world) = &args.world else {
        return Err(Fault::usage("a trace brings no world along", "name the world of its tools with --world"));
    };
    let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let entry = ScenarioEntry {
        title: args.title.clone(),
        source: Some(format!("trace {}", trace.id)),
        incident: args.incident.clone(),
        origin: Some(Origin {
            format: "trace".to_owned(),
            file,
            row: trace.id.clone(),
            licence: None,
            digest: Files::digest(&text),
        }),
        ..entry
    };
    let id: String = trace.id.chars().take(12).collect();
    let root = source::repository_root(&context.cwd);
    let name = relative(&absolute(&root), &absolute(&context.path(world)));
    let world = Some((name, Arc::from(read(world)?)));
    let draft = Draft { id: format!("incident-trace-{}", crate::import::slug(&id)), entry, world };
    let placed = Placed::new(args, &draft, context);
    placed.read_back(&draft)?;
    placed.write(&draft, output)
}

/// Where a draft goes, and how it names its world from there.
struct Placed {
    /// As people wrote it.
    shown: PathBuf,
    path: PathBuf,
    /// The world as the file names it.
    world: Option<String>,
    /// Whether the world has to be written beside it, because it only exists in the record.
    brings_world: bool,
    name: String,
}

impl Placed {
    fn new(args: &IncidentAddArgs, draft: &Draft, context: &Context) -> Self {
        let name = args.id.clone().unwrap_or_else(|| draft.id.clone());
        let shown = args.out.clone().unwrap_or_else(|| PathBuf::from(format!("{FOLDER}/{name}.yaml")));
        let path = absolute(&context.path(&shown));
        let root = absolute(&source::repository_root(&context.cwd));
        let there = draft.world.as_ref().map(|(world, _)| root.join(world)).filter(|world| world.is_file());
        let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
        let world = draft.world.as_ref().map(|_| match &there {
            Some(world) => relative(&folder, &absolute(world)),
            None => format!("{name}-world.yaml"),
        });
        Self { shown, path, brings_world: there.is_none() && world.is_some(), world, name }
    }

    fn page(&self, draft: &Draft) -> Result<String, Fault> {
        let scenarios = BTreeMap::from([(self.name.clone(), draft.entry.clone())]);
        let file = ScenarioFile {
            suite: Suite::Incident,
            world: self.world.clone(),
            tags: Vec::new(),
            trials: None,
            scenarios,
        };
        let value = serde_json::to_value(&file).map_err(|error| Fault::internal("write the scenario", error))?;
        Ok(source::yaml(&value))
    }

    /// Loads the file as a run would.
    fn read_back(&self, draft: &Draft) -> Result<(Scenario, Arc<World>), Fault> {
        const PAGE: &str = "incident.yaml";
        let mut texts = BTreeMap::from([(PAGE.to_owned(), Arc::from(self.page(draft)?))]);
        let world = self.world.as_ref().map(|name| Files::resolve(PAGE, name));
        if let (Some(name), Some((_, text))) = (&world, &draft.world) {
            texts.insert(name.clone(), Arc::clone(text));
        }
        let files = Files::texts(texts);
        let scenario = scenario::load(&files, &[PAGE.to_owned()])?.pop();
        let scenario = scenario.ok_or_else(|| Fault::internal("read the scenario again", "it is not there"))?;
        let world = world.map_or_else(|| Ok(World::empty()), |name| world::load(&files, &name))?;
        Ok((scenario, world))
    }

    fn write(&self, draft: &Draft, output: &Output) -> Result<u8, Fault> {
        let folder = self.path.parent().map(Path::to_path_buf).unwrap_or_default();
        let mut files = vec![(self.path.clone(), self.page(draft)?)];
        if let (true, Some(name), Some((_, text))) = (self.brings_world, &self.world, &draft.world) {
            files.push((folder.join(name), text.to_string()));
        }
        if let Some((path, _)) = files.iter().find(|(path, _)| path.exists()) {
            let message = format!("`{}` exists already", path.display());
            return Err(Fault::usage(message, "give another --id or --out"));
        }
        std::fs::create_dir_all(&folder).map_err(|error| Fault::internal("make the folder of the scenario", error))?;
        for (path, text) in files {
            std::fs::write(path, text).map_err(|error| Fault::internal("write the scenario", error))?;
        }
        let mut text = format!("wrote `{}` to {}\n", self.name, self.shown.display());
        let _ = writeln!(
            text,
            "Read it, then add it to the manifest, with the path relative to it: evals: {{incidents: [{}]}}",
            self.shown.display()
        );
        output.print(&printable(&text))?;
        Ok(exit::GO)
    }
}
