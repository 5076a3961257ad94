//! How strict the JSON Schema of each tool's arguments is.
//!
//! `facts.schemas` is a list with one entry per tool that has a schema file: `name` and `at` of the tool, `path`,
//! the description `of` a server when it stands in one, `exists`, `problems` (each a phrase, in the order of the file) and `required`, the arguments that a call must have.
//! Must not judge: a schema without a problem is strict, and whether that is needed is a check's to say.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jsonschema::Validator;
use serde_json::{Map, Value, json};

use super::{Claims, Shelf, document};
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
pub(super) fn facts(shelf: &Shelf<'_>, claims: &Claims<'_>) -> Vec<Value> {
    let mut read: BTreeMap<&str, Option<Sheet>> = BTreeMap::new();
    claims
        .tools
        .iter()
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

/// Deepest part of a schema that is looked at: it may refer to itself.
const DEEPEST: usize = 16;

/// What keeps a schema from being strict.
fn looseness(schema: &Value) -> Vec<String> {
    let Some(map) = schema.as_object() else { return vec!["is no JSON Schema of an object".to_owned()] };
    let mut found = Vec::new();
    if map.get("type").and_then(Value::as_str) != Some("object") {
        found.push("does not say `type: object`".to_owned());
    }
    let mut look = Look { root: schema, looked: BTreeSet::new(), found };
    look.object(map, "", true);
    look.parts(map, "", DEEPEST);
    found = look.found;
    let properties = map.get("properties").and_then(Value::as_object);
    if properties.is_some_and(|properties| !properties.is_empty()) && !map.contains_key("required") {
        found.push("does not say which arguments are required".to_owned());
    }
    found
}

/// Objects that take any property, and values without a type, at any depth.
struct Look<'a> {
    root: &'a Value,
    /// Parts that were referred to, so that none is told twice.
    looked: BTreeSet<&'a str>,
    found: Vec<String>,
}

impl<'a> Look<'a> {
    /// One schema at a place; what has no type is told.
    fn at(&mut self, schema: &'a Value, place: &str, deep: usize) {
        let Some(deep) = deep.checked_sub(1).filter(|_| self.found.len() < MOST_PROBLEMS) else { return };
        match schema {
            Value::Bool(false) => {}
            Value::Object(map) if is_typed(map) => {
                if says_type(map, "object") || map.contains_key("properties") {
                    self.object(map, place, false);
                }
                if says_type(map, "array") && !map.contains_key("items") && !map.contains_key("prefixItems") {
                    self.found.push(format!("says nothing of what `{place}` lists"));
                }
                self.parts(map, place, deep);
            }
            _ => self.found.push(format!("gives `{place}` no type")),
        }
    }

    fn object(&mut self, map: &Map<String, Value>, place: &str, outermost: bool) {
        let is_shut = ["additionalProperties", "unevaluatedProperties"]
            .iter()
            .any(|key| map.get(*key) == Some(&Value::Bool(false)));
        let patterns = map.get("patternProperties").and_then(Value::as_object).into_iter().flat_map(Map::keys);
        let takes_all =
            patterns.into_iter().any(|pattern| ["", ".", ".*", "^.*$", "^.+$", "^", ".+"].contains(&pattern.as_str()));
        if !is_shut || takes_all {
            let what = if outermost { "accepts".to_owned() } else { format!("accepts in `{place}`") };
            self.found.push(format!("{what} any property"));
        }
    }

    /// The properties, items and alternatives of a schema, and what it refers to.
    fn parts(&mut self, map: &'a Map<String, Value>, place: &str, deep: usize) {
        for key in ["properties", "patternProperties"] {
            for (name, property) in map.get(key).and_then(Value::as_object).into_iter().flatten() {
                let inner = if place.is_empty() { name.clone() } else { format!("{place}/{name}") };
                self.at(property, &inner, deep);
            }
        }
        if let Some(items) = map.get("items").filter(|items| items.is_object() || items.is_boolean()) {
            self.at(items, &format!("{place}/-"), deep);
        }
        let lists = ["prefixItems", "items"].iter().filter_map(|key| map.get(*key)?.as_array());
        for item in lists.flatten() {
            self.at(item, &format!("{place}/-"), deep);
        }
        // Beside a type of its own, an alternative may narrow without saying the type again.
        let is_plain = !map.contains_key("type") && !map.contains_key("properties") && !place.is_empty();
        for key in ["anyOf", "oneOf", "allOf"] {
            let parts: Vec<&Value> = map.get(key).and_then(Value::as_array).into_iter().flatten().collect();
            let is_any = key != "allOf" || !parts.iter().any(|part| part.as_object().is_some_and(is_typed));
            for part in parts.into_iter().filter(|part| is_plain && (is_any || part.as_object().is_some_and(is_typed)))
            {
                self.at(part, place, deep);
            }
        }
        let target = map.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix('#'));
        if let Some((target, part)) = target.and_then(|target| Some((target, self.root.pointer(target)?)))
            && self.looked.insert(target)
        {
            self.at(part, place, deep);
        }
    }
}

fn says_type(map: &Map<String, Value>, wanted: &str) -> bool {
    match map.get("type") {
        Some(Value::String(one)) => one == wanted,
        Some(Value::Array(types)) => types.iter().any(|one| one == wanted),
        _ => false,
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
        let with = |property: serde_json::Value| {
            json!({"type": "object", "additionalProperties": false, "required": [], "properties": {"x": property},
                "$defs": {"any": {}, "shut": {"type": "object", "additionalProperties": false},
                    "tree": {"type": "object", "additionalProperties": false, "properties": {"of": {"$ref": "#/$defs/tree"}}}}})
        };
        for (property, part) in [
            (json!({"type": "array", "items": {"type": "object"}}), "in `x/-` any"),
            (json!({"type": "array"}), "nothing of what `x` lists"),
            (json!({"anyOf": [{}]}), "`x` no type"),
            (json!({"type": ["object", "null"]}), "in `x` any"),
            (json!({"$ref": "#/$defs/any"}), "`x` no type"),
            (json!({"allOf": [{"type": "object"}]}), "in `x` any"),
            (
                json!({"type": "object", "additionalProperties": false, "patternProperties": {"": {"type": "string"}}}),
                "in `x` any",
            ),
            (json!({"type": "array", "prefixItems": [true]}), "`x/-` no type"),
            (json!({"type": "array", "items": {"$ref": "#/$defs/tree"}}), ""),
            (json!({"oneOf": [{"$ref": "#/$defs/shut"}, {"type": "null"}]}), ""),
            (json!({"type": "string", "anyOf": [{"minLength": 1}]}), ""),
            (json!({"allOf": [{"type": "string"}, {"maxLength": 3}]}), ""),
        ] {
            let said = told(with(property.clone()), None);
            assert!(if part.is_empty() { said.is_empty() } else { said.contains(part) }, "{property}: {said}");
        }
        assert!(told(strict, Some(&json!({"id": 4}))).contains("refuses the example"));
    }
}
