//! CEL that tells a call by its arguments, for scenarios that programs write.

use serde_json::Value;

/// The condition under which a call has these arguments; none when there are none.
pub(crate) fn arguments_are<'a>(args: impl IntoIterator<Item = (&'a str, &'a Value)>) -> Option<String> {
    let parts: Vec<String> = args
        .into_iter()
        .map(|(name, value)| {
            let value = literal(value);
            if is_identifier(name) {
                format!("has(args.{name}) && args.{name} == {value}")
            } else {
                let key = literal(&Value::from(name));
                format!("{key} in args && args[{key}] == {value}")
            }
        })
        .collect();
    (!parts.is_empty()).then(|| parts.join(" && "))
}

/// JSON is CEL; single quotes read better inside YAML.
fn literal(value: &Value) -> String {
    match value {
        Value::String(text) if !text.contains(['\'', '"', '\\']) && !text.contains(char::is_control) => {
            format!("'{text}'")
        }
        other => other.to_string(),
    }
}

fn is_identifier(name: &str) -> bool {
    /// Words that CEL keeps for itself.
    const RESERVED: &[&str] = &[
        "as",
        "break",
        "const",
        "continue",
        "else",
        "false",
        "for",
        "function",
        "if",
        "import",
        "in",
        "let",
        "loop",
        "namespace",
        "null",
        "package",
        "return",
        "true",
        "var",
        "void",
        "while",
    ];
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !RESERVED.contains(&name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::arguments_are;
    use crate::expr::{Expr, Scope};

    fn holds(args: &Map<String, Value>, of: &Value) -> bool {
        let condition = arguments_are(args.iter().map(|(name, value)| (name.as_str(), value)));
        let Some(condition) = condition else { return true };
        let expr = Expr::parse(&condition).unwrap_or_else(|error| panic!("{condition}: {error}"));
        expr.test(&Scope::new().with("args", of)).unwrap_or_else(|error| panic!("{condition}: {error}"))
    }

    #[test]
    fn only_a_call_with_these_arguments_is_meant() {
        let args = json!({"to": "it's", "n": 2, "sum": 0.5, "in": true, "a b": "c"});
        let map = args.as_object().expect("a map").clone();
        assert!(holds(&map, &args));
        for (name, other) in
            [("to", json!("its")), ("n", json!(3)), ("sum", json!(0.4)), ("in", json!(false)), ("a b", json!(null))]
        {
            let mut changed = map.clone();
            changed.insert(name.to_owned(), other);
            assert!(!holds(&map, &Value::Object(changed.clone())), "{name}");
            changed.shift_remove(name);
            assert!(!holds(&map, &Value::Object(changed)), "{name} is missing");
        }
        assert_eq!(arguments_are([("id", &json!("A-1"))]).as_deref(), Some("has(args.id) && args.id == 'A-1'"));
        assert_eq!(arguments_are([]), None);
    }

    proptest! {
        #[test]
        fn every_text_is_found_again(name in any::<String>(), text in any::<String>(), other in any::<String>()) {
            let map = Map::from_iter([(name.clone(), Value::from(text.clone()))]);
            prop_assert!(holds(&map, &Value::Object(map.clone())));
            let changed = Map::from_iter([(name, Value::from(other.clone()))]);
            prop_assert_eq!(holds(&map, &Value::Object(changed)), text == other);
        }
    }
}
