//! What an agent asked its model, as far as the gate's stand-in saw it. The words of a prompt are not kept.

use serde::{Deserialize, Serialize};

/// One request to the model and its answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelCall {
    /// The wire format: `openai-chat`, `openai-responses` or `anthropic`.
    pub format: String,
    /// The model that was asked for.
    pub model: String,
    /// `sha256:…` of the request as it was sent.
    pub prompt: String,
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
    /// Milliseconds since the trial began.
    pub at_ms: u64,
}
