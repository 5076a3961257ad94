//! Carries out one call: guards, effects, return value, approval. Computes the new state; changes nothing itself.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;

use super::{
    machine::{Approving, State, Tool, World},
    pointer::{self, Ids, Pointed, PointerTemplate},
};
use crate::{
    expr::{Expr, ExprError, Scope},
    record::{Grant, Review},
    text,
};

/// What a call that took effect leaves behind.
pub(super) struct Done {
    /// `None` when nothing was written.
    pub(super) state: Option<Arc<State>>,
    pub(super) ids: Ids,
    pub(super) result: Value,
    pub(super) decided: Decided,
}

/// What a person said to a call, where it is one that asks a person.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Decided {
    pub(super) grant: Option<Grant>,
    pub(super) review: Option<Review>,
}

/// Why a call took no effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("{0}")]
    Unknown(String),
    #[error("{0}")]
    Blocked(String),
    #[error("{0}")]
    Malformed(String),
}

impl From<ExprError> for Refusal {
    fn from(error: ExprError) -> Self {
        Self::Malformed(format!("the call does not fit the tool: {error}"))
    }
}

/// The names that the expressions of one call see.
struct Sight<'s> {
    scope: Scope<'s>,
    /// `args`, the lets and the last id; templates and later scopes need them.
    names: BTreeMap<String, Value>,
}

impl<'s> Sight<'s> {
    fn new(outer: &'s Scope<'_>, names: BTreeMap<String, Value>) -> Self {
        let mut scope = outer.inner();
        for (name, value) in &names {
            scope.set(name, value);
        }
        Self { scope, names }
    }

    fn show(&mut self, name: &str, value: Value) {
        self.scope.set(name, &value);
        self.names.insert(name.to_owned(), value);
    }

    fn show_id(&mut self, id: Option<&String>) {
        if let Some(id) = id {
            self.show("new_id", Value::String(id.clone()));
        }
    }
}

/// Carries out a call on a state.
pub(super) fn carry_out(world: &World, state: &State, ids: &Ids, tool: &str, args: &Value) -> Result<Done, Refusal> {
    let tool = find(world, tool)?;
    tool.check_input(args).map_err(|problem| Refusal::Malformed(format!("wrong arguments: {problem}")))?;
    let outer = if tool.reads_state() { state.scope() } else { &world.scope };
    let mut sight = Sight::new(outer, BTreeMap::from([("args".to_owned(), args.clone())]));
    for (name, expr) in &tool.lets {
        let value = expr.eval(&sight.scope)?;
        sight.show(name, value);
    }
    guard(tool, &sight)?;
    let mut ids = ids.clone();
    let written = write(tool, &mut sight, state, &mut ids)?;
    let (result, decided) = match &written {
        Some(written) => {
            world.check_state(written.json()).map_err(|problem| {
                Refusal::Malformed(format!("the call would leave an impossible state: {problem}"))
            })?;
            let outer = if tool.reads_state_after() { written.scope() } else { &world.scope };
            answer(tool, Sight::new(outer, sight.names))?
        }
        None => answer(tool, sight)?,
    };
    Ok(Done { state: written, ids, result, decided })
}

fn find<'w>(world: &'w World, name: &str) -> Result<&'w Tool, Refusal> {
    world.tools.get(name).ok_or_else(|| {
        let name = text::shortened(name, 200);
        Refusal::Unknown(match text::closest(&name, world.tools.keys().map(String::as_str)) {
            Some(near) => format!("there is no tool `{name}`; did you mean `{near}`?"),
            None => format!("there is no tool `{name}`"),
        })
    })
}

fn guard(tool: &Tool, sight: &Sight<'_>) -> Result<(), Refusal> {
    for guard in &tool.requires {
        if !guard.that.test(&sight.scope)? {
            let names = Value::Object(sight.names.clone().into_iter().collect());
            let text = guard.otherwise.render(&names).unwrap_or_else(|_| "refused".to_owned());
            return Err(Refusal::Blocked(text));
        }
    }
    Ok(())
}

/// All ids are made, and all values found from the state as it was, before anything is written; so the order of
/// the effects does not matter.
fn write(tool: &Tool, sight: &mut Sight<'_>, state: &State, ids: &mut Ids) -> Result<Option<Arc<State>>, Refusal> {
    if tool.sets.is_empty() && tool.removes.is_empty() {
        return Ok(None);
    }
    let mut fill = |template: &PointerTemplate| {
        template.fill(&sight.names, ids).map_err(|error| Refusal::Malformed(format!("the call has no place: {error}")))
    };
    let places = tool.sets.iter().map(|(place, _)| fill(place)).collect::<Result<Vec<Pointed>, _>>()?;
    let removed = tool.removes.iter().map(fill).collect::<Result<Vec<Pointed>, _>>()?;
    let last_id = places.iter().chain(&removed).rev().find_map(|place| place.id.clone());
    let mut next = state.json().clone();
    for ((_, value), place) in tool.sets.iter().zip(&places) {
        sight.show_id(place.id.as_ref().or(last_id.as_ref()));
        let value = value.eval(&sight.scope)?;
        pointer::set(&mut next, &place.pointer, value).map_err(Refusal::Malformed)?;
    }
    for place in &removed {
        pointer::remove(&mut next, &place.pointer);
    }
    sight.show_id(last_id.as_ref());
    Ok(Some(Arc::new(State::new(next))))
}

/// The return value and the approval; they see the state after the effects.
fn answer(tool: &Tool, mut sight: Sight<'_>) -> Result<(Value, Decided), Refusal> {
    let result = match &tool.returns {
        Some(returns) => returns.eval(&sight.scope)?,
        None => Tool::nothing(),
    };
    let Some(approving) = &tool.approves else { return Ok((result, Decided::default())) };
    sight.show("result", result.clone());
    let review = reviewed(approving, &sight)?;
    if !approving.granted.test(&sight.scope)? {
        return Ok((result, Decided { grant: None, review }));
    }
    match approving.tool.eval(&sight.scope)? {
        Value::String(tool) => {
            let grant = Some(Grant { tool, args: approving.args.eval(&sight.scope)? });
            Ok((result, Decided { grant, review }))
        }
        other => Err(Refusal::Malformed(format!("an approval names a tool by its text, not by {other}"))),
    }
}

/// How long the person took who decided; nothing where nobody decided yet.
fn reviewed(approving: &Approving, sight: &Sight<'_>) -> Result<Option<Review>, Refusal> {
    let Some(minutes) = &approving.minutes else { return Ok(Some(Review { minutes: None })) };
    match minutes.eval(&sight.scope)? {
        Value::Null => Ok(None),
        told => match told.as_f64().filter(|minutes| *minutes >= 0.0) {
            Some(minutes) => Ok(Some(Review { minutes: Some(minutes) })),
            None => Err(Refusal::Malformed(format!("a person takes a number of minutes to decide, not {told}"))),
        },
    }
}

impl Tool {
    /// Whether an expression mentions the state; a text that merely contains the word counts too.
    fn reads_state(&self) -> bool {
        let before = self.lets.iter().map(|(_, expr)| expr);
        let guards = self.requires.iter().map(|guard| &guard.that);
        let values = self.sets.iter().map(|(_, expr)| expr);
        before.chain(guards).chain(values).any(mentions_state) || self.reads_state_after()
    }

    fn reads_state_after(&self) -> bool {
        let approval = self.approves.iter().flat_map(|a| [&a.tool, &a.args, &a.granted].into_iter().chain(&a.minutes));
        self.returns.iter().chain(approval).any(mentions_state)
    }
}

fn mentions_state(expr: &Expr) -> bool {
    expr.source().contains("state")
}
