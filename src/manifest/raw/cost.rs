//! What a run costs and what it may cost.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Prices, thresholds and what keeps cost down.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Cost {
    /// File with dollars per million tokens and per call; a dated table of known models when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prices: Option<String>,
    /// An hour of the person who reviews.
    #[schemars(range(min = 0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reviewer_usd_per_hour: Option<f64>,
    /// What one success may cost.
    #[schemars(range(min = 0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_usd_per_success: Option<f64>,
    /// File that says which model does what.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub routing: Option<String>,
    /// Why one model does everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub single_model: Option<String>,
    /// What is cached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<Cache>,
    /// Names of alert rules.
    pub alerts: CostAlerts,
    /// URL where admins see spend and usage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<String>,
    /// Secret of an admin with which the gate asks for it, `env:NAME`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage_token: Option<String>,
}

/// What is cached; or `none` with the reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Cache {
    /// Its configuration file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    /// What makes two requests the same.
    pub key: Vec<String>,
    /// Whether entries are redacted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redacted: Option<bool>,
    /// Why there is no cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub none: Option<String>,
}

/// Names of alert rules in `observability.alerts`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CostAlerts {
    /// Cost per task against a week ago.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub week_over_week: Option<String>,
    /// Unusual spend or usage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anomaly: Option<String>,
}
