//! What a manifest's files show by themselves, for the lists that hold profiles and controls against it. Never tries
//! the agent.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::json;

use super::{
    args::{ListArgs, TryingArgs},
    case::{self, Options},
    check::{self, Job},
    live,
    output::Output,
};
use crate::{
    checklist::{self, Catalogue, Rung},
    context::Context,
    exit::Fault,
    verdict::{Report, Rule},
};

/// The static report of the manifest, given or found; nothing when none was given and none is found.
pub(crate) fn report(
    args: &ListArgs,
    profiles: &[String],
    (context, output): (&Context, &Output),
) -> Result<Option<Report>, Fault> {
    let (files, manifest) = match case::find(args.manifest.as_deref(), &context.cwd, false) {
        Ok(found) => found,
        Err(_) if args.manifest.is_none() => return Ok(None),
        Err(fault) => return Err(fault),
    };
    let checks = args.checks.as_ref().map(|folder| check::relative(&files, &context.path(folder))).transpose()?;
    let trying = TryingArgs::default();
    let job = Job {
        files,
        manifest,
        options: Options { profiles: profiles.to_vec(), checks, may_be_empty: true, ..Options::default() },
        trying: &trying,
        static_only: true,
        offline: true,
        patience: live::PATIENCE,
        variables: BTreeMap::new(),
        base: None,
        records: context.cwd.clone(),
        resume: None,
        today: None,
    };
    check::carry_out(job, context, output).map(Some)
}

/// A profile, and where it stands for a manifest when there is one.
#[derive(Debug, Serialize)]
pub(crate) struct ProfileRow {
    name: String,
    about: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    includes: Vec<String>,
    rules: Vec<RuleRow>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    standing: Option<Standing>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum RuleRow {
    Words { says: String },
    Judged(Rule),
}

#[derive(Debug, Serialize)]
struct Standing {
    manifest: String,
    demanded: usize,
    met: usize,
}

/// Every profile with its rules, and how each stands where there is a manifest.
pub(crate) fn profiles(args: &ListArgs, context: &Context, output: &Output) -> Result<Vec<ProfileRow>, Fault> {
    let rows = checklist::profiles().into_iter().map(|(name, profile)| {
        let report = report(args, std::slice::from_ref(&name), (context, output))?;
        let standing = report.as_ref().map(|report| {
            let demanded = || report.checks.iter().filter(|check| check.demanded);
            let met = demanded().filter(|check| check.met).count();
            Standing { manifest: report.run.manifest.path.clone(), demanded: demanded().count(), met }
        });
        let rules = if let Some(report) = report {
            // What a profile includes is listed under its own name.
            report.rules.into_iter().filter(|rule| rule.profile == name).map(RuleRow::Judged).collect()
        } else {
            let numbers = checklist::resolve(&BTreeMap::new(), std::slice::from_ref(&name)).unwrap_or_default();
            let names = json!({"thresholds": numbers.to_json()});
            profile.rules.iter().map(|rule| RuleRow::Words { says: checklist::words(rule, &names) }).collect()
        };
        Ok(ProfileRow { name, about: profile.title, includes: profile.includes, rules, standing })
    });
    rows.collect()
}

impl ProfileRow {
    /// The profile as lines of name, standing and words.
    pub(crate) fn lines(&self) -> Vec<Vec<String>> {
        let line = |word: &str, text: String| vec![String::new(), word.to_owned(), text];
        let mut lines = vec![vec![self.name.clone(), String::new(), self.about.clone()]];
        lines.extend(self.standing.as_ref().map(|Standing { manifest, demanded, met }| match demanded {
            0 => line("holds", "demands no check".to_owned()),
            _ => line(
                if met == demanded { "holds" } else { "open" },
                format!("{met} of {demanded} demanded checks stand high enough without a run of {manifest}"),
            ),
        }));
        if !self.includes.is_empty() {
            lines.push(line("rules", format!("those of {}", self.includes.join(", "))));
        }
        lines.extend(self.rules.iter().map(|rule| match rule {
            RuleRow::Words { says } => line("rule", says.clone()),
            RuleRow::Judged(Rule { says, met: true, .. }) => line("holds", says.clone()),
            RuleRow::Judged(Rule { says, inconclusive, stands, .. }) => {
                line(if *inconclusive { "open" } else { "fails" }, format!("{says}: {stands}"))
            }
        }));
        lines
    }
}

/// A framework in one line: how many of its controls have a check.
#[derive(Debug, Serialize)]
pub(crate) struct FrameworkRow {
    name: String,
    about: String,
    published: String,
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    controls: usize,
    covered: usize,
}

impl FrameworkRow {
    /// The row as people read it.
    pub(crate) fn line(&self) -> Vec<String> {
        let covered = format!("{} of {} controls have a check", self.covered, self.controls);
        vec![self.name.clone(), self.about.clone(), covered]
    }
}

/// Every framework.
pub(crate) fn frameworks(catalogue: &Catalogue) -> Vec<FrameworkRow> {
    let frameworks = checklist::frameworks().into_iter().map(|(name, framework)| {
        let covered: BTreeSet<String> = named(catalogue, &name).into_values().flatten().collect();
        FrameworkRow {
            about: framework.title,
            published: framework.published,
            url: framework.url,
            note: framework.note,
            controls: framework.controls.len(),
            covered: framework.controls.keys().filter(|id| covered.contains(*id)).count(),
            name,
        }
    });
    frameworks.collect()
}

/// Every check that names controls of a framework, with them.
fn named(catalogue: &Catalogue, framework: &str) -> BTreeMap<String, Vec<String>> {
    let checks =
        catalogue.all().filter_map(|check| Some((check.id.clone(), check.file.controls.get(framework)?.clone())));
    checks.collect()
}

/// A control of a framework: the checks that look at it and how far they are shown.
#[derive(Debug, Serialize)]
pub(crate) struct ControlRow {
    id: String,
    about: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    applies_from: Option<String>,
    /// Whether that day has come.
    #[serde(skip_serializing_if = "Option::is_none")]
    in_force: Option<bool>,
    checks: Vec<ControlCheck>,
    /// The lowest rung of the checks that apply; nothing without a manifest, or where none applies.
    #[serde(skip_serializing_if = "Option::is_none")]
    rung: Option<Rung>,
}

#[derive(Debug, Serialize)]
struct ControlCheck {
    id: String,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    standing: Option<ControlStanding>,
}

#[derive(Debug, Serialize)]
struct ControlStanding {
    applies: bool,
    rung: Rung,
    met: bool,
}

/// The coverage table of one framework.
pub(crate) fn controls(
    name: &str,
    args: &ListArgs,
    catalogue: &Catalogue,
    (context, output): (&Context, &Output),
) -> Result<Vec<ControlRow>, Fault> {
    let (name, framework) = checklist::framework_named(name).ok_or_else(|| {
        let names: Vec<String> = checklist::frameworks().into_keys().collect();
        Fault::usage(format!("there is no framework `{name}`"), format!("one of: {}", names.join(", ")))
    })?;
    let report = report(args, &[], (context, output))?;
    let standing = |id: &str| {
        let check = report.as_ref()?.checks.iter().find(|check| check.id == id)?;
        let rung = serde_json::from_value(json!(check.rung)).ok()?;
        Some(ControlStanding { applies: check.applies, rung, met: check.met })
    };
    let named = named(catalogue, &name);
    let today = context.today();
    let rows = framework.controls.into_iter().map(|(id, about)| {
        let own = named.iter().filter(|(_, ids)| ids.contains(&id));
        let checks: Vec<ControlCheck> =
            own.map(|(check, _)| ControlCheck { id: check.clone(), standing: standing(check) }).collect();
        let applying = checks.iter().filter_map(|check| check.standing.as_ref()).filter(|standing| standing.applies);
        let rung = applying.map(|standing| standing.rung).min();
        let applies_from = framework.applies_from.get(&id).cloned();
        // Days are written year first, so their order is that of their text.
        let in_force = applies_from.as_ref().map(|day| *day <= today);
        ControlRow { id, about, applies_from, in_force, checks, rung }
    });
    let mut rows: Vec<ControlRow> = rows.collect();
    rows.sort_by_cached_key(|row| counted(&row.id));
    Ok(rows)
}

/// An id by the order of its numbers: article 9 comes before 11.
fn counted(id: &str) -> Vec<(u32, String)> {
    let parts = id.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty());
    parts.map(|part| (part.parse().unwrap_or(0), part.to_owned())).collect()
}

impl ControlRow {
    /// The row as people read it.
    pub(crate) fn line(&self) -> Vec<String> {
        let about = match (&self.applies_from, self.in_force) {
            (Some(day), Some(false)) => format!("{} (not before {day})", self.about),
            (Some(day), _) => format!("{} (applies since {day})", self.about),
            (None, _) => self.about.clone(),
        };
        let rung = match (self.checks.is_empty(), self.rung) {
            (true, _) => "no check".to_owned(),
            (false, Some(rung)) => rung.word().to_owned(),
            (false, None) => String::new(),
        };
        let checks = self.checks.iter().map(|check| match &check.standing {
            Some(ControlStanding { applies: true, rung, .. }) => format!("{} {rung}", check.id),
            Some(ControlStanding { applies: false, .. }) => format!("{} does not apply", check.id),
            None => check.id.clone(),
        });
        vec![self.id.clone(), about, rung, checks.collect::<Vec<_>>().join(", ")]
    }
}
