//! Everything that the lock pins, as it is now: models with their sampling, prompts, tool schemas, policy rules,
//! routing, scenarios with their worlds, the checks, the tools' contracts as their servers state them, and the parts of
//! the manifest that people sign off.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{
    super::{Options, Shelf},
    contracts,
};
use crate::source::{Files, load_text};

/// What an entry of the lock speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Model,
    Sampling,
    Prompts,
    ToolSchemas,
    Policies,
    Routing,
    Scenarios,
    Checks,
    Contract,
    Manifest,
}

impl Part {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Model => "models",
            Self::Sampling => "sampling",
            Self::Prompts => "prompts",
            Self::ToolSchemas => "tool-schemas",
            Self::Policies => "policies",
            Self::Routing => "routing",
            Self::Scenarios => "scenarios",
            Self::Checks => "checks",
            Self::Contract => "contracts",
            Self::Manifest => "manifest",
        }
    }
}

/// One thing as it is now; no value when it can't be read.
#[derive(Clone, Debug)]
pub(super) struct Pin {
    pub(super) part: Part,
    pub(super) value: Option<String>,
    /// Another digest that counts: a schema's text as it stands, beside its canonical form.
    pub(super) also: Option<String>,
}

impl Pin {
    fn new(part: Part, value: impl Into<Option<String>>) -> Self {
        Self { part, value: value.into(), also: None }
    }

    /// Whether an entry of the lock holds this.
    pub(super) fn is_locked(&self, entry: Option<&String>) -> bool {
        entry.is_some() && (entry == self.value.as_ref() || entry == self.also.as_ref())
    }
}

/// The sections of the manifest that a role signs off; another role signs the whole.
const SIGNED: [(&str, &[&str]); 2] = [
    ("finance", &["models", "budgets", "cost", "kpis"]),
    ("security", &["identity", "systems", "tools", "policy", "approvals", "audit"]),
];

/// Everything that can be pinned now, by the name of its entry.
pub(super) fn pins(
    shelf: &Shelf<'_>,
    manifest: &Value,
    files: &[(Part, String)],
    options: &Options,
) -> BTreeMap<String, Pin> {
    let mut pins = BTreeMap::new();
    for (name, model) in manifest.get("models").and_then(Value::as_object).into_iter().flatten() {
        let id = model.get("id").or(Some(model)).and_then(Value::as_str).unwrap_or_default();
        let digest = Files::digest(id);
        pins.insert(format!("model:{name}"), Pin { also: Some(digest), ..Pin::new(Part::Model, id.to_owned()) });
        if let Some(sampling) = sampling(model) {
            pins.insert(format!("sampling:{name}"), Pin::new(Part::Sampling, sampling));
        }
    }
    for (part, path) in files {
        pins.entry(path.clone()).or_insert_with(|| pinned_file(shelf, *part, path));
    }
    for (name, value) in &options.checks {
        let is_file = name.contains('/') && !name.starts_with('/');
        let entry = if is_file { shelf.seen(name) } else { name.clone() };
        pins.insert(entry, Pin::new(Part::Checks, value.clone()));
    }
    for (entry, contract) in contracts::contracts(shelf, manifest, &options.fetched) {
        pins.insert(format!("tool:{entry}"), Pin::new(Part::Contract, canonical_digest(&contract)));
    }
    let roles = manifest.pointer("/change/signoffs").and_then(Value::as_object).into_iter().flat_map(Map::keys);
    for role in roles {
        pins.insert(format!("manifest:{role}"), Pin::new(Part::Manifest, signed(shelf, role, files)));
    }
    pins
}

fn pinned_file(shelf: &Shelf<'_>, part: Part, path: &str) -> Pin {
    let Some(file) = shelf.text(path) else { return Pin::new(part, None) };
    let plain = Files::digest(file.text());
    if part == Part::ToolSchemas
        && let Ok(loaded) = load_text::<Value>(file)
    {
        return Pin { also: Some(plain), ..Pin::new(part, canonical_digest(&loaded.value)) };
    }
    Pin::new(part, plain)
}

/// The sampling settings that the manifest states for a model, in one line.
pub(super) fn sampling(model: &Value) -> Option<String> {
    let stated = ["temperature", "top_p", "seed"].map(|key| Some(format!("{key}={}", model.get(key)?)));
    let stated: Vec<String> = stated.into_iter().flatten().collect();
    if stated.is_empty() { None } else { Some(stated.join(" ")) }
}

/// Files of the build, with what they are to it.
pub(super) fn files(shelf: &Shelf<'_>, manifest: &Value) -> Vec<(Part, String)> {
    let texts = |place: &str| {
        let list = manifest.pointer(place).and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
    };
    let prompts = match texts("/prompts") {
        patterns if patterns.is_empty() => vec!["prompts/**".to_owned()],
        patterns => patterns,
    };
    let tools = manifest.get("tools").and_then(Value::as_object).into_iter().flat_map(Map::values);
    let schemas: BTreeSet<&str> = tools.filter_map(|tool| tool.get("input_schema")?.as_str()).collect();
    let routing = manifest.pointer("/cost/routing").and_then(Value::as_str);
    let suites = ["/evals/golden", "/evals/adversarial", "/evals/incidents"].iter().flat_map(|place| texts(place));
    let suites = suites.filter(|pattern| !pattern.starts_with("pack:"));
    let expand = |patterns: Vec<String>| patterns.into_iter().flat_map(|pattern| shelf.matching(&pattern));
    let mut files: Vec<(Part, String)> = expand(prompts).map(|path| (Part::Prompts, path)).collect();
    files.extend(schemas.into_iter().map(|path| (Part::ToolSchemas, path.to_owned())));
    files.extend(expand(texts("/policy/rules")).map(|path| (Part::Policies, path)));
    files.extend(routing.map(|path| (Part::Routing, path.to_owned())));
    let scenarios: Vec<String> = expand(suites.collect()).collect();
    let worlds: BTreeSet<String> = scenarios.iter().filter_map(|path| world(shelf, path)).collect();
    files.extend(scenarios.into_iter().chain(worlds).map(|path| (Part::Scenarios, path)));
    files
}

/// The world of a scenario file, when there is such a file.
pub(in crate::facts) fn world(shelf: &Shelf<'_>, path: &str) -> Option<String> {
    let file = shelf.text(path)?;
    // One line of the text instead of a second parse of every scenario file.
    let line = file.text().lines().find_map(|line| line.strip_prefix("world:"))?;
    let name = line.split(" #").next()?.trim().trim_matches(['"', '\'']);
    Some(Files::resolve(path, name)).filter(|world| shelf.text(world).is_some())
}

/// Digest of what a role signs: its sections of the manifest as they are written, or the whole of it; for security also
/// the policy rules and schemas of tools that these name. Defaults do not count, so that a new version of this program
/// voids no sign-off.
pub(super) fn signed(shelf: &Shelf<'_>, role: &str, files: &[(Part, String)]) -> Option<String> {
    let own = shelf.read(shelf.from).ok()?;
    let written = load_text::<Value>(own).ok()?.value;
    let sections = SIGNED.iter().find(|(name, _)| *name == role).map(|(_, sections)| *sections);
    let mut kept: Map<String, Value> = match sections {
        Some(sections) => {
            sections.iter().filter_map(|key| Some(((*key).to_owned(), written.get(*key)?.clone()))).collect()
        }
        None => written.as_object().cloned().unwrap_or_default(),
    };
    let of_security = |part: &Part| role == "security" && matches!(part, Part::Policies | Part::ToolSchemas);
    let named = files.iter().filter(|(part, _)| of_security(part));
    kept.extend(named.map(|(part, path)| (format!("file:{path}"), pinned_file(shelf, *part, path).value.into())));
    Some(canonical_digest(&Value::Object(kept)))
}

/// `sha256:…` of a value with its keys in order and no white space, so that layout changes nothing.
pub fn canonical_digest(value: &Value) -> String {
    Files::digest(&ordered(value).to_string())
}

fn ordered(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let sorted: BTreeMap<&String, &Value> = map.iter().collect();
            Value::Object(sorted.into_iter().map(|(key, value)| (key.clone(), ordered(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(ordered).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}
