//! What runs cost and what keeps it down: `facts.spend`, with `prices`, `routing` and `cache`.
//!
//! Prices are a file of the form `{dated: 2026-11-01, models: {<id>: {input, output}}, tools: {<name>: <usd a call>}}`,
//! dollars for a million tokens; without a file a shipped, dated table speaks for known models. `prices` holds `own`,
//! `exists`, `dated`, the `unpriced` models of the manifest, `unknown_tools`, and `dearest`, the highest price of a
//! listed model. Routing is a file of the form `{default: <model>, steps: {<step>: <model>}, before_write: <model>}`;
//! `routing` holds `exists`, `unknown` models, `before_write` and whether that is the `strongest`, the dearest listed.
//! `cache` holds of the cache's configuration `exists`, `ttl`, the `writes` among what it caches, and its `key`.
//! `target` is that of `kpis.cost_per_success_usd`: its `limit`, and whether a cost may be `at_most` that.
//! Must not judge.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use serde_json::{Map, Value, json};

use crate::{
    facts::{Claims, Shelf, Target, document, is_write},
    record::{Price, Prices},
    source::{SourceFile, load_text},
};

static LIST_PRICES: LazyLock<Value> = LazyLock::new(|| {
    let file = SourceFile::new("prices.yaml", include_str!("prices.yaml"));
    load_text::<Value>(file).expect("the shipped prices are YAML").value
});

/// Facts of all three.
pub(super) fn facts(shelf: &Shelf<'_>, claims: &Claims<'_>) -> Value {
    let manifest = claims.manifest;
    let path = |place: &str| manifest.pointer(place).and_then(Value::as_str);
    let open = |place: &str| path(place).and_then(|path| document::value(shelf, path));
    let own = open("/cost/prices");
    let table = if path("/cost/prices").is_some() { own.as_ref() } else { Some(&*LIST_PRICES) };
    let models: BTreeMap<&str, &str> = manifest
        .get("models")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(name, model)| Some((name.as_str(), model.get("id").unwrap_or(model).as_str()?)))
        .collect();
    json!({
        "prices": prices(manifest, table, path("/cost/prices").is_some(), &models),
        "routing": routing(open("/cost/routing").as_ref(), table, &models),
        "cache": cache(open("/cost/cache/config").as_ref(), claims.tools),
        "target": path("/kpis/cost_per_success_usd").and_then(Target::read).map(Target::json),
    })
}

/// The prices of the file that the manifest names, else of the shipped table.
pub(super) fn table(shelf: &Shelf<'_>, manifest: &Value) -> Prices {
    let path = manifest.pointer("/cost/prices").and_then(Value::as_str);
    let own = path.and_then(|path| document::value(shelf, path));
    let table = if path.is_some() { own.as_ref() } else { Some(&*LIST_PRICES) };
    let models = table.and_then(|table| table.get("models")?.as_object()).into_iter().flatten();
    let price = |entry: &Value| {
        let of = |key: &str| entry.get(key).and_then(Value::as_f64).filter(|price| *price >= 0.0);
        Some(Price { input: of("input")?, output: of("output")? })
    };
    let tools = table.and_then(|table| table.get("tools")?.as_object()).into_iter().flatten();
    let of_tool = |usd: &Value| usd.as_f64().filter(|usd| *usd >= 0.0);
    Prices {
        models: models.filter_map(|(id, entry)| Some((id.clone(), price(entry)?))).collect(),
        tools: tools.filter_map(|(name, usd)| Some((name.clone(), of_tool(usd)?))).collect(),
        reviewer_usd_per_hour: manifest.pointer("/cost/reviewer_usd_per_hour").and_then(Value::as_f64),
    }
}

/// The dearer of a model's two prices, for a million tokens.
fn price(table: Option<&Value>, id: &str) -> Option<f64> {
    let entry = table?.get("models")?.get(id)?;
    let of = |key: &str| entry.get(key).and_then(Value::as_f64);
    Some(of("input")?.max(of("output")?))
}

fn prices(manifest: &Value, table: Option<&Value>, own: bool, models: &BTreeMap<&str, &str>) -> Value {
    let unpriced: BTreeSet<&&str> = models.values().filter(|id| price(table, id).is_none()).collect();
    let dearest = models.values().filter_map(|id| price(table, id)).max_by(f64::total_cmp);
    let tools = table.and_then(|table| table.get("tools")?.as_object()).into_iter().flatten();
    let listed = manifest.get("tools").and_then(Value::as_object);
    let unknown: Vec<&String> =
        tools.map(|(name, _)| name).filter(|name| listed.is_none_or(|tools| !tools.contains_key(*name))).collect();
    json!({
        "own": own,
        "exists": table.is_some(),
        "dated": table.and_then(|table| table.get("dated")),
        "unpriced": unpriced,
        "unknown_tools": unknown,
        "dearest": dearest,
    })
}

fn routing(file: Option<&Value>, table: Option<&Value>, models: &BTreeMap<&str, &str>) -> Value {
    let Some(file) = file else { return json!({ "exists": false }) };
    let text = |key: &str| file.get(key).and_then(Value::as_str);
    let steps = file.get("steps").and_then(Value::as_object).into_iter().flatten();
    let named = steps.filter_map(|(_, model)| model.as_str()).chain(text("default")).chain(text("before_write"));
    let named: BTreeSet<&str> = named.collect();
    let unknown: Vec<&&str> = named.iter().filter(|name| !models.contains_key(**name)).collect();
    let dearest = |name: &str| models.get(name).and_then(|id| price(table, id));
    // Which is the strongest can't be told where one has no price.
    let priced: Option<Vec<(f64, &str)>> = models.keys().map(|name| Some((dearest(name)?, *name))).collect();
    let most = priced.iter().flatten().map(|(price, _)| *price).max_by(f64::total_cmp);
    let is_strongest = |name: &str| priced.is_some() && dearest(name).is_some() && dearest(name) == most;
    json!({
        "exists": true,
        "models": named,
        "unknown": unknown,
        "before_write": text("before_write"),
        "strongest": text("before_write").is_some_and(is_strongest),
    })
}

/// Keys of a cache's configuration that set its time to live.
const TTL: [&str; 7] = ["ttl", "ttl_seconds", "ttl_s", "max_age", "expire", "expires_after", "expiry"];
/// Deepest nesting that is followed.
const MAX_DEPTH: usize = 8;

fn cache(file: Option<&Value>, tools: &[Value]) -> Value {
    let Some(file) = file else { return json!({ "exists": false }) };
    let mut leaves = Map::new();
    let mut words = BTreeSet::new();
    collect(file, 0, &mut leaves, &mut words);
    let writes = tools.iter().filter(|tool| is_write(tool));
    let writes: Vec<&str> =
        writes.filter_map(|tool| tool.get("name")?.as_str()).filter(|name| words.contains(*name)).collect();
    json!({
        "exists": true,
        "ttl": TTL.iter().find_map(|key| leaves.get(*key)),
        "writes": writes,
        "key": leaves.get("key").cloned().unwrap_or_else(|| json!([])),
    })
}

fn collect(value: &Value, depth: usize, leaves: &mut Map<String, Value>, words: &mut BTreeSet<String>) {
    if depth > MAX_DEPTH {
        return;
    }
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                // What is named as left out is not cached.
                if ["never", "exclude", "skip"].contains(&key.as_str()) {
                    continue;
                }
                leaves.entry(key.to_lowercase()).or_insert_with(|| value.clone());
                words.insert(key.clone());
                collect(value, depth + 1, leaves, words);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, depth + 1, leaves, words)),
        Value::String(text) => _ = words.insert(text.clone()),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use serde_json::{Value, json};

    use super::facts;
    use crate::{
        facts::{Claims, Shelf},
        source::Files,
    };

    fn over(files: &[(&str, &str)], cost: &Value) -> Value {
        let texts: BTreeMap<String, Arc<str>> =
            files.iter().map(|(name, text)| ((*name).to_owned(), Arc::from(*text))).collect();
        let files = Files::texts(texts);
        let manifest = json!({"cost": cost, "tools": {"pay": {}}, "models": {
            "triage": {"id": "openai/gpt-4o-mini-2024-07-18"}, "decide": {"id": "anthropic/claude-sonnet-4-20250514"}
        }});
        let tools = json!([{"name": "pay", "is_write": true}, {"name": "look", "is_write": false}]);
        facts(&Shelf::new(&files, "agentready.yaml"), &Claims::new(&manifest, &json!({ "tools": tools })))
    }

    #[test]
    fn prices_come_from_the_file_or_from_the_dated_table() {
        let listed = over(&[], &json!({}));
        assert_eq!(listed["prices"]["unpriced"], json!([]));
        assert_eq!(listed["prices"]["dearest"], json!(15.0));
        let own = "dated: 2026-11-01\nmodels: {openai/gpt-4o-mini-2024-07-18: {input: 1, output: 2}}\ntools: {pay: 0.1, x: 1}\n";
        let own = over(&[("p.yaml", own)], &json!({"prices": "p.yaml"}));
        assert_eq!(own["prices"]["unpriced"], json!(["anthropic/claude-sonnet-4-20250514"]));
        assert_eq!(own["prices"]["unknown_tools"], json!(["x"]));
        assert_eq!(over(&[], &json!({"prices": "p.yaml"}))["prices"]["exists"], json!(false));
    }

    #[test]
    fn routing_names_listed_models_and_the_strong_one_before_a_write() {
        let good = "default: triage\nsteps: {intent: triage, refund: decide}\nbefore_write: decide\n";
        let good = over(&[("r.yaml", good)], &json!({"routing": "r.yaml"}));
        assert_eq!((&good["routing"]["unknown"], &good["routing"]["strongest"]), (&json!([]), &json!(true)));
        let bad = over(&[("r.yaml", "default: cheap\nbefore_write: triage\n")], &json!({"routing": "r.yaml"}));
        assert_eq!((&bad["routing"]["unknown"], &bad["routing"]["strongest"]), (&json!(["cheap"]), &json!(false)));
    }

    #[test]
    fn without_a_price_no_model_is_the_strongest() {
        let routing = "default: triage\nbefore_write: triage\n";
        let prices = "dated: 2026-11-01\nmodels: {openai/gpt-4o-mini-2024-07-18: {input: 1, output: 2}}\n";
        let cost = json!({"routing": "r.yaml", "prices": "p.yaml"});
        let found = over(&[("r.yaml", routing), ("p.yaml", prices)], &cost);
        assert_eq!(found["routing"]["strongest"], json!(false));
        let target = |text: &str| {
            let manifest = json!({"kpis": {"cost_per_success_usd": text}});
            let files = Files::texts(BTreeMap::new());
            facts(&Shelf::new(&files, "agentready.yaml"), &Claims::new(&manifest, &json!({})))["target"].clone()
        };
        assert_eq!(target("< 1.20"), json!({"limit": 1.2, "at_most": true}));
        assert_eq!((target(">= 1.20")["at_most"].clone(), target("low")), (json!(false), Value::Null));
    }

    #[test]
    fn a_cache_says_how_long_what_and_by_which_key() {
        let text = "answers: {ttl: 10m, key: [tenant, intent]}\ntools: [look, pay]\nnever: [other]\n";
        let found = over(&[("c.yaml", text)], &json!({"cache": {"config": "c.yaml"}}));
        assert_eq!(
            found["cache"],
            json!({"exists": true, "ttl": "10m", "writes": ["pay"], "key": ["tenant", "intent"]})
        );
        let never = over(&[("c.yaml", "ttl: 1\nnever: [pay]\n")], &json!({"cache": {"config": "c.yaml"}}));
        assert_eq!(never["cache"]["writes"], json!([]));
    }
}
