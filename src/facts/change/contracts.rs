//! The contract of each tool as its server states it: what an MCP server lists of it, or its operation in an `OpenAPI`
//! document. Both come from a file that the manifest names, or were fetched by the caller.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::super::{Fetched, Shelf, document};

/// What makes up the contract of an MCP tool; other keys of a listing are no promise.
const KEYS: [&str; 6] = ["annotations", "description", "inputSchema", "name", "outputSchema", "title"];

/// Contracts by `system/tool`, of those systems whose description was opened or fetched.
pub(super) fn contracts(shelf: &Shelf<'_>, manifest: &Value, fetched: &Fetched) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for (system, entry) in manifest.get("systems").and_then(Value::as_object).into_iter().flatten() {
        let text = |key: &str| entry.get(key).and_then(Value::as_str);
        let opened = |from: &str, asked: Option<&Result<Value, String>>| match asked {
            Some(asked) => asked.as_ref().ok().cloned(),
            None if from.contains("://") => None,
            None => document::value(shelf, from),
        };
        let of_system: Vec<(String, Value)> = match (text("mcp"), text("openapi")) {
            (Some(from), _) => opened(from, fetched.tools.get(system)).iter().flat_map(listed).collect(),
            (None, Some(from)) => {
                let api = opened(from, fetched.documents.get(from)).unwrap_or_default();
                tools(manifest, system)
                    .filter_map(|(name, tool)| Some((name.clone(), operation(&api, name, tool)?)))
                    .collect()
            }
            (None, None) => Vec::new(),
        };
        found.extend(of_system.into_iter().map(|(tool, contract)| (format!("{system}/{tool}"), contract)));
    }
    found
}

fn tools<'a>(manifest: &'a Value, system: &'a str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    let tools = manifest.get("tools").and_then(Value::as_object).into_iter().flatten();
    tools.filter(move |(_, tool)| tool.get("system").and_then(Value::as_str) == Some(system))
}

/// The tools of an answer to `tools/list`: the whole message, its result, or the list alone.
fn listed(answer: &Value) -> Vec<(String, Value)> {
    let lists = [answer.pointer("/result/tools"), answer.get("tools"), Some(answer)];
    let list = lists.into_iter().flatten().find_map(Value::as_array).into_iter().flatten();
    list.filter_map(|tool| {
        let name = tool.get("name")?.as_str()?.to_owned();
        let kept = KEYS.iter().filter_map(|key| Some(((*key).to_owned(), tool.get(*key)?.clone())));
        Some((name, Value::Object(kept.collect::<Map<_, _>>())))
    })
    .collect()
}

/// The operation that a tool's `endpoint` names, or that bears its name.
fn operation(api: &Value, name: &str, tool: &Value) -> Option<Value> {
    let paths = api.get("paths")?.as_object()?;
    if let Some((method, path)) = tool.get("endpoint").and_then(Value::as_str).and_then(|text| text.split_once(' ')) {
        let item = paths.iter().find(|(known, _)| without_names(known) == without_names(path))?.1;
        return item.get(method.to_lowercase()).cloned();
    }
    let operations = paths.values().filter_map(Value::as_object).flat_map(Map::values);
    operations.into_iter().find(|one| one.get("operationId").and_then(Value::as_str) == Some(name)).cloned()
}

/// A path without the names of its parameters, which a document and a manifest may choose differently.
fn without_names(path: &str) -> String {
    path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part }).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use serde_json::json;

    use super::{super::super::Shelf, contracts};
    use crate::{facts::Fetched, source::Files};

    #[test]
    fn a_contract_is_what_the_server_states() {
        let api = "paths:\n  /orders/{order_id}:\n    get: {operationId: orders_get, deprecated: true}\n  /mails:\n    post: {operationId: send}\n";
        let files = Files::texts(BTreeMap::from([("shop.yaml".to_owned(), Arc::from(api))]));
        let shelf = Shelf::new(&files, "agentready.yaml");
        let manifest = json!({
            "systems": {"shop": {"openapi": "shop.yaml"}, "desk": {"mcp": "https://mcp.example"}, "far": {"mcp": "https://far.example"}},
            "tools": {"get_order": {"system": "shop", "endpoint": "GET /orders/{id}"}, "send": {"system": "shop"}, "gone": {"system": "shop"}}
        });
        let listed =
            json!({"result": {"tools": [{"name": "reply", "description": "Answers.", "_meta": {"trace": 1}}]}});
        let tools = [("desk".to_owned(), Ok(listed)), ("far".to_owned(), Err("refused".to_owned()))].into();
        let found = contracts(&shelf, &manifest, &Fetched { tools, ..Fetched::default() });
        assert_eq!(found.keys().collect::<Vec<_>>(), ["desk/reply", "shop/get_order", "shop/send"]);
        assert_eq!(found["desk/reply"], json!({"name": "reply", "description": "Answers."}));
        assert_eq!(found["shop/get_order"]["deprecated"], json!(true));
    }
}
