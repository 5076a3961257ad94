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
use crate::verdict::{Failure, Finding, Report, ToGo};

/// Entries shown of each list.
const CAP: usize = 10;
/// Names shown of the findings that are folded into one.
const NAMES: usize = 12;
/// Lines shown of one difference.
const DIFF_LINES: usize = 10;

/// Why the verdict is not GO.
pub(super) fn reasons(report: &Report, sheet: &mut Sheet) {
    if report.verdict.reasons.is_empty() {
        return;
    }
    sheet.heading("What blocks");
    let (shown, left) = capped(&report.verdict.reasons);
    for reason in shown {
        sheet.item(&foreign::line(reason));
    }
    sheet.more(left, "reasons");
}

/// What would turn the verdict, what unblocks most first.
pub(super) fn to_go(report: &Report, sheet: &mut Sheet) {
    let ToGo { edits, run, remains } = &report.to_go;
    if edits.is_empty() && run.is_empty() {
        return;
    }
    sheet.heading(&format!("The way to GO: {}", numbers::way(&report.to_go)));
    let (shown, left) = capped(edits);
    for (nth, edit) in shown.enumerate() {
        let checks = foreign::line(&edit.checks.join(", "));
        sheet.hanging(1, &format!("{:>2}. ", nth + 1), &checks);
        edit.fixes.iter().for_each(|fix| sheet.text(5, &foreign::line(fix)));
    }
    sheet.more(left, "changes");
    if !run.is_empty() {
        sheet.item(&format!("only a run of the agent can tell: {}", foreign::line(&run.join(", "))));
    }
    let (shown, left) = capped(remains);
    for reason in shown {
        sheet.item(&format!("what else has to go: {}", foreign::line(reason)));
    }
    sheet.more(left, "reasons");
}

/// Checks below the rung they need, at their place; findings of one check are folded into its first.
pub(super) fn findings(report: &Report, sheet: &mut Sheet) {
    if report.findings.is_empty() {
        return;
    }
    sheet.heading(&format!("Findings ({})", report.findings.len()));
    let folds = folds(&report.findings);
    for (first, others) in folds.iter().take(CAP) {
        let more = (!others.is_empty()).then(|| folded(first, others));
        sheet.gap();
        let text = snippet::finding(first, more.as_deref(), sheet.style());
        sheet.lines(&text);
    }
    let left: usize = folds.iter().skip(CAP).map(|(_, others)| 1 + others.len()).sum();
    if left > 0 {
        sheet.gap();
    }
    sheet.more(left, "findings");
}

/// The findings by check and what to do, in the order in which each check comes first.
fn folds(findings: &[Finding]) -> Vec<(&Finding, Vec<&Finding>)> {
    let mut places: BTreeMap<(&str, &str, bool), usize> = BTreeMap::new();
    let mut folds: Vec<(&Finding, Vec<&Finding>)> = Vec::new();
    for finding in findings {
        let place = *places.entry((whole(&finding.check), &finding.fix, finding.blocks)).or_insert(folds.len());
        match folds.get_mut(place) {
            Some((_, others)) => others.push(finding),
            None => folds.push((finding, Vec::new())),
        }
    }
    folds
}

/// The check without its part.
fn whole(check: &str) -> &str {
    check.split_once('#').map_or(check, |(check, _)| check)
}

/// What is folded into a finding, by the part where it is another one, else by the first word in which its place differs.
fn folded(first: &Finding, others: &[&Finding]) -> String {
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
    foreign::line(&format!("… and {} more: {}{more}", others.len(), names.join(", ")))
}

/// Trials that did not pass.
pub(super) fn failures(report: &Report, sheet: &mut Sheet) {
    if report.failures.is_empty() {
        return;
    }
    sheet.heading(&format!("Failures ({})", report.failures.len()));
    let (shown, left) = capped(&report.failures);
    for failure in shown {
        let place = foreign::line_of(&failure.location.to_string(), 200);
        let name = numbers::failure_name(failure);
        sheet.text(2, &format!("{}  {name}  trial {}  {place}", failure.grade.name(), failure.trial));
        sheet.text(6, &foreign::line(&failure.reason));
        difference(failure, sheet);
    }
    sheet.more(left, "failures");
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

fn capped<T>(list: &[T]) -> (impl Iterator<Item = &T>, usize) {
    (list.iter().take(CAP), list.len().saturating_sub(CAP))
}
