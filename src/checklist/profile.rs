//! Profiles: named go/no-go rules over checks and metrics, data files in `checks/profiles/`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    catalogue,
    rung::{Rung, Severity},
};
use crate::{
    expr::{Expr, ExprError, Scope, Template},
    source::{SourceFile, load_text},
    text::closest,
};

/// Profiles that the design names and this version can't judge yet; asking for one is never answered with GO.
pub const LATER: [&str; 5] = ["accountability", "agentops", "autopilot", "enterprise", "strict"];

/// A profile as its file states it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileFile {
    /// What it is for.
    pub title: String,
    /// The seed list whose majors it demands beside every blocker; without it nothing is demanded.
    #[serde(default)]
    pub base: Option<String>,
    /// Rungs that it asks for, by severity, where the floors ask for less.
    #[serde(default)]
    pub lift: BTreeMap<Severity, Rung>,
    /// What must hold beside the checks.
    #[serde(default)]
    pub rules: Vec<RuleFile>,
}

/// A rule of a profile.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleFile {
    /// CEL over `metrics`, `thresholds`, `live`, …, with `met('id')` and `level('id')`.
    pub that: String,
    /// The rule in words; a template over `thresholds`.
    pub says: String,
    /// The check that says the same, so that a report need not say it twice.
    #[serde(default)]
    pub check: Option<String>,
    /// CEL: an unmet rule is inconclusive.
    #[serde(default)]
    pub unknown: Option<String>,
}

/// A profile that was asked for.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// What its file states; nothing for a profile of a later version.
    pub file: Option<ProfileFile>,
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

/// How a rule came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleResult {
    /// The profile it belongs to.
    pub profile: String,
    /// The rule in words.
    pub says: String,
    /// The check that says the same.
    pub check: Option<String>,
    /// Whether it holds.
    pub met: bool,
    /// Whether the gate could not tell.
    pub inconclusive: bool,
}

/// Every profile of this version, by name.
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
    load_text(file).expect("a test loads every shipped profile").value
}

/// The names of all profiles, those of later versions too.
pub(super) fn names() -> Vec<&'static str> {
    catalogue::profile_names().into_iter().chain(LATER).collect()
}

/// Looks up the profiles that a manifest or a flag names; all unknown names at once.
pub fn select(names: &[String]) -> Result<Vec<Profile>, Vec<UnknownProfile>> {
    let shipped = profiles();
    let mut found: Vec<Profile> = Vec::new();
    let mut unknown = Vec::new();
    for name in names {
        let file = shipped.get(name).cloned();
        if found.iter().any(|profile| profile.name == *name) {
            continue;
        }
        if file.is_some() || LATER.contains(&name.as_str()) {
            found.push(Profile { name: name.clone(), file });
        } else {
            let known = shipped.keys().map(String::as_str).chain(LATER);
            unknown.push(UnknownProfile { name: name.clone(), near: closest(name, known).map(str::to_owned) });
        }
    }
    if unknown.is_empty() { Ok(found) } else { Err(unknown) }
}

impl Profile {
    /// Whether a check that only some profiles ask for is asked under this one; `advisory` shows everything.
    pub(super) fn asks(&self, profiles: &[String]) -> bool {
        profiles.is_empty() || self.base().is_none() || profiles.contains(&self.name)
    }

    /// The seed list whose majors it demands; a profile of a later version still demands every blocker.
    pub(super) fn base(&self) -> Option<&str> {
        match &self.file {
            Some(file) => file.base.as_deref(),
            None => Some("later"),
        }
    }

    /// The rung it lifts a severity to.
    pub(super) fn lift(&self, severity: Severity) -> Option<Rung> {
        self.file.as_ref()?.lift.get(&severity).copied()
    }

    /// Asks every rule; `scope` knows `met` and `level`.
    pub(super) fn judge(&self, scope: &Scope<'_>, names: &Value) -> Vec<RuleResult> {
        let Some(file) = &self.file else {
            let says = format!("profile `{}` is asked for, but this version can't judge it yet", self.name);
            return vec![RuleResult { profile: self.name.clone(), says, check: None, met: false, inconclusive: true }];
        };
        file.rules.iter().map(|rule| self.rule(rule, scope, names)).collect()
    }

    fn rule(&self, rule: &RuleFile, scope: &Scope<'_>, names: &Value) -> RuleResult {
        let says =
            Template::parse(&rule.says).and_then(|text| text.render(names)).unwrap_or_else(|_| rule.says.clone());
        let (met, trouble) = holds(&rule.that, scope);
        let unknown = rule.unknown.as_deref().map(|unknown| holds(unknown, scope));
        let unsure = trouble || unknown.is_some_and(|(unknown, trouble)| unknown || trouble);
        RuleResult { profile: self.name.clone(), says, check: rule.check.clone(), met, inconclusive: !met && unsure }
    }
}

/// Whether it holds, and whether it could not be evaluated; a missing key is "not shown".
fn holds(source: &str, scope: &Scope<'_>) -> (bool, bool) {
    match Expr::parse(source).and_then(|expr| expr.test(scope)) {
        Ok(answer) => (answer, false),
        Err(ExprError::Missing(_)) => (false, false),
        Err(ExprError::Syntax(_) | ExprError::Evaluation(_)) => (false, true),
    }
}
