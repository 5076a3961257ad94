//! Tasks of tau2-bench: what a customer wants, and the calls that a right agent makes.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    Format, Haul, Input,
    case::{Case, Shelf, call, contains, said},
    row::Row,
    table,
};
use crate::scenario::Expectation;

pub(super) const FORMAT: Format = Format {
    name: "tau2",
    about: "tau2-bench tasks (JSON) over --world: golden scenarios with the expected calls, said in one turn instead of by a simulated user",
    licence: Some("MIT"),
    read,
};

fn read(input: &Input<'_>, haul: &mut Haul) {
    if input.options.world.is_none() {
        let hint = "write the domain's data and tools as a world, and name it with --world";
        return haul.wrong("tau2 tasks act on the database of their domain, which is not part of the file", hint);
    }
    table::each(input.file, table::Wanted { columns: &[], below: Some("tasks") }, haul, one);
}

fn one(row: &mut Row, haul: &mut Haul) {
    let id = row.maybe("/id");
    let title = row.maybe("/description/purpose");
    let history = row.list("/initial_state/message_history").unwrap_or_default();
    let says = says(row);
    let expect = expect(row);
    if history > 0 {
        return haul.leave_out("the task begins in the middle of a conversation");
    }
    if row.get("/initial_state/initialization_data").is_some()
        || row.list("/initial_state/initialization_actions").unwrap_or_default() > 0
    {
        return haul.leave_out("the task changes the database before it begins; write it as `given`");
    }
    let (Some(says), Some(expect)) = (says, expect) else { return };
    let mut entry = said(vec![says]);
    entry.title = title;
    entry.expect = expect;
    haul.cases.push(Case { shelf: Shelf::Golden, row: row.name.clone(), id, entry });
}

/// What the customer wants and knows, in one message.
fn says(row: &mut Row) -> Option<String> {
    const AT: &str = "/user_scenario/instructions";
    if row.get(AT).is_some_and(Value::is_string) {
        return row.text(AT);
    }
    let reason = row.text(&format!("{AT}/reason_for_call"));
    let others = ["known_info", "task_instructions"].map(|key| row.maybe(&format!("{AT}/{key}")));
    let parts: Vec<String> = std::iter::once(reason?).chain(others.into_iter().flatten()).collect();
    Some(parts.join("\n\n"))
}

/// The calls of the agent's side, what must be told, and no change where no call is expected.
fn expect(row: &mut Row) -> Option<Vec<Expectation>> {
    const AT: &str = "/evaluation_criteria/actions";
    let mut expect = Vec::new();
    let mut is_whole = true;
    for index in 0..row.list(AT).unwrap_or_default() {
        let at = format!("{AT}/{index}");
        if row.get(&format!("{at}/requestor")).is_some_and(|requestor| requestor == "user") {
            continue;
        }
        match (row.text(&format!("{at}/name")), arguments(row, &at)) {
            (Some(name), Some(with)) => expect.push(call(name, with)),
            _ => is_whole = false,
        }
    }
    if expect.is_empty() {
        expect.push(Expectation { state: Some("state == before".to_owned()), ..Expectation::default() });
    }
    let told = if row.list("/evaluation_criteria/communicate_info").is_some_and(|length| length > 0) {
        row.texts("/evaluation_criteria/communicate_info")
    } else {
        Some(Vec::new())
    };
    expect.extend(told.clone().filter(|told| !told.is_empty()).map(contains));
    (is_whole && told.is_some()).then_some(expect)
}

/// The arguments that are compared.
fn arguments(row: &mut Row, at: &str) -> Option<BTreeMap<String, Value>> {
    let compared = if row.get(&format!("{at}/compare_args")).is_some() {
        Some(row.texts(&format!("{at}/compare_args"))?)
    } else {
        None
    };
    match row.get(&format!("{at}/arguments")) {
        None => Some(BTreeMap::new()),
        Some(Value::Object(entries)) => Some(
            entries
                .iter()
                .filter(|(name, _)| compared.as_ref().is_none_or(|compared| compared.contains(name)))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        ),
        Some(_) => {
            row.wrong(&format!("{at}/arguments"), "must be a map");
            None
        }
    }
}
