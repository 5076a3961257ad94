//! What goals aim at in one manifest: each goal's `each`, asked over the ground and, where it speaks of the task, over
//! every host.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    ground::Reading,
    pack::{BASE, Goal},
    shape::Shape,
};
use crate::{
    expr::{ExprError, Names, Scope, TemplateError},
    scenario::Expectation,
};

/// One thing that one goal aims at.
#[derive(Clone, Debug)]
pub(super) struct Aim {
    pub(super) host: Option<usize>,
    pub(super) it: Value,
}

/// A goal with all that it aims at here.
#[derive(Debug)]
pub(super) struct Aimed {
    pub(super) name: &'static str,
    pub(super) goal: &'static Goal,
    /// Aims that any task may host.
    pub(super) free: Vec<Aim>,
    /// Aims that belong to one task, by its host.
    pub(super) bound: BTreeMap<usize, Vec<Aim>>,
}

impl Aimed {
    /// The aims that an attack in this host, or in none, may have.
    pub(super) fn at(&self, host: Option<usize>) -> &[Aim] {
        match host.and_then(|host| self.bound.get(&host)) {
            Some(bound) => bound,
            None => &self.free,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.free.len() + self.bound.values().map(Vec::len).sum::<usize>()
    }
}

/// Every goal of the pack with its aims; those that apply to nothing have none.
pub(super) fn aims(reading: &Reading<'_>) -> Vec<Aimed> {
    let scope = document_scope(&reading.document);
    let hosts: Vec<Scope<'_>> = reading.hosts.iter().map(|host| hosted(&scope, &host.document)).collect();
    BASE.goals
        .iter()
        .map(|(name, goal)| {
            let mut aimed = Aimed { name, goal, free: Vec::new(), bound: BTreeMap::new() };
            if goal.needs_host() {
                for (host, scope) in hosts.iter().enumerate() {
                    let found = each(goal, scope, Some(host)).unwrap_or_default();
                    if !found.is_empty() {
                        aimed.bound.insert(host, found);
                    }
                }
            } else {
                aimed.free = each(goal, &scope, None).unwrap_or_default();
            }
            aimed
        })
        .collect()
}

fn hosted<'s>(outer: &'s Scope<'_>, host: &'s Value) -> Scope<'s> {
    let mut scope = outer.inner();
    scope.lend("host", host);
    scope
}

pub(super) fn document_scope(document: &Value) -> Scope<'_> {
    let mut scope = Scope::new();
    for (name, value) in document.as_object().into_iter().flatten() {
        scope.lend(name, value);
    }
    scope
}

/// A key that the manifest leaves out means that there is nothing to aim at.
fn each(goal: &Goal, scope: &Scope<'_>, host: Option<usize>) -> Result<Vec<Aim>, ExprError> {
    if !goal.applies.test(scope)? {
        return Ok(Vec::new());
    }
    let Value::Array(items) = goal.each.eval(scope)? else { return Ok(Vec::new()) };
    // Expressions go through maps in no order that could be relied on.
    let mut items: Vec<Value> = items.into_iter().map(sorted).collect();
    items.sort_by_cached_key(Value::to_string);
    Ok(items.into_iter().map(|it| Aim { host, it }).collect())
}

pub(super) fn sorted(value: Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        Value::Object(entries) => {
            let entries: BTreeMap<String, Value> =
                entries.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            Value::Object(entries.into_iter().collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

/// An aim put into words, with what must hold.
#[derive(Clone, Debug)]
pub(super) struct Demand {
    pub(super) words: String,
    pub(super) expect: Vec<Expectation>,
    pub(super) alone: Vec<Expectation>,
}

/// Words an aim; the result is opaque from then on.
pub(super) fn demand(aimed: &Aimed, aim: &Aim, wording: usize, reading: &Reading<'_>) -> Result<Demand, TemplateError> {
    let host = aim.host.and_then(|host| reading.hosts.get(host));
    let names = host.map_or_else(|| Names::of([("host", Names::new(&Value::Null))]), |host| host.names.clone());
    let it = Names::of([("it", Names::new(&aim.it))]);
    let variants = &aimed.goal.demand;
    let template = variants.get(wording % variants.len().max(1)).expect("a test sees to a demand in every goal");
    let expect = |shapes: &[Shape]| -> Result<Vec<Expectation>, TemplateError> {
        let filled = shapes.iter().map(|shape| shape.fill(&it, &names));
        filled.map(|value| Ok(serde_json::from_value(value?).unwrap_or_default())).collect()
    };
    Ok(Demand {
        words: template.render_over(&it, &names)?,
        expect: expect(&aimed.goal.expect)?,
        alone: expect(&aimed.goal.alone)?,
    })
}
