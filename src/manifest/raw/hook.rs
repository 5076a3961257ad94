//! Commands of the manifest that exercise a control.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Span;

/// What to execute, how to put it back, how soon it must have worked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    /// The command; names in braces such as `{run_id}` are filled in.
    pub run: String,
    /// The command that puts it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undo: Option<String>,
    /// How soon it must have worked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<Span>,
}
