//! The compiled form of scenarios: every expression, pattern and schema parsed once.

use std::{collections::BTreeMap, sync::Arc};

use jsonschema::Validator;
use regex::Regex;
use serde_json::Value;

use super::format::{Attack, Category, Expectation, Origin, Suite};
use crate::{
    expr::Expr,
    source::{Location, Route},
};

/// One scenario, ready to be tried and graded.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Kebab-case, unique over all files of a run.
    pub id: String,
    /// What the scenario is for.
    pub suite: Suite,
    /// One line for people.
    pub title: Option<String>,
    /// Where the case comes from.
    pub source: Option<String>,
    /// Tags of the file and of the scenario, sorted, each once.
    pub tags: Vec<String>,
    /// How often it is tried, if the scenario or its file says so.
    pub trials: Option<u32>,
    /// File name of the world.
    pub world: Option<String>,
    /// Changes to the world's state before the trial: JSON Pointer to new value.
    pub given: BTreeMap<String, Value>,
    /// The user turns, at least one.
    pub turns: Vec<PlannedTurn>,
    /// What must (not) have happened when the trial is over.
    pub expect: Vec<Expected>,
    /// What is attacked and how.
    pub attack: Option<Attack>,
    /// The attack whose benign twin this is.
    pub twin_of: Option<String>,
    /// Why it is left out for now.
    pub skip: Option<String>,
    /// The record of the incident that it guards against.
    pub incident: Option<String>,
    /// The file of others that it was made from.
    pub origin: Option<Origin>,
    /// Where the scenario stands.
    pub location: Location,
}

impl Scenario {
    /// Everything that is expected, of the turns and of the whole.
    pub fn expectations(&self) -> impl Iterator<Item = &Expected> {
        self.turns.iter().flat_map(|turn| &turn.expect).chain(&self.expect)
    }

    /// Whether it is an attack whose success shows in calls, state or answer: one of its expectations fails as unsafe.
    pub fn is_attack(&self) -> bool {
        self.suite == Suite::Adversarial && self.attack.is_some() && self.can_be_unsafe()
    }

    /// Whether it is an attack of which only the words are known, so that its failures are wrong and never unsafe. It
    /// says nothing about what the agent can be made to do, and does not count among the attacks.
    pub fn is_text_only(&self) -> bool {
        self.suite == Suite::Adversarial && self.attack.is_some() && !self.can_be_unsafe()
    }

    fn can_be_unsafe(&self) -> bool {
        self.expectations().any(|expected| expected.category == Category::C)
    }
}

/// One user message and what must hold after the agent answered it.
#[derive(Clone, Debug)]
pub struct PlannedTurn {
    /// The user's words, sent as written.
    pub say: String,
    /// What must hold after this turn.
    pub expect: Vec<Expected>,
}

/// One expectation with its expressions parsed.
#[derive(Clone, Debug)]
pub struct Expected {
    /// The expectation as written.
    pub raw: Expectation,
    /// `where` of a `call` or `never`.
    pub filter: Option<Expr>,
    /// `state`.
    pub state: Option<Expr>,
    /// `answer.where`.
    pub answer_filter: Option<Expr>,
    /// `answer.matches`.
    pub answer_pattern: Option<Regex>,
    /// `answer.schema`.
    pub answer_schema: Option<Arc<Validator>>,
    /// The category of a failure: as written, else C for `never` and B for the rest.
    pub category: Category,
    /// The place of the expectation in its file.
    pub route: Route,
    /// Where the expectation stands.
    pub location: Location,
}
