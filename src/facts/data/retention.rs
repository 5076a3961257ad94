//! How long what is kept, by the file that sets it.
//!
//! Any JSON, YAML or TOML is searched for windows: keys such as `for`, `keep`, `retention`, `ttl`, `days`, with a length of
//! time (`14d`, `336h`) or, where the key says days, a number. A window belongs to `payloads`, `metadata` or `artifacts`
//! when its path, or the `keeps` beside it, has that word. `stores` may say who reads and where:
//!
//! ```yaml
//! stores:
//!   traces: {keeps: payloads, for: 14d, readers: ["okta:payments-ops"], region: us}
//! per_tenant: true             # or a map `tenants`
//! used_by: {jobs: ops/expire.sh}
//! ```
//! `facts.data.retention`: `path`, `exists`, `windows` (an entry for each of the three: `stated`, `seconds`, `found`
//! lengths in seconds, `agrees`), `stores` (`readers`, `region`), `per_tenant`, `used_by`.

use serde_json::{Value, json};

use super::{Sight, string, strings, used_by};
use crate::units::parse_duration;

/// What windows are stated for.
const KEPT: [&str; 3] = ["payloads", "metadata", "artifacts"];

/// Keys that hold a length of time.
const KEYS: [&str; 18] = [
    "block_retention",
    "days",
    "delete_after",
    "delete_after_days",
    "expiration",
    "expiration_days",
    "expire_after",
    "expire_after_days",
    "expires_after",
    "for",
    "keep",
    "keep_days",
    "keep_for",
    "max_age",
    "retention",
    "retention_days",
    "retention_period",
    "ttl",
];

/// A length of time in a configuration.
pub(super) struct Window {
    words: String,
    pub(super) seconds: f64,
}

pub(super) fn facts(sight: &Sight<'_>) -> Value {
    let path = sight.text("/data/retention/config");
    let said = sight.said("/data/retention/config");
    let windows = said.map(windows).unwrap_or_default();
    let entry = |kept: &str| {
        let stated = sight.text(&format!("/data/retention/{kept}"));
        let seconds = stated.and_then(parse_duration).map(|time| time.as_secs_f64());
        let found: Vec<f64> = windows.iter().filter(|w| w.words.contains(singular(kept))).map(|w| w.seconds).collect();
        let agrees =
            seconds.is_some_and(|seconds| !found.is_empty() && found.iter().all(|other| same(*other, seconds)));
        json!({"name": kept, "at": format!("/data/retention/{kept}"), "stated": stated, "seconds": seconds, "found": found, "agrees": agrees})
    };
    let tenants = said.is_some_and(|said| {
        said.get("per_tenant") == Some(&Value::Bool(true)) || said.get("tenants").is_some_and(Value::is_object)
    });
    json!({
        "path": path,
        "exists": path.is_some_and(|path| sight.file(path).is_some()),
        "readable": said.is_some(),
        "error": path.and_then(|path| string(sight.file(path)?, "error")),
        "windows": KEPT.map(entry),
        "stores": said.map(stores).unwrap_or_default(),
        "per_tenant": tenants,
        "used_by": path.zip(said).map(|(path, said)| used_by(sight, path, said)).unwrap_or_default(),
    })
}

fn singular(kept: &str) -> &str {
    kept.strip_suffix('s').unwrap_or(kept)
}

fn same(one: f64, other: f64) -> bool {
    (one - other).abs() < 1.0
}

/// Every length of time in a configuration, with the words of its path.
pub(super) fn windows(said: &Value) -> Vec<Window> {
    let mut found = Vec::new();
    walk(said, "", &mut found);
    found
}

fn walk(value: &Value, path: &str, found: &mut Vec<Window>) {
    match value {
        Value::Object(map) => {
            let keeps =
                ["keeps", "holds"].iter().filter_map(|key| map.get(*key)?.as_str()).collect::<Vec<_>>().join(" ");
            for (key, inner) in map {
                let words = format!("{path} {keeps} {}", key.to_lowercase());
                if let Some(seconds) = length(key, inner, path) {
                    found.push(Window { words, seconds });
                } else {
                    walk(inner, &words, found);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, path, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The seconds of `ttl: 14d` or `days: 14`; a bare `payloads: 14d` counts too.
fn length(key: &str, value: &Value, path: &str) -> Option<f64> {
    let key = super::kinds::plain(key);
    let is_kept = KEPT.contains(&key.as_str()) || KEPT.iter().any(|kept| path.ends_with(kept));
    let in_seconds =
        ["_seconds", "_s"].iter().find_map(|unit| key.strip_suffix(unit)).filter(|bare| KEYS.contains(bare));
    if in_seconds.is_none() && !KEYS.contains(&key.as_str()) && !is_kept {
        return None;
    }
    match value {
        Value::String(text) => Some(parse_duration(text)?.as_secs_f64()),
        Value::Number(number) if key.contains("day") => Some(number.as_f64()? * 86_400.0),
        // Without a unit these two are seconds wherever they are known.
        Value::Number(number) if in_seconds.is_some() || ["max_age", "ttl"].contains(&key.as_str()) => number.as_f64(),
        _ => None,
    }
}

fn stores(said: &Value) -> Vec<Value> {
    let map = said.get("stores").and_then(Value::as_object).into_iter().flatten();
    map.map(|(name, store)| {
        let readers = store.get("readers").or_else(|| store.get("read"));
        json!({"name": name, "at": "/data/retention/config", "readers": readers.map(|list| strings(Some(list))), "region": string(store, "region")})
    })
    .collect()
}
