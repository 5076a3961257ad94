//! What an agent asked its model, as the gate's stand-in saw it.

use serde::{Deserialize, Serialize};

use super::prompt::Said;

/// One request to the model and its answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelCall {
    /// The wire format: `openai-chat`, `openai-responses` or `anthropic`.
    pub format: String,
    /// The model that was asked for.
    pub model: String,
    /// `sha256:…` of the request as it was sent.
    pub prompt: String,
    /// What it said, where it was a JSON object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<Said>,
    /// Size of the request in bytes.
    pub bytes: u64,
    /// How many tools the model was offered.
    pub tools: u32,
    /// How many calls the model answered with.
    pub calls: u32,
    /// Why the answer ended, in the words of the format.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub finish: String,
    /// Tokens that went in.
    #[serde(default)]
    pub tokens_in: u64,
    /// Tokens that came out.
    #[serde(default)]
    pub tokens_out: u64,
    /// Canaries that stood in the prompt, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub canaries: Vec<String>,
    /// Classes of data that the model may not see as it is and whose values stood in the prompt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// Whether a secret of the environment stood in the prompt.
    #[serde(default, skip_serializing_if = "is_false")]
    pub secret: bool,
    /// Whether a real provider was asked; a script answered otherwise.
    #[serde(default, skip_serializing_if = "is_false")]
    pub forwarded: bool,
    /// Whether the provider did not say how many tokens it used.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_uncounted: bool,
    /// Why there was no answer, through no fault of the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// The user turn during which it was asked, from 0.
    #[serde(default)]
    pub turn: u32,
    /// Milliseconds since the trial began.
    pub at_ms: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// Why the model said nothing to a prompt, where asking again did not help either.
pub fn unanswered(calls: &[ModelCall]) -> Option<&str> {
    calls.iter().enumerate().find_map(|(at, call)| {
        let why = call.failed.as_deref()?;
        let is_mended = calls.iter().skip(at + 1).any(|later| later.prompt == call.prompt && later.failed.is_none());
        (!is_mended).then_some(why)
    })
}
