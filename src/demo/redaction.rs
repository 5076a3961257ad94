//! The agent's filters: what is taken out of tool results, arguments and answers, by the files that the manifest names.
//! Pure; the same value becomes the same token.

use std::{collections::BTreeMap, sync::LazyLock};

use regex::{Regex, RegexBuilder};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::source::{SourceFile, load_text};

/// The rules of `config/redaction.yaml` and the places of `config/filters.yaml`.
struct Filters {
    rules: Vec<(String, Regex)>,
    places: Places,
}

#[derive(Debug, Deserialize)]
struct Places {
    results: Vec<String>,
    arguments: Vec<String>,
    answers: Vec<String>,
    except: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Deserialize)]
struct Rules {
    rules: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
struct Rule {
    class: String,
    pattern: String,
}

static FILTERS: LazyLock<Filters> = LazyLock::new(|| {
    let value =
        |name: &str, text: &str| load_text::<Value>(SourceFile::new(name, text)).expect("shipped as YAML").value;
    let rules = value("redaction.yaml", include_str!("../../fixtures/demo/config/redaction.yaml"));
    let places = value("filters.yaml", include_str!("../../fixtures/demo/config/filters.yaml"));
    let rules: Rules = serde_json::from_value(rules).expect("shipped in this form");
    let compiled = |rule: Rule| {
        let pattern = RegexBuilder::new(&rule.pattern).case_insensitive(true).build();
        (rule.class, pattern.expect("shipped as a regular expression"))
    };
    Filters {
        rules: rules.rules.into_iter().map(compiled).collect(),
        places: serde_json::from_value(places).expect("shipped in this form"),
    }
});

/// What a tool returned, as the model step may see it.
pub(super) fn result(mut value: Value) -> Value {
    each_text(&mut value, &|text| cleaned(text, &FILTERS.places.results, &[]));
    value
}

/// The arguments of a call, as the tool may see them.
pub(super) fn arguments(tool: &str, mut args: Value) -> Value {
    let except = FILTERS.places.except.get(tool).map(Vec::as_slice).unwrap_or_default();
    each_text(&mut args, &|text| cleaned(text, &FILTERS.places.arguments, except));
    args
}

/// An answer, as anyone may see it.
pub(super) fn answer(text: &str) -> String {
    cleaned(text, &FILTERS.places.answers, &[])
}

fn cleaned(text: &str, classes: &[String], except: &[String]) -> String {
    let rules = FILTERS.rules.iter().filter(|(class, _)| classes.contains(class) && !except.contains(class));
    rules.fold(text.to_owned(), |text, (class, pattern)| {
        pattern.replace_all(&text, |found: &regex::Captures<'_>| token(class, &found[0])).into_owned()
    })
}

/// `<cardholder:1f8a02>`: tells values apart and gives none away.
fn token(class: &str, value: &str) -> String {
    let digest = Sha256::digest(value.to_lowercase().as_bytes());
    let mut digest = digest.iter();
    let mut next = || digest.next().copied().unwrap_or_default();
    format!("<{class}:{:02x}{:02x}{:02x}>", next(), next(), next())
}

fn each_text(value: &mut Value, change: &impl Fn(&str) -> String) {
    match value {
        Value::String(text) => *text = change(text),
        Value::Array(items) => items.iter_mut().for_each(|item| each_text(item, change)),
        Value::Object(map) => map.values_mut().for_each(|item| each_text(item, change)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{answer, arguments, result};

    #[test]
    fn cards_and_keys_go_nowhere_and_addresses_to_the_mail_tool_alone() {
        let seen = result(
            json!({"note": "card 4929 1180 4417 2035, key sk-desk-51f0c7e2b9", "to": "ana@customer.example", "n": 7}),
        );
        assert_eq!(seen["to"], "ana@customer.example");
        assert_eq!(seen["n"], 7);
        assert!(!seen.to_string().contains("4929") && !seen.to_string().contains("sk-desk"), "{seen}");
        let said = json!({"to": "ana@customer.example", "note": "4929118044172035"});
        assert_eq!(arguments("send_decision", said.clone())["to"], "ana@customer.example");
        let kept = arguments("update_ticket", said);
        assert!(!kept.to_string().contains('@') && !kept.to_string().contains("4929"), "{kept}");
        assert_eq!(answer("Refunded 20.00 USD for order A-1001."), "Refunded 20.00 USD for order A-1001.");
        assert_eq!(answer("sk-desk-51f0c7e2b9"), answer("SK-desk-51F0c7e2b9"), "the same value, the same token");
    }
}
