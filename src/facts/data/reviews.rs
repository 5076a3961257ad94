//! What people looked at: sources that the prompt reads, and frameworks that controls are mapped to.
//!
//! `facts.data.sources`: an entry per system whose text enters the prompt: `because`, `tools` (those that read it),
//! `retrieval` (its system says so), `resources` (how many it names), `described` (the arguments of all these tools are
//! known) and `filters` (those that choose whose documents are read), `listed`, `writers`, `reviewed`, `review`, `page` (`exists`, and whether its text `names` the source, speaks of `trust`
//! and of planted `orders`).
//! `facts.data.frameworks`: those of the manifest, and those that a class calls for: `listed`, `because`, `page`,
//! `exists`, `dates`, `rows`, `checks` (ids in the table), `loose` (controls with neither a check nor a reason), `owned` (by
//! compliance, legal, privacy, risk or security in CODEOWNERS).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use regex::Regex;
use serde_json::{Value, json};

use super::{Sight, classes::Classes, described::Shape, kinds, names, place, string, strings};
use crate::facts::{may_run, owners};

/// Words in the name of a system or of a reading tool whose results are texts by others.
const BY_OTHERS: [&str; 22] = [
    "article",
    "attachment",
    "chat",
    "comment",
    "crm",
    "doc",
    "email",
    "forum",
    "helpdesk",
    "inbox",
    "issue",
    "mail",
    "message",
    "news",
    "page",
    "review",
    "slack",
    "thread",
    "ticket",
    "web",
    "wiki",
    "zendesk",
];

/// Words in the name of an argument that chooses whose documents are read.
const CHOOSES: [&str; 25] = [
    "account",
    "acl",
    "collection",
    "corpus",
    "customer",
    "dataset",
    "filter",
    "folder",
    "group",
    "index",
    "indices",
    "merchant",
    "namespace",
    "org",
    "organisation",
    "organization",
    "owner",
    "project",
    "scope",
    "space",
    "team",
    "tenant",
    "user",
    "where",
    "workspace",
];

pub(super) fn sources(sight: &Sight<'_>) -> Value {
    let mut found: BTreeMap<String, (String, Vec<String>)> = BTreeMap::new();
    for (system, entry) in sight.map("/systems") {
        if entry.get("retrieval") == Some(&Value::Bool(true)) {
            found.insert(system.clone(), (format!("what {system} returns enters the prompt"), Vec::new()));
        }
    }
    for tool in sight.tools {
        let (Some(name), Some(system)) = (string(tool, "name"), string(tool, "system")) else { continue };
        let reads = tool.get("effect").is_some_and(|effect| effect == "read");
        if !reads || !may_run(tool) {
            continue;
        }
        if speaks_for_others(&name) || speaks_for_others(&system) {
            found.entry(system.clone()).or_insert_with(|| (format!("{name} returns texts by others"), Vec::new()));
        }
        if let Some((_, tools)) = found.get_mut(&system) {
            tools.push(name);
        }
    }
    for (system, _) in sight.map("/data/retrieval") {
        found.entry(system.clone()).or_insert_with(|| ("the manifest lists it".to_owned(), Vec::new()));
    }
    found.iter().map(|(system, (because, tools))| source(sight, system, because, tools)).collect()
}

fn speaks_for_others(name: &str) -> bool {
    kinds::plain(name).split('_').any(|word| is_one_of(&BY_OTHERS, word))
}

/// Whether a word is one of these, or its plural.
fn is_one_of(known: &[&str], word: &str) -> bool {
    known.iter().any(|known| word == *known || word.strip_suffix('s') == Some(known))
}

fn source(sight: &Sight<'_>, system: &str, because: &str, tools: &[String]) -> Value {
    let claim = sight.claim("/data/retrieval").and_then(|map| map.get(system));
    let at = if claim.is_some() { place("/data/retrieval", system) } else { place("/systems", system) };
    let review = claim.and_then(|claim| string(claim, "review"));
    let file = review.as_deref().and_then(|path| sight.file(path));
    let text = file.and_then(|file| file.get("text")?.as_str()).unwrap_or_default();
    let speaks_of = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let entry = sight.claim("/systems").and_then(|systems| systems.get(system));
    let shapes: Vec<&Shape> = tools.iter().filter_map(|tool| sight.shape(tool)).collect();
    let chooses = |name: &&String| {
        kinds::plain(name).split('_').any(|word| is_one_of(&CHOOSES, word))
            || sight.text("/data/tenancy/key").is_some_and(|key| kinds::plain(key) == kinds::plain(name))
    };
    json!({
        "name": system, "at": at, "because": because, "tools": tools, "listed": claim.is_some(),
        "retrieval": entry.and_then(|entry| entry.get("retrieval")).and_then(Value::as_bool).unwrap_or_default(),
        "resources": entry.map_or(0, |entry| strings(entry.get("resources")).len()),
        "described": !shapes.is_empty() && shapes.iter().all(|shape| shape.known),
        "filters": shapes.iter().flat_map(|shape| &shape.taken).map(|one| &one.name).filter(chooses).collect::<Vec<_>>(),
        "writers": claim.and_then(|claim| string(claim, "writers")),
        "reviewed": claim.and_then(|claim| string(claim, "reviewed")),
        "review": review,
        "page": {
            "exists": file.is_some(),
            "names": names(text, &system.to_lowercase()) || tools.iter().any(|tool| names(text, &tool.to_lowercase())),
            "trust": speaks_of(&["trust"]),
            "orders": speaks_of(&["instruction", "inject", "planted", "order given", "prompt"]),
        },
    })
}

/// Words in a class's name or match, and the framework that they call for.
const REGULATED: [(&[&str], &str); 3] = [
    (&["card", "cardholder", "pan", "pci"], "pci-dss"),
    (&["health", "phi", "medical", "patient"], "hipaa"),
    (&["biometric", "genetic"], "gdpr"),
];

pub(super) fn frameworks(sight: &Sight<'_>, classes: &Classes) -> Value {
    let rules = owners::parsed(sight.shelf);
    let mut all: Vec<Value> = sight
        .map("/data/frameworks")
        .map(|(name, page)| framework(sight, name, page.as_str().unwrap_or_default(), &rules))
        .collect();
    let listed: BTreeSet<String> = sight.map("/data/frameworks").map(|(name, _)| name.to_lowercase()).collect();
    for (words, wanted) in REGULATED {
        let calls = |name: &str| words.iter().any(|word| kinds::plain(name).split('_').any(|part| part == *word));
        let calling = classes.handled().find(|(class, held)| calls(class) || held.iter().any(|word| calls(word)));
        let is_listed = listed.iter().any(|name| name.starts_with(wanted.split('-').next().unwrap_or(wanted)));
        if let Some((class, _)) = calling.filter(|_| !is_listed) {
            all.push(json!({"name": wanted, "at": place("/data/classes", class), "listed": false, "because": class}));
        }
    }
    all.into()
}

static CHECK: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\b[a-z]+/[a-z0-9]+(?:-[a-z0-9]+)*\b").expect("the pattern is valid"));

fn framework(sight: &Sight<'_>, name: &str, page: &str, rules: &[(String, Vec<String>)]) -> Value {
    let file = sight.file(page);
    let rows = file.and_then(|file| file.get("rows")?.as_array()).map(Vec::as_slice).unwrap_or_default();
    let mut checks = BTreeSet::new();
    let mut loose = Vec::new();
    for row in rows {
        let cell = |wanted: &[&str]| {
            let cells = row.as_object().into_iter().flatten();
            let meant = cells.filter(|(column, _)| wanted.iter().any(|word| column.contains(word)));
            meant.filter_map(|(_, cell)| cell.as_str()).collect::<Vec<_>>().join(" ")
        };
        let ids: Vec<String> = CHECK.find_iter(&cell(&["check"])).map(|id| id.as_str().to_owned()).collect();
        if ids.is_empty() && cell(&["reason", "why", "note"]).trim().is_empty() {
            loose.push(cell(&["control", "requirement", "clause"]));
        }
        checks.extend(ids);
    }
    let full = sight.shelf.name(page);
    let last = rules.iter().rev().find(|(pattern, _)| owners::owns(pattern, &full));
    let owners: Vec<&String> = last.into_iter().flat_map(|(_, owners)| owners).collect();
    let minds = |owner: &&&String| {
        ["compliance", "legal", "privacy", "risk", "security", "grc"].iter().any(|word| owner.contains(word))
    };
    json!({
        "name": name, "at": place("/data/frameworks", name), "listed": true, "page": page, "exists": file.is_some(),
        "dates": file.and_then(|file| file.get("dates")), "rows": rows.len(), "checks": checks, "loose": loose,
        "owned": owners.iter().any(|owner| minds(&owner)),
    })
}
