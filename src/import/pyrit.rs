//! PyRIT seed files: prompts and objectives, some of them turns of one conversation.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    Format, Haul, Input,
    case::Prompt,
    promptfoo::{page, row},
    row::{Row, Shape},
};

pub(super) const FORMAT: Format = Format {
    name: "pyrit",
    about: "PyRIT seed datasets (YAML or .prompt): text-only prompts; the user's turns of a group are one conversation",
    licence: Some("MIT for PyRIT; a seed's own source stands beside it"),
    read,
};

/// Keys that a file may give for all its seeds.
const SHARED: &[&str] = &["dataset_name", "data_type", "source", "seed_type", "parameters", "harm_categories"];

fn read(input: &Input<'_>, haul: &mut Haul) {
    let Some(page) = page(input.file, haul) else { return };
    let list = ["seeds", "prompts"].into_iter().find(|key| page.value.get(*key).is_some_and(Value::is_array));
    let mut rows: Vec<Row> = match list {
        Some(key) => {
            let seeds = page.value.get(key).and_then(Value::as_array).into_iter().flatten().enumerate();
            seeds.map(|(index, seed)| row(&page, key, index, &with_shared(seed, &page.value))).collect()
        }
        None if page.value.get("value").is_some() => vec![Row {
            name: "/".to_owned(),
            base: String::new(),
            shape: Shape::Paths,
            at: page.document.file().location(0),
            value: page.value.clone(),
            mistakes: Vec::new(),
        }],
        None => {
            let message = format!("`{}` has neither `seeds` nor `value`", input.file.name());
            return haul.wrong(message, "is it a seed dataset of PyRIT?");
        }
    };
    let mut groups: BTreeMap<String, Vec<(i64, Seed)>> = BTreeMap::new();
    let mut cases = Vec::new();
    for row in &mut rows {
        let seed = seed(row, haul);
        haul.mistakes.append(&mut row.mistakes);
        let Some(seed) = seed else { continue };
        match seed.group.clone() {
            Some(group) => groups.entry(group).or_default().push((seed.sequence, seed)),
            None => cases.push(vec![seed]),
        }
    }
    cases.extend(groups.into_values().map(|mut seeds| {
        seeds.sort_by_key(|(sequence, _)| *sequence);
        seeds.into_iter().map(|(_, seed)| seed).collect()
    }));
    haul.cases.extend(cases.into_iter().filter_map(|seeds| {
        let first = seeds.first()?;
        let (row, goal, source) = (first.row.clone(), first.goal.clone(), first.source.clone());
        let (id, technique) = (first.group.clone(), Some(first.kind.clone()));
        let turns = seeds.into_iter().map(|seed| seed.value).collect();
        Some(Prompt { id, source, goal, technique, turns, ..Prompt::default() }.text_only(&row))
    }));
}

struct Seed {
    row: String,
    value: String,
    group: Option<String>,
    sequence: i64,
    goal: Option<String>,
    source: Option<String>,
    kind: String,
}

fn with_shared(seed: &Value, file: &Value) -> Value {
    let mut seed = seed.clone();
    if let Some(entries) = seed.as_object_mut() {
        for key in SHARED {
            if let Some(shared) = file.get(*key).filter(|_| !entries.contains_key(*key)) {
                entries.insert((*key).to_owned(), shared.clone());
            }
        }
    }
    seed
}

fn seed(row: &mut Row, haul: &mut Haul) -> Option<Seed> {
    let (value, source) = (row.text("/value"), row.maybe("/source"));
    let (kind, group, role) = (row.maybe("/data_type"), row.maybe("/prompt_group_alias"), row.maybe("/role"));
    let goal = row.maybe("/harm_categories/0").or_else(|| row.maybe("/dataset_name"));
    let why = if kind.is_some_and(|kind| kind != "text") {
        Some("the seed is no text")
    } else if row.list("/parameters").is_some_and(|length| length > 0) {
        Some("the seed is a template with parameters; templates are never filled in")
    } else if role.is_some_and(|role| role != "user") {
        Some("the seed is no turn of the user")
    } else {
        None
    };
    if let Some(why) = why {
        haul.leave_out(why);
        return None;
    }
    Some(Seed {
        row: row.name.clone(),
        value: value?,
        group,
        sequence: row.get("/sequence").and_then(Value::as_i64).unwrap_or_default(),
        goal,
        source,
        kind: row.maybe("/seed_type").unwrap_or_else(|| "prompt".to_owned()),
    })
}
