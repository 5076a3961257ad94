//! Each cap of `budgets` beside what the repository sets for it: `facts.caps`, by the cap's name.
//!
//! An entry holds `at` (its place in the manifest), `claimed`, `found` (each setting with `path`, `line`, `key`,
//! `value`), `over` (a setting that allows more) and `kept`: something sets it and nothing allows more. A cap
//! of a window may be kept by a shorter window: 80 a minute keep 5,000 an hour. Must not judge a missing claim.

use std::collections::BTreeMap;

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

const CAPS: [Cap; 11] = [
    cap("answer_tokens", &[("per_run/tokens", ONE_RUN)], "answer-tokens"),
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

/// Facts of every cap; of several windows that the manifest claims the first that is not kept.
pub(super) fn facts(manifest: &Value, settings: &[Setting]) -> Value {
    let entries = CAPS.iter().map(|cap| {
        let claim = |place: &str| manifest.pointer(&format!("/budgets/{place}")).and_then(Value::as_f64);
        let claimed = cap.places.iter().filter_map(|(place, window)| Some((*place, *window, claim(place)?)));
        let mut all: Vec<Value> = claimed.map(|claimed| entry(cap, settings, claimed)).collect();
        let first = cap.places.first().map_or("", |(place, _)| place);
        let none = || json!({"at": format!("/budgets/{first}"), "found": [], "kept": false});
        let worst = all.iter().position(|entry| entry.get("kept") == Some(&Value::Bool(false))).unwrap_or_default();
        (cap.name.to_owned(), if all.is_empty() { none() } else { all.swap_remove(worst) })
    });
    entries.collect::<Map<_, _>>().into()
}

fn entry(cap: &Cap, settings: &[Setting], (place, window, limit): (&str, f64, f64)) -> Value {
    let found: Vec<(&Setting, Allowed)> =
        settings.iter().filter_map(|setting| Some((setting, allowed(cap.topic, setting, window)?))).collect();
    // All windows hold at once: one that keeps the claim is enough, but none of the claim's own window may allow more.
    let mut loosest = BTreeMap::<u64, (&Setting, f64)>::new();
    for (setting, allowed) in &found {
        let known = loosest.entry(allowed.of.to_bits()).or_insert((setting, allowed.number));
        if allowed.number > known.1 {
            *known = (setting, allowed.number);
        }
    }
    let is_over = |number: f64| number > limit * (1.0 + 1e-9);
    let own = loosest.get(&window.to_bits()).filter(|(_, number)| is_over(*number));
    let tightest = loosest.values().min_by(|a, b| a.1.total_cmp(&b.1));
    let over = own.or(tightest.filter(|(_, number)| is_over(*number)));
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

/// What a setting allows in a window, and the window that it speaks of.
struct Allowed {
    number: f64,
    of: f64,
}

/// What a setting allows in a window; nothing when it speaks of something else.
fn allowed(topic: &str, setting: &Setting, window: f64) -> Option<Allowed> {
    let number = setting.number?;
    let (kind, of) = setting.topic.split_once('/').map_or((setting.topic, ONE_RUN), |(kind, window)| {
        let seconds = match window {
            "minute" => MINUTE,
            "hour" => HOUR,
            _ => DAY,
        };
        (kind, seconds)
    });
    let ingress = ["nginx", "ingress", "queue", "api-gateway", "apigateway", "api_gateway"];
    if kind == "rate" && topic == "runs" && ingress.iter().any(|word| setting.path.contains(word)) {
        return Some(Allowed { number: number * window, of: window });
    }
    let same_kind = kind == topic && (of > ONE_RUN) == (window > ONE_RUN);
    same_kind.then(|| Allowed { number: if of > ONE_RUN { number * (window / of).max(1.0) } else { number }, of })
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
            "per_run": {"steps": 20, "spend_usd": 0.4, "tokens": 60000}, "per_hour": {"model_calls": 5000, "tokens": 4_000_000}, "per_minute": {"runs": 30},
            "per_day": {"tokens": 80_000_000, "tool_calls": 20_000}
        }});
        for (path, text, cap, kept, over) in [
            ("agent.py", "max_turns = 20", "steps", true, None),
            ("agent.py", "max_turns = 100", "steps", false, Some(json!(100))),
            ("agent.py", "max_turns = 10\nrecursion_limit = 50", "steps", false, Some(json!(50))),
            ("agent.py", "", "steps", false, None),
            ("agent.py", "client.create(max_tokens=4096)", "answer_tokens", true, None),
            ("agent.py", "client.create(max_tokens=90000)", "answer_tokens", false, Some(json!(90_000))),
            ("agent.py", "max_budget_usd=0.40", "spend", true, None),
            ("gateway.py", "rpm_limit = 80", "model_calls_per_window", true, None),
            ("gateway.py", "rpm_limit = 90", "model_calls_per_window", false, Some(json!(5400))),
            ("gateway.py", "requests_per_day = 100000", "model_calls_per_window", false, Some(json!(100_000))),
            ("gateway.py", "request_limit = 15", "model_calls_per_window", false, None),
            ("nginx.conf", "limit_req_zone x zone=a:1m rate=30r/m;", "runs_per_minute", true, None),
            ("model-gateway.yaml", "rate: 10/s", "runs_per_minute", false, None),
            ("api-gateway.yaml", "rate: 1/s", "runs_per_minute", false, Some(json!(60))),
            ("l.py", "tpm_limit = 60000\ntokens_per_day = 20000000", "tokens_per_window", true, None),
            ("l.py", "tokens_per_hour = 4000000\ntokens_per_day = 20000000", "tokens_per_window", true, None),
            (
                "l.py",
                "tokens_per_hour = 4000000\ntokens_per_day = 90000000",
                "tokens_per_window",
                false,
                Some(json!(90_000_000)),
            ),
            (
                "l.py",
                "tpm_limit = 60000\ntokens_per_hour = 5000000",
                "tokens_per_window",
                false,
                Some(json!(5_000_000)),
            ),
            ("l.py", "tokens_per_day = 20000000", "tokens_per_window", false, Some(json!(20_000_000))),
            ("l.py", "tool_calls_per_minute = 6\ntool_calls_per_day = 20000", "tool_calls_per_day", true, None),
            ("client.py", "rate = 30", "runs_per_minute", false, None),
            ("agent.py", "spend_usd_per_day = 7", "spend_per_day", false, None),
        ] {
            let facts = facts(&manifest, &lines(path, text));
            assert_eq!(facts[cap]["kept"], json!(kept), "{text}: {}", facts[cap]);
            assert_eq!(facts[cap].pointer("/over/allows").cloned(), over, "{text}");
        }
    }
}
