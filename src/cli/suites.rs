//! What the scenario files hold, before any selection and any run: the `suites` that checks see.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::scenario::{Scenario, Suite};

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
    let attacks: Vec<_> = of(Suite::Adversarial).filter_map(|s| s.attack.as_ref()).collect();
    let mut families = BTreeMap::<(&str, &str, &str), usize>::new();
    for attack in &attacks {
        *families.entry((&attack.goal, &attack.carrier, &attack.technique)).or_default() += 1;
    }
    let largest = families.values().max().copied().unwrap_or_default();
    #[expect(clippy::cast_precision_loss, reason = "counts of scenarios stay far below 2^52")]
    let share = if attacks.is_empty() { 0.0 } else { largest as f64 / attacks.len() as f64 };
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
        },
        "incident": {"scenarios": of(Suite::Incident).count()},
    })
}
