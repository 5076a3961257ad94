//! `demo`: the gate on the built-in refund agent, from files inside the binary.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    args::{DemoAgentArgs, DemoArgs},
    case::Options,
    check::{self, Job},
    live::PATIENCE,
    output::Output,
};
use crate::{
    context::Context,
    demo::{Flaw, Surroundings, serve},
    exit::{self, Fault},
    source::{Files, unpacked},
};

static PACK: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/demo.pack"));

/// Name of the demo's manifest among the embedded files.
pub(crate) const MANIFEST: &str = "fixtures/demo/agentready.yaml";

/// The day on which the demo plays. Its files (a red-team report, labels, reviews) are of the weeks before, so that they
/// never grow stale.
pub(crate) const TODAY: &str = "2026-11-21";

/// Runs `demo`.
pub(crate) fn demo(args: &DemoArgs, context: &Context, output: &Output) -> Result<u8, Fault> {
    let targets = check::open(&args.writing.formats)?;
    let job = Job {
        files: files(),
        manifest: MANIFEST.to_owned(),
        options: Options {
            selection: check::selection(&args.trying),
            attacks: args.trying.attacks,
            seed: args.trying.seed,
            ..Options::default()
        },
        trying: &args.trying,
        static_only: false,
        offline: false,
        patience: PATIENCE,
        variables: variables(&args.flaws)?,
        base: None,
        records: context.path(&args.writing.record),
        resume: args
            .writing
            .resume
            .as_ref()
            .map(|run| check::record_folder(&context.path(&args.writing.record), run, context)),
        today: Some(TODAY),
    };
    let output =
        Output { progress: output.progress && !args.writing.no_progress, ..output.telling(args.writing.verbose) };
    // The demo asks for nothing that is set up on this machine, no model of its user answers in it, and its repository
    // is played.
    let mut alone = context.clone();
    for name in ["OPENAI_BASE_URL", "GITHUB_TOKEN", "GH_TOKEN"] {
        alone.env.remove(name);
    }
    let report = check::carry_out(job, &alone, &output)?;
    check::finish(&report, targets, args.writing.exit_zero, &output)
}

/// Serves the demo agent until it is ended.
pub(crate) fn agent(args: &DemoAgentArgs, context: &Context) -> Result<u8, Fault> {
    let flaws = flaws(&args.flaws)?;
    let told = |name: &str| context.env.get(name).map(String::as_str);
    let around = Surroundings {
        mcp: told("TOOLS_MCP_URL"),
        model: told("OPENAI_BASE_URL"),
        key: told("OPENAI_API_KEY"),
        otlp: told("OTEL_EXPORTER_OTLP_ENDPOINT"),
    };
    check::runtime()?
        .block_on(serve(args.port, &flaws, around))
        .map_err(|error| Fault::internal("serve the demo agent", error))?;
    Ok(exit::GO)
}

/// The files of the demo, as they lie in the repository.
pub(crate) fn files() -> Files {
    let mut texts = unpacked(PACK);
    // The demo plays a repository of its own, and these stand at a repository's root.
    let at_root = |name: &str| name == "CODEOWNERS" || name.starts_with(".github/");
    let moved: Vec<(String, Arc<str>)> = texts
        .iter()
        .filter_map(|(name, text)| Some((name.strip_prefix("fixtures/demo/")?.to_owned(), Arc::clone(text))))
        .filter(|(name, _)| at_root(name))
        .collect();
    texts.extend(moved);
    Files::texts(texts)
}

/// Values for `{flaws}` in the demo's start command.
pub(crate) fn variables(names: &[String]) -> Result<BTreeMap<String, String>, Fault> {
    let flags: Vec<String> = flaws(names)?.iter().map(|flaw| format!("--flaw {}", flaw.name())).collect();
    Ok([("flaws".to_owned(), flags.join(" "))].into())
}

fn flaws(names: &[String]) -> Result<BTreeSet<Flaw>, Fault> {
    names
        .iter()
        .map(|name| {
            name.parse().map_err(|error: crate::demo::UnknownFlaw| {
                Fault::usage(error.to_string(), "`agentready list flaws` names them all")
            })
        })
        .collect()
}
