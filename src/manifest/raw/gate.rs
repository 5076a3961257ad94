//! What the gate is asked to decide by.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Day;
use crate::units::{Share, Span};

/// Profiles, thresholds and waivers.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GateRules {
    /// Profiles that must all pass.
    pub profiles: Vec<String>,
    /// Threshold name to value. Tightening is free; a looser rule stays as it is, a looser example is noted.
    pub thresholds: BTreeMap<String, Threshold>,
    /// What is compared with a threshold.
    pub confidence: Confidence,
    /// Check ids that the buyer will not give up; never waivable.
    pub non_negotiables: Vec<String>,
    /// Needs lowered for a time.
    pub waivers: Vec<Waiver>,
}

impl Default for GateRules {
    fn default() -> Self {
        Self {
            profiles: vec!["go-no-go".to_owned()],
            thresholds: BTreeMap::new(),
            confidence: Confidence::Point,
            non_negotiables: Vec::new(),
            waivers: Vec::new(),
        }
    }
}

/// A number, a share such as `97%`, or a length of time such as `7d`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Threshold {
    /// A plain number.
    Number(serde_json::Number),
    /// A share.
    Share(Share),
    /// A length of time.
    Span(Span),
}

impl Threshold {
    /// The number behind it: shares from 0 to 1, lengths of time in seconds.
    pub fn value(&self) -> f64 {
        match self {
            Self::Number(number) => number.as_f64().unwrap_or(f64::NAN),
            Self::Share(share) => share.0,
            Self::Span(span) => span.0.as_secs_f64(),
        }
    }
}

words! {
    /// What is compared with a threshold.
    pub enum Confidence {
        /// The measured value.
        Point = "point",
        /// The one-sided 95 % bound on the careful side.
        Bound95 = "95%",
    }
}

/// Lowers the rung that one check needs, for a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Waiver {
    /// The check's id.
    pub check: String,
    /// Why it is acceptable for now.
    #[schemars(length(min = 1))]
    pub reason: String,
    /// Who accepted it.
    #[schemars(length(min = 1))]
    pub approved_by: String,
    /// The last day it holds.
    pub expires: Day,
}
