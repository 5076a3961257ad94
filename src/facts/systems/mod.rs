//! What the agent reaches: the systems behind its tools, what they offer, which effect each tool has, and which hosts
//! the build points at. Each topic documents its own shape.

mod arguments;
mod effects;
mod grants;
mod hosts;
mod offered;
mod roles;

pub(crate) use effects::settle;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Claims, Fetched, Shelf};

/// The facts of all topics here, by name.
pub(super) fn facts(
    shelf: &Shelf<'_>,
    claims: &Claims<'_>,
    (fetched, manifests): (&Fetched, &Value),
) -> Map<String, Value> {
    let offers = offered::open(shelf, claims, fetched);
    let (hosts, mounts) = hosts::facts(shelf, claims);
    let effects = effects::facts(shelf, claims, &offers);
    let mut tools = claims.tools.to_vec();
    settle(&mut tools, &effects);
    let claims = &Claims { tools: &tools, ..*claims };
    let (grants, connectors) = grants::facts(claims, &offers, manifests);
    let topics = [
        ("reached", reached(claims)),
        ("servers", offered::facts(&offers, claims)),
        ("effects", effects),
        ("arguments", arguments::facts(shelf, claims, &offers)),
        ("hosts", hosts),
        ("mounts", mounts),
        ("grants", grants),
        ("connectors", connectors),
        ("roles", roles::facts(shelf, claims)),
    ];
    topics.into_iter().map(|(name, topic)| (name.to_owned(), topic)).collect()
}

/// `facts.reached`: each system with `name`, `at`, the key `by` which it is reached, how many `tools` use it, and
/// whether the prompt reads from it (`retrieval`).
fn reached(claims: &Claims<'_>) -> Value {
    let mut used = BTreeMap::<&str, usize>::new();
    for system in claims.tools.iter().filter_map(|tool| tool.get("system")?.as_str()) {
        *used.entry(system).or_default() += 1;
    }
    let entry = |system: &Value| {
        let name = system.get("name")?.as_str()?;
        let by = ["mcp", "openapi", "database", "url"].into_iter().find(|key| system.get(*key).is_some());
        Some(json!({
            "name": name,
            "at": system.get("at"),
            "by": by,
            "tools": used.get(name).copied().unwrap_or_default(),
            "retrieval": system.get("retrieval") == Some(&Value::Bool(true)),
        }))
    };
    claims.systems.iter().filter_map(entry).collect()
}
