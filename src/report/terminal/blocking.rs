//! What stands in the way of GO: reasons, findings and failures, worst first.

use super::{
    super::{
        foreign,
        mismatch::{self, Side},
        numbers,
    },
    Sheet,
};
use crate::verdict::{Failure, Finding, Report};

/// Entries shown of each list.
const CAP: usize = 10;
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

/// Checks below the rung they need, at their place.
pub(super) fn findings(report: &Report, sheet: &mut Sheet) {
    if report.findings.is_empty() {
        return;
    }
    sheet.heading(&format!("Findings ({})", report.findings.len()));
    let (shown, left) = capped(&report.findings);
    let mut advised = None;
    for Finding { check, severity, message, fix, location, blocks } in shown {
        let place = foreign::line_of(&location.to_string(), 200);
        let advice = if *blocks { "" } else { ", does not block" };
        let (severity, check) = (foreign::line_of(severity, 20), foreign::line_of(check, 80));
        sheet.text(2, &format!("{place}  {check} ({severity}{advice})"));
        sheet.text(6, &foreign::line(message));
        if advised != Some(fix) {
            sheet.hanging(6, "fix: ", &foreign::line(fix));
        }
        advised = Some(fix);
    }
    sheet.more(left, "findings");
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
