//! The tools that each system's own description offers: what a server listed, or the operations of an `OpenAPI` file.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Shelf, document};

/// HTTP methods that `OpenAPI` has operations for.
const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// Names by system; an operation that a tool's `endpoint` names bears the tool's name. A system whose description
/// was not opened is left out.
pub(super) fn tools(shelf: &Shelf<'_>, manifest: &Value, listed: &BTreeMap<String, Vec<String>>) -> Value {
    let systems = manifest.get("systems").and_then(Value::as_object).into_iter().flatten();
    let mut out: Map<String, Value> = systems
        .filter_map(|(system, entry)| {
            let path = entry.get("openapi")?.as_str().filter(|path| !path.contains("://"))?;
            let description = document::value(shelf, path)?;
            let names = operations(&description).map(|operation| operation.name(manifest, system));
            Some((system.clone(), names.collect()))
        })
        .collect();
    out.extend(listed.iter().map(|(system, names)| (system.clone(), names.clone().into())));
    Value::Object(out)
}

struct Operation {
    id: Option<String>,
    endpoint: String,
}

impl Operation {
    fn name(self, manifest: &Value, system: &str) -> String {
        let tools = manifest.get("tools").and_then(Value::as_object).into_iter().flatten();
        let here = |tool: &Value, key: &str, value: &str| tool.get(key).and_then(Value::as_str) == Some(value);
        tools
            .filter(|(_, tool)| here(tool, "system", system))
            .find(|(_, tool)| here(tool, "endpoint", &self.endpoint))
            .map(|(name, _)| name.clone())
            .or(self.id)
            .unwrap_or(self.endpoint)
    }
}

fn operations(description: &Value) -> impl Iterator<Item = Operation> {
    let paths = description.get("paths").and_then(Value::as_object).into_iter().flatten();
    paths.flat_map(|(path, item)| {
        METHODS.iter().filter_map(move |method| {
            let operation = item.get(method)?;
            let id = operation.get("operationId").and_then(Value::as_str).map(str::to_owned);
            Some(Operation { id, endpoint: format!("{} {path}", method.to_uppercase()) })
        })
    })
}
