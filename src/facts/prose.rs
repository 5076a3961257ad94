//! A page of prose (Markdown or plain text): sections by anchor, links, fenced code, tables.
//!
//! Reads the little of Markdown that people agree on; must not judge what a page says.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use regex::Regex;
use serde_json::{Value, json};

use super::{Shelf, document::searched, table};
use crate::source::Files;

/// Most fenced blocks of a page that are kept.
const MOST_BLOCKS: usize = 100;

/// Most links of a page that are kept.
const MOST_LINKS: usize = 500;

/// Facts of a page, or of one section of it.
pub(super) fn facts(shelf: &Shelf<'_>, name: &str, text: &str, anchor: Option<&str>) -> Value {
    let sections = sections(text);
    let section = anchor.map(|anchor| sections.get(anchor).map(String::as_str));
    let said = section.map_or(text, Option::unwrap_or_default);
    let links = links(said);
    let here = |link: &&String| is_file_beside(link) && !shelf.has(&Files::resolve(name, bare(link)));
    let words: BTreeMap<&String, usize> =
        sections.iter().map(|(anchor, body)| (anchor, body.split_whitespace().count())).collect();
    let (columns, rows) = table::piped(said);
    json!({
        "exists": section != Some(None),
        "text_words": said.split_whitespace().count(),
        "headings": sections.keys().collect::<Vec<_>>(),
        "sections": words,
        "text": searched(said),
        "broken": links.iter().filter(here).collect::<Vec<_>>(),
        "links": links,
        "code": blocks(said),
        "columns": columns,
        "rows": rows,
    })
}

/// Anchor of each Markdown heading with the text below it, subsections included.
pub(super) fn sections(text: &str) -> BTreeMap<String, String> {
    let mut done: BTreeMap<String, String> = BTreeMap::new();
    let mut open: Vec<(usize, String)> = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        fenced ^= is_fence(line);
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

static LINK: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\]\(\s*<?([^)\s>]+)|(https?://[^\s<>)\]]+)").expect("the pattern is valid"));

fn links(text: &str) -> BTreeSet<String> {
    let targets = LINK.captures_iter(text).filter_map(|found| found.get(1).or_else(|| found.get(2)));
    targets.map(|target| target.as_str().trim_end_matches(['.', ',', ';']).to_owned()).take(MOST_LINKS).collect()
}

fn bare(link: &str) -> &str {
    link.split(['#', '?']).next().unwrap_or_default()
}

fn is_file_beside(link: &str) -> bool {
    !bare(link).is_empty() && !link.contains(':') && !link.starts_with('/')
}

fn is_fence(line: &str) -> bool {
    line.trim_start().starts_with("```")
}

fn blocks(text: &str) -> Vec<Value> {
    let mut done = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in text.lines() {
        match (&mut open, is_fence(line)) {
            (None, true) => open = Some((line.trim().trim_start_matches('`').to_owned(), String::new())),
            (Some(_), true) => done.extend(open.take()),
            (Some((_, body)), false) => {
                body.push_str(line);
                body.push('\n');
            }
            (None, false) => {}
        }
    }
    done.into_iter().take(MOST_BLOCKS).map(|(lang, text)| json!({"lang": lang, "text": text})).collect()
}
