//! How the rules of a profile come out over checks and evidence. What was not measured, and what this version can't
//! measure, is inconclusive, never met. Must not know the verdict.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    assess::CheckResult,
    catalogue::Catalogue,
    profile::{Level, Profile, RuleFile},
    rung::Rung,
};
use crate::expr::{Expr, ExprError, Scope, Template};

/// How a rule came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleResult {
    /// The profile it belongs to.
    pub profile: String,
    /// The rule in words.
    pub says: String,
    /// Whether it holds.
    pub met: bool,
    /// Whether the gate could not tell.
    pub inconclusive: bool,
    /// Where it stands, in one line: what fails, or which evidence it waits for.
    pub stands: String,
    /// The checks that keep it from holding.
    pub checks: Vec<String>,
    /// Whether a condition that no check stands for keeps it from holding.
    pub bare: bool,
}

/// A rule in words, over the numbers that hold.
pub fn words(rule: &RuleFile, names: &Value) -> String {
    Template::parse(&rule.says).and_then(|text| text.render(names)).unwrap_or_else(|_| rule.says.clone())
}

/// The part of the evidence that the words of rules are filled in from.
pub(super) fn names(document: &Value) -> Value {
    let names = ["thresholds", "metrics", "suites"]
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), document.get(*name)?.clone())));
    Value::Object(names.collect())
}

/// What rules are asked over.
pub(super) struct Bench<'a> {
    catalogue: &'a Catalogue,
    scope: Scope<'a>,
    names: Value,
    checks: BTreeMap<&'a str, &'a CheckResult>,
    non_negotiables: &'a [String],
}

/// How one condition of a rule stands.
enum Answer {
    Holds,
    Fails(String),
    /// Not shown, and what it waits for.
    Open(String),
}

impl<'a> Bench<'a> {
    /// Lays out the evidence: the scope of expressions, the [`names`] for texts, and every check.
    pub(super) fn new(
        catalogue: &'a Catalogue,
        (scope, names): (Scope<'a>, Value),
        checks: &'a [CheckResult],
        non_negotiables: &'a [String],
    ) -> Self {
        let checks = checks.iter().map(|check| (check.id.as_str(), check)).collect();
        Self { catalogue, scope, names, checks, non_negotiables }
    }

    /// Asks every rule of a profile.
    pub(super) fn judge(&self, profile: &Profile) -> Vec<RuleResult> {
        profile.file.rules.iter().map(|rule| self.rule(&profile.name, rule)).collect()
    }

    fn rule(&self, profile: &str, rule: &RuleFile) -> RuleResult {
        let says = words(rule, &self.names);
        let mut result = RuleResult {
            profile: profile.to_owned(),
            says,
            met: true,
            inconclusive: false,
            stands: "holds".to_owned(),
            checks: Vec::new(),
            bare: false,
        };
        if let Some(when) = &rule.when
            && self.holds(when) == Some(false)
        {
            "does not apply to this agent".clone_into(&mut result.stands);
            return result;
        }
        let levels = rule.checks.iter().map(|(id, level)| (id, *level));
        let named =
            rule.non_negotiables.into_iter().flat_map(|level| self.non_negotiables.iter().map(move |id| (id, level)));
        let answers = levels.chain(named).map(|(id, level)| (Some(id), self.check(id, level)));
        let answers: Vec<_> = answers.chain(self.that(rule).map(|answer| (rule.check.as_ref(), answer))).collect();
        let (mut fails, mut open) = (Vec::new(), Vec::new());
        for (check, answer) in answers {
            match answer {
                Answer::Holds => continue,
                Answer::Fails(why) => fails.push(why),
                Answer::Open(why) => open.push(why),
            }
            result.bare |= check.is_none();
            result.checks.extend(check.cloned());
        }
        result.met = fails.is_empty() && open.is_empty();
        result.inconclusive = fails.is_empty() && !open.is_empty();
        if !result.met {
            result.stands = fails.into_iter().chain(open).filter(|why| !why.is_empty()).collect::<Vec<_>>().join("; ");
        }
        result
    }

    fn that(&self, rule: &RuleFile) -> Option<Answer> {
        let that = rule.that.as_deref()?;
        Some(match self.holds(that) {
            Some(true) => Answer::Holds,
            answer => {
                let is_unknown = rule.unknown.as_deref().is_some_and(|unknown| self.holds(unknown) != Some(false));
                if answer.is_none() || is_unknown {
                    Answer::Open(rule.waits.as_ref().map(|what| format!("waits for {what}")).unwrap_or_default())
                } else {
                    Answer::Fails("does not hold".to_owned())
                }
            }
        })
    }

    fn check(&self, id: &str, level: Level) -> Answer {
        let (Some(check), Ok(known)) = (self.checks.get(id), self.catalogue.get(id)) else {
            return Answer::Open(format!("there is no check {id}"));
        };
        // A check that does not apply satisfies every comparison.
        if !check.applies {
            return Answer::Holds;
        }
        let waits = || match &check.waits {
            Some(waits) => Answer::Open(format!("{id} stands at {} and waits for {waits}", check.rung)),
            None => Answer::Open(format!("{id} stands at {}: {}", check.rung, check.evidence)),
        };
        let fails = |asked: &str| Answer::Fails(format!("{id} stands at {}, {asked} is asked", check.rung));
        let asked = match level {
            Level::Met if check.met => return Answer::Holds,
            Level::Met if check.inconclusive => return waits(),
            Level::Met => return fails(check.needed.word()),
            Level::Verified => Rung::Verified,
            Level::Proven => Rung::Proven,
            // The highest rung that this version defines is not the highest there is while the check waits for more.
            Level::Ceiling if check.waits.is_some() => Rung::Proven,
            Level::Ceiling => known.ceiling(),
        };
        match check.rung {
            rung if rung >= asked => Answer::Holds,
            // Proof is what only a run gives: without it nothing is shown, and nothing is refuted either.
            Rung::Verified => waits(),
            Rung::Declared | Rung::Absent if check.inconclusive => waits(),
            Rung::Refuted | Rung::Absent | Rung::Declared | Rung::Proven => fails(asked.word()),
        }
    }

    /// Nothing when it could not be evaluated; a missing key is "not shown".
    fn holds(&self, source: &str) -> Option<bool> {
        match Expr::parse(source).and_then(|expr| expr.test(&self.scope)) {
            Ok(answer) => Some(answer),
            Err(ExprError::Missing(_)) => Some(false),
            Err(ExprError::Syntax(_) | ExprError::Evaluation(_)) => None,
        }
    }
}
