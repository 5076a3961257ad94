//! The exported suite as `tests/real/agentdojo_export.py` writes it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

/// One suite of one version of the package.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub(super) struct Export {
    /// The suite's name.
    pub(super) suite: String,
    /// How the attacks are worded.
    pub(super) attack: String,
    /// The data behind the tools.
    pub(super) environment: Map<String, Value>,
    /// Where in it an attack can stand.
    pub(super) places: Vec<Place>,
    /// What the user wants.
    pub(super) user_tasks: Vec<Task>,
    /// What the attacker wants.
    pub(super) injection_tasks: Vec<Task>,
    /// Pairs of both with the texts of the attack.
    pub(super) cases: Vec<AttackCase>,
}

/// A text of the environment around a place for an attack.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub(super) struct Place {
    pub(super) vector: String,
    pub(super) pointer: String,
    pub(super) before: String,
    pub(super) after: String,
}

/// A task and the calls that solve it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub(super) struct Task {
    pub(super) id: String,
    /// The user's words, or the attacker's goal.
    pub(super) text: String,
    pub(super) calls: Vec<Call>,
    /// What comes into view while the task is solved.
    #[serde(default)]
    pub(super) reached: Vec<Seen>,
}

/// A call of a solution.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub(super) struct Call {
    pub(super) tool: String,
    pub(super) args: Map<String, Value>,
}

/// A place, and the tool whose result shows it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub(super) struct Seen {
    pub(super) vector: String,
    pub(super) tool: String,
}

/// One user task under one attack.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub(super) struct AttackCase {
    pub(super) user_task: String,
    pub(super) injection_task: String,
    /// By vector.
    pub(super) texts: BTreeMap<String, String>,
}
