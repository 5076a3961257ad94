//! How strict the JSON Schema of each tool's arguments is.
//!
//! `facts.schemas` is a list with one entry per tool that has a schema file: `name` and `at` of the tool, `path`,
//! `exists`, `problems` (each a phrase, in the order of the file) and `required`, the arguments that a call must have.
//! Must not judge: a schema without a problem is strict, and whether that is needed is a check's to say.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Shelf, document, tools};

/// Most problems that are told of one schema.
const MOST_PROBLEMS: usize = 5;

/// Facts of the argument schemas.
pub(super) fn facts(shelf: &Shelf<'_>, evidence: &Value) -> Vec<Value> {
    let mut read: BTreeMap<&str, Option<Value>> = BTreeMap::new();
    tools(evidence)
        .filter_map(|tool| {
            let path = tool.get("input_schema")?.as_str()?;
            let schema = read.entry(path).or_insert_with(|| document::value(shelf, path));
            let problems = schema.as_ref().map_or_else(Vec::new, |schema| problems(schema, tool.get("example")));
            let required = schema.as_ref().and_then(|schema| schema.get("required")).cloned().unwrap_or(json!([]));
            Some(json!({
                "name": tool.get("name"),
                "at": tool.get("at"),
                "allow": tool.get("allow"),
                "path": path,
                "exists": schema.is_some(),
                "problems": problems,
                "required": required,
            }))
        })
        .collect()
}

/// What keeps a schema from being strict.
fn problems(schema: &Value, example: Option<&Value>) -> Vec<String> {
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
    match (jsonschema::meta::validate(schema), example) {
        (Err(error), _) => {
            found.push(format!("is no valid JSON Schema: {}", crate::text::shortened(&error.to_string(), 120)));
        }
        (Ok(()), Some(example)) => found.extend(refused(schema, example)),
        (Ok(()), None) => {}
    }
    found.truncate(MOST_PROBLEMS);
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

/// What the schema says against the manifest's own example.
fn refused(schema: &Value, example: &Value) -> Option<String> {
    let validator = jsonschema::validator_for(schema).ok()?;
    let error = validator.iter_errors(example).next()?;
    Some(format!("refuses the example of the manifest: {}", crate::text::shortened(&error.to_string(), 120)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::problems;

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
