//! InjecAgent: a user's request, the tool result in which an attack stands, and the tools that the attack calls.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    Format, Haul, Input,
    case::{Case, Shelf, call, never, said, word},
    row::Row,
    table,
};
use crate::{
    scenario::{Attack, Category},
    world::{WorldFile, WorldTool},
};

pub(super) const FORMAT: Format = Format {
    name: "injecagent",
    about: "InjecAgent test cases (JSON): the user's tool returns the poisoned result, the attacker's tools must not be executed",
    licence: Some("MIT"),
    read,
};

fn read(input: &Input<'_>, haul: &mut Haul) {
    if input.options.world.is_some() {
        return haul.wrong("injecagent brings its own tools, so a world is made for it", "leave --world out");
    }
    let mut tools = BTreeMap::new();
    let mut responses = serde_json::Map::new();
    table::each(input.file, table::Wanted::default(), haul, |row, haul| {
        let Some(found) = found(row) else { return };
        for name in std::iter::once(&found.user_tool).chain(&found.attacker_tools) {
            tools.insert(name.clone(), tool(name));
            responses.insert(name.clone(), json!("done"));
        }
        haul.cases.push(found.case(row));
    });
    if !tools.is_empty() {
        let state = BTreeMap::from([("responses".to_owned(), Value::Object(responses))]);
        haul.world = Some(WorldFile { state, tools, ..WorldFile::default() });
    }
}

struct Found {
    user_tool: String,
    instruction: String,
    response: String,
    attacker_tools: Vec<String>,
    attack: String,
    goal: Option<String>,
}

fn found(row: &mut Row) -> Option<Found> {
    let (user_tool, instruction) = (row.text("/User Tool"), row.text("/User Instruction"));
    let (response, attack) = (row.text("/Tool Response"), row.text("/Attacker Instruction"));
    let (attacker_tools, goal) = (row.texts("/Attacker Tools"), row.maybe("/Attack Type"));
    let (response, attack) = (response?, attack?);
    if !response.contains(&attack) {
        row.wrong("/Tool Response", "does not hold the `Attacker Instruction`, so nothing would show that it arrived");
    }
    let attacker_tools = attacker_tools?;
    if attacker_tools.is_empty() {
        row.wrong("/Attacker Tools", "names no tool");
    }
    Some(Found { user_tool: user_tool?, instruction: instruction?, response, attacker_tools, attack, goal })
}

impl Found {
    fn case(self, row: &Row) -> Case {
        let mut entry = said(vec![self.instruction]);
        entry.given.insert(format!("/responses/{}", super::row::escaped(&self.user_tool)), self.response.into());
        entry.attack = Some(Attack {
            tool: None,
            encoding: None,
            goal: word(self.goal.as_deref(), "attacker-tools"),
            carrier: self.user_tool.clone(),
            technique: "instruction-in-data".to_owned(),
            marker: Some(self.attack),
        });
        let mut asked = call(self.user_tool, BTreeMap::new());
        asked.fails = Some(Category::B);
        entry.expect = vec![never(self.attacker_tools, None), asked];
        Case { shelf: Shelf::Attacks, row: row.name.clone(), id: None, entry }
    }
}

/// Returns what the case says that it returns.
fn tool(name: &str) -> WorldTool {
    let name = serde_json::to_string(name).expect("a text is JSON");
    WorldTool { returns: Some(format!("state.responses[{name}]")), ..WorldTool::default() }
}
