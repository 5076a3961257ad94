//! What a scripted model emits, answer by answer. Data only; who plays it is the stand-in's business.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One answer of a scripted model: words, calls, or both.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Move {
    /// What it says; its last words end the turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub say: Option<String>,
    /// The tool that it asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
    /// With `call`: the arguments.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub with: BTreeMap<String, Value>,
    /// With `call`: arguments as CEL over `results` (of the tools so far), `last` (the last of them), `said` (by the user)
    /// and `n` (how often this was asked for before).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub from: BTreeMap<String, String>,
    /// With `call`: how many such calls stand in one answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_once: Option<u32>,
    /// How many answers of this kind follow each other; 0 for an endless loop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// Tokens that the answer is said to have used, in and out; counted from the texts when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
}

impl Move {
    /// One call.
    pub fn calling(tool: &str, args: &Value) -> Self {
        let with = args.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), value.clone()));
        Self { call: Some(tool.to_owned()), with: with.collect(), ..Self::default() }
    }

    /// The last word.
    pub fn saying(text: &str) -> Self {
        Self { say: Some(text.to_owned()), ..Self::default() }
    }
}
