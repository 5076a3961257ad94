//! Arguments that say what is written and read again: reports and records. Must not act on them.

use std::path::PathBuf;

use clap::Args;

use crate::report::FormatTarget;

/// What is written and where.
#[derive(Clone, Debug, Default, Args)]
pub struct WritingArgs {
    /// Report to write, repeatable: `terminal`, `json`, `junit`, `markdown`, each with `=PATH` or to standard output.
    #[arg(long = "format", value_name = "NAME[=PATH]", value_delimiter = ',', env = "AGENTREADY_FORMAT")]
    pub formats: Vec<FormatTarget>,
    /// Show everything in the terminal report: nothing is folded or left out.
    #[arg(short, long)]
    pub verbose: bool,
    /// Folder below which the record is written.
    #[arg(long, value_name = "DIR", default_value = ".agentready/runs", env = "AGENTREADY_RECORD")]
    pub record: PathBuf,
    /// Go on with the record of a run that was killed.
    #[arg(long, value_name = "RUN")]
    pub resume: Option<PathBuf>,
    /// Turn exit codes 1 and 3 into 0, and say so.
    #[arg(long, env = "AGENTREADY_EXIT_ZERO", value_parser = clap::builder::BoolishValueParser::new())]
    pub exit_zero: bool,
    /// No progress on standard error.
    #[arg(long, env = "AGENTREADY_NO_PROGRESS", value_parser = clap::builder::BoolishValueParser::new())]
    pub no_progress: bool,
}

/// Arguments of `report`.
#[derive(Clone, Debug, Args)]
pub struct ReportArgs {
    /// Folder of the record, or the run's id.
    pub run: PathBuf,
    /// Folder below which records lie.
    #[arg(long, value_name = "DIR", default_value = ".agentready/runs", env = "AGENTREADY_RECORD")]
    pub record: PathBuf,
    /// Report to write, repeatable.
    #[arg(long = "format", value_name = "NAME[=PATH]", value_delimiter = ',', env = "AGENTREADY_FORMAT")]
    pub formats: Vec<FormatTarget>,
    /// Show everything in the terminal report: nothing is folded or left out.
    #[arg(short, long)]
    pub verbose: bool,
    /// Turn exit codes 1 and 3 into 0, and say so.
    #[arg(long, env = "AGENTREADY_EXIT_ZERO", value_parser = clap::builder::BoolishValueParser::new())]
    pub exit_zero: bool,
}

/// Arguments of `replay`.
#[derive(Clone, Debug, Args)]
pub struct ReplayArgs {
    /// Folder of the record, or the run's id.
    pub run: PathBuf,
    /// Folder below which records lie.
    #[arg(long, value_name = "DIR", default_value = ".agentready/runs", env = "AGENTREADY_RECORD")]
    pub record: PathBuf,
    /// The trial: its number in the plan, a scenario's id, or `SCENARIO#N`.
    pub trial: String,
}
