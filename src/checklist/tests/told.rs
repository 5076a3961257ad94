//! What a check says of many items is what it says of each alone.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Catalogue, Files, ManifestView, assess, sound};
use crate::checklist::Example;

/// Texts of findings that print fields, ask for them and work on them.
const FINDINGS: [&str; 5] = [
    "`{{ it.a }}` of {{ it.b }}",
    "{% if it.a %}{{ it.a }}{% elif not it.b %}nothing{% else %}{{ it.b }}{% endif %} at {{ rung }}",
    "{% if it.a == 'x' %}x{% endif %}{{ it.b }}{% for one in it.c | default([]) %} {{ one }} {{ it.b }}{% endfor %}",
    "{{ it.a | upper }} {{ it.b ~ '' }} {% filter upper %}{{ it.b }}{% endfilter %}",
    "{% if it.c is defined %}{{ it.c }}{% endif %} {{- it.a -}} {{ it.d | default('none') }}",
];

fn told(catalogue: &Catalogue, items: &[Value]) -> Vec<String> {
    let agent = sound::with(&Example::default()).expect("loads");
    let mut evidence = json!({"live": false, "now": 0, "items": items});
    let view =
        ManifestView { profiles: super::select(&["advisory".to_owned()]).expect("known"), ..agent.view(Vec::new()) };
    let findings = assess(catalogue, &mut evidence, &view).findings;
    findings.into_iter().filter(|one| one.check == "team/told").map(|one| one.message).collect()
}

fn catalogue(finding: &str) -> Catalogue {
    let check = json!({
        "title": "T", "why": "W.", "severity": "blocker", "each": "items", "declared": "has(it.never)",
        "finding": finding, "fix": "X.", "sources": ["house/1"],
    });
    let files = Files::texts([("c/team/told.yaml".to_owned(), Arc::from(check.to_string()))].into());
    Catalogue::embedded().with_folder(&files, "c").expect("loads")
}

fn items() -> impl Strategy<Value = Vec<Value>> {
    let text = prop_oneof![
        "[ab]{0,2}",
        Just("\u{fdd0}b\u{fdd0}".to_owned()),
        Just("{{ it.b }}".to_owned()),
        Just("x".to_owned())
    ];
    let field = prop_oneof![
        6 => text.prop_map(Value::from),
        1 => (0_i64..3).prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => prop::collection::vec("[ab]", 0..3).prop_map(Value::from),
    ];
    let item = prop::collection::btree_map("[abcd]", field, 0..4);
    prop::collection::vec(item.prop_map(|item| item.into_iter().collect::<Value>()), 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn of_many_items_each_is_told_as_if_it_were_alone(items in items()) {
        for finding in FINDINGS {
            let catalogue = catalogue(finding);
            let mut alone: Vec<String> = items.iter().flat_map(|item| told(&catalogue, std::slice::from_ref(item))).collect();
            let mut together = told(&catalogue, &items);
            for told in [&mut alone, &mut together] {
                told.sort();
                // Two findings of one text at one check are one.
                told.dedup();
            }
            prop_assert_eq!(together, alone, "{}", finding);
        }
    }
}
