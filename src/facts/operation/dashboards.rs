//! Dashboards and KPI queries: `facts.dashboards` and `facts.queries`.
//!
//! `facts.dashboards` holds `files` (`path`, `opened`, and `read` where they have Grafana's form) and `panels`: by what it shows (`success-rate`,
//! `tool-error-rate`, `p95-latency`, `tokens-per-run`, `cost-per-run`, `escalation-rate`, `policy-block-rate`) the best
//! panel of all files, with `title`, `path`, `query`, `parses` (else `error`), `metrics`, and whether it is a `quantile`.
//! `facts.queries` holds `exists` and by KPI `query`, `parses`, `metrics`, and of a quotient `by_success` (it divides
//! by what succeeded), `only_successes` (it counts nothing else) and `parts` (of inference, tools, human-review, those
//! whose cost it adds up). Must not run a query.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::promql::Expr;
use crate::facts::{Shelf, document};

/// What a panel shows, and the words of its title or query that tell; of each group one word must occur.
const PANELS: [(&str, &[&[&str]]); 7] = [
    ("success-rate", &[&["success", "resolved", "solved"]]),
    ("tool-error-rate", &[&["tool"], &["error", "fail"]]),
    ("p95-latency", &[&["latency", "duration", "response time", "seconds"]]),
    ("tokens-per-run", &[&["token"]]),
    ("cost-per-run", &[&["cost", "spend", "usd"]]),
    ("escalation-rate", &[&["escalat", "handoff", "hand-off", "handover", "handed"]]),
    ("policy-block-rate", &[&["policy", "polic", "guardrail"], &["block", "den"]]),
];

/// Where panels stand, and rows of them.
const LISTS: [&str; 2] = ["panels", "rows"];

/// Deepest nesting of rows that is followed.
const MAX_DEPTH: usize = 6;

struct Panel {
    title: String,
    path: String,
    query: String,
}

/// Facts of the dashboards.
pub(super) fn facts(shelf: &Shelf<'_>, manifest: &Value) -> Value {
    let patterns = manifest.pointer("/observability/dashboards").and_then(Value::as_array).into_iter().flatten();
    let mut files = Vec::new();
    let mut panels = Vec::new();
    for pattern in patterns.filter_map(Value::as_str) {
        let names = if pattern.contains('*') { shelf.matching(pattern) } else { vec![pattern.to_owned()] };
        for name in names {
            let value = if name.contains("://") { None } else { document::value(shelf, &name) };
            let root = value.as_ref().map(|value| value.get("dashboard").unwrap_or(value));
            let is_read = root.is_some_and(|root| LISTS.iter().any(|key| root.get(*key).is_some_and(Value::is_array)));
            files.push(json!({"path": name, "opened": value.is_some(), "read": is_read}));
            if let Some(root) = root {
                gather(root, &name, 0, &mut panels);
            }
        }
    }
    let shown = PANELS.iter().filter_map(|(part, words)| Some(((*part).to_owned(), best(&panels, words, part)?)));
    json!({"files": files, "panels": shown.collect::<Map<_, _>>()})
}

fn gather(value: &Value, path: &str, depth: usize, panels: &mut Vec<Panel>) {
    let lists = LISTS.into_iter().filter_map(|key| value.get(key)?.as_array());
    for panel in lists.flatten().filter(|_| depth < MAX_DEPTH) {
        let title = panel.get("title").and_then(Value::as_str).unwrap_or_default();
        let targets = panel.get("targets").and_then(Value::as_array).into_iter().flatten();
        for target in targets {
            let query = ["expr", "query", "rawSql"].into_iter().find_map(|key| target.get(key)?.as_str());
            if let Some(query) = query {
                panels.push(Panel { title: title.to_owned(), path: path.to_owned(), query: query.to_owned() });
            }
        }
        gather(panel, path, depth + 1, panels);
    }
}

fn best(panels: &[Panel], words: &[&[&str]], part: &str) -> Option<Value> {
    let fits = |text: &str| {
        let text = text.to_lowercase();
        words.iter().all(|group| group.iter().any(|word| text.contains(word)))
    };
    let rank = |panel: &&Panel| {
        let parsed = Expr::parse(&panel.query);
        let is_quantile = parsed.as_ref().ok().and_then(Expr::quantile).is_some();
        (parsed.is_ok(), part == "p95-latency" && is_quantile, fits(&panel.title))
    };
    let found = panels.iter().filter(|panel| fits(&format!("{} {}", panel.title, panel.query))).max_by_key(rank)?;
    let mut entry = json!({"title": found.title, "path": found.path});
    extend(&mut entry, read(&found.query));
    Some(entry)
}

fn extend(entry: &mut Value, more: Value) {
    if let (Value::Object(entry), Value::Object(more)) = (entry, more) {
        entry.extend(more);
    }
}

fn read(query: &str) -> Value {
    match Expr::parse(query) {
        Ok(expr) => json!({
            "query": query,
            "parses": true,
            "metrics": expr.metrics(),
            "quantile": expr.quantile().is_some_and(|share| share >= 0.9),
        }),
        Err(error) => json!({"query": query, "parses": false, "error": error.to_string(), "metrics": []}),
    }
}

/// Words of metrics that stand for a part of the cost.
const COST_PARTS: [(&str, &[&str]); 3] = [
    ("inference", &["inference", "model", "llm", "token"]),
    ("tools", &["tool"]),
    ("human-review", &["review", "human", "approval", "handoff"]),
];

/// Facts of the file with a query per KPI.
pub(super) fn queries(shelf: &Shelf<'_>, manifest: &Value) -> Value {
    let path = manifest.pointer("/observability/queries").and_then(Value::as_str);
    let said = path.and_then(|path| document::value(shelf, path));
    let mut kpis = Map::new();
    let listed = said.as_ref().map(|said| said.get("queries").unwrap_or(said));
    for (name, entry) in listed.and_then(Value::as_object).into_iter().flatten() {
        let query = entry.as_str().or_else(|| entry.get("query")?.as_str());
        let Some(query) = query else { continue };
        let mut found = read(query);
        if let Ok(Expr::Binary { op, left, right, .. }) = Expr::parse(query)
            && op == "/"
        {
            let above = left.metrics();
            let has = |words: &[&str]| above.iter().any(|name| words.iter().any(|word| name.contains(word)));
            let parts: Vec<&str> = COST_PARTS.iter().filter(|(_, words)| has(words)).map(|(part, _)| *part).collect();
            let named = |name: &String| ["succe", "resolved"].iter().any(|word| name.contains(word));
            let rest = json!({
                "parts": parts,
                "only_successes": filters_success(&left),
                "by_success": filters_success(&right) || right.metrics().iter().any(named),
            });
            extend(&mut found, rest);
        }
        kpis.insert(name.clone(), found);
    }
    json!({"exists": said.is_some(), "path": path, "kpis": kpis})
}

/// Whether an expression counts what succeeded alone.
fn filters_success(expr: &Expr) -> bool {
    let mut found = BTreeSet::new();
    expr.walk(&mut |inner| {
        if let Expr::Metric { matchers, .. } = inner {
            found.extend(
                matchers.iter().filter(|(_, op, value)| !op.starts_with('!') && value.contains("succe")).map(|_| ()),
            );
        }
    });
    !found.is_empty()
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use serde_json::json;

    use super::{Panel, best, facts, queries, read};
    use crate::{facts::Shelf, source::Files};

    #[test]
    fn a_cost_is_divided_by_what_succeeded_and_leaves_no_run_out() {
        for (query, by_success, only) in [
            ("sum(usd_total) / sum(runs_total{outcome='success'})", true, false),
            ("sum(usd_total) / sum(runs_succeeded_total)", true, false),
            ("sum(usd_total) / sum(refund_outcomes_total)", false, false),
            ("sum(usd_total{outcome=~'success.*'}) / sum(runs_total{outcome=~'success.*'})", true, true),
            ("sum(usd_total{outcome!='success'}) / sum(runs_total)", false, false),
        ] {
            for text in [format!("c: \"{query}\"\n"), format!("queries: {{c: {{query: \"{query}\"}}}}\n")] {
                let files = Files::texts(BTreeMap::from([("q.yaml".to_owned(), Arc::from(text))]));
                let found =
                    queries(&Shelf::new(&files, "agentready.yaml"), &json!({"observability": {"queries": "q.yaml"}}));
                let kpi = &found["kpis"]["c"];
                assert_eq!((&kpi["by_success"], &kpi["only_successes"]), (&json!(by_success), &json!(only)), "{query}");
            }
        }
    }

    #[test]
    fn a_file_of_another_form_is_opened_and_not_read() {
        for (text, opened, is_read) in [
            (r#"{"panels": []}"#, true, true),
            (r#"{"dashboard": {"rows": [{"panels": []}]}}"#, true, true),
            (r#"{"widgets": [{"definition": {"requests": []}}]}"#, true, false),
            (r#"{"panels": {}}"#, true, false),
            ("{", false, false),
        ] {
            let files = Files::texts(BTreeMap::from([("d.json".to_owned(), Arc::from(text))]));
            let manifest = json!({"observability": {"dashboards": ["d.json"]}});
            let found = facts(&Shelf::new(&files, "agentready.yaml"), &manifest);
            assert_eq!(found["files"], json!([{"path": "d.json", "opened": opened, "read": is_read}]), "{text}");
        }
    }

    #[test]
    fn the_panel_that_shows_it_best_is_found() {
        let panel = |title: &str, query: &str| Panel {
            title: title.to_owned(),
            path: "d.json".to_owned(),
            query: query.to_owned(),
        };
        let panels = [
            panel("Mean latency", "rate(run_seconds_sum[5m]) / rate(run_seconds_count[5m])"),
            panel("Latency p95", "histogram_quantile(0.95, rate(run_seconds_bucket[5m]))"),
            panel("Tool errors", "rate(tool_calls_total{status=\"error\"}[5m]"),
        ];
        let latency: &[&[&str]] = &[&["latency"]];
        let found = best(&panels, latency, "p95-latency").expect("found");
        assert_eq!((found["title"].as_str(), found["quantile"].as_bool()), (Some("Latency p95"), Some(true)));
        let errors: &[&[&str]] = &[&["tool"], &["error"]];
        assert_eq!(best(&panels, errors, "tool-error-rate").expect("found")["parses"], false);
        assert!(best(&panels, &[&["token"]], "tokens-per-run").is_none());
        assert_eq!(read("a /")["parses"], false);
    }
}
