//! What production measured, day by day: `facts.series`.
//!
//! It comes from an export that `observability.metrics` names (or that the caller fetched): `{<name>: {<day>: <value>}}`,
//! names being those of `kpis` and of `observability.queries`, and beside them `runs` (runs a day), `tool_spans` and
//! `audit_events`. `facts.series` holds `opened` (else `why`), `days` (of `runs`, in a row, up to the newest), `newest`,
//! `least_runs`, `most_runs`, per KPI of the manifest `target`, `missed` (days on which it was not met), `drift` (relative change of
//! the mean from the first half of the days to the second), `mean` and `upper95` (one-sided, of the mean); `critical`,
//! the sums of `write_runs` (runs that wrote), `critical_errors` among them and `labelled` (runs that people looked at); and
//! `coverage`: the days, spans and audit events of the last week, and its `newest` day. Must not judge.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde_json::{Map, Value, json};

use crate::{
    facts::{Shelf, document},
    units::parse_duration,
};

type Days = BTreeMap<Date, f64>;

/// Facts of the export.
pub(super) fn facts(shelf: &Shelf<'_>, manifest: &Value, fetched: Option<&Result<Value, String>>) -> Value {
    let Some(place) = manifest.pointer("/observability/metrics").and_then(Value::as_str) else {
        return json!({"opened": false, "why": "no metrics are named", "days": 0});
    };
    let said = match fetched {
        _ if !place.contains("://") => {
            document::value(shelf, place).ok_or_else(|| format!("`{place}` can't be opened"))
        }
        Some(answer) => answer.clone(),
        None => Err("the metrics were not asked".to_owned()),
    };
    match said {
        Err(why) => json!({"opened": false, "why": why, "days": 0}),
        Ok(said) => opened(&said, manifest),
    }
}

fn opened(said: &Value, manifest: &Value) -> Value {
    let series: BTreeMap<&str, Days> =
        said.as_object().into_iter().flatten().map(|(name, days)| (name.as_str(), read(days))).collect();
    let none = Days::new();
    let of = |name: &str| series.get(name).unwrap_or(&none);
    let runs = of("runs");
    let span = in_a_row(runs);
    let kpis = manifest.get("kpis").and_then(Value::as_object).into_iter().flatten();
    let kpis: Map<String, Value> =
        kpis.filter_map(|(name, target)| Some((name.clone(), kpi(of(name), &span, target.as_str()?)))).collect();
    json!({
        "opened": true,
        "days": span.len(),
        "newest": span.last().map(ToString::to_string),
        "least_runs": span.iter().filter_map(|day| runs.get(day)).copied().min_by(f64::total_cmp),
        "most_runs": runs.values().copied().max_by(f64::total_cmp),
        "kpis": kpis,
        "critical": critical(&span, [of("write_runs"), of("critical_errors"), of("labelled")]),
        "coverage": coverage(of("tool_spans"), of("audit_events")),
    })
}

/// Runs that wrote, how many of them ended in a critical error, and how many runs people looked at, over those days.
fn critical(span: &[Date], [writes, errors, labelled]: [&Days; 3]) -> Value {
    let sum = |days: &Days| span.iter().filter_map(|day| days.get(day)).sum::<f64>();
    let (writes, errors) = (sum(writes), sum(errors));
    let share = if writes > 0.0 { Some(errors / writes) } else { None };
    json!({"write_runs": writes, "errors": errors, "share": share, "labelled": sum(labelled)})
}

fn read(days: &Value) -> Days {
    let days = days.as_object().into_iter().flatten();
    days.filter_map(|(day, value)| Some((day.parse().ok()?, value.as_f64()?))).collect()
}

/// The newest days that follow each other without a gap, oldest first.
fn in_a_row(series: &Days) -> Vec<Date> {
    let mut found: Vec<Date> = Vec::new();
    for day in series.keys().rev() {
        match found.last() {
            Some(later) if later.yesterday().ok() != Some(*day) => break,
            _ => found.push(*day),
        }
    }
    found.reverse();
    found
}

fn kpi(series: &Days, span: &[Date], target: &str) -> Value {
    let values: Vec<f64> = span.iter().filter_map(|day| series.get(day)).copied().collect();
    let missing = span.len() - values.len();
    let missed =
        target_of(target).map(|(op, wanted)| values.iter().filter(|value| !meets(**value, op, wanted)).count());
    let halves = values.split_at(values.len() / 2);
    let drift = match (mean(halves.0), mean(halves.1)) {
        (Some(before), Some(after)) if before.abs() > f64::EPSILON => Some((after - before).abs() / before.abs()),
        (Some(before), Some(after)) => Some((after - before).abs()),
        _ => None,
    };
    json!({
        "target": target,
        "days": values.len(),
        "missing": missing,
        "missed": missed,
        "drift": drift,
        "mean": mean(&values),
        "upper95": upper95(&values),
    })
}

/// `>= 85%` as its operator and number; times in seconds, shares as such.
fn target_of(text: &str) -> Option<(&str, f64)> {
    let text = text.trim();
    let end = text.find(|c: char| !matches!(c, '<' | '>' | '='))?;
    let (op, number) = text.split_at(end);
    let number = number.trim().trim_start_matches('$');
    let value = match number.strip_suffix('%') {
        Some(share) => share.trim().parse::<f64>().ok()? / 100.0,
        None => number.parse().ok().or_else(|| parse_duration(number).map(|time| time.as_secs_f64()))?,
    };
    Some((op, value))
}

fn meets(value: f64, op: &str, wanted: f64) -> bool {
    match op {
        ">=" => value >= wanted,
        ">" => value > wanted,
        "<=" => value <= wanted,
        "<" => value < wanted,
        _ => false,
    }
}

#[expect(clippy::cast_precision_loss, reason = "days are few")]
fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Upper end of the one-sided 95 % interval of the mean, by the normal approximation with a margin for few days.
#[expect(clippy::cast_precision_loss, reason = "days are few")]
fn upper95(values: &[f64]) -> Option<f64> {
    // Student's t of 13 degrees of freedom, two weeks; more days make it smaller.
    const T: f64 = 1.771;
    let middle = mean(values)?;
    let free = values.len().checked_sub(1).filter(|free| *free > 0)? as f64;
    let variance = values.iter().map(|value| (value - middle).powi(2)).sum::<f64>() / free;
    Some(middle + T * (variance / values.len() as f64).sqrt())
}

fn coverage(spans: &Days, events: &Days) -> Value {
    const WEEK: usize = 7;
    let both: Vec<Date> = in_a_row(spans).into_iter().filter(|day| events.contains_key(day)).rev().take(WEEK).collect();
    let sum = |series: &Days| both.iter().filter_map(|day| series.get(day)).sum::<f64>();
    json!({"days": both.len(), "newest": both.first().map(ToString::to_string), "spans": sum(spans), "events": sum(events)})
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{opened, target_of};

    #[test]
    fn targets_are_shares_times_and_numbers() {
        for (text, expected) in [
            (">= 85%", Some((">=", 0.85))),
            ("< 1.20", Some(("<", 1.2))),
            ("<= 3m", Some(("<=", 180.0))),
            ("85%", Some(("", 0.85))),
            (">= many", None),
        ] {
            assert_eq!(target_of(text), expected, "{text}");
        }
    }

    #[test]
    fn a_series_says_which_days_missed_and_how_far_it_drifts() {
        let said = json!({
            "runs": {"2026-11-01": 5, "2026-11-17": 90, "2026-11-18": 100, "2026-11-19": 110, "2026-11-20": 100},
            "rate": {"2026-11-17": 0.9, "2026-11-18": 0.9, "2026-11-19": 0.8, "2026-11-20": 0.9},
            "tool_spans": {"2026-11-19": 10, "2026-11-20": 20}, "audit_events": {"2026-11-19": 10, "2026-11-20": 21}
        });
        let found = opened(&said, &json!({"kpis": {"rate": ">= 85%", "gone": ">= 1"}}));
        assert_eq!(
            (&found["days"], &found["newest"], &found["least_runs"], &found["most_runs"]),
            (&json!(4), &json!("2026-11-20"), &json!(90.0), &json!(110.0))
        );
        assert_eq!((&found["kpis"]["rate"]["missed"], &found["kpis"]["gone"]["missing"]), (&json!(1), &json!(4)));
        assert!(found["kpis"]["rate"]["drift"].as_f64().is_some_and(|drift| (drift - 0.0556).abs() < 0.001));
        assert!(found["kpis"]["rate"]["upper95"].as_f64() > found["kpis"]["rate"]["mean"].as_f64());
        assert_eq!(found["coverage"], json!({"days": 2, "newest": "2026-11-20", "spans": 30.0, "events": 31.0}));
    }
}
