//! Which data the agent handles, and where it may go.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Day;
use crate::units::Span;

/// Which data the agent handles, and where it may go.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Data {
    /// Classes of data; `secrets` is built in.
    pub classes: BTreeMap<String, ClassRule>,
    /// Redaction rules for model, logs and traces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redaction: Option<String>,
    /// Outside companies that get data.
    pub processors: BTreeMap<String, Processor>,
    /// The page that explains it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doc: Option<String>,
    /// Regions where data may be.
    pub residency: Vec<String>,
    /// How long what is kept.
    pub retention: Retention,
    /// Groups that may read logs.
    pub log_readers: Vec<String>,
    /// How tenants are kept apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenancy: Option<Tenancy>,
    /// System to who can write into what the prompt reads.
    pub retrieval: BTreeMap<String, RetrievalSource>,
    /// Framework to the page that maps controls to it.
    pub frameworks: BTreeMap<String, String>,
}

/// What holds for a class of data: `none` when there is no such data, else where it may go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ClassRule {
    /// There is no such data.
    Absent(NoData),
    /// Where it may go.
    Handled(DataClass),
}

words! {
    /// Says that there is no such data.
    pub enum NoData {
        /// No such data.
        None = "none",
    }
}

/// How data of a class is recognised, and where it may go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DataClass {
    /// Names of fields that hold it.
    #[serde(rename = "match")]
    pub fields: Vec<String>,
    /// Regular expressions that recognise it.
    pub patterns: Vec<String>,
    /// In what form the model may see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<Handling>,
    /// Tools that may carry it.
    pub tools: Vec<String>,
    /// In what form it may be retrieved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retrieval: Option<Handling>,
    /// Why the model may see it as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

words! {
    /// In what form data may go somewhere.
    pub enum Handling {
        /// Not at all.
        Never = "never",
        /// As tokens that stand for it.
        Tokenized = "tokenized",
        /// As it is.
        Allowed = "allowed",
    }
}

/// An outside company that gets data.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Processor {
    /// What it gets.
    pub sends: Vec<String>,
    /// What for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Where it processes; `any` must be written out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Whether it trains on the data; there is no default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trains: Option<bool>,
    /// How long it keeps the data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention: Option<Span>,
    /// The contract.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contract: Option<String>,
}

/// How long what is kept.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// Inputs and outputs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payloads: Option<Span>,
    /// Redacted metadata.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Span>,
    /// Files that runs made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifacts: Option<Span>,
    /// Where the windows are set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
}

/// How tenants are kept apart; or `single` when there is one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tenancy {
    /// The field that names the tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Template of storage paths, with `{tenant}` in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<String>,
    /// Template of log streams, with `{tenant}` in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logs: Option<String>,
    /// There is one tenant only.
    pub single: bool,
}

/// Who can write into what the prompt reads, and when somebody last looked.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RetrievalSource {
    /// Who can write into it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub writers: Option<Writers>,
    /// Day of the last review.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reviewed: Option<Day>,
    /// The review.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub review: Option<String>,
}

words! {
    /// Who can write into a source.
    pub enum Writers {
        /// It is fixed.
        Nobody = "nobody",
        /// Employees.
        Staff = "staff",
        /// Customers.
        Customers = "customers",
        /// Anyone.
        Anyone = "anyone",
    }
}
