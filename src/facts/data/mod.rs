//! What stands behind the section `data`: classes and the fields that look like them, redaction, processors, retention,
//! what the prompt reads, frameworks, tenants. Each topic documents its own shape; all lists have `name` and `at`.
//!
//! Reads the claims and the files that were opened for them; must not judge.

mod classes;
mod described;
mod kinds;
mod processors;
mod redaction;
mod retention;
mod reviews;
mod tenancy;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use self::described::Shape;
use super::{Claims, Fetched, Shelf, code::Code, settings};

/// What every topic looks at.
struct Sight<'a> {
    shelf: &'a Shelf<'a>,
    manifest: &'a Value,
    /// The manifest's tools with what the manifest module derives of them.
    tools: &'a [Value],
    /// `facts.files`.
    files: &'a Value,
    /// What each tool takes and returns.
    shapes: BTreeMap<String, Shape>,
}

impl<'a> Sight<'a> {
    fn claim(&self, pointer: &str) -> Option<&'a Value> {
        self.manifest.pointer(pointer)
    }

    fn text(&self, pointer: &str) -> Option<&'a str> {
        self.claim(pointer).and_then(Value::as_str)
    }

    fn map(&self, pointer: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
        self.claim(pointer).and_then(Value::as_object).into_iter().flatten()
    }

    /// What is known of a file that the manifest names.
    fn file(&self, path: &str) -> Option<&'a Value> {
        self.files.get(path).filter(|file| file.get("exists") == Some(&Value::Bool(true)))
    }

    /// What is known of a tool.
    fn shape(&self, tool: &str) -> Option<&Shape> {
        self.shapes.get(tool)
    }

    /// What the JSON, YAML or TOML file at a field says.
    fn said(&self, pointer: &str) -> Option<&'a Value> {
        self.file(self.text(pointer)?)?.get("json")
    }
}

/// `facts.data`.
pub(super) fn facts(shelf: &Shelf<'_>, claims: &Claims<'_>, fetched: &Fetched, files: &Value) -> Value {
    let mut sight = Sight { shelf, manifest: claims.manifest, tools: claims.tools, files, shapes: BTreeMap::new() };
    sight.shapes = described::shapes(&sight, fetched);
    let rules = redaction::Rules::open(&sight);
    let classes = classes::Classes::of(&sight);
    json!({
        "classes": classes.facts(&sight, &rules),
        "uncovered": classes.uncovered(&sight),
        "undescribed": classes::Classes::undescribed(&sight),
        "unneeded": classes.unneeded(&sight),
        "exports": classes.exports(),
        "external": classes.external(&sight),
        "redaction": rules.facts(),
        "rules": rules.item(),
        "processors": processors::facts(&sight),
        "retention": retention::facts(&sight),
        "sources": reviews::sources(&sight),
        "frameworks": reviews::frameworks(&sight, &classes),
        "tenancy": tenancy::facts(&sight),
        "cache": tenancy::cache(&sight),
    })
}

/// A place in the manifest.
fn place(parent: &str, name: &str) -> String {
    crate::source::Route::pointer(parent).join(name).as_str().to_owned()
}

fn string(value: &Value, key: &str) -> Option<String> {
    value.get(key).and_then(Value::as_str).map(str::to_owned)
}

fn strings(value: Option<&Value>) -> Vec<String> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Whether a text holds a word or phrase, not as a part of another word.
fn names(text: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    !word.is_empty()
        && text.match_indices(word).any(|(at, found)| {
            let before = text.get(..at).and_then(|before| before.chars().next_back());
            let after = text.get(at + found.len()..).and_then(|after| after.chars().next());
            !before.is_some_and(is_part) && !after.is_some_and(is_part)
        })
}

/// Where a configuration says that it is used: `used_by: {traces: ops/collector.yaml}`, paths relative to the manifest.
/// Each of these files is opened; `refers` says whether it loads the configuration.
fn used_by(sight: &Sight<'_>, path: &str, said: &Value) -> Map<String, Value> {
    let places = said.get("used_by").and_then(Value::as_object).into_iter().flatten();
    places
        .filter_map(|(place, file)| {
            let file = file.as_str()?;
            let refers = loads(sight, file, path);
            Some((place.clone(), json!({"file": file, "exists": refers.is_some(), "refers": refers == Some(true)})))
        })
        .collect()
}

/// Whether a file names a configuration where it is no comment, and is neither that itself, nor a claim, nor a document;
/// nothing when there is no such file.
fn loads(sight: &Sight<'_>, file: &str, configuration: &str) -> Option<bool> {
    let text = sight.shelf.text(file)?;
    let name = sight.shelf.name(file);
    let is_prose = [".md", ".txt", ".rst", ".adoc"].iter().any(|end| name.ends_with(end));
    let is_claim =
        name == sight.shelf.name(configuration) || name == crate::source::Files::resolve("", sight.shelf.from);
    let own = configuration.rsplit('/').next().unwrap_or(configuration);
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    let says = || Code::read(file, text.text()).text.split(|c| !is_part(c)).any(|word| word == own);
    Some(!is_prose && !is_claim && settings::is_evidence(file.trim_start_matches("../")) && says())
}

#[cfg(test)]
mod tests;
