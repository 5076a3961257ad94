//! The one page about the agent (`agent.spec`): which of its sections are there, and what they leave out.
//!
//! `facts.spec`: `exists`, `words`, whether it names the workflow (`titled`), and per part (`does`, `never`, `hands_off`) whether there is a section, and the
//! names that it should hold and does not (`missing`); `strangers` are tools that the page names and the manifest lacks.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Claims, Shelf, may_run, prose};

/// How headings of the three parts begin, in anchors.
const PARTS: [(&str, &[&str]); 3] = [
    ("does", &["does", "do", "duties", "what-it-does", "what-the-agent-does", "scope", "in-scope", "allowed"]),
    ("never", &["never", "does-not", "must-not", "taboo", "out-of-scope", "forbidden", "what-it-never", "limits"]),
    ("hands_off", &["hand", "escalat", "when-it-hands", "what-it-hands", "asks-a-person"]),
];

/// `facts.spec`.
pub(super) fn facts(shelf: &Shelf<'_>, claims: &Claims<'_>) -> Value {
    let path = claims.manifest.pointer("/agent/spec").and_then(Value::as_str);
    let Some(file) = path.and_then(|path| shelf.text(path)) else { return json!({"exists": false}) };
    let page = file.text();
    let workflow = claims.manifest.pointer("/agent/workflow").and_then(Value::as_str);
    let sections = prose::sections(page);
    let part = |name: &str| {
        // A section about what it never does may begin with `does` too.
        let fits = |anchor: &&String| is_about(anchor, name) && (name == "never" || !is_about(anchor, "never"));
        sections.iter().filter(|(anchor, _)| fits(anchor)).map(|(_, body)| body.as_str()).collect::<Vec<_>>()
    };
    let entry = |name: &str, wanted: Vec<String>| {
        let bodies = part(name);
        let there = bodies.iter().any(|body| body.split_whitespace().count() >= 3);
        let missing: Vec<String> =
            wanted.into_iter().filter(|name| !bodies.iter().any(|body| names(body, name))).collect();
        json!({"there": there, "missing": missing})
    };
    json!({
        "exists": true,
        "words": page.split_whitespace().count(),
        "titled": workflow.is_some_and(|name| page.to_lowercase().contains(&name.to_lowercase())),
        "does": entry("does", Vec::new()),
        "never": entry("never", never(claims)),
        "hands_off": entry("hands_off", texts(claims.manifest.pointer("/handoff/when"))),
        "strangers": strangers(page, claims),
    })
}

fn is_about(anchor: &str, part: &str) -> bool {
    let heads = PARTS.iter().filter(|(name, _)| *name == part).flat_map(|(_, heads)| heads.iter());
    heads.into_iter().any(|head| match anchor.strip_prefix(head) {
        Some(rest) => rest.is_empty() || rest.starts_with('-') || head.len() > 4,
        None => false,
    })
}

/// What the page must name as never done: tools that are never allowed, and the forbidden classes.
fn never(claims: &Claims<'_>) -> Vec<String> {
    let tools = claims.tools.iter().filter(|tool| !may_run(tool));
    let tools = tools.filter_map(|tool| tool.get("name")?.as_str());
    let classes = claims.manifest.pointer("/policy/forbidden").and_then(Value::as_object).into_iter().flatten();
    let excepted = |class: &str| {
        let list = claims.manifest.pointer("/policy/exceptions").and_then(Value::as_array).into_iter().flatten();
        list.into_iter().any(|one| one.get("class").and_then(Value::as_str) == Some(class))
    };
    let classes = classes.map(|(class, _)| class.as_str()).filter(|class| !excepted(class));
    tools.chain(classes).map(str::to_owned).collect()
}

fn texts(list: Option<&Value>) -> Vec<String> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Whether one sentence or item of a text names a thing: its words, each perhaps with another ending, in any order.
fn names(text: &str, name: &str) -> bool {
    let split = |text: &str| -> Vec<String> {
        let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        words.map(|word| stem(&word.to_lowercase())).collect()
    };
    let wanted = split(name);
    let items = text.replace("\n- ", "\n\n").replace("\n* ", "\n\n");
    let mut items = items.split("\n\n").flat_map(|item| item.split(". "));
    items.any(|item| {
        let said = split(item);
        wanted.iter().all(|word| said.iter().any(|other| other.starts_with(word.as_str())))
    })
}

/// A word without the ending that its use in a sentence gives it.
fn stem(word: &str) -> String {
    let endings = ["ing", "ed", "es", "s", "e"];
    let cut = endings.iter().find_map(|end| word.strip_suffix(end).filter(|rest| rest.len() >= 3));
    cut.unwrap_or(word).to_owned()
}

/// Names in code spans that look like tools, none of which the manifest knows.
fn strangers(page: &str, claims: &Claims<'_>) -> Vec<String> {
    let tools: BTreeSet<&str> = claims.tools.iter().filter_map(|tool| tool.get("name")?.as_str()).collect();
    // Only a name that begins like one of the tools (`issue_`, `delete_`) is taken for a tool.
    let verbs: BTreeSet<&str> = tools.iter().filter_map(|name| Some(name.split_once('_')?.0)).collect();
    let spans = page.split('`').skip(1).step_by(2);
    let like_a_tool = |span: &&str| {
        span.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            && span.split_once('_').is_some_and(|(verb, _)| verbs.contains(verb))
    };
    let found: BTreeSet<&str> = spans.filter(like_a_tool).filter(|span| !tools.contains(span)).collect();
    found.into_iter().map(str::to_owned).collect()
}
