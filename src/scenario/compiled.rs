//! The compiled form of scenarios: every expression, pattern and schema parsed once.

use std::{collections::BTreeMap, sync::Arc};

use jsonschema::Validator;
use regex::Regex;
use serde_json::Value;

use super::format::{Attack, Category, Expectation, Origin, ScenarioEntry, Suite, Turn};
use super::{Fault, Move};
use crate::{
    expr::{Expr, ExprError},
    source::{Location, Route},
};

/// Attacks that the agent reads in what others wrote.
const INJECTION: &str = "injection";
/// Classes of attacks that checks ask for, each a tag.
pub const CLASSES: [&str; 5] = ["ambiguity", "exfiltration", INJECTION, "malformed-tools", "social-engineering"];

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
    /// How tools misbehave.
    pub faults: Vec<Fault>,
    /// What a scripted model emits in place of the agent's own; nothing for an agent with its own model.
    pub model: Vec<Move>,
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

    /// Whether the world decides something here, so that no other system can take its place: it is no golden task, or it sets
    /// the world up, lets tools misbehave, or looks at the state or at canaries.
    pub fn needs_world(&self) -> bool {
        let looks = |expected: &Expected| {
            let filters = expected.raw.filter.as_ref().is_some_and(|filter| filter.contains("state"));
            expected.raw.state.is_some() || expected.raw.keeps.is_some() || filters
        };
        self.suite != Suite::Golden
            || self.attack.is_some()
            || !(self.given.is_empty() && self.faults.is_empty() && self.model.is_empty())
            || self.expectations().any(looks)
    }

    /// The scenario as someone would write it below `scenarios` of a file of its suite and world.
    pub fn entry(&self) -> ScenarioEntry {
        let raw = |expect: &[Expected]| expect.iter().map(|expected| expected.raw.clone()).collect::<Vec<_>>();
        let (say, turns) = match self.turns.as_slice() {
            [only] if only.expect.is_empty() => (Some(only.say.clone()), Vec::new()),
            turns => {
                let turn = |turn: &PlannedTurn| Turn { say: turn.say.clone(), expect: raw(&turn.expect) };
                (None, turns.iter().map(turn).collect())
            }
        };
        ScenarioEntry {
            title: self.title.clone(),
            source: self.source.clone(),
            model: self.model.clone(),
            tags: self.tags.clone(),
            trials: self.trials,
            given: self.given.clone(),
            faults: self.faults.clone(),
            say,
            turns,
            expect: raw(&self.expect),
            attack: self.attack.clone(),
            twin_of: self.twin_of.clone(),
            skip: self.skip.clone(),
            incident: self.incident.clone(),
            origin: self.origin.clone(),
        }
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

    /// Whether it is an attack of a class: by its tag; `injection` is also every attack whose words the agent reads.
    pub fn is_of_class(&self, class: &str) -> bool {
        let is_read = self.attack.as_ref().is_some_and(|attack| !attack.is_spoken() && !attack.is_fault());
        self.tags.iter().any(|tag| tag == class) || (class == INJECTION && is_read)
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

impl Expectation {
    /// The category of a failure: as written, else C for what must not be done and B for the rest.
    pub(super) fn category(&self) -> Category {
        let forbids = self.never.is_some() || self.changes.is_some() || self.keeps.is_some();
        self.fails.unwrap_or(if forbids { Category::C } else { Category::B })
    }
}

/// Expressions that were parsed before, by their text.
#[derive(Debug, Default)]
pub(crate) struct Parsed(BTreeMap<String, Expr>);

impl Parsed {
    /// Parses an expression, once for all that ask for it.
    pub(crate) fn get(&mut self, source: &str) -> Result<Expr, ExprError> {
        if let Some(expr) = self.0.get(source) {
            return Ok(expr.clone());
        }
        let expr = Expr::parse(source)?;
        self.0.insert(source.to_owned(), expr.clone());
        Ok(expr)
    }
}

/// Where an expectation stands that nobody wrote.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    /// The place that made it.
    pub(crate) location: Location,
    /// Its place in its scenario.
    pub(crate) route: Route,
}

impl Expected {
    /// Compiles an expectation that was made by rule. Answers may not be held against patterns or schemas.
    pub(crate) fn made(raw: Expectation, at: Made, parsed: &mut Parsed) -> Result<Self, ExprError> {
        let mut get = |source: &Option<String>| source.as_deref().map(|source| parsed.get(source)).transpose();
        let (filter, state) = (get(&raw.filter)?, get(&raw.state)?);
        let answer_filter = get(&raw.answer.as_ref().and_then(|answer| answer.filter.clone()))?;
        Ok(Self {
            filter,
            state,
            answer_filter,
            answer_pattern: None,
            answer_schema: None,
            category: raw.category(),
            raw,
            route: at.route,
            location: at.location,
        })
    }
}
