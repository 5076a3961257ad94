//! What a run was made of and how it ended.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Version of the record format.
pub const VERSION: u32 = 1;

/// `run.json`: everything that the verdict depends on beside the trials.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunHeader {
    /// Version of the record format.
    pub record: u32,
    /// Version of the program.
    pub version: String,
    /// The run's id.
    pub id: String,
    /// RFC 3339.
    pub started: String,
    /// `YYYY-MM-DD`, the day that expiries are compared with.
    pub today: String,
    /// Seed of everything drawn.
    pub seed: u64,
    /// Generated attacks asked for on the command line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attacks: Option<u32>,
    /// Name of the manifest among the inputs.
    pub manifest: String,
    /// Digest of the checks that judged it.
    #[serde(default)]
    pub checklist: String,
    /// Profiles asked on the command line, when they differ from the manifest's.
    pub profiles: Vec<String>,
    /// Suites selected on the command line.
    pub suites: Vec<String>,
    /// Filters given on the command line.
    pub filters: Vec<String>,
    /// Trials per scenario given on the command line.
    pub trials: Option<u32>,
    /// How many trials were planned.
    pub planned: u32,
    /// Folder of the team's own checks among the inputs.
    pub checks: Option<String>,
    /// How tool calls were attributed to trials.
    pub correlation: String,
    /// What stood behind the claims when the run began.
    pub facts: Value,
    /// Operating system and architecture.
    pub environment: BTreeMap<String, String>,
    /// Every input file by name.
    pub inputs: BTreeMap<String, Input>,
}

/// An input file with its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// `sha256:…` of the text.
    pub digest: String,
    /// The text.
    pub text: String,
}

/// `verdict.json`: how the run ended; missing when it was killed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ending {
    /// Wall time in milliseconds, all resumed parts together.
    pub duration_ms: u64,
    /// Why trials were left out, if any were: `interrupted`, `max-duration`, `max-spend`, `preflight: …`.
    pub stopped: Option<String>,
    /// Calls that could not be attributed to a trial.
    pub unattributed_calls: u32,
    /// Spans of the agent that belonged to no trial in flight.
    #[serde(default)]
    pub stray_spans: u32,
    /// What stood in spans and logs of no trial and may stand nowhere: names of canaries, and whether a secret did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stray_leaks: Vec<String>,
    /// The decision, for readers that want nothing else.
    pub decision: String,
    /// The exit code.
    pub exit_code: u8,
    /// Digest of the last line of `trials.ndjson`, so that no line can be changed or cut off afterwards; empty while a
    /// run goes on.
    #[serde(default)]
    pub last_line: String,
}
