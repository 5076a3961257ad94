//! Every kind of step back, over the complete manifest.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{State, Weakening, weakenings};
use crate::{
    checklist::{Example, Severity, resolve, sound},
    source::{SourceFile, load_text},
};

/// The steps back of a manifest that differs from the complete one by a piece.
fn steps(piece: &Value) -> Vec<Weakening> {
    let base = sound::with(&Example::default()).expect("loads");
    let now = sound::with(&Example { manifest: piece.clone(), ..Example::default() }).expect("loads");
    let numbers = |evidence: &Value| {
        let claims = serde_json::from_value(evidence["manifest"]["gate"]["thresholds"].clone()).expect("a map");
        let names: Vec<String> =
            serde_json::from_value(evidence["manifest"]["gate"]["profiles"].clone()).expect("a list");
        resolve(&claims, &names).expect("resolves")
    };
    let (old, new) = (numbers(&base.evidence), numbers(&now.evidence));
    let (none, checks) = (BTreeSet::new(), BTreeMap::new());
    weakenings(
        &State { evidence: &base.evidence, thresholds: &old, scenarios: &none, checks: &checks },
        &State { evidence: &now.evidence, thresholds: &new, scenarios: &none, checks: &checks },
    )
}

#[test]
fn every_step_back_is_said_once_at_its_place() {
    let text = include_str!("steps.yaml");
    let table = load_text::<Value>(SourceFile::new("steps.yaml", text)).expect("is YAML").value;
    for row in table.as_array().expect("a list") {
        let (piece, at) = (&row["piece"], row["at"].as_str().expect("a place"));
        let found = steps(piece);
        let own: Vec<_> = found.iter().map(|one| json!([one.at.as_str(), one.message])).collect();
        assert_eq!(own, [json!([at, row["says"]])], "{piece}");
        let is_gate = at.starts_with("/gate") || at.starts_with("/evals");
        assert!(found.iter().all(|one| one.gate == is_gate), "{piece}");
    }
}

#[test]
fn added_and_prolonged_waivers_are_steps_back() {
    let waiver =
        |check: &str, expires: &str| json!({"check": check, "reason": "r", "approved_by": "b", "expires": expires});
    let known = "observability/retrieval-provenance";
    let longer = steps(&json!({"gate": {"waivers": [waiver(known, "2027-06-30")]}}));
    assert_eq!(
        longer.first().map(|one| one.message.as_str()),
        Some("gate.waivers: the waiver of observability/retrieval-provenance went from 2027-01-31 to 2027-06-30")
    );
    let more =
        steps(&json!({"gate": {"waivers": [waiver(known, "2027-01-31"), waiver("scope/spec-page", "2027-01-01")]}}));
    assert_eq!(more.first().map(|one| one.at.as_str()), Some("/gate/waivers/1"));
    assert_eq!(more.len(), 1, "{more:#?}");
}

#[test]
fn what_gets_stricter_is_no_step_back() {
    for piece in [
        json!({}),
        json!({"gate": {"thresholds": {"golden_scenarios": 400}, "waivers": [], "profiles": ["strict", "autopilot", "go-no-go", "agentops"]}}),
        json!({"tools": {"issue_refund": {"allow": "never"}, "read_more": {"system": "kb", "effect": "read"}}}),
        json!({"budgets": {"per_run": {"tool_calls": 5}}, "policy": {"forbidden": {"more": ["x_*"]}}}),
        json!({"systems": {"mail": {"credentials": {"write": {"scopes": []}}}, "new": {"mcp": "https://n.example"}}}),
    ] {
        assert_eq!(steps(&piece), [], "{piece}");
    }
}

#[test]
fn scenarios_and_own_checks_that_go_are_steps_back() {
    let base = sound::with(&Example::default()).expect("loads");
    let numbers = resolve(&BTreeMap::new(), &[]).expect("resolves");
    let (all, few) = (["golden/a", "incident/b"], ["golden/a"]);
    let [all, few] =
        [all.to_vec(), few.to_vec()].map(|ids| ids.into_iter().map(str::to_owned).collect::<BTreeSet<_>>());
    let old = BTreeMap::from([("team/x".to_owned(), Severity::Blocker), ("team/y".to_owned(), Severity::Minor)]);
    let new = BTreeMap::from([("team/x".to_owned(), Severity::Major)]);
    let state = |scenarios, checks| State { evidence: &base.evidence, thresholds: &numbers, scenarios, checks };
    let said: Vec<String> =
        weakenings(&state(&all, &old), &state(&few, &new)).into_iter().map(|one| one.message).collect();
    assert_eq!(
        said,
        [
            "evals.incidents: the scenario `b` was taken away",
            "the own check team/x went from blocker to major",
            "the own check team/y was taken away",
        ]
    );
    assert_eq!(weakenings(&state(&few, &new), &state(&few, &new)), []);
}
