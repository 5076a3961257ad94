//! The KPIs by what they measure: whether the target is a comparison, and whether a query and a definition stand behind
//! it. Names are the team's own; what a KPI measures is read off the words in its name.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value, json};

use super::{Shelf, document};
use crate::source::Route;

/// What is measured, in words for people, and the words by which a KPI's name says so; the first that fits counts.
const KINDS: [(&str, &str, &[&str]); 8] = [
    ("cost-per-run", "cost per run", &["cost_per_", "cost_usd"]),
    ("critical-errors", "critical errors", &["critical"]),
    ("correct-escalation", "escalations that were right", &["correct_escalation", "correct_handoff"]),
    ("escalation", "escalation", &["escalation", "handoff_rate", "handover"]),
    ("handle-time", "handle time", &["handle_time", "resolution_time", "time_to_"]),
    ("policy-violations", "policy violations", &["violation"]),
    ("satisfaction", "satisfaction", &["csat", "satisfaction", "nps"]),
    ("task-success", "task success", &["task_success", "completion", "success_rate", "resolved"]),
];

static COMPARISON: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(<=|>=|<|>|==)\s*([-+]?[0-9][0-9_]*(?:\.[0-9]+)?)\s*(%|ms|s|m|h|d|usd|USD|points)?$")
        .expect("the pattern is valid")
});

/// By kind: the KPI's name, place and target, whether the target `compares`, whether there is a `query`, and whether it
/// is `defined` (numerator and denominator, or a definition in words).
pub(super) fn facts(shelf: &Shelf<'_>, manifest: &Value) -> Map<String, Value> {
    let kpis = manifest.get("kpis").and_then(Value::as_object);
    let path = manifest.pointer("/observability/queries").and_then(Value::as_str);
    let queries = path.and_then(|path| document::value(shelf, path));
    let queries = queries.as_ref().map(|queries| queries.get("queries").unwrap_or(queries));
    let mut facts: Map<String, Value> = KINDS
        .iter()
        .map(|(kind, what, _)| ((*kind).to_owned(), json!({"at": "/kpis", "what": what, "queries": path})))
        .collect();
    for (name, target) in kpis.into_iter().flatten() {
        let Some((kind, what)) = kind(name) else { continue };
        let target = target.as_str().unwrap_or_default();
        let entry = queries.and_then(|queries| queries.get(name));
        let says =
            |key: &str| entry.and_then(|entry| entry.get(key)?.as_str()).is_some_and(|text| !text.trim().is_empty());
        let fact = json!({
            "at": Route::pointer("/kpis").join(name).as_str(),
            "what": what,
            "name": name,
            "target": target,
            "compares": COMPARISON.is_match(target.trim()),
            "limit": limit(target),
            "queries": path,
            "query": says("query") || says("expr") || entry.is_some_and(Value::is_string),
            "defined": says("numerator") && says("denominator") || says("definition"),
        });
        // Of two of a kind the one that falls short is told.
        let whole = |fact: &Value| {
            ["compares", "query", "defined"].iter().all(|key| fact.get(*key) == Some(&Value::Bool(true)))
        };
        if facts.get(kind).is_none_or(|known| known.get("name").is_none() || whole(known)) {
            facts.insert(kind.to_owned(), fact);
        }
    }
    facts
}

/// What a KPI is to come to: a comparison with a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Target {
    sign: Sign,
    /// The number.
    pub limit: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    Below,
    AtMost,
    Is,
    AtLeast,
    Above,
}

impl Target {
    /// Reads `<= 4.00`; nothing when the text is no comparison with a number.
    pub fn read(text: &str) -> Option<Self> {
        let sign = match COMPARISON.captures(text.trim())?.get(1)?.as_str() {
            "<" => Sign::Below,
            "<=" => Sign::AtMost,
            "==" => Sign::Is,
            ">=" => Sign::AtLeast,
            _ => Sign::Above,
        };
        Some(Self { sign, limit: limit(text)? })
    }

    /// As checks see it.
    pub(super) fn json(self) -> Value {
        json!({"limit": self.limit, "at_most": matches!(self.sign, Sign::Below | Sign::AtMost)})
    }

    /// Whether a value fits.
    pub fn is_met(self, value: f64) -> bool {
        match self.sign {
            Sign::Below => value < self.limit,
            Sign::AtMost => value <= self.limit,
            Sign::Is => (value - self.limit).abs() < f64::EPSILON,
            Sign::AtLeast => value >= self.limit,
            Sign::Above => value > self.limit,
        }
    }
}

/// The number of a target; of a share its value, so that `0.1%` is 0.001.
fn limit(target: &str) -> Option<f64> {
    let number = COMPARISON.captures(target.trim())?.get(2)?.as_str().replace('_', "").parse::<f64>().ok()?;
    Some(if target.trim_end().ends_with('%') { number / 100.0 } else { number })
}

fn kind(name: &str) -> Option<(&'static str, &'static str)> {
    let name = name.to_lowercase().replace('-', "_");
    let found = KINDS.iter().find(|(_, _, words)| words.iter().any(|word| name.contains(word)));
    found.map(|(kind, what, _)| (*kind, *what))
}

#[cfg(test)]
mod tests {
    use super::{COMPARISON, Target, kind, limit};

    #[test]
    fn a_target_is_a_comparison_with_a_number() {
        for (target, expected) in [
            (">= 85%", true),
            ("<= 0.1%", true),
            ("< 1.20", true),
            ("<= 3m", true),
            (">= 0", true),
            ("high", false),
            ("85%", false),
            (">= most", false),
        ] {
            assert_eq!(COMPARISON.is_match(target), expected, "{target}");
        }
        assert_eq!((limit("<= 0.1%"), limit("< 1.20"), limit("low")), (Some(0.001), Some(1.2), None));
    }

    #[test]
    fn a_value_fits_its_target_or_not() {
        for (target, value, fits) in [
            ("< 1.20", 1.2, false),
            ("< 1.20 usd", 1.19, true),
            ("<= 4.00", 4.0, true),
            ("<= 4.00", 4.01, false),
            (">= 85%", 0.85, true),
            ("> 0", 0.0, false),
            ("== 0", 0.0, true),
        ] {
            assert_eq!(Target::read(target).map(|target| target.is_met(value)), Some(fits), "{value} {target}");
        }
        assert_eq!(Target::read("cheap"), None);
    }

    #[test]
    fn what_a_kpi_measures_is_in_its_name() {
        for (name, expected) in [
            ("task_success_rate", Some("task-success")),
            ("critical_error_rate", Some("critical-errors")),
            ("correct_escalation_rate", Some("correct-escalation")),
            ("escalation-rate", Some("escalation")),
            ("handle_time_p50", Some("handle-time")),
            ("csat_delta", Some("satisfaction")),
            ("policy_violations_per_run", Some("policy-violations")),
            ("cost_per_success_usd", Some("cost-per-run")),
            ("moon_phase", None),
        ] {
            assert_eq!(kind(name).map(|(kind, _)| kind), expected, "{name}");
        }
    }
}
