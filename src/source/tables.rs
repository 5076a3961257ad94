//! Plain values as lines of TOML, for a manifest that is written in it. Texts are basic strings, whose escapes TOML shares
//! with JSON. Must not decide where the lines belong.

use serde_json::{Map, Value};

/// The entries of a map, one a line, each on its own: what stands below the header of their table.
pub fn toml_entries(entries: &Map<String, Value>) -> String {
    let lines = entries.iter().filter(|(_, value)| !value.is_null());
    lines.map(|(name, value)| format!("{} = {}\n", key(name), inline(value))).collect::<Vec<_>>().concat()
}

/// A map as a part of a document from its top: entries first, then a table for each map in it.
pub fn toml(top: &Map<String, Value>) -> String {
    let mut entries = Map::new();
    let mut tables = Vec::new();
    for (name, value) in top {
        match value {
            Value::Object(table) => tables.push(format!("{}\n{}", toml_header(&[name]), toml_entries(table))),
            other => {
                entries.insert(name.clone(), other.clone());
            }
        }
    }
    let entries = (!entries.is_empty()).then(|| toml_entries(&entries));
    entries.into_iter().chain(tables).collect::<Vec<_>>().join("\n")
}

/// The header of a table by its keys.
pub fn toml_header<K: AsRef<str>>(keys: &[K]) -> String {
    let keys: Vec<String> = keys.iter().map(|name| key(name.as_ref())).collect();
    format!("[{}]", keys.join("."))
}

fn key(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.is_empty() && name.chars().all(is_bare) { name.to_owned() } else { text(name) }
}

fn text(text: &str) -> String {
    // The one control character that JSON leaves as it is and TOML does not.
    Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

fn inline(value: &Value) -> String {
    match value {
        Value::String(one) => text(one),
        Value::Array(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::Object(entries) => {
            let entries = entries.iter().filter(|(_, value)| !value.is_null());
            let entries = entries.map(|(name, value)| format!("{} = {}", key(name), inline(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};
    use serde_json::{Map, Value, json};

    use super::{toml, toml_entries, toml_header};

    fn read(text: &str) -> Value {
        json!(text.parse::<::toml::Table>().unwrap_or_else(|error| panic!("{error}\n{text}")))
    }

    #[test]
    fn a_value_stands_in_tables_and_reads_again_as_it_was() {
        let value = json!({"prompts": ["a/**"], "data": {"redaction": "c.yaml", "classes": {"pii": {"model": "never", "tools": []}}}, "a b": {"x": 1.5}});
        let text = toml(value.as_object().expect("a map"));
        assert!(text.starts_with("prompts = [\"a/**\"]\n\n"), "{text}");
        assert!(text.contains("[data]\n") && text.contains("[\"a b\"]\n"), "{text}");
        assert_eq!(read(&text), value);
        assert_eq!(toml_header(&["tools", "a.b"]), "[tools.\"a.b\"]");
    }

    proptest! {
        #[test]
        fn every_text_reads_again_as_it_was(name in any::<String>(), one in any::<String>(), whole in any::<i64>()) {
            let entries: Map<String, Value> = [(name, json!({"text": one, "list": [whole, 1]}))].into_iter().collect();
            prop_assert_eq!(read(&toml_entries(&entries)), json!(entries));
        }
    }
}
