//! What can be seen of the agent while it works.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Traces, dashboards, alerts and metrics.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Observability {
    /// How traces leave the agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traces: Option<Traces>,
    /// The names that spans and attributes follow.
    pub semconv: Semconv,
    /// Dashboard files or URLs.
    pub dashboards: Vec<String>,
    /// Files with alert rules.
    pub alerts: Vec<String>,
    /// URL of the metrics backend, or a file with an export of its series.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<String>,
    /// Sample of what the agent exports: OTLP as JSON or JSON lines, of at least one whole run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample: Option<String>,
    /// File to which the build under test appends its spans while it runs, one OTLP request as JSON a line, as a collector's
    /// file exporter writes it: for agents that can't be pointed to the gate's own receiver.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub export: Option<String>,
    /// File with a query per KPI.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queries: Option<String>,
}

impl Default for Observability {
    fn default() -> Self {
        Self {
            traces: None,
            semconv: Semconv::GenAi,
            dashboards: Vec::new(),
            alerts: Vec::new(),
            metrics: None,
            sample: None,
            export: None,
            queries: None,
        }
    }
}

words! {
    /// How traces leave the agent.
    pub enum Traces {
        /// `OpenTelemetry` protocol.
        Otlp = "otlp",
    }
}

words! {
    /// The names that spans and attributes follow.
    pub enum Semconv {
        /// `OpenTelemetry` conventions for generative AI.
        GenAi = "gen_ai",
        /// `OpenInference`.
        Openinference = "openinference",
    }
}
