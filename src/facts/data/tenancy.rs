//! How tenants are kept apart, and what the cache of answers holds.
//!
//! `facts.data.tenancy`: `storage` and `logs` (whether their templates hold `{tenant}`), `key`, `used_in` (files behind
//! other claims that use the key: database roles, policy rules, cache, retention).
//! `facts.data.cache`: `path`, `exists`, `readable`, `seconds` (its longest time to live), `redacts` (it names the
//! redaction file), `by_tenant` (its key has the tenant in it).

use serde_json::{Value, json};

use super::{Sight, kinds, loads, names, retention, strings};
use crate::facts::{document, secrets};

pub(super) fn facts(sight: &Sight<'_>) -> Value {
    let key = sight.text("/data/tenancy/key");
    let has_tenant = |field: &str| sight.text(field).map(|template| template.contains("{tenant}"));
    let mut files = document::each_text(sight.manifest, "systems.*.roles");
    files.extend(secrets::matched(sight.claim("/policy/rules"), sight.files));
    files.extend(["/cost/cache/config", "/data/retention/config"].iter().filter_map(|field| sight.text(field)));
    let uses = |path: &&str| {
        let text = sight.shelf.text(path);
        key.is_some_and(|key| text.is_some_and(|text| names(text.text(), key)))
    };
    let used_in: Vec<&str> = files.into_iter().filter(uses).collect();
    json!({
        "key": key,
        "single": sight.claim("/data/tenancy/single").and_then(Value::as_bool).unwrap_or_default(),
        "storage": has_tenant("/data/tenancy/storage"),
        "logs": has_tenant("/data/tenancy/logs"),
        "used_in": used_in,
    })
}

pub(super) fn cache(sight: &Sight<'_>) -> Value {
    let path = sight.text("/cost/cache/config");
    let said = sight.said("/cost/cache/config");
    let lives = said.map(retention::windows).unwrap_or_default();
    let longest = lives
        .iter()
        .map(|window| window.seconds)
        .fold(None, |most: Option<f64>, one| Some(most.map_or(one, |m| m.max(one))));
    let redacts = path.zip(sight.text("/data/redaction")).and_then(|(path, rules)| loads(sight, path, rules));
    let tenant = sight.text("/data/tenancy/key").map(kinds::plain);
    let by_tenant = strings(sight.claim("/cost/cache/key")).iter().any(|part| {
        let part = kinds::plain(part);
        part.contains("tenant") || Some(&part) == tenant.as_ref()
    });
    json!({
        "path": path, "exists": path.is_some_and(|path| sight.shelf.text(path).is_some()), "readable": said.is_some(),
        "seconds": longest, "redacts": redacts == Some(true), "by_tenant": by_tenant,
    })
}
