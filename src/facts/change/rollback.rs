//! The way back to a version known to be good: where that version lies, and how the rehearsals went.
//!
//! A version lies in `releases/<version>/` beside the manifest (`agentready.lock`, and `report.json` of the run that said
//! GO), or at the tag `<version>` or `v<version>` of the repository. A rehearsal is a record such as
//! `{at: 2026-11-12, from: 2026.11.1, to: 2026.10.2, took: 4m, succeeded: true, by: ana@acme.example}`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{
    super::{Shelf, document},
    git::GitSeen,
    lock::{LockFile, is_snapshot},
    pins::Pin,
};
use crate::units::parse_duration;

/// Facts of the version that the manifest would go back to.
pub(super) fn facts(shelf: &Shelf<'_>, manifest: &Value, pins: &BTreeMap<String, Pin>, git: Option<&GitSeen>) -> Value {
    let rollback = manifest.pointer("/change/rollback");
    let text = |key: &str| rollback.and_then(|rollback| rollback.get(key)).and_then(Value::as_str);
    let run = text("run").unwrap_or_default();
    let to = text("to").filter(|version| is_version(version));
    let folder = to.map(|version| format!("releases/{version}"));
    let kept = folder.as_ref().and_then(|folder| shelf.text(&format!("{folder}/agentready.lock")));
    let tagged = to.and_then(|version| git?.versions.get(version)?.clone());
    let lock = kept.as_ref().map(|file| file.text().to_owned()).or(tagged);
    let lock = lock.and_then(|text| LockFile::parse(&text).ok());
    let entries = || lock.iter().flat_map(|lock| &lock.entries);
    let models: Vec<&String> = entries().filter(|(name, _)| name.starts_with("model:")).map(|(_, id)| id).collect();
    // A digest tells what the model was only where the present one has it too.
    let known =
        |id: &String| pins.values().filter(|pin| pin.also.as_ref() == Some(id)).find_map(|pin| pin.value.clone());
    let is_alias = |id: &&&String| match id.strip_prefix("sha256:") {
        Some(_) => !known(id).is_some_and(|id| is_snapshot(&id)),
        None => !is_snapshot(id),
    };
    let aliases: Vec<&&String> = models.iter().filter(is_alias).collect();
    let moved = |(name, entry): &(&String, &String)| {
        name.starts_with("tool:") && pins.get(*name).is_some_and(|pin| !pin.is_locked(Some(*entry)))
    };
    let moved: Vec<&String> = entries().filter(moved).map(|(name, _)| name).collect();
    let report = folder.as_ref().and_then(|folder| document::value(shelf, &format!("{folder}/report.json")));
    let decision = report.as_ref().and_then(|report| report.pointer("/verdict/decision")).and_then(Value::as_str);
    let agent = |value: Option<&Value>| value.and_then(|value| value.pointer("/agent/name")).cloned();
    let is_own = agent(report.as_ref()).is_some_and(|name| Some(name) == agent(Some(manifest)));
    let script = run.split_whitespace().next().unwrap_or_default();
    json!({
        "at": "/change/rollback",
        "to": to,
        "takes_version": run.contains("{version}"),
        "script": script,
        "script_exists": !script.contains('/') || shelf.has(script),
        "folder": folder,
        "asked_git": git.is_some_and(|git| to.is_some_and(|version| git.versions.contains_key(version))),
        "has_lock": !models.is_empty(),
        "aliases": aliases,
        "moved": moved,
        "decision": decision,
        "was_go": is_own && decision.is_some_and(|decision| decision.starts_with("GO")),
    })
}

/// Whether a text is plain enough to be part of a path and of a tag.
pub(super) fn is_version(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+');
    text.chars().all(plain) && text.starts_with(|c: char| c.is_ascii_alphanumeric()) && !text.contains("..")
}

struct Rehearsal {
    path: String,
    on: String,
    fault: Option<&'static str>,
    by: String,
}

/// Facts of the rehearsals: how many of the latest succeeded in a row, in time.
pub(super) fn rehearsals(shelf: &Shelf<'_>, manifest: &Value) -> Value {
    let within = manifest.pointer("/change/rollback/within").and_then(Value::as_str).and_then(parse_duration);
    let patterns = manifest.pointer("/change/rollback/rehearsals").and_then(Value::as_array).into_iter().flatten();
    let paths = patterns.filter_map(Value::as_str).flat_map(|pattern| shelf.matching(pattern));
    let mut all: Vec<Rehearsal> = paths
        .map(|path| {
            let said = document::value(shelf, &path).unwrap_or_default();
            let text = |key: &str| said.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            let in_time = match (within, parse_duration(&text("took"))) {
                (Some(within), Some(took)) => took <= within,
                (None, Some(_)) => true,
                (_, None) => false,
            };
            let fault = match said.get("succeeded") {
                _ if said.as_object().is_none_or(Map::is_empty) => Some("can't be read"),
                Some(Value::Bool(true)) if text("at").parse::<jiff::civil::Date>().is_err() => {
                    Some("states no day (`at`)")
                }
                Some(Value::Bool(true)) if text("took").is_empty() => Some("does not say how long it took"),
                Some(Value::Bool(true)) => (!in_time).then_some("was too slow"),
                _ => Some("did not succeed"),
            };
            Rehearsal { on: text("at"), by: text("by"), fault, path }
        })
        .collect();
    all.sort_by(|a, b| (&b.on, &b.path).cmp(&(&a.on, &a.path)));
    let row: Vec<&Rehearsal> = all.iter().take_while(|one| one.fault.is_none()).collect();
    let people: BTreeSet<&str> = row.iter().map(|one| one.by.as_str()).filter(|by| !by.is_empty()).collect();
    let broke = all.iter().find(|one| one.fault.is_some());
    json!({
        "at": "/change/rollback/rehearsals",
        "records": all.len(),
        "in_a_row": row.len(),
        "newest": row.first().map(|one| one.on.as_str()),
        "people": people.len(),
        "by_pipeline": people.contains("pipeline"),
        "broke_with": broke.map(|one| one.path.as_str()),
        "broke_as": broke.and_then(|one| one.fault),
    })
}

#[cfg(test)]
mod tests {
    use super::is_version;

    #[test]
    fn a_version_is_no_path_and_no_option() {
        for (text, expected) in [
            ("2026.10.2", true),
            ("1.0.0-rc.1+build", true),
            ("", false),
            ("-x", false),
            ("../../etc", false),
            ("a/b", false),
            ("1..2", false),
            ("1 2", false),
        ] {
            assert_eq!(is_version(text), expected, "{text}");
        }
    }
}
