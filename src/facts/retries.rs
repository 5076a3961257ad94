//! Writes that may be attempted again, and what makes a second attempt harmless: `facts.retried_writes`.
//!
//! An entry per tool that writes and may be called: `name`, `at`, `retries` (of its system, else the common number),
//! `key` (the place of its idempotency key, empty without one), `idempotent` (the manifest says that a repeated call
//! does the same once), `described` (a schema, a method or a server says something of it) and `shown` (what they say
//! agrees). Must not believe a claim.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Shelf, document, is_write, may_run};

/// Retries of a call when nothing states them.
const USUAL_RETRIES: u64 = 2;

/// Facts of every such tool; `effects` are those of the tools, with what a server hints.
pub(super) fn facts(shelf: &Shelf<'_>, evidence: &Value, effects: &Value) -> Value {
    let manifest = evidence.get("manifest").unwrap_or(evidence);
    let common = manifest.pointer("/resilience/retries").and_then(Value::as_u64).unwrap_or(USUAL_RETRIES);
    let tools = evidence.get("tools").and_then(Value::as_array).into_iter().flatten();
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
        let hint = hint.and_then(|effect| effect.get("idempotent_hint")?.as_bool());
        let said = said(shelf, tool, system, hint);
        json!({
            "name": text("name"),
            "at": text("at"),
            "retries": retries,
            "key": text("idempotency_key"),
            "idempotent": idempotent,
            "described": said.is_some(),
            "shown": retries == 0 || said == Some(true),
        })
    };
    tools.filter(may_write).map(entry).collect()
}

/// Whether what describes the tool makes a repeated call harmless; nothing when nothing describes it.
fn said(shelf: &Shelf<'_>, tool: &Value, system: Option<&Value>, hint: Option<bool>) -> Option<bool> {
    let text = |key: &str| tool.get(key).and_then(Value::as_str);
    let schema = || document::shared(shelf, text("input_schema")?);
    match text("idempotency_key") {
        Some(pointer) if pointer.starts_with('/') => Some(requires(schema()?.as_ref(), pointer)),
        Some(header) => {
            let path = system?.get("openapi")?.as_str()?;
            Some(takes_header(document::shared(shelf, path)?.as_ref(), text("endpoint")?, header))
        }
        None if text("endpoint").is_some_and(|e| e.starts_with("PUT ") || e.starts_with("DELETE ")) => Some(true),
        None => hint.or_else(|| schema()?.pointer("/annotations/idempotentHint")?.as_bool()),
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

/// Whether an operation of an `OpenAPI` document takes a header.
fn takes_header(api: &Value, endpoint: &str, header: &str) -> bool {
    let Some((method, path)) = endpoint.split_once(' ') else { return false };
    let item = api.get("paths").and_then(|paths| paths.get(path));
    let lists = [item, item.and_then(|item| item.get(method.to_lowercase()))];
    let parameters = lists.into_iter().flatten().filter_map(|place| place.get("parameters")?.as_array()).flatten();
    let is_it = |parameter: &Value| {
        let text = |key: &str| parameter.get(key).and_then(Value::as_str).unwrap_or_default();
        text("in") == "header" && text("name").eq_ignore_ascii_case(header)
    };
    parameters.filter(|parameter| is_it(parameter)).count() > 0
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{requires, takes_header};

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
        let parameters = json!([{"in": "header", "name": "Idempotency-Key"}]);
        let api = json!({"paths": {"/refunds": {"post": {"parameters": parameters}, "get": {}}}});
        assert!(takes_header(&api, "POST /refunds", "idempotency-key"));
        assert!(!takes_header(&api, "GET /refunds", "Idempotency-Key"));
        assert!(!takes_header(&api, "POST /orders", "Idempotency-Key"));
    }
}
