//! From a world file to the compiled world; all mistakes of the file at once.

use std::{collections::BTreeMap, sync::Arc};

use jsonschema::Validator;
use serde_json::Value;

use super::{
    WorldFile, WorldTool,
    machine::{Approving, Guard, State, Tool, World},
    pointer::PointerTemplate,
};
use crate::{
    expr::{Expr, Scope},
    scenario::Inspection,
    source::{self, Diagnostics, Files, Route},
    text,
};

/// Names that a `let` may not take.
const TAKEN: &[&str] = &["args", "state", "result", "new_id"];
/// Shorter secrets would be found by accident.
const SHORTEST_CANARY: usize = 6;

/// Reads and compiles a world file, or gives every mistake in it.
pub fn load(files: &Files, name: &str) -> Result<Arc<World>, Diagnostics> {
    let loaded = source::load::<WorldFile>(files, name)?;
    let file = loaded.value;
    let mut inspection = Inspection::new(&loaded.document);
    let root = Route::root();
    let schema = file.schema.as_ref().and_then(|schema| inspection.schema(&root.join("schema"), schema));
    let state = Value::Object(file.state.into_iter().collect());
    if let Some(schema) = &schema {
        check_state(&mut inspection, schema, &state);
    }
    check_canaries(&mut inspection, &file.canaries);
    for (index, pointer) in file.untrusted.iter().enumerate().filter(|(_, pointer)| !pointer.starts_with('/')) {
        let hint = "write it as in `given`: `/tickets/*/text`";
        let at = root.join("untrusted").join(index);
        inspection.mistake(&at, format!("`{pointer}` is no JSON Pointer"), hint);
    }
    let mut tools = BTreeMap::new();
    for (name, tool) in &file.tools {
        let route = root.join("tools").join(name);
        check_name(&mut inspection, &route, name);
        tools.insert(name.clone(), compile(&mut inspection, &route, tool));
    }
    let name = loaded.document.file().name().to_owned();
    match inspection.finish() {
        found if found.is_empty() => Ok(Arc::new(World {
            name,
            state: Arc::new(State::new(state)),
            schema,
            canaries: file.canaries,
            untrusted: file.untrusted,
            tools,
            scope: Scope::new(),
        })),
        found => Err(Diagnostics(found)),
    }
}

/// The JSON Schema of world files.
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(WorldFile);
    schema.insert("title".to_owned(), "World file of agentready".into());
    schema.to_value()
}

fn check_state(inspection: &mut Inspection<'_>, schema: &Validator, state: &Value) {
    for error in schema.iter_errors(state) {
        let route = Route::pointer(format!("/state{}", error.instance_path().as_str()));
        let message = format!("the state breaks its schema: {}", text::shortened(&error.to_string(), 200));
        inspection.mistake(&route, message, "change the value, or `schema`");
    }
}

fn check_canaries(inspection: &mut Inspection<'_>, canaries: &BTreeMap<String, String>) {
    for (name, secret) in canaries {
        if secret.trim().chars().count() < SHORTEST_CANARY {
            let route = Route::root().join("canaries").join(name);
            let message = format!("the canary `{name}` is so short that any text may contain it");
            inspection.mistake(&route, message, format!("give at least {SHORTEST_CANARY} characters"));
        }
    }
}

/// A tool's name is a part of its URL.
fn check_name(inspection: &mut Inspection<'_>, route: &Route, name: &str) {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_-.:".contains(c);
    if name.is_empty() || !name.chars().all(fits) {
        let hint = "use letters, digits, `_`, `-`, `.` and `:`";
        inspection.mistaken_key(route, format!("`{name}` is no name for a tool"), hint);
    }
}

fn compile(inspection: &mut Inspection<'_>, route: &Route, tool: &WorldTool) -> Tool {
    let input_check = tool.input.as_ref().and_then(|input| inspection.schema(&route.join("input"), input));
    let mut names: Vec<String> = vec!["args".to_owned(), "state".to_owned()];
    let lets = lets(inspection, &route.join("let"), &tool.lets, &mut names);
    let before: Vec<&str> = names.iter().map(String::as_str).collect();
    let requires = guards(inspection, &route.join("requires"), tool, &before);
    let after: Vec<&str> = before.iter().copied().chain(["new_id"]).collect();
    let mut sets = Vec::new();
    for (place, value) in &tool.sets {
        let at = route.join("sets").join(place);
        let pointer = pointer(inspection, &at, place, &after);
        let value = inspection.expr(&at, value, &after);
        sets.extend(pointer.zip(value));
    }
    let removes = tool.removes.iter().enumerate();
    let removes = removes
        .filter_map(|(index, place)| pointer(inspection, &route.join("removes").join(index), place, &after))
        .collect();
    let returns = tool.returns.as_ref().and_then(|expr| inspection.expr(&route.join("returns"), expr, &after));
    let approves = tool.approves.as_ref().and_then(|approval| {
        let at = route.join("approves");
        let seen: Vec<&str> = after.iter().copied().chain(["result"]).collect();
        let tool = inspection.expr(&at.join("tool"), &approval.tool, &seen);
        let args = inspection.expr(&at.join("args"), &approval.args, &seen);
        let granted = inspection.expr(&at.join("granted"), &approval.granted, &seen);
        let minutes = approval.minutes.as_ref().map(|minutes| inspection.expr(&at.join("minutes"), minutes, &seen));
        Some(Approving { tool: tool?, args: args?, granted: granted?, minutes: minutes.flatten() })
    });
    let about = tool.about.clone().unwrap_or_default();
    let input = tool.input.clone().unwrap_or_else(Tool::any_input);
    Tool { about, input, input_check, lets, requires, sets, removes, returns, approves }
}

fn lets(
    inspection: &mut Inspection<'_>,
    route: &Route,
    lets: &[BTreeMap<String, String>],
    names: &mut Vec<String>,
) -> Vec<(String, Expr)> {
    let mut compiled = Vec::new();
    for (index, group) in lets.iter().enumerate() {
        for (name, source) in group {
            let at = route.join(index).join(name);
            let known: Vec<&str> = names.iter().map(String::as_str).collect();
            let expr = inspection.expr(&at, source, &known);
            if TAKEN.contains(&name.as_str()) || names.contains(name) {
                inspection.mistaken_key(&at, format!("`{name}` has a meaning already"), "choose another name");
            } else if !is_identifier(name) {
                let hint = "use letters, digits and `_`, not a digit first";
                inspection.mistaken_key(&at, format!("`{name}` is no name for a value"), hint);
            } else {
                names.push(name.clone());
            }
            compiled.extend(expr.map(|expr| (name.clone(), expr)));
        }
    }
    compiled
}

fn guards(inspection: &mut Inspection<'_>, route: &Route, tool: &WorldTool, names: &[&str]) -> Vec<Guard> {
    let fillable: Vec<&str> = names.iter().copied().filter(|name| *name != "state").collect();
    let mut guards = Vec::new();
    for (index, requirement) in tool.requires.iter().enumerate() {
        let at = route.join(index);
        let that = inspection.expr(&at.join("that"), &requirement.that, names);
        let otherwise = inspection.template(&at.join("otherwise"), &requirement.otherwise, &fillable);
        guards.extend(that.zip(otherwise).map(|(that, otherwise)| Guard { that, otherwise }));
    }
    guards
}

fn pointer(inspection: &mut Inspection<'_>, route: &Route, source: &str, names: &[&str]) -> Option<PointerTemplate> {
    if !source.starts_with('/') {
        let hint = "a JSON Pointer begins with `/`, such as `/orders/{{ args.id }}`";
        inspection.mistaken_key(route, format!("`{source}` is no JSON Pointer"), hint);
        return None;
    }
    let fillable: Vec<&str> = names.iter().copied().filter(|name| *name != "state").collect();
    inspection.template_key(route, source, &fillable)?;
    PointerTemplate::parse(source).ok()
}

fn is_identifier(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !name.starts_with(|c: char| c.is_ascii_digit())
}
