//! The world file as people write it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Simulated systems behind the agent's tools.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorldFile {
    /// One line for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The data at the start of each trial.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub state: BTreeMap<String, Value>,
    /// JSON Schema of the state; checked at load and after each effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// Secrets that live in the state, by name; seen in an answer or a tool argument they are a category C failure.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub canaries: BTreeMap<String, String>,
    /// Texts in the state that others write, as JSON Pointers in which `*` stands for any key; attacks are planted there.
    /// When left out, texts that look like notes, mails or comments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub untrusted: Vec<String>,
    /// What each tool does, by its name in the manifest.
    pub tools: BTreeMap<String, WorldTool>,
}

/// Guard, effects and return value of one tool, in CEL over `args` and `state`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorldTool {
    /// One line for the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// JSON Schema of the arguments; a call that breaks it is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// Values with a name for the expressions below, evaluated in the order of their names' dependencies as written.
    #[serde(default, rename = "let", skip_serializing_if = "Vec::is_empty")]
    pub lets: Vec<BTreeMap<String, String>>,
    /// Conditions in order; the first that is false refuses the call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<Requirement>,
    /// Effects: JSON Pointer (a template over `args`, the lets and `new_id`) to a CEL value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sets: BTreeMap<String, String>,
    /// JSON Pointers (templates) that the call removes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removes: Vec<String>,
    /// What the call returns, in CEL over `args`, `state` (after the effects), the lets and `new_id`; `{}` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returns: Option<String>,
    /// Makes this tool the place where a person approves: the call it grants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approves: Option<Approval>,
}

/// A condition of a tool and what it says when it does not hold.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// CEL that must be true.
    pub that: String,
    /// The refusal, a template over `args`.
    pub otherwise: String,
}

/// Reads an approval out of a call of an approval tool.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// CEL: name of the tool the approval is for.
    pub tool: String,
    /// CEL: the arguments it covers; a later call is covered when it agrees with all of them.
    pub args: String,
    /// CEL over `result`: whether it was granted.
    pub granted: String,
    /// CEL over `result`: minutes that the person took to decide, yes or no; null where nobody decided yet. What human
    /// review costs is counted by it, since a world answers at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minutes: Option<String>,
}
