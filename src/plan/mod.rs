//! What will be tried: selection of scenarios and the numbered list of trials. Pure.

use crate::{
    scenario::{Scenario, Suite},
    source::Diagnostic,
    text::{closest, wildcard_matches},
};

/// One trial to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedTrial {
    /// Position in the plan, from 0.
    pub index: u32,
    /// Position of the scenario in [`Plan::scenarios`].
    pub scenario: usize,
    /// Which try of this scenario, from 0.
    pub trial: u32,
}

/// Scenarios in order and the trials made of them.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The selected scenarios: incidents, golden, adversarial; by id within a suite.
    pub scenarios: Vec<Scenario>,
    /// Every trial, in the order in which they start.
    pub trials: Vec<PlannedTrial>,
}

/// What the user wants tried.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Suites by name, and the incidents always; all when empty.
    pub suites: Vec<Suite>,
    /// Patterns over ids or `tag:NAME`; all when empty.
    pub filters: Vec<String>,
    /// Trials per scenario, above what files and manifest say.
    pub trials: Option<u32>,
}

impl Selection {
    /// Whether this is everything there is.
    pub fn is_partial(&self) -> bool {
        !self.suites.is_empty() || !self.filters.is_empty()
    }

    /// What once went wrong is tried whichever suites are named.
    fn takes(&self, suite: Suite) -> bool {
        suite == Suite::Incident || self.suites.is_empty() || self.suites.contains(&suite)
    }
}

/// Makes the plan, with `usual_trials` where neither the user nor the scenario says how many; a selection that leaves nothing to try is an error.
pub fn plan(scenarios: Vec<Scenario>, selection: &Selection, usual_trials: u32) -> Result<Plan, Diagnostic> {
    let all: Vec<String> = scenarios.iter().map(|s| s.id.clone()).collect();
    for filter in &selection.filters {
        if !scenarios.iter().any(|scenario| matches(filter, scenario)) {
            return Err(unmatched(filter, &all));
        }
    }
    let mut scenarios: Vec<Scenario> = scenarios
        .into_iter()
        .filter(|s| selection.takes(s.suite))
        .filter(|s| selection.filters.is_empty() || selection.filters.iter().any(|filter| matches(filter, s)))
        .collect();
    scenarios.sort_by(|a, b| (order(a.suite), &a.id).cmp(&(order(b.suite), &b.id)));
    let is_named = |s: &Scenario| selection.suites.is_empty() || selection.suites.contains(&s.suite);
    if !scenarios.iter().any(is_named) {
        return Err(Diagnostic::error("no scenario is selected, so there is nothing to try").hint(
            "name files under `evals.golden`, `evals.adversarial` or `evals.incidents`, or drop --suite and --filter",
        ));
    }
    let trials = scenarios
        .iter()
        .enumerate()
        .flat_map(|(position, scenario)| {
            let count = selection.trials.or(scenario.trials).unwrap_or(usual_trials).max(1);
            (0..count).map(move |trial| (position, trial))
        })
        .zip(0..)
        .map(|((scenario, trial), index)| PlannedTrial { index, scenario, trial })
        .collect();
    Ok(Plan { scenarios, trials })
}

impl Plan {
    /// The scenario of a trial.
    pub fn scenario(&self, trial: &PlannedTrial) -> &Scenario {
        self.scenarios.get(trial.scenario).expect("a planned trial names a scenario of its plan")
    }
}

fn order(suite: Suite) -> u8 {
    match suite {
        Suite::Incident => 0,
        Suite::Golden => 1,
        Suite::Adversarial => 2,
    }
}

fn matches(filter: &str, scenario: &Scenario) -> bool {
    match filter.strip_prefix("tag:") {
        Some(tag) => scenario.tags.iter().any(|own| wildcard_matches(tag, own)),
        None => wildcard_matches(filter, &scenario.id),
    }
}

fn unmatched(filter: &str, ids: &[String]) -> Diagnostic {
    let diagnostic = Diagnostic::error(format!("no scenario matches `{filter}`"));
    match closest(filter, ids.iter().map(String::as_str)) {
        Some(near) => diagnostic.hint(format!("did you mean `{near}`?")),
        None => diagnostic.hint("`agentready list scenarios` shows their ids; `*` and `tag:NAME` work too"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Selection, plan};
    use crate::{
        scenario::{self, Suite},
        source::Files,
    };

    fn planned(suites: &[Suite], files: &[&str]) -> Option<Vec<String>> {
        let texts = files.iter().map(|suite| {
            let attack =
                if *suite == "adversarial" { "attack: {goal: g, carrier: user-turn, technique: t}, " } else { "" };
            let text =
                format!("suite: {suite}\nscenarios: {{{suite}: {{say: a, {attack}expect: [{{refusal: true}}]}}}}\n");
            (format!("{suite}.yaml"), text.into())
        });
        let texts: BTreeMap<_, _> = texts.collect();
        let names: Vec<String> = texts.keys().cloned().collect();
        let scenarios = scenario::load(&Files::texts(texts), &names).expect("scenarios");
        let selection = Selection { suites: suites.to_vec(), ..Selection::default() };
        let plan = plan(scenarios, &selection, 1).ok()?;
        Some(plan.scenarios.into_iter().map(|scenario| scenario.id).collect())
    }

    #[test]
    fn incidents_run_whichever_suites_are_named() {
        let all = ["incident", "golden", "adversarial"];
        for (suites, files, wanted) in [
            (vec![], &all[..], Some(vec!["incident", "golden", "adversarial"])),
            (vec![Suite::Golden], &all[..], Some(vec!["incident", "golden"])),
            (vec![Suite::Adversarial], &all[..], Some(vec!["incident", "adversarial"])),
            (vec![Suite::Incident], &all[..], Some(vec!["incident"])),
            (vec![Suite::Golden], &all[..1], None),
        ] {
            let wanted = wanted.map(|ids| ids.into_iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(planned(&suites, files), wanted, "{suites:?}");
        }
    }
}
