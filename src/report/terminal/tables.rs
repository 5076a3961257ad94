//! Numbers of the run as plain ASCII tables: trials by suite, metrics, rungs by area.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::{super::numbers, Sheet};
use crate::verdict::Report;

/// Metrics shown at most.
const METRICS: usize = 40;
/// Areas and suites shown at most.
const ROWS: usize = 20;

/// Planned trials by grade, and scenarios by suite.
pub(super) fn trials(report: &Report, sheet: &mut Sheet) {
    sheet.heading("Trials");
    sheet.text(0, &numbers::trials_line(report));
    if let Some(line) = numbers::adversarial_line(report) {
        sheet.text(0, &line);
    }
    if !report.scenarios.is_empty() {
        table(sheet, numbers::SUITE_HEADER, numbers::suite_rows(&report.scenarios).into_iter().take(ROWS), 1);
    }
}

/// Metrics with what stands behind them.
pub(super) fn metrics(report: &Report, sheet: &mut Sheet) {
    if report.metrics.is_empty() {
        return;
    }
    sheet.heading("Metrics");
    let rows = report.metrics.iter().take(METRICS).map(|(name, metric)| numbers::metric_row(name, metric));
    table(sheet, numbers::METRIC_HEADER, rows, 1);
    sheet.more(report.metrics.len().saturating_sub(METRICS), "metrics");
}

/// How far each area of the checklist is shown.
pub(super) fn ladder(report: &Report, sheet: &mut Sheet) {
    let rows = numbers::ladder_rows(&report.ladder);
    if rows.is_empty() {
        return;
    }
    sheet.heading("Checks by area");
    let left = rows.len().saturating_sub(ROWS);
    table(sheet, numbers::LADDER_HEADER, rows.into_iter().take(ROWS), 1);
    sheet.text(0, numbers::LADDER_LEGEND);
    sheet.more(left, "areas");
}

/// A table whose columns after the first `left` are aligned to the right.
fn table<const N: usize>(sheet: &mut Sheet, header: [&str; N], rows: impl Iterator<Item = [String; N]>, left: usize) {
    let mut table = Table::new();
    table
        .load_style(presets::ASCII_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(u16::try_from(sheet.width()).unwrap_or(u16::MAX))
        .set_header(header);
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(left) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    sheet.lines(&table.trim_fmt());
}
