//! The models behind the agent.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One model; a bare id is short for `{id: …}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "ModelForm")]
#[schemars(with = "ModelForm")]
pub struct Model {
    /// `provider/model-snapshot`.
    pub id: String,
    /// What it is used for.
    #[serde(rename = "for")]
    pub uses: Vec<String>,
    /// Sampling temperature, where it differs from the provider's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Nucleus sampling, where it differs from the provider's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// Sampling seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
}

/// How a model is written.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum ModelForm {
    /// `provider/model-snapshot`.
    Id(String),
    /// The id with what it is for.
    Described(ModelEntry),
}

/// A model with what it is for.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ModelEntry {
    /// `provider/model-snapshot`.
    id: String,
    /// What it is used for.
    #[serde(default, rename = "for")]
    uses: Vec<String>,
    /// Sampling temperature, where it differs from the provider's default.
    temperature: Option<f64>,
    /// Nucleus sampling, where it differs from the provider's default.
    top_p: Option<f64>,
    /// Sampling seed.
    seed: Option<i64>,
}

impl From<ModelForm> for Model {
    fn from(form: ModelForm) -> Self {
        match form {
            ModelForm::Id(id) => Self { id, uses: Vec::new(), temperature: None, top_p: None, seed: None },
            ModelForm::Described(ModelEntry { id, uses, temperature, top_p, seed }) => {
                Self { id, uses, temperature, top_p, seed }
            }
        }
    }
}
