//! `agentready.lock`: what the tested build is made of. TOML (or JSON):
//!
//! ```toml
//! version = 1
//! [entries]
//! "model:decide" = "anthropic/claude-sonnet-4-20250514"
//! "prompts/decide.md" = "sha256:…"
//! ```
//! A model's entry is its id (or the digest of its id); what else can be locked stands in [`super::pins`].

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::LazyLock,
};

use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    super::Shelf,
    git::GitSeen,
    pins::{Part, Pin},
};
use crate::source::{Diagnostics, Files, SourceFile, load_text};

/// The lock as its file states it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LockFile {
    /// Version of the format.
    pub version: u32,
    /// `model:<name>` to id, path to digest, and so on.
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

    /// The text of the file, in TOML.
    pub fn to_toml(&self) -> String {
        let mut text = format!(
            "# What the tested build is made of, written by `agentready lock`. Commit it with what it pins.\n\
             version = {}\n\n[entries]\n",
            self.version
        );
        for (name, value) in &self.entries {
            // The escapes of JSON strings are escapes of TOML's basic strings too.
            let _ = writeln!(text, "{} = {}", Value::from(name.as_str()), Value::from(value.as_str()));
        }
        text
    }

    /// What differs in `newer`, in words and in order of the entries.
    pub fn changes(&self, newer: &Self) -> Vec<Change> {
        let mut names: Vec<&String> = self.entries.keys().chain(newer.entries.keys()).collect();
        names.sort();
        names.dedup();
        names
            .into_iter()
            .filter_map(|name| {
                let kind = match (self.entries.get(name), newer.entries.get(name)) {
                    (Some(old), Some(new)) if old == new => return None,
                    (Some(_), Some(_)) => "changed",
                    (None, _) => "new",
                    (_, None) => "gone",
                };
                Some(Change { entry: name.clone(), kind })
            })
            .collect()
    }
}

/// One entry that differs between two locks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Its name.
    pub entry: String,
    /// `changed`, `new` or `gone`.
    pub kind: &'static str,
}

static SNAPSHOT: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"(?x)
        (^|[^0-9]) 20[0-9]{2} [-_.]? (0[1-9]|1[0-2]) [-_.]? (0[1-9]|[12][0-9]|3[01]) ([^0-9]|$)
        | -(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])$
        | -00[0-9]$
        # From 4.6 on, an id of Anthropic without a day is the version itself.
        | claude-[a-z]+-(4-([6-9]|1[0-9]) | [5-9](-[0-9]{1,2})?)(-v[0-9](:[0-9])?)?$
        | sha256: | @[0-9a-f]{12,}$ | [0-9a-f]{40}";
    Regex::new(pattern).expect("the pattern is valid")
});

/// Whether a model id names a snapshot: a date, a digest, or a numbered stable version in it.
pub fn is_snapshot(id: &str) -> bool {
    SNAPSHOT.is_match(id)
}

/// Where the lock lies, relative to the manifest.
pub(super) fn path(manifest: &Value) -> &str {
    manifest.pointer("/change/lock").and_then(Value::as_str).unwrap_or("agentready.lock")
}

/// Every value that the lock holds, and the digest of the lock itself. Of a schema that is locked by its canonical form the
/// digest of the text counts too, since that is what a program without this one can compute.
pub(super) fn held(shelf: &Shelf<'_>, manifest: &Value, pins: &BTreeMap<String, Pin>) -> BTreeSet<String> {
    let Some(file) = shelf.text(path(manifest)) else { return BTreeSet::new() };
    let entries = LockFile::parse(file.text()).map(|lock| lock.entries).unwrap_or_default();
    let also =
        pins.iter().filter(|(name, pin)| pin.is_locked(entries.get(*name))).filter_map(|(_, pin)| pin.also.clone());
    let also: Vec<String> = also.collect();
    entries.into_values().chain(also).chain([Files::digest(file.text())]).collect()
}

/// The lock that the present files ask for.
pub(super) fn present(pins: BTreeMap<String, Pin>) -> LockFile {
    let entries = pins.into_iter().filter_map(|(name, pin)| Some((name, pin.value?)));
    LockFile { version: 1, entries: entries.collect() }
}

/// Facts of the lock: entries, for every model and file behind it whether the lock agrees, and what changed since.
pub(super) fn facts(shelf: &Shelf<'_>, manifest: &Value, pins: &BTreeMap<String, Pin>, git: Option<&GitSeen>) -> Value {
    let path = path(manifest);
    let (exists, lock, error) = match shelf.text(path).map(|file| LockFile::parse(file.text())) {
        None => (false, LockFile::default(), None),
        Some(Ok(lock)) => (true, lock, None),
        Some(Err(error)) => (true, LockFile::default(), Some(error.to_string())),
    };
    json!({
        "exists": exists,
        "path": path,
        "error": error,
        "models": models(manifest, &lock),
        "tools": tools(manifest, pins, &lock),
        "parts": parts(shelf, git, pins, &lock),
        "changed": if exists { changed(pins, &lock) } else { Vec::new() },
    })
}

/// Parts of the build that are files, with their place in the manifest.
const PARTS: [(Part, &str); 5] = [
    (Part::Prompts, "/prompts"),
    (Part::ToolSchemas, "/tools"),
    (Part::Policies, "/policy/rules"),
    (Part::Routing, "/cost/routing"),
    (Part::Scenarios, "/evals"),
];

/// By part: the files that the lock does not hold as they are, and those that git does not know.
fn parts(
    shelf: &Shelf<'_>,
    git: Option<&GitSeen>,
    pins: &BTreeMap<String, Pin>,
    lock: &LockFile,
) -> Map<String, Value> {
    let of = |part: Part, at: &str| {
        let files: Vec<(&String, &Pin)> = pins.iter().filter(|(_, pin)| pin.part == part).collect();
        let stale: Vec<&String> =
            files.iter().filter(|(name, pin)| !pin.is_locked(lock.entries.get(*name))).map(|(name, _)| *name).collect();
        let loose = |name: &str| git.is_some_and(|git| !git.tracked.contains(&shelf.name(name)));
        let untracked: Vec<&String> = files.iter().map(|(name, _)| *name).filter(|name| loose(name)).collect();
        json!({"at": at, "files": files.len(), "stale": stale, "untracked": untracked})
    };
    PARTS.iter().map(|(part, at)| (part.word().to_owned(), of(*part, at))).collect()
}

fn models(manifest: &Value, lock: &LockFile) -> Map<String, Value> {
    let models = manifest.get("models").and_then(Value::as_object).into_iter().flatten();
    models
        .map(|(name, model)| {
            let id = model.get("id").or(Some(model)).and_then(Value::as_str).unwrap_or_default();
            let entry = lock.entries.get(&format!("model:{name}"));
            let locked = entry.is_some_and(|entry| entry == id || *entry == Files::digest(id));
            let sampling = super::pins::sampling(model);
            let kept = lock.entries.get(&format!("sampling:{name}")).map(String::as_str);
            let settled = sampling.as_deref() == kept;
            (name.clone(), json!({"id": id, "snapshot": is_snapshot(id), "locked": locked, "sampling": settled}))
        })
        .collect()
}

/// By tool: whether the lock speaks of its contract (`in_lock`), holds it as it is now (`holds`), and whether the server
/// that states it was left unasked, or lists it no more (`gone`).
fn tools(manifest: &Value, pins: &BTreeMap<String, Pin>, lock: &LockFile) -> Map<String, Value> {
    let tools = manifest.get("tools").and_then(Value::as_object).into_iter().flatten();
    tools
        .map(|(name, tool)| {
            let text = |key: &str| tool.get(key).and_then(Value::as_str).unwrap_or_default();
            let system = manifest.get("systems").and_then(|systems| systems.get(text("system")));
            let is_served = system.is_some_and(|system| system.get("mcp").or(system.get("openapi")).is_some());
            let contract = format!("tool:{}/{name}", text("system"));
            let entries = [text("input_schema"), &contract];
            let known: Vec<(&Pin, Option<&String>)> =
                entries.iter().filter_map(|entry| Some((pins.get(*entry)?, lock.entries.get(*entry)))).collect();
            // A server that lists others was asked; what it does not list any more is gone.
            let of_system = format!("tool:{}/", text("system"));
            let is_missing = is_served && !pins.contains_key(&contract);
            let was_asked =
                pins.range(of_system.clone()..).next().is_some_and(|(name, _)| name.starts_with(&of_system));
            let gone = is_missing && was_asked && lock.entries.contains_key(&contract);
            let fact = json!({
                "in_lock": entries.iter().any(|entry| lock.entries.contains_key(*entry)),
                "holds": !gone && !known.is_empty() && known.iter().all(|(pin, entry)| pin.is_locked(*entry)),
                "unasked": is_missing && !gone,
                "gone": gone,
            });
            (name.clone(), fact)
        })
        .collect()
}

/// What differs from the lock. What it never spoke of (a lock of prompts alone, written by hand) is not new.
fn changed(pins: &BTreeMap<String, Pin>, lock: &LockFile) -> Vec<Value> {
    let spoken: BTreeSet<&str> =
        pins.iter().filter(|(name, _)| lock.entries.contains_key(*name)).map(|(_, pin)| pin.part.word()).collect();
    let mut found: Vec<Value> = pins
        .iter()
        .filter(|(name, pin)| !pin.is_locked(lock.entries.get(*name)) && spoken.contains(pin.part.word()))
        .map(|(name, pin)| {
            let kind = match (lock.entries.contains_key(name), &pin.value) {
                (false, _) => "new",
                (true, None) => "gone",
                (true, Some(_)) => "changed",
            };
            json!({"entry": name, "part": pin.part.word(), "kind": kind})
        })
        .collect();
    // What a server alone can tell is not gone because nobody asked it.
    let was_asked = |name: &str| !name.starts_with("tool:") || pins.values().any(|pin| pin.part == Part::Contract);
    let gone = lock.entries.keys().filter(|name| !pins.contains_key(*name) && was_asked(name));
    found.extend(gone.map(|name| json!({"entry": name, "part": "other", "kind": "gone"})));
    found
}
