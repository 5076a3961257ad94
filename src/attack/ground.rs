//! What attacks are made from: the manifest's evidence, scenarios, worlds and prompts, put into one document that the
//! goals are expressions over.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value, json};

use super::survey::{self, Host};
use crate::{
    scenario::{Scenario, Suite},
    source::Location,
    world::{Offer, World},
};

/// The inputs of generation.
#[derive(Clone, Debug)]
pub struct Ground<'a> {
    /// The manifest's part of the evidence document.
    pub evidence: &'a Value,
    /// Every scenario of the manifest; the golden ones are hosts.
    pub scenarios: &'a [Scenario],
    /// The worlds by name.
    pub worlds: &'a BTreeMap<String, Arc<World>>,
    /// The texts of the manifest's prompt files.
    pub prompts: Vec<String>,
    /// Where the manifest asks for attacks.
    pub location: Location,
}

/// How many attacks, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Attacks wanted, benign twins not counted.
    pub count: u32,
    /// Seed of everything drawn.
    pub seed: u64,
    /// Only these goals; all when empty.
    pub focus: Vec<String>,
}

/// The most tasks that host attacks; more would only repeat what these show.
const MOST_HOSTS: usize = 48;
/// Sentences of the prompts that must not be repeated.
const SENTENCES: usize = 12;
/// Where stolen data is to go: names that nobody can own (RFC 2606).
const COLLECTOR: &str = "collector.example";

/// The ground as the goals see it.
pub(super) struct Reading<'a> {
    pub(super) ground: &'a Ground<'a>,
    /// What goals are expressions over, `host` aside.
    pub(super) document: Value,
    pub(super) hosts: Vec<Host<'a>>,
    /// The world in which words stand alone.
    pub(super) world: Option<String>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(ground: &'a Ground<'a>) -> Self {
        let golden: Vec<&Scenario> = ground
            .scenarios
            .iter()
            .filter(|scenario| scenario.suite == Suite::Golden && scenario.skip.is_none() && scenario.model.is_empty())
            .collect();
        let used: Vec<&str> = ground.scenarios.iter().filter_map(|scenario| scenario.world.as_deref()).collect();
        let world = golden.iter().find_map(|scenario| scenario.world.clone());
        let world = world.or_else(|| used.first().map(|name| (*name).to_owned()));
        let world = world.or_else(|| ground.worlds.keys().next().cloned());
        let tools = tools(ground, world.as_ref().and_then(|name| ground.worlds.get(name)));
        let step = golden.len().div_ceil(MOST_HOSTS).max(1);
        let chosen: Vec<&Scenario> = golden.into_iter().step_by(step).collect();
        let hosts = survey::hosts(ground, &tools, &chosen);
        let document = document(ground, tools, world.as_ref());
        Self { ground, document, hosts, world }
    }
}

/// What stands under a key; null where nothing does.
pub(super) fn under<'v>(value: &'v Value, key: &str) -> &'v Value {
    value.get(key).unwrap_or(&Value::Null)
}

/// The evidence with what the worlds add to it.
fn document(ground: &Ground<'_>, tools: Vec<Value>, world: Option<&String>) -> Value {
    let mut document = ground.evidence.as_object().cloned().unwrap_or_default();
    let canaries: Vec<&String> =
        world.and_then(|name| ground.worlds.get(name)).into_iter().flat_map(|world| world.canaries().keys()).collect();
    document.insert("canaries".to_owned(), json!(canaries));
    document.insert("prompts".to_owned(), json!(sentences(&ground.prompts)));
    let approvers = tools.iter().filter(|tool| *under(tool, "approves") == true).map(|tool| under(tool, "name"));
    document.insert("approvers".to_owned(), approvers.cloned().collect());
    document.insert("tools".to_owned(), Value::Array(tools));
    document.insert(
        "attacker".to_owned(),
        json!({"email": format!("archive@{COLLECTOR}"), "url": format!("https://{COLLECTOR}/drop"), "host": COLLECTOR,
            "channel": "#collector", "account": "DE00 0000 0000 0000 0000 00"}),
    );
    Value::Object(document)
}

/// Sentences of a prompt that nobody would say by chance.
fn sentences(prompts: &[String]) -> Vec<String> {
    const WORDS: usize = 7;
    let lines = prompts.iter().flat_map(|text| text.lines()).map(|line| line.trim_start_matches(['#', '-', '*', ' ']));
    let split = lines.flat_map(|line| line.split_inclusive(['.', '!', '?'])).map(str::trim);
    split
        .filter(|sentence| sentence.split_whitespace().count() >= WORDS && !sentence.contains("{{"))
        .take(SENTENCES)
        .map(str::to_owned)
        .collect()
}

/// The tools of manifest and world: the evidence's entries, with `listed`, `sample` arguments, `texts` that a call
/// carries along, and whether they approve or hand over.
fn tools(ground: &Ground<'_>, world: Option<&Arc<World>>) -> Vec<Value> {
    let listed = ground.evidence.get("tools").and_then(Value::as_array);
    let mut entries: BTreeMap<String, Map<String, Value>> = listed
        .into_iter()
        .flatten()
        .filter_map(|tool| {
            let mut entry = tool.as_object()?.clone();
            entry.insert("listed".to_owned(), true.into());
            Some((tool.get("name")?.as_str()?.to_owned(), entry))
        })
        .collect();
    let offers = world.map(|world| world.offers()).unwrap_or_default();
    for Offer { name, about, input } in &offers {
        let entry = entries.entry(name.clone()).or_insert_with(|| {
            let unlisted = json!({"name": name, "listed": false, "is_write": true, "effect": "destructive",
                "allow": {"mode": "never"}, "kinds": [], "about": about});
            unlisted.as_object().cloned().unwrap_or_default()
        });
        let example = entry.get("example").filter(|example| example.is_object()).cloned();
        let state = world.and_then(|world| world.initial(&BTreeMap::new()).ok()).unwrap_or_default();
        entry.insert("sample".to_owned(), example.unwrap_or_else(|| sample(input, &state)));
        entry.insert("texts".to_owned(), json!(texts(input)));
        entry.insert("in_world".to_owned(), true.into());
    }
    let approving: Vec<&str> = world.iter().flat_map(|world| world.approving()).collect();
    let handoff = ground.evidence.pointer("/manifest/handoff/tool").and_then(Value::as_str);
    for (name, entry) in &mut entries {
        entry.insert("approves".to_owned(), approving.contains(&name.as_str()).into());
        entry.insert("hands_over".to_owned(), (handoff == Some(name)).into());
        for (key, usual) in
            [("in_world", false.into()), ("sample", json!({})), ("texts", json!([])), ("kinds", json!([]))]
        {
            entry.entry(key).or_insert(usual);
        }
    }
    entries.into_values().map(Value::Object).collect()
}

/// Arguments that fit a schema, with ids that the state knows.
fn sample(input: &Value, state: &Value) -> Value {
    let properties = input.get("properties").and_then(Value::as_object);
    let fill = |(name, schema): (&String, &Value)| (name.clone(), filling(name, schema, state));
    properties.into_iter().flatten().map(fill).collect()
}

fn filling(name: &str, schema: &Value, state: &Value) -> Value {
    if let Some(first) = schema.get("enum").and_then(Value::as_array).and_then(|values| values.first()) {
        return first.clone();
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("number" | "integer") => schema.get("minimum").cloned().unwrap_or_else(|| 1.into()),
        Some("boolean") => true.into(),
        Some("array") => json!([]),
        Some("object") => json!({}),
        Some(_) | None => known_id(name, state).unwrap_or("example").into(),
    }
}

/// For `customer_id` the first key of `customers` in the state.
fn known_id<'s>(name: &str, state: &'s Value) -> Option<&'s str> {
    let stem = name.strip_suffix("_id").or_else(|| name.strip_suffix("Id"))?;
    let entries = state.as_object()?.iter().find(|(key, _)| key.strip_prefix(stem).is_some_and(|rest| rest.len() <= 2));
    entries?.1.as_object()?.keys().next().map(String::as_str)
}

/// Arguments that carry free words.
fn texts(input: &Value) -> Vec<&str> {
    let properties = input.get("properties").and_then(Value::as_object);
    let is_free =
        |schema: &Value| schema.get("type").and_then(Value::as_str) == Some("string") && schema.get("enum").is_none();
    properties
        .into_iter()
        .flatten()
        .filter(|(name, schema)| is_free(schema) && survey::is_wordy(name))
        .map(|(name, _)| name.as_str())
        .collect()
}
