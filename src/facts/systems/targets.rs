//! The arguments of a tool that say where something goes: by their name, or by the format that their schema states.
//!
//! What is fixed by the schema (`enum`, `const`, a pattern that begins with a host) leads nowhere else and does not count.
//! Must not judge.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Names of arguments that say it.
const NAMES: [&str; 12] = [
    "to",
    "recipient",
    "recipients",
    "cc",
    "bcc",
    "webhook",
    "webhook_url",
    "callback_url",
    "channel",
    "bucket",
    "url",
    "uri",
];

/// Formats that do where a tool reads or sends; what a tool writes may hold an address as any other field.
const FORMATS: [&str; 6] = ["uri", "url", "iri", "uri-reference", "hostname", "idn-hostname"];

/// Formats that do where a tool sends.
const ADDRESSES: [&str; 2] = ["email", "idn-email"];

/// Deepest property that is looked at, and most of them in one schema. What lies beyond may lead anywhere, and counts.
const DEEPEST: usize = 16;
const MOST: usize = 2000;

/// Pointers into the arguments of a tool of such an effect, in their order.
pub(super) fn targets<'a>(schemas: impl Iterator<Item = &'a Value>, effect: &str) -> Vec<String> {
    let mut found = BTreeSet::new();
    for schema in schemas {
        let mut search = Search { root: schema, effect, left: MOST, inside: Vec::new(), found: &mut found };
        search.look(schema, "", DEEPEST);
    }
    found.into_iter().collect()
}

struct Search<'a, 'f> {
    root: &'a Value,
    effect: &'a str,
    left: usize,
    /// References that are being followed: a schema may refer to itself.
    inside: Vec<&'a str>,
    found: &'f mut BTreeSet<String>,
}

impl<'a> Search<'a, '_> {
    fn look(&mut self, schema: &'a Value, place: &str, deep: usize) {
        let Some(map) = schema.as_object() else { return };
        let (Some(deep), Some(left)) = (deep.checked_sub(1), self.left.checked_sub(1)) else {
            self.found.insert("/…".to_owned());
            return;
        };
        self.left = left;
        for (name, property) in map.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let inner = format!("{place}/{}", name.replace('~', "~0").replace('/', "~1"));
            if let Some(property) = property.as_object().filter(|property| self.leads_somewhere(name, property)) {
                if !is_fixed(property) && !property.get("items").and_then(Value::as_object).is_some_and(is_fixed) {
                    self.found.insert(inner);
                }
            } else {
                self.look(property, &inner, deep);
            }
        }
        if let Some(items) = map.get("items") {
            self.look(items, place, deep);
        }
        for part in ["allOf", "anyOf", "oneOf"].iter().filter_map(|key| map.get(*key)?.as_array()).flatten() {
            self.look(part, place, deep);
        }
        let target = map.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix('#'));
        let target = target.filter(|target| !self.inside.contains(target));
        if let Some((target, part)) = target.and_then(|target| Some((target, self.root.pointer(target)?))) {
            self.inside.push(target);
            self.look(part, place, deep);
            self.inside.pop();
        }
    }

    /// Whether a text, or a list of them, says where something goes.
    fn leads_somewhere(&self, name: &str, property: &Map<String, Value>) -> bool {
        let format = |map: &Map<String, Value>| map.get("format").and_then(Value::as_str).map(str::to_owned);
        let items = property.get("items").and_then(Value::as_object);
        let format = format(property).or_else(|| items.and_then(format)).unwrap_or_default();
        let is_format = FORMATS.contains(&format.as_str()) && matches!(self.effect, "read" | "external-send")
            || ADDRESSES.contains(&format.as_str()) && self.effect == "external-send";
        let says_text = |map: &Map<String, Value>| match map.get("type") {
            Some(Value::String(one)) => one == "string",
            Some(Value::Array(types)) => types.iter().any(|one| one == "string"),
            _ => !map.contains_key("properties") && !map.contains_key("$ref"),
        };
        let is_text = says_text(property) || items.is_some_and(says_text);
        // `to` with the format of a day is the end of a span of time.
        let is_named = format.is_empty() || FORMATS.contains(&format.as_str()) || ADDRESSES.contains(&format.as_str());
        is_text && (is_format || is_named && NAMES.contains(&name.to_lowercase().as_str()))
    }
}

fn is_fixed(property: &Map<String, Value>) -> bool {
    // A pattern with alternatives may begin otherwise, too.
    let pattern = property.get("pattern").and_then(Value::as_str).filter(|text| !text.contains('|'));
    let host = pattern.and_then(|text| text.strip_prefix("^https://"));
    let host = host.and_then(|rest| rest.split_once('/')).map(|(host, _)| host.replace("\\.", "."));
    let is_host =
        |host: String| !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || ".-".contains(c));
    property.contains_key("enum") || property.contains_key("const") || host.is_some_and(is_host)
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::targets;

    fn of(properties: &Value, effect: &str) -> Vec<String> {
        let schema = json!({"properties": properties, "$defs": {"mail": {"properties": {"bcc": {"type": "string"}}},
            "loop": {"properties": {"next": {"$ref": "#/$defs/loop"}}}}});
        targets([&schema].into_iter(), effect)
    }

    #[test]
    fn arguments_that_lead_somewhere_are_known_by_name_and_by_format() {
        let text = json!({"type": "string"});
        for (properties, effect, expected) in [
            (json!({"to": text, "cc": {"type": "array", "items": text}}), "external-send", vec!["/cc", "/to"]),
            (json!({"page": {"type": "string", "format": "uri"}}), "read", vec!["/page"]),
            (json!({"homepage": {"type": "string", "format": "uri"}}), "write", vec![]),
            (json!({"email": {"type": "string", "format": "email"}}), "read", vec![]),
            (json!({"email": {"type": "string", "format": "email"}}), "external-send", vec!["/email"]),
            (json!({"channel": {"enum": ["#refunds"]}}), "write", vec![]),
            (json!({"url": {"type": "string", "pattern": "^https://docs\\.acme\\.example/"}}), "read", vec![]),
            (json!({"url": {"type": "string", "pattern": "^https://.*/"}}), "read", vec!["/url"]),
            (
                json!({"url": {"type": "string", "pattern": "^https://docs\\.acme\\.example/|^http"}}),
                "read",
                vec!["/url"],
            ),
            (json!({"mail": {"$ref": "#/$defs/mail"}}), "write", vec!["/mail/bcc"]),
            (json!({"to": {"type": "object", "properties": {"cc": text}}}), "write", vec!["/to/cc"]),
            (json!({"to": {"type": "number"}}), "write", vec![]),
            (json!({"from": text, "to": {"type": "string", "format": "date"}}), "read", vec![]),
            (json!({"x": {"$ref": "#/$defs/loop"}}), "write", vec![]),
        ] {
            assert_eq!(of(&properties, effect), expected, "{properties}");
        }
    }

    #[test]
    fn what_is_too_large_to_be_looked_at_counts() {
        let deep = (0..20).fold(json!({"type": "string"}), |inner, _| json!({"properties": {"a": inner}}));
        assert_eq!(of(&json!({"deep": deep}), "write"), ["/…"]);
        let many = (0..3000).map(|n| (format!("p{n}"), json!({"type": "string"})));
        assert_eq!(of(&many.collect::<Map<_, _>>().into(), "write"), ["/…"]);
    }
}
