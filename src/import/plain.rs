//! Plain tables and lines: one prompt a row.

use super::{
    Format, Haul, Input,
    case::{Case, Prompt, Shelf, contains, said},
    row::{Row, escaped},
    table,
};

pub(super) const CSV: Format = Format {
    name: "csv",
    about: "any table with a column `prompt` (or --column): text-only prompts; with a column `expected` golden scenarios",
    licence: None,
    read,
};

pub(super) const JSONL: Format = Format {
    name: "jsonl",
    about: "JSON lines or a JSON array with a key `prompt` (or --column), read as `csv` is",
    licence: None,
    read,
};

/// Column of the prompt when the user names none.
const PROMPT: &str = "prompt";

fn read(input: &Input<'_>, haul: &mut Haul) {
    let column = input.options.column.as_deref().unwrap_or(PROMPT);
    let at = format!("/{}", escaped(column));
    let wanted = table::Wanted { columns: &[column], below: None };
    table::each(input.file, wanted, haul, |row, haul| one(row, &at, haul));
}

/// A row that says what the answer must hold is lawful work.
fn one(row: &mut Row, at: &str, haul: &mut Haul) {
    let (prompt, expected, excludes) = (row.text(at), row.maybe("/expected"), row.maybe("/excludes"));
    let (id, title, source) = (row.maybe("/id"), row.maybe("/title"), row.maybe("/source"));
    let (goal, technique) = (row.maybe("/category"), row.maybe("/technique"));
    let Some(prompt) = prompt else { return };
    haul.cases.push(if let Some(expected) = expected {
        let mut entry = said(vec![prompt]);
        (entry.title, entry.source) = (title, source);
        entry.expect.push(contains(vec![expected]));
        Case { shelf: Shelf::Golden, row: row.name.clone(), id, entry }
    } else {
        let excludes = excludes.into_iter().collect();
        Prompt { id, title, source, goal, technique, turns: vec![prompt], excludes }.text_only(&row.name)
    });
}
