//! The chain of an audit log: each record holds the digest of the one before it in the same run, so that what was changed or
//! taken out shows. Must not judge.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::source::Files;

/// How many records hold a digest of the record before them in the same run, and how many of these are wrong.
pub(super) fn links(lines: &[&str], records: &[Value], runs: &[Option<String>]) -> Value {
    let mut last: BTreeMap<&str, &str> = BTreeMap::new();
    let (mut joined, mut broken, mut unlinked) = (0_usize, 0_usize, 0_usize);
    for ((line, record), run) in lines.iter().zip(records).zip(runs) {
        let before = last.insert(run.as_deref().unwrap_or_default(), line);
        match (before, record.get("prev").and_then(Value::as_str)) {
            (Some(before), Some(digest)) => {
                joined += 1;
                broken += usize::from(digest != Files::digest(before));
            }
            (Some(_), None) => unlinked += 1,
            (None, _) => {}
        }
    }
    json!({"links": joined, "broken": broken, "unlinked": unlinked})
}
