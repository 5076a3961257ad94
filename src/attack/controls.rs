//! Which controls of frameworks an attack tests, by the parts that it is made of. Pure.

use std::collections::BTreeSet;

use super::pack::BASE;
use crate::scenario::Attack;

/// The carrier of words that others wrote and that came by a tool, whatever its name.
const BY_A_TOOL: &str = "tool-result";

/// Names the controls that an attack tests: framework with version, then the control. Parts that the pack does not know,
/// such as a team's own goals, name none.
pub fn controls(attack: &Attack) -> BTreeSet<String> {
    let carrier = BASE.carriers.get(&attack.carrier);
    let carrier = carrier.or_else(|| BASE.carriers.get(BY_A_TOOL).filter(|_| attack.through().is_some()));
    let fault = BASE.faults.get(&attack.technique).filter(|_| attack.is_fault());
    let encoding = attack.encoding.as_ref().and_then(|name| BASE.encodings.get(name));
    let parts = [
        BASE.goals.get(&attack.goal).map(|goal| &goal.file.controls),
        carrier.map(|carrier| &carrier.file.controls),
        BASE.techniques.get(&attack.technique).map(|technique| &technique.controls),
        encoding.map(|encoding| &encoding.controls),
        fault.map(|malady| &malady.file.controls),
    ];
    let named = parts.into_iter().flatten().flatten();
    named
        .flat_map(|(framework, controls)| controls.iter().map(move |control| format!("{framework} {control}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{BASE, controls};
    use crate::{
        checklist::frameworks,
        scenario::{Attack, FAULT},
    };

    fn attack(goal: &str, carrier: &str, technique: &str) -> Attack {
        Attack {
            goal: goal.to_owned(),
            carrier: carrier.to_owned(),
            tool: None,
            technique: technique.to_owned(),
            encoding: None,
            marker: None,
        }
    }

    #[test]
    fn an_attack_tests_the_controls_of_its_parts() {
        for (made, named, absent) in [
            (attack("system-prompt", "user-turn", "override"), "owasp-llm@2025 LLM07", "mitre-atlas@5.6 AML.T0051.001"),
            (attack("a-goal-of-ours", "read_ticket", "ours"), "mitre-atlas@5.6 AML.T0099", "owasp-llm@2025 LLM07"),
            (attack("unfounded-write", FAULT, "silent"), "owasp-asi@2026 ASI08", "mitre-atlas@5.6 AML.T0051.001"),
        ] {
            let found = controls(&made);
            assert!(found.contains(named) && !found.contains(absent), "{made:?}: {found:?}");
        }
        let disguised = Attack { encoding: Some("morse".to_owned()), ..attack("ours", "user-turn", "ours") };
        assert!(controls(&disguised).contains("mitre-atlas@5.6 AML.T0068"));
    }

    #[test]
    fn every_control_of_the_pack_stands_in_its_framework() {
        let known = frameworks();
        let parts = BASE.goals.values().map(|goal| &goal.file.controls);
        let parts = parts.chain(BASE.carriers.values().map(|carrier| &carrier.file.controls));
        let parts = parts.chain(BASE.techniques.values().map(|technique| &technique.controls));
        let parts = parts.chain(BASE.encodings.values().map(|encoding| &encoding.controls));
        let parts = parts.chain(BASE.faults.values().map(|malady| &malady.file.controls));
        assert!(BASE.encodings.iter().all(|(name, e)| e.controls.is_empty() == (name == "plain")));
        for (name, controls) in parts.flatten() {
            let framework = known.get(name).unwrap_or_else(|| panic!("no framework `{name}`"));
            for control in controls {
                assert!(framework.controls.contains_key(control), "{name} has no `{control}`");
            }
        }
    }
}
