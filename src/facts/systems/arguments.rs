//! How far the arguments of each tool that does more than read are bounded, and which calls its server says it refuses.
//!
//! `facts.arguments` has an entry per such tool that may be called: `name`, `at`, `system`, `from` (the schema's path, or the
//! server), `opened`, `loose` (arguments without a bound, in words), `wider` (bounds that the server does not share),
//! whether there is an `example` and why the schema refuses it (`refused`), and its `checks`: `name`, whether it goes
//! `beyond` authentication, whether the changed example is still a valid call (`valid`), and `refusals`, the status
//! codes by which the `OpenAPI` operation refuses, where there is one.

use std::sync::Arc;

use jsonschema::Validator;
use serde_json::{Map, Value, json};

use super::{
    effects::by_tool,
    offered::{Offer, Offers},
};
use crate::{
    facts::{Claims, Shelf, document, is_write, may_run, mode},
    text::shortened,
};

/// Deepest nesting of a schema that is looked through.
const DEEPEST: usize = 12;

/// Most remarks on one schema.
const MOST_REMARKS: usize = 8;

/// Formats that bound the text by themselves.
const BOUNDED_FORMATS: [&str; 7] = ["uuid", "date", "date-time", "time", "ipv4", "ipv6", "duration"];

/// Status codes by which a server refuses a call that is well formed.
const REFUSALS: [&str; 4] = ["401", "403", "409", "422"];

/// `facts.arguments`.
pub(super) fn facts(shelf: &Shelf<'_>, claims: &Claims<'_>, offers: &Offers) -> Value {
    let offered = by_tool(offers);
    let entry = |tool: &Value| {
        let text = |key: &str| tool.get(key).and_then(Value::as_str);
        let (name, system) = (text("name")?, text("system")?);
        let offer = offered.get(&(system, name)).copied();
        let theirs = offer.and_then(|offer| offer.schema.clone());
        let (from, schema, validator) = match text("input_schema") {
            Some(path) => (path, document::shared(shelf, path), document::validator(shelf, path)),
            None => ("its server", theirs.clone().map(Arc::new), theirs.as_ref().map(compiled)),
        };
        let validator = validator.as_deref().and_then(|validator| validator.as_ref().ok());
        let mut entry = json!({
            "name": name,
            "at": tool.get("at"),
            "system": system,
            "allow": mode(tool),
            "from": from,
            "opened": schema.is_some(),
            "stated": text("input_schema").is_some() || theirs.is_some(),
            "loose": schema.as_deref().map(loose),
            "wider": schema.as_deref().zip(theirs.as_ref()).map(|(ours, theirs)| wider(ours, theirs)),
            "example": tool.get("example").is_some(),
            "refusals": refusals(offer),
        });
        let map = entry.as_object_mut().expect("made as a map above");
        examples(tool, validator, map);
        Some(entry)
    };
    let tools = claims.tools.iter().filter(|tool| may_run(tool) && is_write(tool));
    tools.filter_map(entry).collect()
}

fn compiled(schema: &Value) -> Arc<Result<Validator, String>> {
    Arc::new(jsonschema::validator_for(schema).map_err(|error| error.to_string()))
}

/// What the schema says of the example, and of the example as each server check changes it.
fn examples(tool: &Value, validator: Option<&Validator>, entry: &mut Map<String, Value>) {
    let example = tool.get("example").and_then(Value::as_object);
    let refused = example.zip(validator).and_then(|(example, validator)| objection(validator, example));
    if let Some(why) = refused {
        entry.insert("refused".to_owned(), why.into());
    }
    let checks = tool.get("server_checks").and_then(Value::as_object).into_iter().flatten();
    let checks = checks.map(|(name, change)| {
        let changed = example.zip(change.as_object()).map(|(example, change)| {
            let mut changed = example.clone();
            changed.extend(change.clone());
            changed
        });
        let objection = changed.as_ref().zip(validator).and_then(|(args, known)| objection(known, args));
        json!({
            "name": name,
            "beyond": !is_authentication(name),
            "changes": changed.as_ref().is_some_and(|changed| Some(changed) != example),
            "valid": changed.is_some() && validator.is_some() && objection.is_none(),
            "why": objection,
        })
    });
    let checks: Vec<Value> = checks.collect();
    entry.insert("checks".to_owned(), checks.into());
}

fn objection(validator: &Validator, arguments: &Map<String, Value>) -> Option<String> {
    let arguments = Value::Object(arguments.clone());
    let error = validator.iter_errors(&arguments).next()?;
    Some(shortened(&error.to_string(), 120))
}

fn is_authentication(name: &str) -> bool {
    let words: Vec<String> = name.to_lowercase().split(|c: char| !c.is_alphanumeric()).map(str::to_owned).collect();
    let known = [
        "auth",
        "authenticated",
        "authentication",
        "unauthenticated",
        "token",
        "login",
        "no",
        "without",
        "valid",
        "needs",
    ];
    words.iter().all(|word| known.contains(&word.as_str()))
}

/// The refusals that the operation states; nothing when there is no operation to look at.
fn refusals(offer: Option<&Offer>) -> Option<Vec<&'static str>> {
    let stated = &offer?.operation.as_ref()?.responses;
    Some(REFUSALS.into_iter().filter(|code| stated.contains(*code) || stated.contains("4XX")).collect())
}

/// Arguments that take more than the workflow can need, in words.
fn loose(schema: &Value) -> Vec<String> {
    let mut found = Vec::new();
    look(&Look { root: schema, place: String::new(), depth: 0 }, schema, &mut found);
    found.truncate(MOST_REMARKS);
    found
}

struct Look<'a> {
    root: &'a Value,
    place: String,
    depth: usize,
}

impl<'a> Look<'a> {
    fn inside(&self, name: &str) -> Self {
        let place = if self.place.is_empty() { name.to_owned() } else { format!("{}.{name}", self.place) };
        Self { root: self.root, place, depth: self.depth + 1 }
    }

    /// The schema itself and all that it must satisfy too: its reference, and the members of `allOf`.
    fn all(&self, schema: &'a Value, found: &mut Vec<&'a Value>) {
        if found.len() > DEEPEST {
            return;
        }
        found.push(schema);
        let target = schema.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix('#'));
        if let Some(next) = target.and_then(|target| self.root.pointer(target)) {
            self.all(next, found);
        }
        for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.all(part, found);
        }
    }
}

fn look(at: &Look<'_>, schema: &Value, found: &mut Vec<String>) {
    if at.depth > DEEPEST {
        return;
    }
    let mut all = Vec::new();
    at.all(schema, &mut all);
    let get = |key: &str| all.iter().find_map(|one| one.get(key));
    let has = |keys: &[&str]| keys.iter().any(|key| get(key).is_some());
    if has(&["enum", "const"]) {
        return;
    }
    for branch in ["anyOf", "oneOf"].iter().filter_map(|key| get(key)?.as_array()).flatten() {
        look(&Look { root: at.root, place: at.place.clone(), depth: at.depth + 1 }, branch, found);
    }
    let kinds: Vec<&str> = match get("type") {
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        Some(kind) => kind.as_str().into_iter().collect(),
        None if has(&["properties"]) => vec!["object"],
        None if has(&["anyOf", "oneOf"]) => Vec::new(),
        None => vec!["unknown"],
    };
    let mut say = |what: &str| found.push(format!("`{}` has no {what}", at.place));
    for kind in kinds {
        match kind {
            "number" | "integer" => {
                if !has(&["minimum", "exclusiveMinimum"]) {
                    say("minimum");
                }
                if !has(&["maximum", "exclusiveMaximum"]) {
                    say("maximum");
                }
            }
            "string" => {
                let bounded = get("format").and_then(Value::as_str).is_some_and(|name| BOUNDED_FORMATS.contains(&name));
                let is_id = at
                    .place
                    .rsplit('.')
                    .next()
                    .is_some_and(|name| name == "id" || name.ends_with("_id") || name.ends_with("Id"));
                if is_id && !has(&["pattern"]) && !bounded {
                    say("pattern and no list of values");
                } else if !is_id && !has(&["maxLength"]) && !bounded && !get("pattern").is_some_and(ends) {
                    say("greatest length");
                }
            }
            "array" if !has(&["maxItems"]) => say("greatest number of items"),
            "object"
                if !at.place.is_empty()
                    && !has(&["properties", "maxProperties"])
                    && get("additionalProperties") != Some(&Value::Bool(false)) =>
            {
                say("bound on what it holds");
            }
            "unknown" if !at.place.is_empty() => say("type"),
            _ => {}
        }
    }
    if let Some(items) = get("items") {
        look(&at.inside("[]"), items, found);
    }
    for properties in all.iter().filter_map(|one| one.get("properties")?.as_object()) {
        for (name, property) in properties {
            look(&at.inside(name), property, found);
        }
    }
}

/// Whether what a pattern matches has an end: nothing in it repeats without one.
fn ends(pattern: &Value) -> bool {
    let Some(pattern) = pattern.as_str().filter(|text| text.ends_with('$') && text.starts_with('^')) else {
        return false;
    };
    let (mut is_escaped, mut is_listed) = (false, false);
    for (at, c) in pattern.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '[' => is_listed = true,
            ']' => is_listed = false,
            _ if is_listed => {}
            '*' | '+' => return false,
            ',' if pattern.get(at + 1..).is_some_and(|rest| rest.starts_with('}')) => return false,
            _ => {}
        }
    }
    true
}

/// The bounds of a property, by their names, each with whether it is an upper one; exclusive ones count as the others do.
fn bounds(property: &Value) -> [(&'static str, bool, Option<f64>); 4] {
    let number = |key: &str| property.get(key).and_then(Value::as_f64);
    let either = |key, other, pick: fn(f64, f64) -> f64| number(key).into_iter().chain(number(other)).reduce(pick);
    [
        ("maximum", true, either("maximum", "exclusiveMaximum", f64::min)),
        ("minimum", false, either("minimum", "exclusiveMinimum", f64::max)),
        ("maxLength", true, number("maxLength")),
        ("maxItems", true, number("maxItems")),
    ]
}

/// Where the manifest's schema takes what the server's does not.
fn wider(ours: &Value, theirs: &Value) -> Vec<String> {
    let properties = |schema: &Value| schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    let (own, known) = (properties(ours), properties(theirs));
    let mut found = Vec::new();
    if known.is_empty() {
        return found;
    }
    for (name, property) in &own {
        let Some(other) = known.get(name) else {
            found.push(format!("the server knows no `{name}`"));
            continue;
        };
        for ((key, up, mine), (_, _, bound)) in bounds(property).into_iter().zip(bounds(other)) {
            if let (Some(mine), Some(bound)) = (mine, bound)
                && (up && mine > bound || !up && mine < bound)
            {
                found.push(format!("{key} of `{name}` is {mine} here and {bound} at the server"));
            }
        }
        let values = |schema: &Value| match schema.get("enum").and_then(Value::as_array) {
            Some(values) => Some(values.clone()),
            None => Some(vec![schema.get("const")?.clone()]),
        };
        let is_known =
            |known: &Vec<Value>| values(property).is_some_and(|mine| mine.iter().all(|one| known.contains(one)));
        if values(other).is_some_and(|known| !is_known(&known)) && property.get("$ref").is_none() {
            found.push(format!("`{name}` is not held to the values that the server knows"));
        }
    }
    let list = |schema: &Value| schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let mine = list(ours);
    let unasked = list(theirs).into_iter().filter(|name| !mine.contains(name));
    found.extend(unasked.filter_map(|name| Some(format!("the server needs `{}`", name.as_str()?))));
    found.truncate(MOST_REMARKS);
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{is_authentication, loose, wider};

    #[test]
    fn arguments_without_a_bound_are_named() {
        for (schema, expected) in [
            (
                json!({"properties": {"amount_usd": {"type": "number"}}}),
                vec!["`amount_usd` has no minimum", "`amount_usd` has no maximum"],
            ),
            (json!({"properties": {"amount_usd": {"type": "number", "exclusiveMinimum": 0, "maximum": 300}}}), vec![]),
            (
                json!({"properties": {"charge_id": {"type": "string", "maxLength": 9}}}),
                vec!["`charge_id` has no pattern and no list of values"],
            ),
            (
                json!({"properties": {"charge_id": {"type": "string", "pattern": "^ch_"}, "at": {"type": "string", "format": "date"}}}),
                vec![],
            ),
            (json!({"properties": {"note": {"type": ["string", "null"]}}}), vec!["`note` has no greatest length"]),
            (
                json!({"properties": {"note": {"type": "string", "pattern": "^.*$"}}}),
                vec!["`note` has no greatest length"],
            ),
            (
                json!({"properties": {"note": {"type": "string", "pattern": "^[a-z]{2,}$"}}}),
                vec!["`note` has no greatest length"],
            ),
            (json!({"properties": {"code": {"type": "string", "pattern": "^[A-Z*+]{2,8}\\+$"}}}), vec![]),
            (json!({"properties": {"why": {"enum": ["a", "b"]}, "sure": {"type": "boolean"}}}), vec![]),
            (
                json!({"properties": {"tags": {"type": "array", "items": {"type": "string"}}}}),
                vec!["`tags` has no greatest number of items", "`tags.[]` has no greatest length"],
            ),
            (
                json!({"properties": {"args": {"type": "object"}, "any": {}}}),
                vec!["`any` has no type", "`args` has no bound on what it holds"],
            ),
            (
                json!({"properties": {"to": {"$ref": "#/$defs/to"}}, "$defs": {"to": {"allOf": [{"type": "string"}, {"maxLength": 80}]}}}),
                vec![],
            ),
            (
                json!({"properties": {"x": {"oneOf": [{"type": "integer", "minimum": 0, "maximum": 1}, {"type": "string"}]}}}),
                vec!["`x` has no greatest length"],
            ),
            (json!({"$ref": "#"}), vec![]),
        ] {
            let mut seen = loose(&schema);
            seen.sort();
            let mut expected = expected;
            expected.sort_unstable();
            assert_eq!(seen, expected, "{schema}");
        }
    }

    #[test]
    fn a_schema_may_be_stricter_than_the_servers_but_not_wider() {
        let theirs = json!({"required": ["id", "key"], "properties": {"id": {"type": "string"}, "amount": {"maximum": 200}, "key": {}}});
        let ours = |maximum| json!({"required": ["id", "key"], "properties": {"id": {}, "amount": {"maximum": maximum}, "key": {}}});
        assert_eq!(wider(&ours(100), &theirs), Vec::<String>::new());
        assert_eq!(wider(&ours(300), &theirs), ["maximum of `amount` is 300 here and 200 at the server"]);
        let strange = json!({"properties": {"id": {}, "colour": {}}});
        assert_eq!(
            wider(&strange, &theirs),
            ["the server knows no `colour`", "the server needs `id`", "the server needs `key`"]
        );
        assert_eq!(wider(&strange, &json!({"type": "object"})), Vec::<String>::new());
        let theirs = json!({"properties": {"x": {"enum": ["a", "b"]}, "n": {"exclusiveMaximum": 5}}});
        for (ours, expected) in [
            (json!({"x": {"enum": ["a"]}, "n": {"maximum": 5}}), vec![]),
            (json!({"x": {"const": "b"}}), vec![]),
            (json!({"x": {"type": "string"}}), vec!["`x` is not held to the values that the server knows"]),
            (json!({"x": {"enum": ["a", "c"]}}), vec!["`x` is not held to the values that the server knows"]),
            (json!({"n": {"maximum": 6}}), vec!["maximum of `n` is 6 here and 5 at the server"]),
        ] {
            assert_eq!(wider(&json!({"properties": ours}), &theirs), expected, "{ours}");
        }
    }

    #[test]
    fn asking_for_a_token_is_no_check_of_its_own() {
        for (name, expected) in [
            ("needs-token", true),
            ("authentication", true),
            ("own-refund-only", false),
            ("amount-within-charge", false),
        ] {
            assert_eq!(is_authentication(name), expected, "{name}");
        }
    }
}
