//! Numbers of the model in words and rows, shared by the formats that people read.

use std::collections::BTreeMap;

use super::foreign;
use crate::{
    grade::Grade,
    verdict::{Area, Decision, Drill, Failure, Metric, Report, Scenario, Source, ToGo},
};

/// Days after which a file that nobody changed is called old.
const OLD_DAYS: u32 = 365;

/// A source of facts in one line, when it is old, was fetched or is not committed.
pub(super) fn source(source: &Source) -> Option<String> {
    let from = foreign::line_of(&source.from, 160);
    let says = match (source.kind.as_str(), source.state.as_deref(), source.age_days) {
        ("address", ..) => {
            let asked = source.asked.as_deref().map(|at| format!("asked {}", foreign::line_of(at, 40)));
            let copy = source.copy_s.map(|copy| format!("answered with a copy made {} before", span(copy)));
            [asked, copy].into_iter().flatten().collect::<Vec<_>>().join(", ")
        }
        ("command", ..) if source.at_latest => "the clone is shallow".to_owned(),
        ("environment", ..) => "a token was read".to_owned(),
        ("file", Some("untracked"), _) => "not under version control".to_owned(),
        ("file", Some("changed"), _) => "changed since the last commit".to_owned(),
        ("file", _, Some(days)) if days > OLD_DAYS && source.by.as_deref() == Some("git") => {
            let on = foreign::line_of(source.on.as_deref().unwrap_or_default(), 20);
            format!("last changed {on}, {days} days ago{}", if source.at_latest { " or more" } else { "" })
        }
        _ => return None,
    };
    let facts = foreign::line_of(&source.facts.join(", "), 120);
    Some(format!("{from}: {says} ({facts})"))
}

/// Seconds as people say them.
fn span(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// A value in its unit.
pub(super) fn quantity(value: f64, unit: &str) -> String {
    match unit {
        "rate" => percent(value),
        "usd" if value.abs() < 0.1 => format!("${value:.4}"),
        "usd" => format!("${value:.2}"),
        "ms" => format!("{value:.0} ms"),
        _ => plain(value),
    }
}

/// A share as a percentage; small ones keep two digits, so that a bound never reads as zero.
pub(super) fn percent(share: f64) -> String {
    let value = share * 100.0;
    if value == 0.0 || (value - value.round()).abs() < 1e-9 {
        format!("{value:.0}%")
    } else if !(1.0..=99.0).contains(&value) {
        format!("{value:.2}%")
    } else {
        format!("{value:.1}%")
    }
}

fn plain(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

/// Header of [`metric_row`].
pub(super) const METRIC_HEADER: [&str; 6] = ["metric", "value", "counted", "95% bound", "asked", "met"];

/// One metric: name, value, numerator of denominator, exact bounds, threshold, met.
pub(super) fn metric_row(name: &str, metric: &Metric) -> [String; 6] {
    let unit = metric.unit.as_str();
    let counted = match (metric.numerator, metric.denominator) {
        (Some(part), Some(whole)) => format!("{} of {}", plain(part), plain(whole)),
        (Some(part), None) => plain(part),
        (None, Some(whole)) => format!("of {}", plain(whole)),
        (None, None) => "-".to_owned(),
    };
    let bounds: Vec<String> = [("at least", metric.lower95), ("at most", metric.upper95)]
        .into_iter()
        .filter_map(|(sign, bound)| bound.map(|bound| format!("{sign} {}", percent(bound))))
        .collect();
    let met = match metric.met {
        Some(true) => "yes",
        Some(false) => "NO",
        None => "-",
    };
    [
        foreign::line_of(name, 80),
        metric.value.map_or_else(|| "not measured".to_owned(), |value| quantity(value, unit)),
        counted,
        if bounds.is_empty() { "-".to_owned() } else { bounds.join(", ") },
        metric.threshold.map_or_else(|| "-".to_owned(), |asked| quantity(asked, unit)),
        met.to_owned(),
    ]
}

/// Header of [`suite_rows`].
pub(super) const SUITE_HEADER: [&str; 9] =
    ["suite", "scenarios", "pass", "fail A", "fail B", "fail C", "error", "not exposed", "skipped"];

/// Scenarios of each suite by their worst grade.
pub(super) fn suite_rows(scenarios: &[Scenario]) -> Vec<[String; 9]> {
    let mut suites: BTreeMap<&str, [u32; 8]> = BTreeMap::new();
    for scenario in scenarios {
        let row = suites.entry(&scenario.suite).or_default();
        for at in [0, column(scenario.grade)] {
            if let Some(cell) = row.get_mut(at) {
                *cell += 1;
            }
        }
    }
    let row = |(suite, counts): (&str, [u32; 8])| {
        let [all, pass, a, b, c, error, not_exposed, skipped] = counts.map(|count| count.to_string());
        [foreign::line_of(suite, 40), all, pass, a, b, c, error, not_exposed, skipped]
    };
    suites.into_iter().map(row).collect()
}

fn column(grade: Grade) -> usize {
    match grade {
        Grade::Pass => 1,
        Grade::FailA => 2,
        Grade::FailB => 3,
        Grade::FailC => 4,
        Grade::ErrorAgent | Grade::ErrorInfra | Grade::ErrorGrader => 5,
        Grade::NotExposed => 6,
        Grade::Skipped => 7,
    }
}

/// Planned trials by grade, those that are not zero.
pub(super) fn trials_line(report: &Report) -> String {
    let t = &report.trials;
    if t.planned == 0 {
        return "no trials were planned: the agent was not tried".to_owned();
    }
    let parts: Vec<String> = [
        (t.pass, "pass"),
        (t.fail_a, "fail A"),
        (t.fail_b, "fail B"),
        (t.fail_c, "fail C"),
        (t.error_agent, "error of the agent"),
        (t.error_infra, "error of the way to it"),
        (t.error_grader, "error of the grader"),
        (t.not_exposed, "not exposed"),
        (t.skipped, "skipped"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, word)| format!("{count} {word}"))
    .collect();
    let blocked = match t.blocked_attempts {
        0 => String::new(),
        blocked => format!("; blocked attempts: {blocked}"),
    };
    format!("{} trials planned = {}{blocked}", t.planned, parts.join(" + "))
}

/// What stands behind the adversarial suite, when there is one.
pub(super) fn adversarial_line(report: &Report) -> Option<String> {
    let suite = &report.suites.adversarial;
    (suite.scenarios + suite.twins > 0).then(|| {
        format!(
            "adversarial: {} attacks of {} distinct families; {} of {} benign twins passed",
            suite.scenarios, suite.clusters, suite.twins_passed, suite.twins
        )
    })
}

/// Header of [`ladder_rows`].
pub(super) const LADDER_HEADER: [&str; 8] =
    ["area", "checks", "declared", "verified", "proven", "needed", "short", "ladder"];

/// What the marks of a ladder's bar mean.
pub(super) const LADDER_LEGEND: &str = "# proven  = verified  - declared  . absent  ! refuted";

/// Columns of a ladder's bar.
const BAR: u32 = 16;

/// Checks of each area that apply: how many reach each rung, how many need one, how many stand too low.
pub(super) fn ladder_rows(areas: &[Area]) -> Vec<[String; 8]> {
    let told = |count: u32| if count == 0 { ".".to_owned() } else { count.to_string() };
    let row = |area: &Area| {
        let short = match (area.short, area.blocking) {
            (0, _) => ".".to_owned(),
            (short, 0) => short.to_string(),
            (short, blocking) => format!("{short} ({blocking} block)"),
        };
        [
            foreign::line_of(&area.area, 40),
            area.checks.to_string(),
            told(area.declared),
            told(area.verified),
            told(area.proven),
            told(area.needed),
            short,
            bar(area),
        ]
    };
    areas.iter().map(row).collect()
}

/// An area's checks from the highest rung to the lowest, to scale; what there is at all is seen.
fn bar(area: &Area) -> String {
    let absent = area.checks.saturating_sub(area.declared).saturating_sub(area.refuted);
    let counts = [
        (area.proven, '#'),
        (area.verified.saturating_sub(area.proven), '='),
        (area.declared.saturating_sub(area.verified), '-'),
        (absent, '.'),
        (area.refuted, '!'),
    ];
    let total: u32 = counts.iter().map(|(count, _)| count).sum::<u32>().max(1);
    let width = |count: u32| if count == 0 { 0 } else { (count.saturating_mul(BAR) / total).max(1) };
    let mut widths = counts.map(|(count, _)| width(count));
    // What rounding left over, or took too much, is the widest part's.
    let widest = widths.iter().enumerate().max_by_key(|(_, width)| **width).map_or(0, |(at, _)| at);
    let sum: u32 = widths.iter().sum();
    if let Some(width) = widths.get_mut(widest) {
        *width = (*width + BAR).saturating_sub(sum);
    }
    counts.iter().zip(widths).flat_map(|((_, mark), width)| std::iter::repeat_n(*mark, width as usize)).collect()
}

/// `1.4 s`, `3 min 20 s`.
pub(super) fn wall_time(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        _ => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1_000),
    }
}

/// How far it is to GO, in a few words.
pub(super) fn way(to_go: &ToGo) -> String {
    let changes = match to_go.edits.len() {
        0 => None,
        1 => Some("1 change".to_owned()),
        many => Some(format!("{many} changes")),
    };
    let after = !to_go.run.is_empty() || to_go.edits.iter().any(|edit| edit.then_run);
    let run = after.then(|| "a run of the agent".to_owned());
    let words: Vec<String> = changes.into_iter().chain(run).collect();
    if words.is_empty() { "what remains".to_owned() } else { words.join(", then ") }
}

/// How many checks stand too low, by area, most first.
pub(super) fn open_checks(to_go: &ToGo) -> String {
    let ids: Vec<&String> = to_go.edits.iter().flat_map(|edit| &edit.checks).chain(&to_go.run).collect();
    let mut areas: BTreeMap<&str, usize> = BTreeMap::new();
    for id in &ids {
        *areas.entry(id.split_once('/').map_or(id.as_str(), |(area, _)| area)).or_default() += 1;
    }
    let mut areas: Vec<(&str, usize)> = areas.into_iter().collect();
    areas.sort_by_key(|(area, count)| (std::cmp::Reverse(*count), *area));
    let mut told: Vec<String> = areas.iter().take(5).map(|(area, count)| format!("{count} {area}")).collect();
    told.extend((areas.len() > 5).then(|| "…".to_owned()));
    let stand = if ids.len() == 1 { "check stands" } else { "checks stand" };
    foreign::line(&format!("{} {stand} below the rung asked for: {}", ids.len(), told.join(", ")))
}

/// Commands that help next, each with what for.
pub(super) fn next_steps(report: &Report) -> Vec<(String, &'static str)> {
    let mut steps = vec![(next_command(report), "")];
    let manifest = is_shell_word(&report.run.manifest.path).then_some(&report.run.manifest.path);
    let is_open = report.verdict.decision == Decision::NoGo || report.verdict.decision == Decision::Inconclusive;
    if !is_open {
        return steps;
    }
    let first = report.to_go.edits.iter().flat_map(|edit| &edit.checks).find(|check| is_shell_word(check));
    if let Some(check) = first {
        let explain = format!("agentready explain {check}");
        if steps.iter().all(|(command, _)| *command != explain) {
            steps.push((explain, ""));
        }
    }
    match (&report.run.record, manifest) {
        (Some(_), _) if is_shell_word(&report.run.id) => {
            steps.push((format!("agentready report {} -v", report.run.id), ""));
        }
        (None, Some(manifest)) => {
            steps.push((format!("agentready check --static -v {manifest}"), ""));
            steps.push((format!("agentready check {manifest}"), ""));
        }
        _ => {}
    }
    steps.dedup();
    for (command, about) in &mut steps {
        *about = if command.contains(" explain ") {
            "why, rungs, examples"
        } else if command.contains(" replay ") {
            "the failed trial as a timeline"
        } else if command.ends_with("markdown") {
            "for a pull request"
        } else if command.contains(" -v") {
            "every finding at its line"
        } else {
            "tries the agent"
        };
    }
    steps
}

/// Where a trial stands: `fail_c  golden/id  trial 0`.
pub(super) fn failure_name(failure: &Failure) -> String {
    format!("{}/{}", foreign::line_of(&failure.suite, 40), foreign::line_of(&failure.scenario, 120))
}

/// The next command that helps, made only of names that a shell takes as they are.
pub(super) fn next_command(report: &Report) -> String {
    let first = report.to_go.edits.iter().flat_map(|edit| &edit.checks).map(String::as_str).next();
    let blocking = report.findings.iter().find(|finding| finding.blocks).map(|finding| finding.check.as_str());
    let blocking = first.or(blocking);
    let failed = report.failures.iter().find(|failure| failure.grade != Grade::Skipped);
    let failed = failed.map(|failure| failure.scenario.as_str());
    match report.verdict.decision {
        Decision::Go | Decision::GoWithWaivers => {
            format!("agentready report {} --format markdown", word_or(&report.run.id, "RUN"))
        }
        Decision::NoGo | Decision::Inconclusive if report.trials.planned == 0 && blocking.is_none() => {
            format!("agentready check {}", word_or(&report.run.manifest.path, "MANIFEST"))
        }
        Decision::NoGo | Decision::Inconclusive => match (failed, blocking) {
            (Some(scenario), _) if is_shell_word(scenario) => {
                format!("agentready replay {} {scenario}", word_or(&report.run.id, "RUN"))
            }
            (_, Some(check)) if is_shell_word(check) => format!("agentready explain {check}"),
            _ => format!("agentready report {} --format markdown", word_or(&report.run.id, "RUN")),
        },
    }
}

fn is_shell_word(text: &str) -> bool {
    text.len() <= 200
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/'))
}

fn word_or<'a>(text: &'a str, otherwise: &'a str) -> &'a str {
    if is_shell_word(text) { text } else { otherwise }
}

/// How many drilled cases held; nothing when nothing was drilled.
pub(super) fn drills_line(report: &Report) -> Option<String> {
    let sum = |of: fn(&Drill) -> u32| report.drills.iter().map(of).sum::<u32>();
    let (cases, held) = (sum(|drill| drill.cases), sum(|drill| drill.held));
    let of = |what: &str, count: usize| format!(", {count} {what}");
    let broken: usize = report.drills.iter().map(|drill| drill.broken.len()).sum();
    let unsure: usize = report.drills.iter().map(|drill| drill.unsure.len()).sum();
    let rest = [("broken", broken), ("show nothing", unsure)].into_iter().filter(|(_, count)| *count > 0);
    let rest: String = rest.map(|(what, count)| of(what, count)).collect();
    let drills = report.drills.iter().filter(|drill| drill.cases > 0).count();
    (cases > 0).then(|| format!("{held} of {cases} cases of {drills} drills held{rest}"))
}

/// Every drilled case that did not hold, what came through first.
pub(super) fn drills_told(report: &Report) -> Vec<String> {
    let of = |word: &'static str, told: fn(&Drill) -> &[String]| {
        report
            .drills
            .iter()
            .flat_map(move |drill| told(drill).iter().map(move |why| format!("{word}  {}: {why}", drill.name)))
    };
    of("broken", |drill| &drill.broken).chain(of("unsure", |drill| &drill.unsure)).collect()
}
