//! What a scripted model emits, answer by answer, and which key goes with which. Who plays it is the stand-in's business.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ScenarioEntry, entry::Surroundings, inspection::Inspection};
use crate::source::Route;

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

/// Variables of `from`.
const OF_CONVERSATION: &[&str] = &["results", "last", "said", "n"];

/// Checks the `model` of one entry. A tool that the world does not know may be meant; one that is nearly the name of a
/// tool is not.
pub(super) fn check(inspection: &mut Inspection<'_>, around: &Surroundings<'_>, route: &Route, entry: &ScenarioEntry) {
    let list = route.join("model");
    for (index, turn) in entry.model.iter().enumerate() {
        let at = list.join(index);
        if turn.say.is_none() && turn.call.is_none() {
            inspection.mistaken_key(&at, "the model answers nothing", "add `say`, `call` or both");
        }
        let of_call =
            [("with", !turn.with.is_empty()), ("from", !turn.from.is_empty()), ("at_once", turn.at_once.is_some())];
        for (key, _) in of_call.into_iter().filter(|(_, is_given)| *is_given && turn.call.is_none()) {
            let hint = "add `call` with the tool that the model asks for";
            inspection.mistaken_key(&at.join(key), format!("`{key}` belongs to a call"), hint);
        }
        if turn.at_once == Some(0) {
            inspection.mistake(&at.join("at_once"), "no call at once is none", "give 1 or more, or remove `call`");
        }
        if turn.times == Some(0) && index + 1 < entry.model.len() {
            let hint = "let the endless answer be the last, or give a number";
            inspection.mistake(&at.join("times"), "what follows an endless answer never comes", hint);
        }
        for (name, source) in &turn.from {
            let _ = inspection.expr(&at.join("from").join(name), source, OF_CONVERSATION);
        }
        let known = around.tools().unwrap_or_default();
        if let Some(tool) = turn.call.as_deref().filter(|tool| !known.contains(tool))
            && crate::text::closest(tool, known.iter().copied()).is_some()
        {
            inspection.unknown(&at.join("call"), format!("the world has no tool `{tool}`"), tool, &known);
        }
    }
}
