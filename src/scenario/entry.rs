//! The rules of one scenario entry, and its compiled form.

use std::collections::BTreeSet;

use super::{
    Attack, Category, PlannedTurn, Scenario, ScenarioEntry, ScenarioFile, Suite, expectation, fault,
    inspection::Inspection, load::WorldOutline, script,
};
use crate::source::Route;

/// What stands around an entry: its file, and the names its world knows.
pub(super) struct Surroundings<'a> {
    pub(super) file: &'a ScenarioFile,
    pub(super) world: Option<&'a str>,
    /// `None` without a world, and when the world could not be read.
    pub(super) outline: Option<&'a WorldOutline>,
}

impl Surroundings<'_> {
    /// The tools of the world, when they are known.
    pub(super) fn tools(&self) -> Option<Vec<&str>> {
        self.outline.map(|outline| outline.tools.keys().map(String::as_str).collect())
    }
}

/// The rules of the file's own keys.
pub(super) fn check_file(inspection: &mut Inspection<'_>, file: &ScenarioFile) {
    if file.scenarios.is_empty() {
        let hint = "add a scenario, or remove the file";
        inspection.mistaken_key(&Route::root().join("scenarios"), "the file has no scenarios", hint);
    }
    check_trials(inspection, &Route::root(), file.trials);
}

/// Checks and compiles one entry; mistakes go to the inspection.
pub(super) fn compile(
    inspection: &mut Inspection<'_>,
    around: &Surroundings<'_>,
    id: &str,
    entry: &ScenarioEntry,
) -> Scenario {
    let route = Route::root().join("scenarios").join(id);
    if !is_kebab(id) {
        let hint = format!("write it in kebab-case: `{}`", kebab(id));
        inspection.mistaken_key(&route, format!("`{id}` is no id"), hint);
    }
    check_trials(inspection, &route, entry.trials);
    check_given(inspection, around, &route, entry);
    fault::check(inspection, around, &route, entry);
    script::check(inspection, around, &route, entry);
    check_role(inspection, around, &route, entry);
    check_asserts(inspection, &route, entry);
    let turns = turns(inspection, around, &route, entry);
    let expect = expectation::compile_all(inspection, around, &route, &entry.expect);
    let tags: BTreeSet<&String> = around.file.tags.iter().chain(&entry.tags).collect();
    Scenario {
        id: id.to_owned(),
        suite: around.file.suite,
        title: entry.title.clone(),
        source: entry.source.clone(),
        tags: tags.into_iter().cloned().collect(),
        trials: entry.trials.or(around.file.trials),
        world: around.world.map(str::to_owned),
        given: entry.given.clone(),
        faults: entry.faults.clone(),
        model: entry.model.clone(),
        turns,
        expect,
        attack: entry.attack.clone(),
        twin_of: entry.twin_of.clone(),
        skip: entry.skip.clone(),
        incident: entry.incident.clone(),
        origin: entry.origin.clone(),
        location: inspection.document().locate(&route),
    }
}

fn turns(
    inspection: &mut Inspection<'_>,
    around: &Surroundings<'_>,
    route: &Route,
    entry: &ScenarioEntry,
) -> Vec<PlannedTurn> {
    match (&entry.say, entry.turns.as_slice()) {
        (Some(_), [_, ..]) => {
            let hint = "move what is said into the first of `turns`";
            inspection.mistaken_key(&route.join("turns"), "both `say` and `turns` are given", hint);
        }
        (None, []) => {
            let hint = "add `say` with the user's words, or `turns` for several messages";
            inspection.mistaken_key(route, "the user says nothing", hint);
        }
        (Some(_), []) | (None, [_, ..]) => {}
    }
    let single = entry.say.iter().map(|say| PlannedTurn { say: say.clone(), expect: Vec::new() });
    let mut planned: Vec<PlannedTurn> = single.collect();
    for (index, turn) in entry.turns.iter().enumerate() {
        let at = route.join("turns").join(index);
        let expect = expectation::compile_all(inspection, around, &at, &turn.expect);
        planned.push(PlannedTurn { say: turn.say.clone(), expect });
    }
    planned
}

fn check_trials(inspection: &mut Inspection<'_>, route: &Route, trials: Option<u32>) {
    if trials == Some(0) {
        let hint = "give 1 or more; `skip: why` leaves a scenario out";
        inspection.mistake(&route.join("trials"), "zero trials try nothing", hint);
    }
}

fn check_asserts(inspection: &mut Inspection<'_>, route: &Route, entry: &ScenarioEntry) {
    if entry.expect.is_empty() && entry.turns.iter().all(|turn| turn.expect.is_empty()) {
        let hint = "add `expect`: a call, a state, an answer, or what must never happen";
        inspection.mistaken_key(route, "the scenario expects nothing, so it can't fail", hint);
        return;
    }
    let mut all = entry.expect.iter().chain(entry.turns.iter().flat_map(|turn| &turn.expect));
    if all.all(|expectation| expectation.fails == Some(Category::A)) {
        let hint = "a failure of category A counts as passed; let one expectation be B or C";
        inspection.mistaken_key(route, "every expectation is cosmetic, so the scenario can't fail", hint);
    }
}

fn check_given(inspection: &mut Inspection<'_>, around: &Surroundings<'_>, route: &Route, entry: &ScenarioEntry) {
    let given = route.join("given");
    if around.world.is_none() && !entry.given.is_empty() {
        inspection.mistaken_key(&given, "`given` changes a world, and the file names none", "add `world` to the file");
        return;
    }
    for pointer in entry.given.keys() {
        let at = given.join(pointer);
        if !pointer.starts_with('/') {
            let hint = format!("write `/{}`", pointer.trim_start_matches('$').replace('.', "/"));
            inspection.mistaken_key(&at, format!("`{pointer}` is no JSON Pointer"), hint);
            continue;
        }
        let (Some(outline), Some(top)) = (around.outline, Route::pointer(pointer.as_str()).keys().next()) else {
            continue;
        };
        if !outline.state.contains_key(&top) {
            let known: Vec<&str> = outline.state.keys().map(String::as_str).collect();
            inspection.unknown(&at, format!("the world's state has no `{top}`"), &top, &known);
        }
    }
}

/// Whether the entry is an attack, a twin or neither, as its suite asks.
fn check_role(inspection: &mut Inspection<'_>, around: &Surroundings<'_>, route: &Route, entry: &ScenarioEntry) {
    match (around.file.suite, &entry.attack, &entry.twin_of) {
        (Suite::Adversarial, Some(_), Some(_)) => {
            let hint = "a twin is the lawful request that uses the attack's words; make it a scenario of its own";
            inspection.mistaken_key(&route.join("twin_of"), "an attack can't be a benign twin too", hint);
        }
        (Suite::Adversarial, None, None) => {
            let hint = "add `attack`, or `twin_of` with the attack whose benign twin it is";
            inspection.mistaken_key(route, "an adversarial scenario is an attack or a benign twin", hint);
        }
        (Suite::Adversarial, Some(_), None) | (Suite::Adversarial, None, Some(_)) => {}
        (suite @ (Suite::Golden | Suite::Incident), attack, twin) => {
            let hint = "move the scenario to a file with `suite: adversarial`";
            // An attack that once succeeded is an incident, and still has to show that it arrives.
            if attack.is_some() && suite == Suite::Golden {
                inspection.mistaken_key(&route.join("attack"), "only adversarial scenarios attack", hint);
            }
            if twin.is_some() {
                let message = "only the adversarial suite counts benign twins";
                inspection.mistaken_key(&route.join("twin_of"), message, hint);
            }
        }
    }
    if entry.incident.is_some() && around.file.suite != Suite::Incident {
        let hint = "move the scenario to a file with `suite: incident`";
        inspection.mistaken_key(&route.join("incident"), "only incident scenarios guard against an incident", hint);
    }
    if let Some(attack) = entry.attack.as_ref().filter(|attack| attack.is_fault()) {
        if entry.faults.is_empty() {
            let hint = "add `faults` with what goes wrong, or name another carrier";
            let at = route.join("attack").join("carrier");
            inspection.mistake(&at, format!("nothing misbehaves, so `{}` attacks with nothing", attack.carrier), hint);
        }
    } else if let Some(attack) = &entry.attack {
        check_attack(inspection, around, &route.join("attack"), attack);
    }
}

fn check_attack(inspection: &mut Inspection<'_>, around: &Surroundings<'_>, route: &Route, attack: &Attack) {
    const BY_USER: &str = "user-turn";
    if attack.is_spoken() {
        if attack.tool.is_some() {
            let hint = "remove `tool`, or name another carrier";
            inspection.mistaken_key(&route.join("tool"), "what the user says comes from no tool", hint);
        }
        return;
    }
    if attack.marker.as_deref().is_none_or(|marker| marker.trim().is_empty()) {
        let message = format!("an attack carried by `{}` needs a marker", attack.carrier);
        let hint = "add `marker`: a piece of the payload that shows that the agent received it";
        inspection.mistaken_key(route, message, hint);
    }
    let Some(mut carriers) = around.tools() else { return };
    if let Some(tool) = &attack.tool {
        if !carriers.contains(&tool.as_str()) {
            inspection.unknown(&route.join("tool"), format!("the world has no tool `{tool}`"), tool, &carriers);
        }
        return;
    }
    if !carriers.contains(&attack.carrier.as_str()) {
        carriers.push(BY_USER);
        let message = format!("`{}` is neither `{BY_USER}` nor a tool of the world", attack.carrier);
        inspection.unknown(&route.join("carrier"), message, &attack.carrier, &carriers);
    }
}

fn is_kebab(id: &str) -> bool {
    let plain =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    // `--` parts the names that the id of a made scenario is put together from.
    id.split("--").all(|name| name.split('-').all(plain))
}

fn kebab(id: &str) -> String {
    let spaced: String =
        id.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { ' ' }).collect();
    let words: Vec<&str> = spaced.split_whitespace().collect();
    if words.is_empty() { "small-refund".to_owned() } else { words.join("-") }
}
