//! Functions that check expressions may call beside the standard ones. General questions over opened files,
//! never for one check: `covers('schemas/refund.json#/amount_usd')` says whether a JSON Schema has the property,
//! `schema('schemas/refund.json#/amount_usd')` gives its subschema, `age('2026-10-20')` gives the seconds since a day
//! (of a list of days since the newest that has come), to be compared with a threshold; a day yet to come has no age,
//! which counts as missing; `is_check('data/residency')` says whether the checklist ships that check.

use std::sync::Arc;

use jiff::{Unit, civil::Date};
use serde_json::Value;

use super::catalogue;
use crate::expr::Scope;

/// Deepest chain of `$ref` that is followed.
const MAX_REFS: usize = 16;

/// Adds the functions that look into `facts.files`.
pub(super) fn register(scope: &mut Scope<'_>, evidence: &Value) {
    let files = Arc::new(evidence.pointer("/facts/files").cloned().unwrap_or(Value::Null));
    let again = Arc::clone(&files);
    scope.function("covers", move |place| Value::Bool(lookup(&files, place).is_some()));
    scope.function("schema", move |place| lookup(&again, place).cloned().unwrap_or(Value::Null));
    scope.function("is_check", |id| Value::Bool(catalogue::ships(id)));
    let today = evidence.get("now").and_then(day);
    scope.measure("age", move |days| age(days, today?));
}

fn day(value: &Value) -> Option<Date> {
    value.as_str()?.get(..10)?.parse().ok()
}

/// Seconds from a day, or from the newest of several that has come, to today.
fn age(days: &Value, today: Date) -> Option<f64> {
    let list = days.as_array().map_or(std::slice::from_ref(days), Vec::as_slice);
    let newest = list.iter().filter_map(day).filter(|day| *day <= today).max()?;
    Some(f64::from(today.since((Unit::Day, newest)).ok()?.get_days()) * 86_400.0)
}

/// `path#/a/b` as the subschema for the value at `/a/b`.
fn lookup<'a>(files: &'a Value, place: &str) -> Option<&'a Value> {
    let (path, pointer) = place.split_once('#').unwrap_or((place, ""));
    subschema(files.get(path)?.get("json")?, pointer)
}

/// Follows a JSON Pointer into instances through `properties`, `items`, `allOf` and local `$ref`.
pub fn subschema<'a>(schema: &'a Value, pointer: &str) -> Option<&'a Value> {
    let mut keys = pointer.split('/').skip(1).map(|key| key.replace("~1", "/").replace("~0", "~"));
    keys.try_fold(schema, |found, key| step(schema, found, &key, MAX_REFS))
}

fn step<'a>(root: &'a Value, schema: &'a Value, key: &str, refs: usize) -> Option<&'a Value> {
    let target = schema.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix('#'));
    let direct = || schema.get("properties")?.get(key);
    let item = || schema.get("items").filter(|_| key.parse::<usize>().is_ok());
    let parts = || ["allOf", "anyOf", "oneOf"].iter().filter_map(|name| schema.get(name)?.as_array()).flatten();
    direct()
        .or_else(item)
        .or_else(|| step(root, root.pointer(target?)?, key, refs.checked_sub(1)?))
        .or_else(|| parts().find_map(|part| step(root, part, key, refs.checked_sub(1)?)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{age, subschema};

    #[test]
    fn a_day_has_an_age_once_it_has_come() {
        let today = "2026-11-21".parse().expect("a day");
        for (days, expected) in [
            (json!("2026-11-21"), Some(0.0)),
            (json!("2026-11-20T23:59:59Z"), Some(86_400.0)),
            (json!("2025-11-21"), Some(365.0 * 86_400.0)),
            (json!(["2026-11-01", "2026-11-11", "2027-01-01"]), Some(10.0 * 86_400.0)),
            (json!("2026-11-22"), None),
            (json!("soon"), None),
            (json!([]), None),
            (json!(null), None),
        ] {
            assert_eq!(age(&days, today), expected, "{days}");
        }
    }

    #[test]
    fn pointers_lead_through_references_and_lists() {
        let schema = json!({
            "properties": {"order": {"$ref": "#/$defs/order"}, "lines": {"items": {"properties": {"sku": {"type": "string"}}}}},
            "$defs": {"order": {"allOf": [{"properties": {"amount": {"maximum": 300}}}]}, "loop": {"$ref": "#/$defs/loop"}}
        });
        assert_eq!(subschema(&schema, "/order/amount"), Some(&json!({"maximum": 300})));
        assert_eq!(subschema(&schema, "/lines/0/sku"), Some(&json!({"type": "string"})));
        assert_eq!(subschema(&schema, "/order/other"), None);
        assert_eq!(subschema(&json!({"$ref": "#"}), "/a"), None, "a loop ends");
    }
}
