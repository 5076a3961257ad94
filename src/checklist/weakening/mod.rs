//! What a manifest demands, limits or forbids less than the one it is held against. Compares two evidence documents
//! and what stands beside them; must not read anything, nor judge whether a step back is reasonable.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Direction, Severity, Thresholds, show, thresholds};
use crate::{source::Route, units::parse_duration};

/// One state of a manifest with what stands beside it.
#[derive(Clone, Copy, Debug)]
pub struct State<'a> {
    /// The manifest's part of the evidence document, defaults applied.
    pub evidence: &'a Value,
    /// The numbers that hold.
    pub thresholds: &'a Thresholds,
    /// Every scenario, as `suite/id`.
    pub scenarios: &'a BTreeSet<String>,
    /// The team's own checks with their severity.
    pub checks: &'a BTreeMap<String, Severity>,
}

/// One step back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weakening {
    /// Its place in the new manifest.
    pub at: String,
    /// What became weaker, from what to what.
    pub message: String,
    /// Whether it is the gate that asks for less, not the agent that claims less.
    pub gate: bool,
}

/// How a value gets weaker.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// A list or map loses entries.
    Shrinks,
    /// A list gains entries.
    Grows,
    /// A number or length of time goes up, or is no longer given.
    Rises,
    /// A number or length of time goes down, or is no longer given.
    Falls,
    /// It is no longer given.
    Goes,
    /// It is another one.
    Changes,
    /// It moves towards the front of this list; a word that is not listed is as strict as can be.
    Slips(&'static [&'static str]),
}

use Kind::{Changes, Falls, Goes, Grows, Rises, Shrinks, Slips};

/// Where a manifest can get weaker, and how. `*` stands for each key.
const PLACES: &[(&str, Kind)] = &[
    ("agent.autonomy", Changes),
    ("approvals.expires_after", Rises),
    ("approvals.groups", Shrinks),
    ("approvals.groups.*.min", Falls),
    ("approvals.preview", Shrinks),
    ("approvals.relaxations", Grows),
    ("approvals.required_for", Shrinks),
    ("budgets.latency_p95", Rises),
    ("budgets.on_exceed.do", Slips(&["cheaper-model"])),
    ("budgets.per_day.*", Rises),
    ("budgets.per_hour.*", Rises),
    ("budgets.per_minute.*", Rises),
    ("budgets.per_run.*", Rises),
    ("change.rollout.guards", Shrinks),
    ("change.signoffs", Shrinks),
    ("cost.max_usd_per_success", Rises),
    ("data.classes", Shrinks),
    ("data.classes.*.model", Slips(&["allowed", "tokenized"])),
    ("data.classes.*.retrieval", Slips(&["allowed", "tokenized"])),
    ("data.classes.*.tools", Grows),
    ("data.log_readers", Grows),
    ("data.residency", Grows),
    ("data.retention.metadata", Falls),
    ("data.retention.payloads", Rises),
    ("endpoint.tenants", Shrinks),
    ("evals.adversarial", Shrinks),
    ("evals.golden", Shrinks),
    ("evals.incidents", Shrinks),
    ("evals.trials", Falls),
    ("gate.confidence", Slips(&["point"])),
    ("gate.non_negotiables", Shrinks),
    ("gate.profiles", Shrinks),
    ("handoff.when", Shrinks),
    ("identity.credential_defaults.grant", Slips(&["static-key"])),
    ("identity.credential_defaults.rotate_every", Rises),
    ("identity.credential_defaults.ttl", Rises),
    ("incident.kill_switch", Shrinks),
    ("incident.kill_switch.*.within", Rises),
    ("kpis", Shrinks),
    ("policy.default", Slips(&["allow"])),
    ("policy.destinations.*", Grows),
    ("policy.engine", Goes),
    ("policy.exceptions", Grows),
    ("policy.forbidden", Shrinks),
    ("policy.forbidden.*", Shrinks),
    ("policy.on_error", Slips(&["allow"])),
    ("policy.rules", Shrinks),
    ("systems.*.credentials.*.grant", Slips(&["static-key"])),
    ("systems.*.credentials.*.role", Changes),
    ("systems.*.credentials.*.scopes", Grows),
    ("systems.*.credentials.*.ttl", Rises),
    ("tools.*.approvers", Goes),
    ("tools.*.destination", Goes),
    ("tools.*.effect", Slips(&["read", "write", "external-send"])),
    ("tools.*.idempotency_key", Goes),
    ("tools.*.input_schema", Goes),
    ("tools.*.reversible", Slips(&["true"])),
    ("tools.*.rollback", Goes),
    ("tools.*.scopes", Grows),
    ("tools.*.server_checks", Shrinks),
];

/// Every step back from `base` to `now`, by place.
pub fn weakenings(base: &State<'_>, now: &State<'_>) -> Vec<Weakening> {
    let (before, after) = (document(base.evidence), document(now.evidence));
    let mut found = Vec::new();
    for (place, kind) in PLACES {
        let keys: Vec<&str> = place.split('.').collect();
        let pair = (Some(&before), Some(&after));
        walk(&keys, pair, &Route::root(), &mut |route, (before, after)| {
            let gate = ["gate.", "evals."].iter().any(|own| place.starts_with(own));
            let steps = compare(*kind, before, after).into_iter();
            found.extend(steps.map(|step| Weakening {
                at: route.as_str().to_owned(),
                message: format!("{}: {step}", route.dotted()),
                gate,
            }));
        });
    }
    allowances(&before, &after, &mut found);
    numbers(base.thresholds, now.thresholds, &mut found);
    waivers(&before, &after, &mut found);
    beside(base, now, &mut found);
    found.sort_by(|a, b| (!a.gate, &a.at, &a.message).cmp(&(!b.gate, &b.at, &b.message)));
    found
}

/// The manifest with its tools as the gate understands them.
fn document(evidence: &Value) -> Value {
    let mut manifest = evidence.get("manifest").cloned().unwrap_or_else(|| json!({}));
    let tools = evidence.get("tools").and_then(Value::as_array).into_iter().flatten();
    let tools: Map<String, Value> =
        tools.filter_map(|tool| Some((tool.get("name")?.as_str()?.to_owned(), tool.clone()))).collect();
    if let Some(manifest) = manifest.as_object_mut() {
        manifest.insert("tools".to_owned(), Value::Object(tools));
    }
    manifest
}

type Pair<'a> = (Option<&'a Value>, Option<&'a Value>);

/// Goes through all places of a pattern. What is new as a whole, and what is gone as a whole, is no step back in it.
fn walk(keys: &[&str], (before, after): Pair<'_>, route: &Route, visit: &mut impl FnMut(&Route, Pair<'_>)) {
    let Some((key, rest)) = keys.split_first() else {
        visit(route, (before, after));
        return;
    };
    let (old, new) = (before.and_then(Value::as_object), after.and_then(Value::as_object));
    if *key != "*" {
        let pair = (old.and_then(|old| old.get(*key)), new.and_then(|new| new.get(*key)));
        walk(rest, pair, &route.join(key), visit);
        return;
    }
    let names =
        |map: Option<&Map<String, Value>>| map.into_iter().flat_map(Map::keys).cloned().collect::<BTreeSet<_>>();
    let (old_names, new_names) = (names(old), names(new));
    let is_leaf = rest.is_empty();
    for name in old_names.union(&new_names).filter(|name| is_leaf || new_names.contains(*name)) {
        // A tool or a system that is new is not compared with nothing; a credential of a known system is.
        if !is_leaf && !old_names.contains(name) && route.keys().count() < 2 {
            continue;
        }
        let pair = (old.and_then(|old| old.get(name)), new.and_then(|new| new.get(name)));
        walk(rest, pair, &route.join(name), visit);
    }
}

/// The steps back of one value, in words.
fn compare(kind: Kind, before: Option<&Value>, after: Option<&Value>) -> Vec<String> {
    match kind {
        Shrinks => lost(before, after).map(|entry| format!("{entry} was taken away")).collect(),
        Grows => lost(after, before).map(|entry| format!("{entry} was added")).collect(),
        Rises | Falls => {
            let Some(before) = before else { return Vec::new() };
            let Some(after) = after else { return vec![format!("{} is no longer given", shown(before))] };
            let is_weaker = match (amount(before), amount(after)) {
                (Some(old), Some(new)) if matches!(kind, Rises) => new > old,
                (Some(old), Some(new)) => new < old,
                _ => before != after,
            };
            is_weaker.then(|| became(before, after)).into_iter().collect()
        }
        Goes => match (before, after) {
            (Some(before), None) => vec![format!("{} is no longer given", shown(before))],
            _ => Vec::new(),
        },
        Changes => match (before, after) {
            (Some(before), Some(after)) if before != after => vec![became(before, after)],
            (Some(before), None) => vec![format!("{} is no longer given", shown(before))],
            _ => Vec::new(),
        },
        Slips(order) => {
            let (Some(before), Some(after)) = (before, after) else { return Vec::new() };
            let rank = |value: &Value| {
                let word = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                order.iter().position(|known| *known == word).unwrap_or(order.len())
            };
            (rank(after) < rank(before)).then(|| became(before, after)).into_iter().collect()
        }
    }
}

fn became(before: &Value, after: &Value) -> String {
    format!("{} became {}", shown(before), shown(after))
}

/// Entries of `of` that `without` does not hold.
fn lost<'a>(of: Option<&'a Value>, without: Option<&'a Value>) -> impl Iterator<Item = String> + 'a {
    let kept: BTreeSet<String> = entries(without).collect();
    entries(of).filter(move |entry| !kept.contains(entry)).map(|entry| format!("`{entry}`"))
}

fn entries(value: Option<&Value>) -> Box<dyn Iterator<Item = String> + '_> {
    match value {
        Some(Value::Array(list)) => Box::new(list.iter().map(plain)),
        Some(Value::Object(map)) => {
            Box::new(map.iter().filter(|(_, value)| !value.is_null()).map(|(key, _)| key.clone()))
        }
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) | None => Box::new(std::iter::empty()),
    }
}

/// A value in one line; of a longer entry what names it.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(entry) => {
            let named = ["tool", "class", "to", "check"].iter().filter_map(|key| entry.get(*key)?.as_str());
            let named = named.collect::<Vec<_>>().join(" ");
            if named.is_empty() { value.to_string() } else { named }
        }
        // A number without a fraction as people write it: 50 and not 50.0.
        Value::Number(number) => number.as_f64().map_or_else(|| number.to_string(), |number| number.to_string()),
        other => other.to_string(),
    }
}

fn shown(value: &Value) -> String {
    format!("`{}`", crate::text::shortened(&plain(value), 80))
}

fn amount(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => parse_duration(text).map(|span| span.as_secs_f64()),
        other => other.as_f64(),
    }
}

/// What may happen without asking: from never over approval and bands to automatic.
fn allowances(before: &Value, after: &Value, found: &mut Vec<Weakening>) {
    let mode = |tool: &Value| tool.pointer("/allow/mode").and_then(Value::as_str).unwrap_or("auto").to_owned();
    let rank = |mode: &str| ["never", "approval", "tiers"].iter().position(|known| *known == mode).unwrap_or(3);
    let tools = |document: &Value| document.get("tools").and_then(Value::as_object).cloned().unwrap_or_default();
    let (old, new) = (tools(before), tools(after));
    let mut say = |name: &str, message: String| {
        let at = Route::root().join("tools").join(name);
        found.push(Weakening {
            message: format!("{}: {message}", at.dotted()),
            at: at.as_str().to_owned(),
            gate: false,
        });
    };
    for (name, tool) in &old {
        let Some(now) = new.get(name) else {
            if mode(tool) == "never" {
                say(name, "it was never allowed, and the manifest no longer lists it".to_owned());
            }
            continue;
        };
        if rank(&mode(now)) > rank(&mode(tool)) {
            say(name, format!("allow went from `{}` to `{}`", mode(tool), mode(now)));
        }
        for band in ["auto_up_to", "approval_up_to"] {
            let value = |tool: &Value| tool.pointer(&format!("/allow/{band}")).cloned();
            if mode(now) == "tiers" && mode(tool) == "tiers" {
                for step in compare(Rises, value(tool).as_ref(), value(now).as_ref()) {
                    say(name, format!("{band} {step}"));
                }
            }
        }
    }
    let writes = |tool: &Value| tool.get("is_write").and_then(Value::as_bool) == Some(true);
    for (name, tool) in new.iter().filter(|(name, tool)| !old.contains_key(*name) && writes(tool)) {
        if rank(&mode(tool)) > 1 {
            say(name, format!("it is new, and writes with allow `{}`", mode(tool)));
        }
    }
}

fn numbers(base: &Thresholds, now: &Thresholds, found: &mut Vec<Weakening>) {
    for (name, threshold) in thresholds() {
        let (Some(old), Some(new)) = (base.values.get(&name), now.values.get(&name)) else { continue };
        let looser = match threshold.tighten {
            Direction::Up => new < old,
            Direction::Down => new > old,
        };
        if looser {
            let at = Route::root().join("gate").join("thresholds").join(&name);
            let (old, new) = (show(threshold.unit, *old), show(threshold.unit, *new));
            let message = format!("{}: `{old}` became `{new}`", at.dotted());
            found.push(Weakening { at: at.as_str().to_owned(), message, gate: true });
        }
    }
}

fn waivers(before: &Value, after: &Value, found: &mut Vec<Weakening>) {
    let all =
        |document: &Value| document.pointer("/gate/waivers").and_then(Value::as_array).cloned().unwrap_or_default();
    let text = |waiver: &Value, key: &str| waiver.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let old: BTreeMap<String, String> =
        all(before).iter().map(|waiver| (text(waiver, "check"), text(waiver, "expires"))).collect();
    for (position, waiver) in all(after).iter().enumerate() {
        let (check, expires) = (text(waiver, "check"), text(waiver, "expires"));
        let step = match old.get(&check) {
            None => format!("a waiver of {check} until {expires} was added"),
            // Days are written year first, so their order is that of their text.
            Some(before) if *before < expires => format!("the waiver of {check} went from {before} to {expires}"),
            Some(_) => continue,
        };
        let at = Route::root().join("gate").join("waivers").join(position);
        found.push(Weakening { at: at.as_str().to_owned(), message: format!("gate.waivers: {step}"), gate: true });
    }
}

/// Scenarios that are gone, and own checks that are gone or weigh less.
fn beside(base: &State<'_>, now: &State<'_>, found: &mut Vec<Weakening>) {
    let mut say = |at: &str, message: String| found.push(Weakening { at: at.to_owned(), message, gate: true });
    for scenario in base.scenarios.difference(now.scenarios) {
        let (suite, id) = scenario.split_once('/').unwrap_or(("golden", scenario));
        let key = if suite == "incident" { "incidents" } else { suite };
        say(&format!("/evals/{key}"), format!("evals.{key}: the scenario `{id}` was taken away"));
    }
    for (id, old) in base.checks {
        match now.checks.get(id) {
            None => say("/gate", format!("the own check {id} was taken away")),
            // The worst severity is the least one.
            Some(new) if new > old => say("/gate", format!("the own check {id} went from {old} to {new}")),
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;
