//! What the scenario files hold, before any selection and any run: the `suites` that checks see.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::{
    scenario::{Scenario, Suite},
    verdict,
};

/// The `suites` of the evidence document.
pub(crate) fn of(scenarios: &[Scenario]) -> Value {
    let of = |suite: Suite| scenarios.iter().filter(move |s| s.suite == suite && s.skip.is_none());
    let words = |text: &str| text.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>().join(" ");
    let distinct: BTreeSet<(String, String)> = of(Suite::Golden)
        .map(|s| {
            let said: Vec<String> = s.turns.iter().map(|turn| words(&turn.say)).collect();
            (said.join("\n"), serde_json::to_string(&s.given).unwrap_or_default())
        })
        .collect();
    let hands_off = |s: &&Scenario| s.expect.iter().any(|e| e.raw.handoff == Some(true));
    let attacks: Vec<_> = of(Suite::Adversarial).filter(|s| s.is_attack()).filter_map(|s| s.attack.as_ref()).collect();
    let mut families = BTreeMap::<(&str, &str, &str), usize>::new();
    for attack in &attacks {
        *families.entry((&attack.goal, &attack.carrier, &attack.technique)).or_default() += 1;
    }
    let largest = families.values().max().copied().unwrap_or_default();
    #[expect(clippy::cast_precision_loss, reason = "counts of scenarios stay far below 2^52")]
    let share = if attacks.is_empty() { 0.0 } else { largest as f64 / attacks.len() as f64 };
    let cases: Vec<&Scenario> = of(Suite::Incident).collect();
    let case = |s: &&Scenario| json!({"id": s.id, "incident": s.incident, "source": s.source});
    json!({
        "golden": {
            "scenarios": of(Suite::Golden).count(),
            "distinct": distinct.len(),
            "handoff_scenarios": of(Suite::Golden).filter(hands_off).count(),
        },
        "adversarial": {
            "scenarios": attacks.len(),
            "clusters": families.len(),
            "carriers": attacks.iter().map(|a| a.carrier.as_str()).collect::<BTreeSet<_>>(),
            "techniques": attacks.iter().map(|a| a.technique.as_str()).collect::<BTreeSet<_>>(),
            "largest_family_share": share,
            "text_only": of(Suite::Adversarial).filter(|s| s.is_text_only()).count(),
        },
        "incident": {
            "scenarios": cases.len(),
            "cases": cases.iter().map(case).collect::<Vec<_>>(),
            "incidents": cases.iter().filter_map(|s| s.incident.as_deref()).collect::<BTreeSet<_>>(),
        },
    })
}

/// Adds what a run showed of the incident cases to the `suites` of the evidence document: the cases that passed, and
/// the incidents of which every case was run and passed.
pub(crate) fn add_results(suites: &mut Value, rows: &[verdict::Scenario]) {
    let Some(incident) = suites.get_mut("incident").and_then(Value::as_object_mut) else { return };
    let passed: BTreeSet<&str> =
        rows.iter().filter(|row| row.trials > 0 && row.passed == row.trials).map(|row| row.id.as_str()).collect();
    let mut guarded = BTreeMap::<String, bool>::new();
    let mut ids = Vec::new();
    for case in incident.get("cases").and_then(Value::as_array).into_iter().flatten() {
        let id = case.get("id").and_then(Value::as_str).unwrap_or_default();
        let holds = passed.contains(id);
        ids.extend(holds.then(|| id.to_owned()));
        if let Some(guards) = case.get("incident").and_then(Value::as_str) {
            *guarded.entry(guards.to_owned()).or_insert(true) &= holds;
        }
    }
    let guarded: Vec<String> = guarded.into_iter().filter_map(|(id, holds)| holds.then_some(id)).collect();
    incident.insert("passed".to_owned(), json!(ids));
    incident.insert("guarded".to_owned(), json!(guarded));
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::{add_results, of};
    use crate::{grade::Grade, scenario, source::Files, verdict};

    fn suites(text: &str) -> Value {
        let files = Files::texts(BTreeMap::from([("a.yaml".to_owned(), text.into())]));
        of(&scenario::load(&files, &["a.yaml".to_owned()]).expect("scenarios"))
    }

    fn row(id: &str, trials: u32, passed: u32) -> verdict::Scenario {
        let grade = if passed == trials { Grade::Pass } else { Grade::FailB };
        verdict::Scenario {
            id: id.to_owned(),
            suite: "incident".to_owned(),
            grade,
            trials,
            passed,
            duration_ms: 1,
            twin_of: None,
        }
    }

    #[test]
    fn attacks_of_words_only_are_counted_apart() {
        let text = "suite: adversarial\nscenarios:\n\
            \x20 words: {say: a, attack: {goal: g, carrier: user-turn, technique: t}, expect: [{refusal: true}]}\n\
            \x20 calls: {say: b, attack: {goal: g, carrier: user-turn, technique: u}, expect: [{never: [x]}]}\n\
            \x20 soft: {say: c, attack: {goal: g, carrier: user-turn, technique: v}, expect: [{never: [x], fails: B}]}\n";
        let found = suites(text);
        assert_eq!(found["adversarial"]["scenarios"], 1);
        assert_eq!(found["adversarial"]["text_only"], 2);
        assert_eq!(found["adversarial"]["techniques"], json!(["u"]));
    }

    #[test]
    fn an_incident_is_guarded_when_every_case_of_it_passed() {
        let text = "suite: incident\nscenarios:\n\
            \x20 one: {say: a, incident: INC-1, source: trace, expect: [{refusal: true}]}\n\
            \x20 two: {say: b, incident: INC-1, expect: [{refusal: true}]}\n\
            \x20 old: {say: b, incident: INC-0, skip: gone, expect: [{refusal: true}]}\n\
            \x20 free: {say: b, expect: [{refusal: true}]}\n";
        let found = suites(text);
        assert_eq!(found["incident"]["scenarios"], 3);
        assert_eq!(found["incident"]["incidents"], json!(["INC-1"]));
        assert_eq!(found["incident"]["cases"][1], json!({"id": "one", "incident": "INC-1", "source": "trace"}));
        for (rows, guarded, passed) in [
            (vec![row("one", 1, 1), row("two", 2, 2)], json!(["INC-1"]), json!(["one", "two"])),
            (vec![row("one", 1, 1), row("two", 2, 1)], json!([]), json!(["one"])),
            (vec![row("one", 1, 1)], json!([]), json!(["one"])),
            (vec![row("one", 0, 0), row("two", 1, 1)], json!([]), json!(["two"])),
        ] {
            let mut found = found.clone();
            add_results(&mut found, &rows);
            assert_eq!((&found["incident"]["guarded"], &found["incident"]["passed"]), (&guarded, &passed), "{rows:?}");
        }
    }
}
