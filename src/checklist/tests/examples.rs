//! Every shipped check against its own examples, area by area.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::Value;

use super::{
    super::{Assessment, Autonomy, Catalogue, Check, CheckResult, Example, Rung, assess, sound},
    CATALOGUE, result,
};
use crate::source::{Diagnostics, SourceFile, load_text};

/// An example of a check as the manifest's own profiles see it. Waivers count only where the example states them.
fn tried(catalogue: &Catalogue, example: &Example) -> Result<Assessment, Diagnostics> {
    let case = sound::with(example)?;
    let waivers = if example.manifest.pointer("/gate/waivers").is_some() { case.waivers() } else { Vec::new() };
    Ok(assess(catalogue, &mut case.evidence.clone(), &case.view(waivers)))
}

/// What the examples of one check say, and what is wrong with them.
#[derive(Default)]
struct Trial {
    said: Vec<String>,
    stood: BTreeMap<String, BTreeSet<Rung>>,
    wrong: Vec<String>,
}

impl Trial {
    fn of(check: &Check) -> Self {
        let alone = CATALOGUE.alone(&check.id);
        let mut trial = Self::default();
        let mut seen = BTreeSet::new();
        if let Ok(assessment) = tried(&alone, &Example::default()) {
            trial.note(result(&assessment, &check.id));
        }
        let examples = CATALOGUE.file(&check.id).expect("a check of the catalogue").examples;
        for (index, example) in examples.trips.iter().enumerate() {
            match tried(&alone, example) {
                Ok(assessment) => {
                    seen.insert(trial.trips(check, (index, example), &assessment));
                }
                Err(problems) => trial.wrong.push(format!("{} trips {index}: {problems}", check.id)),
            }
        }
        for (index, example) in examples.passes.iter().enumerate() {
            match tried(&alone, example) {
                Ok(assessment) if result(&assessment, &check.id).met => trial.note(result(&assessment, &check.id)),
                Ok(assessment) => {
                    let seen = result(&assessment, &check.id);
                    let said = assessment.findings.iter().filter(|f| f.check.split('#').next() == Some(&check.id));
                    let said: Vec<&str> = said.map(|finding| finding.message.as_str()).collect();
                    let (rung, needed) = (seen.rung, seen.needed);
                    trial.wrong.push(format!("{} passes {index}: {rung} of {needed}: {}", check.id, said.join("; ")));
                }
                Err(problems) => trial.wrong.push(format!("{} passes {index}: {problems}", check.id)),
            }
        }
        let missing = check.can_fall_short_at(Autonomy::Autopilot).into_iter().filter(|rung| !seen.contains(rung));
        trial.wrong.extend(missing.map(|rung| format!("{} has no example that trips it at {rung}", check.id)));
        for (name, rungs) in check.stops() {
            let stood = trial.stood.get(&name).cloned().unwrap_or_default();
            let missing = rungs.into_iter().filter(|rung| !stood.contains(rung));
            trial.wrong.extend(missing.map(|rung| format!("{name} has no example that stops at {rung}")));
        }
        trial
    }

    /// Notes where the check, or each of its parts, stands.
    fn note(&mut self, seen: &CheckResult) {
        if !seen.applies {
            return;
        }
        if seen.parts.is_empty() {
            self.stood.entry(seen.id.clone()).or_default().insert(seen.rung);
        }
        for part in &seen.parts {
            self.stood.entry(part.id.clone()).or_default().insert(part.rung);
        }
    }

    fn trips(&mut self, check: &Check, (index, example): (usize, &Example), assessment: &Assessment) -> Rung {
        let seen = result(assessment, &check.id);
        self.note(seen);
        if seen.met || seen.inconclusive != example.inconclusive {
            let (rung, needed, doubt) = (seen.rung, seen.needed, seen.inconclusive);
            let text = format!("{rung} of {needed}, inconclusive: {doubt}, {}", seen.evidence);
            self.wrong.push(format!("{} trips {index}: {text}", check.id));
        }
        let doubt = if seen.inconclusive { ", inconclusive" } else { "" };
        let own = assessment.findings.iter().filter(|f| f.check.split('#').next() == Some(&check.id));
        let own: Vec<String> = own
            .map(|finding| {
                let rungs = format!("{} of {}{doubt}", seen.rung, seen.needed);
                format!("{} ({rungs})\n  {}\n  at {}", finding.check, finding.message, finding.location.file)
            })
            .collect();
        if own.is_empty() {
            self.wrong.push(format!("{} trips {index} without a finding", check.id));
        }
        // What is said when a template names what is not there.
        if own.iter().any(|text| text.contains(&format!("{}: ", check.file.title))) {
            self.wrong.push(format!("{} trips {index} with a template that can't be filled in: {own:?}", check.id));
        }
        self.said.extend(own);
        seen.rung
    }
}

fn trip_and_pass(area: &str) {
    let of_area = |check: &Arc<Check>| check.id.split('/').next() == Some(area);
    let checks: Vec<Arc<Check>> = CATALOGUE.all().filter(of_area).collect();
    let trials: Vec<Trial> = checks.iter().map(|check| Trial::of(check)).collect();
    let wrong: Vec<String> = trials.iter().flat_map(|trial| trial.wrong.clone()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let said: Vec<String> = trials.into_iter().flat_map(|trial| trial.said).collect();
    insta::assert_snapshot!(format!("findings-{area}"), said.join("\n"));
}

/// One test for each area, so that they run side by side.
macro_rules! areas {
    ($($area:ident),*) => {
        $(#[test]
        fn $area() {
            trip_and_pass(stringify!($area));
        })*

        #[test]
        fn no_area_is_left_out() {
            let asked: BTreeSet<&str> = [$(stringify!($area)),*].into();
            let shipped: BTreeSet<&str> = CATALOGUE.ids().filter_map(|id| id.split('/').next()).collect();
            assert_eq!(asked, shipped);
        }
    };
}

areas!(
    approvals,
    audit,
    authorization,
    budgets,
    change,
    cost,
    data,
    evals,
    identity,
    incident,
    observability,
    policy,
    scope
);

/// Null for each entry of a map.
fn entries_gone(map: &Value) -> Value {
    map.as_object().into_iter().flatten().map(|(key, _)| (key.clone(), Value::Null)).collect()
}

/// What takes a piece of manifest away: null for each entry below a section, or for each of a map of entries.
fn without(piece: &Value) -> Value {
    let Some(sections) = piece.as_object() else { return Value::Null };
    let holds_maps = |value: &Value| value.as_object().is_some_and(|map| map.values().any(Value::is_object));
    let gone = |entry: &Value| if holds_maps(entry) { entries_gone(entry) } else { Value::Null };
    let section = |entries: &Value| match entries.as_object() {
        Some(entries) => entries.iter().map(|(key, entry)| (key.clone(), gone(entry))).collect(),
        None => Value::Null,
    };
    sections.iter().map(|(name, entries)| (name.clone(), section(entries))).collect()
}

#[test]
fn lines_to_paste_lift_the_check_that_offers_them() {
    let mut wrong = Vec::new();
    for check in CATALOGUE.all() {
        let Some(lines) = check.file.paste.as_deref() else { continue };
        let piece = load_text::<Value>(SourceFile::new("paste.yaml", lines)).expect("is YAML").value;
        let stands = |manifest: Value| {
            let case = sound::with(&Example { manifest, ..Example::default() }).expect("loads");
            let assessment = assess(&CATALOGUE, &mut case.evidence.clone(), &case.view(Vec::new()));
            result(&assessment, &check.id).clone()
        };
        let (before, after) = (stands(without(&piece)), stands(piece));
        let is_lifted = after.met || after.rung > before.rung;
        if !before.applies || before.met || !is_lifted {
            let (old, new) = ((before.applies, before.met, before.rung), (after.met, after.rung));
            wrong.push(format!("{}: {old:?} becomes {new:?}: {} / {}", check.id, before.evidence, after.evidence));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
