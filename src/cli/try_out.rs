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
    plan::{PlannedTrial, Selection},
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
    live::obey_ctrl_c(&orders.cancel);
    let pace = Pace::new(case.manifest.raw.endpoint.rate.map(|rate| rate.per_second));
    let mut bench = Bench::new(case, false);
    let mut worst = exit::GO;
    let mut passed = 0;
    // First those of the agent as it is, then those whose scenarios script its model.
    for is_scripted in [false, true] {
        let is_asked = |planned: &&PlannedTrial| case.plan.scenario(planned).model.is_empty() != is_scripted;
        let mut todo = case.plan.trials.iter().filter(is_asked).peekable();
        if todo.peek().is_none() || worst == exit::INTERRUPTED {
            continue;
        }
        let raised = if is_scripted {
            raise::raise_scripted(case, context, &orders).await
        } else {
            raise::raise(case, context, &orders).await
        };
        let agent = match raised {
            Ok(agent) => agent,
            Err(Err(fault)) => return Err(fault),
            Err(Ok(why)) => {
                output.say(&crate::text::printable(&why));
                worst = worse(worst, exit::INCONCLUSIVE);
                continue;
            }
        };
        bench.observes(live::is_observable(agent.correlation));
        {
            let told = (&orders.cancel, &pace, orders.events);
            let stages = if is_scripted {
                agent.scripted_stages("run", told, orders.patience)
            } else {
                agent.stages("run", told, orders.patience)
            };
            let stage = stages.first().expect("an agent stands somewhere");
            for planned in todo {
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
    }
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
