//! AgentDojo: a suite as `tests/real/agentdojo_export.py` writes it, to a world, golden scenarios and attacks.
//!
//! What the tools of a suite do is a file beside this one; its data comes with the export. The calls that solve the
//! attacker's task are its oracle: executed with what the task names, they are unsafe.

mod export;
mod oracle;

use std::{collections::BTreeSet, sync::Arc};

use serde_json::Value;

use self::export::{AttackCase, Call, Export, Task};
use super::{
    Format, Haul, Input,
    case::{Case, Shelf, call, never, said, slug},
};
use crate::{
    scenario::{Attack, Expectation},
    source::{self, Diagnostic, Document, Loaded, Route, SourceFile},
    text::closest,
    world::WorldFile,
};

pub(super) const FORMAT: Format = Format {
    name: "agentdojo",
    about: "AgentDojo suite `banking`, exported by tests/real/agentdojo_export.py (JSON): a world, its user tasks, and attacks with an oracle",
    licence: Some("MIT"),
    read,
};

/// The tools of the suites that are known, sorted by name.
const SUITES: &[(&str, &str)] = &[("banking", include_str!("banking.yaml"))];

fn read(input: &Input<'_>, haul: &mut Haul) {
    if input.options.world.is_some() {
        return haul.wrong("the suite brings its own environment, so a world is made for it", "leave --world out");
    }
    let text: Arc<str> = input.file.text().into();
    let page = match source::load_text::<Export>(SourceFile::new(input.file.name(), text)) {
        Ok(page) => page,
        Err(problems) => return haul.mistakes.extend(problems.0),
    };
    match tools(&page) {
        Ok(tools) => Suite { page: &page, tools }.read(haul),
        Err(problem) => haul.mistakes.push(problem),
    }
}

fn tools(page: &Loaded<Export>) -> Result<WorldFile, Diagnostic> {
    let suite = &page.value.suite;
    let Some((name, text)) = SUITES.iter().find(|(name, _)| name == suite) else {
        let problem = wrong(
            &page.document,
            &Route::root().join("suite"),
            &format!("the tools of the suite `{suite}` are not known"),
        );
        let names: Vec<&str> = SUITES.iter().map(|(name, _)| *name).collect();
        return Err(match closest(suite, names.iter().copied()) {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None => problem.hint(format!("known: {}", names.join(", "))),
        });
    };
    let file = SourceFile::new(format!("{name}.yaml"), *text);
    Ok(source::load_text::<WorldFile>(file).expect("a built-in suite is well-formed (tested)").value)
}

fn wrong(document: &Document, route: &Route, message: &str) -> Diagnostic {
    let at = document.locate(route);
    Diagnostic::error(format!("{at}: `{route}`: {message}"))
}

struct Suite<'e> {
    page: &'e Loaded<Export>,
    tools: WorldFile,
}

impl Suite<'_> {
    fn read(mut self, haul: &mut Haul) {
        let export = &self.page.value;
        self.check(haul);
        for (index, task) in export.user_tasks.iter().enumerate() {
            haul.cases.push(self.golden(task, &row("user_tasks", index)));
        }
        for (index, case) in export.cases.iter().enumerate() {
            self.attack(case, &row("cases", index), haul);
        }
        self.tools.state = export.environment.clone().into_iter().collect();
        haul.world = Some(self.tools);
    }

    /// Holds the names that the parts of an export share against each other.
    fn check(&self, haul: &mut Haul) {
        let export = &self.page.value;
        let state = Value::Object(export.environment.clone());
        for (index, place) in export.places.iter().enumerate() {
            if !state.pointer(&place.pointer).is_some_and(Value::is_string) {
                let message = format!("the environment has no text at `{}`", place.pointer);
                haul.mistakes.push(wrong(
                    &self.page.document,
                    &Route::root().join("places").join(index).join("pointer"),
                    &message,
                ));
            }
        }
        let tasks = [("user_tasks", &export.user_tasks), ("injection_tasks", &export.injection_tasks)];
        for (key, tasks) in tasks {
            for (index, task) in tasks.iter().enumerate() {
                for (number, call) in
                    task.calls.iter().enumerate().filter(|(_, call)| !self.tools.tools.contains_key(&call.tool))
                {
                    let at = Route::root().join(key).join(index).join("calls").join(number).join("tool");
                    let message = format!("the suite has no tool `{}`", call.tool);
                    haul.mistakes.push(wrong(&self.page.document, &at, &message));
                }
            }
        }
    }

    fn writes(&self, call: &Call) -> bool {
        self.tools.tools.get(&call.tool).is_some_and(|tool| !tool.sets.is_empty() || !tool.removes.is_empty())
    }

    /// Lawful work: the calls that solve it, and no change where none of them changes anything.
    fn golden(&self, task: &Task, row: &str) -> Case {
        let environment = Value::Object(self.page.value.environment.clone()).to_string();
        let mut entry = said(vec![task.text.clone()]);
        let held = |text: &str| task.text.contains(text) || environment.contains(text);
        entry.expect = task.calls.iter().map(|made| call(made.tool.clone(), oracle::held(made, held))).collect();
        if !task.calls.iter().any(|call| self.writes(call)) {
            entry.expect.push(Expectation { state: Some("state == before".to_owned()), ..Expectation::default() });
        }
        Case { shelf: Shelf::Golden, row: row.to_owned(), id: Some(task.id.clone()), entry }
    }

    /// One task of the user while an attack stands in what they read.
    fn attack(&self, case: &AttackCase, row: &str, haul: &mut Haul) {
        let export = &self.page.value;
        let find = |tasks: &[Task], id: &str| tasks.iter().find(|task| task.id == id).cloned();
        let (user, attacker) =
            (find(&export.user_tasks, &case.user_task), find(&export.injection_tasks, &case.injection_task));
        let (Some(user), Some(attacker)) = (user, attacker) else {
            let message = format!("there is no pair `{}` and `{}`", case.user_task, case.injection_task);
            haul.mistakes.push(wrong(&self.page.document, &Route::pointer(row), &message));
            return;
        };
        let Some(seen) = user.reached.iter().find(|seen| case.texts.contains_key(&seen.vector)) else {
            return haul.leave_out("who solves the user's task does not come to see the attack");
        };
        let breaches: Vec<&Call> = attacker.calls.iter().filter(|call| self.writes(call)).collect();
        let conditions: Vec<(String, Option<String>)> =
            breaches.iter().map(|call| (call.tool.clone(), oracle::condition(call, &attacker.text))).collect();
        if conditions.is_empty() {
            return haul.leave_out("no call of the attacker's task changes anything, so nothing would convict it");
        }
        if user.calls.iter().any(|own| breaches.iter().any(|breach| oracle::agrees(own, breach, &attacker.text))) {
            return haul.leave_out("the user's own task asks for the call that the attacker wants");
        }
        let mut entry = said(vec![user.text.clone()]);
        for place in export.places.iter().filter(|place| case.texts.contains_key(&place.vector)) {
            let text = case.texts.get(&place.vector).map_or("", String::as_str);
            entry.given.insert(place.pointer.clone(), format!("{}{text}{}", place.before, place.after).into());
        }
        entry.attack = Some(Attack {
            goal: slug(&attacker.id),
            carrier: seen.tool.clone(),
            tool: None,
            technique: slug(&export.attack),
            encoding: None,
            marker: case.texts.get(&seen.vector).cloned(),
        });
        let distinct: BTreeSet<(String, Option<String>)> = conditions.into_iter().collect();
        entry.expect = distinct.into_iter().map(|(tool, filter)| never(vec![tool], filter)).collect();
        let id = Some(format!("{} {}", user.id, attacker.id));
        haul.cases.push(Case { shelf: Shelf::Attacks, row: row.to_owned(), id, entry });
    }
}

fn row(list: &str, index: usize) -> String {
    format!("/{list}/{index}")
}

#[cfg(test)]
mod tests;
