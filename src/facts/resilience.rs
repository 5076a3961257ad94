//! How patiently the agent treats its systems: the claims of `resilience` and `systems` beside what the repository
//! sets. `facts.resilience` holds `timeout`, `retries`, `breaker`, `rate` and `backoff`, each with
//!
//! - `found`: the settings, `path`, `line`, `key`, `value`;
//! - `unset`: names of systems for which nothing sets it; a setting that names no system speaks for all of them;
//! - `over`: the first setting that goes beyond the claim, with `claimed`, and `system` where it speaks of one;
//! - `kept`: it is set for every system, and nothing goes beyond its claim;
//!
//! and `longest`: the system on which one call may take longest, retries counted, in seconds. Must not read files.

use serde_json::{Value, json};

use super::settings::Setting;
use crate::units::parse_duration;

/// What a manifest says of one system, the common claims filled in.
struct Claims<'a> {
    system: &'a str,
    own: &'a Value,
    common: &'a Value,
}

impl Claims<'_> {
    fn of(&self, key: &str) -> Option<&Value> {
        self.own.get(key).or_else(|| self.common.get(key))
    }

    /// A claim as a number: seconds, counts, calls per second.
    fn number(&self, key: &str) -> Option<f64> {
        match self.of(key)? {
            Value::String(text) => match text.split_once('/') {
                Some((count, unit)) => {
                    let seconds = parse_duration(&format!("1{unit}"))?.as_secs_f64();
                    Some(count.trim().parse::<f64>().ok()? / seconds)
                }
                None => parse_duration(text).map(|time| time.as_secs_f64()),
            },
            other => other.as_f64(),
        }
    }
}

/// Facts of all five.
pub(super) fn facts(manifest: &Value, settings: &[Setting]) -> Value {
    let nothing = json!({});
    let common = manifest.get("resilience").unwrap_or(&nothing);
    let systems = manifest.get("systems").and_then(Value::as_object).into_iter().flatten();
    let mut claims: Vec<Claims<'_>> =
        systems.map(|(system, own)| Claims { system: system.as_str(), own, common }).collect();
    if claims.is_empty() {
        claims.push(Claims { system: "", own: &nothing, common });
    }
    let of = |topic: &str, key: &str| {
        let about: Vec<&Setting> = settings.iter().filter(|setting| setting.topic == topic).collect();
        beside(&claims, &about, key)
    };
    json!({
        "timeout": of("timeout", "timeout"),
        "retries": of("retries", "retries"),
        "breaker": of("breaker", "circuit_breaker"),
        "rate": of("rate", "rate"),
        "backoff": of("backoff", "backoff"),
        "longest": longest(&claims),
    })
}

fn longest(claims: &[Claims<'_>]) -> Value {
    let waits = claims.iter().filter_map(|claim| {
        let (timeout, retries) = (claim.number("timeout")?, claim.number("retries").unwrap_or_default());
        Some((claim.system, timeout * (retries + 1.0)))
    });
    match waits.max_by(|a, b| a.1.total_cmp(&b.1)) {
        Some((system, seconds)) => json!({"system": system, "seconds": seconds}),
        None => Value::Null,
    }
}

fn beside(claims: &[Claims<'_>], about: &[&Setting], key: &str) -> Value {
    let common: Vec<&Setting> =
        about.iter().filter(|setting| !claims.iter().any(|claim| setting.names(claim.system))).copied().collect();
    let mut unset = Vec::new();
    let mut over = Value::Null;
    for claim in claims {
        let own: Vec<&Setting> = about.iter().filter(|setting| setting.names(claim.system)).copied().collect();
        let speaking = if own.is_empty() { &common } else { &own };
        if speaking.is_empty() {
            unset.push(claim.system);
        }
        if let Some(setting) = speaking.iter().find(|setting| goes_beyond(claim, key, setting))
            && over.is_null()
        {
            over = setting.json();
            if let Value::Object(over) = &mut over {
                if !own.is_empty() {
                    over.insert("system".to_owned(), claim.system.into());
                }
                over.insert("claimed".to_owned(), claimed(claim, key));
            }
        }
    }
    json!({
        "found": about.iter().map(|setting| setting.json()).collect::<Vec<_>>(),
        "kept": unset.is_empty() && over.is_null(),
        "unset": unset,
        "over": over,
    })
}

fn claimed(claim: &Claims<'_>, key: &str) -> Value {
    let value = claim.of(key).cloned().unwrap_or_default();
    value.get("failures").cloned().unwrap_or(value)
}

fn goes_beyond(claim: &Claims<'_>, key: &str, setting: &Setting) -> bool {
    let more = |limit: Option<f64>| match (limit, setting.number) {
        (Some(limit), Some(number)) => number > limit * (1.0 + 1e-9),
        _ => false,
    };
    match key {
        "circuit_breaker" => more(claim.of(key).and_then(|breaker| breaker.get("failures")?.as_f64())),
        "backoff" => {
            let grows = |text: &str| ["expo", "jitter", "double"].iter().any(|word| text.to_lowercase().contains(word));
            let claims_growth = claim.of(key).and_then(Value::as_str).is_some_and(grows);
            claims_growth && !grows(&setting.text) && !setting.is_growth()
        }
        _ => more(claim.number(key)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::facts;
    use crate::facts::settings::lines;

    #[test]
    fn settings_are_held_against_the_claims_of_each_system() {
        let manifest = json!({
            "resilience": {"timeout": "10s", "retries": 2, "backoff": "exponential-jitter", "rate": "25/s",
                "circuit_breaker": {"failures": 5, "window": "30s", "open": "1m"}},
            "systems": {"stripe": {"timeout": "15s"}, "shop": {}}
        });
        for (text, key, kept, unset) in [
            ("timeout = 10", "timeout", true, json!([])),
            ("timeout = 12", "timeout", false, json!([])),
            ("stripe = Client(timeout=15)\ntimeout = 10", "timeout", true, json!([])),
            ("stripe = Client(timeout=15)", "timeout", false, json!(["shop"])),
            ("", "timeout", false, json!(["stripe", "shop"])),
            ("timeout=None\ntimeout = 10", "timeout", false, json!([])),
            ("timeout = 0", "timeout", false, json!([])),
            ("max_retries = 2", "retries", true, json!([])),
            ("max_retries = 3", "retries", false, json!([])),
            ("fail_max = 5", "breaker", true, json!([])),
            ("rate: 20/s", "rate", true, json!([])),
            ("rate: 30/s", "rate", false, json!([])),
            ("backoff: exponential", "backoff", true, json!([])),
            ("backoff: constant", "backoff", false, json!([])),
            ("retry_backoff=True", "backoff", true, json!([])),
            ("retry_backoff=2", "backoff", true, json!([])),
            ("retry_backoff=False", "backoff", false, json!([])),
            ("backoff = 2", "backoff", false, json!(["stripe", "shop"])),
        ] {
            let facts = facts(&manifest, &lines("client.py", text));
            assert_eq!(facts[key]["kept"], json!(kept), "{text}: {}", facts[key]);
            assert_eq!(facts[key]["unset"], unset, "{text}");
            assert_eq!(facts["longest"], json!({"system": "stripe", "seconds": 45.0}));
        }
    }
}
