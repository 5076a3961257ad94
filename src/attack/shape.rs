//! JSON with templates for texts, parsed once and filled in for each aim.

use serde_json::Value;

use crate::expr::{Names, Template, TemplateError};

/// A value in which texts may be templates.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    Plain(Value),
    Text(Template),
    /// A text that is one place with `tojson`: it becomes the value itself.
    Json(Template),
    List(Vec<Shape>),
    Map(Vec<(String, Shape)>),
}

impl Shape {
    pub(super) fn parse(value: &Value) -> Result<Self, TemplateError> {
        Ok(match value {
            Value::String(text) if is_one_value(text) => Self::Json(Template::parse(text)?),
            Value::String(text) if text.contains("{{") || text.contains("{%") => Self::Text(Template::parse(text)?),
            Value::Array(items) => Self::List(items.iter().map(Self::parse).collect::<Result<_, _>>()?),
            Value::Object(entries) => {
                let parsed = entries.iter().map(|(key, value)| Ok((key.clone(), Self::parse(value)?)));
                Self::Map(parsed.collect::<Result<_, TemplateError>>()?)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Self::Plain(value.clone()),
        })
    }

    /// Fills in the texts from `it`, and from `names` what it leaves open.
    pub(super) fn fill(&self, it: &Names, names: &Names) -> Result<Value, TemplateError> {
        Ok(match self {
            Self::Plain(value) => value.clone(),
            Self::Text(template) => Value::String(template.render_over(it, names)?),
            Self::Json(template) => serde_json::from_str(&template.render_over(it, names)?).unwrap_or_default(),
            Self::List(items) => Value::Array(items.iter().map(|item| item.fill(it, names)).collect::<Result<_, _>>()?),
            Self::Map(entries) => {
                let filled = entries.iter().map(|(key, shape)| Ok((key.clone(), shape.fill(it, names)?)));
                Value::Object(filled.collect::<Result<_, TemplateError>>()?)
            }
        })
    }
}

fn is_one_value(text: &str) -> bool {
    text.starts_with("{{") && text.ends_with("| tojson }}") && text.matches("{{").count() == 1
}
