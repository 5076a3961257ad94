//! What files of the infrastructure say about the audit trail: storage that nobody can change, context that is passed on.
//!
//! `facts.infra.storage` holds `path`, `locked` (a retention that nobody can lift) and `days` (where a number stands) of the
//! lock that the Terraform files set on `audit.storage.bucket`; it is left out when they set none. `facts.infra.propagators` lists the
//! settings that make clients pass W3C trace context or baggage on: `path`, `line`. Must not judge.

use std::{collections::BTreeSet, sync::LazyLock};

use regex::Regex;
use serde_json::{Value, json};

use super::{
    Shelf,
    code::{Code, stands_in},
};

/// Folders in which Terraform files are looked for.
const TERRAFORM: [&str; 4] = ["deploy/**/*.tf", "infra/**/*.tf", "ops/**/*.tf", "terraform/**/*.tf"];

/// Files in which the environment of the agent is set.
const ENVIRONMENT: [&str; 8] = [
    ".env.example",
    "Dockerfile",
    "compose.ci.yaml",
    "compose.yaml",
    "compose.yml",
    "docker-compose.yaml",
    "docker-compose.yml",
    "config/otel.yaml",
];

/// Resources that lock storage.
const LOCKS: [&str; 4] = [
    "aws_s3_bucket_object_lock_configuration",
    "azurerm_confidential_ledger",
    "azurerm_storage_container_immutability_policy",
    "google_storage_bucket",
];

static RESOURCE: LazyLock<Regex> = LazyLock::new(|| pattern(r#"resource\s+"(\w+)"\s+"([^"]*)"\s*\{"#));
static LOCKED: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"(?i)mode\s*=\s*"compliance"|is_locked\s*=\s*true|\blocked\s*=\s*true"#));
static PERIOD: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"\b(days|years|retention_period|immutability_period_in_days)\s*=\s*"?(\d+)"#));
static PROPAGATORS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"OTEL_PROPAGATORS\W+[\w, ]*(?:baggage|tracecontext)|^\s*propagators\W+.*(?:baggage|tracecontext)")
});

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the pattern is valid")
}

/// Facts of the infrastructure files.
pub(super) fn facts(shelf: &Shelf<'_>, manifest: &Value) -> Value {
    let bucket = manifest.pointer("/audit/storage/bucket").and_then(Value::as_str);
    let storage = bucket.and_then(|bucket| storage(shelf, bucket));
    let mut entry = json!({ "propagators": propagators(shelf) });
    if let (Some(storage), Some(entry)) = (storage, entry.as_object_mut()) {
        entry.insert("storage".to_owned(), storage);
    }
    entry
}

/// The lock of the bucket; resources name each other across the files.
fn storage(shelf: &Shelf<'_>, bucket: &str) -> Option<Value> {
    let quoted = format!("\"{bucket}\"");
    let paths: BTreeSet<String> = TERRAFORM.iter().flat_map(|pattern| shelf.matching(pattern)).collect();
    let files: Vec<(String, String)> = paths
        .into_iter()
        .filter_map(|path| Some((path.clone(), Code::read(&path, shelf.text(&path)?.text()).text)))
        .collect();
    let resources: Vec<Resource<'_>> = files.iter().flat_map(|(path, text)| Resource::all(path, text)).collect();
    let own =
        resources.iter().filter(|one| one.body.contains(&quoted)).map(|one| format!("{}.{}", one.kind, one.label));
    let own: Vec<String> = own.collect();
    let is_own = |one: &&Resource<'_>| {
        LOCKS.contains(&one.kind) && (one.body.contains(&quoted) || own.iter().any(|name| stands_in(one.body, name)))
    };
    let lock = resources.iter().find(is_own)?;
    // A ledger keeps for good what it was given.
    let is_ledger = lock.kind == "azurerm_confidential_ledger";
    let days = PERIOD.captures(lock.body).and_then(|found| {
        let number: u64 = found.get(2)?.as_str().parse().ok()?;
        Some(match found.get(1)?.as_str() {
            "years" => number.saturating_mul(365),
            "retention_period" => number / 86_400,
            _ => number,
        })
    });
    let mut entry = json!({"path": lock.path, "locked": is_ledger || LOCKED.is_match(lock.body)});
    if let (Some(days), Some(entry)) = (if is_ledger { Some(36_500) } else { days }, entry.as_object_mut()) {
        entry.insert("days".to_owned(), days.into());
    }
    Some(entry)
}

/// A resource of a Terraform file.
struct Resource<'a> {
    path: &'a str,
    kind: &'a str,
    label: &'a str,
    body: &'a str,
}

impl<'a> Resource<'a> {
    fn all(path: &'a str, text: &'a str) -> impl Iterator<Item = Self> {
        RESOURCE.captures_iter(text).filter_map(move |found| {
            let part = |at: usize| found.get(at).map(|part| part.as_str());
            let body = block(text.get(found.get(0)?.end()..)?);
            Some(Self { path, kind: part(1)?, label: part(2)?, body })
        })
    }
}

/// The text up to the brace that closes the block.
fn block(text: &str) -> &str {
    let mut depth = 1_u32;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return text.get(..at).unwrap_or(text);
        }
    }
    text
}

fn propagators(shelf: &Shelf<'_>) -> Vec<Value> {
    let files = ENVIRONMENT.iter().filter_map(|path| Some((*path, shelf.text(path)?)));
    files
        .flat_map(|(path, file)| {
            let lines = file.text().lines().enumerate().filter(|(_, line)| PROPAGATORS.is_match(line));
            lines.map(|(at, _)| json!({"path": path, "line": at + 1})).collect::<Vec<_>>()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use serde_json::{Value, json};

    use super::{super::Shelf, facts};
    use crate::source::Files;

    fn seen(name: &str, text: &str) -> Value {
        let texts: BTreeMap<String, Arc<str>> = [(name.to_owned(), Arc::from(text))].into();
        let files = Files::texts(texts);
        let shelf = Shelf::new(&files, "agentready.yaml");
        facts(&shelf, &json!({"audit": {"storage": {"bucket": "trail"}}}))
    }

    #[test]
    fn a_lock_is_one_of_the_bucket_that_nobody_can_lift() {
        let s3 = |mode: &str| {
            format!(
                "resource \"aws_s3_bucket\" \"b\" {{ bucket = \"trail\" }}\nresource \"aws_s3_bucket_object_lock_configuration\" \
                     \"b\" {{\n bucket = aws_s3_bucket.b.id\n rule {{ default_retention {{ mode = \"{mode}\"\n years = 2 }} }}\n}}\n"
            )
        };
        let found = seen("infra/a.tf", &s3("COMPLIANCE"));
        assert_eq!(found["storage"], json!({"path": "infra/a.tf", "locked": true, "days": 730}));
        assert_eq!(seen("infra/a.tf", &s3("GOVERNANCE"))["storage"]["locked"], json!(false));
        let gcs = "resource \"google_storage_bucket\" \"b\" {\n name = \"trail\"\n retention_policy { is_locked = true\n retention_period = 864000 }\n}";
        assert_eq!(seen("ops/x/a.tf", gcs)["storage"]["days"], json!(10));
        assert_eq!(seen("infra/a.tf", &s3("COMPLIANCE").replace("trail", "other")).get("storage"), None);
    }

    #[test]
    fn only_the_lock_of_the_bucket_itself_counts() {
        let bucket =
            |label: &str, name: &str| format!("resource \"aws_s3_bucket\" \"{label}\" {{\n bucket = \"{name}\"\n}}\n");
        let lock = |label: &str, mode: &str| {
            format!(
                "resource \"aws_s3_bucket_object_lock_configuration\" \"{label}\" {{\n bucket = aws_s3_bucket.{label}.id\n \
                 rule {{ default_retention {{\n {mode}\n }} }}\n}}\n"
            )
        };
        let good = "mode = \"COMPLIANCE\"\n days = 400";
        let buckets = bucket("a", "invoices") + &bucket("a2", "trail");
        assert_eq!(
            seen("infra/a.tf", &(buckets.clone() + &lock("a", good))).get("storage"),
            None,
            "the lock of another one"
        );
        let both = buckets + &lock("a", "mode = \"GOVERNANCE\"") + &lock("a2", good);
        assert_eq!(seen("infra/a.tf", &both)["storage"], json!({"path": "infra/a.tf", "locked": true, "days": 400}));
        for (mode, expected) in [
            (
                "# mode = \"COMPLIANCE\"\n mode = \"GOVERNANCE\"\n days = 1",
                json!({"path": "infra/a.tf", "locked": false, "days": 1}),
            ),
            ("// mode = \"COMPLIANCE\"", json!({"path": "infra/a.tf", "locked": false})),
            ("mode = \"COMPLIANCE\"\n days = var.x", json!({"path": "infra/a.tf", "locked": true})),
            ("mode = \"COMPLIANCE\"\n days = \"30\"", json!({"path": "infra/a.tf", "locked": true, "days": 30})),
        ] {
            let found = seen("infra/a.tf", &(bucket("a", "trail") + &lock("a", mode)));
            assert_eq!(found["storage"], expected, "{mode}");
        }
        let ledger = seen("infra/a.tf", "resource \"azurerm_confidential_ledger\" \"l\" {\n name = \"trail\"\n}");
        assert_eq!(ledger["storage"]["locked"], json!(true));
    }

    #[test]
    fn propagation_is_a_setting_that_names_a_format() {
        for (text, lines) in [
            ("environment:\n  OTEL_PROPAGATORS: tracecontext,baggage\n", 1),
            ("OTEL_PROPAGATORS=b3\n", 0),
            ("OTEL_PROPAGATORS=b3,baggage\n", 1),
        ] {
            let found = seen("compose.yaml", text);
            assert_eq!(found["propagators"].as_array().map(Vec::len), Some(lines), "{text}");
        }
    }
}
