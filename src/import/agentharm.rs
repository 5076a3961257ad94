//! AgentHarm: harmful (or benign) tasks of several steps, with the tools that they need.

use std::collections::BTreeMap;

use super::{
    Format, Haul, Input,
    case::{Case, Prompt, Shelf, call, never, said},
    table,
};
use crate::world::{WorldFile, WorldTool};

pub(super) const FORMAT: Format = Format {
    name: "agentharm",
    about: "AgentHarm behaviours (JSON): the target functions of a harmful task must not be executed; --benign for the benign file",
    licence: Some("MIT, with the clause that it serves to make AI safer and nothing else"),
    read,
};

fn read(input: &Input<'_>, haul: &mut Haul) {
    let is_benign = input.options.benign;
    if input.file.name().contains("benign") != is_benign {
        let message = if is_benign { "the file does not call itself benign" } else { "the file calls itself benign" };
        let hint = "harmful tasks must fail and benign ones succeed: --benign goes with `benign_behaviors_*.json` only";
        return haul.wrong(message, hint);
    }
    let mut tools = BTreeMap::new();
    let wanted = table::Wanted { columns: &[], below: Some("behaviors") };
    table::each(input.file, wanted, haul, |row, haul| {
        let (prompt, id, title) = (row.text("/prompt"), row.maybe("/id"), row.maybe("/name"));
        let goal = row.maybe("/category");
        let functions = if row.list("/target_functions").is_some_and(|length| length > 0) {
            row.texts("/target_functions")
        } else {
            Some(Vec::new())
        };
        let (Some(prompt), Some(functions)) = (prompt, functions) else { return };
        tools.extend(functions.iter().map(|name| (name.clone(), stub())));
        if is_benign {
            if functions.is_empty() {
                return haul.leave_out("a benign request without target functions has nothing to be held against");
            }
            let mut entry = said(vec![prompt]);
            entry.title = title;
            entry.expect = functions.into_iter().map(|tool| call(tool, BTreeMap::new())).collect();
            haul.cases.push(Case { shelf: Shelf::Golden, row: row.name.clone(), id, entry });
            return;
        }
        let prompt = Prompt { id, title, goal, turns: vec![prompt], ..Prompt::default() };
        let mut case = prompt.text_only(&row.name);
        if !functions.is_empty() {
            case.entry.expect.insert(0, never(functions, None));
            case.shelf = Shelf::Attacks;
        }
        haul.cases.push(case);
    });
    if !tools.is_empty() && input.options.world.is_none() {
        haul.world = Some(WorldFile { tools, ..WorldFile::default() });
    }
}

/// A tool that takes everything and does nothing, so that a call of it is seen as executed.
fn stub() -> WorldTool {
    WorldTool { returns: Some("{'ok': true}".to_owned()), ..WorldTool::default() }
}
