//! `run`: some scenarios against the agent, each with its timeline: the loop of someone who writes scenarios.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use super::{
    args::RunArgs,
    case::{self, Case, Options},
    check, demo,
    judge::Bench,
    live::{self, Orders},
    output::Output,
    raise,
};
use crate::{
    context::Context,
    exit::{self, Fault},
    grade::Grade,
    plan::Selection,
    report,
    run::{Bounds, Cancel, Pace, RunEvent},
    source::Files,
};

/// Runs `run`.
pub(crate) fn run(args: &RunArgs, context: &Context, output: &Output) -> Result<u8, Fault> {
    let mut code = once(args, context, output);
    if !args.watch {
        return code.map(|(code, _)| code);
    }
    loop {
        let watched = match &code {
            Ok((_, watched)) => watched.clone(),
            Err(fault) => {
                output.fault(fault);
                watched(args, context)
            }
        };
        output.say("watching for changes; Ctrl-C ends");
        let before = stamps(&watched);
        while stamps(&watched) == before {
            std::thread::sleep(Duration::from_millis(300));
        }
        code = once(args, context, output);
    }
}

fn once(args: &RunArgs, context: &Context, output: &Output) -> Result<(u8, Vec<PathBuf>), Fault> {
    let (files, manifest, variables) = if args.demo {
        (demo::files(), demo::MANIFEST.to_owned(), demo::variables(&args.flaws)?)
    } else {
        let (files, manifest) = case::find(args.manifest.as_deref(), &context.cwd, false)?;
        (files, manifest, BTreeMap::new())
    };
    let selection = Selection { filters: args.scenarios.clone(), trials: Some(1), ..Selection::default() };
    let options = Options { selection, attacks: args.attacks, seed: args.seed, ..Options::default() };
    let case = Case::load(files, &manifest, &options)?;
    let code = check::runtime()?.block_on(try_out(&case, context, variables, output))?;
    Ok((code, paths(&case.files)))
}

async fn try_out(
    case: &Case,
    context: &Context,
    variables: BTreeMap<String, String>,
    output: &Output,
) -> Result<u8, Fault> {
    let events = |event| {
        if let RunEvent::Note(text) = event {
            output.say(&text);
        }
    };
    let orders = Orders {
        concurrency: Some(1),
        bounds: Bounds::default(),
        patience: live::PATIENCE,
        no_exec: false,
        offline: false,
        variables,
        secrets: std::cell::RefCell::default(),
        cancel: Cancel::default(),
        events: &events,
    };
    let agent = match raise::raise(case, context, &orders).await {
        Ok(agent) => agent,
        Err(Err(fault)) => return Err(fault),
        Err(Ok(why)) => {
            output.say(&crate::text::printable(&why));
            return Ok(exit::INCONCLUSIVE);
        }
    };
    live::obey_ctrl_c(&orders.cancel);
    let pace = Pace::new(agent.endpoint().rate.map(|rate| rate.per_second));
    let mut bench = Bench::new(case, live::is_observable(agent.correlation));
    let mut worst = exit::GO;
    let mut passed = 0;
    {
        let stages = agent.stages("run", (&orders.cancel, &pace, &events), orders.patience);
        let stage = stages.first().expect("an agent stands somewhere");
        for planned in &case.plan.trials {
            if orders.cancel.reason().is_some() {
                worst = exit::INTERRUPTED;
                break;
            }
            let world = case.worlds.get(planned.scenario).cloned().expect("one world for each planned scenario");
            let record = stage.run(planned, case.plan.scenario(planned), &world).await;
            let Some(graded) = bench.add(&record) else { continue };
            output.print(&format!("{}\n", report::timeline(&record, &graded)))?;
            passed += u32::from(matches!(graded.grade, Grade::Pass | Grade::FailA));
            worst = worse(worst, code(graded.grade));
        }
    }
    agent.stop().await;
    output.print(&format!("{passed} of {} trials passed\n", case.plan.trials.len()))?;
    Ok(worst)
}

/// What failed outweighs what could not be assessed.
fn worse(a: u8, b: u8) -> u8 {
    if a == exit::NO_GO || b == exit::NO_GO { exit::NO_GO } else { a.max(b) }
}

/// A failed trial ends the command with 1, one that could not be assessed with 3.
fn code(grade: Grade) -> u8 {
    match grade {
        Grade::Pass | Grade::FailA => exit::GO,
        Grade::FailB | Grade::FailC => exit::NO_GO,
        Grade::ErrorAgent | Grade::ErrorInfra | Grade::ErrorGrader | Grade::NotExposed | Grade::Skipped => {
            exit::INCONCLUSIVE
        }
    }
}

fn paths(files: &Files) -> Vec<PathBuf> {
    let Some(root) = files.root() else { return Vec::new() };
    files.seen().keys().map(|name| root.join(name)).collect()
}

/// What to watch when nothing could be loaded: the manifest alone.
fn watched(args: &RunArgs, context: &Context) -> Vec<PathBuf> {
    let found = case::find(args.manifest.as_deref(), &context.cwd, false);
    found.ok().and_then(|(files, name)| files.root().map(|root| root.join(name))).into_iter().collect()
}

fn stamps(paths: &[PathBuf]) -> Vec<Option<SystemTime>> {
    paths.iter().map(|path| path.metadata().and_then(|data| data.modified()).ok()).collect()
}
