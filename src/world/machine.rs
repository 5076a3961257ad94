//! The compiled world: what every trial shares and nobody changes.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, OnceLock},
};

use jsonschema::Validator;
use serde_json::{Map, Value, json};

use super::pointer::{self, PointerTemplate};
use crate::{
    expr::{Expr, Scope, Template},
    text,
};

/// Simulated systems behind the agent's tools, compiled once and shared by all trials.
pub struct World {
    pub(super) name: String,
    pub(super) state: Arc<State>,
    pub(super) schema: Option<Arc<Validator>>,
    pub(super) canaries: BTreeMap<String, String>,
    pub(super) untrusted: Vec<String>,
    pub(super) tools: BTreeMap<String, Tool>,
    /// For tools that do not look at the state: the functions that expressions may call.
    pub(super) scope: Scope<'static>,
}

/// One tool as an agent is offered it.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    /// The name.
    pub name: String,
    /// One line for the model.
    pub about: String,
    /// JSON Schema of the arguments.
    pub input: Value,
}

/// One tool with everything parsed.
pub(super) struct Tool {
    pub(super) about: String,
    pub(super) input: Value,
    pub(super) input_check: Option<Arc<Validator>>,
    pub(super) lets: Vec<(String, Expr)>,
    pub(super) requires: Vec<Guard>,
    pub(super) sets: Vec<(PointerTemplate, Expr)>,
    pub(super) removes: Vec<PointerTemplate>,
    pub(super) returns: Option<Expr>,
    pub(super) approves: Option<Approving>,
}

/// A condition and what the refusal says.
pub(super) struct Guard {
    pub(super) that: Expr,
    pub(super) otherwise: Template,
}

/// How an approval is read out of a call.
pub(super) struct Approving {
    pub(super) tool: Expr,
    pub(super) args: Expr,
    pub(super) granted: Expr,
    pub(super) minutes: Option<Expr>,
}

/// A state as JSON, and as a scope once an expression asked for it. Binding a variable copies it whole, so each
/// state is bound once and the scopes of calls stand inside.
pub(super) struct State {
    json: Value,
    scope: OnceLock<Scope<'static>>,
}

impl State {
    pub(super) fn new(json: Value) -> Self {
        Self { json, scope: OnceLock::new() }
    }

    pub(super) fn json(&self) -> &Value {
        &self.json
    }

    /// A scope in which `state` is bound.
    pub(super) fn scope(&self) -> &Scope<'static> {
        self.scope.get_or_init(|| Scope::new().with("state", &self.json))
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "State({})", self.json)
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("name", &self.name).field("tools", &self.tools.keys()).finish_non_exhaustive()
    }
}

impl World {
    /// A world without state and tools, for scenarios that only talk.
    pub fn empty() -> Arc<Self> {
        Arc::new(Self {
            name: String::new(),
            state: Arc::new(State::new(Value::Object(Map::new()))),
            schema: None,
            canaries: BTreeMap::new(),
            untrusted: Vec::new(),
            tools: BTreeMap::new(),
            scope: Scope::new(),
        })
    }

    /// The file it was read from.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The tools, sorted by name.
    pub fn offers(&self) -> Vec<Offer> {
        let offer = |(name, tool): (&String, &Tool)| Offer {
            name: name.clone(),
            about: tool.about.clone(),
            input: tool.input.clone(),
        };
        self.tools.iter().map(offer).collect()
    }

    /// Whether there is such a tool.
    pub fn has_tool(&self, name: &str) -> bool {
        self.tools.contains_key(name)
    }

    /// The secrets that live in the state, by name.
    pub fn canaries(&self) -> &BTreeMap<String, String> {
        &self.canaries
    }

    /// Texts in the state that others write, as its file says: JSON Pointers in which `*` stands for any key.
    pub fn untrusted(&self) -> &[String] {
        &self.untrusted
    }

    /// The tools by which a person approves calls.
    pub fn approving(&self) -> impl Iterator<Item = &str> {
        self.tools.iter().filter(|(_, tool)| tool.approves.is_some()).map(|(name, _)| name.as_str())
    }

    /// The state at the start of a trial: that of the file, changed as a scenario's `given` says.
    pub fn initial(&self, given: &BTreeMap<String, Value>) -> Result<Value, String> {
        let mut state = self.state.json().clone();
        for (place, value) in given {
            if !place.starts_with('/') {
                return Err(format!("`{place}` is no JSON Pointer; it begins with `/`"));
            }
            pointer::set(&mut state, place, value.clone())?;
        }
        self.check_state(&state).map_err(|problem| format!("`given` breaks the world's schema: {problem}"))?;
        Ok(state)
    }

    /// The start of a trial; shared as long as nothing is given and nothing written.
    pub(super) fn start(&self, given: &BTreeMap<String, Value>) -> Result<Arc<State>, String> {
        if given.is_empty() {
            return Ok(Arc::clone(&self.state));
        }
        self.initial(given).map(|state| Arc::new(State::new(state)))
    }

    pub(super) fn check_state(&self, state: &Value) -> Result<(), String> {
        self.schema.as_ref().map_or(Ok(()), |schema| check(schema, state))
    }
}

impl Tool {
    /// What an argument schema is when the file gives none.
    pub(super) fn any_input() -> Value {
        json!({"type": "object"})
    }

    /// Checks arguments against the tool's schema.
    pub(super) fn check_input(&self, args: &Value) -> Result<(), String> {
        if !args.is_object() {
            return Err("the arguments must be a JSON object".to_owned());
        }
        self.input_check.as_ref().map_or(Ok(()), |schema| check(schema, args))
    }

    /// What the call returns when the file says nothing.
    pub(super) fn nothing() -> Value {
        Value::Object(Map::new())
    }
}

/// The first deviations from a schema, one sentence.
fn check(schema: &Validator, value: &Value) -> Result<(), String> {
    const SHOWN: usize = 3;
    if schema.is_valid(value) {
        return Ok(());
    }
    let problems: Vec<String> = schema
        .iter_errors(value)
        .take(SHOWN)
        .map(|error| {
            let what = text::shortened(&error.to_string(), 200);
            match error.instance_path().as_str() {
                "" => what,
                place => format!("{place}: {what}"),
            }
        })
        .collect();
    Err(problems.join("; "))
}
