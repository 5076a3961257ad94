//! What is kept of each run, and how it is got at.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Hook;

/// What is kept of each run, and how it is got at.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Audit {
    /// Where the run id travels.
    pub run_id: RunIdCarrier,
    /// Prints one run as JSON lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<Hook>,
    /// A file of a few runs as the log prints them; `evidence/audit-sample.jsonl` when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample: Option<String>,
    /// Field of the documented record to where it stands, only where names differ.
    pub fields: BTreeMap<String, String>,
    /// Where write events are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<Storage>,
    /// How customers get at the logs.
    pub export: Export,
    /// URL of a run's timeline, with `{run_id}` in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeline: Option<String>,
    /// Secret with which the gate asks for it, `env:NAME`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeline_token: Option<String>,
    /// Rebuilds one run from what is stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay: Option<Hook>,
}

/// Where the run id travels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunIdCarrier {
    /// Member of the W3C baggage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baggage: Option<String>,
    /// Span attribute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attribute: Option<String>,
    /// HTTP header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
}

impl Default for RunIdCarrier {
    fn default() -> Self {
        Self { baggage: Some("run_id".to_owned()), attribute: None, header: None }
    }
}

/// Where write events are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Storage {
    /// Such as `s3-object-lock`, `gcs-retention-lock`, `azure-immutable`, `ledger-db` or `hash-chain`.
    pub kind: String,
    /// Its retention mode, such as `compliance`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// The bucket or database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    /// Where the chain is anchored outside, for `hash-chain`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anchor: Option<String>,
}

/// How customers get at the logs.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Export {
    /// URL of the API, with `{run_id}` in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
    /// Route to a SIEM, such as `splunk-hec` or `syslog`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub siem: Option<String>,
}
