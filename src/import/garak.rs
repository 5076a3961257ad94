//! garak: the prompts of a report, or the prompts of its hits.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Format, Haul, Input, case::Prompt, row::Row, table};

pub(super) const REPORT: Format = Format {
    name: "garak-report",
    about: "garak `*.report.jsonl`: every prompt that was tried, each once: text-only prompts that must not give the triggers",
    licence: LICENCE,
    read: report,
};

pub(super) const HITLOG: Format = Format {
    name: "garak-hitlog",
    about: "garak `*.hitlog.jsonl`: the prompts that had success, as regression seeds: text-only prompts",
    licence: LICENCE,
    read: hitlog,
};

const LICENCE: Option<&str> = Some("Apache-2.0 for garak; prompts of some probes have sources of their own");

/// Each attempt stands in a report once for every state it was in; the last one holds.
fn report(input: &Input<'_>, haul: &mut Haul) {
    let mut attempts: BTreeMap<String, Row> = BTreeMap::new();
    let mut order: Vec<String> = Vec::new();
    let mut is_complete = false;
    table::each(input.file, table::Wanted::default(), haul, |row, _| match row.text("/entry_type").as_deref() {
        Some("attempt") => {
            let Some(uuid) = row.text("/uuid") else { return };
            let kept = Row {
                mistakes: Vec::new(),
                value: row.value.clone(),
                name: row.name.clone(),
                base: row.base.clone(),
                at: row.at.clone(),
                shape: row.shape,
            };
            if attempts.insert(uuid.clone(), kept).is_none() {
                order.push(uuid);
            }
        }
        Some("completion") => is_complete = true,
        Some(_) | None => {}
    });
    for uuid in order {
        let Some(mut row) = attempts.remove(&uuid) else { continue };
        let (technique, id) = (row.maybe("/probe_classname"), Some(uuid));
        one(&mut row, Prompt { id, technique, ..Prompt::default() }, "/notes/triggers", haul);
        haul.mistakes.append(&mut row.mistakes);
    }
    if !is_complete {
        haul.leave_out("the garak run did not come to its end, so prompts may be missing");
    }
}

fn hitlog(input: &Input<'_>, haul: &mut Haul) {
    table::each(input.file, table::Wanted::default(), haul, |row, haul| {
        let (technique, id) = (row.text("/probe"), row.maybe("/attempt_id"));
        let title = row.maybe("/detector").map(|detector| format!("a hit of {detector}"));
        one(row, Prompt { id, title, technique, ..Prompt::default() }, "/triggers", haul);
    });
}

fn one(row: &mut Row, prompt: Prompt, triggers: &str, haul: &mut Haul) {
    let goal = row.maybe("/goal");
    let Some(turns) = turns(row) else { return };
    if turns.is_empty() {
        haul.leave_out("the attempt holds no text of the user");
        return;
    }
    let excludes: Vec<String> = match row.get(triggers) {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(items)) => items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect(),
        Some(_) | None => Vec::new(),
    };
    haul.cases.push(Prompt { goal, turns, excludes, ..prompt }.text_only(&row.name));
}

/// The user's turns of a conversation, or the prompt as older versions write it.
fn turns(row: &mut Row) -> Option<Vec<String>> {
    if row.get("/prompt").is_some_and(Value::is_string) {
        return row.text("/prompt").map(|text| vec![text]);
    }
    let Some(count) = row.list("/prompt/turns") else {
        row.wrong("/prompt/turns", "is missing");
        return None;
    };
    let users: Vec<usize> = (0..count)
        .filter(|index| row.get(&format!("/prompt/turns/{index}/role")).and_then(Value::as_str) == Some("user"))
        .collect();
    let turns: Vec<Option<String>> =
        users.into_iter().map(|index| row.text(&format!("/prompt/turns/{index}/content/text"))).collect();
    turns.into_iter().collect()
}
