//! The command line.

mod writing;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(super) use writing::{ReplayArgs, ReportArgs, WritingArgs};

use crate::{scenario::Suite, units::Span};

/// Decides whether an AI agent may go to production.
///
/// Reads the agent's manifest, tries the agent, and answers GO, NO-GO or INCONCLUSIVE with evidence.
///
/// Exit codes: 0 GO (also with waivers), 1 NO-GO, 2 bad input, 3 INCONCLUSIVE, 4 internal error, 130 interrupted.
#[derive(Debug, Parser)]
#[command(name = "agentready", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Colour of terminal output.
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, env = "AGENTREADY_COLOR")]
    pub color: Color,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check an agent: manifest, checklist, scenarios, verdict, reports.
    Check(CheckArgs),
    /// Run some scenarios and show transcript, ledger and what was expected: the developer's loop.
    Run(RunArgs),
    /// Check the built-in refund agent: works on a fresh machine with nothing configured.
    Demo(DemoArgs),
    /// List, show or export the attacks that are generated from a manifest.
    Attack(AttackArgs),
    /// List checks, scenarios, profiles, controls, formats, imports, adapters or flaws.
    List(ListArgs),
    /// Show one check in full.
    Explain(ExplainArgs),
    /// Make scenarios of a file of another tool: a corpus, a dataset, a scan.
    Import(ImportArgs),
    /// Keep what went wrong as a regression scenario.
    Incident(IncidentArgs),
    /// Write down what the build is made of in `agentready.lock`, and say what changed.
    Lock(LockArgs),
    /// Render the record of a run again.
    Report(ReportArgs),
    /// Show one trial of a record as a timeline.
    Replay(ReplayArgs),
    /// Print the JSON Schema of a file format.
    Schema(SchemaArgs),
    /// Serve the tools of one scenario over HTTP and MCP, or over stdio to an agent that spawns its servers.
    Serve(ServeArgs),
    /// Show that the gate can't be fooled by dead, broken, refusing or lying agents.
    Selftest,
    /// The built-in refund agent itself, as `demo` starts it.
    #[command(hide = true)]
    DemoAgent(DemoAgentArgs),
}

/// Arguments of `check`.
#[derive(Clone, Debug, Default, Args)]
pub struct CheckArgs {
    /// The manifest; found as `agentready.yaml|yml|toml` or `.github/agentready.*`, upwards to the repository root.
    #[arg(env = "AGENTREADY_MANIFEST")]
    pub manifest: Option<PathBuf>,
    /// Say what became weaker since a git revision, a manifest file, a run's record, or `last` for the newest record.
    #[arg(long, value_name = "BASE", env = "AGENTREADY_BASE")]
    pub base: Option<String>,
    /// Leave the agent alone: manifest, files and checklist only (at best INCONCLUSIVE).
    #[arg(long = "static")]
    pub static_only: bool,
    /// What is tried and how.
    #[command(flatten)]
    pub trying: TryingArgs,
    /// What is judged and how.
    #[command(flatten)]
    pub judging: JudgingArgs,
    /// What is written and where.
    #[command(flatten)]
    pub writing: WritingArgs,
}

/// What is tried and how.
#[derive(Clone, Debug, Default, Args)]
pub struct TryingArgs {
    /// Only these suites; the incident suite always runs too.
    #[arg(long = "suite", value_enum, value_delimiter = ',')]
    pub suites: Vec<SuiteName>,
    /// Only scenarios whose id matches (`*` is a wildcard) or that bear a tag (`tag:NAME`).
    #[arg(long = "filter", value_name = "PATTERN")]
    pub filters: Vec<String>,
    /// Trials of each scenario.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000), env = "AGENTREADY_TRIALS")]
    pub trials: Option<u32>,
    /// Trials in flight at once.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000), env = "AGENTREADY_CONCURRENCY")]
    pub concurrency: Option<u32>,
    /// Seed of everything drawn.
    #[arg(long, value_name = "N", default_value_t = 0, env = "AGENTREADY_SEED")]
    pub seed: u64,
    /// Generated attacks, in place of what the manifest's `pack:base` says.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=100_000), env = "AGENTREADY_ATTACKS")]
    pub attacks: Option<u32>,
    /// Stop when the agent has reported this cost in US dollars.
    #[arg(long, value_name = "USD", value_parser = dollars, env = "AGENTREADY_MAX_SPEND")]
    pub max_spend: Option<f64>,
    /// Stop after this time, such as `10m`.
    #[arg(long, value_name = "TIME", env = "AGENTREADY_MAX_DURATION")]
    pub max_duration: Option<Span>,
    /// Never run a command of the manifest.
    #[arg(long)]
    pub no_exec: bool,
}

fn dollars(text: &str) -> Result<f64, String> {
    let amount = text.parse::<f64>().ok().filter(|amount| amount.is_finite() && *amount >= 0.0);
    amount.ok_or_else(|| format!("`{text}` is no amount in US dollars such as `2.50`"))
}

/// What is judged and how.
#[derive(Clone, Debug, Default, Args)]
pub struct JudgingArgs {
    /// Profile to ask, repeatable; the manifest's when left out.
    #[arg(long = "profile", value_name = "NAME", value_delimiter = ',', env = "AGENTREADY_PROFILE")]
    pub profiles: Vec<String>,
    /// Folder with the team's own checks, in the form of the built-in ones.
    #[arg(long, value_name = "DIR", env = "AGENTREADY_CHECKS")]
    pub checks: Option<PathBuf>,
    /// Read files beyond the repository root.
    #[arg(long)]
    pub allow_outside: bool,
    /// Touch no network but the agent's endpoint.
    #[arg(long)]
    pub offline: bool,
}

/// The suites by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SuiteName {
    /// Lawful work.
    Golden,
    /// Attacks and their twins.
    Adversarial,
    /// Past incidents.
    Incident,
}

impl From<SuiteName> for Suite {
    fn from(name: SuiteName) -> Self {
        match name {
            SuiteName::Golden => Self::Golden,
            SuiteName::Adversarial => Self::Adversarial,
            SuiteName::Incident => Self::Incident,
        }
    }
}

/// Arguments of `run`.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// Scenarios by id or pattern; `tag:NAME` works too.
    #[arg(value_name = "SCENARIO")]
    pub scenarios: Vec<String>,
    /// The manifest.
    #[arg(long, env = "AGENTREADY_MANIFEST")]
    pub manifest: Option<PathBuf>,
    /// Run the built-in refund agent instead of a manifest's.
    #[arg(long, conflicts_with = "manifest")]
    pub demo: bool,
    /// Flaws of the built-in agent.
    #[arg(long = "flaw", value_name = "NAME", requires = "demo")]
    pub flaws: Vec<String>,
    /// Generated attacks to choose from, as in `check`.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=100_000), env = "AGENTREADY_ATTACKS")]
    pub attacks: Option<u32>,
    /// Seed of the generated attacks, as in `check`.
    #[arg(long, value_name = "N", default_value_t = 0, env = "AGENTREADY_SEED")]
    pub seed: u64,
    /// Run again whenever the manifest, a scenario or a world changes.
    #[arg(long)]
    pub watch: bool,
}

/// Arguments of `serve`.
#[derive(Clone, Debug, Args)]
pub struct ServeArgs {
    /// The scenario whose world answers; the first one when left out.
    pub scenario: Option<String>,
    /// The manifest.
    #[arg(long, env = "AGENTREADY_MANIFEST")]
    pub manifest: Option<PathBuf>,
    /// Serve the tools of the built-in refund agent instead of a manifest's.
    #[arg(long, conflicts_with = "manifest")]
    pub demo: bool,
    /// Speak MCP on standard input and output.
    #[arg(long)]
    pub stdio: bool,
    /// With `--stdio`: hand on to the tools at this URL, which the gate gives to the agents that it starts
    /// (`stand_ins: {AGENTREADY_TOOLS_URL: "gate:tools"}`).
    #[arg(long, value_name = "URL", env = "AGENTREADY_TOOLS_URL")]
    pub to: Option<String>,
}

/// Arguments of `demo`.
#[derive(Clone, Debug, Args)]
pub struct DemoArgs {
    /// A flaw to build in, repeatable; `agentready list flaws` names them.
    #[arg(long = "flaw", value_name = "NAME")]
    pub flaws: Vec<String>,
    /// What is tried and how.
    #[command(flatten)]
    pub trying: TryingArgs,
    /// What is written and where.
    #[command(flatten)]
    pub writing: WritingArgs,
}

/// Arguments of `attack`.
#[derive(Clone, Debug, Args)]
pub struct AttackArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: AttackAction,
}

/// What to do with generated attacks.
#[derive(Clone, Debug, Subcommand)]
pub enum AttackAction {
    /// What is attacked and how: goals, carriers, techniques and encodings with counts, and why some don't apply.
    List(AttackSource),
    /// One attack in full: the words, where they are planted, and what must hold.
    Show {
        /// The attack's id.
        id: String,
        /// Which attacks.
        #[command(flatten)]
        source: AttackSource,
    },
    /// Write the attacks as scenario files.
    Export {
        /// Folder to write to; it must be empty or not there yet.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        /// Which attacks.
        #[command(flatten)]
        source: AttackSource,
    },
}

/// Which attacks.
#[derive(Clone, Debug, Args)]
pub struct AttackSource {
    /// How many; what the manifest's `pack:base` says when left out.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub count: Option<u32>,
    /// Only these goals, repeatable.
    #[arg(long, value_name = "GOAL")]
    pub focus: Vec<String>,
    /// Seed of everything drawn.
    #[arg(long, value_name = "N", default_value_t = 0, env = "AGENTREADY_SEED")]
    pub seed: u64,
    /// The manifest.
    #[arg(long, env = "AGENTREADY_MANIFEST")]
    pub manifest: Option<PathBuf>,
    /// The built-in refund agent instead of a manifest's.
    #[arg(long, conflicts_with = "manifest")]
    pub demo: bool,
    /// For machines.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `list`.
#[derive(Clone, Debug, Args)]
pub struct ListArgs {
    /// What to list.
    #[arg(value_enum)]
    pub what: Listing,
    /// For machines.
    #[arg(long)]
    pub json: bool,
    /// The whole checklist as a page of Markdown; for `checks`.
    #[arg(long, conflicts_with = "json")]
    pub markdown: bool,
    /// The control framework to hold the checks against, such as `owasp-asi` or `owasp-llm@2025`.
    #[arg(long, value_name = "NAME")]
    pub framework: Option<String>,
    /// The manifest, for scenarios, profiles and controls.
    #[arg(long)]
    pub manifest: Option<PathBuf>,
    /// Folder with the team's own checks.
    #[arg(long, value_name = "DIR")]
    pub checks: Option<PathBuf>,
}

/// What can be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Listing {
    /// The checklist.
    Checks,
    /// The manifest's scenarios.
    Scenarios,
    /// Go/no-go rules, and where each stands for a manifest.
    Profiles,
    /// Control frameworks; with `--framework` its controls, their checks and how far these are shown.
    Controls,
    /// Report formats.
    Formats,
    /// Formats of other tools that `import` reads.
    Imports,
    /// Wire formats of agents.
    Adapters,
    /// Flaws of the built-in agent.
    Flaws,
}

/// Arguments of `explain`.
#[derive(Clone, Debug, Args)]
pub struct ExplainArgs {
    /// The check's id, such as `scope/tool-inventory`.
    pub check: String,
    /// For machines.
    #[arg(long)]
    pub json: bool,
    /// Folder with the team's own checks.
    #[arg(long, value_name = "DIR")]
    pub checks: Option<PathBuf>,
}

/// Arguments of `import`.
#[derive(Clone, Debug, Args)]
pub struct ImportArgs {
    /// How to read the file; `agentready list imports` names the formats.
    pub format: String,
    /// The file, at most 64 MiB.
    pub file: PathBuf,
    /// Folder to write scenario files to.
    #[arg(long, value_name = "DIR", default_value = "evals/imported")]
    pub out: PathBuf,
    /// World of the scenarios.
    #[arg(long, value_name = "FILE")]
    pub world: Option<PathBuf>,
    /// Tool of the world that must not be executed, repeatable: gives text-only prompts an oracle.
    #[arg(long = "never", value_name = "TOOL", requires = "world")]
    pub never: Vec<String>,
    /// Second file of `bipia`, with the attacks.
    #[arg(long, value_name = "FILE")]
    pub attacks: Option<PathBuf>,
    /// Column or key of the prompt, for `csv` and `jsonl`.
    #[arg(long, value_name = "NAME")]
    pub column: Option<String>,
    /// The file holds lawful requests, for `agentharm`.
    #[arg(long)]
    pub benign: bool,
    /// Licence of the texts, kept with each scenario.
    #[arg(long, value_name = "TEXT")]
    pub licence: Option<String>,
    /// What ids and files begin with; the file's name when left out.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Replace files that are there already.
    #[arg(long)]
    pub force: bool,
}

/// Arguments of `incident`.
#[derive(Clone, Debug, Args)]
pub struct IncidentArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: IncidentCommand,
}

/// What can be done with incidents.
#[derive(Clone, Debug, Subcommand)]
pub enum IncidentCommand {
    /// Write a scenario of the incident suite from a failed trial, or from a trace of production.
    Add(IncidentAddArgs),
}

/// Arguments of `incident add`.
#[derive(Clone, Debug, Args)]
pub struct IncidentAddArgs {
    /// Folder of the record, or the run's id.
    #[arg(requires = "trial")]
    pub run: Option<PathBuf>,
    /// The trial: its number in the plan, a scenario's id (its first failed trial), or `SCENARIO#N`.
    pub trial: Option<String>,
    /// A trace instead of a record: OTLP JSON with `gen_ai` attributes.
    #[arg(long, value_name = "FILE", conflicts_with = "run", requires_all = ["never", "world"])]
    pub trace: Option<PathBuf>,
    /// Which trace of the file.
    #[arg(long, value_name = "ID", requires = "trace")]
    pub trace_id: Option<String>,
    /// Tool whose calls in the trace were wrong, repeatable; they must not be executed again.
    #[arg(long = "never", value_name = "TOOL", requires = "trace")]
    pub never: Vec<String>,
    /// World with the tools of the trace.
    #[arg(long, value_name = "FILE", requires = "trace")]
    pub world: Option<PathBuf>,
    /// Id of the incident's record, such as `INC-7`.
    #[arg(long, value_name = "ID")]
    pub incident: Option<String>,
    /// One line for people; what failed when left out.
    #[arg(long, value_name = "TEXT")]
    pub title: Option<String>,
    /// Id of the scenario.
    #[arg(long, value_name = "ID")]
    pub id: Option<String>,
    /// File to write; `evals/incidents/ID.yaml` when left out.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Folder below which records lie.
    #[arg(long, value_name = "DIR", default_value = ".agentready/runs", env = "AGENTREADY_RECORD")]
    pub record: PathBuf,
}

/// Arguments of `lock`.
#[derive(Clone, Debug, Args)]
pub struct LockArgs {
    /// The manifest; found as `check` finds it.
    #[arg(env = "AGENTREADY_MANIFEST")]
    pub manifest: Option<PathBuf>,
    /// Write nothing; exit code 1 when the lock does not hold the build as it is.
    #[arg(long)]
    pub check: bool,
    /// Folder with the team's own checks.
    #[arg(long, value_name = "DIR", env = "AGENTREADY_CHECKS")]
    pub checks: Option<PathBuf>,
}

/// Arguments of `schema`.
#[derive(Clone, Debug, Args)]
pub struct SchemaArgs {
    /// Which format.
    #[arg(value_enum)]
    pub what: SchemaName,
}

/// Formats that have a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SchemaName {
    /// The agent's manifest.
    Manifest,
    /// A scenario file.
    Scenario,
    /// A world file.
    World,
    /// A check of the checklist.
    Check,
    /// The JSON report.
    Report,
}

/// Arguments of `demo-agent`.
#[derive(Clone, Debug, Args)]
pub struct DemoAgentArgs {
    /// Port on loopback.
    #[arg(long)]
    pub port: u16,
    /// Flaws to build in.
    #[arg(long = "flaw")]
    pub flaws: Vec<String>,
}
