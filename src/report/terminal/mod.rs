//! The report for a person at a terminal or in a CI log: verdict, what blocks, numbers, what next.
//!
//! Fits about two screens: lists are capped and say what they leave out. Only colour escapes of its own, and only
//! when the style allows them; tables are plain ASCII.

mod blocking;
mod sheet;
mod snippet;
mod tables;

use std::io::{self, Write};

use anstyle::{AnsiColor, Style as Ansi};

use self::sheet::Sheet;
use super::{Format, Report, Style, foreign, numbers};
use crate::verdict::{Decision, Waiver};

pub(super) const FORMAT: Format =
    Format { name: "terminal", about: "for people: verdict, what blocks, numbers", render };

/// Notes shown at most.
const NOTES: usize = 12;

fn render(report: &Report, out: &mut dyn Write, style: &Style) -> io::Result<()> {
    let mut sheet = Sheet::new(*style);
    verdict(report, &mut sheet);
    waivers(report, &mut sheet);
    blocking::reasons(report, &mut sheet);
    blocking::to_go(report, &mut sheet);
    blocking::findings(report, &mut sheet);
    blocking::failures(report, &mut sheet);
    tables::trials(report, &mut sheet);
    tables::attacks(report, &mut sheet);
    tables::drills(report, &mut sheet);
    tables::metrics(report, &mut sheet);
    tables::ladder(report, &mut sheet);
    sources(report, &mut sheet);
    notes(report, &mut sheet);
    next(report, &mut sheet);
    out.write_all(sheet.finish().as_bytes())
}

fn verdict(report: &Report, sheet: &mut Sheet) {
    let (color, word) = match report.verdict.decision {
        Decision::Go => (AnsiColor::Green, "GO"),
        Decision::GoWithWaivers => (AnsiColor::Green, "GO-WITH-WAIVERS"),
        Decision::NoGo => (AnsiColor::Red, "NO-GO"),
        Decision::Inconclusive => (AnsiColor::Yellow, "INCONCLUSIVE"),
    };
    let rule = "=".repeat(sheet.width());
    let profiles = foreign::line_of(&report.verdict.profiles.join(", "), 120);
    let paint = Ansi::new().bold().fg_color(Some(color.into()));
    sheet.painted(&rule, paint);
    sheet.painted(&format!("  {word}   exit code {}   profiles: {profiles}", report.verdict.exit_code), paint);
    sheet.painted(&rule, paint);
    let (run, tool) = (&report.run, &report.tool);
    let agent =
        format!("{} ({})", foreign::line_of(&report.agent.name, 80), foreign::line_of(&report.agent.autonomy, 40));
    sheet.text(0, &format!("agent {agent}, manifest {}", foreign::line_of(&run.manifest.path, 160)));
    sheet.text(
        0,
        &format!(
            "{} {}, run {}, {}, seed {}, tool calls attributed by: {}",
            foreign::line_of(&tool.name, 40),
            foreign::line_of(&tool.version, 40),
            foreign::line_of(&run.id, 80),
            numbers::wall_time(run.duration_ms),
            run.seed,
            foreign::line_of(&run.correlation, 40)
        ),
    );
}

fn waivers(report: &Report, sheet: &mut Sheet) {
    if report.waivers.is_empty() {
        return;
    }
    sheet.heading("Waivers");
    let (shown, left) = report.waivers.split_at(report.waivers.len().min(sheet.at_most(10)));
    for Waiver { check, reason, approved_by, expires, state } in shown {
        let [check, reason, approved_by, expires, state] =
            [check, reason, approved_by, expires, state].map(|t| foreign::line(t));
        sheet.item(&format!("{state}: {check} until {expires}, approved by {approved_by}: {reason}"));
    }
    sheet.more(left.len(), "waivers");
}

fn notes(report: &Report, sheet: &mut Sheet) {
    if report.notes.is_empty() {
        return;
    }
    sheet.heading("Notes");
    let (shown, left) = report.notes.split_at(report.notes.len().min(sheet.at_most(NOTES)));
    for note in shown {
        sheet.item(&foreign::line(note));
    }
    sheet.more(left.len(), "notes");
}

/// Sources that are old, that nobody keeps, or that others gave; all of them stand in the JSON report.
fn sources(report: &Report, sheet: &mut Sheet) {
    let told: Vec<String> = report.sources.iter().filter_map(numbers::source).collect();
    if told.is_empty() || !sheet.style().verbose {
        return;
    }
    let all = report.sources.len();
    sheet.heading(&format!("Sources of the facts ({all}); those that are old, fetched or not committed"));
    for line in &told {
        sheet.item(line);
    }
}

fn next(report: &Report, sheet: &mut Sheet) {
    sheet.gap();
    if let Some(record) = &report.run.record {
        sheet.text(0, &format!("record: {}", foreign::line_of(record, 200)));
    }
    let steps = numbers::next_steps(report);
    let widest = steps.iter().map(|(command, _)| command.chars().count()).max().unwrap_or_default();
    for (nth, (command, about)) in steps.iter().enumerate() {
        let word = if nth == 0 { "next:   " } else { "        " };
        let line = format!("{word}{command:<widest$}   {about}");
        if line.chars().count() <= sheet.width() {
            sheet.text(0, &line);
        } else {
            sheet.hanging(0, word, command);
        }
    }
}
