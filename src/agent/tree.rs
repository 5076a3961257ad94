//! The template tree of a request: parsed once, filled in for each turn.
//!
//! Only what the manifest declares is a template; what is filled in (prompts, captured values) is data and
//! is never parsed.

use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::AdapterError;
use crate::{
    expr::{Expr, ExprError, Scope, Template, TemplateError},
    source::Route,
};

/// The functions that expressions may call; each tree adds its values to a copy.
static SCOPE: LazyLock<Scope<'static>> = LazyLock::new(Scope::new);

/// Why a tree could not be filled in.
#[derive(Debug, thiserror::Error)]
pub(super) enum FillError {
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error(transparent)]
    Expr(#[from] ExprError),
}

/// A JSON value whose text leaves may be templates.
#[derive(Clone, Debug)]
pub(super) enum Tree {
    /// Nothing to fill in.
    Fixed(Value),
    /// A leaf that is exactly one name keeps the type of the value behind it.
    Name { pointer: String, template: Template },
    /// Text with places to fill in.
    Text(Template),
    /// `{$cel: …}`: what an expression gives.
    Made(Expr),
    /// A list.
    List(Vec<Self>),
    /// An object, in the order it was written.
    Map(Vec<(String, Self)>),
}

impl Tree {
    /// Parses every leaf; the route of the first bad one is in the error.
    pub(super) fn compile(value: &Value, route: &Route) -> Result<Self, AdapterError> {
        match value {
            Value::String(text) => Self::leaf(text, route),
            Value::Array(items) => items
                .iter()
                .enumerate()
                .map(|(index, item)| Self::compile(item, &route.join(index)))
                .collect::<Result<_, _>>()
                .map(Self::List),
            Value::Object(entries) if let Some(source) = made(entries) => {
                Expr::parse(source).map(Self::Made).map_err(|error| AdapterError::at(route, error.to_string()))
            }
            Value::Object(entries) => entries
                .iter()
                .map(|(key, item)| Ok((key.clone(), Self::compile(item, &route.join(key))?)))
                .collect::<Result<_, _>>()
                .map(Self::Map),
            Value::Null | Value::Bool(_) | Value::Number(_) => Ok(Self::Fixed(value.clone())),
        }
    }

    /// Parses one text.
    pub(super) fn leaf(text: &str, route: &Route) -> Result<Self, AdapterError> {
        if !text.contains("{{") && !text.contains("{%") {
            return Ok(Self::Fixed(Value::String(text.to_owned())));
        }
        let template = Template::parse(text).map_err(|error| AdapterError::at(route, error.to_string()))?;
        Ok(match sole_name(text) {
            Some(pointer) => Self::Name { pointer, template },
            None => Self::Text(template),
        })
    }

    /// The tree with every place filled in.
    pub(super) fn fill(&self, values: &Value) -> Result<Value, FillError> {
        match self {
            Self::Fixed(value) => Ok(value.clone()),
            Self::Name { pointer, template } => match values.pointer(pointer) {
                Some(value) => Ok(value.clone()),
                None => Ok(Value::String(template.render(values)?)),
            },
            Self::Text(template) => Ok(Value::String(template.render(values)?)),
            Self::Made(expr) => Ok(expr.eval(&scope_of(values))?),
            Self::List(items) => items.iter().map(|item| item.fill(values)).collect(),
            Self::Map(entries) => entries
                .iter()
                .map(|(key, item)| Ok((key.clone(), item.fill(values)?)))
                .collect::<Result<Map<_, _>, FillError>>()
                .map(Value::Object),
        }
    }

    /// What [`Tree::fill`] gives, as text.
    pub(super) fn fill_text(&self, values: &Value) -> Result<String, FillError> {
        Ok(match self.fill(values)? {
            Value::String(text) => text,
            other => other.to_string(),
        })
    }

    /// Whether a template of the tree has the name in it.
    pub(super) fn mentions(&self, name: &str) -> bool {
        match self {
            Self::Fixed(_) => false,
            Self::Name { template, .. } | Self::Text(template) => template.source().contains(name),
            Self::Made(expr) => expr.source().contains(name),
            Self::List(items) => items.iter().any(|item| item.mentions(name)),
            Self::Map(entries) => entries.iter().any(|(_, item)| item.mentions(name)),
        }
    }

    /// Fills in sample values, so that a name that nobody provides is found before the first trial. Leaves over
    /// captured values are left out: their shape is known only at run time.
    pub(super) fn rehearse(&self, sample: &Value, route: &Route) -> Result<(), AdapterError> {
        match self {
            Self::Fixed(_) => Ok(()),
            Self::Name { .. } | Self::Text(_) | Self::Made(_) => {
                if self.mentions("session.") || self.mentions("submitted") {
                    return Ok(());
                }
                self.fill(sample).map(drop).map_err(|error| AdapterError::at(route, error.to_string()))
            }
            Self::List(items) => {
                items.iter().enumerate().try_for_each(|(index, item)| item.rehearse(sample, &route.join(index)))
            }
            Self::Map(entries) => entries.iter().try_for_each(|(key, item)| item.rehearse(sample, &route.join(key))),
        }
    }
}

/// The expression of `{$cel: …}`.
fn made(entries: &Map<String, Value>) -> Option<&str> {
    entries.get("$cel").filter(|_| entries.len() == 1)?.as_str()
}

fn scope_of(values: &Value) -> Scope<'static> {
    let mut scope = SCOPE.inner();
    for (name, value) in values.as_object().into_iter().flatten() {
        scope.set(name, value);
    }
    scope
}

/// `{{ a.b }}` as the pointer `/a/b`.
fn sole_name(text: &str) -> Option<String> {
    let inner = text.trim().strip_prefix("{{")?.strip_suffix("}}")?.trim();
    let plain = inner.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '.');
    (plain && !inner.is_empty()).then(|| format!("/{}", inner.replace('.', "/")))
}
