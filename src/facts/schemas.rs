//! How strict the JSON Schema of each tool's arguments is.
//!
//! `facts.schemas` is a list with one entry per tool that has a schema file: `name` and `at` of the tool, `path`,
//! the description `of` a server when it stands in one, `exists`, `problems` (each a phrase, in the order of the file) and `required`, the arguments that a call must have.
//! Must not judge: a schema without a problem is strict, and whether that is needed is a check's to say.

use std::{collections::BTreeMap, sync::Arc};

use jsonschema::Validator;
use serde_json::{Map, Value, json};

use super::{Shelf, document, tools};
use crate::text::shortened;

/// Most problems that are told of one schema.
const MOST_PROBLEMS: usize = 5;

/// A schema that was read and compiled once, however many tools use it.
struct Sheet {
    problems: Vec<String>,
    required: Value,
    validator: Arc<Result<Validator, String>>,
}

/// Facts of the argument schemas.
pub(super) fn facts(shelf: &Shelf<'_>, evidence: &Value) -> Vec<Value> {
    let mut read: BTreeMap<&str, Option<Sheet>> = BTreeMap::new();
    tools(evidence)
        .filter_map(|tool| {
            let path = tool.get("input_schema")?.as_str()?;
            let sheet = read.entry(path).or_insert_with(|| {
                let validator = document::validator(shelf, path)?;
                Some(Sheet::of(&*document::shared(shelf, path)?, validator))
            });
            let problems = sheet.as_ref().map_or_else(Vec::new, |sheet| sheet.problems(tool.get("example")));
            Some(json!({
                "name": tool.get("name"),
                "at": tool.get("at"),
                "allow": tool.get("allow"),
                "path": path,
                "of": shelf.files.is_lent(&shelf.name(path)).then(|| path.rsplit_once('/').map_or(path, |(from, _)| from)),
                "exists": sheet.is_some(),
                "problems": problems,
                "required": sheet.as_ref().map_or(&json!([]), |sheet| &sheet.required),
            }))
        })
        .collect()
}

impl Sheet {
    fn of(schema: &Value, validator: Arc<Result<Validator, String>>) -> Self {
        let mut problems = looseness(schema);
        if let Err(error) = validator.as_ref() {
            problems.push(format!("is no valid JSON Schema: {}", shortened(error, 120)));
        }
        Self { problems, required: schema.get("required").cloned().unwrap_or(json!([])), validator }
    }

    /// What keeps the schema from being strict, and what it says against the manifest's own example.
    fn problems(&self, example: Option<&Value>) -> Vec<String> {
        let refused = self.validator.as_ref().as_ref().ok().zip(example).and_then(|(validator, example)| {
            let error = validator.iter_errors(example).next()?;
            Some(format!("refuses the example of the manifest: {}", shortened(&error.to_string(), 120)))
        });
        self.problems.iter().cloned().chain(refused).take(MOST_PROBLEMS).collect()
    }
}

/// What keeps a schema from being strict.
fn looseness(schema: &Value) -> Vec<String> {
    let Some(map) = schema.as_object() else { return vec!["is no JSON Schema of an object".to_owned()] };
    let mut found = Vec::new();
    if map.get("type").and_then(Value::as_str) != Some("object") {
        found.push("does not say `type: object`".to_owned());
    }
    closed(map, "", &mut found);
    let properties = map.get("properties").and_then(Value::as_object);
    if properties.is_some_and(|properties| !properties.is_empty()) && !map.contains_key("required") {
        found.push("does not say which arguments are required".to_owned());
    }
    found
}

/// Objects that take any property, and properties without a type, at any depth.
fn closed(map: &Map<String, Value>, place: &str, found: &mut Vec<String>) {
    let what = if place.is_empty() { "accepts".to_owned() } else { format!("accepts in `{place}`") };
    let is_object = map.contains_key("properties") || map.get("type").and_then(Value::as_str) == Some("object");
    let shut =
        ["additionalProperties", "unevaluatedProperties"].iter().any(|key| map.get(*key) == Some(&Value::Bool(false)));
    if (is_object || place.is_empty()) && !shut {
        found.push(format!("{what} any property"));
    }
    for (name, property) in map.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let inner = if place.is_empty() { name.clone() } else { format!("{place}/{name}") };
        match property.as_object() {
            Some(property) if is_typed(property) => {
                if property.contains_key("properties") || property.get("type").and_then(Value::as_str) == Some("object")
                {
                    closed(property, &inner, found);
                }
            }
            _ => found.push(format!("gives `{inner}` no type")),
        }
    }
}

fn is_typed(property: &Map<String, Value>) -> bool {
    const TYPES: [&str; 7] = ["type", "enum", "const", "$ref", "allOf", "anyOf", "oneOf"];
    TYPES.iter().any(|key| property.contains_key(*key))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Sheet;

    fn problems(schema: &serde_json::Value, example: Option<&serde_json::Value>) -> Vec<String> {
        let validator = jsonschema::validator_for(schema).map_err(|error| error.to_string());
        Sheet::of(schema, validator.into()).problems(example)
    }

    #[test]
    fn loose_schemas_are_told_from_strict_ones() {
        let strict = json!({"type": "object", "additionalProperties": false, "required": ["id"],
            "properties": {"id": {"type": "string"}, "kind": {"enum": ["a"]}}});
        assert_eq!(problems(&strict, Some(&json!({"id": "x"}))), Vec::<String>::new());
        let told = |schema, example: Option<&serde_json::Value>| problems(&schema, example).join("; ");
        for (schema, part) in [
            (json!({"type": "object"}), "accepts any property"),
            (json!({"properties": {"a": {}}, "additionalProperties": false}), "gives `a` no type"),
            (
                json!({"type": "object", "additionalProperties": false, "properties": {"a": {"type": "string"}}}),
                "required",
            ),
            (
                json!({"type": "object", "additionalProperties": false, "required": [], "properties": {"a": {"type": "object"}}}),
                "in `a` any",
            ),
            (json!({"type": "strnig"}), "no valid JSON Schema"),
            (json!(true), "is no JSON Schema of an object"),
        ] {
            let said = told(schema.clone(), None);
            assert!(said.contains(part), "{schema}: {said}");
        }
        assert!(told(strict, Some(&json!({"id": 4}))).contains("refuses the example"));
    }
}
