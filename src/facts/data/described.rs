//! What each tool takes and returns, by the manifest's schema or by the description of its system: an export of its MCP
//! server's `tools/list`, or its `OpenAPI` document, beside the manifest or fetched by the caller.

use std::{borrow::Cow, collections::BTreeMap};

use serde_json::Value;

use super::{Sight, kinds, string};
use crate::facts::{Fetched, document};

/// A named value that a tool takes or returns.
#[derive(Debug)]
pub(super) struct Property {
    pub(super) name: String,
    /// The kind of data that its name or format speaks of.
    pub(super) looks: Option<&'static str>,
}

/// What is known of one tool.
#[derive(Debug, Default)]
pub(super) struct Shape {
    pub(super) taken: Vec<Property>,
    pub(super) returned: Vec<Property>,
    /// Whether anything describes what it takes.
    pub(super) known: bool,
}

/// The shapes of the manifest's tools by name.
pub(super) fn shapes(sight: &Sight<'_>, fetched: &Fetched) -> BTreeMap<String, Shape> {
    let systems = sight.map("/systems");
    let systems: BTreeMap<&String, Cow<'_, Value>> =
        systems.filter_map(|(name, entry)| Some((name, description(sight, (name, entry), fetched)?))).collect();
    let told: BTreeMap<&String, BTreeMap<String, Shape>> = systems
        .iter()
        .map(|(name, said)| (*name, if said.get("paths").is_some() { api(said) } else { mcp(said) }))
        .collect();
    let mut found = BTreeMap::new();
    for tool in sight.tools {
        let Some(name) = string(tool, "name") else { continue };
        let of_system = string(tool, "system").and_then(|system| told.get(&system));
        let known = of_system.and_then(|shapes| {
            let by_endpoint = string(tool, "endpoint").and_then(|endpoint| shapes.get(&key(&endpoint)));
            by_endpoint.or_else(|| shapes.get(&name))
        });
        let own = string(tool, "input_schema").and_then(|path| sight.file(&path)?.get("json"));
        let taken = own.map(|schema| properties(schema, schema));
        let described = known.is_some_and(|shape| shape.known);
        found.insert(
            name,
            Shape {
                known: taken.is_some() || described,
                taken: taken.unwrap_or_else(|| known.map(|shape| copied(&shape.taken)).unwrap_or_default()),
                returned: known.map(|shape| copied(&shape.returned)).unwrap_or_default(),
            },
        );
    }
    found
}

fn copied(list: &[Property]) -> Vec<Property> {
    list.iter().map(|one| Property { name: one.name.clone(), looks: one.looks }).collect()
}

fn description<'f>(sight: &Sight<'_>, (name, system): (&str, &Value), fetched: &'f Fetched) -> Option<Cow<'f, Value>> {
    let (answer, path) = match (string(system, "mcp"), string(system, "openapi")) {
        (Some(path), _) => (fetched.tools.get(name), path),
        (None, Some(path)) => (fetched.documents.get(&path), path),
        (None, None) => return None,
    };
    if path.contains("://") {
        return Some(Cow::Borrowed(answer?.as_ref().ok()?));
    }
    document::value(sight.shelf, &path).map(Cow::Owned)
}

fn properties(root: &Value, schema: &Value) -> Vec<Property> {
    let found = kinds::properties(root, schema).into_iter();
    found.map(|(name, inner)| property(name, inner)).collect()
}

fn property(name: &str, schema: &Value) -> Property {
    let by_format = || schema.get("format").filter(|format| *format == "email").map(|_| "email");
    Property { name: name.to_owned(), looks: kinds::of_name(name).or_else(by_format) }
}

/// The tools of an answer to `tools/list`: the whole message, its result, or the list alone.
fn mcp(answer: &Value) -> BTreeMap<String, Shape> {
    let mut list = [answer.pointer("/result/tools"), answer.get("tools"), Some(answer)].into_iter().flatten();
    let list = list.find_map(Value::as_array).into_iter().flatten();
    list.filter_map(|tool| {
        let of = |schema: Option<&Value>| schema.map(|schema| properties(schema, schema)).unwrap_or_default();
        let (taken, returned) = (tool.get("inputSchema"), tool.get("outputSchema"));
        Some((string(tool, "name")?, Shape { known: taken.is_some(), taken: of(taken), returned: of(returned) }))
    })
    .collect()
}

/// The operations of an `OpenAPI` document, by `METHOD /path` and by `operationId`.
fn api(said: &Value) -> BTreeMap<String, Shape> {
    let paths = said.get("paths").and_then(Value::as_object).into_iter().flatten();
    let mut found = BTreeMap::new();
    for (path, item) in paths {
        for (method, operation) in item.as_object().into_iter().flatten().filter(|(_, op)| op.is_object()) {
            let shared = item.get("parameters").and_then(Value::as_array).into_iter().flatten();
            let own = operation.get("parameters").and_then(Value::as_array).into_iter().flatten();
            let parameters = shared.chain(own).filter_map(|one| {
                Some(property(one.get("name")?.as_str()?, one.get("schema").unwrap_or(&Value::Null)))
            });
            let body = operation.pointer("/requestBody/content/application~1json/schema");
            let answers = operation.get("responses").and_then(Value::as_object);
            let good = answers.and_then(|answers| answers.iter().find(|(status, _)| status.starts_with('2')));
            let good = good.and_then(|(_, answer)| answer.pointer("/content/application~1json/schema"));
            let of = |schema: Option<&Value>| schema.map(|schema| properties(said, schema)).unwrap_or_default();
            let taken: Vec<Property> = parameters.chain(of(body)).collect();
            if let Some(id) = string(operation, "operationId") {
                found.insert(id, Shape { known: true, taken: copied(&taken), returned: of(good) });
            }
            let place = key(&format!("{} {path}", method.to_uppercase()));
            found.insert(place, Shape { known: true, taken, returned: of(good) });
        }
    }
    found
}

/// An endpoint without the names of its parameters, so that `/orders/{id}` meets `/orders/{order_id}`.
fn key(endpoint: &str) -> String {
    let parts = endpoint.split('/').map(|part| if part.starts_with('{') { "{}" } else { part });
    parts.collect::<Vec<_>>().join("/")
}
