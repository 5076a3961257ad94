//! A file as rows: CSV, a JSON array, JSON lines, or a list in a JSON document; told apart by how the text begins.

use std::collections::BTreeMap;

use serde_json::{Map, Value, value::RawValue};

use super::{
    Haul,
    csv::{Broken, Records},
    row::{Row, Shape},
};
use crate::{
    source::{Diagnostic, SourceFile},
    text::closest,
};

/// What a format asks of its rows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wanted<'a> {
    /// Columns that a table must have.
    pub(super) columns: &'a [&'a str],
    /// Key of the list in a JSON document.
    pub(super) below: Option<&'a str>,
}

/// Gives each row to `take`; mistakes go to the haul.
pub(super) fn each(file: &SourceFile, wanted: Wanted<'_>, haul: &mut Haul, mut take: impl FnMut(&mut Row, &mut Haul)) {
    let mut give = |mut row: Row, haul: &mut Haul| {
        take(&mut row, haul);
        haul.mistakes.append(&mut row.mistakes);
    };
    let text = file.text();
    let start = text.len() - text.trim_start_matches('\u{feff}').trim_start().len();
    match text.get(start..).and_then(|rest| rest.chars().next()) {
        None => haul.wrong(format!("`{}` is empty", file.name()), "name a file with data"),
        Some('[') => array(file, (text.get(start..).unwrap_or_default(), ""), haul, &mut give),
        Some('{') if is_one_document(text) => document(file, wanted, haul, &mut give),
        Some('{') => lines(file, haul, &mut give),
        Some(_) => columns(file, wanted, haul, &mut give),
    }
}

type Give<'a> = dyn FnMut(Row, &mut Haul) + 'a;

fn wrong(file: &SourceFile, byte: usize, message: impl std::fmt::Display) -> Diagnostic {
    Diagnostic::error(format!("{}: {message}", file.location(byte)))
}

/// A first line that is no value of its own belongs to one large document.
fn is_one_document(text: &str) -> bool {
    let first = text.trim_start_matches('\u{feff}').trim_start().lines().next().unwrap_or_default();
    let is_value = serde_json::from_str::<serde::de::IgnoredAny>(first).is_ok();
    !is_value || text.trim_end().lines().filter(|line| !line.trim().is_empty()).count() == 1
}

/// The byte where a part of the text begins.
fn offset(file: &SourceFile, part: &str) -> usize {
    (part.as_ptr() as usize).saturating_sub(file.text().as_ptr() as usize)
}

fn array(file: &SourceFile, (part, base): (&str, &str), haul: &mut Haul, give: &mut Give<'_>) {
    let items: Vec<&RawValue> = match serde_json::from_str(part) {
        Ok(items) => items,
        Err(error) => return haul.mistakes.push(not_json(file, part, &error)),
    };
    for (index, raw) in items.into_iter().enumerate() {
        let byte = offset(file, raw.get());
        let name = format!("{base}/{index}");
        match serde_json::from_str::<Value>(raw.get()) {
            Ok(value) if value.is_object() => {
                let at = file.location(byte);
                give(Row { base: name.clone(), name, shape: Shape::Paths, at, value, mistakes: Vec::new() }, haul);
            }
            Ok(_) => haul.mistakes.push(wrong(file, byte, format!("`{name}` must be a map"))),
            Err(error) => haul.mistakes.push(not_json(file, raw.get(), &error)),
        }
    }
}

fn not_json(file: &SourceFile, part: &str, error: &serde_json::Error) -> Diagnostic {
    let before: usize = part.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let mut byte = offset(file, part) + before + error.column().saturating_sub(1);
    while !file.text().is_char_boundary(byte) {
        byte -= 1;
    }
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or(&message);
    wrong(file, byte.min(file.text().len()), format!("not JSON: {message}"))
}

fn document(file: &SourceFile, wanted: Wanted<'_>, haul: &mut Haul, give: &mut Give<'_>) {
    let text = file.text().trim_start_matches('\u{feff}');
    let entries: BTreeMap<String, &RawValue> = match serde_json::from_str(text) {
        Ok(entries) => entries,
        Err(error) => return haul.mistakes.push(not_json(file, text, &error)),
    };
    match wanted.below.and_then(|key| Some((key, entries.get(key)?))) {
        Some((key, list)) => array(file, (list.get(), &format!("/{key}")), haul, give),
        // A file of lines may have one line only.
        None => lines(file, haul, give),
    }
}

fn lines(file: &SourceFile, haul: &mut Haul, give: &mut Give<'_>) {
    let text = file.text().trim_start_matches('\u{feff}');
    for (number, line) in (1_usize..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        match serde_json::from_str::<Value>(line) {
            Ok(value) if value.is_object() => {
                let at = file.location(offset(file, line));
                let name = format!("line {number}");
                give(Row { name, base: String::new(), shape: Shape::Paths, at, value, mistakes: Vec::new() }, haul);
            }
            Ok(_) => haul.mistakes.push(wrong(file, offset(file, line), "a line must be a map")),
            Err(error) => haul.mistakes.push(not_json(file, line, &error)),
        }
    }
}

fn columns(file: &SourceFile, wanted: Wanted<'_>, haul: &mut Haul, give: &mut Give<'_>) {
    let mut text = file.text().trim_start_matches('\u{feff}');
    while text.starts_with('#') {
        text = text.split_once('\n').map_or("", |(_, rest)| rest);
    }
    let base = offset(file, text);
    let mut records = Records::new(text);
    let broken = |Broken { byte, message }: Broken| wrong(file, base + byte, message);
    let header = match records.next() {
        Some(Ok(header)) => header,
        Some(Err(problem)) => return haul.mistakes.push(broken(problem)),
        None => return haul.wrong(format!("`{}` is empty", file.name()), "name a file with data"),
    };
    let names: Vec<String> = header.cells.iter().map(|cell| cell.trim().to_owned()).collect();
    for column in wanted.columns.iter().filter(|column| !names.iter().any(|name| name == **column)) {
        let problem = wrong(file, base + header.byte, format!("the header has no column `{column}`"));
        haul.mistakes.push(match closest(column, names.iter().map(String::as_str)) {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None => problem.hint(format!("it has: {}", crate::text::shortened(&names.join(", "), 200))),
        });
    }
    if !haul.mistakes.is_empty() {
        return;
    }
    for (number, record) in (1_usize..).zip(records) {
        let record = match record {
            Ok(record) => record,
            Err(problem) => return haul.mistakes.push(broken(problem)),
        };
        if record.cells.len() != names.len() {
            let message = format!("row {number} has {} cells, the header {}", record.cells.len(), names.len());
            haul.mistakes.push(wrong(file, base + record.byte, message));
            continue;
        }
        let cells: Map<String, Value> = names.iter().cloned().zip(record.cells.into_iter().map(Value::from)).collect();
        let at = file.location(base + record.byte);
        let (name, value) = (number.to_string(), Value::Object(cells));
        give(Row { name, base: String::new(), shape: Shape::Columns, at, value, mistakes: Vec::new() }, haul);
    }
}
