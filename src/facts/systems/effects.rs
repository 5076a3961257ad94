//! What speaks for and against the effect of each tool: its endpoint, its arguments, the hints of its server.
//!
//! `facts.effects` has an entry per tool: `name`, `at`, `system`, `effect`, `declared`, `allow`, what is `hinted` where a
//! server or a method says it, its server's `idempotent_hint`, the `headers` that its operation takes, whether anything stands `behind` it, what speaks
//! `against` it, in words; further whether it counts as `reversible`, whether a tool of its system undoes it (`undone`)
//! and, in words, why it may be `final`, the `targets` (arguments that say where something goes) and whether its server says
//! that it reaches the open world (`open_world`). A server's hints can speak against a weaker effect, never against a stronger.
//! `input_schema` is where the schema of a server stands for a tool to which the manifest gives none.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    offered::{Offer, Offers, schema_name},
    targets::targets,
};
use crate::facts::{Claims, Shelf, code::name_words, document, may_run, mode};

/// How the path of a POST ends that only asks.
const QUERIES: [&str; 12] = [
    "_count",
    "_msearch",
    "_search",
    "count",
    "filter",
    "find",
    "list",
    "lookup",
    "queries",
    "query",
    "query_range",
    "search",
];

/// `facts.effects`.
pub(super) fn facts(shelf: &Shelf<'_>, claims: &Claims<'_>, offers: &Offers) -> Value {
    let offered = by_tool(offers);
    let tools: BTreeMap<&str, &Value> =
        claims.tools.iter().filter_map(|tool| Some((tool.get("name")?.as_str()?, tool))).collect();
    let entry = |tool: &Value| {
        let text = |key: &str| tool.get(key).and_then(Value::as_str);
        let name = text("name")?;
        let offer = offered.get(&(text("system").unwrap_or_default(), name)).copied();
        let schema = text("input_schema").filter(|path| shelf.has(path));
        let behind = text("endpoint").is_some() || schema.is_some() || offer.is_some();
        let own = schema.and_then(|path| document::shared(shelf, path));
        let schemas = [own.as_deref(), offer.and_then(|offer| offer.schema.as_ref())];
        let targets = targets(schemas.into_iter().flatten(), text("effect").unwrap_or_default());
        Some(json!({
            "name": name,
            "at": tool.get("at"),
            "system": text("system"),
            "effect": text("effect"),
            "allow": mode(tool),
            "declared": tool.get("effect_declared"),
            "hinted": hinted(tool, offer),
            "input_schema": lent(offers, tool, offer),
            "idempotent_hint": offer.and_then(|offer| offer.idempotent),
            "headers": offer.and_then(|offer| Some(&offer.operation.as_ref()?.headers)),
            "behind": behind,
            "against": against(tool, offer, &targets),
            "reversible": tool.get("reversible"),
            "undone": is_undone(tool, &tools),
            "final": finality(tool, offer),
            "targets": targets,
            "open_world": offer.is_some_and(|offer| offer.open_world),
        }))
    };
    claims.tools.iter().filter_map(entry).collect()
}

/// Lets what servers and methods say count in the evidence: an effect that the manifest leaves out is the one they speak
/// of, one that it states is raised where they say more, and the schema of a server is that of its tool. `tools` is the list of the evidence, `effects` the fact.
pub(crate) fn settle(tools: &mut [Value], effects: &Value) {
    let said = Said::new(effects);
    for tool in tools.iter_mut().filter_map(Value::as_object_mut) {
        for (key, value) in said.of(tool) {
            tool.insert(key.to_owned(), value);
        }
    }
}

/// What servers and methods say, by tool.
struct Said<'e> {
    hinted: BTreeMap<&'e str, &'e str>,
    schemas: BTreeMap<&'e str, &'e str>,
    /// `targets` and `open_world`, where they say something.
    reaching: BTreeMap<&'e str, (&'e Value, &'e Value)>,
}

impl<'e> Said<'e> {
    fn new(effects: &'e Value) -> Self {
        let stated = |key: &str| {
            let seen = effects.as_array().into_iter().flatten();
            seen.filter_map(|one| Some((one.get("name")?.as_str()?, one.get(key)?.as_str()?))).collect()
        };
        let reaching = effects.as_array().into_iter().flatten().filter_map(|one| {
            let (targets, open) = (one.get("targets")?, one.get("open_world")?);
            let says = *open == true || targets.as_array().is_some_and(|targets| !targets.is_empty());
            says.then_some((one.get("name")?.as_str()?, (targets, open)))
        });
        Self { hinted: stated("hinted"), schemas: stated("input_schema"), reaching: reaching.collect() }
    }

    /// The entries that differ in a tool once this counts.
    fn of(&self, tool: &Map<String, Value>) -> Vec<(&'static str, Value)> {
        let rank =
            |effect: &str| ["read", "write", "external-send", "destructive"].iter().position(|one| *one == effect);
        let text = |key: &str| tool.get(key).and_then(Value::as_str).unwrap_or_default();
        let is_stated = |key: &str| tool.get(key) == Some(&Value::Bool(true));
        let mut entries = Vec::new();
        if let Some(schema) = self.schemas.get(text("name")) {
            entries.push(("input_schema", (*schema).into()));
        }
        if let Some((targets, open)) = self.reaching.get(text("name")) {
            entries.extend([("targets", (*targets).clone()), ("open_world", (*open).clone())]);
        }
        if let Some(hinted) = self.hinted.get(text("name")).copied()
            && !(is_stated("effect_declared") && rank(hinted) <= rank(text("effect")))
        {
            let is_read = hinted == "read";
            entries.push(("effect", hinted.into()));
            entries.push(("effect_from", "server".into()));
            entries.push(("is_write", (!is_read).into()));
            if !is_stated("allow_declared") {
                entries.push(("allow", json!({"mode": if is_read { "auto" } else { "approval" }})));
            }
            if !is_stated("reversible_declared") {
                entries.push(("reversible", (hinted != "destructive").into()));
            }
        }
        entries.retain(|(key, value)| tool.get(*key) != Some(value));
        entries
    }
}

/// The offers by system and tool.
pub(super) fn by_tool(offers: &Offers) -> BTreeMap<(&str, &str), &Offer> {
    let known = offers.iter().filter_map(|(system, described)| Some((system, described.offers.as_ref().ok()?)));
    known.flat_map(|(system, offers)| offers.iter().map(|o| ((system.as_str(), o.name.as_str()), o))).collect()
}

/// The effect that an endpoint's method or a server's hints speak of.
fn hinted(tool: &Value, offer: Option<&Offer>) -> Option<&'static str> {
    let endpoint = tool.get("endpoint").and_then(Value::as_str);
    let by_method = |endpoint: &str| match endpoint.split(' ').next()? {
        "GET" | "HEAD" | "OPTIONS" => Some("read"),
        "POST" | "PUT" | "PATCH" => Some("write"),
        "DELETE" => Some("destructive"),
        _ => None,
    };
    let by_hint = |offer: &Offer| match (offer.read_only, offer.destructive) {
        (Some(true), _) => Some("read"),
        (_, Some(true)) => Some("destructive"),
        (Some(false), Some(false)) => Some("write"),
        (Some(false) | None, _) => None,
    };
    if is_query(tool) {
        return by_hint(offer.filter(|offer| offer.operation.is_none())?);
    }
    endpoint.and_then(by_method).or_else(|| by_hint(offer?)).or_else(|| by_method(&offer?.operation.as_ref()?.endpoint))
}

/// A declared read by a POST whose path ends as searches do.
fn is_query(tool: &Value) -> bool {
    let path = tool.get("endpoint").and_then(Value::as_str).and_then(|endpoint| endpoint.strip_prefix("POST "));
    let last = path.and_then(|path| path.rsplit(['/', ':']).next());
    tool.get("effect").and_then(Value::as_str) == Some("read") && last.is_some_and(|last| QUERIES.contains(&last))
}

/// Where the schema of a tool's server can be read, for a tool without one of its own.
fn lent(offers: &Offers, tool: &Value, offer: Option<&Offer>) -> Option<String> {
    let text = |key: &str| tool.get(key).and_then(Value::as_str);
    let is_described = text("input_schema").is_none() && offer?.schema.is_some();
    if is_described { Some(schema_name(&offers.get(text("system")?)?.from, text("name")?)) } else { None }
}

fn against(tool: &Value, offer: Option<&Offer>, targets: &[String]) -> Vec<String> {
    let text = |key: &str| tool.get(key).and_then(Value::as_str);
    let effect = text("effect").unwrap_or_default();
    let is_read = effect == "read";
    let mut found = Vec::new();
    if let Some(endpoint) = text("endpoint") {
        let reads = ["GET ", "HEAD ", "OPTIONS "].iter().any(|method| endpoint.starts_with(method));
        if is_read && !reads && !is_query(tool) {
            found.push(format!("`{endpoint}` changes something"));
        }
        if effect == "write" && endpoint.starts_with("DELETE ") {
            found.push(format!("`{endpoint}` deletes"));
        }
    }
    if is_read && (tool.get("rollback").is_some() || tool.get("side_effect_id").is_some()) {
        found.push("it has something to undo".to_owned());
    }
    if is_read || effect == "write" {
        if let Some(place) = text("destination") {
            found.push(format!("{place} says where it sends"));
        } else if let Some(place) = targets.first() {
            found.push(format!("its argument `{}` says where it sends", place.trim_start_matches('/')));
        }
    }
    if let Some(offer) = offer.filter(|offer| offer.operation.is_none()) {
        let destroys = offer.destructive == Some(true) && offer.read_only != Some(true);
        if (is_read || effect == "write") && destroys {
            found.push("its server says that it may destroy".to_owned());
        } else if is_read && offer.read_only == Some(false) {
            found.push("its server says that it does not only read".to_owned());
        }
    }
    found
}

/// How the names of actions begin that people can't take back.
const FINAL: [&str; 8] = ["delet", "clos", "refund", "transfer", "deploy", "publish", "send", "payout"];

/// Words that say it as they are.
const FINAL_WORDS: [&str; 5] = ["pay", "pays", "paid", "payment", "payments"];

/// Whether a tool of the same system that writes and may be called undoes it; itself only where it restores what was.
fn is_undone(tool: &Value, tools: &BTreeMap<&str, &Value>) -> bool {
    let text = |tool: &Value, key: &str| tool.get(key).and_then(Value::as_str).map(str::to_owned);
    let way = tool.get("rollback");
    let name = way.and_then(|way| text(way, "tool"));
    let other = name.as_deref().and_then(|name| tools.get(name)).copied();
    other.is_some_and(|other| {
        text(other, "system") == text(tool, "system")
            && text(other, "effect").as_deref() != Some("read")
            && may_run(other)
            && (name != text(tool, "name") || way.is_some_and(|way| way.get("restore").is_some()))
    })
}

/// Why an action may be one that can't be taken back, in words.
fn finality(tool: &Value, offer: Option<&Offer>) -> Option<String> {
    let text = |key: &str| tool.get(key).and_then(Value::as_str).unwrap_or_default();
    let kinds = tool.get("kinds").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let offered = offer.and_then(|offer| offer.operation.as_ref()).map(|operation| operation.endpoint.as_str());
    let endpoint = Some(text("endpoint")).filter(|own| !own.is_empty()).or(offered).unwrap_or_default();
    let path = endpoint.split(' ').nth(1).unwrap_or_default();
    let said = [("its name", text("name")), ("its path", path)].into_iter().chain(kinds.map(|kind| ("its kind", kind)));
    let is_final =
        |word: &String| FINAL.iter().any(|start| word.starts_with(start)) || FINAL_WORDS.contains(&word.as_str());
    let mut found = said.filter_map(|(place, text)| Some((place, name_words(text).into_iter().find(is_final)?)));
    let by_name = found.next().map(|(place, word)| format!("{place} says `{word}`"));
    let destroys = offer.is_some_and(|offer| offer.destructive == Some(true) && offer.read_only != Some(true));
    by_name.or_else(|| destroys.then(|| "its server says that it may destroy".to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{super::offered::Operation, Offer, against, finality, hinted};

    fn offer(read_only: Option<bool>, destructive: Option<bool>) -> Offer {
        Offer { name: "t".to_owned(), read_only, destructive, ..Offer::default() }
    }

    #[test]
    fn a_hint_may_raise_an_effect_and_never_lowers_one() {
        let rows: [(Value, Option<Offer>, &str); 9] = [
            (json!({"effect": "read", "endpoint": "POST /a"}), None, "`POST /a` changes something"),
            (json!({"effect": "read", "endpoint": "GET /a"}), None, ""),
            (json!({"effect": "write", "endpoint": "DELETE /a"}), None, "`DELETE /a` deletes"),
            (json!({"effect": "read"}), Some(offer(Some(false), None)), "its server says that it does not only read"),
            (json!({"effect": "write"}), Some(offer(Some(false), Some(true))), "its server says that it may destroy"),
            (json!({"effect": "write"}), Some(offer(Some(true), None)), ""),
            (json!({"effect": "destructive"}), Some(offer(Some(true), Some(false))), ""),
            (json!({"effect": "write", "destination": "/to"}), None, "/to says where it sends"),
            (json!({"effect": "external-send", "destination": "/to"}), None, ""),
        ];
        for (tool, offer, expected) in rows {
            assert_eq!(against(&tool, offer.as_ref(), &[]).join("; "), expected, "{tool}");
        }
        let arguments = ["/webhook_url".to_owned()];
        assert_eq!(against(&json!({"effect": "write"}), None, &arguments).len(), 1);
        assert_eq!(hinted(&json!({}), Some(&offer(Some(true), None))), Some("read"));
        assert_eq!(hinted(&json!({}), Some(&offer(None, Some(true)))), Some("destructive"));
        assert_eq!(
            hinted(&json!({"endpoint": "DELETE /a"}), Some(&offer(Some(true), None))),
            Some("destructive"),
            "a method is no hint"
        );
        assert_eq!(hinted(&json!({}), Some(&offer(None, None))), None);
    }

    #[test]
    fn what_servers_say_counts_where_the_manifest_says_nothing_or_less() {
        let tool = |declared: bool, effect: &str| json!([{"name": "a", "effect": effect, "effect_declared": declared}]);
        for (declared, effect, hint, expected) in [
            (false, "destructive", "read", "read"),
            (true, "read", "destructive", "destructive"),
            (true, "destructive", "read", "destructive"),
            (true, "external-send", "write", "external-send"),
            (true, "write", "read", "write"),
        ] {
            let mut tools = tool(declared, effect);
            super::settle(tools.as_array_mut().expect("a list"), &json!([{"name": "a", "hinted": hint}]));
            assert_eq!(tools[0]["effect"], json!(expected), "{declared} {effect} {hint}");
        }
    }

    #[test]
    fn only_another_tool_that_writes_in_the_same_system_undoes_one() {
        let list = json!([
            {"name": "close", "system": "shop", "effect": "write"},
            {"name": "reopen", "system": "shop", "effect": "write"},
            {"name": "look", "system": "shop", "effect": "read"},
            {"name": "erase", "system": "shop", "effect": "write", "allow": {"mode": "never"}},
            {"name": "mail", "system": "desk", "effect": "write"},
        ]);
        let tools = list.as_array().expect("a list").iter().map(|tool| (tool["name"].as_str().expect("a name"), tool));
        let tools = tools.collect();
        for (way, expected) in [
            (json!({"tool": "reopen"}), true),
            (json!({"tool": "close", "restore": "previous"}), true),
            (json!({"tool": "close"}), false),
            (json!({"tool": "look"}), false),
            (json!({"tool": "erase"}), false),
            (json!({"tool": "mail"}), false),
            (json!({"runbook": "docs/runbook.md"}), false),
        ] {
            let tool = json!({"name": "close", "system": "shop", "effect": "write", "rollback": way});
            assert_eq!(super::is_undone(&tool, &tools), expected, "{way}");
        }
    }

    #[test]
    fn final_actions_are_known_by_their_words() {
        for (tool, expected) in [
            (json!({"name": "closeAccount"}), Some("its name says `close`")),
            (json!({"name": "archive", "endpoint": "POST /v1/payments"}), Some("its path says `payments`")),
            (json!({"name": "archive", "kinds": ["deletes"]}), Some("its kind says `deletes`")),
            (json!({"name": "update_ticket"}), None),
            (json!({"name": "disclose_nothing"}), None),
        ] {
            assert_eq!(finality(&tool, None).as_deref(), expected, "{tool}");
        }
        assert!(finality(&json!({"name": "archive"}), Some(&offer(None, Some(true)))).is_some());
        let operation = Some(Operation { endpoint: "POST /v1/payments".to_owned(), ..Operation::default() });
        let offered = Offer { operation, ..offer(None, None) };
        assert_eq!(finality(&json!({"name": "archive"}), Some(&offered)).as_deref(), Some("its path says `payments`"));
    }
}
