//! What stands in the way of GO: reasons, findings and failures, worst first.

use std::collections::BTreeMap;

use super::{
    super::{
        foreign,
        mismatch::{self, Side},
        numbers,
    },
    Sheet, snippet,
};
use crate::{
    grade::Grade,
    verdict::{Edit, Failure, Finding, Paste, Report, ToGo},
};

/// Reasons shown in brief.
const CAP: usize = 5;
/// Changes shown in brief.
const EDITS: usize = 6;
/// Findings shown in brief, and where failures tell more.
const SNIPPETS: usize = 3;
const FEW: usize = 2;
/// Failures shown in brief.
const FAILURES: usize = 5;
/// Names shown of the findings that are folded into one.
const NAMES: usize = 12;
/// Lines shown of one difference.
const DIFF_LINES: usize = 10;

/// Why the verdict is not GO: in brief what no single check says, and how many checks stand too low.
pub(super) fn reasons(report: &Report, sheet: &mut Sheet) {
    if report.verdict.reasons.is_empty() {
        return;
    }
    sheet.heading("What blocks");
    let way = &report.to_go;
    let has_checks = !way.edits.is_empty() || !way.run.is_empty();
    let brief = has_checks && !sheet.style().verbose;
    let reasons = if brief { &way.remains } else { &report.verdict.reasons };
    let (shown, left) = capped(reasons, sheet.at_most(CAP));
    for reason in shown {
        sheet.item(&foreign::line(reason));
    }
    sheet.more(left, "reasons");
    if brief {
        sheet.item(&numbers::open_checks(way));
    }
}

/// What would turn the verdict, what unblocks most first.
pub(super) fn to_go(report: &Report, sheet: &mut Sheet) {
    let ToGo { edits, run, .. } = &report.to_go;
    if edits.is_empty() && run.is_empty() {
        return;
    }
    sheet.heading(&format!("The way to GO: {}", numbers::way(&report.to_go)));
    let verbose = sheet.style().verbose;
    let (shown, left) = capped(edits, sheet.at_most(EDITS));
    for (nth, edit) in shown.enumerate() {
        let checks = foreign::line(&edit.checks.join(", "));
        let label = format!("{:>2}. ", nth + 1);
        if verbose {
            sheet.hanging(1, &label, &checks);
            edit.fixes.iter().for_each(|fix| sheet.text(5, &foreign::line(fix)));
            apart(&edit.paste).for_each(|paste| pasted(paste, 5, sheet));
        } else {
            sheet.source(1, &format!("{label}{}", headline(edit, report)));
        }
    }
    sheet.more(left, "changes");
    if !run.is_empty() {
        let names = foreign::line_of(&run.join(", "), if verbose { 4_000 } else { 150 });
        sheet.item(&format!("only a run of the agent can tell {}: {names}", run.len()));
    }
}

/// What a change is for, in one line: the title of its first check, and how many others it serves.
fn headline(edit: &Edit, report: &Report) -> String {
    let Some(first) = edit.checks.first() else { return String::new() };
    let others = match edit.checks.len().saturating_sub(1) {
        0 => String::new(),
        others => format!(" and {others} more"),
    };
    let check = report.checks.iter().find(|check| check.id == *first);
    let title = check.map(|check| format!("{}: ", foreign::line(&check.title))).unwrap_or_default();
    format!("{title}{}{others}", foreign::line(first))
}

/// The lines to paste that do not stand in others of the same change, too.
fn apart(pastes: &[Paste]) -> impl Iterator<Item = &Paste> {
    let holds = |one: &Paste, other: &Paste| {
        one.under == other.under && other.text.lines().all(|line| one.text.lines().any(|own| own == line))
    };
    let is_told = move |at: usize, paste: &Paste| {
        let mut others = pastes.iter().enumerate().filter(|(other, _)| *other != at);
        others.any(|(other, one)| holds(one, paste) && (other < at || !holds(paste, one)))
    };
    pastes.iter().enumerate().filter(move |(at, paste)| !is_told(*at, paste)).map(|(_, paste)| paste)
}

/// Lines for the manifest, under a word that says where they belong.
fn pasted(paste: &Paste, indent: usize, sheet: &mut Sheet) {
    let below = match paste.line {
        Some(line) => format!("below `{}` (line {line})", foreign::line_of(&paste.under, 80)),
        None => "in the manifest".to_owned(),
    };
    sheet.text(indent, &format!("{below}, for example:"));
    for line in paste.text.lines() {
        sheet.source(indent + 2, &foreign::unbroken(line));
    }
}

/// Checks below the rung they need, at their place; findings of one check are folded into its first.
pub(super) fn findings(report: &Report, sheet: &mut Sheet) {
    if report.findings.is_empty() {
        return;
    }
    let blocks = report.findings.iter().any(|finding| finding.blocks);
    let none = if blocks { "" } else { "; none of them blocks" };
    sheet.heading(&format!("Findings ({}){none}", report.findings.len()));
    let folds = folds(report);
    let brief = if report.failures.is_empty() { SNIPPETS } else { FEW };
    let shown = sheet.at_most(brief).min(folds.len());
    for Fold { first, others, paste } in folds.iter().take(shown) {
        sheet.gap();
        // What is shown in full is folded nowhere.
        let (listed, more) =
            if sheet.style().verbose { (others.as_slice(), None) } else { (&[][..], folded(first, others)) };
        sheet.lines(&snippet::finding(first, more.as_deref(), sheet.style()));
        for finding in listed {
            // What to do is the same in a fold, and said with its first.
            let other = Finding { fix: String::new(), ..(*finding).clone() };
            sheet.lines(&snippet::finding(&other, None, sheet.style()));
        }
        if let Some(paste) = paste {
            pasted(paste, 3, sheet);
        }
    }
    let left: usize = folds.iter().skip(shown).map(|fold| 1 + fold.others.len()).sum();
    if left > 0 {
        sheet.gap();
    }
    sheet.more(left, "findings");
}

/// Findings of one check that ask for the same.
struct Fold<'a> {
    first: &'a Finding,
    others: Vec<&'a Finding>,
    paste: Option<&'a Paste>,
}

/// The findings by check and what to do: first one of each change, in their order, then as they
/// stand in the report.
fn folds(report: &Report) -> Vec<Fold<'_>> {
    let mut places: BTreeMap<(&str, &str, bool), usize> = BTreeMap::new();
    let mut folds: Vec<Fold<'_>> = Vec::new();
    for finding in &report.findings {
        let check = whole(&finding.check);
        let place = *places.entry((check, &finding.fix, finding.blocks)).or_insert(folds.len());
        if let Some(fold) = folds.get_mut(place) {
            fold.others.push(finding);
        } else {
            let mut pastes = report.to_go.edits.iter().flat_map(|edit| &edit.paste);
            folds.push(Fold { first: finding, others: Vec::new(), paste: pastes.find(|paste| paste.check == check) });
        }
    }
    let edits = report.to_go.edits.iter().enumerate();
    let order: BTreeMap<&str, (usize, usize)> = edits
        .flat_map(|(edit, one)| one.checks.iter().enumerate().map(move |(nth, id)| (id.as_str(), (nth, edit))))
        .collect();
    let last = (usize::MAX, usize::MAX);
    folds.sort_by_key(|fold| order.get(whole(&fold.first.check)).copied().unwrap_or(last));
    folds
}

/// The check without its part.
fn whole(check: &str) -> &str {
    check.split_once('#').map_or(check, |(check, _)| check)
}

/// What is folded into a finding, by the part where it is another one, else by the first word in which its place differs.
fn folded(first: &Finding, others: &[&Finding]) -> Option<String> {
    if others.is_empty() {
        return None;
    }
    let part = |finding: &Finding| finding.check.split_once('#').map(|(_, part)| format!("#{part}"));
    let mut names: Vec<String> = Vec::new();
    for finding in others {
        let other_part = part(finding).filter(|_| finding.check != first.check);
        let (own, place) = (finding.place.split('.'), first.place.split('.').map(Some).chain(std::iter::repeat(None)));
        let differs = own.zip(place).find(|(own, place)| Some(*own) != *place).map(|(own, _)| own.to_owned());
        let name = other_part.or(differs).unwrap_or_else(|| finding.location.to_string());
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let names_left = names.len().saturating_sub(NAMES);
    names.truncate(NAMES);
    let more = if names_left > 0 { format!(", … ({names_left} more)") } else { String::new() };
    Some(foreign::line(&format!("… and {} more: {}{more}", others.len(), names.join(", "))))
}

/// Trials that did not pass.
pub(super) fn failures(report: &Report, sheet: &mut Sheet) {
    if report.failures.is_empty() {
        return;
    }
    sheet.heading(&format!("Failures ({})", report.failures.len()));
    // What never reached the agent is told in one line each, unless everything is asked for.
    let is_quiet = |failure: &&Failure| matches!(failure.grade, Grade::NotExposed | Grade::Skipped);
    let (quiet, told): (Vec<&Failure>, Vec<&Failure>) =
        report.failures.iter().partition(|failure| !sheet.style().verbose && is_quiet(failure));
    let (shown, left) = capped(&told, sheet.at_most(FAILURES));
    for failure in shown {
        let place = foreign::line_of(&failure.location.to_string(), 200);
        let name = numbers::failure_name(failure);
        sheet.text(2, &format!("{}  {name}  trial {}  {place}", failure.grade.name(), failure.trial));
        sheet.text(6, &foreign::line(&failure.reason));
        difference(failure, sheet);
    }
    sheet.more(left, "failures");
    for (grade, means) in [
        (Grade::NotExposed, "the attack never reached the agent in that trial; not a pass"),
        (Grade::Skipped, "planned, and not run"),
    ] {
        let of_grade = || quiet.iter().filter(|failure| failure.grade == grade);
        if let Some(first) = of_grade().next() {
            let (count, first) = (of_grade().count(), numbers::failure_name(first));
            sheet.text(2, &format!("{}  {count} trials, the first {first}: {means}; `-v` names them", grade.name()));
        }
    }
}

fn difference(failure: &Failure, sheet: &mut Sheet) {
    match (&failure.expected, &failure.actual) {
        (Some(expected), Some(actual)) if expected.contains('\n') || actual.contains('\n') => {
            sheet.text(6, "- expected  + seen");
            for (side, text) in mismatch::lines(expected, actual, DIFF_LINES) {
                sheet.difference(6, side.sign(), &text);
            }
        }
        (expected, actual) => {
            if let Some(expected) = expected {
                sheet.difference(6, Side::Expected.sign(), &format!("expected: {}", foreign::line(expected)));
            }
            if let Some(actual) = actual {
                sheet.difference(6, Side::Actual.sign(), &format!("seen:     {}", foreign::line(actual)));
            }
        }
    }
}

fn capped<T>(list: &[T], most: usize) -> (impl Iterator<Item = &T>, usize) {
    (list.iter().take(most), list.len().saturating_sub(most))
}
