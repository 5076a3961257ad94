//! Each cap of `budgets` beside what the repository sets for it: `facts.caps`, by the cap's name.
//!
//! An entry holds `at` (its place in the manifest), `claimed`, `found` (each setting with `path`, `line`, `key`,
//! `value`), `over` (the first setting that allows more) and `kept`: something sets it and nothing allows more. A cap
//! of a window may be kept by a shorter window: 80 a minute keep 5,000 an hour. Must not judge a missing claim.

use serde_json::{Map, Value, json};

use super::settings::Setting;

const MINUTE: f64 = 60.0;
const HOUR: f64 = 3600.0;
const DAY: f64 = 86_400.0;

/// Name of a cap, its places in `budgets`, and the topic of its settings.
struct Cap {
    name: &'static str,
    places: &'static [(&'static str, f64)],
    topic: &'static str,
}

const fn cap(name: &'static str, places: &'static [(&'static str, f64)], topic: &'static str) -> Cap {
    Cap { name, places, topic }
}

/// Caps of one run have no window.
const ONE_RUN: f64 = 0.0;

const CAPS: [Cap; 10] = [
    cap("steps", &[("per_run/steps", ONE_RUN)], "steps"),
    cap("model_calls", &[("per_run/model_calls", ONE_RUN)], "model-calls"),
    cap("spend", &[("per_run/spend_usd", ONE_RUN)], "spend"),
    cap("tool_calls_per_day", &[("per_day/tool_calls", DAY)], "tool-calls"),
    cap(
        "model_calls_per_window",
        &[("per_hour/model_calls", HOUR), ("per_day/model_calls", DAY), ("per_minute/model_calls", MINUTE)],
        "model-calls",
    ),
    cap(
        "tokens_per_window",
        &[("per_hour/tokens", HOUR), ("per_day/tokens", DAY), ("per_minute/tokens", MINUTE)],
        "tokens",
    ),
    cap("spend_per_hour", &[("per_hour/spend_usd", HOUR)], "spend"),
    cap("runs_per_minute", &[("per_minute/runs", MINUTE)], "runs"),
    cap("tool_calls_per_hour", &[("per_hour/tool_calls", HOUR)], "tool-calls"),
    cap("spend_per_day", &[("per_day/spend_usd", DAY)], "spend"),
];

/// Facts of every cap; of several windows the first that the manifest claims.
pub(super) fn facts(manifest: &Value, settings: &[Setting]) -> Value {
    let entries = CAPS.iter().map(|cap| {
        let claim = |place: &str| manifest.pointer(&format!("/budgets/{place}")).and_then(Value::as_f64);
        let claimed = cap.places.iter().find_map(|(place, window)| Some((*place, *window, claim(place)?)));
        let first = cap.places.first().map_or("", |(place, _)| place);
        let entry = match claimed {
            Some((place, window, limit)) => entry(cap, settings, (place, window, limit)),
            None => json!({"at": format!("/budgets/{first}"), "found": [], "kept": false}),
        };
        (cap.name.to_owned(), entry)
    });
    entries.collect::<Map<_, _>>().into()
}

fn entry(cap: &Cap, settings: &[Setting], (place, window, limit): (&str, f64, f64)) -> Value {
    let found: Vec<(&Setting, f64)> =
        settings.iter().filter_map(|setting| Some((setting, allowed(cap.topic, setting, window)?))).collect();
    let over = found.iter().find(|(_, allowed)| *allowed > limit * (1.0 + 1e-9));
    let mut entry = json!({
        "at": format!("/budgets/{place}"),
        "claimed": plain(limit),
        "found": found.iter().map(|(setting, _)| setting.json()).collect::<Vec<_>>(),
        "kept": !found.is_empty() && over.is_none(),
    });
    if let (Some((setting, allowed)), Value::Object(entry)) = (over, &mut entry) {
        let mut over = setting.json();
        if let Value::Object(over) = &mut over {
            over.insert("allows".to_owned(), plain(*allowed));
        }
        entry.insert("over".to_owned(), over);
    }
    entry
}

/// What a setting allows in a window; nothing when it speaks of something else.
fn allowed(topic: &str, setting: &Setting, window: f64) -> Option<f64> {
    let number = setting.number?;
    let (kind, of) = setting.topic.split_once('/').map_or((setting.topic, ONE_RUN), |(kind, window)| {
        let seconds = match window {
            "minute" => MINUTE,
            "hour" => HOUR,
            _ => DAY,
        };
        (kind, seconds)
    });
    let is_ingress = || ["nginx", "ingress", "queue", "gateway"].iter().any(|word| setting.path.contains(word));
    if kind == "rate" && topic == "runs" && is_ingress() {
        return Some(number * window);
    }
    let same_kind = kind == topic && (of > ONE_RUN) == (window > ONE_RUN);
    same_kind.then(|| if of > ONE_RUN { number * (window / of).max(1.0) } else { number })
}

/// Whole numbers without a point.
fn plain(number: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "whole and small, as asked")]
    if number.fract() == 0.0 && number.abs() < 1e15 { json!(number as i64) } else { json!(number) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::facts;
    use crate::facts::settings::lines;

    #[test]
    fn a_cap_is_kept_when_something_sets_it_and_nothing_allows_more() {
        let manifest = json!({"budgets": {
            "per_run": {"steps": 20, "spend_usd": 0.4}, "per_hour": {"model_calls": 5000}, "per_minute": {"runs": 30}
        }});
        for (path, text, cap, kept, over) in [
            ("agent.py", "max_turns = 20", "steps", true, None),
            ("agent.py", "max_turns = 100", "steps", false, Some(json!(100))),
            ("agent.py", "max_turns = 10\nrecursion_limit = 50", "steps", false, Some(json!(50))),
            ("agent.py", "", "steps", false, None),
            ("agent.py", "max_budget_usd=0.40", "spend", true, None),
            ("gateway.py", "rpm_limit = 80", "model_calls_per_window", true, None),
            ("gateway.py", "rpm_limit = 90", "model_calls_per_window", false, Some(json!(5400))),
            ("gateway.py", "requests_per_day = 100000", "model_calls_per_window", false, Some(json!(100_000))),
            ("gateway.py", "request_limit = 15", "model_calls_per_window", false, None),
            ("nginx.conf", "limit_req_zone x zone=a:1m rate=30r/m;", "runs_per_minute", true, None),
            ("client.py", "rate = 30", "runs_per_minute", false, None),
            ("agent.py", "tool_calls_per_day = 7", "tool_calls_per_day", false, None),
        ] {
            let facts = facts(&manifest, &lines(path, text));
            assert_eq!(facts[cap]["kept"], json!(kept), "{text}: {}", facts[cap]);
            assert_eq!(facts[cap].pointer("/over/allows").cloned(), over, "{text}");
        }
    }
}
