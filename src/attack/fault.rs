//! Attacks without words: a tool misbehaves while the agent does a golden task. What must not happen then is the
//! fault file's to say, beside what the task itself leaves open.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{
    aim::document_scope,
    draw::Draw,
    ground::Reading,
    pack::{BASE, Malady},
    survey::Host,
    write::{SOURCE, forbidding},
};
use crate::{
    expr::{ExprError, Names, Scope, TemplateError},
    scenario::{Attack, Category, Expectation, Expected, FAULT, Fault, Made, Parsed, PlannedTurn, Scenario, Suite},
    source::Route,
};

/// One fault in one task.
struct Case {
    name: &'static str,
    malady: &'static Malady,
    host: usize,
    it: Value,
}

/// Every fault in every task, by the name of its file; those that apply to nothing have none.
pub(super) struct Cases(BTreeMap<&'static str, Vec<Case>>);

impl Cases {
    /// Asks every fault file which tasks it befalls.
    pub(super) fn new(reading: &Reading<'_>, focus: &[String]) -> Self {
        let scope = document_scope(&reading.document);
        let mut cases: BTreeMap<&'static str, Vec<Case>> = BTreeMap::new();
        for (name, malady) in &BASE.faults {
            let found = cases.entry(name.as_str()).or_default();
            if !focus.is_empty() && !focus.contains(&malady.file.goal) {
                continue;
            }
            for (at, host) in reading.hosts.iter().enumerate() {
                let aims = aims(malady, &scope, &host.document).unwrap_or_default();
                found.extend(aims.into_iter().map(|it| Case { name, malady, host: at, it }));
            }
        }
        Self(cases)
    }

    /// How many there are of one file.
    pub(super) fn of(&self, name: &str) -> usize {
        self.0.get(name).map_or(0, Vec::len)
    }

    /// All scenarios, in an order in which every beginning is as mixed as can be: kinds in turn, and of each kind the tool
    /// and the task that were least used. Each is written when it is taken.
    pub(super) fn scenarios<'r>(mut self, reading: &'r Reading<'r>, seed: u64) -> impl Iterator<Item = Scenario> + 'r {
        let mut draw = Draw::new(seed.rotate_left(17));
        for cases in self.0.values_mut() {
            draw.shuffle(cases);
        }
        let mut kinds: Vec<Kind> = self.0.into_values().map(|cases| Kind { cases, tools: BTreeMap::new() }).collect();
        let (mut ids, mut parsed) = (BTreeSet::new(), Parsed::default());
        let mut hosts: BTreeMap<usize, usize> = BTreeMap::new();
        let mut turn = 0;
        let next = move || {
            kinds.iter().any(|kind| !kind.cases.is_empty()).then(|| {
                let at = turn % kinds.len();
                turn += 1;
                kinds.get_mut(at)?.take(&mut hosts)
            })
        };
        std::iter::from_fn(next).flatten().filter_map(move |case: Case| {
            let host = reading.hosts.get(case.host)?;
            case.scenario(host, reading, (&mut ids, &mut parsed))
        })
    }
}

/// The cases of one fault that are left, and how often each tool was taken.
struct Kind {
    cases: Vec<Case>,
    tools: BTreeMap<String, usize>,
}

impl Kind {
    /// Takes the case whose tool and task were least used.
    fn take(&mut self, hosts: &mut BTreeMap<usize, usize>) -> Option<Case> {
        let used = |case: &Case| {
            let tool = self.tools.get(case.tool()).copied().unwrap_or_default();
            (tool, hosts.get(&case.host).copied().unwrap_or_default())
        };
        let least = self.cases.iter().enumerate().min_by_key(|(_, case)| used(case)).map(|(at, _)| at)?;
        let case = self.cases.swap_remove(least);
        *self.tools.entry(case.tool().to_owned()).or_default() += 1;
        *hosts.entry(case.host).or_default() += 1;
        Some(case)
    }
}

fn aims(malady: &Malady, scope: &Scope<'_>, host: &Value) -> Result<Vec<Value>, ExprError> {
    let mut scope = scope.inner();
    scope.lend("host", host);
    match malady.each.eval(&scope)? {
        Value::Array(items) => {
            let mut items: Vec<Value> = items.into_iter().map(super::aim::sorted).collect();
            items.sort_by_cached_key(Value::to_string);
            items.dedup();
            Ok(items)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => Ok(Vec::new()),
    }
}

impl Case {
    fn tool(&self) -> &str {
        self.it.get("tool").and_then(Value::as_str).unwrap_or_default()
    }

    fn scenario(
        &self,
        host: &Host<'_>,
        reading: &Reading<'_>,
        (ids, parsed): (&mut BTreeSet<String>, &mut Parsed),
    ) -> Option<Scenario> {
        let (faults, expect) = self.filled(host).ok()?;
        let file = &self.malady.file;
        let attack = Attack {
            goal: file.goal.clone(),
            carrier: FAULT.to_owned(),
            tool: Some(self.tool().to_owned()),
            technique: self.name.to_owned(),
            encoding: None,
            marker: None,
        };
        let task = host.scenario;
        let mut scenario = Scenario {
            id: self.id(task, ids),
            suite: Suite::Adversarial,
            title: Some(file.title.clone()),
            source: Some(format!("{SOURCE}, {}", task.id)),
            tags: vec!["generated".to_owned(), "malformed-tools".to_owned()],
            trials: None,
            world: task.world.clone(),
            given: task.given.clone(),
            faults,
            model: Vec::new(),
            turns: Vec::new(),
            expect: forbidding(&task.expect),
            attack: Some(attack),
            twin_of: None,
            skip: None,
            incident: None,
            origin: None,
            location: reading.ground.location.clone(),
        };
        for turn in &task.turns {
            scenario.turns.push(PlannedTurn { say: turn.say.clone(), expect: forbidding(&turn.expect) });
        }
        let list = Route::root().join("scenarios").join(&scenario.id).join("expect");
        let changes = Expectation { changes: host.changes.clone(), ..Expectation::default() };
        for raw in expect.into_iter().chain(host.changes.is_some().then_some(changes)) {
            let at = Made { location: scenario.location.clone(), route: list.join(scenario.expect.len()) };
            let raw = Expectation { fails: raw.fails.or(Some(Category::C)), ..raw };
            scenario.expect.push(Expected::made(raw, at, parsed).ok()?);
        }
        Some(scenario)
    }

    /// The faults and expectations of the file, filled in for this task.
    fn filled(&self, host: &Host<'_>) -> Result<(Vec<Fault>, Vec<Expectation>), TemplateError> {
        let (it, names) = (Names::of([("it", Names::new(&self.it))]), &host.names);
        let faults = serde_json::from_value(self.malady.faults.fill(&it, names)?).unwrap_or_default();
        let mut expect = Vec::new();
        for shape in &self.malady.expect {
            let raw: Expectation = serde_json::from_value(shape.fill(&it, names)?).unwrap_or_default();
            // Where no write rests on the fact there is nothing to forbid.
            if raw.never.as_ref().is_none_or(|never| !never.is_empty()) {
                expect.push(raw);
            }
        }
        Ok((faults, expect))
    }

    fn id(&self, task: &Scenario, ids: &mut BTreeSet<String>) -> String {
        let text = format!("fault={}\nhost={}\nit={}\n", self.name, task.id, self.it);
        let digest: String = Sha256::digest(text.as_bytes())
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect::<Vec<_>>()
            .concat();
        let stem = format!("{}--{FAULT}--{}", self.malady.file.goal, self.name);
        let made = (4..=digest.len()).map(|length| format!("{stem}--{}", digest.get(..length).unwrap_or_default()));
        let id = made.into_iter().find(|id| !ids.contains(id)).unwrap_or(stem);
        ids.insert(id.clone());
        id
    }
}
