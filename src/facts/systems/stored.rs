//! Credentials that store a secret, and how old it is by the export of the secret manager (`identity.secrets`).
//!
//! The export is JSON, YAML or CSV: a list of maps, or a map from name to map or day. An entry bears the `name` of the
//! variable (`env:NAME` in the manifest) and the day on which the secret was made (`created`, `rotated`, …).
//! `facts.stored_secrets` has an entry per credential: `name`, `system`, `at`, `rotate_every` and `created`, where known.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::facts::{Claims, Shelf, document};

/// Grants that store nothing: the platform or a person vouches for the agent anew each time.
const STORELESS: [&str; 3] = ["workload-identity", "token-exchange", "authorization_code"];

/// Columns that hold the day, the one that says most first.
const DAYS: [&str; 6] = ["rotated", "last_rotated", "lastrotateddate", "created", "created_at", "createddate"];

/// `facts.stored_secrets`.
pub(super) fn facts(shelf: &Shelf<'_>, claims: &Claims<'_>) -> Value {
    let path = claims.manifest.pointer("/identity/secrets").and_then(Value::as_str);
    let days = path.map(|path| days(&document::facts(shelf, path))).unwrap_or_default();
    let entry = |credential: &Value| {
        let text = |key: &str| credential.get(key).and_then(Value::as_str);
        let secret = text("secret");
        let stores = secret.is_some() || text("grant").is_none_or(|grant| !STORELESS.contains(&grant));
        let created = secret.and_then(|secret| days.get(secret.strip_prefix("env:")?));
        stores.then(|| {
            json!({
                "name": text("name"),
                "system": text("system"),
                "at": credential.get("at"),
                "rotate_every": text("rotate_every"),
                "created": created,
            })
        })
    };
    claims.credentials.iter().filter_map(entry).collect()
}

/// Name to day, by what the export says.
fn days(file: &Value) -> BTreeMap<String, String> {
    let rows = file.get("rows").or_else(|| file.get("json"));
    let rows = rows.map(|said| said.get("secrets").unwrap_or(said));
    let list = rows.and_then(Value::as_array).into_iter().flatten();
    let listed = list.filter_map(|one| Some((label(one)?.to_owned(), day(one)?)));
    let map = rows.and_then(Value::as_object).into_iter().flatten();
    listed.chain(map.filter_map(|(name, one)| Some((name.clone(), day(one)?)))).collect()
}

fn label(entry: &Value) -> Option<&str> {
    let keys = entry.as_object()?;
    keys.iter().find(|(key, _)| key.eq_ignore_ascii_case("name")).and_then(|(_, name)| name.as_str())
}

fn day(entry: &Value) -> Option<String> {
    let text = match entry {
        Value::String(day) => Some(day.as_str()),
        Value::Object(map) => DAYS.iter().find_map(|wanted| {
            let mut fits = map.iter().filter(|(key, _)| key.to_lowercase() == **wanted);
            fits.find_map(|(_, day)| day.as_str())
        }),
        _ => None,
    };
    let day = text?.get(..10)?;
    day.parse::<jiff::civil::Date>().ok().map(|_| day.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::days;

    #[test]
    fn the_export_may_be_a_list_a_map_or_a_table() {
        for file in [
            json!({"json": [{"name": "DESK_KEY", "created": "2026-10-01T08:00:00Z"}]}),
            json!({"json": {"secrets": [{"Name": "DESK_KEY", "CreatedDate": "2026-01-01", "LastRotatedDate": "2026-10-01"}]}}),
            json!({"json": {"DESK_KEY": "2026-10-01"}}),
            json!({"json": {"DESK_KEY": {"created": "2026-10-01"}}}),
            json!({"rows": [{"name": "DESK_KEY", "created": "2026-10-01"}]}),
        ] {
            assert_eq!(days(&file).get("DESK_KEY").map(String::as_str), Some("2026-10-01"), "{file}");
        }
        assert!(days(&json!({"json": [{"name": "DESK_KEY", "created": "last week"}]})).is_empty());
        assert!(
            days(&json!({"json": {"DESK_KEY": {"updated": "2026-10-01"}}})).is_empty(),
            "a new note makes no new secret"
        );
        assert!(days(&json!({"exists": false})).is_empty());
    }
}
