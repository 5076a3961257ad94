//! Where a fact comes from, and how old that is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A file that was read, an address that answered, a variable whose token was read, or git.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Source {
    /// The file's name, the address, `github:owner/name@branch`, `env:NAME` or `git`.
    pub from: String,
    /// `address`, `command`, `environment` or `file`.
    pub kind: String,
    /// The facts that come from it.
    pub facts: Vec<String>,
    /// The day of what was read: the last change of a file, the making of an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<String>,
    /// Days from then to the day of the verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_days: Option<u32>,
    /// Who says so: `git`, `disk`, `server` or `clock`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Of a file below version control: `committed`, `changed` or `untracked`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Whether it may be older, because the clone is shallow.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub at_latest: bool,
    /// When a server was asked, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<String>,
    /// How many seconds before that its answer was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy_s: Option<u64>,
}
