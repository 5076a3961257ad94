//! Profiles: named go/no-go rules over checks and metrics, data files in `checks/profiles/`. How a rule comes out is
//! asked in `rule`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    catalogue,
    rung::{Rung, Severity},
};
use crate::{
    source::{SourceFile, load_shipped},
    text::closest,
};

/// A profile as its file states it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileFile {
    /// What it is for.
    pub title: String,
    /// The seed list whose majors it demands beside every blocker; without it nothing is demanded.
    #[serde(default)]
    pub base: Option<String>,
    /// Other profiles that it stands for.
    #[serde(default)]
    pub includes: Vec<String>,
    /// Rungs that it asks for, by severity, where the floors ask for less.
    #[serde(default)]
    pub lift: BTreeMap<Severity, Rung>,
    /// What must hold beside the checks.
    #[serde(default)]
    pub rules: Vec<RuleFile>,
}

/// A rule of a profile. It holds when all that it states holds.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleFile {
    /// The rule in words; a template over `thresholds`.
    pub says: String,
    /// CEL over the evidence document: to whom the rule speaks; everyone when left out.
    #[serde(default)]
    pub when: Option<String>,
    /// CEL over the evidence document.
    #[serde(default)]
    pub that: Option<String>,
    /// CEL: `that` is not false, but not measured.
    #[serde(default)]
    pub unknown: Option<String>,
    /// The evidence that `that` waits for where it is not measured.
    #[serde(default)]
    pub waits: Option<String>,
    /// The check that says the same as `that`, so that a report need not say it twice.
    #[serde(default)]
    pub check: Option<String>,
    /// Checks and how each of them must stand. Waivers count for `met` alone.
    #[serde(default)]
    pub checks: BTreeMap<String, Level>,
    /// How each check of `gate.non_negotiables` must stand.
    #[serde(default)]
    pub non_negotiables: Option<Level>,
}

/// How a check must stand for a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// As high as it needs.
    Met,
    /// At *verified* or above.
    Verified,
    /// At *proven*.
    Proven,
    /// As high as it can ever stand.
    Ceiling,
}

/// A profile that was asked for.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// What its file states.
    pub file: ProfileFile,
}

/// No profile bears this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no profile `{name}`")]
pub struct UnknownProfile {
    /// What was asked for.
    pub name: String,
    /// The nearest name, if one is near.
    pub near: Option<String>,
}

/// Every profile, by name.
pub fn profiles() -> BTreeMap<String, ProfileFile> {
    catalogue::profile_names()
        .into_iter()
        .filter_map(|name| {
            let file = catalogue::data(&format!("profiles/{name}.yaml"))?;
            Some((name.to_owned(), shipped(file)))
        })
        .collect()
}

fn shipped(file: SourceFile) -> ProfileFile {
    load_shipped(file).expect("a test loads every shipped profile").value
}

/// Looks up the profiles that a manifest or a flag names, each followed by those it stands for; all unknown names
/// at once.
pub fn select(names: &[String]) -> Result<Vec<Profile>, Vec<UnknownProfile>> {
    let shipped = profiles();
    let mut found: Vec<Profile> = Vec::new();
    let mut unknown = Vec::new();
    for name in names {
        let Some(file) = shipped.get(name) else {
            let near = closest(name, shipped.keys().map(String::as_str)).map(str::to_owned);
            unknown.push(UnknownProfile { name: name.clone(), near });
            continue;
        };
        for name in std::iter::once(name).chain(&file.includes) {
            if let Some(file) = shipped.get(name)
                && found.iter().all(|profile| profile.name != *name)
            {
                found.push(Profile { name: name.clone(), file: file.clone() });
            }
        }
    }
    if unknown.is_empty() { Ok(found) } else { Err(unknown) }
}

impl Profile {
    /// Whether a check that only some profiles ask for is asked under this one; `advisory` shows everything.
    pub(super) fn asks(&self, profiles: &[String]) -> bool {
        profiles.is_empty() || self.base().is_none() && self.file.includes.is_empty() || profiles.contains(&self.name)
    }

    /// The seed list whose majors it demands.
    pub(super) fn base(&self) -> Option<&str> {
        self.file.base.as_deref()
    }

    /// The rung it lifts a severity to.
    pub(super) fn lift(&self, severity: Severity) -> Option<Rung> {
        self.file.lift.get(&severity).copied()
    }
}
