//! `report` and `replay`: a record judged and shown again, with nothing but the record.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use super::{
    args::{ReplayArgs, ReportArgs},
    case::{Case, Options},
    check,
    judge::{Bench, Closing, Known, judge},
    live,
    output::Output,
};
use crate::{
    context::Context,
    exit::Fault,
    plan::Selection,
    record::{self, RunHeader, TrialRecord},
    report,
    scenario::Suite,
    source::Files,
};

/// Runs `report`.
pub(crate) fn report(args: &ReportArgs, context: &Context, output: &Output) -> Result<u8, Fault> {
    let targets = check::open(&args.formats)?;
    let folder = check::record_folder(&context.path(&args.record), &args.run, context);
    let (header, case) = load(&folder)?;
    let ending = record::read_ending(&folder).map_err(|error| unreadable(&error))?;
    let mut bench = Bench::new(&case, live::is_observable(&header.correlation));
    let mut foreign = 0_u32;
    record::trials(&folder, |trial| foreign += u32::from(!bench.read(&trial))).map_err(|error| unreadable(&error))?;
    if foreign > 0 {
        let message = format!("{foreign} trials of the record are not of its plan, or stand there twice");
        return Err(Fault::usage(message, "the record was changed after it was written; run again"));
    }
    let closing = Closing {
        duration_ms: ending.as_ref().map_or(0, |ending| ending.duration_ms),
        stopped: ending.as_ref().map_or_else(|| Some("killed".to_owned()), |ending| ending.stopped.clone()),
        unattributed: ending.as_ref().map_or(0, |ending| ending.unattributed_calls),
        strays: ending.as_ref().map_or(0, |ending| ending.stray_spans),
        stray_leaks: ending.as_ref().map_or_else(Vec::new, |ending| ending.stray_leaks.clone()),
        live: true,
        record: Some(header.id.clone()),
    };
    let known = Known { claims: case.claims(), facts: header.facts.clone() };
    let rendered = judge(bench, known, &header, &closing);
    check::finish(&rendered, targets, args.exit_zero, &output.telling(args.verbose))
}

/// Runs `replay`.
pub(crate) fn replay(args: &ReplayArgs, context: &Context, output: &Output) -> Result<u8, Fault> {
    let folder = check::record_folder(&context.path(&args.record), &args.run, context);
    let (header, case) = load(&folder)?;
    let mut bench = Bench::new(&case, live::is_observable(&header.correlation));
    let mut shown = Vec::new();
    record::trials(&folder, |trial| {
        if is_wanted(&args.trial, &trial)
            && let Some(graded) = bench.seen(&trial)
        {
            shown.push(report::timeline(&trial, &graded));
        }
    })
    .map_err(|error| unreadable(&error))?;
    if shown.is_empty() {
        let ids: Vec<&str> = case.plan.scenarios.iter().map(|scenario| scenario.id.as_str()).collect();
        let hint = crate::text::closest(&args.trial, ids).map_or_else(
            || "give a number of the plan, a scenario's id, or `SCENARIO#N`".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        return Err(Fault::usage(format!("the record holds no trial `{}`", args.trial), hint));
    }
    output.print(&shown.join("\n"))?;
    Ok(crate::exit::GO)
}

/// Whether a trial is the one that the user names.
pub(crate) fn is_wanted(wanted: &str, trial: &TrialRecord) -> bool {
    match wanted.split_once('#') {
        Some((scenario, number)) => trial.scenario == scenario && number.parse() == Ok(trial.trial),
        None => trial.scenario == wanted || wanted.parse() == Ok(trial.index),
    }
}

/// The case as it was when the run began, from the texts in the record.
pub(crate) fn load(folder: &Path) -> Result<(RunHeader, Case), Fault> {
    if !folder.join("run.json").exists() {
        return Err(absent(folder));
    }
    let header = record::read_header(folder).map_err(|error| unreadable(&error))?;
    let texts: BTreeMap<String, Arc<str>> =
        header.inputs.iter().map(|(name, input)| (name.clone(), Arc::from(input.text.as_str()))).collect();
    let suites = header.suites.iter().filter_map(|name| match name.as_str() {
        "golden" => Some(Suite::Golden),
        "adversarial" => Some(Suite::Adversarial),
        "incident" => Some(Suite::Incident),
        _ => None,
    });
    let options = Options {
        profiles: header.profiles.clone(),
        checks: header.checks.clone(),
        selection: Selection { suites: suites.collect(), filters: header.filters.clone(), trials: header.trials },
        may_be_empty: true,
        attacks: header.attacks,
        seed: header.seed,
    };
    let mut case = Case::load(Files::texts(texts), &header.manifest, &options)?;
    if header.checklist != case.catalogue.digest() {
        case.notes.push("the checks changed since this run; it is judged by those of today".to_owned());
    }
    Ok((header, case))
}

/// Why there is nothing to read, with the run that was perhaps meant: ids begin with their time, so the last is the newest.
fn absent(folder: &Path) -> Fault {
    let run = |entry: std::fs::DirEntry| {
        let name = entry.file_name().into_string().ok()?;
        entry.path().join("run.json").exists().then_some(name)
    };
    let wanted = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let around = folder.parent().and_then(|parent| std::fs::read_dir(parent).ok());
    let runs: BTreeSet<String> = around.into_iter().flatten().filter_map(|entry| run(entry.ok()?)).collect();
    let hint = match (crate::text::closest(&wanted, runs.iter().map(String::as_str)), runs.last()) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, Some(newest)) => format!("the newest run there is `{newest}`"),
        (None, None) => {
            "`agentready check` writes a record below `.agentready/runs/`; give its id or its folder".to_owned()
        }
    };
    Fault::usage(format!("there is no record `{}`", folder.display()), hint)
}

/// Why a record is of no use.
pub(crate) fn unreadable(error: &record::ReadError) -> Fault {
    Fault::usage(
        format!("the record can't be read: {error}"),
        "name the folder of a run below `.agentready/runs/`, or its id",
    )
}
