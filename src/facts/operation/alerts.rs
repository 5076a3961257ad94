//! Alert rules of `observability.alerts`: `facts.alerts`.
//!
//! `files` says of each file whether it could be read; `rules` holds, by the alert's name, `path`, `parses` (else
//! `error`), `severity`, `routed` (a label or note names the owner or the rotation, or an Alertmanager file among the
//! alerts sends it to a receiver), `window` (the shortest stretch of time over which it looks at spend or usage, in
//! seconds), `weekly` (it compares with a week ago), and what it does over made-up series: `rise` (the smallest rise of
//! cost against last week at which it fires, as a share; absent when it does not, or fires without one) and `burst` (it
//! fires when the last hour is ten times a usual one, and not over a usual day). `latency` lists alerts on a high
//! quantile with the `seconds` they compare with. Must not judge.

use serde_json::{Map, Value, json};

use super::promql::{Expr, Kind, Signal, fires};
use crate::facts::{Shelf, document};

const WEEK: f64 = 7.0 * 86_400.0;
const HOUR: f64 = 3600.0;

/// Facts of every alert.
pub(super) fn facts(shelf: &Shelf<'_>, manifest: &Value) -> Value {
    let patterns = manifest.pointer("/observability/alerts").and_then(Value::as_array).into_iter().flatten();
    let patterns: Vec<&str> = patterns.filter_map(Value::as_str).collect();
    let mut files = Vec::new();
    let mut opened = Vec::new();
    for pattern in &patterns {
        let names = if pattern.contains('*') { shelf.matching(pattern) } else { vec![(*pattern).to_owned()] };
        for name in names {
            let value = document::value(shelf, &name);
            files.push(json!({"path": name, "opened": value.is_some()}));
            opened.extend(value.map(|value| (name, value)));
        }
    }
    let has_route = opened.iter().any(|(_, value)| routes(value));
    let owner = owner(manifest);
    let mut rules = Map::new();
    let mut latency = Vec::new();
    for (path, value) in &opened {
        for rule in alerts(value) {
            let name = text(rule, "alert").to_owned();
            let parsed = Expr::parse(text(rule, "expr"));
            if let Ok(expr) = &parsed {
                latency.extend(seconds(expr).map(|seconds| json!({"rule": name, "seconds": seconds})));
            }
            let mut entry = json!({
                "path": path,
                "parses": parsed.is_ok(),
                "severity": rule.pointer("/labels/severity"),
                "routed": has_route || names_owner(rule, &owner),
            });
            if let Value::Object(entry) = &mut entry {
                match parsed {
                    Ok(expr) => entry.extend(behaviour(&expr)),
                    Err(error) => _ = entry.insert("error".to_owned(), error.to_string().into()),
                }
            }
            rules.insert(name, entry);
        }
    }
    json!({"files": files, "rules": rules, "latency": latency})
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The alerts of a rule file, or of a Kubernetes resource around one.
fn alerts(value: &Value) -> impl Iterator<Item = &Value> {
    let groups = value.get("groups").or_else(|| value.pointer("/spec/groups")).and_then(Value::as_array);
    let rules = groups.into_iter().flatten().filter_map(|group| group.get("rules")?.as_array()).flatten();
    rules.filter(|rule| rule.get("alert").is_some())
}

/// Whether this is an Alertmanager file whose alerts reach somebody.
fn routes(value: &Value) -> bool {
    let receivers = value.get("receivers").and_then(Value::as_array).into_iter().flatten();
    let reaches = |receiver: &Value| {
        let keys = receiver.as_object().into_iter().flatten();
        keys.filter(|(key, _)| key.ends_with("_configs"))
            .any(|(_, list)| list.as_array().is_some_and(|l| !l.is_empty()))
    };
    let first = value.pointer("/route/receiver").and_then(Value::as_str);
    first
        .is_some_and(|first| receivers.into_iter().any(|receiver| text(receiver, "name") == first && reaches(receiver)))
}

/// Names under which the owner is known: team, rotation.
fn owner(manifest: &Value) -> Vec<String> {
    let say = |place: &str| manifest.pointer(place).and_then(Value::as_str).unwrap_or_default().to_lowercase();
    let rotation = say("/agent/owner/on_call");
    let rotation = rotation.rsplit(':').next().unwrap_or_default().to_owned();
    [say("/agent/owner/team"), rotation].into_iter().filter(|name| !name.is_empty()).collect()
}

fn names_owner(rule: &Value, owner: &[String]) -> bool {
    let values = ["labels", "annotations"].into_iter().filter_map(|key| rule.get(key)?.as_object()).flatten();
    let values: Vec<String> = values.filter_map(|(_, value)| Some(value.as_str()?.to_lowercase())).collect();
    owner.iter().any(|name| values.iter().any(|value| value.contains(name.as_str())))
}

fn has_word(name: &str, words: &[&str]) -> bool {
    let name = name.to_lowercase();
    words.iter().any(|word| name.contains(word))
}

const COST: [&str; 5] = ["cost", "spend", "usd", "dollar", "price"];
const USAGE: [&str; 9] = ["cost", "spend", "usd", "dollar", "token", "usage", "request", "run", "call"];

fn behaviour(expr: &Expr) -> Map<String, Value> {
    let mut window: Option<f64> = None;
    let mut weekly = false;
    expr.walk(&mut |inner| {
        if let Expr::Metric { name, range, offset, .. } = inner {
            weekly |= (offset - WEEK).abs() < 1.0;
            if has_word(name, &USAGE) {
                let own = range.unwrap_or_default();
                window = Some(window.map_or(own, |least| least.min(own)));
            }
        }
    });
    let entry = json!({"window": window, "weekly": weekly, "rise": rise(expr), "burst": burst(expr)});
    entry.as_object().cloned().unwrap_or_default()
}

/// The smallest rise against last week at which it fires, in steps of one in a hundred.
fn rise(expr: &Expr) -> Option<f64> {
    let kind = |name: &str| if has_word(name, &COST) { Kind::Signal } else { Kind::Steady };
    let at = |percent: i32| {
        let level = move |time: f64| if time > -WEEK { 1.0 + f64::from(percent) / 100.0 } else { 1.0 };
        fires(expr, &Signal { kind: &kind, level: &level }, 0.0)
    };
    if at(0) != Some(false) {
        return None;
    }
    // What fires at a rise fires at a larger one, so the smallest is found by halving.
    let (mut silent, mut loud) = (0, 200);
    if at(loud) != Some(true) {
        return None;
    }
    while loud - silent > 1 {
        let middle = i32::midpoint(silent, loud);
        if at(middle) == Some(true) { loud = middle } else { silent = middle }
    }
    Some(f64::from(loud) / 100.0)
}

/// Whether it fires in a burst and not over a usual day, for some usual level.
fn burst(expr: &Expr) -> Option<bool> {
    let kind = |name: &str| if has_word(name, &USAGE) { Kind::Signal } else { Kind::Steady };
    let usual = |time: f64| 1.0 + 0.5 * (time / 86_400.0 * std::f64::consts::TAU).sin();
    let fired = |scale: f64, in_burst: bool, at: f64| {
        let level = move |time: f64| {
            let level = if in_burst && time > at - HOUR { 10.0 } else { usual(time) };
            scale * level
        };
        fires(expr, &Signal { kind: &kind, level: &level }, at)
    };
    fired(1.0, true, 0.0)?;
    // A rule that compares with a number fits some usual level; one that compares with the past fits every one.
    let scales = [0, 1, -1, 2, -2, 3, -3, 4, -4, 5, -5, 6, -6, 7, -7, 8, -8, 9, -9, 10, -10, 11, -11, 12, -12];
    let fits = |step: &i32| {
        let scale = 2.5_f64.powi(*step);
        let phases = [0.0, 6.0, 12.0, 18.0];
        fired(scale, true, 0.0) == Some(true)
            && phases.iter().all(|hour| fired(scale, false, hour * HOUR) == Some(false))
    };
    Some(scales.iter().any(fits))
}

/// The number that an alert on a high quantile compares with, in seconds.
fn seconds(expr: &Expr) -> Option<f64> {
    const HIGH: f64 = 0.9;
    expr.quantile().filter(|share| *share >= HIGH)?;
    let in_ms = expr.metrics().iter().any(|name| name.contains("_ms") || name.contains("millisecond"));
    let mut found = None;
    expr.walk(&mut |inner| {
        if let Expr::Binary { op, right, .. } = inner
            && (op == ">" || op == ">=")
            && let Expr::Number(limit) = &**right
        {
            found = Some(if in_ms { limit / 1000.0 } else { *limit });
        }
    });
    found
}

#[cfg(test)]
mod tests {
    use super::super::promql::Expr;
    use super::{behaviour, seconds};

    #[test]
    fn rules_behave_as_they_are_written() {
        for (text, rise, burst, weekly) in [
            ("cost:per_task > 1.2 * cost:per_task offset 7d", Some(0.21), Some(true), true),
            ("cost:per_task >= 1.15 * cost:per_task offset 1w", Some(0.15), Some(true), true),
            ("cost:per_task > 1.5 * cost:per_task offset 7d", Some(0.51), Some(true), true),
            ("increase(spend_usd_total[1h]) > 25", None, Some(true), false),
            ("increase(spend_usd_total[1h]) > 4 * avg_over_time(spend:rate[7d]) * 3600", None, Some(true), false),
            ("vector(1)", None, Some(false), false),
            ("increase(spend_usd_total[7d]) > 25 * increase(spend_usd_total[7d] offset 7d)", None, Some(false), true),
        ] {
            let found = behaviour(&Expr::parse(text).expect(text));
            assert_eq!(found["rise"].as_f64(), rise, "{text}");
            assert_eq!(found["burst"].as_bool(), burst, "{text}");
            assert_eq!(found["weekly"].as_bool(), Some(weekly), "{text}");
        }
    }

    #[test]
    fn an_alert_on_a_quantile_has_a_number_of_seconds() {
        for (text, expected) in [
            ("histogram_quantile(0.95, rate(run_seconds_bucket[10m])) > 20", Some(20.0)),
            ("histogram_quantile(0.95, rate(run_ms_bucket[10m])) > 20000", Some(20.0)),
            ("rate(run_seconds_sum[10m]) / rate(run_seconds_count[10m]) > 20", None),
        ] {
            assert_eq!(seconds(&Expr::parse(text).expect(text)), expected, "{text}");
        }
    }
}
