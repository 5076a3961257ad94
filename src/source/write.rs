//! Plain values as YAML that people can read and go on with, and that reads again as exactly the same value.
//!
//! A text stands plain only where nothing could take it for something else. Otherwise it stands in double quotes with
//! every character escaped that can't be seen, so that nothing hides in a file under review.

use serde_json::{Map, Value};

use crate::text;

/// Longest line of a map or list that is written in one.
const ONE_LINE: usize = 110;
/// What YAML, or an older reader of it, takes for something else than a text.
const TAKEN: &[&str] = &["true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf"];

/// Writes a value as a YAML document.
pub fn yaml(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(entries) if !entries.is_empty() => map(&mut out, entries, 0),
        Value::Array(items) if !items.is_empty() => list(&mut out, items, 0),
        other => {
            out.push_str(&one_line(other));
            out.push('\n');
        }
    }
    out
}

fn map(out: &mut String, entries: &Map<String, Value>, depth: usize) {
    for (index, (key, value)) in entries.iter().enumerate() {
        if index > 0 {
            indent(out, depth);
        }
        out.push_str(&scalar(key));
        out.push(':');
        below(out, value, depth);
    }
}

fn list(out: &mut String, items: &[Value], depth: usize) {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            indent(out, depth);
        }
        out.push('-');
        match short(item, depth) {
            Some(line) => finish(out, &line),
            None => match item {
                Value::Object(entries) => {
                    out.push(' ');
                    map(out, entries, depth + 1);
                }
                Value::Array(items) => {
                    out.push(' ');
                    list(out, items, depth + 1);
                }
                scalar => finish(out, &one_line(scalar)),
            },
        }
    }
}

/// The value of a key: on its line where it is short, else on the lines below. Only what holds no maps is short, so
/// that scenarios stay apart.
fn below(out: &mut String, value: &Value, depth: usize) {
    if let Some(line) = short(value, depth) {
        finish(out, &line);
        return;
    }
    match value {
        Value::Object(entries) => {
            out.push('\n');
            indent(out, depth + 1);
            map(out, entries, depth + 1);
        }
        Value::Array(items) => {
            out.push('\n');
            indent(out, depth + 1);
            list(out, items, depth + 1);
        }
        scalar => finish(out, &one_line(scalar)),
    }
}

fn finish(out: &mut String, line: &str) {
    out.push(' ');
    out.push_str(line);
    out.push('\n');
}

fn indent(out: &mut String, depth: usize) {
    out.extend(std::iter::repeat_n("  ", depth));
}

fn short(value: &Value, depth: usize) -> Option<String> {
    let fits = |line: &String| 2 * depth + line.chars().count() <= ONE_LINE;
    match value {
        Value::Array(items) if items.is_empty() => Some("[]".to_owned()),
        Value::Object(entries) if entries.is_empty() => Some("{}".to_owned()),
        Value::Array(items) => items.iter().all(is_leaf).then(|| one_line(value)).filter(fits),
        Value::Object(entries) => entries.values().all(is_flat).then(|| one_line(value)).filter(fits),
        scalar => Some(one_line(scalar)),
    }
}

fn is_leaf(value: &Value) -> bool {
    !value.is_object() && !value.is_array()
}

/// A scalar, a list of scalars, or a map of both.
fn is_flat(value: &Value) -> bool {
    let holds_leaves =
        |value: &Value| is_leaf(value) || value.as_array().is_some_and(|items| items.iter().all(is_leaf));
    holds_leaves(value) || value.as_object().is_some_and(|entries| entries.values().all(holds_leaves))
}

fn one_line(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        Value::Array(items) => format!("[{}]", items.iter().map(one_line).collect::<Vec<_>>().join(", ")),
        Value::Object(entries) => {
            let entries: Vec<String> =
                entries.iter().map(|(key, value)| format!("{}: {}", scalar(key), one_line(value))).collect();
            format!("{{{}}}", entries.join(", "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

fn scalar(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { quoted(text) }
}

/// Words of letters, digits and a few harmless marks, the first of them a letter.
fn is_plain(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_-./ ".contains(c);
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(fits)
        && !text.ends_with(' ')
        && !TAKEN.contains(&text.to_ascii_lowercase().as_str())
}

fn quoted(content: &str) -> String {
    let mut out = String::with_capacity(content.len() + 2);
    out.push('"');
    for c in content.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if text::is_harmless(c) => out.push(c),
            c => out.push_str(&escape(u32::from(c))),
        }
    }
    out.push('"');
    out
}

fn escape(code: u32) -> String {
    match code {
        0..=0xff => format!("\\x{code:02X}"),
        0x100..=0xffff => format!("\\u{code:04X}"),
        _ => format!("\\U{code:08X}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::yaml;
    use crate::source::{SourceFile, load_text};

    fn read(text: &str) -> Value {
        load_text::<Value>(SourceFile::new("a.yaml", text)).unwrap_or_else(|error| panic!("{error}: {text}")).value
    }

    #[test]
    fn people_can_read_it() {
        let value = json!({
            "suite": "golden",
            "tags": ["a", "no"],
            "scenarios": {
                "refund-1": {
                    "say": "Pay: {{ env.HOME }} # now",
                    "given": {"/orders/A-1": {"note": "on\u{202e}e\u{1b}[0m"}},
                    "expect": [
                        {"call": "issue_refund", "with": {"amount": 20.5, "to": null}, "times": 1},
                        {"never": ["delete_*"], "where": "x".repeat(120)},
                    ],
                },
                "empty": {},
            },
        });
        insta::assert_snapshot!(yaml(&value));
        assert_eq!(read(&yaml(&value)), value);
    }

    #[test]
    fn no_text_is_taken_for_something_else() {
        for text in [
            "",
            " ",
            "a ",
            " a",
            "yes",
            "No",
            "~",
            "null",
            "NULL",
            "1",
            "1e3",
            "0x1f",
            "-",
            "- a",
            "? a",
            "a: b",
            "a #b",
            "#a",
            "&a",
            "*a",
            "!a",
            "|",
            ">",
            "%a",
            "@a",
            "`a`",
            "'a'",
            "\"a\"",
            "{a}",
            "[a]",
            "a,b",
            "<<",
            "=",
            "...",
            "---",
            "{{ 7*7 }}",
            "{% raw %}",
            "${HOME}",
            "\\x41",
            "a\\",
            "2026-01-01",
            "12:30:45",
            ".5",
            "+1",
            "\u{feff}a",
            "\0",
            "a\r\nb",
            "\n",
            "\u{85}",
            "\u{2028}",
            "\u{e0041}",
            "\u{1f600}",
            "\u{fffe}",
            "inf",
            ".inf",
            "nan",
            "e1",
            "é",
        ] {
            for value in [json!(text), json!({text: text}), json!([text]), json!({"a": [{text: [text]}]})] {
                assert_eq!(read(&yaml(&value)), value, "{text:?}");
            }
        }
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "[ -~]{0,12}".prop_map(Value::from),
            "[-?:,{}&*#|>'\"%@` \n\t]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..5)
                    .prop_map(|entries| Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_value_reads_again_as_it_was(value in any_value()) {
            let text = yaml(&value);
            prop_assert_eq!(read(&text), value, "{}", text);
        }
    }
}
