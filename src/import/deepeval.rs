//! Goldens of DeepEval: an input with the tools and the answer that are expected of it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    Format, Haul, Input,
    case::{Case, Shelf, by_reference, call, said},
    row::Row,
    table,
};

pub(super) const FORMAT: Format = Format {
    name: "deepeval",
    about: "DeepEval goldens (JSON, JSONL or CSV): golden scenarios with the expected tools and a short expected answer",
    licence: None,
    read,
};

fn read(input: &Input<'_>, haul: &mut Haul) {
    let wanted = table::Wanted { columns: &["input"], below: None };
    table::each(input.file, wanted, haul, one);
}

/// Both spellings of a key are in use.
fn key(row: &Row, camel: &'static str, snake: &'static str) -> &'static str {
    if row.get(camel).is_some() { camel } else { snake }
}

fn one(row: &mut Row, haul: &mut Haul) {
    if row.get("/scenario").is_some() && row.get("/input").is_none() {
        haul.leave_out("a conversational golden needs a model that plays the user");
        return;
    }
    let (input, title, source) = (row.text("/input"), row.maybe("/name"), None);
    let source = row.maybe(key(row, "/sourceFile", "/source_file")).or(source);
    let reference = row.maybe(key(row, "/expectedOutput", "/expected_output"));
    let tools = tools(row);
    let (Some(input), Some(tools)) = (input, tools) else { return };
    let mut entry = said(vec![input]);
    (entry.title, entry.source) = (title, source);
    let knows_tools = !tools.is_empty();
    entry.expect = tools.into_iter().map(|(tool, with)| call(tool, with)).collect();
    match reference {
        // Where tools are expected they decide; a long reference would only hold them up.
        Some(reference) if !knows_tools => by_reference(&mut entry, &reference),
        None if !knows_tools => {
            haul.leave_out("a golden without expected tools and without an expected answer can't fail");
            return;
        }
        Some(_) | None => {}
    }
    haul.cases.push(Case { shelf: Shelf::Golden, row: row.name.clone(), id: None, entry });
}

/// The expected calls; in tables they stand as JSON inside a cell.
fn tools(row: &mut Row) -> Option<Vec<(String, BTreeMap<String, Value>)>> {
    let at = key(row, "/expectedTools", "/expected_tools");
    let tools = match row.get(at) {
        None => return Some(Vec::new()),
        Some(Value::String(text)) if text.trim().is_empty() => return Some(Vec::new()),
        Some(Value::String(text)) => serde_json::from_str::<Value>(text).ok(),
        Some(other) => Some(other.clone()),
    };
    let calls =
        tools.as_ref().and_then(Value::as_array).map(|tools| tools.iter().map(expected).collect::<Option<Vec<_>>>());
    if let Some(Some(calls)) = calls {
        return Some(calls);
    }
    row.wrong(at, "must be a list of tools, each with a `name`");
    None
}

fn expected(tool: &Value) -> Option<(String, BTreeMap<String, Value>)> {
    let name = tool.get("name")?.as_str()?.to_owned();
    let parameters = tool.get("inputParameters").or_else(|| tool.get("input_parameters"));
    let with = parameters.and_then(Value::as_object).cloned().unwrap_or_default();
    Some((name, with.into_iter().collect()))
}
