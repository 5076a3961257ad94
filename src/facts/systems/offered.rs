//! What each system says of itself: the tools that its MCP server lists, or the operations of its `OpenAPI` document.
//!
//! A description is a file (`mcp: exports/stripe.json` holds an answer to `tools/list`) or was fetched by the caller.
//! `facts.servers` has an entry per described system: `name`, `at`, `from`, `opened`, `why` not, the names of its
//! `tools`, those that the manifest does not list (`unlisted`) and those of the manifest that it does not offer
//! (`stale`). Hints are a server's own words about itself: they are kept apart from what the manifest says.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::facts::{Claims, Fetched, Shelf, document, may_run};

/// Where the schema that a description has for a tool can be read.
pub(super) fn schema_name(from: &str, tool: &str) -> String {
    format!("{from}/{tool}.json")
}

/// Lets the schemas be read as files are, so that whatever looks into a schema looks into these.
pub(super) fn lend(shelf: &Shelf<'_>, claims: &Claims<'_>, offers: &Offers) {
    let listed: BTreeSet<&str> = claims.tools.iter().filter_map(|tool| tool.get("name")?.as_str()).collect();
    for described in offers.values() {
        let offers = described.offers.as_deref().unwrap_or_default();
        for offer in offers.iter().filter(|offer| listed.contains(offer.name.as_str())) {
            if let Some(schema) = &offer.schema {
                shelf.files.lend(&shelf.name(&schema_name(&described.from, &offer.name)), schema.to_string());
            }
        }
    }
}

/// HTTP methods that `OpenAPI` has operations for.
const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// One tool as its server describes it.
#[derive(Clone, Debug, Default)]
pub(super) struct Offer {
    /// The name in the manifest, where an endpoint there leads to it, else its own.
    pub(super) name: String,
    /// `readOnlyHint`, when the server states it; an operation's method states it too.
    pub(super) read_only: Option<bool>,
    /// `destructiveHint`, when the server states it.
    pub(super) destructive: Option<bool>,
    /// `openWorldHint`, when the server states it; what it means by itself where it doesn't says nothing of this tool.
    pub(super) open_world: bool,
    /// `idempotentHint`, when the server states it.
    pub(super) idempotent: Option<bool>,
    /// The JSON Schema of its arguments.
    pub(super) schema: Option<Value>,
    /// What an `OpenAPI` document says beyond that.
    pub(super) operation: Option<Operation>,
}

/// One operation of an `OpenAPI` document.
#[derive(Clone, Debug, Default)]
pub(super) struct Operation {
    /// `METHOD /path`.
    pub(super) endpoint: String,
    /// The scopes that it asks for, alternative by alternative; one that asks for none is left out.
    pub(super) scopes: Vec<BTreeSet<String>>,
    /// The headers that it takes.
    pub(super) headers: BTreeSet<String>,
    /// The status codes that it states.
    pub(super) responses: BTreeSet<String>,
}

/// What was found behind one system.
pub(super) struct Description {
    /// The file or address.
    pub(super) from: String,
    /// The tools, or why they are not known.
    pub(super) offers: Result<Vec<Offer>, String>,
}

/// The descriptions by system; a system without one is left out.
pub(super) type Offers = BTreeMap<String, Description>;

/// Opens every description.
pub(super) fn open(shelf: &Shelf<'_>, claims: &Claims<'_>, fetched: &Fetched) -> Offers {
    let endpoints = endpoints(claims);
    let described = |system: &str, entry: &Value| {
        if let Some(from) = entry.get("mcp").and_then(Value::as_str) {
            let offers = answer(shelf, from, fetched.tools.get(system)).and_then(|answer| listed(&answer));
            return Some(Description { from: from.to_owned(), offers });
        }
        let from = entry.get("openapi").and_then(Value::as_str)?;
        let offers = answer(shelf, from, fetched.documents.get(from))
            .and_then(|api| operations(&api, &|endpoint| endpoints.get(&(system, key(endpoint))).copied()));
        Some(Description { from: from.to_owned(), offers })
    };
    let systems = claims.manifest.get("systems").and_then(Value::as_object).into_iter().flatten();
    systems.filter_map(|(name, entry)| Some((name.clone(), described(name, entry)?))).collect()
}

/// `facts.servers`.
pub(super) fn facts(offers: &Offers, claims: &Claims<'_>) -> Value {
    let known: BTreeSet<&str> = claims.tools.iter().filter_map(|tool| tool.get("name")?.as_str()).collect();
    let mut own = BTreeMap::<&str, Vec<&str>>::new();
    // A tool that is never called need not exist: it may be forbidden ahead of its time.
    for tool in claims.tools.iter().filter(|tool| may_run(tool)) {
        let text = |key: &str| tool.get(key).and_then(Value::as_str).unwrap_or_default();
        own.entry(text("system")).or_default().push(text("name"));
    }
    let entry = |(system, description): (&String, &Description)| {
        let at = format!("/systems/{}", system.replace('~', "~0").replace('/', "~1"));
        match &description.offers {
            Err(why) => json!({"name": system, "at": at, "from": description.from, "opened": false, "why": why}),
            Ok(offers) => {
                let names: BTreeSet<&str> = offers.iter().map(|offer| offer.name.as_str()).collect();
                let listed = own.get(system.as_str()).map_or(&[][..], Vec::as_slice);
                let stale: Vec<&&str> = listed.iter().filter(|name| !names.contains(**name)).collect();
                json!({"name": system, "at": at, "from": description.from, "opened": true, "stale": stale,
                    "unlisted": names.difference(&known).collect::<Vec<_>>(), "tools": names})
            }
        }
    };
    offers.iter().map(entry).collect()
}

/// What a file says, or what was fetched from an address.
fn answer(shelf: &Shelf<'_>, from: &str, fetched: Option<&Result<Value, String>>) -> Result<Value, String> {
    if is_address(from) {
        return fetched.cloned().unwrap_or_else(|| Err("was not asked".to_owned()));
    }
    document::value(shelf, from).ok_or_else(|| "can't be opened, or is neither JSON nor YAML".to_owned())
}

/// Whether a place is an address and not a path.
pub(super) fn is_address(place: &str) -> bool {
    place.contains("://")
}

/// The tools of an answer to `tools/list`: the whole message, its result, or the list alone.
fn listed(answer: &Value) -> Result<Vec<Offer>, String> {
    let mut list = [answer.pointer("/result/tools"), answer.get("tools"), Some(answer)].into_iter().flatten();
    let list = list.find_map(Value::as_array).ok_or("answered without a list of `tools`")?;
    list.iter().map(|tool| offer(tool).ok_or_else(|| "lists a tool without a name".to_owned())).collect()
}

fn offer(tool: &Value) -> Option<Offer> {
    let hint = |name: &str| tool.get("annotations")?.get(name)?.as_bool();
    Some(Offer {
        name: tool.as_str().or_else(|| tool.get("name")?.as_str())?.to_owned(),
        read_only: hint("readOnlyHint"),
        destructive: hint("destructiveHint"),
        open_world: hint("openWorldHint") == Some(true),
        idempotent: hint("idempotentHint"),
        schema: tool.get("inputSchema").cloned(),
        operation: None,
    })
}

/// The manifest's tools by system and endpoint.
fn endpoints<'a>(claims: &Claims<'a>) -> BTreeMap<(&'a str, String), &'a str> {
    let tools = claims.tools.iter().filter_map(|tool| {
        let text = |key: &str| tool.get(key).and_then(Value::as_str);
        Some(((text("system")?, key(text("endpoint")?)), text("name")?))
    });
    tools.collect()
}

/// An endpoint with its parameters' names left out, so that `/orders/{id}` meets `/orders/{order_id}`.
pub(super) fn key(endpoint: &str) -> String {
    let mut inside = false;
    let keep = |c: &char| {
        let kept = !inside || *c == '}';
        inside = *c == '{' || inside && *c != '}';
        kept
    };
    endpoint.chars().filter(keep).collect()
}

fn operations<'a>(api: &Value, named: &dyn Fn(&str) -> Option<&'a str>) -> Result<Vec<Offer>, String> {
    let paths = api.get("paths").and_then(Value::as_object).ok_or("has no `paths`")?;
    let base = api.pointer("/servers/0/url").and_then(Value::as_str).map_or("", base_path);
    let offers = paths.iter().flat_map(|(path, item)| {
        METHODS.iter().filter_map(move |method| {
            let operation = item.get(method)?;
            let short = format!("{} {path}", method.to_uppercase());
            let long = format!("{} {base}{path}", method.to_uppercase());
            let own = operation.get("operationId").and_then(Value::as_str);
            let (endpoint, known) = match (named(&short), named(&long)) {
                (None, Some(name)) => (long, Some(name)),
                (name, _) => (short, name),
            };
            let name = known.or(own).unwrap_or(&endpoint).to_owned();
            let scopes = scopes(operation.get("security").or_else(|| api.get("security")));
            let responses = operation.get("responses").and_then(Value::as_object).into_iter().flat_map(Map::keys);
            let responses = responses.cloned().collect();
            Some(Offer {
                name,
                read_only: Some(matches!(*method, "get" | "head" | "options")),
                destructive: (*method == "delete").then_some(true),
                schema: arguments(api, item, operation),
                operation: Some(Operation { endpoint, scopes, headers: headers(api, item, operation), responses }),
                ..Offer::default()
            })
        })
    });
    Ok(offers.collect())
}

/// A part of a document, or what it refers to.
fn referred<'v>(api: &'v Value, value: &'v Value) -> Option<&'v Value> {
    match value.get("$ref").and_then(Value::as_str).and_then(|place| place.strip_prefix('#')) {
        Some(place) => api.pointer(place),
        None => Some(value),
    }
}

/// The parameters of a path and of its operation.
pub(in crate::facts) fn parameters<'v>(api: &'v Value, places: [&'v Value; 2]) -> impl Iterator<Item = &'v Value> {
    let lists = places.into_iter().filter_map(|place| place.get("parameters")?.as_array());
    lists.flatten().filter_map(move |one| referred(api, one))
}

fn headers(api: &Value, item: &Value, operation: &Value) -> BTreeSet<String> {
    let text = |one: &Value, key: &str| one.get(key).and_then(Value::as_str).map(str::to_owned);
    let taken = parameters(api, [item, operation]).filter(|one| text(one, "in").as_deref() == Some("header"));
    taken.filter_map(|one| text(one, "name")).collect()
}

/// The schema of what an operation takes: the properties of its JSON body, and its parameters.
fn arguments(api: &Value, item: &Value, operation: &Value) -> Option<Value> {
    let body = operation.pointer("/requestBody/content/application~1json/schema");
    let body = body.and_then(|body| referred(api, body)).cloned();
    let is_other = |one: &&Value| matches!(one.get("in").and_then(Value::as_str), Some("header" | "cookie" | "body"));
    let parameters: Vec<&Value> = parameters(api, [item, operation]).filter(|one| !is_other(one)).collect();
    if parameters.is_empty() {
        return Some(with_parts(body?, api));
    }
    let mut schema = body.unwrap_or_else(|| json!({"type": "object", "additionalProperties": false}));
    let map = schema.as_object_mut()?;
    for one in parameters {
        let Some(name) = one.get("name").and_then(Value::as_str) else { continue };
        let own = one.get("schema").cloned().unwrap_or_else(|| json!({"type": one.get("type")}));
        map.entry("properties").or_insert_with(|| json!({})).as_object_mut()?.insert(name.to_owned(), own);
        if one.get("required") == Some(&Value::Bool(true)) {
            map.entry("required").or_insert_with(|| json!([])).as_array_mut()?.push(name.into());
        }
    }
    Some(with_parts(schema, api))
}

/// A schema that refers to parts of its document, with these parts.
fn with_parts(mut schema: Value, api: &Value) -> Value {
    let refers = schema.to_string().contains("\"#/components/");
    if let (true, Some(map), Some(parts)) = (refers, schema.as_object_mut(), api.get("components")) {
        map.insert("components".to_owned(), parts.clone());
    }
    schema
}

/// The path below a server's address: `https://shop.example/v1` gives `/v1`.
fn base_path(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').and_then(|at| rest.get(at..)).unwrap_or_default().trim_end_matches('/')
}

fn scopes(security: Option<&Value>) -> Vec<BTreeSet<String>> {
    let alternatives = security.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object);
    let needed = alternatives.map(|one| {
        let lists = one.values().filter_map(Value::as_array).flatten();
        lists.filter_map(Value::as_str).map(str::to_owned).collect()
    });
    needed.filter(|needed: &BTreeSet<String>| !needed.is_empty()).collect()
}
