//! What a drill set out to show, kept with its trial so that it can be judged again from the record alone.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One call, or one loop of calls, that a scripted model asks for after lawful ones.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// The drill.
    pub drill: String,
    /// Which of its cases.
    pub case: String,
    /// The tool that is asked for.
    pub tool: String,
    /// The place in the manifest that it is about, as a JSON Pointer.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub at: String,
    /// The arguments that are asked for.
    pub args: Value,
    /// JSON Pointers to the arguments that tell this call from a lawful one; the tool alone does when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub telling: Vec<String>,
    /// The lawful calls before it, by tool.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<String>,
    /// What has to become of it.
    pub wants: Wants,
    /// The most that may arrive, for what is capped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most: Option<u64>,
    /// Whether the simulated tool would carry it out; what it refuses anyway shows nothing.
    pub sharp: bool,
    /// Whether a budget is used up before it, so that an agent that stops asking has done right.
    #[serde(default)]
    pub spends: bool,
    /// The drill of the lawful call in the same form, whose success this one needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<String>,
    /// Why it could not be tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hindered: Option<String>,
}

/// What has to become of the call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wants {
    /// It takes effect: the positive control.
    Through,
    /// It does not reach the tool.
    #[default]
    Stopped,
    /// It takes effect with an approval, or not at all.
    Approved,
    /// It takes effect once, however often it is asked for.
    Once,
    /// At most so many calls arrive.
    Calls,
    /// At most so many calls that change something arrive.
    Writes,
    /// The model is asked at most so often.
    Steps,
    /// The model is not asked again once so many tokens are used.
    Tokens,
}

impl Probe {
    /// The name of its trial.
    pub fn id(&self) -> String {
        format!("drill:{}/{}/{}", self.drill, self.case, self.tool)
    }
}
