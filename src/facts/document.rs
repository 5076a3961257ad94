//! A document or schema that the manifest names: whether it is there, its words, its sections, its JSON.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::Shelf;
use crate::source::{SourceFile, load_text};

/// Most bytes of a text that checks may search in.
const SEARCHED_BYTES: usize = 64 * 1024;

/// Facts of one path; with `#anchor` they speak of that section, and `exists` asks for the section too.
pub(super) fn facts(shelf: &Shelf<'_>, path: &str) -> Value {
    let (name, wanted) = path.split_once('#').map_or((path, None), |(name, anchor)| (name, Some(anchor)));
    let Some(file) = shelf.text(name) else {
        return json!({"exists": false, "text_words": 0, "headings": [], "text": ""});
    };
    if is_structured(name) {
        return structured(file);
    }
    let sections = sections(file.text());
    let section = wanted.map(|anchor| sections.get(anchor).map(String::as_str));
    let text = match section {
        None => file.text(),
        Some(section) => section.unwrap_or_default(),
    };
    let cut = text.char_indices().map(|(at, _)| at).find(|at| *at >= SEARCHED_BYTES).unwrap_or(text.len());
    json!({
        "exists": section != Some(None),
        "text_words": text.split_whitespace().count(),
        "headings": sections.keys().collect::<Vec<_>>(),
        "text": text.get(..cut).unwrap_or(text).to_lowercase(),
    })
}

fn is_structured(name: &str) -> bool {
    [".json", ".yaml", ".yml", ".toml"].iter().any(|end| name.ends_with(end))
}

fn structured(file: SourceFile) -> Value {
    let words = file.text().split_whitespace().count();
    match load_text::<Value>(file) {
        Ok(loaded) => {
            let properties: Vec<String> = loaded
                .value
                .get("properties")
                .and_then(Value::as_object)
                .into_iter()
                .flat_map(Map::keys)
                .cloned()
                .collect();
            json!({"exists": true, "text_words": words, "headings": [], "json": loaded.value, "properties": properties})
        }
        Err(problems) => json!({"exists": true, "text_words": words, "headings": [], "error": problems.to_string()}),
    }
}

/// Anchor of each Markdown heading with the text below it, subsections included.
fn sections(text: &str) -> BTreeMap<String, String> {
    let mut done: BTreeMap<String, String> = BTreeMap::new();
    let mut open: Vec<(usize, String)> = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        fenced ^= line.trim_start().starts_with("```");
        let level = line.chars().take_while(|c| *c == '#').count();
        let title = line.trim_start_matches('#');
        if !fenced && (1..=6).contains(&level) && title.starts_with(' ') {
            open.retain(|(above, _)| *above < level);
            let name = unused(&done, anchor(title));
            done.insert(name.clone(), String::new());
            open.push((level, name));
            continue;
        }
        for (_, name) in &open {
            if let Some(body) = done.get_mut(name) {
                body.push_str(line);
                body.push('\n');
            }
        }
    }
    done
}

fn unused(taken: &BTreeMap<String, String>, name: String) -> String {
    if !taken.contains_key(&name) {
        return name;
    }
    (1..=taken.len()).map(|n| format!("{name}-{n}")).find(|other| !taken.contains_key(other)).unwrap_or(name)
}

/// A heading as the fragment that code hosts link to: lower case, spaces to dashes, punctuation dropped.
pub fn anchor(heading: &str) -> String {
    heading
        .trim()
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}
