//! How far the checklist is shown, and what is still missing for GO.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::source::Location;

/// The checks of an area that apply, by how far they are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Area {
    /// Its name: the first part of the ids of its checks.
    pub area: String,
    /// How many checks apply.
    pub checks: u32,
    /// How many of them need to be shown at all.
    pub needed: u32,
    /// How many of those stand below the rung they need.
    pub short: u32,
    /// How many of those stand in the way of GO.
    pub blocking: u32,
    /// How many were seen to be false.
    pub refuted: u32,
    /// How many stand at declared or above.
    pub declared: u32,
    /// How many stand at verified or above.
    pub verified: u32,
    /// How many stand at proven.
    pub proven: u32,
}

/// What would turn the verdict into GO: every check named here has to be met, and what remains has to go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ToGo {
    /// Changes of manifest, files or agent: what unblocks most comes first, then what is least work.
    pub edits: Vec<Edit>,
    /// Checks that a run of the agent has to tell; until then nobody knows whether they need a change.
    pub run: Vec<String>,
    /// What would stand in the way even then, as far as this run can say.
    pub remains: Vec<String>,
}

/// One change, and the checks that it is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Edit {
    /// The place in the manifest as people write it; empty where the whole manifest is meant.
    pub place: String,
    /// Where that is, or its nearest parent that is written down.
    pub location: Option<Location>,
    /// The checks.
    pub checks: Vec<String>,
    /// What to do, each sentence once.
    pub fixes: Vec<String>,
    /// Lines for the manifest that a check suggests, to be fitted to the agent.
    #[serde(default)]
    pub paste: Vec<Paste>,
    /// Whether a run of the agent has to show more afterwards.
    pub then_run: bool,
}

/// Lines that the manifest does not have yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Paste {
    /// The check that suggests them.
    pub check: String,
    /// The key of the manifest below which they belong; empty at its top.
    pub under: String,
    /// The line of that key.
    pub line: Option<usize>,
    /// The lines, as YAML.
    pub text: String,
}
