//! One file that the manifest names: whether it is there, and what it says in a form that checks can ask.
//!
//! | key | of | holds |
//! |---|---|---|
//! | `exists` | all | whether it is there (a folder is not); with `#anchor`, whether the section is there too |
//! | `error` | all | why it could not be read: not text, too large, not the JSON, YAML, TOML or JSONL that its name says |
//! | `text_words` | all | words |
//! | `dates` | all | the days it states (`2026-10-20`), sorted, each once; `age(facts.files[path].dates)` is the newest one's age |
//! | `secrets` | all | what looks like a secret, where there is any: `line`, `kind`, `shown` |
//! | `text` | prose, code | its first 64 KiB in lower case |
//! | `headings`, `sections` | Markdown | anchors in their order by name; anchor to the words below it |
//! | `links`, `broken` | Markdown | targets of links; those that are files beside it and are not there |
//! | `code` | Markdown | fenced blocks: `lang`, `text` |
//! | `json` | JSON, YAML, TOML | what it says |
//! | `properties` | JSON Schema | names of the top properties |
//! | `rows`, `columns` | CSV, TSV, JSONL, tables of Markdown | a map per row, by column in lower case with `_` for spaces |
//!
//! Must not judge, and must not know what the file is for.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError},
};

use jsonschema::Validator;
use regex::Regex;
use serde_json::{Map, Value, json};

use super::{Shelf, prose, secrets, table};
use crate::source::{FilesError, SourceFile, load_text};

/// Most bytes of a text that checks may search in.
const SEARCHED_BYTES: usize = 64 * 1024;

/// Most bytes of a file that becomes a value checks can walk through.
const WALKED_BYTES: usize = 1024 * 1024;

/// Most days that are kept of one file.
const MOST_DATES: usize = 1000;

/// Facts of one path.
pub(super) fn facts(shelf: &Shelf<'_>, path: &str) -> Value {
    let (name, anchor) = path.split_once('#').map_or((path, None), |(name, anchor)| (name, Some(anchor)));
    let file = match shelf.open(name) {
        Ok(file) => file,
        Err(error) => return unread(&error),
    };
    let mut entry = json!({
        "exists": true,
        "text_words": file.text().split_whitespace().count(),
        "headings": [],
        "dates": dates(file.text()),
    });
    let secrets = secrets::found(file.text());
    if let (Value::Object(entry), false) = (&mut entry, secrets.is_empty()) {
        entry.insert("secrets".to_owned(), secrets.into());
    }
    let more = match kind(name) {
        Kind::Data => structured(file),
        Kind::Table | Kind::Lines if file.text().len() > WALKED_BYTES => too_large(),
        Kind::Table => table::separated(file.text(), if ending(name) == "tsv" { '\t' } else { ',' }),
        Kind::Lines => table::lines(file.text()),
        Kind::Prose => prose::facts(shelf, name, file.text(), anchor),
        Kind::Other => json!({ "text": searched(file.text()) }),
    };
    if let (Value::Object(entry), Value::Object(more)) = (&mut entry, more) {
        entry.extend(more);
    }
    entry
}

/// Documents and schemas by path, each looked for, read and compiled once however many claims name it.
#[derive(Default)]
pub(super) struct Opened {
    documents: Mutex<BTreeMap<String, Option<Arc<Value>>>>,
    schemas: Mutex<BTreeMap<String, Option<Schema>>>,
    exists: Mutex<BTreeMap<String, bool>>,
    names: OnceLock<Vec<String>>,
}

/// A compiled JSON Schema, or why it is none.
pub(super) type Schema = Arc<Result<Validator, String>>;

/// What a path leads to, found out once.
fn once<T: Clone>(known: &Mutex<BTreeMap<String, T>>, path: &str, find: impl FnOnce() -> T) -> T {
    let known = || known.lock().unwrap_or_else(PoisonError::into_inner);
    let found = known().get(path).cloned();
    found.unwrap_or_else(|| {
        let found = find();
        known().insert(path.to_owned(), found.clone());
        found
    })
}

/// Whether there is such a file.
pub(super) fn exists(shelf: &Shelf<'_>, path: &str) -> bool {
    once(&shelf.opened.exists, path, || shelf.files.exists(&shelf.name(path)))
}

/// The files that match a pattern, sorted.
pub(super) fn matching(shelf: &Shelf<'_>, pattern: &str) -> Vec<String> {
    shelf.files.glob_among(shelf.opened.names.get_or_init(|| shelf.files.names()), pattern)
}

/// What a JSON, YAML or TOML file says; nothing when it is not there or says nothing readable.
pub(super) fn value(shelf: &Shelf<'_>, path: &str) -> Option<Value> {
    shared(shelf, path).map(Arc::unwrap_or_clone)
}

/// The same for what many claims name.
pub(super) fn shared(shelf: &Shelf<'_>, path: &str) -> Option<Arc<Value>> {
    shelf.asked.note(shelf.topic, &shelf.name(path));
    once(&shelf.opened.documents, path, || parsed(shelf.text(path)?).ok().map(Arc::new))
}

/// The JSON Schema in a file, compiled, or why it is none; nothing when there is no such file.
pub(super) fn validator(shelf: &Shelf<'_>, path: &str) -> Option<Schema> {
    shelf.asked.note(shelf.topic, &shelf.name(path));
    once(&shelf.opened.schemas, path, || {
        let schema = shared(shelf, path)?;
        Some(Arc::new(jsonschema::validator_for(&schema).map_err(|error| error.to_string())))
    })
}

/// A text as checks search it: cut, in lower case.
pub(super) fn searched(text: &str) -> String {
    let cut = text.char_indices().map(|(at, _)| at).find(|at| *at >= SEARCHED_BYTES).unwrap_or(text.len());
    text.get(..cut).unwrap_or(text).to_lowercase()
}

/// The texts at a field of the manifest such as `tools.*.input_schema`, lists item by item; `*` stands for every key of
/// a map or item of a list.
pub(super) fn each_text<'a>(manifest: &'a Value, field: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    gather(manifest, &field.split('.').collect::<Vec<_>>(), &mut found);
    found
}

fn gather<'a>(value: &'a Value, keys: &[&str], found: &mut Vec<&'a str>) {
    match (keys.split_first(), value) {
        (None, Value::String(text)) => found.push(text),
        (None, Value::Array(items)) => found.extend(items.iter().filter_map(Value::as_str)),
        (Some((&"*", rest)), Value::Array(items)) => items.iter().for_each(|item| gather(item, rest, found)),
        (Some((&"*", rest)), Value::Object(map)) => map.values().for_each(|item| gather(item, rest, found)),
        (Some((key, rest)), Value::Object(map)) => {
            if let Some(inner) = map.get(*key) {
                gather(inner, rest, found);
            }
        }
        _ => {}
    }
}

enum Kind {
    Data,
    Table,
    Lines,
    Prose,
    Other,
}

fn kind(name: &str) -> Kind {
    match ending(name).as_str() {
        "json" | "yaml" | "yml" | "toml" => Kind::Data,
        "csv" | "tsv" => Kind::Table,
        "jsonl" | "ndjson" => Kind::Lines,
        "md" | "markdown" | "txt" | "" => Kind::Prose,
        _ => Kind::Other,
    }
}

fn ending(name: &str) -> String {
    name.rsplit_once('.').map_or("", |(_, end)| end).to_lowercase()
}

fn unread(error: &FilesError) -> Value {
    let exists = matches!(error, FilesError::NotText(_) | FilesError::TooLarge(_));
    let nothing = json!({"exists": exists, "text_words": 0, "headings": [], "text": "", "dates": []});
    match (nothing, error) {
        (nothing, FilesError::Missing(_)) => nothing,
        (Value::Object(mut entry), error) => {
            entry.insert("error".to_owned(), error.to_string().into());
            Value::Object(entry)
        }
        (nothing, _) => nothing,
    }
}

fn too_large() -> Value {
    json!({"error": "it is larger than 1 MiB, so what it says was not looked at"})
}

fn structured(file: SourceFile) -> Value {
    if file.text().len() > WALKED_BYTES {
        return too_large();
    }
    match parsed(file) {
        Ok(said) => {
            let properties = said.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::keys);
            let properties: Vec<&String> = properties.collect();
            json!({"properties": properties, "json": said})
        }
        Err(error) => json!({ "error": error }),
    }
}

fn parsed(file: SourceFile) -> Result<Value, String> {
    if ending(file.name()) == "json"
        && let Ok(said) = serde_json::from_str(file.text())
    {
        return Ok(said);
    }
    match load_text::<Value>(file) {
        Ok(loaded) => Ok(loaded.value),
        Err(problems) => Err(problems.to_string()),
    }
}

static DAY: LazyLock<Regex> = LazyLock::new(|| Regex::new("[0-9]{4}-[0-9]{2}-[0-9]{2}").expect("the pattern is valid"));

/// The days of the calendar that a text states, sorted, each once.
pub(super) fn dates(text: &str) -> Vec<String> {
    let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    let alone = |at: &regex::Match<'_>| {
        let before = text.get(..at.start()).and_then(|before| before.chars().next_back());
        let after = text.get(at.end()..).and_then(|after| after.chars().next());
        !digit(before) && !digit(after)
    };
    let days: BTreeSet<&str> = DAY
        .find_iter(text)
        .filter(alone)
        .map(|found| found.as_str())
        .filter(|day| day.parse::<jiff::civil::Date>().is_ok())
        .collect();
    let skipped = days.len().saturating_sub(MOST_DATES);
    days.into_iter().skip(skipped).map(str::to_owned).collect()
}
