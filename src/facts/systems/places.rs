//! The endpoints of the tools against the `OpenAPI` documents of their systems, and the resources of the systems against
//! the rules and grants that must name them.
//!
//! `facts.endpoints` has an entry per tool that may be called and whose system is no MCP server and no database: `name`,
//! `at`, `system`, `endpoint`, the document (`from`), whether it is `opened`, whether the path is `known` and the
//! `method` fits. `facts.resources` has an entry per system that a tool uses: `name`, `at`, the resources `listed`, those
//! with a wildcard (`wild`) and those that no rule and no grant names (`unmentioned`).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::offered::{Description, Offers, key};
use crate::facts::{
    Claims, Shelf,
    code::{Code, stands_in},
    may_run,
    rules::is_test,
};

/// `facts.endpoints`.
pub(super) fn endpoints(claims: &Claims<'_>, offers: &Offers) -> Value {
    let systems: BTreeMap<&str, &Value> =
        claims.systems.iter().filter_map(|system| Some((system.get("name")?.as_str()?, system))).collect();
    let known: BTreeMap<&str, Known<'_>> =
        offers.iter().map(|(system, described)| (system.as_str(), Known::of(described))).collect();
    let entry = |tool: &Value| {
        let text = |key: &str| tool.get(key).and_then(Value::as_str);
        let (name, system) = (text("name")?, text("system")?);
        let named = systems.get(system)?;
        let is_other = named.get("mcp").is_some() || named.get("database").is_some();
        if is_other || !may_run(tool) {
            return None;
        }
        let known = known.get(system);
        // A tool that bears the operation's own name needs no endpoint of its own.
        let endpoint = text("endpoint").or_else(|| known?.named.get(name).copied());
        let path = endpoint.map(|endpoint| key(endpoint.split_once(' ').map_or(endpoint, |(_, path)| path)));
        Some(json!({
            "name": name,
            "at": tool.get("at"),
            "system": system,
            "endpoint": endpoint,
            "from": named.get("openapi"),
            "opened": known.is_some_and(|known| known.opened),
            "known": known.zip(path.as_ref()).is_some_and(|(known, path)| known.paths.contains(path)),
            "method": known.zip(endpoint).is_some_and(|(known, endpoint)| known.endpoints.contains(&key(endpoint))),
        }))
    };
    claims.tools.iter().filter_map(entry).collect()
}

/// What a system's document knows.
struct Known<'a> {
    opened: bool,
    paths: BTreeSet<String>,
    endpoints: BTreeSet<String>,
    named: BTreeMap<&'a str, &'a str>,
}

impl<'a> Known<'a> {
    fn of(described: &'a Description) -> Self {
        let offers = described.offers.as_deref().unwrap_or_default();
        let operations = || offers.iter().filter_map(|offer| Some((offer, offer.operation.as_ref()?)));
        let endpoints = || operations().map(|(_, operation)| key(&operation.endpoint));
        Self {
            opened: described.offers.is_ok(),
            paths: endpoints().filter_map(|one| Some(one.split_once(' ')?.1.to_owned())).collect(),
            endpoints: endpoints().collect(),
            named: operations().map(|(offer, operation)| (offer.name.as_str(), operation.endpoint.as_str())).collect(),
        }
    }
}

/// `facts.resources`.
pub(super) fn resources(shelf: &Shelf<'_>, claims: &Claims<'_>) -> Value {
    let used: BTreeSet<&str> = claims.tools.iter().filter_map(|tool| tool.get("system")?.as_str()).collect();
    let patterns = claims.manifest.pointer("/policy/rules").and_then(Value::as_array).into_iter().flatten();
    let files = patterns.filter_map(Value::as_str).flat_map(|pattern| shelf.matching(pattern));
    // Neither a comment nor a test limits anything.
    let rules: Vec<String> = files
        .filter(|path| !is_test(path))
        .filter_map(|path| Some(Code::read(&path, shelf.text(&path)?.text()).text.to_lowercase()))
        .collect();
    let entry = |system: &Value| {
        let name = system.get("name")?.as_str()?;
        let listed = system.get("resources").and_then(Value::as_array).into_iter().flatten();
        let listed: Vec<&str> = listed.filter_map(Value::as_str).collect();
        let grants = system.get("roles").and_then(Value::as_str).and_then(|path| shelf.text(path));
        let grants = grants.map(|file| {
            let lines = file.text().lines().filter_map(|line| line.split("--").next());
            lines.collect::<Vec<_>>().join("\n").to_lowercase()
        });
        let is_named = |resource: &str| {
            let whole = resource.to_lowercase();
            // Grants of a database name the object alone; its kind stands in the statement.
            let object = whole.split_once(':').map_or(whole.as_str(), |(_, object)| object);
            rules.iter().any(|text| stands_in(text, &whole))
                || grants.as_ref().is_some_and(|text| stands_in(text, object))
        };
        let wild: Vec<&&str> = listed.iter().filter(|one| one.contains('*')).collect();
        let unmentioned: Vec<&&str> = listed.iter().filter(|one| !is_named(one)).collect();
        used.contains(name).then(|| {
            json!({"name": name, "at": system.get("at"), "listed": listed, "wild": wild, "unmentioned": unmentioned})
        })
    };
    claims.systems.iter().filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::resources;
    use crate::{
        facts::{Claims, Shelf},
        source::Files,
    };

    #[test]
    fn comments_and_tests_name_no_resource() {
        for (path, text, expected) in [
            ("policy/a.rego", "owned := {\"account:acct_1\"}\n", json!([])),
            ("policy/a.rego", "# account:acct_1: to do\n", json!(["account:acct_1"])),
            ("policy/a_test.rego", "owned := {\"account:acct_1\"}\n", json!(["account:acct_1"])),
            ("roles.sql", "GRANT SELECT ON acct_1 TO a;\n", json!([])),
            ("roles.sql", "-- GRANT SELECT ON acct_1 TO a;\n", json!(["account:acct_1"])),
        ] {
            let files = Files::texts([(path.to_owned(), Arc::from(text))].into());
            let shelf = Shelf::new(&files, "agentready.yaml");
            let manifest = json!({"policy": {"rules": ["policy/*"]}});
            let systems = [json!({"name": "pay", "resources": ["account:acct_1"], "roles": "roles.sql"})];
            let tools = [json!({"name": "refund", "system": "pay"})];
            let claims = Claims { manifest: &manifest, tools: &tools, systems: &systems, credentials: &[] };
            let found: Value = resources(&shelf, &claims);
            assert_eq!(found[0]["unmentioned"], expected, "{path}: {text}");
        }
    }
}
