//! A check ready to be asked: its expressions and templates parsed, each slip reported at its place.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use super::{
    catalogue,
    format::{CheckFile, Part, Reason},
    rung::{Autonomy, Rung, Severity},
};
use crate::{
    expr::{Expr, Items, Template, TemplateError},
    source::{Diagnostic, Diagnostics, Document, Loaded, Route},
};

/// A compiled check.
#[derive(Clone, Debug)]
pub struct Check {
    /// `area/name`.
    pub id: String,
    /// The file it was made from.
    pub file: Arc<CheckFile>,
    pub(super) applies: Option<Expr>,
    pub(super) seen: Option<Template>,
    pub(super) ladders: Vec<Ladder>,
}

/// The rungs of a check without parts, or of one part.
#[derive(Clone, Debug)]
pub(super) struct Ladder {
    pub(super) part: Option<String>,
    pub(super) each: Option<Items>,
    pub(super) declared: Option<Expr>,
    pub(super) verified: Option<Expr>,
    pub(super) proven: Option<Expr>,
    pub(super) refuted: Option<Expr>,
    pub(super) inconclusive: Option<Expr>,
    pub(super) follows: Vec<(String, Expr)>,
    pub(super) reasons: Vec<Because>,
    pub(super) finding: Template,
    pub(super) when_refuted: Option<Template>,
    pub(super) place: Route,
    /// Of each rung, whether a run of the agent is what tells it.
    of_run: OnceLock<[bool; 3]>,
}

/// A reason to fall short, ready to be asked.
#[derive(Clone, Debug)]
pub(super) struct Because {
    pub(super) when: Expr,
    pub(super) finding: Option<Template>,
    pub(super) fix: Option<String>,
}

/// What expressions name of the evidence that only a run of the agent gives.
const OF_A_RUN: [&str; 6] = ["metrics", "drills", "live", "guarded", "regression", "traced"];

/// Whether an expression names one of some words.
fn reads(source: &str, words: &[&str]) -> bool {
    source.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|word| words.contains(&word))
}

impl Ladder {
    /// The text of a finding; what refutes all parts alike is said in the words of the check.
    pub(super) fn finding(&self, rung: Rung) -> &Template {
        match &self.when_refuted {
            Some(text) if rung == Rung::Refuted => text,
            Some(_) | None => &self.finding,
        }
    }

    /// The rungs that it defines above `from`, up to `to`, each with whether a run of the agent is what tells it.
    pub(super) fn above(&self, from: Rung, to: Rung) -> impl Iterator<Item = (Rung, bool)> {
        let defined = [&self.declared, &self.verified, &self.proven].map(Option::is_some);
        let of_run = *self.of_run.get_or_init(|| self.of_run());
        let rungs = [Rung::Declared, Rung::Verified, Rung::Proven].into_iter().zip(defined.into_iter().zip(of_run));
        let rungs = rungs.filter_map(|(rung, (is_defined, of_run))| is_defined.then_some((rung, of_run)));
        rungs.filter(move |(rung, _)| *rung > from && *rung <= to)
    }

    fn of_run(&self) -> [bool; 3] {
        let of_runs = self.each.as_ref().is_some_and(|each| reads(each.source(), &OF_A_RUN));
        [&self.declared, &self.verified, &self.proven].map(|expr| {
            let source = expr.as_ref().map_or("", Expr::source);
            reads(source, &OF_A_RUN) || (of_runs && reads(source, &["it"]))
        })
    }

    fn top(&self) -> Rung {
        match (&self.proven, &self.verified) {
            (Some(_), _) => Rung::Proven,
            (None, Some(_)) => Rung::Verified,
            (None, None) => Rung::Declared,
        }
    }
}

impl Check {
    /// Parses every expression and template of a loaded file; all slips at once.
    pub fn compile(id: &str, loaded: &Loaded<CheckFile>) -> Result<Self, Diagnostics> {
        let parser = Parser { document: Some(&loaded.document), template: Template::parse, problems: Vec::new() };
        Self::parsed(id, loaded.value.clone(), parser)
    }

    /// [`Self::compile`] of a file that a test, or an earlier reader, has compiled: a template is parsed when there is
    /// something to tell.
    pub(super) fn shipped(id: &str, file: CheckFile) -> Result<Self, Diagnostics> {
        let parser = Parser { document: None, template: |text| Ok(Template::later(text)), problems: Vec::new() };
        Self::parsed(id, file, parser)
    }

    fn parsed(id: &str, file: CheckFile, mut parser: Parser<'_>) -> Result<Self, Diagnostics> {
        let ladders = if file.parts.is_empty() {
            parser.whole(&file).into_iter().collect()
        } else {
            file.parts.iter().filter_map(|(name, part)| parser.part(&file, name, part)).collect()
        };
        parser.profiles(&file.profiles);
        let root = Route::root();
        let applies = parser.expr(&root.join("applies"), file.applies.as_deref());
        let seen = file.seen.as_deref().and_then(|text| parser.template(&root.join("seen"), text));
        if parser.problems.is_empty() {
            Ok(Self { id: id.to_owned(), file: Arc::new(file), applies, seen, ladders })
        } else {
            Err(Diagnostics(parser.problems))
        }
    }

    /// The severity at a level of autonomy.
    pub fn severity(&self, autonomy: Autonomy) -> Severity {
        self.file.severity_for.get(&autonomy).copied().unwrap_or(self.file.severity)
    }

    /// The highest rung it can have: of a check with parts, what the weakest part can reach.
    pub fn ceiling(&self) -> Rung {
        let defined = self.ladders.iter().map(Ladder::top).min().unwrap_or(Rung::Declared);
        self.file.ceiling.map_or(defined, |ceiling| ceiling.min(defined))
    }

    /// The rung it needs at a level of autonomy, lifted by a profile where one asks for more.
    pub fn need(&self, autonomy: Autonomy, lift: Option<Rung>) -> Rung {
        let asked = super::rung::floor(self.severity(autonomy), autonomy);
        let lifted = asked.max(self.file.floor.unwrap_or(Rung::Absent)).max(lift.unwrap_or(Rung::Absent));
        lifted.min(self.ceiling()).min(self.file.enough.unwrap_or(Rung::Proven))
    }
}

#[cfg(test)]
impl Check {
    /// By part, the rungs at which each of its expressions can leave it: just below the one that it speaks of.
    pub(super) fn stops(&self) -> Vec<(String, Vec<Rung>)> {
        let of = |ladder: &Ladder| {
            let steps = [
                (ladder.refuted.is_some(), Rung::Refuted),
                (ladder.declared.is_some(), Rung::Absent),
                (ladder.verified.is_some(), Rung::Declared),
                (ladder.proven.is_some(), Rung::Verified),
            ];
            let name = ladder.part.as_ref().map_or(self.id.clone(), |part| format!("{}#{part}", self.id));
            (name, steps.into_iter().filter_map(|(has, rung)| has.then_some(rung)).collect())
        };
        self.ladders.iter().map(of).collect()
    }

    /// The rungs at which it can stand and be unmet at a level of autonomy.
    pub(super) fn can_fall_short_at(&self, autonomy: Autonomy) -> Vec<Rung> {
        let defined = |has: &dyn Fn(&Ladder) -> bool| self.ladders.iter().any(has);
        let refuted = defined(&|ladder| ladder.refuted.is_some()).then_some(Rung::Refuted);
        let declared = defined(&|ladder| ladder.verified.is_some()).then_some(Rung::Declared);
        let verified = defined(&|ladder| ladder.proven.is_some()).then_some(Rung::Verified);
        let rungs = [refuted, Some(Rung::Absent), declared, verified].into_iter().flatten();
        rungs.filter(|rung| *rung < self.need(autonomy, None)).collect()
    }
}

/// `gate.thresholds.golden_scenarios` as a route; a `*` ends it.
pub(super) fn place(fields: &[String]) -> Route {
    let first = fields.first().map_or("", String::as_str);
    first.split('.').take_while(|key| !key.is_empty() && *key != "*").fold(Route::root(), |route, key| route.join(key))
}

struct Parser<'a> {
    document: Option<&'a Document>,
    template: fn(&str) -> Result<Template, TemplateError>,
    problems: Vec<Diagnostic>,
}

impl Parser<'_> {
    fn profiles(&mut self, named: &[String]) {
        if named.is_empty() {
            return;
        }
        let known = catalogue::profile_names();
        for (at, name) in named.iter().enumerate().filter(|(_, name)| !known.contains(&name.as_str())) {
            self.slip(&Route::root().join("profiles").join(at), &format!("there is no profile `{name}`"));
        }
    }

    fn whole(&mut self, file: &CheckFile) -> Option<Ladder> {
        if file.declared.is_none() {
            let problem = Diagnostic::error("a check needs `declared` or `parts`");
            let problem = match self.document {
                Some(document) => problem.at(document.file(), document.key_span(&Route::root())),
                None => problem,
            };
            self.problems.push(problem.hint("add the CEL expression that says when the manifest claims it"));
        }
        let root = Route::root();
        Some(Ladder {
            part: None,
            each: self.expr(&root.join("each"), file.each.as_deref()).map(Items::new),
            declared: self.expr(&root.join("declared"), file.declared.as_deref()),
            verified: self.expr(&root.join("verified"), file.verified.as_deref()),
            proven: self.expr(&root.join("proven"), file.proven.as_deref()),
            refuted: self.expr(&root.join("refuted"), file.refuted.as_deref()),
            inconclusive: self.expr(&root.join("inconclusive"), file.inconclusive.as_deref()),
            follows: self.follows(&root, &file.follows),
            reasons: self.reasons(&root, &file.reasons),
            place: place(&file.fields),
            of_run: OnceLock::new(),
            when_refuted: None,
            finding: self.template(&root.join("finding"), &file.finding)?,
        })
    }

    fn part(&mut self, file: &CheckFile, name: &str, part: &Part) -> Option<Ladder> {
        let root = Route::root();
        let own = root.join("parts").join(name);
        let follows = if part.follows.is_empty() {
            self.follows(&root, &file.follows)
        } else {
            self.follows(&own, &part.follows)
        };
        let mut reasons = self.reasons(&own, &part.reasons);
        reasons.extend(self.reasons(&root, &file.reasons));
        let mut rung = |key: &str, mine: Option<&String>, shared: Option<&String>| match (mine, shared) {
            (Some(text), _) => self.expr(&own.join(key), Some(text)),
            (None, shared) => self.expr(&root.join(key), shared.map(String::as_str)),
        };
        Some(Ladder {
            part: Some(name.to_owned()),
            each: rung("each", part.each.as_ref(), file.each.as_ref()).map(Items::new),
            declared: rung("declared", Some(&part.declared), None),
            verified: rung("verified", part.verified.as_ref(), file.verified.as_ref()),
            proven: rung("proven", part.proven.as_ref(), file.proven.as_ref()),
            refuted: rung("refuted", part.refuted.as_ref(), file.refuted.as_ref()),
            inconclusive: rung("inconclusive", part.inconclusive.as_ref(), file.inconclusive.as_ref()),
            follows,
            reasons,
            when_refuted: match part.refuted {
                None if file.refuted.is_some() => self.template(&root.join("finding"), &file.finding),
                Some(_) | None => None,
            },
            place: place(if part.fields.is_empty() { &file.fields } else { &part.fields }),
            of_run: OnceLock::new(),
            finding: match &part.finding {
                Some(text) => self.template(&own.join("finding"), text)?,
                None => self.template(&root.join("finding"), &file.finding)?,
            },
        })
    }

    fn follows(&mut self, route: &Route, follows: &BTreeMap<String, String>) -> Vec<(String, Expr)> {
        let route = route.join("follows");
        for id in follows.keys().filter(|id| !catalogue::ships(id)) {
            self.slip(&route.join(id.as_str()), &format!("there is no check `{id}`"));
        }
        let compiled = follows
            .iter()
            .filter_map(|(id, when)| Some((id.clone(), self.expr(&route.join(id.as_str()), Some(when))?)));
        compiled.collect()
    }

    fn reasons(&mut self, route: &Route, reasons: &[Reason]) -> Vec<Because> {
        let routes = (0..).map(|at: usize| route.join("reasons").join(at));
        let compiled = reasons.iter().zip(routes).filter_map(|(reason, route)| {
            let finding = reason.finding.as_deref();
            Some(Because {
                when: self.expr(&route.join("when"), Some(&reason.when))?,
                finding: finding.and_then(|text| self.template(&route.join("finding"), text)),
                fix: reason.fix.clone(),
            })
        });
        compiled.collect()
    }

    fn expr(&mut self, route: &Route, text: Option<&str>) -> Option<Expr> {
        match Expr::parse(text?) {
            Ok(expr) => Some(expr),
            Err(error) => {
                self.slip(route, &error.to_string());
                None
            }
        }
    }

    fn template(&mut self, route: &Route, text: &str) -> Option<Template> {
        match (self.template)(text) {
            Ok(template) => Some(template),
            Err(error) => {
                self.slip(route, &format!("not a template: {error}"));
                None
            }
        }
    }

    fn slip(&mut self, route: &Route, message: &str) {
        let problem = Diagnostic::error(format!("`{}`: {message}", route.dotted()));
        self.problems.push(match self.document {
            Some(document) => problem.at(document.file(), document.span(route)),
            None => problem,
        });
    }
}
