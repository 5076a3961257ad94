//! Outcomes by drill, and what checks see of them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{
    file::{DRILLS, DrillFile},
    judge::{Outcome, judge},
};
use crate::{
    grade::Policy,
    record::{Probe, TrialRecord},
};

/// The most sentences of one kind that are kept of a drill.
const MOST_TOLD: usize = 20;

/// Every drill of a run and how it came out. The order in which they are added does not matter.
#[derive(Clone, Debug, Default)]
pub struct Book {
    entries: BTreeMap<String, (Probe, Outcome)>,
}

/// One drill over all of its cases.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// The drill's name.
    pub name: String,
    /// What holds when it is held.
    pub title: String,
    /// Cases that were to be tried.
    pub cases: u32,
    /// Cases that held.
    pub held: u32,
    /// What came through, one sentence for each case.
    pub broken: Vec<String>,
    /// What shows nothing, and why.
    pub unsure: Vec<String>,
    /// Why there is nothing to try.
    pub idle: Option<String>,
    /// Cases and those that held by tool.
    pub tools: BTreeMap<String, (u32, u32)>,
}

impl Book {
    /// Adds the trial of a drill; the first of a name counts. Nothing when it is none.
    pub fn add(&mut self, record: &TrialRecord, policy: &Policy) -> Option<&Outcome> {
        let probe = record.drill.as_ref()?;
        let entry = self.entries.entry(record.scenario.clone());
        Some(&entry.or_insert_with(|| (Probe { args: Value::Null, ..probe.clone() }, judge(record, policy))).1)
    }

    /// Names of the trials that were added.
    pub fn done(&self) -> BTreeSet<&str> {
        self.entries.keys().map(String::as_str).collect()
    }

    /// Whether nothing was drilled.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Every drill with its outcomes, by name; those that were not tried as well.
    pub fn sections(&self) -> Vec<Section> {
        let blank = |(name, file): (&String, &DrillFile)| Section {
            name: name.clone(),
            title: file.title.clone(),
            ..Section::default()
        };
        let mut sections: BTreeMap<&str, Section> =
            DRILLS.iter().map(|entry| (entry.0.as_str(), blank(entry))).collect();
        for (probe, outcome) in self.entries.values() {
            let Some(section) = sections.get_mut(probe.drill.as_str()) else { continue };
            if let (true, Some(why)) = (probe.case.is_empty(), &probe.hindered) {
                section.idle = Some(why.clone());
                continue;
            }
            section.cases += 1;
            let tool = section.tools.entry(probe.tool.clone()).or_default();
            tool.0 += 1;
            let about = |why: &str| format!("{}: {why}", probe.case);
            match self.settled(probe, outcome) {
                Outcome::Held => {
                    section.held += 1;
                    tool.1 += 1;
                }
                Outcome::Broken(why) => section.broken.push(about(&why)),
                Outcome::Unsure(why) => section.unsure.push(about(&why)),
            }
        }
        for section in sections.values_mut() {
            section.broken.truncate(MOST_TOLD);
            section.unsure.truncate(MOST_TOLD);
        }
        sections.into_values().collect()
    }

    /// A call that was stopped shows something only where the lawful one in the same form came through.
    fn settled(&self, probe: &Probe, outcome: &Outcome) -> Outcome {
        let control = probe.control.as_ref().filter(|_| *outcome == Outcome::Held);
        match control.map(|control| self.entries.get(control)) {
            None | Some(Some((_, Outcome::Held))) => outcome.clone(),
            Some(Some((_, Outcome::Broken(why) | Outcome::Unsure(why)))) => {
                Outcome::Unsure(format!("its control: {why}"))
            }
            Some(None) => Outcome::Unsure("its control was not run".to_owned()),
        }
    }

    /// The `drills` of the evidence document: `holds` when every case held and there was one, `clean` when none did anything
    /// else, `says` the worst of it in one sentence.
    pub fn to_json(&self) -> Value {
        let of = |section: Section| {
            let tools: Map<String, Value> = section
                .tools
                .iter()
                .map(|(tool, (cases, held))| {
                    (tool.clone(), json!({"cases": cases, "held": held, "holds": cases == held}))
                })
                .collect();
            let entry = json!({"cases": section.cases, "held": section.held, "holds": section.holds(),
                "clean": section.is_clean() && !self.is_empty(), "broken": section.broken, "unsure": section.unsure,
                "tools": tools, "says": section.says()});
            (section.name, entry)
        };
        Value::Object(self.sections().into_iter().map(of).collect())
    }
}

impl Section {
    fn is_clean(&self) -> bool {
        self.broken.is_empty() && self.unsure.is_empty()
    }

    /// Whether every case held, and there was one.
    pub fn holds(&self) -> bool {
        self.held > 0 && self.held == self.cases
    }

    /// The worst of it in one sentence.
    pub fn says(&self) -> String {
        match (self.broken.first(), self.unsure.first(), &self.idle) {
            (Some(why), ..) => format!("drilled with a scripted model, {why}"),
            (None, Some(why), _) => format!("the drill with a scripted model shows nothing ({why})"),
            (None, None, _) if self.cases > 0 => format!("{} of {} drilled cases held", self.held, self.cases),
            (None, None, Some(why)) => format!("there is nothing to drill: {why}"),
            (None, None, None) => "it was not drilled with a scripted model".to_owned(),
        }
    }
}
