//! One row of a file of others: what it holds, asked for by place, with every mistake told at its place.

use serde_json::Value;

use crate::source::{Diagnostic, Location};

/// How people find a place in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A table with named columns.
    Columns,
    /// Nested values.
    Paths,
}

/// One row, item or entry.
#[derive(Debug)]
pub(super) struct Row {
    /// Its number in a table or of its line, or its JSON Pointer.
    pub(super) name: String,
    /// The pointer of the row itself, empty where a row is a document of its own.
    pub(super) base: String,
    pub(super) shape: Shape,
    pub(super) at: Location,
    pub(super) value: Value,
    pub(super) mistakes: Vec<Diagnostic>,
}

impl Row {
    /// A text that must be there.
    pub(super) fn text(&mut self, pointer: &str) -> Option<String> {
        match self.value.pointer(pointer) {
            Some(Value::String(text)) if !text.trim().is_empty() => Some(text.clone()),
            Some(Value::String(_)) => {
                self.wrong(pointer, "is empty");
                None
            }
            None | Some(Value::Null) => {
                self.wrong(pointer, "is missing");
                None
            }
            Some(other) => {
                let message = format!("must be text, not {}", kind(other));
                self.wrong(pointer, &message);
                None
            }
        }
    }

    /// A text or number that may be left out.
    pub(super) fn maybe(&mut self, pointer: &str) -> Option<String> {
        match self.value.pointer(pointer)? {
            Value::Null => None,
            Value::String(text) if text.trim().is_empty() => None,
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            other => {
                let message = format!("must be text, not {}", kind(other));
                self.wrong(pointer, &message);
                None
            }
        }
    }

    /// A list of texts that must be there.
    pub(super) fn texts(&mut self, pointer: &str) -> Option<Vec<String>> {
        let Some(items) = self.list(pointer) else {
            if self.value.pointer(pointer).is_none_or(Value::is_null) {
                self.wrong(pointer, "is missing");
            }
            return None;
        };
        let texts: Vec<Option<String>> = (0..items).map(|index| self.text(&format!("{pointer}/{index}"))).collect();
        texts.into_iter().collect()
    }

    /// The length of a list that may be left out.
    pub(super) fn list(&mut self, pointer: &str) -> Option<usize> {
        match self.value.pointer(pointer)? {
            Value::Null => None,
            Value::Array(items) => Some(items.len()),
            other => {
                let message = format!("must be a list, not {}", kind(other));
                self.wrong(pointer, &message);
                None
            }
        }
    }

    /// Whatever stands at a place; null counts as nothing.
    pub(super) fn get(&self, pointer: &str) -> Option<&Value> {
        self.value.pointer(pointer).filter(|value| !value.is_null())
    }

    /// Notes a mistake at a place of the row.
    pub(super) fn wrong(&mut self, pointer: &str, message: &str) {
        let place = match self.shape {
            Shape::Columns => format!("row {}, column `{}`", self.name, unescaped(pointer.trim_start_matches('/'))),
            Shape::Paths => format!("`{}{pointer}`", self.base),
        };
        self.mistakes.push(Diagnostic::error(format!("{}: {place} {message}", self.at)));
    }
}

/// A key as a part of a JSON Pointer.
pub(super) fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn unescaped(key: &str) -> String {
    key.replace("~1", "/").replace("~0", "~")
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}
