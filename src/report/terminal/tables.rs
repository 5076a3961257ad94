//! Numbers of the run as plain ASCII tables: trials by suite, metrics, rungs by area.

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, Width, presets};

use super::{
    super::{attacks, foreign, numbers},
    Sheet,
};
use crate::verdict::Report;

/// Metrics shown at most.
const METRICS: usize = 40;
/// Rows and worst cases of attacks shown at most.
const ATTACKS: usize = 8;
const WORST: usize = 3;
/// Areas and suites shown at most.
const ROWS: usize = 20;
/// Columns from which the bars of the ladder have room.
const WIDE: usize = 100;
/// The header of the suites' table, its words short.
const SUITES: [&str; 9] = ["suite", "all", "pass", "fail A", "fail B", "fail C", "error", "not exposed", "skipped"];

/// Planned trials by grade, and scenarios by suite.
pub(super) fn trials(report: &Report, sheet: &mut Sheet) {
    if report.trials.planned == 0 && report.scenarios.is_empty() {
        return;
    }
    sheet.heading("Trials");
    sheet.text(0, &numbers::trials_line(report));
    if let Some(line) = numbers::adversarial_line(report) {
        sheet.text(0, &line);
    }
    if !report.scenarios.is_empty() && is_told(report, sheet) {
        table(sheet, SUITES, numbers::suite_rows(&report.scenarios).into_iter().take(ROWS), 1);
    }
}

/// How attacks came out: what went wrong, worst first, and how to see it again.
pub(super) fn attacks(report: &Report, sheet: &mut Sheet) {
    let Some(told) = report.attacks.as_ref().filter(|_| is_told(report, sheet)) else { return };
    sheet.heading("Attacks");
    sheet.text(0, &attacks::line(told));
    let rows = attacks::rows(told, sheet.style().verbose);
    let (shown, of) = (sheet.at_most(ATTACKS), rows.len());
    if of > 0 {
        table(sheet, attacks::HEADER, rows.into_iter().take(shown), 1);
    }
    sheet.more(of.saturating_sub(shown), "rows");
    for attack in told.worst.iter().take(sheet.at_most(WORST)) {
        let scenario = foreign::line_of(&attack.scenario, 160);
        sheet.item(&format!("{}  {scenario}: {}", attack.grade.name(), attacks::made_of(attack)));
    }
    if let Some(first) = told.worst.first() {
        for [what, text] in attacks::timeline(first) {
            sheet.hanging(4, &format!("{what:<6} "), &text);
        }
        for command in attacks::again(report, first) {
            sheet.text(4, &command);
        }
    }
}

/// Drills that did not hold, and how many did.
pub(super) fn drills(report: &Report, sheet: &mut Sheet) {
    let Some(line) = numbers::drills_line(report).filter(|_| is_told(report, sheet)) else { return };
    sheet.heading("Drills with a scripted model");
    sheet.text(0, &line);
    let told = numbers::drills_told(report);
    let shown = sheet.at_most(ROWS);
    for line in told.iter().take(shown) {
        sheet.item(&foreign::line(line));
    }
    sheet.more(told.len().saturating_sub(shown), "cases");
}

/// Metrics with what stands behind them.
pub(super) fn metrics(report: &Report, sheet: &mut Sheet) {
    if report.metrics.is_empty() || !is_told(report, sheet) {
        return;
    }
    sheet.heading("Metrics");
    let rows =
        report.metrics.iter().take(sheet.at_most(METRICS)).map(|(name, metric)| numbers::metric_row(name, metric));
    table(sheet, numbers::METRIC_HEADER, rows, 1);
    sheet.more(report.metrics.len().saturating_sub(sheet.at_most(METRICS)), "metrics");
}

/// Whether the tables of a run say anything: in brief they are left out where no trial came to a verdict.
fn is_told(report: &Report, sheet: &Sheet) -> bool {
    let t = &report.trials;
    sheet.style().verbose || t.pass + t.fail_a + t.fail_b + t.fail_c > 0
}

/// How far each area of the checklist is shown; a narrow page has no room for the bars.
pub(super) fn ladder(report: &Report, sheet: &mut Sheet) {
    let rows = numbers::ladder_rows(&report.ladder);
    if rows.is_empty() {
        return;
    }
    let shown = sheet.at_most(ROWS);
    let left = rows.len().saturating_sub(shown);
    let rows = rows.into_iter().take(shown);
    if sheet.width() >= WIDE {
        sheet.heading(&format!("Checks by area   {}", numbers::LADDER_LEGEND));
        table(sheet, numbers::LADDER_HEADER, rows, 1);
    } else {
        sheet.heading("Checks by area");
        let without_bar = |[area, checks, declared, verified, proven, needed, short, _]: [String; 8]| {
            [area, checks, declared, verified, proven, needed, short]
        };
        table(
            sheet,
            without_bar(numbers::LADDER_HEADER.map(str::to_owned)).each_ref().map(String::as_str),
            rows.map(without_bar),
            1,
        );
    }
    sheet.more(left, "areas");
}

/// A table whose columns after the first `left` are aligned to the right; no word is broken where all have room.
fn table<const N: usize>(sheet: &mut Sheet, header: [&str; N], rows: impl Iterator<Item = [String; N]>, left: usize) {
    let rows: Vec<[String; N]> = rows.collect();
    let mut longest = header.map(longest_word);
    for row in &rows {
        for (longest, cell) in longest.iter_mut().zip(row) {
            *longest = (*longest).max(longest_word(cell));
        }
    }
    // Each column has a blank on both sides and a line before it, and one line closes the row.
    let fits = longest.iter().sum::<usize>() + 3 * N < sheet.width();
    let mut table = Table::new();
    table
        .load_style(presets::ASCII_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(u16::try_from(sheet.width()).unwrap_or(u16::MAX))
        .set_header(header)
        .add_rows(rows);
    for (column, longest) in table.column_iter_mut().zip(longest) {
        if let Ok(width) = u16::try_from(longest + 2)
            && fits
        {
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(width)));
        }
    }
    for column in table.column_iter_mut().skip(left) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    sheet.lines(&table.trim_fmt());
}

fn longest_word(cell: impl AsRef<str>) -> usize {
    cell.as_ref().split(' ').map(|word| word.chars().count()).max().unwrap_or_default()
}
