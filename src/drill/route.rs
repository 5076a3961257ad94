//! Lawful ways: the calls of golden trials that passed, which drills go again before they leave the way.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::{
    plan::PlannedTrial,
    record::{CallStatus, TrialRecord},
    scenario::{Scenario, Suite},
};

/// The most ways that are kept.
const MOST_ROUTES: usize = 200;
/// The longest way.
const MOST_CALLS: usize = 12;
/// The largest arguments of a call on the way, in bytes of JSON.
const MOST_BYTES: usize = 2048;

/// Ways that were seen so far, the shortest first.
#[derive(Clone, Debug, Default)]
pub struct Routes(Vec<Route>);

/// The calls of one passing trial.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Route {
    /// Position of the scenario in the plan.
    pub(super) scenario: usize,
    pub(super) calls: Vec<Step>,
    /// Texts and numbers that the agent sent or was given, by the name of their field; the last of each name.
    pub(super) known: BTreeMap<String, Value>,
}

/// One call that took effect.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Step {
    pub(super) tool: String,
    pub(super) args: Value,
}

impl Routes {
    /// Keeps the way of a trial that passed, if it is one that can be gone again.
    pub fn add(&mut self, planned: &PlannedTrial, scenario: &Scenario, record: &TrialRecord) {
        let fits = scenario.suite == Suite::Golden
            && scenario.turns.len() == 1
            && scenario.faults.is_empty()
            && planned.trial == 0
            && (1..=MOST_CALLS).contains(&record.ledger.len())
            && record.ledger.iter().all(|call| call.args.to_string().len() <= MOST_BYTES && call.fault.is_none());
        if !fits {
            return;
        }
        let executed = || record.ledger.iter().filter(|call| call.status == CallStatus::Executed);
        let mut known = BTreeMap::new();
        for call in executed() {
            for fields in [&call.args, &call.result].into_iter().filter_map(Value::as_object) {
                learn(&mut known, fields);
            }
        }
        let calls = executed().map(|call| Step { tool: call.tool.clone(), args: call.args.clone() }).collect();
        let route = Route { scenario: planned.scenario, calls, known };
        let order = |route: &Route| (route.calls.len(), route.scenario);
        let place = self.0.partition_point(|other| order(other) <= order(&route));
        self.0.insert(place, route);
        self.0.truncate(MOST_ROUTES);
    }

    pub(super) fn all(&self) -> &[Route] {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn learn(known: &mut BTreeMap<String, Value>, fields: &Map<String, Value>) {
    for (name, value) in fields {
        let is_short = value.as_str().is_some_and(|text| text.len() <= 200) || value.is_number();
        if is_short {
            known.insert(name.clone(), value.clone());
        }
    }
}
