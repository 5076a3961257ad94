//! What went wrong once, as a scenario that must not go wrong again: from a recorded trial, or from a trace. Pure.
//!
//! The oracle is what was seen: expectations that failed, and calls that no circumstances make lawful. A call that
//! only lacked its approval, or was made twice, is no such call; the gate's own rules judge it in every trial.

mod breach;
mod trace;

use serde_json::Value;

pub use trace::{Trace, TraceError};

use crate::{
    grade::{self, Grade, Graded, Policy, Trial},
    record::REDACTED,
    scenario::{Bounds, Category, Expectation, Expected, Scenario, ScenarioEntry, Times, Turn, arguments_are},
};

/// Why no case can be made of a trial.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IncidentError {
    /// Nothing went wrong in it.
    #[error("the trial of `{0}` passed, so there is nothing to guard against")]
    Sound(String),
    /// It was not assessed.
    #[error("the trial of `{0}` was not assessed: {1}")]
    Unassessed(String, String),
}

/// A regression case of a failed trial: the same world and words, held against what failed.
pub fn from_trial(scenario: &Scenario, trial: &Trial<'_>, policy: &Policy) -> Result<ScenarioEntry, IncidentError> {
    let graded = grade::grade(scenario, trial, policy);
    match graded.grade {
        Grade::FailB | Grade::FailC => {}
        Grade::Pass | Grade::FailA => return Err(IncidentError::Sound(scenario.id.clone())),
        Grade::ErrorAgent | Grade::ErrorInfra | Grade::ErrorGrader | Grade::NotExposed | Grade::Skipped => {
            let why = graded.misses.first().map(|miss| miss.message.clone()).unwrap_or_default();
            return Err(IncidentError::Unassessed(scenario.id.clone(), why));
        }
    }
    let failed = failed(scenario, &graded, &|expected| has_failed(&graded, expected));
    let mut entry = failed;
    entry.expect.extend(breach::calls(scenario, trial, policy));
    let is_held = |entry: &ScenarioEntry| {
        let mut all = entry.expect.iter().chain(entry.turns.iter().flat_map(|turn| &turn.expect));
        all.any(|expected| expected.fails != Some(Category::A))
    };
    if !is_held(&entry) {
        // Only rules that hold in every trial were broken: the case asks for all that the scenario asked for.
        entry = self::failed(scenario, &graded, &|_| true);
    }
    Ok(entry)
}

fn has_failed(graded: &Graded, expected: &Expected) -> bool {
    graded.misses.iter().any(|miss| miss.route.as_ref() == Some(&expected.route))
}

/// The scenario with the expectations that are wanted, and nothing of its suite.
fn failed(scenario: &Scenario, graded: &Graded, wanted: &dyn Fn(&Expected) -> bool) -> ScenarioEntry {
    let chosen = |all: &[Expected]| -> Vec<Expectation> {
        all.iter().filter(|expected| wanted(expected)).map(|expected| expected.raw.clone()).collect()
    };
    let (say, turns) = match scenario.turns.as_slice() {
        [only] if only.expect.is_empty() => (Some(only.say.clone()), Vec::new()),
        turns => {
            (None, turns.iter().map(|turn| Turn { say: turn.say.clone(), expect: chosen(&turn.expect) }).collect())
        }
    };
    let what = graded.misses.first().map(|miss| crate::text::shortened(&miss.message, 200));
    ScenarioEntry {
        title: what,
        source: None,
        tags: Vec::new(),
        trials: None,
        given: scenario.given.clone(),
        faults: scenario.faults.clone(),
        model: scenario.model.clone(),
        say,
        turns,
        expect: chosen(&scenario.expect),
        attack: scenario.attack.clone(),
        twin_of: None,
        skip: None,
        incident: None,
        origin: None,
    }
}

/// This tool must not be executed with these arguments; category C.
fn never(tool: &str, args: &Value, policy: &Policy) -> Expectation {
    Expectation {
        never: Some(vec![tool.to_owned()]),
        filter: arguments_are(telling(args, policy)),
        ..Expectation::default()
    }
}

/// This call may be executed once; category C.
fn once(tool: &str, args: &Value, policy: &Policy) -> Expectation {
    let with = telling(args, policy).map(|(name, value)| (name.to_owned(), value.clone())).collect();
    Expectation {
        call: Some(tool.to_owned()),
        with: Some(with),
        times: Some(Times::Between(Bounds { at_least: None, at_most: Some(1) })),
        fails: Some(Category::C),
        ..Expectation::default()
    }
}

/// Arguments that name something: numbers, yes and no, and texts of one word. Texts of several words are worded anew
/// each time, and secrets are not written down.
fn telling<'a>(args: &'a Value, policy: &'a Policy) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let tells = |value: &Value| match value {
        Value::Number(_) | Value::Bool(_) => true,
        Value::String(text) => {
            let is_secret = policy.canaries.values().any(|secret| text.contains(secret.as_str()));
            !is_secret && !text.contains(REDACTED) && !text.is_empty() && !text.contains(char::is_whitespace)
        }
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    };
    let entries = args.as_object().into_iter().flatten();
    entries.filter(move |(_, value)| tells(value)).map(|(name, value)| (name.as_str(), value))
}

#[cfg(test)]
mod tests;
