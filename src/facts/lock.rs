//! `agentready.lock`: what the tested build is made of. TOML (or JSON):
//!
//! ```toml
//! version = 1
//! [entries]
//! "model:decide" = "anthropic/claude-sonnet-4-20250514"
//! "prompts/decide.md" = "sha256:…"
//! ```
//! A model's entry is its id (or the digest of its id); every other entry is a path relative to the manifest with
//! the digest of the file.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Shelf;
use crate::source::{Diagnostics, Files, SourceFile, load_text};

/// The lock as its file states it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LockFile {
    /// Version of the format.
    pub version: u32,
    /// `model:<name>` to id, path to digest.
    #[serde(default)]
    pub entries: BTreeMap<String, String>,
}

/// Why a lock could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// The text is no lock.
    #[error("{0}")]
    Form(#[from] Diagnostics),
    /// The lock is of a version that this program does not know.
    #[error("the lock has version {0}, this program knows version 1")]
    Version(u32),
}

impl LockFile {
    /// Reads a lock; JSON when it begins with a brace, TOML otherwise.
    pub fn parse(text: &str) -> Result<Self, LockError> {
        let name = if text.trim_start().starts_with('{') { "agentready.lock.json" } else { "agentready.lock.toml" };
        let lock = load_text::<Self>(SourceFile::new(name, text))?.value;
        if lock.version == 1 { Ok(lock) } else { Err(LockError::Version(lock.version)) }
    }
}

static SNAPSHOT: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"(?x)
        (^|[^0-9]) 20[0-9]{2} [-_.]? (0[1-9]|1[0-2]) [-_.]? (0[1-9]|[12][0-9]|3[01]) ([^0-9]|$)
        | -(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])$
        | -00[0-9]$
        | sha256: | @[0-9a-f]{12,}$ | [0-9a-f]{40}";
    Regex::new(pattern).expect("the pattern is valid")
});

/// Whether a model id names a snapshot: a date, a digest, or a numbered stable version in it.
pub fn is_snapshot(id: &str) -> bool {
    SNAPSHOT.is_match(id)
}

/// Parts of the build that are locked as files, with the manifest's patterns for them.
fn locked_files(shelf: &Shelf<'_>, manifest: &Value) -> Vec<(&'static str, String)> {
    let texts = |place: &str| {
        let list = manifest.pointer(place).and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
    };
    let prompts = match texts("/prompts") {
        patterns if patterns.is_empty() => vec!["prompts/**".to_owned()],
        patterns => patterns,
    };
    let tools = manifest.get("tools").and_then(Value::as_object).into_iter().flat_map(Map::values);
    let schemas: BTreeSet<&str> = tools.filter_map(|tool| tool.get("input_schema")?.as_str()).collect();
    let expand = |patterns: Vec<String>| patterns.into_iter().flat_map(|pattern| shelf.matching(&pattern));
    let mut files: Vec<(&str, String)> = expand(prompts).map(|path| ("prompts", path)).collect();
    files.extend(schemas.into_iter().map(|path| ("tool-schemas", path.to_owned())));
    files.extend(expand(texts("/policy/rules")).map(|path| ("policies", path)));
    files
}

/// Every value that the lock holds, and the digest of the lock itself.
pub(super) fn digests(shelf: &Shelf<'_>, manifest: &Value, facts: &Value) -> BTreeSet<String> {
    let path = manifest.pointer("/change/lock").and_then(Value::as_str).unwrap_or("agentready.lock");
    let entries = facts.get("entries").and_then(Value::as_object).into_iter().flat_map(Map::values);
    let own = shelf.text(path).map(|file| Files::digest(file.text()));
    entries.filter_map(Value::as_str).map(str::to_owned).chain(own).collect()
}

/// Facts of the lock: entries, and for every model and file behind it whether the lock agrees.
pub(super) fn facts(shelf: &Shelf<'_>, manifest: &Value) -> Value {
    let path = manifest.pointer("/change/lock").and_then(Value::as_str).unwrap_or("agentready.lock");
    let (exists, lock, error) = match shelf.text(path).map(|file| LockFile::parse(file.text())) {
        None => (false, LockFile::default(), None),
        Some(Ok(lock)) => (true, lock, None),
        Some(Err(error)) => (true, LockFile::default(), Some(error.to_string())),
    };
    let files: Vec<Value> = locked_files(shelf, manifest)
        .into_iter()
        .map(|(part, path)| {
            let digest = shelf.text(&path).map(|file| Files::digest(file.text()));
            let locked = digest.is_some() && lock.entries.get(&path) == digest.as_ref();
            json!({"part": part, "path": path, "digest": digest, "locked": locked})
        })
        .collect();
    let models = manifest.get("models").and_then(Value::as_object).into_iter().flatten();
    let models: Map<String, Value> = models
        .map(|(name, model)| {
            let id = model.get("id").or(Some(model)).and_then(Value::as_str).unwrap_or_default();
            let entry = lock.entries.get(&format!("model:{name}"));
            let locked = entry.is_some_and(|entry| entry == id || *entry == Files::digest(id));
            (name.clone(), json!({"id": id, "snapshot": is_snapshot(id), "locked": locked}))
        })
        .collect();
    json!({"exists": exists, "path": path, "error": error, "entries": lock.entries, "files": files, "models": models})
}
