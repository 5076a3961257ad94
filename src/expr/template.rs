//! Text with `{{ … }}`, strict about unknown names.

use std::{fmt, sync::Arc};

use minijinja::{Environment, UndefinedBehavior};
use serde_json::Value;

/// Why a template could not be parsed or filled in.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct TemplateError(String);

/// A text with places to fill in, parsed once.
#[derive(Clone)]
pub struct Template {
    source: Arc<str>,
    environment: Arc<Environment<'static>>,
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({})", self.source)
    }
}

impl Template {
    /// Parses a template.
    pub fn parse(source: &str) -> Result<Self, TemplateError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.add_template_owned("t", source.to_owned()).map_err(|error| failed(&error))?;
        Ok(Self { source: source.into(), environment: Arc::new(environment) })
    }

    /// The text it was parsed from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Fills in the places from a map of values.
    pub fn render(&self, values: &Value) -> Result<String, TemplateError> {
        let template = self.environment.get_template("t").map_err(|error| failed(&error))?;
        template.render(minijinja::value::Serde(values)).map_err(|error| failed(&error))
    }
}

/// Fills in every text leaf of a tree; a leaf that is exactly `{{ name }}` keeps the value's own type.
pub fn render_tree(tree: &Value, values: &Value) -> Result<Value, TemplateError> {
    match tree {
        Value::String(text) if !text.contains("{{") && !text.contains("{%") => Ok(tree.clone()),
        Value::String(text) => match whole_name(text).and_then(|name| values.pointer(&name)) {
            Some(value) => Ok(value.clone()),
            None => Template::parse(text)?.render(values).map(Value::String),
        },
        Value::Array(items) => items.iter().map(|item| render_tree(item, values)).collect(),
        Value::Object(entries) => entries
            .iter()
            .map(|(key, value)| Ok((key.clone(), render_tree(value, values)?)))
            .collect::<Result<_, _>>()
            .map(Value::Object),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(tree.clone()),
    }
}

/// `{{ a.b }}` as the pointer `/a/b`.
fn whole_name(text: &str) -> Option<String> {
    let inner = text.trim().strip_prefix("{{")?.strip_suffix("}}")?.trim();
    let plain = inner.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '.');
    (plain && !inner.is_empty()).then(|| format!("/{}", inner.replace('.', "/")))
}

fn failed(error: &minijinja::Error) -> TemplateError {
    let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    TemplateError(detail)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Template, render_tree};

    #[test]
    fn leaves_keep_their_type_and_their_bytes() {
        let tree = json!({"q": "{{ prompt }}", "n": "{{ history }}", "t": "run {{ run.id }}", "k": 1});
        let values = json!({"prompt": "say \"{{ 7*7 }}\"\n", "history": [1, 2], "run": {"id": "r1"}});
        let filled = render_tree(&tree, &values).expect("renders");
        assert_eq!(filled, json!({"q": "say \"{{ 7*7 }}\"\n", "n": [1, 2], "t": "run r1", "k": 1}));
    }

    #[test]
    fn an_unknown_name_is_an_error() {
        assert!(Template::parse("{{ nobody }}").expect("parses").render(&json!({})).is_err());
        assert!(Template::parse("{{ open").is_err());
    }
}
