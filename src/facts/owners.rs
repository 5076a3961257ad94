//! CODEOWNERS: who owns the manifest and the prompts. The last rule that matches a path decides.

use serde_json::{Value, json};

use super::Shelf;
use crate::{source::Files, text::wildcard_matches};

/// Places where code hosts look, in their order.
const PLACES: [&str; 4] = [".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS", ".gitlab/CODEOWNERS"];

/// The rules of the first CODEOWNERS file.
pub(super) fn rules(shelf: &Shelf<'_>) -> Value {
    parsed(shelf).into_iter().map(|(pattern, owners)| json!({"pattern": pattern, "owners": owners})).collect()
}

/// The owners of the manifest and of each prompt, without `@` and organisation.
pub(super) fn facts(shelf: &Shelf<'_>, manifest: &Value) -> Value {
    let rules = parsed(shelf);
    if rules.is_empty() {
        return json!([]);
    }
    let patterns = manifest.get("prompts").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let mut patterns: Vec<&str> = patterns.collect();
    if patterns.is_empty() {
        patterns.push("prompts/**");
    }
    let prompts = patterns.into_iter().flat_map(|pattern| shelf.matching(pattern)).map(|path| shelf.name(&path));
    std::iter::once(Files::resolve("", shelf.from))
        .chain(prompts)
        .map(|path| {
            let last = rules.iter().rev().find(|(pattern, _)| owns(pattern, &path));
            let owners: Vec<&str> = last.into_iter().flat_map(|(_, owners)| owners).map(|owner| bare(owner)).collect();
            json!({"path": path, "owners": owners})
        })
        .collect()
}

/// The owners of one file, without `@` and organisation.
pub(super) fn of(shelf: &Shelf<'_>, name: &str) -> Vec<String> {
    let rules = parsed(shelf);
    let last = rules.iter().rev().find(|(pattern, _)| owns(pattern, name));
    last.into_iter().flat_map(|(_, owners)| owners).map(|owner| bare(owner).to_owned()).collect()
}

/// Those of the files that belong to nobody.
pub(super) fn unowned(shelf: &Shelf<'_>, mut names: Vec<String>) -> Vec<String> {
    let rules = parsed(shelf);
    let is_owned = |name: &String| {
        let last = rules.iter().rev().find(|(pattern, _)| owns(pattern, name));
        last.is_some_and(|(_, owners)| !owners.is_empty())
    };
    names.retain(|name| !is_owned(name));
    names
}

/// The rules of the first CODEOWNERS file: pattern and owners.
pub(super) fn parsed(shelf: &Shelf<'_>) -> Vec<(String, Vec<String>)> {
    let Some(file) = PLACES.iter().find_map(|place| shelf.read(place).ok()) else { return Vec::new() };
    let lines = file.text().lines().map(|line| line.split('#').next().unwrap_or_default());
    lines
        .filter_map(|line| {
            let mut words = line.split_whitespace().map(str::to_owned);
            Some((words.next()?, words.collect()))
        })
        .collect()
}

/// `@acme/payments-ops` as `payments-ops`.
fn bare(owner: &str) -> &str {
    let owner = owner.strip_prefix('@').unwrap_or(owner);
    owner.rsplit_once('/').map_or(owner, |(_, team)| team)
}

/// Whether a CODEOWNERS pattern covers a path: a slash at the start or in the middle anchors it at the root, a
/// folder covers what is in it.
pub(super) fn owns(pattern: &str, path: &str) -> bool {
    let folder_only = pattern.ends_with('/');
    let trimmed = pattern.trim_end_matches('/');
    let anchored = trimmed.contains('/');
    let wanted: Vec<&str> = trimmed.trim_start_matches('/').split('/').collect();
    let parts: Vec<&str> = path.split('/').collect();
    let starts = if anchored { 1 } else { parts.len() };
    (0..starts).filter_map(|start| parts.get(start..)).any(|tail| leads(&wanted, tail, folder_only))
}

fn leads(pattern: &[&str], path: &[&str], folder_only: bool) -> bool {
    match (pattern.split_first(), path.split_first()) {
        // `docs/*` covers the files in docs, not those below its folders.
        (None, rest) => rest.is_some() || !folder_only,
        (Some((&"**", rest)), Some((_, tail))) => leads(rest, path, folder_only) || leads(pattern, tail, folder_only),
        (Some((&"**", rest)), None) => rest.is_empty() && !folder_only,
        (Some((&"*", [])), Some((_, tail))) => tail.is_empty() && !folder_only,
        (Some((first, rest)), Some((head, tail))) => wildcard_matches(first, head) && leads(rest, tail, folder_only),
        (Some(_), None) => false,
    }
}

/// Whether CODEOWNERS names this person or team anywhere, with or without `@` and organisation.
pub(super) fn is_owner(shelf: &Shelf<'_>, who: &str) -> bool {
    !who.is_empty()
        && parsed(shelf).iter().flat_map(|(_, owners)| owners).any(|owner| owner == who || bare(owner) == bare(who))
}
