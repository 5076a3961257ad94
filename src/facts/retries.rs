//! Writes that may be attempted again, and what makes a second attempt harmless: `facts.retried_writes`.
//!
//! An entry per tool that writes and may be called: `name`, `at`, `system`, `retries` (of its system, else the common number),
//! `key` (the place of its idempotency key, empty without one), `idempotent` (the manifest says that a repeated call
//! does the same once), `described` (a schema, a method or a server says something of it) and `shown` (what they say
//! agrees). Must not believe a claim.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Claims, Shelf, document, is_write, may_run};

/// Retries of a call when nothing states them.
const USUAL_RETRIES: u64 = 2;

/// Facts of every such tool; `effects` are those of the tools, with what a server hints.
pub(super) fn facts(shelf: &Shelf<'_>, claims: &Claims<'_>, effects: &Value) -> Value {
    let (manifest, tools) = (claims.manifest, claims.tools.iter());
    let common = manifest.pointer("/resilience/retries").and_then(Value::as_u64).unwrap_or(USUAL_RETRIES);
    let may_write = |tool: &&Value| is_write(tool) && may_run(tool);
    let effects = effects.as_array().into_iter().flatten();
    let by_name: BTreeMap<&str, &Value> =
        effects.filter_map(|effect| Some((effect.get("name")?.as_str()?, effect))).collect();
    let entry = |tool: &Value| {
        let text = |key: &str| tool.get(key).and_then(Value::as_str).unwrap_or_default();
        let system = manifest.get("systems").and_then(|systems| systems.get(text("system")));
        let retries = system.and_then(|system| system.get("retries")?.as_u64()).unwrap_or(common);
        let idempotent = tool.get("idempotent") == Some(&Value::Bool(true));
        let hint = by_name.get(text("name"));
        let said = said(shelf, tool, hint.copied());
        json!({
            "name": text("name"),
            "at": text("at"),
            "system": text("system"),
            "retries": retries,
            "key": text("idempotency_key"),
            "idempotent": idempotent,
            "described": said.is_some(),
            "shown": said == Some(true),
        })
    };
    tools.filter(may_write).map(entry).collect()
}

/// Whether what describes the tool makes a repeated call harmless; nothing when nothing describes it.
fn said(shelf: &Shelf<'_>, tool: &Value, effect: Option<&Value>) -> Option<bool> {
    let text = |key: &str| tool.get(key).and_then(Value::as_str);
    let schema = || document::shared(shelf, text("input_schema")?);
    match text("idempotency_key") {
        Some(pointer) if pointer.starts_with('/') => Some(requires(schema()?.as_ref(), pointer)),
        Some(header) => {
            let mut taken = effect?.get("headers")?.as_array()?.iter().filter_map(Value::as_str);
            Some(taken.any(|one| one.eq_ignore_ascii_case(header)))
        }
        None if text("endpoint").is_some_and(|e| e.starts_with("PUT ") || e.starts_with("DELETE ")) => Some(true),
        None => effect
            .and_then(|effect| effect.get("idempotent_hint")?.as_bool())
            .or_else(|| schema()?.pointer("/annotations/idempotentHint")?.as_bool()),
    }
}

/// Whether a schema requires the property at a pointer, and each object on the way to it.
fn requires(schema: &Value, pointer: &str) -> bool {
    let keys = pointer.split('/').skip(1).map(|key| key.replace("~1", "/").replace("~0", "~"));
    let step = |schema: Option<&Value>, key: &String| -> bool {
        let required = schema.and_then(|schema| schema.get("required")?.as_array());
        required.is_some_and(|names| names.iter().any(|name| name.as_str() == Some(key)))
    };
    let mut inner = Some(schema.clone());
    for key in keys {
        if !step(inner.as_ref(), &key) {
            return false;
        }
        inner = inner.and_then(|schema| schema.get("properties")?.get(&key).cloned());
    }
    true
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Claims, Shelf, facts, requires, said};
    use crate::source::Files;

    #[test]
    fn a_key_counts_when_a_call_without_it_is_refused() {
        let schema = json!({
            "required": ["key", "meta"],
            "properties": {"key": {}, "meta": {"required": ["id"], "properties": {"id": {}, "note": {}}}, "other": {}}
        });
        for (pointer, expected) in [("/key", true), ("/other", false), ("/meta/id", true), ("/meta/note", false)] {
            assert_eq!(requires(&schema, pointer), expected, "{pointer}");
        }
    }

    #[test]
    fn a_header_counts_when_the_operation_takes_it() {
        let files = Files::texts(std::collections::BTreeMap::new());
        let shelf = Shelf::new(&files, "agentready.yaml");
        for (effect, expected) in [
            (json!({"headers": ["Idempotency-Key"]}), Some(true)),
            (json!({"headers": ["X-Other"]}), Some(false)),
            (json!({"headers": null}), None),
        ] {
            assert_eq!(
                said(&shelf, &json!({"idempotency_key": "idempotency-key"}), Some(&effect)),
                expected,
                "{effect}"
            );
        }
    }

    #[test]
    fn no_retries_are_a_claim_that_shows_nothing() {
        let files = Files::texts(std::collections::BTreeMap::new());
        let shelf = Shelf::new(&files, "agentready.yaml");
        let evidence = json!({"manifest": {"systems": {"pay": {"retries": 0}}},
            "tools": [{"name": "refund", "system": "pay", "is_write": true, "allow": {"mode": "auto"}}]});
        let found = facts(&shelf, &Claims::new(&evidence["manifest"], &evidence), &json!([]));
        assert_eq!((&found[0]["retries"], &found[0]["shown"]), (&json!(0), &json!(false)));
    }
}
