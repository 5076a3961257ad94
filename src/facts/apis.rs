//! What the repository's `OpenAPI` descriptions say of interfaces that the manifest names by their address.
//!
//! `facts.apis` has an entry for `approvals.api`, `audit.export.api` and `policy.admin.api`: `described` (a description
//! has operations at or below the address), `path` of the description, `operations` (`post /approvals/{id}/revoke
//! revokeapproval`, in lower case) and `parameters` (their names, and those in the paths). Must not judge.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{Shelf, document, systems};

const PLACES: [&str; 3] = ["approvals.api", "audit.export.api", "policy.admin.api"];

/// Where descriptions are looked for.
const DESCRIPTIONS: [&str; 6] =
    ["openapi/*", "openapi.yaml", "openapi.json", "docs/openapi.yaml", "docs/openapi.json", "api/openapi.yaml"];

const METHODS: [&str; 5] = ["delete", "get", "patch", "post", "put"];

/// Facts of the interfaces that the manifest names.
pub(super) fn facts(shelf: &Shelf<'_>, manifest: &Value) -> Value {
    let stated: Vec<(&str, &str)> = PLACES
        .iter()
        .filter_map(|place| Some((*place, manifest.pointer(&format!("/{}", place.replace('.', "/")))?.as_str()?)))
        .collect();
    let paths: BTreeSet<String> = if stated.is_empty() {
        BTreeSet::new()
    } else {
        DESCRIPTIONS.iter().flat_map(|pattern| shelf.matching(pattern)).collect()
    };
    let descriptions: Vec<(String, Value)> =
        paths.into_iter().filter_map(|path| Some((path.clone(), document::value(shelf, &path)?))).collect();
    let mut out: Map<String, Value> = PLACES
        .iter()
        .map(|place| ((*place).to_owned(), json!({"described": false, "operations": [], "parameters": []})))
        .collect();
    for (place, address) in stated {
        let wanted = segments(path_of(address));
        let found: Vec<Described> =
            descriptions.iter().filter_map(|(path, description)| below(path, description, &wanted)).collect();
        if let Some(first) = found.first() {
            let operations: Vec<&String> = found.iter().flat_map(|one| &one.operations).collect();
            let parameters: BTreeSet<&String> = found.iter().flat_map(|one| &one.parameters).collect();
            let entry =
                json!({"described": true, "path": first.path, "operations": operations, "parameters": parameters});
            out.insert(place.to_owned(), entry);
        }
    }
    Value::Object(out)
}

/// The path of an address, without scheme, host and query.
fn path_of(address: &str) -> &str {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let path = rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/");
    path.split('?').next().unwrap_or(path)
}

fn segments(path: &str) -> Vec<&str> {
    path.split('/').filter(|part| !part.is_empty()).collect()
}

/// What one description says below an address.
struct Described {
    path: String,
    operations: Vec<String>,
    parameters: BTreeSet<String>,
}

/// The operations of a description at or below a path.
fn below(file: &str, description: &Value, wanted: &[&str]) -> Option<Described> {
    let servers = description.get("servers").and_then(Value::as_array).into_iter().flatten();
    let bases: Vec<Vec<&str>> =
        servers.filter_map(|server| Some(segments(path_of(server.get("url")?.as_str()?)))).collect();
    let mut operations = Vec::new();
    let mut parameters = BTreeSet::new();
    for (path, item) in description.get("paths")?.as_object()? {
        let parts = segments(path);
        if !leads(&parts, wanted) && !bases.iter().any(|base| leads(&[base.as_slice(), &parts].concat(), wanted)) {
            continue;
        }
        for method in METHODS {
            let Some(operation) = item.get(method) else { continue };
            let id = operation.get("operationId").and_then(Value::as_str).unwrap_or_default();
            operations.push(format!("{method} {path} {id}").trim_end().to_lowercase());
            let named = systems::parameters(description, [operation, item]);
            parameters.extend(named.filter_map(|one| Some(one.get("name")?.as_str()?.to_lowercase())));
            parameters.extend(
                parts.iter().filter_map(|part| Some(part.strip_prefix('{')?.strip_suffix('}')?.to_lowercase())),
            );
        }
    }
    (!operations.is_empty()).then(|| Described { path: file.to_owned(), operations, parameters })
}

/// Whether a path begins with the wanted one; a name in braces stands for any segment.
fn leads(path: &[&str], wanted: &[&str]) -> bool {
    let same = |(one, other): (&&str, &&str)| one == other || one.starts_with('{') || other.starts_with('{');
    !wanted.is_empty() && path.len() >= wanted.len() && path.iter().zip(wanted).all(same)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use serde_json::json;

    use super::{super::Shelf, facts};
    use crate::source::Files;

    #[test]
    fn operations_below_an_address_are_gathered_from_all_descriptions() {
        let texts: BTreeMap<String, Arc<str>> = [
            ("openapi/a.yaml", "paths:\n  /approvals:\n    post: {operationId: ask}\n  /orders: {get: {}}\n"),
            ("openapi/b.yaml", "servers: [{url: \"https://x.example/v1\"}]\npaths:\n  /runs/{id}:\n    get: {parameters: [{name: Since}, {$ref: \"#/components/parameters/Until\"}]}\n\
              components: {parameters: {Until: {name: until}}}\n"),
            ("openapi.yaml", "paths:\n  /approvals/{id}/revoke: {post: {operationId: revokeApproval}}\n"),
        ]
        .map(|(name, text)| (name.to_owned(), Arc::from(text)))
        .into();
        let files = Files::texts(texts);
        let shelf = Shelf::new(&files, "agentready.yaml");
        let manifest = json!({"approvals": {"api": "http://localhost:8080/approvals?x=1"},
            "audit": {"export": {"api": "https://x.example/v1/runs/{run_id}"}}, "policy": {"admin": {"api": "https://c.example"}}});
        let found = facts(&shelf, &manifest);
        let operations = ["post /approvals/{id}/revoke revokeapproval", "post /approvals ask"];
        assert_eq!(found["approvals.api"]["operations"], json!(operations));
        assert_eq!(found["audit.export.api"]["parameters"], json!(["id", "since", "until"]));
        assert_eq!(found["policy.admin.api"]["described"], json!(false), "an address without a path names nothing");
    }
}
