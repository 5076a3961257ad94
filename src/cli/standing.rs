//! What a manifest's files show by themselves, for the lists that hold profiles and controls against it. Never tries
//! the agent.

use std::collections::BTreeMap;

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
    checklist,
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
        records: context.cwd.clone(),
        resume: None,
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
        let rules = match report {
            // What a profile includes is listed under its own name.
            Some(report) => report.rules.into_iter().filter(|rule| rule.profile == name).map(RuleRow::Judged).collect(),
            None => {
                let numbers = checklist::resolve(&BTreeMap::new(), std::slice::from_ref(&name)).unwrap_or_default();
                let names = json!({"thresholds": numbers.to_json()});
                profile.rules.iter().map(|rule| RuleRow::Words { says: checklist::words(rule, &names) }).collect()
            }
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
