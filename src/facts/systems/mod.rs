//! What the agent reaches: the systems behind its tools, what they offer, which effect each tool has, and which hosts
//! the build points at. Each topic documents its own shape.

mod arguments;
mod effects;
mod grants;
mod hosts;
mod offered;
mod places;
mod roles;
mod stored;
mod targets;
mod undoing;
mod vaults;

pub(crate) use effects::settle;
pub(super) use offered::parameters;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Claims, Fetched, Shelf, is_write, may_run};

/// The facts of all topics here, by name, and the tools with what servers say of them counted in.
pub(super) fn facts(
    shelf: &Shelf<'_>,
    claims: &Claims<'_>,
    (fetched, manifests, tokens): (&Fetched, &Value, &Value),
) -> (Map<String, Value>, Vec<Value>) {
    let offers = offered::open(&shelf.on("servers"), claims, fetched);
    offered::lend(shelf, claims, &offers);
    let (hosts, mounts) = hosts::facts(&shelf.on("hosts"), claims);
    let effects = effects::facts(&shelf.on("effects"), claims, &offers);
    let mut tools = claims.tools.to_vec();
    settle(&mut tools, &effects);
    let claims = &Claims { tools: &tools, ..*claims };
    let (grants, connectors) = grants::facts(claims, &offers, (manifests, tokens));
    let vaults = vaults::facts(claims, &mounts);
    let topics = [
        ("vaults", vaults),
        ("reached", reached(claims)),
        ("servers", offered::facts(&offers, claims)),
        ("undoing", undoing::facts(claims, &grants)),
        ("effects", effects),
        ("arguments", arguments::facts(&shelf.on("arguments"), claims, &offers)),
        ("hosts", hosts),
        ("mounts", mounts),
        ("grants", grants),
        ("connectors", connectors),
        ("roles", roles::facts(&shelf.on("roles"), claims)),
        ("stored_secrets", stored::facts(&shelf.on("stored_secrets"), claims)),
        ("endpoints", places::endpoints(claims, &offers)),
        ("resources", places::resources(&shelf.on("resources"), claims)),
    ];
    let facts = topics.into_iter().map(|(name, topic)| (name.to_owned(), topic)).collect();
    (facts, tools)
}

/// `facts.reached`: each system with `name`, `at`, the key `by` which it is reached, how many `tools` use it, those
/// that write in it and may be called (`writes`), whether tools that may be called both read in it and change something
/// (`mixed`), and whether the prompt reads from it (`retrieval`).
fn reached(claims: &Claims<'_>) -> Value {
    let mut used = BTreeMap::<&str, usize>::new();
    let mut writes = BTreeMap::<&str, Vec<&str>>::new();
    let mut ways = BTreeMap::<&str, (bool, bool)>::new();
    for tool in claims.tools {
        let text = |key: &str| tool.get(key).and_then(Value::as_str).unwrap_or_default();
        *used.entry(text("system")).or_default() += 1;
        if may_run(tool) && matches!(text("effect"), "write" | "destructive") {
            writes.entry(text("system")).or_default().push(text("name"));
        }
        if may_run(tool) {
            let (reads, changes) = ways.entry(text("system")).or_default();
            *if is_write(tool) { changes } else { reads } = true;
        }
    }
    let entry = |system: &Value| {
        let name = system.get("name")?.as_str()?;
        let by = ["mcp", "openapi", "database", "url"].into_iter().find(|key| system.get(*key).is_some());
        Some(json!({
            "name": name,
            "at": system.get("at"),
            "by": by,
            "tools": used.get(name).copied().unwrap_or_default(),
            "writes": writes.get(name).map_or(&[][..], Vec::as_slice),
            "mixed": ways.get(name) == Some(&(true, true)),
            "retrieval": system.get("retrieval") == Some(&Value::Bool(true)),
        }))
    };
    claims.systems.iter().filter_map(entry).collect()
}
