//! Markdown for a step summary or a comment on a pull request: verdict, reasons, numbers, findings, failures.
//!
//! Never longer than [`SIZE_LIMIT`]: lists are cut from their mild end and say how many entries were left out.
//! Foreign text reaches the page through `prose` and `code` alone, so nothing of it renders.

mod escape;

use std::io::{self, Write};

use self::escape::{code, fenced, prose};
use super::{Format, Report, Style, attacks, foreign, mismatch, numbers};
use crate::verdict::{Failure, Finding, ToGo};

pub(super) const FORMAT: Format =
    Format { name: "markdown", about: "for a step summary or a pull request comment, at most 60 kB", render };

/// Largest page in bytes; GitHub takes comments of 65,536 characters.
const SIZE_LIMIT: usize = 60_000;
/// Kept free for the lines that say what was left out.
const RESERVE: usize = 1_000;
/// Worst attacks whose timeline is told.
const TIMELINES: usize = 3;
/// Lines of one difference.
const DIFF_LINES: usize = 40;

fn render(report: &Report, out: &mut dyn Write, _style: &Style) -> io::Result<()> {
    let mut page = Page::default();
    head(report, &mut page);
    page.list(
        "### What blocks",
        "reasons",
        report.verdict.reasons.iter().map(|reason| format!("- {}\n", prose(reason))),
    );
    page.list(
        "### Waivers",
        "waivers",
        report.waivers.iter().map(|w| {
            format!(
                "- {} {} until {}, approved by {}: {}\n",
                prose(&w.state),
                code(&w.check),
                prose(&w.expires),
                prose(&w.approved_by),
                prose(&w.reason)
            )
        }),
    );
    to_go(report, &mut page);
    attacks_of(report, &mut page);
    drills(report, &mut page);
    metrics(report, &mut page);
    checks(report, &mut page);
    let count = report.findings.len();
    page.list(&format!("### Findings ({count})"), "findings", report.findings.iter().map(finding));
    failures(report, &mut page);
    page.list("### Notes", "notes", report.notes.iter().map(|note| format!("- {}\n", prose(note))));
    foot(report, &mut page);
    out.write_all(foreign::without_command_lines(&page.out).as_bytes())
}

fn head(report: &Report, page: &mut Page) {
    let verdict = &report.verdict;
    let profiles = verdict.profiles.iter().take(10).map(|profile| code(profile)).collect::<Vec<_>>().join(", ");
    page.add(format!("## {}\n\n", verdict.decision.word()));
    page.add(format!(
        "Agent {} ({}), profiles {profiles}, exit code {}.\n{}.\n",
        prose(&report.agent.name),
        prose(&report.agent.autonomy),
        verdict.exit_code,
        prose(&numbers::trials_line(report)),
    ));
    if let Some(line) = numbers::adversarial_line(report) {
        page.add(format!("{}.\n", prose(&line)));
    }
}

fn to_go(report: &Report, page: &mut Page) {
    let ToGo { edits, run, remains } = &report.to_go;
    let names = |checks: &[String]| checks.iter().map(|check| code(check)).collect::<Vec<_>>().join(", ");
    page.list(
        &format!("### The way to GO: {}", numbers::way(&report.to_go)),
        "changes",
        edits.iter().enumerate().map(|(nth, edit)| {
            let fixes: Vec<String> = edit.fixes.iter().map(|fix| prose(fix)).collect();
            format!("{}. {}: {}\n", nth + 1, names(&edit.checks), fixes.join(" "))
        }),
    );
    if !run.is_empty() {
        page.add(format!("\nOnly a run of the agent can tell: {}.\n", names(run)));
    }
    if !edits.is_empty() || !run.is_empty() {
        page.list("What else has to go", "reasons", remains.iter().map(|reason| format!("- {}\n", prose(reason))));
    }
}

fn attacks_of(report: &Report, page: &mut Page) {
    let Some(told) = &report.attacks else { return };
    page.add(format!("\n### Attacks\n\n{}.\n", prose(&attacks::line(told))));
    let worst = told.worst.iter().enumerate().map(|(nth, attack)| {
        // A page is for the worst; the others can be seen again.
        let shown = attacks::timeline(attack).take(if nth < TIMELINES { usize::MAX } else { 0 });
        let timeline: Vec<String> =
            shown.map(|[what, text]| format!("  - {}: {}\n", prose(&what), code(&text))).collect();
        let again: Vec<String> = attacks::again(report, attack).iter().map(|command| code(command)).collect();
        let (grade, scenario) = (code(attack.grade.name()), code(&attack.scenario));
        format!(
            "- {grade} {scenario}: {}. Again: {}\n{}",
            prose(&attacks::made_of(attack)),
            again.join(" or "),
            timeline.concat()
        )
    });
    page.list("Worst first", "attacks", worst);
    let title = format!(
        "<details><summary>Attacks by goal, carrier, technique, encoding and control</summary>\n\n{}",
        header(&attacks::HEADER)
    );
    page.list(&title, "rows", attacks::rows(told, true).into_iter().map(|cells| row(&cells)));
    page.close("\n</details>\n");
}

fn drills(report: &Report, page: &mut Page) {
    let Some(line) = numbers::drills_line(report) else { return };
    page.add(format!("\n### Drills with a scripted model\n\n{}.\n", prose(&line)));
    let told = numbers::drills_told(report);
    page.list("Not held", "cases", told.iter().map(|line| format!("- {}\n", prose(line))));
}

fn metrics(report: &Report, page: &mut Page) {
    let rows = report.metrics.iter().map(|(name, metric)| row(&numbers::metric_row(name, metric)));
    page.list(&format!("### Metrics\n\n{}", header(&numbers::METRIC_HEADER)), "metrics", rows);
    let rows = numbers::suite_rows(&report.scenarios).into_iter().map(|cells| row(&cells));
    page.list(&format!("### Scenarios\n\n{}", header(&numbers::SUITE_HEADER)), "suites", rows);
}

fn checks(report: &Report, page: &mut Page) {
    let rows = numbers::ladder_rows(&report.ladder).into_iter().map(|[area, numbers @ .., bar]| {
        let cells: Vec<String> = std::iter::once(area).chain(numbers).collect();
        format!("{} `{bar}` |\n", row(&cells).trim_end())
    });
    let title = format!("### Checks by area\n\n`{}`\n\n{}", numbers::LADDER_LEGEND, header(&numbers::LADDER_HEADER));
    page.list(&title, "areas", rows);
}

fn header(words: &[&str]) -> String {
    let rule: Vec<&str> = words.iter().enumerate().map(|(nth, _)| if nth == 0 { "---" } else { "---:" }).collect();
    format!("| {} |\n| {} |", words.join(" | "), rule.join(" | "))
}

fn row(cells: &[String]) -> String {
    let cell = |cell: &String| match cell.as_str() {
        "-" | "." => cell.clone(),
        text => prose(text).replace('|', "\\|"),
    };
    let cells: Vec<String> = cells.iter().map(cell).collect();
    format!("| {} |\n", cells.join(" | "))
}

fn finding(finding: &Finding) -> String {
    let advice = if finding.blocks { "" } else { ", does not block" };
    let also = match finding.also.len() {
        0 => String::new(),
        _ => format!("\n  Open for the same cause: {}", prose(&finding.also.join(", "))),
    };
    format!(
        "- {} ({}{advice}) at {}: {}{also}\n  Fix: {}\n",
        code(&finding.check),
        prose(&finding.severity),
        code(&finding.location.to_string()),
        prose(&finding.message),
        prose(&finding.fix)
    )
}

fn failures(report: &Report, page: &mut Page) {
    if report.failures.is_empty() {
        return;
    }
    let title = format!("<details><summary>Failures ({}), worst first</summary>", report.failures.len());
    page.list(&title, "failures", report.failures.iter().map(failure));
    page.close("\n</details>\n");
}

fn failure(failure: &Failure) -> String {
    let head = format!(
        "- {} {} trial {} at {}: {}\n",
        code(failure.grade.name()),
        code(&numbers::failure_name(failure)),
        failure.trial,
        code(&failure.location.to_string()),
        prose(&failure.reason)
    );
    let (expected, actual) = (failure.expected.as_deref(), failure.actual.as_deref());
    if expected.is_none() && actual.is_none() {
        return head;
    }
    let sides = match (expected, actual) {
        (Some(expected), Some(actual)) if expected.lines().count() > 1 || actual.lines().count() > 1 => {
            mismatch::lines(expected, actual, DIFF_LINES)
        }
        (expected, actual) => [(mismatch::Side::Expected, expected), (mismatch::Side::Actual, actual)]
            .into_iter()
            .filter_map(|(side, text)| text.map(|text| (side, foreign::line(text))))
            .collect(),
    };
    let lines: Vec<String> = sides.iter().map(|(side, text)| format!("{} {text}", side.sign())).collect();
    format!("{head}\n{}\n", fenced("diff", &lines, 2))
}

fn foot(report: &Report, page: &mut Page) {
    let run = &report.run;
    let record = run.record.as_ref().map_or_else(String::new, |record| format!(", record {}", code(record)));
    page.close(&format!(
        "\n{} {}, run {}, manifest {}, {}, seed {}{record}.\nNext: {}\n",
        prose(&report.tool.name),
        prose(&report.tool.version),
        code(&run.id),
        code(&run.manifest.path),
        numbers::wall_time(run.duration_ms),
        run.seed,
        code(&numbers::next_command(report))
    ));
}

/// Text that knows how much room is left.
#[derive(Default)]
struct Page {
    out: String,
}

impl Page {
    /// Adds text if it fits.
    fn add(&mut self, text: impl AsRef<str>) -> bool {
        let fits = self.out.len() + text.as_ref().len() + 2 * RESERVE <= SIZE_LIMIT;
        if fits {
            self.out.push_str(text.as_ref());
        }
        fits
    }

    /// Adds text out of the reserve.
    fn close(&mut self, text: &str) {
        if self.out.len() + text.len() <= SIZE_LIMIT {
            self.out.push_str(text);
        }
    }

    /// Adds a list under a title, as much of it as fits.
    fn list(&mut self, title: &str, what: &str, entries: impl ExactSizeIterator<Item = String>) {
        let total = entries.len();
        if total == 0 {
            return;
        }
        let gap = if title.ends_with('|') { "\n" } else { "\n\n" };
        self.add(format!("\n{title}{gap}"));
        let added = entries.take_while(|entry| self.add(entry)).count();
        if added < total {
            self.close(&format!("\n{} more {what} left out; the json format has them all.\n", total - added));
        }
    }
}
