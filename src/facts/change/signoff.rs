//! Sign-offs: who signed which state of the manifest, on which day, and whether that state is the present one.
//!
//! A sign-off is a file such as `{role: security, by: lee@acme.example, at: 2026-11-10, covers: [permissions,
//! auditability], digest: "sha256:…"}`; the digest is the lock's entry `manifest:<role>`. One of finance also states the
//! figure that was signed: `per: outcome`, `usd: 0.84`, `window: 30d`.

use serde_json::{Map, Value, json};

use super::{
    super::{Shelf, document, owners},
    git::GitSeen,
    pins,
};
use crate::units::parse_duration;

/// Facts of every sign-off that the manifest names, by role.
pub(super) fn facts(
    shelf: &Shelf<'_>,
    manifest: &Value,
    built: &[(pins::Part, String)],
    git: Option<&GitSeen>,
) -> Map<String, Value> {
    let named = manifest.pointer("/change/signoffs").and_then(Value::as_object).into_iter().flatten();
    named
        .filter_map(|(role, path)| {
            let path = path.as_str()?;
            let said = document::value(shelf, path);
            let get = |key: &str| said.as_ref().and_then(|said| said.get(key)).cloned().unwrap_or(Value::Null);
            let current = pins::signed(shelf, role, built);
            let covers = get("covers").as_array().cloned().unwrap_or_default();
            let name = shelf.name(path);
            let commit = git.and_then(|git| git.last.get(&name));
            let author = git.and_then(|git| git.last.get(&crate::source::Files::resolve("", shelf.from)));
            let fact = json!({
                "role": role,
                "at": crate::source::Route::pointer("/change/signoffs").join(role).as_str(),
                "path": path,
                "exists": shelf.has(path),
                "reads": said.is_some(),
                "by": get("by"),
                "signed_on": get("at"),
                "covers": covers,
                "digest": get("digest"),
                "per": get("per"),
                "usd": get("usd"),
                "window": window(&get("window")),
                "current": current,
                "matches": current.as_deref().is_some_and(|current| get("digest") == current),
                "owners": owners::of(shelf, &name),
                "is_signed": commit.is_some_and(|commit| matches!(commit.signature, 'G' | 'U')),
                "committed_by": commit.map(|commit| commit.author.as_str()),
                "author": author.map(|commit| commit.author.as_str()),
            });
            Some((role.clone(), fact))
        })
        .collect()
}

/// The days over which a figure was measured, as written, if it is a length of time.
fn window(stated: &Value) -> Option<&str> {
    stated.as_str().filter(|text| parse_duration(text).is_some_and(|window| !window.is_zero()))
}
