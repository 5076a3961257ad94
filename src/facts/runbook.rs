//! The runbook: its sections, its links, the days it states, and the alert rules that should lead to it.
//!
//! `facts.runbook` holds `given`, `exists`, `path`, `broken` (links to, and names of, files that are not there), `dates`,
//! `alerts_without` (alert rules that do not link to the page), and whether a section that is more than a heading speaks of
//! spotting regressions (`spots`), stopping (`stops`) and rolling back (`rolls_back`). Must not judge.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value, json};

use super::{Shelf, document};
use crate::source::Files;

static SPOTS: LazyLock<Regex> = LazyLock::new(|| pattern("regress|spot|detect|alert|symptom|watch|monitor"));
static STOPS: LazyLock<Regex> = LazyLock::new(|| pattern("disable|switch|stop|kill|turn-off"));
static ROLLS_BACK: LazyLock<Regex> = LazyLock::new(|| pattern("roll-?back|revert|restore"));

/// Fewest words of a section that says something.
const LEAST_WORDS: u64 = 8;

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the pattern is valid")
}

/// Facts of the runbook.
pub(super) fn facts(shelf: &Shelf<'_>, manifest: &Value) -> Value {
    let stated = manifest.pointer("/incident/runbook").and_then(Value::as_str);
    let path = stated.and_then(|path| path.split('#').next()).unwrap_or_default();
    let page = if path.is_empty() { json!({"exists": false}) } else { document::facts(shelf, path) };
    let list = |key: &str| page.get(key).cloned().unwrap_or_else(|| json!([]));
    let sections = page.get("sections").and_then(Value::as_object).cloned().unwrap_or_default();
    let says = |wanted: &Regex| {
        let of_it = |(name, words): (&String, &Value)| wanted.is_match(name) && words.as_u64() >= Some(LEAST_WORDS);
        sections.iter().any(of_it)
    };
    let mut broken: Vec<Value> = list("broken").as_array().cloned().unwrap_or_default();
    broken.extend(shelf.text(path).iter().flat_map(|file| named_in_vain(shelf, path, file.text())).map(Value::String));
    json!({
        "at": "/incident/runbook",
        "given": stated.is_some(),
        "path": path,
        "exists": page.get("exists"),
        "broken": broken,
        "dates": list("dates"),
        "alerts_without": alerts_without(shelf, manifest, path),
        "spots": says(&SPOTS),
        "stops": says(&STOPS),
        "rolls_back": says(&ROLLS_BACK),
    })
}

/// Files that the page names as code (`ops/dashboard.json`), by a path from the manifest or from the page, and that are not there.
fn named_in_vain(shelf: &Shelf<'_>, page: &str, text: &str) -> Vec<String> {
    let quoted = text.split('`').skip(1).step_by(2).filter(|code| !code.contains(char::is_whitespace));
    let is_file = |code: &&str| {
        let (folder, end) = (code.contains('/'), code.rsplit_once('.').map_or("", |(_, end)| end));
        folder && ["json", "yaml", "yml", "md", "toml"].contains(&end) && !code.contains(['{', '*', ':', '$'])
    };
    let is_missing = |code: &&str| !shelf.has(code.trim_start_matches('/')) && !shelf.has(&Files::resolve(page, code));
    quoted.filter(is_file).filter(is_missing).map(str::to_owned).collect()
}

/// The alert rules of which no annotation names the page.
fn alerts_without(shelf: &Shelf<'_>, manifest: &Value, page: &str) -> Vec<String> {
    let stated = manifest.pointer("/observability/alerts").and_then(Value::as_array).into_iter().flatten();
    let paths = stated.filter_map(Value::as_str).flat_map(|pattern| shelf.matching(pattern));
    let name = page.rsplit('/').next().filter(|name| !name.is_empty());
    let Some(name) = name else { return Vec::new() };
    let list = |value: &Value, key: &str| value.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    paths
        .filter_map(|path| document::value(shelf, &path))
        .flat_map(|file| list(&file, "groups"))
        .flat_map(|group| list(&group, "rules"))
        .filter(|rule| {
            let notes = rule.get("annotations").and_then(Value::as_object).into_iter().flat_map(Map::values);
            !notes.into_iter().filter_map(Value::as_str).any(|note| note.contains(name))
        })
        .filter_map(|rule| Some(rule.get("alert")?.as_str()?.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Shelf, named_in_vain};
    use crate::source::Files;

    #[test]
    fn a_dashboard_that_the_page_names_has_to_be_there() {
        let files = Files::texts([("ops/board.json".to_owned(), Arc::from("{}"))].into());
        let shelf = Shelf::new(&files, "agentready.yaml");
        let page = "Look at `ops/board.json` and `../ops/board.json`, then `ops/gone.json`; run `./ops/off.sh {tool}`, `a/{x}.json`.";
        assert_eq!(named_in_vain(&shelf, "docs/runbook.md", page), ["ops/gone.json"]);
    }
}
