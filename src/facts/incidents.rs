//! Records of incidents and of exercises, as `incident.records` names them.
//!
//! A record is a map in YAML, JSON or TOML (or a list of maps):
//!
//! ```yaml
//! id: INC-7
//! severity: high                       # high and critical ask for a postmortem in time
//! detected_at: 2026-10-01T09:00:00Z
//! resolved_at: 2026-10-01T11:30:00Z
//! postmortem_at: 2026-10-02T15:00:00Z
//! root_cause: policy-gap               # policy-gap, tool-misuse, retrieval, planning-loop; `other` with `root_cause_text`
//! fix: {kind: policy, ref: "acme/refund-agent#311"}      # code, policy or tool-schema
//! ```
//! An exercise says `exercise: true`, who took part (`people`), and when each step was reached: `alert_at`, `paged_at`,
//! `acknowledged_at`, `switched_off_at`, `rolled_back_at`.
//!
//! `facts.incidents` has an entry per incident: what the record says, `path`, `high`, `hours` from detection to
//! postmortem, `cause_named`, `fix_named`, `fix_referred`, and `error` where the file is no record.
//! `facts.exercises` has an entry per exercise: `at_day` (the day of the alert) and `lacks`, the steps without a time.
//! Must not judge.

use std::collections::BTreeSet;

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde_json::{Map, Value, json};

use super::{Shelf, document};

/// Classes of causes that say which kind of control failed.
const CAUSES: [&str; 4] = ["policy-gap", "tool-misuse", "retrieval", "planning-loop"];

/// Kinds of fix that change a control; a sentence in a prompt is none.
const FIXES: [&str; 3] = ["code", "policy", "tool-schema"];

/// What an exercise must have a time for.
const STEPS: [&str; 5] = ["alert_at", "paged_at", "acknowledged_at", "switched_off_at", "rolled_back_at"];

/// Where records lie.
const USUAL: &str = "incidents/*.yaml";

/// Incidents and exercises.
pub(super) fn facts(shelf: &Shelf<'_>, manifest: &Value) -> (Vec<Value>, Vec<Value>) {
    let paths = paths(shelf, manifest);
    let mut incidents = Vec::new();
    let mut exercises = Vec::new();
    for path in paths {
        let said = match document::value(shelf, &path) {
            Some(Value::Array(items)) => items,
            Some(one) => vec![one],
            None => vec![Value::Null],
        };
        for one in &said {
            match one {
                Value::Object(map) if map.get("exercise") == Some(&Value::Bool(true)) => {
                    exercises.push(exercise(&path, map));
                }
                Value::Object(map) => incidents.push(incident(&path, map)),
                _ => incidents.push(json!({"path": path, "at": "/incident/records", "id": path, "high": true,
                    "error": "is no map of a record's fields"})),
            }
        }
    }
    (incidents, exercises)
}

/// The files that hold records: those that the manifest names, or those at the usual place where it names none that exist.
pub(super) fn paths(shelf: &Shelf<'_>, manifest: &Value) -> BTreeSet<String> {
    let patterns = manifest.pointer("/incident/records").and_then(Value::as_array).into_iter().flatten();
    let stated: BTreeSet<String> = patterns.filter_map(Value::as_str).flat_map(|one| shelf.matching(one)).collect();
    if stated.is_empty() { shelf.matching(USUAL).into_iter().collect() } else { stated }
}

fn text<'a>(map: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    map.get(key)?.as_str().map(str::trim).filter(|text| !text.is_empty())
}

fn time(map: &Map<String, Value>, key: &str) -> Option<Timestamp> {
    text(map, key)?.parse().ok()
}

/// When the postmortem was written; of a day its end.
fn written(map: &Map<String, Value>) -> Option<Timestamp> {
    let day = || text(map, "postmortem_at")?.parse::<Date>().ok()?.tomorrow().ok()?.to_zoned(TimeZone::UTC).ok();
    time(map, "postmortem_at").or_else(|| Some(day()?.timestamp()))
}

fn incident(path: &str, map: &Map<String, Value>) -> Value {
    let severity = text(map, "severity").unwrap_or_default().to_lowercase();
    let detected = time(map, "detected_at");
    let hours = || {
        let hours = written(map)?.duration_since(detected?).as_secs_f64() / 3600.0;
        Some((hours * 10.0).round() / 10.0)
    };
    let cause = text(map, "root_cause");
    let named = cause.is_some_and(|cause| CAUSES.contains(&cause))
        || cause == Some("other")
            && text(map, "root_cause_text").is_some_and(|text| text.split_whitespace().count() >= 5);
    let fixes: Vec<&Map<String, Value>> = match map.get("fix") {
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_object).collect(),
        Some(Value::Object(one)) => vec![one],
        _ => Vec::new(),
    };
    let lasting: Vec<_> =
        fixes.iter().filter(|fix| text(fix, "kind").is_some_and(|kind| FIXES.contains(&kind))).collect();
    let kinds: Vec<&str> = fixes.iter().filter_map(|fix| text(fix, "kind")).collect();
    json!({
        "path": path,
        "at": "/incident/records",
        "id": text(map, "id").unwrap_or(path),
        "severity": severity,
        // What says nothing of its weight counts as heavy.
        "high": !matches!(severity.as_str(), "low" | "medium" | "minor" | "moderate" | "sev3" | "sev4"),
        "detected_day": text(map, "detected_at").filter(|_| detected.is_some()),
        "resolved": time(map, "resolved_at").is_some(),
        "written": written(map).is_some(),
        "hours": hours(),
        "root_cause": cause,
        "cause_named": named,
        "fix_kinds": kinds,
        "fix_named": !lasting.is_empty(),
        "fix_referred": !lasting.is_empty() && lasting.iter().all(|fix| text(fix, "ref").is_some_and(is_reference)),
    })
}

/// Whether a text leads to a change: a commit, a pull request, or an address.
fn is_reference(text: &str) -> bool {
    let is_commit = (7..=64).contains(&text.len()) && text.chars().all(|c| c.is_ascii_hexdigit());
    let numbered =
        |mark| text.rsplit_once(mark).is_some_and(|(_, n)| !n.is_empty() && n.chars().all(|c| c.is_ascii_digit()));
    is_commit || numbered('#') || numbered('!') || text.starts_with("https://")
}

fn exercise(path: &str, map: &Map<String, Value>) -> Value {
    let mut lacks: Vec<&str> = STEPS.into_iter().filter(|step| time(map, step).is_none()).collect();
    let people = map.get("people").and_then(Value::as_array).is_some_and(|people| !people.is_empty());
    if !people {
        lacks.push("people");
    }
    let waited = time(map, "acknowledged_at").zip(time(map, "paged_at"));
    let waited = waited.map(|(acknowledged, paged)| acknowledged.as_second() - paged.as_second());
    json!({
        "path": path,
        "at": "/incident/records",
        "id": text(map, "id").unwrap_or(path),
        "at_day": text(map, "alert_at"),
        "acknowledged_after_s": waited,
        "lacks": lacks,
    })
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use serde_json::{Value, json};

    use super::{super::Shelf, facts};
    use crate::source::Files;

    #[test]
    fn records_at_the_usual_place_count_whatever_the_manifest_leaves_out() {
        let files = Files::texts([("incidents/INC-7.yaml".to_owned(), Arc::from("id: INC-7\n"))].into());
        let shelf = Shelf::new(&files, "agentready.yaml");
        for records in [json!([]), json!(["records/*.yaml"]), json!(["incidents/*.yaml"])] {
            let found = facts(&shelf, &json!({"incident": {"records": records}})).0;
            assert_eq!(found.len(), 1, "{records}");
        }
    }

    #[test]
    fn a_day_is_a_time_too_and_ends_late() {
        let incident = seen("id: I\ndetected_at: 2026-10-01T00:00:00Z\npostmortem_at: 2026-10-02\n").0.remove(0);
        assert_eq!((&incident["written"], &incident["hours"]), (&json!(true), &json!(48.0)));
    }

    fn seen(text: &str) -> (Vec<Value>, Vec<Value>) {
        let texts: BTreeMap<String, Arc<str>> = [("incidents/a.yaml".to_owned(), Arc::from(text))].into();
        let files = Files::texts(texts);
        let shelf = Shelf::new(&files, "agentready.yaml");
        facts(&shelf, &json!({"incident": {"records": ["incidents/*.yaml"]}}))
    }

    #[test]
    fn a_record_gives_its_times_cause_and_fix() {
        let (incidents, exercises) = seen(
            "id: INC-7\nseverity: high\ndetected_at: 2026-10-01T09:00:00Z\npostmortem_at: 2026-10-06T09:00:00Z\n\
             root_cause: human error\nfix: {kind: prompt}\n",
        );
        let incident = incidents.first().expect("one record");
        assert!(exercises.is_empty());
        assert_eq!(
            (&incident["id"], &incident["hours"], &incident["high"]),
            (&json!("INC-7"), &json!(120.0), &json!(true))
        );
        assert_eq!((&incident["cause_named"], &incident["fix_named"]), (&json!(false), &json!(false)));
    }

    #[test]
    fn causes_and_fixes_are_told_by_class_and_reference() {
        for (text, cause, fix, referred) in [
            ("root_cause: retrieval\nfix: {kind: code, ref: 0a1b2c3d}", true, true, true),
            ("root_cause: other\nfix: {kind: policy, ref: \"acme/bot#31\"}", false, true, true),
            ("root_cause: other\nroot_cause_text: two words\nfix: {kind: code, ref: soon}", false, true, false),
            ("root_cause: other\nroot_cause_text: the cache gave an answer of yesterday\n", true, false, false),
            ("fix: [{kind: prompt}, {kind: tool-schema, ref: \"https://x.example/1\"}]", false, true, true),
        ] {
            let incident = seen(&format!("id: I\n{text}\n")).0.remove(0);
            let found = [&incident["cause_named"], &incident["fix_named"], &incident["fix_referred"]];
            assert_eq!(found, [&json!(cause), &json!(fix), &json!(referred)], "{text}");
        }
    }

    #[test]
    fn what_is_no_record_and_what_has_no_weight_count_as_high() {
        assert_eq!(seen("just a note").0[0]["error"], json!("is no map of a record's fields"));
        assert_eq!(seen("id: I\n").0[0]["high"], json!(true));
        assert_eq!(seen("id: I\nseverity: low\n").0[0]["high"], json!(false));
        assert_eq!(seen("- {id: A}\n- {id: B}\n").0.len(), 2, "a file may hold several");
    }

    #[test]
    fn an_exercise_lists_the_steps_it_lacks() {
        let (incidents, exercises) = seen(
            "exercise: true\nalert_at: 2026-10-06T13:00:00Z\npaged_at: 2026-10-06T13:01:00Z\n\
             acknowledged_at: 2026-10-06T13:05:00Z\nswitched_off_at: soon\n",
        );
        assert!(incidents.is_empty());
        assert_eq!(exercises[0]["lacks"], json!(["switched_off_at", "rolled_back_at", "people"]));
        assert_eq!(exercises[0]["acknowledged_after_s"], json!(240));
    }
}
