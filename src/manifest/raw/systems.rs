//! What the agent touches, and how patiently.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Credential, Hook};
use crate::{
    manifest::endpoint::{Auth, Rate},
    units::Span,
};

/// One system behind tools.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct System {
    /// URL of its MCP server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mcp: Option<String>,
    /// URL or path of its `OpenAPI` document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub openapi: Option<String>,
    /// Kind of database, such as `postgres`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// URL, when it is reached in another way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Tools that read use `read`, all others `write`.
    pub credentials: Credentials,
    /// File with the grants of a database role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roles: Option<String>,
    /// The objects in it that the agent may touch.
    pub resources: Vec<String>,
    /// What it returns enters the prompt.
    pub retrieval: bool,
    /// Repository that holds its content, as `host:owner/repo@branch`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// Prints its own audit log of one run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit_log: Option<Hook>,
    /// Cuts the agent off from this system alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disconnect: Option<Hook>,
    /// Time limit of one call; `resilience.timeout` when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// Retries per call; `resilience.retries` when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// Pause between retries; `resilience.backoff` when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Backoff>,
    /// Calls it accepts; `resilience.rate` when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// When calls stop for a while; `resilience.circuit_breaker` when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub circuit_breaker: Option<CircuitBreaker>,
    /// Staging, which answers calls of its tools in place of the world where nothing depends on the world.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward: Option<Forward>,
}

/// Staging behind the tools of a system: an MCP server at a URL or as a command, or an HTTP API.
///
/// Only golden scenarios that have neither `given` nor `faults` and look at no `state` are forwarded. Attacks, incidents and
/// drills are played on the world alone, and so are tools that may never be called and those by which a person approves.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Forward {
    /// URL of an MCP server (streamable HTTP).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mcp: Option<String>,
    /// Command that runs an MCP server over stdio, in the manifest's folder and with the gate's environment. It is started once
    /// for a run, and ended with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Base URL of an HTTP API; each tool is asked as its `endpoint` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<String>,
    /// How the gate authenticates there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// The tools that are forwarded; all of the system when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<String>>,
    /// Tools that change something are forwarded too, so each golden trial changes staging.
    pub writes: bool,
    /// Time limit of one call.
    pub timeout: Span,
}

impl Default for Forward {
    fn default() -> Self {
        let timeout = Span(std::time::Duration::from_secs(30));
        Self { mcp: None, run: None, http: None, auth: None, tools: None, writes: false, timeout }
    }
}

/// The credentials of a system by what they are for.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Credentials {
    /// For tools that read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read: Option<Credential>,
    /// For all other tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write: Option<Credential>,
}

/// How the agent treats slow and failing systems; each system may say otherwise.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Resilience {
    /// Time limit of one call.
    pub timeout: Span,
    /// Retries per call; the model asking again counts too.
    pub retries: u32,
    /// Pause between retries.
    pub backoff: Backoff,
    /// Calls per time over all systems.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// When calls to a failing system stop for a while.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub circuit_breaker: Option<CircuitBreaker>,
}

impl Default for Resilience {
    fn default() -> Self {
        Self {
            timeout: Span(std::time::Duration::from_secs(30)),
            retries: 2,
            backoff: Backoff::ExponentialJitter,
            rate: None,
            circuit_breaker: None,
        }
    }
}

words! {
    /// Pause between retries.
    pub enum Backoff {
        /// Doubles, with a random part.
        ExponentialJitter = "exponential-jitter",
        /// Doubles.
        Exponential = "exponential",
        /// Stays the same.
        Constant = "constant",
        /// No pause.
        None = "none",
    }
}

/// When calls to a failing system stop for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CircuitBreaker {
    /// Failures that open it.
    #[schemars(range(min = 1))]
    pub failures: u32,
    /// The time in which they are counted.
    pub window: Span,
    /// How long it stays open.
    pub open: Span,
}
