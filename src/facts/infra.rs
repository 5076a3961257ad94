//! What files of the infrastructure say about the audit trail: storage that nobody can change, context that is passed on.
//!
//! `facts.infra.storage` holds `path`, `locked` (a retention that nobody can lift) and `days` of the lock that the
//! Terraform files set on `audit.storage.bucket`; it is left out when they set none. `facts.infra.propagators` lists the
//! settings that make clients pass W3C trace context or baggage on: `path`, `line`. Must not judge.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Value, json};

use super::Shelf;

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
static RESOURCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"resource\s+"(aws_s3_bucket_object_lock_configuration|google_storage_bucket|azurerm_storage_container_immutability_policy)"\s+"[^"]*"\s*\{"#,
    )
});
static LOCKED: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"(?i)mode\s*=\s*"compliance"|is_locked\s*=\s*true|\blocked\s*=\s*true"#));
static PERIOD: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"\b(days|years|retention_period|immutability_period_in_days)\s*=\s*(\d+)"));
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

fn storage(shelf: &Shelf<'_>, bucket: &str) -> Option<Value> {
    let quoted = format!("\"{bucket}\"");
    let paths = TERRAFORM.iter().flat_map(|pattern| shelf.matching(pattern));
    paths.into_iter().find_map(|path| {
        let file = shelf.text(&path)?;
        let text = file.text();
        // The lock may name the bucket by reference; the file that sets it has to say which bucket that is.
        if !text.contains(&quoted) {
            return None;
        }
        let start = RESOURCE.find_iter(text).next()?.end();
        let block = block(text.get(start..)?);
        let days = PERIOD.captures(block).and_then(|found| {
            let number: u64 = found.get(2)?.as_str().parse().ok()?;
            Some(match found.get(1)?.as_str() {
                "years" => number.saturating_mul(365),
                "retention_period" => number / 86_400,
                _ => number,
            })
        });
        Some(json!({"path": path, "locked": LOCKED.is_match(block), "days": days.unwrap_or(0)}))
    })
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
                     \"b\" {{\n rule {{ default_retention {{ mode = \"{mode}\"\n years = 2 }} }}\n}}\n"
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
