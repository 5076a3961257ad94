//! Compares a document with the JSON Schema of its type and words every deviation for people.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use jsonschema::{ValidationError, Validator, error::ValidationErrorKind};
use schemars::JsonSchema;
use serde_json::Value;

use super::{Diagnostic, Document, Route};
use crate::text::closest;

struct Shape {
    schema: Value,
    validator: Validator,
}

/// All deviations of `json` from the schema of `T`.
pub(super) fn check<T: JsonSchema>(document: &Document, json: &Value) -> Vec<Diagnostic> {
    let shape = shape_of::<T>();
    if shape.validator.is_valid(json) {
        return Vec::new();
    }
    shape.validator.iter_errors(json).flat_map(|error| explain(document, &shape.schema, &error)).collect()
}

/// Makes the schema of `T` ready for [`check`].
pub(super) fn prepare<T: JsonSchema>() {
    drop(shape_of::<T>());
}

fn shape_of<T: JsonSchema>() -> Arc<Shape> {
    static SHAPES: Mutex<BTreeMap<String, Arc<Shape>>> = Mutex::new(BTreeMap::new());
    let key = T::schema_id().into_owned();
    let mut shapes = SHAPES.lock().unwrap_or_else(PoisonError::into_inner);
    let shape = shapes.entry(key).or_insert_with(|| {
        let schema = schemars::schema_for!(T).to_value();
        let validator = jsonschema::validator_for(&schema).expect("the schema of our own type is valid");
        Arc::new(Shape { schema, validator })
    });
    Arc::clone(shape)
}

fn explain(document: &Document, schema: &Value, error: &ValidationError<'_>) -> Vec<Diagnostic> {
    let route = Route::pointer(error.instance_path().as_str());
    let here = |message: String| Diagnostic::error(message).at(document.file(), document.span(&route));
    let name = if route.as_str().is_empty() { "the document".to_owned() } else { format!("`{}`", route.dotted()) };
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            unexpected.iter().map(|key| unknown_key(document, schema, error, &route, key)).collect()
        }
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            let best = context
                .iter()
                .filter(|branch| !branch.is_empty())
                .min_by_key(|branch| (branch.iter().any(|e| is_type_error(e, error)), branch.len()));
            match best {
                Some(branch) if !branch.iter().any(|e| is_type_error(e, error)) => {
                    branch.iter().flat_map(|e| explain(document, schema, e)).collect()
                }
                _ => vec![alternatives(here(format!("{name} has the wrong form")), context, error)],
            }
        }
        ValidationErrorKind::Type { .. } => {
            let wanted = expected(schema, error).unwrap_or_else(|| type_names(error));
            vec![here(format!("{name} must be {wanted}, not {}", describe(error.instance())))]
        }
        ValidationErrorKind::Enum { options } => {
            let names: Vec<&str> = options.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let near = error.instance().as_str().and_then(|given| closest(given, names.iter().copied()));
            let diagnostic = here(format!("{name} can't be {}", error.instance()));
            vec![match near {
                Some(near) => diagnostic.hint(format!("did you mean `{near}`? one of: {}", names.join(", "))),
                None => diagnostic.hint(format!("one of: {}", names.join(", "))),
            }]
        }
        ValidationErrorKind::Required { property } => {
            let key = property.as_str().unwrap_or_default();
            let owner = if route.as_str().is_empty() { String::new() } else { format!(" in `{}`", route.dotted()) };
            vec![
                Diagnostic::error(format!("`{key}` is missing{owner}"))
                    .at(document.file(), document.key_span(&route))
                    .hint(format!("add `{key}`")),
            ]
        }
        ValidationErrorKind::Pattern { .. } => {
            let wanted = expected(schema, error).unwrap_or_else(|| "another form".to_owned());
            vec![here(format!("{name} must be {wanted}, not {}", error.instance()))]
        }
        _ => vec![here(format!("{name}: {}", crate::text::shortened(&error.to_string(), 300)))],
    }
}

fn unknown_key(
    document: &Document,
    schema: &Value,
    error: &ValidationError<'_>,
    route: &Route,
    key: &str,
) -> Diagnostic {
    let known = known_keys(schema, error);
    let owner = if route.as_str().is_empty() { String::new() } else { format!(" in `{}`", route.dotted()) };
    let diagnostic = Diagnostic::error(format!("unknown key `{key}`{owner}"))
        .at(document.file(), document.key_span(&route.join(key)));
    match closest(key, known.iter().map(String::as_str)) {
        Some(near) => diagnostic.hint(format!("did you mean `{near}`?")),
        None if known.is_empty() => diagnostic,
        None => diagnostic.hint(format!("known keys: {}", known.join(", "))),
    }
}

/// The schema object that holds the failing keyword.
fn owner<'a>(schema: &'a Value, error: &ValidationError<'_>) -> Option<&'a Value> {
    let path = error.schema_path().as_str();
    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    schema.pointer(parent)
}

fn known_keys(schema: &Value, error: &ValidationError<'_>) -> Vec<String> {
    owner(schema, error)
        .and_then(|owner| owner.get("properties"))
        .and_then(Value::as_object)
        .map(|properties| properties.keys().cloned().collect())
        .unwrap_or_default()
}

/// What our own types say of themselves: `x-expected` beside the failing keyword.
fn expected(schema: &Value, error: &ValidationError<'_>) -> Option<String> {
    owner(schema, error)?.get("x-expected")?.as_str().map(str::to_owned)
}

fn is_type_error(inner: &ValidationError<'_>, outer: &ValidationError<'_>) -> bool {
    inner.instance_path().as_str() == outer.instance_path().as_str()
        && matches!(
            inner.kind(),
            ValidationErrorKind::Type { .. }
                | ValidationErrorKind::Constant { .. }
                | ValidationErrorKind::Enum { .. }
                | ValidationErrorKind::Pattern { .. }
        )
}

fn alternatives(
    diagnostic: Diagnostic,
    context: &[Vec<ValidationError<'_>>],
    outer: &ValidationError<'_>,
) -> Diagnostic {
    let mut forms: Vec<String> = Vec::new();
    for error in context.iter().flatten().filter(|e| is_type_error(e, outer)) {
        let form = match error.kind() {
            ValidationErrorKind::Type { .. } => type_names(error),
            ValidationErrorKind::Constant { expected_value } => format!("{expected_value}"),
            ValidationErrorKind::Enum { options } => {
                let names: Vec<&str> = options.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
                if let Some(near) = error.instance().as_str().and_then(|given| closest(given, names.iter().copied())) {
                    return diagnostic.hint(format!("did you mean `{near}`? one of: {}", names.join(", ")));
                }
                format!("one of {}", names.join(", "))
            }
            _ => continue,
        };
        if !forms.contains(&form) && form != "null" {
            forms.push(form);
        }
    }
    if forms.is_empty() { diagnostic } else { diagnostic.hint(format!("give {}", forms.join(" or "))) }
}

fn type_names(error: &ValidationError<'_>) -> String {
    let names = match error.kind() {
        ValidationErrorKind::Type { kind: jsonschema::error::TypeKind::Single(one) } => one.to_string(),
        ValidationErrorKind::Type { kind: jsonschema::error::TypeKind::Multiple(many) } => {
            many.iter().map(|one| one.to_string()).filter(|one| one != "null").collect::<Vec<_>>().join(" or ")
        }
        _ => String::new(),
    };
    names
        .split(" or ")
        .map(|name| match name {
            "object" => "a map",
            "array" => "a list",
            "string" => "text",
            "integer" => "a whole number",
            "number" => "a number",
            "boolean" => "true or false",
            other => other,
        })
        .collect::<Vec<_>>()
        .join(" or ")
}

fn describe(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Object(_) => "a map".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        scalar => crate::text::shortened(&scalar.to_string(), 60),
    }
}
