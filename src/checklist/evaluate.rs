//! Asks one check of the evidence: item by item, rung by rung. A missing key means "not shown"; any other
//! failure of an expression makes the answer inconclusive, never better. Must not know waivers or profiles.

use std::{
    borrow::Cow,
    cell::RefCell,
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::{Value, json};

use super::{
    check::{Check, Ladder},
    functions,
    rung::{Autonomy, Rung},
    tell::{Told, describe, message, one_line, run_fix},
};
use crate::{
    expr::{Alike, Draft, Expr, ExprError, Fields, Found, Item, Items, Made, Names, Scope, Template},
    source::Route,
};

/// The evidence, converted once for all checks.
pub(super) struct Evidence<'d> {
    scope: Scope<'d>,
    names: Names,
    document: &'d Value,
    /// Lists that were asked before, by their expression: parts and checks often go through the same one.
    lists: Mutex<BTreeMap<String, Arc<Found<'d>>>>,
}

/// Parts of the evidence that grow with the manifest and stay out of templates.
const NOT_IN_TEMPLATES: [&str; 6] = ["manifest", "tools", "systems", "credentials", "models", "facts"];

/// Sections of the manifest that templates see by their own names.
const IN_TEMPLATES: [(&str, &str); 10] = [
    ("audit", "/manifest/audit"),
    ("budgets", "/manifest/budgets"),
    ("cost", "/manifest/cost"),
    ("data", "/manifest/data"),
    ("evals", "/manifest/evals"),
    ("handoff", "/manifest/handoff"),
    ("identity", "/manifest/identity"),
    ("kpis", "/manifest/kpis"),
    ("observability", "/manifest/observability"),
    ("policy", "/manifest/policy"),
];

impl<'d> Evidence<'d> {
    /// Takes the evidence document, in which no key is null: one that is counts as missing.
    pub(super) fn new(document: &'d Value) -> Self {
        let mut scope = Scope::new();
        functions::register(&mut scope, document);
        let mut names = serde_json::Map::new();
        for (key, value) in document.as_object().into_iter().flatten() {
            scope.lend(key, value);
            if !NOT_IN_TEMPLATES.contains(&key.as_str()) {
                names.insert(key.clone(), value.clone());
            }
        }
        for (name, place) in IN_TEMPLATES {
            let found = document.pointer(place).cloned().unwrap_or_else(|| json!({}));
            names.insert(name.to_owned(), found);
        }
        let small =
            ["card", "infra", "oidc", "manifests", "spec"].map(|key| (key, document.pointer(&format!("/facts/{key}"))));
        let small = small.into_iter().filter_map(|(key, fact)| Some((key.to_owned(), fact?.clone())));
        names.insert("facts".to_owned(), Value::Object(small.collect()));
        Self { scope, names: Names::new(&Value::Object(names)), document, lists: Mutex::default() }
    }

    /// Whether the agent was run.
    fn is_live(&self) -> bool {
        self.document.get("live") == Some(&Value::Bool(true))
    }

    /// Lets expressions ask for other checks: `check('scope/spec-page').autonomy`; one that does not exist is empty.
    pub(super) fn knowing<'c>(mut self, checks: impl Iterator<Item = &'c Check>) -> Self {
        let known: BTreeMap<String, Value> =
            checks.map(|check| (check.id.clone(), json!({"autonomy": check.file.autonomy}))).collect();
        self.scope.function("check", move |id| known.get(id).cloned().unwrap_or_else(|| json!({})));
        self
    }

    /// The scope that expressions see.
    pub(super) fn scope(&self) -> &Scope<'d> {
        &self.scope
    }

    /// The items that a check goes through; nothing when the expression gives no list.
    fn items(&self, each: &Items) -> Result<Option<Arc<Found<'d>>>, ExprError> {
        let lists = || self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lists().get(each.source()) {
            return Ok(Some(Arc::clone(known)));
        }
        let Some(found) = each.find(&self.scope)? else { return Ok(None) };
        let found = Arc::new(found);
        lists().insert(each.source().to_owned(), Arc::clone(&found));
        Ok(Some(found))
    }

    /// The JSON of a member of one of the document's lists.
    fn member(&self, list: &str, position: usize) -> Option<&'d Value> {
        list.split('.').try_fold(self.document, |found, key| found.get(key))?.get(position)
    }

    /// What a check is asked of, for a template that looks at all of it.
    pub(super) fn whole(&self, subject: Subject<'_>) -> Names {
        match subject {
            Subject::Whole => Names::new(&Value::Null),
            Subject::Made(items, position) => Names::new(&items.json(position).unwrap_or_default()),
            Subject::Member(list, position) => Names::new(self.member(list, position).unwrap_or(&Value::Null)),
        }
    }

    /// Those of some fields that an item has: a tool is large, and few of its fields are told. Nothing when it is no map.
    pub(super) fn fields<'f>(
        &self,
        subject: Subject<'_>,
        fields: &'f Fields,
    ) -> Option<Vec<(&'f str, Cow<'d, Value>)>> {
        let fields = fields.keys().map(String::as_str);
        match subject {
            Subject::Whole => None,
            Subject::Made(items, position) => {
                let told = items.fields(position, fields)?;
                Some(told.into_iter().map(|(field, value)| (field, Cow::Owned(value))).collect())
            }
            Subject::Member(list, position) => {
                let item = self.member(list, position)?.as_object()?;
                Some(fields.filter_map(|field| Some((field, Cow::Borrowed(item.get(field)?)))).collect())
            }
        }
    }

    /// A template filled in from what it is given here and from the evidence.
    pub(super) fn fill<'n>(
        &self,
        template: &Template,
        extra: impl IntoIterator<Item = (&'n str, Names)>,
    ) -> Option<String> {
        template.render_over(&Names::of(extra), &self.names).ok()
    }
}

/// How a check stands, before waivers and profiles.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) applies: bool,
    pub(super) rung: Rung,
    pub(super) unsure: Option<String>,
    pub(super) evidence: String,
    pub(super) parts: Vec<PartStanding>,
}

/// How a part, or a check without parts, stands.
#[derive(Debug)]
pub(super) struct PartStanding {
    pub(super) part: Option<String>,
    pub(super) rung: Rung,
    pub(super) unsure: Option<String>,
    pub(super) items: Vec<ItemStanding>,
}

/// How one item stands, with what would be said of it.
#[derive(Debug)]
pub(super) struct ItemStanding {
    pub(super) rung: Rung,
    pub(super) unsure: Option<String>,
    pub(super) place: Route,
    pub(super) message: Option<String>,
    /// What to do, where the reason says it.
    pub(super) fix: Option<String>,
    /// Checks that it waits for.
    pub(super) follows: Vec<String>,
}

/// Asks a check; items below `need` get their message.
pub(super) fn stand(check: &Check, evidence: &Evidence<'_>, autonomy: Autonomy, need: Rung) -> Standing {
    let mut trouble = None;
    if let Some(why) = out_of_scope(check, evidence, autonomy, &mut trouble) {
        return beside(why);
    }
    let ceiling = check.ceiling();
    let parts: Vec<PartStanding> =
        check.ladders.iter().filter_map(|ladder| climb(check, ladder, evidence, ceiling, need)).collect();
    let Some(rung) = parts.iter().map(|part| part.rung).min() else {
        return beside("does not apply: there is nothing of its kind in the manifest".to_owned());
    };
    let short = parts.iter().filter(|part| part.rung < need);
    let unsure = trouble.or_else(|| shared_doubt(short.map(|part| part.unsure.as_ref())));
    let evidence = describe(check, evidence, rung, &parts, unsure.as_deref());
    Standing { applies: true, rung, unsure, evidence, parts }
}

/// The first doubt, when all that fall short are in doubt: one clear failure makes the whole a failure.
fn shared_doubt<'a>(doubts: impl Iterator<Item = Option<&'a String>>) -> Option<String> {
    let all: Option<Vec<&String>> = doubts.collect();
    all?.first().map(|doubt| (*doubt).clone())
}

/// How a check stands that is not asked, and why.
pub(super) fn beside(evidence: String) -> Standing {
    Standing { applies: false, rung: Rung::Absent, unsure: None, evidence, parts: Vec::new() }
}

fn out_of_scope(
    check: &Check,
    evidence: &Evidence<'_>,
    autonomy: Autonomy,
    trouble: &mut Option<String>,
) -> Option<String> {
    if !check.file.autonomy.contains(&autonomy) {
        return Some(format!("does not apply: the agent is {autonomy}"));
    }
    match check.applies.as_ref()?.test(evidence.scope()) {
        // Where what decides is missing, the check is asked rather than dropped.
        Ok(true) | Err(ExprError::Missing(_)) => None,
        Ok(false) => Some(format!("does not apply: `{}` is false", one_line(check.applies.as_ref()?.source()))),
        Err(error @ (ExprError::Syntax(_) | ExprError::Evaluation(_))) => {
            *trouble = Some(error.to_string());
            None
        }
    }
}

fn climb(check: &Check, ladder: &Ladder, evidence: &Evidence<'_>, ceiling: Rung, need: Rung) -> Option<PartStanding> {
    let found = match &ladder.each {
        None => None,
        Some(each) => match evidence.items(each) {
            Ok(Some(items)) => Some(items),
            Ok(None) => return Some(unasked(ladder, "`each` gives no list".to_owned())),
            Err(ExprError::Missing(name)) => return Some(missing(ladder, &name)),
            Err(error @ (ExprError::Syntax(_) | ExprError::Evaluation(_))) => {
                return Some(unasked(ladder, error.to_string()));
            }
        },
    };
    let bar = (ceiling, need);
    let said = Said::new(ladder);
    let asked = (check, ladder, &said);
    let items: Vec<ItemStanding> = match found.as_deref() {
        None => vec![ask(asked, evidence, (evidence.scope().inner(), None, Subject::Whole), bar)],
        Some(Found::Made(items)) => {
            let shown = |position: usize| {
                let item = items.item("it", position)?;
                let about = (evidence.scope().showing(&item), Some(&item), Subject::Made(items, position));
                Some(ask(asked, evidence, about, bar))
            };
            (0..items.len()).filter_map(shown).collect()
        }
        Some(Found::Members(list, positions)) => {
            let members = evidence.scope().members(list);
            let shown = |position: &usize| {
                let item = members?.item("it", *position)?;
                let about = (evidence.scope().showing(&item), Some(&item), Subject::Member(list, *position));
                Some(ask(asked, evidence, about, bar))
            };
            positions.iter().filter_map(shown).collect()
        }
    };
    let rung = items.iter().map(|item| item.rung).min()?;
    let unsure = shared_doubt(items.iter().filter(|item| item.rung < need).map(|item| item.unsure.as_ref()));
    Some(PartStanding { part: ladder.part.clone(), rung, unsure, items })
}

fn unasked(ladder: &Ladder, why: String) -> PartStanding {
    let item = ItemStanding {
        rung: Rung::Absent,
        unsure: Some(why.clone()),
        place: ladder.place.clone(),
        message: None,
        fix: None,
        follows: Vec::new(),
    };
    PartStanding { part: ladder.part.clone(), rung: Rung::Absent, unsure: Some(why), items: vec![item] }
}

fn missing(ladder: &Ladder, name: &str) -> PartStanding {
    let message = Some(format!("{name} is not given"));
    let item = ItemStanding {
        rung: Rung::Absent,
        unsure: None,
        place: ladder.place.clone(),
        message,
        fix: None,
        follows: Vec::new(),
    };
    PartStanding { part: ladder.part.clone(), rung: Rung::Absent, unsure: None, items: vec![item] }
}

/// What a check is asked of.
#[derive(Clone, Copy)]
pub(super) enum Subject<'a> {
    /// The evidence.
    Whole,
    /// An item of a list that an expression made.
    Made(&'a Made<'a>, usize),
    /// A member of one of the document's lists.
    Member(&'a str, usize),
}

/// What was answered of one item and holds for others: of a question that does not mention the item, or of items alike in
/// all that it reads, and what a message says of items that differ in what it prints alone.
pub(super) struct Said {
    answers: RefCell<BTreeMap<(Question, Rung), Result<bool, ExprError>>>,
    pub(super) messages: RefCell<BTreeMap<Told, Draft>>,
    of_items: BTreeMap<Question, Alike>,
}

/// An expression of a ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Question {
    Refuted,
    Declared,
    Verified,
    Proven,
    Inconclusive,
    Follows(usize),
    Reason(usize),
}

impl Said {
    fn new(ladder: &Ladder) -> Self {
        let rungs = [
            (Question::Refuted, &ladder.refuted),
            (Question::Declared, &ladder.declared),
            (Question::Verified, &ladder.verified),
            (Question::Proven, &ladder.proven),
            (Question::Inconclusive, &ladder.inconclusive),
        ];
        let rungs = rungs.into_iter().filter_map(|(question, expr)| Some((question, expr.as_ref()?)));
        let follows = ladder.follows.iter().enumerate().map(|(at, (_, when))| (Question::Follows(at), when));
        let reasons = ladder.reasons.iter().enumerate().map(|(at, reason)| (Question::Reason(at), &reason.when));
        let all = rungs.chain(follows).chain(reasons).filter(|(_, expr)| expr.mentions("it"));
        let of_items = all.map(|(question, expr)| (question, Alike::new(expr, "it"))).collect();
        Self { answers: RefCell::default(), messages: RefCell::default(), of_items }
    }
}

fn ask(
    (check, ladder, said): (&Check, &Ladder, &Said),
    evidence: &Evidence<'_>,
    (scope, item, subject): (Scope<'_>, Option<&Item<'_>>, Subject<'_>),
    (ceiling, need): (Rung, Rung),
) -> ItemStanding {
    let mut questions = Questions { scope, item, said, rung: Rung::Absent, trouble: None };
    let rung = questions.climbed(ladder).min(ceiling);
    questions.rung = rung;
    if ladder.inconclusive.is_some() || !ladder.follows.is_empty() || !ladder.reasons.is_empty() {
        questions.scope.set("rung", &json!(rung.word()));
    }
    let unsure = (questions.holds(Question::Inconclusive, ladder.inconclusive.as_ref()) == Some(true))
        .then(|| check.file.waits.clone().unwrap_or_else(|| "the gate could not tell".to_owned()));
    let unsure = questions.trouble.take().or(unsure).filter(|_| rung != Rung::Refuted);
    let follows = ladder.follows.iter().enumerate();
    let follows =
        follows.filter(|(at, (_, when))| rung < need && questions.answer(Question::Follows(*at), when) == Ok(true));
    let follows = follows.map(|(_, (id, _))| id.clone()).collect();
    let reasons = ladder.reasons.iter().enumerate();
    let reason = reasons.filter(|_| rung < need).find(|(at, reason)| {
        let held = questions.answer(Question::Reason(*at), &reason.when);
        held == Ok(true)
    });
    let message = (rung < need).then(|| message((check, ladder, said), evidence, subject, (rung, reason)));
    let at = match subject {
        Subject::Whole => None,
        Subject::Made(items, position) => items.text(position, "at"),
        Subject::Member(list, position) => evidence.member(list, position).and_then(|item| item.get("at")?.as_str()),
    };
    let fix = reason.and_then(|(_, reason)| reason.fix.clone());
    let waits_for_run = unsure.is_some() && ladder.above(rung, need).next().is_some_and(|(_, of_run)| of_run);
    let fix = fix.or_else(|| {
        (waits_for_run && !evidence.is_live()).then(|| run_fix(check, ladder.above(rung, Rung::Proven).count() > 1))
    });
    ItemStanding { rung, unsure, place: at.map_or_else(|| ladder.place.clone(), Route::pointer), message, fix, follows }
}

struct Questions<'s> {
    scope: Scope<'s>,
    item: Option<&'s Item<'s>>,
    said: &'s Said,
    /// The rung that expressions see by its name.
    rung: Rung,
    trouble: Option<String>,
}

impl Questions<'_> {
    fn climbed(&mut self, ladder: &Ladder) -> Rung {
        if self.holds(Question::Refuted, ladder.refuted.as_ref()) == Some(true) {
            return Rung::Refuted;
        }
        let steps = [
            (Question::Declared, &ladder.declared, Rung::Declared),
            (Question::Verified, &ladder.verified, Rung::Verified),
            (Question::Proven, &ladder.proven, Rung::Proven),
        ];
        let mut reached = Rung::Absent;
        for (question, expr, rung) in steps {
            match self.holds(question, expr.as_ref()) {
                Some(true) => reached = rung,
                Some(false) => return reached,
                // A rung that the check leaves out is no hurdle.
                None => {}
            }
        }
        reached
    }

    fn holds(&mut self, question: Question, expr: Option<&Expr>) -> Option<bool> {
        let expr = expr?;
        Some(match self.answer(question, expr) {
            Ok(answer) => answer,
            Err(ExprError::Missing(_)) => false,
            Err(error @ (ExprError::Syntax(_) | ExprError::Evaluation(_))) => {
                self.trouble = Some(format!("`{}` could not be evaluated: {error}", one_line(expr.source())));
                false
            }
        })
    }

    fn answer(&self, question: Question, expr: &Expr) -> Result<bool, ExprError> {
        if let Some(alike) = self.said.of_items.get(&question) {
            let Some(item) = self.item else { return expr.test(&self.scope) };
            return alike.test(expr, (&self.scope, item), self.rung.word());
        }
        let key = (question, self.rung);
        if let Some(known) = self.said.answers.borrow().get(&key) {
            return known.clone();
        }
        let answer = expr.test(&self.scope);
        self.said.answers.borrow_mut().insert(key, answer.clone());
        answer
    }
}
