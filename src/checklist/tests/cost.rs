//! How far the cost of a success is shown by what a run counted: each part by what it needs, and by nothing less.

use serde_json::{Value, json};

use super::{super::Example, assessed, evidence, result};
use crate::checklist::Rung;

/// A run of 20 golden trials in which all was counted and told.
fn whole() -> Value {
    let mut metrics = json!({"cost_trials": 20, "cost_paid_calls": 4, "cost_reviews": 3, "cost_per_success_usd": 0.9,
        "cost_per_success_inference_usd": 0.1, "cost_per_success_met": 1});
    for part in ["inference", "tools", "review"] {
        for (what, trials) in [("whole", 20), ("told", 20), ("off", 0)] {
            metrics[format!("cost_{part}_{what}")] = trials.into();
        }
    }
    metrics
}

#[test]
fn the_cost_of_a_success_is_proven_by_a_whole_count_that_the_agent_tells_too() {
    let cases = [
        (json!({}), Rung::Proven),
        // Nothing that costs anything was seen.
        (json!({"cost_per_success_inference_usd": 0}), Rung::Verified),
        (json!({"cost_paid_calls": 0}), Rung::Verified),
        (json!({"cost_reviews": 0}), Rung::Verified),
        // Not in each trial.
        (json!({"cost_inference_whole": 19}), Rung::Verified),
        (json!({"cost_review_whole": 19}), Rung::Verified),
        (json!({"cost_inference_told": 0}), Rung::Verified),
        (json!({"cost_tools_told": 19}), Rung::Verified),
        (json!({"cost_review_told": 0}), Rung::Verified),
        // No target that could be compared.
        (json!({"cost_per_success_met": null}), Rung::Verified),
        (json!({"cost_per_success_met": 0}), Rung::Refuted),
        (json!({"cost_inference_off": 1}), Rung::Refuted),
        (json!({"cost_tools_off": 1}), Rung::Refuted),
        (json!({"cost_review_off": 1}), Rung::Refuted),
    ];
    let sound = evidence(&Example::default());
    for (change, expected) in cases {
        let mut document = sound.clone();
        let metrics = document["metrics"].as_object_mut().expect("metrics");
        let with = [whole(), change.clone()].into_iter().filter_map(|piece| piece.as_object().cloned());
        metrics.extend(with.flatten().filter(|(_, value)| !value.is_null()));
        metrics.retain(|name, _| change.get(name) != Some(&Value::Null));
        let assessment = assessed(&document, Vec::new(), &["go-no-go"]);
        assert_eq!(result(&assessment, "cost/per-success").rung, expected, "{change}");
    }
    let unseen = assessed(&sound, Vec::new(), &["go-no-go"]);
    assert_eq!(result(&unseen, "cost/per-success").rung, Rung::Verified, "a run that counted nothing");
}
