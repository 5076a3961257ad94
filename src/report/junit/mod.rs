//! `JUnit` XML for the viewers of CI services: suite `verdict` (one case), `checks` (one case per check), `drills`
//! (one case per drill, where there were any), then one suite per scenario suite (one case per scenario).
//!
//! Wrong is a failure, not known is an error, not tried is skipped; `verdict/gate` says the same as the exit code, so
//! no viewer is all green for NO-GO or INCONCLUSIVE. Text is printable before it gets to `xml`, which writes and escapes.

mod xml;

use std::{
    borrow::Cow,
    collections::BTreeMap,
    io::{self, Write},
    time::Duration,
};

use xml::{Case, Outcome, Suite};

use super::{Format, Report, Style, foreign, numbers};
use crate::{
    grade::Grade,
    source::Location,
    verdict::{Check, Decision, Drill, Failure, Scenario},
};

pub(super) const FORMAT: Format =
    Format { name: "junit", about: "JUnit XML: one test case per check and scenario, for CI viewers", render };

/// Longest text below one test case.
const TEXT_LIMIT: usize = 16_000;
/// Trials of one scenario that are written out.
const TRIALS: usize = 10;

/// Failed trials and findings by the test case they belong to.
type Failures<'a> = BTreeMap<(&'a str, &'a str), Vec<&'a Failure>>;

fn render(report: &Report, out: &mut dyn Write, _style: &Style) -> io::Result<()> {
    let name = foreign::line_of(&report.tool.name, 80);
    let own = [verdict_suite(report), check_suite(report)].into_iter().chain(drill_suite(report));
    let suites: Vec<Suite> = own.chain(scenario_suites(report)).collect();
    xml::write(out, (&name, Duration::from_millis(report.run.duration_ms)), &suites)
}

/// What is said of an outcome: kind, message, and the text below it.
type Words = (String, String, String);

fn case(name: String, class: Cow<'static, str>, (outcome, (kind, message, text)): (Outcome, Words)) -> Case {
    Case { name, class, outcome, kind, message, text, time: None, place: None, out: None }
}

fn verdict_suite(report: &Report) -> Suite {
    let verdict = &report.verdict;
    let word = verdict.decision.word();
    let outcome = match verdict.decision {
        Decision::Go | Decision::GoWithWaivers => Outcome::Success,
        Decision::NoGo => Outcome::Failure,
        Decision::Inconclusive => Outcome::Error,
    };
    let reasons = foreign::block(&verdict.reasons.join("\n"), TEXT_LIMIT);
    let first = verdict.reasons.first().map_or_else(String::new, |reason| format!(": {}", foreign::line(reason)));
    let words = (word.to_owned(), format!("{word}{first}"), reasons);
    let out = format!("{word}, exit code {}\n{}", verdict.exit_code, numbers::trials_line(report));
    let properties = [
        ("run", report.run.id.as_str()),
        ("manifest", report.run.manifest.path.as_str()),
        ("agent", report.agent.name.as_str()),
        ("profiles", &verdict.profiles.join(", ")),
    ];
    let gate = Case {
        time: Some(Duration::from_millis(report.run.duration_ms)),
        out: Some(foreign::block(&out, TEXT_LIMIT)),
        ..case("gate".to_owned(), "verdict".into(), (outcome, words))
    };
    Suite {
        name: "verdict".to_owned(),
        time: None,
        properties: properties.map(|(name, value)| (name, foreign::line(value))).into(),
        cases: vec![gate],
    }
}

fn check_suite(report: &Report) -> Suite {
    let mut findings: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut places: BTreeMap<&str, &Location> = BTreeMap::new();
    for finding in &report.findings {
        // A part has no case of its own: what is found of it belongs to the check.
        let (check, part) = finding.check.split_once('#').unwrap_or((finding.check.as_str(), ""));
        places.entry(check).or_insert(&finding.location);
        let [place, message, fix] =
            [&finding.location.to_string(), &finding.message, &finding.fix].map(|t| foreign::line(t));
        let part = if part.is_empty() { String::new() } else { format!("{}: ", foreign::line_of(part, 60)) };
        findings.entry(check).or_default().push(format!("{place}: {part}{message}\n  fix: {fix}"));
    }
    let cases = report.checks.iter().map(|check| {
        let text = findings.get(check.id.as_str()).map_or_else(String::new, |lines| lines.join("\n"));
        check_case(check, &text, places.get(check.id.as_str()).copied())
    });
    Suite { name: "checks".to_owned(), time: None, properties: Vec::new(), cases: cases.collect() }
}

fn check_case(check: &Check, findings: &str, place: Option<&Location>) -> Case {
    let (rung, needed) = (foreign::line_of(&check.rung, 40), foreign::line_of(&check.needed, 40));
    let (title, evidence) = (foreign::line(&check.title), foreign::line(&check.evidence));
    let text = || format!("{title}\n{evidence}\n{}", foreign::block(findings, TEXT_LIMIT));
    let severity = || foreign::line_of(&check.severity, 40);
    let told = if !check.applies {
        let message = "does not apply to this agent".to_owned();
        (Outcome::Skipped, ("not-applicable".to_owned(), message, String::new()))
    } else if check.met {
        (Outcome::Success, Words::default())
    } else if !check.demanded && check.rung != "refuted" {
        let message = format!("{rung}, needs {needed}, but no profile asked demands it");
        (Outcome::Skipped, ("not-demanded".to_owned(), message, text()))
    } else if check.inconclusive {
        let message = format!("could not tell whether it is {needed}: {evidence}");
        (Outcome::Error, (severity(), message, text()))
    } else {
        (Outcome::Failure, (severity(), format!("{rung}, needs {needed}: {evidence}"), text()))
    };
    let out = (check.applies && check.met).then(|| {
        let waived = if check.waived { ", a waiver lowered what it needs" } else { "" };
        foreign::block(&format!("{rung}, needs {needed}{waived}: {evidence}"), TEXT_LIMIT)
    });
    Case { place: located(place), out, ..case(foreign::line(&check.id), "checks".into(), told) }
}

fn drill_suite(report: &Report) -> Option<Suite> {
    let cases = report.drills.iter().map(drill_case);
    (!report.drills.is_empty()).then(|| Suite {
        name: "drills".to_owned(),
        time: None,
        properties: Vec::new(),
        cases: cases.collect(),
    })
}

/// What came through is a failure. What shows nothing is skipped: the checks that need it say what that means.
fn drill_case(drill: &Drill) -> Case {
    let counted = format!("{} of {} cases held", drill.held, drill.cases);
    let text = |lines: &[String]| foreign::block(&lines.join("\n"), TEXT_LIMIT);
    let first = |lines: &[String]| lines.first().map_or_else(String::new, |line| format!(": {}", foreign::line(line)));
    let told = if !drill.broken.is_empty() {
        let message = format!("{counted}{}", first(&drill.broken));
        (Outcome::Failure, ("came-through".to_owned(), message, text(&drill.broken)))
    } else if !drill.unsure.is_empty() {
        let message = format!("{counted}{}", first(&drill.unsure));
        (Outcome::Skipped, ("shows-nothing".to_owned(), message, String::new()))
    } else if drill.cases == 0 {
        let why = drill.idle.as_deref().map_or_else(|| "it was not tried".to_owned(), foreign::line);
        (Outcome::Skipped, ("not-tried".to_owned(), why, String::new()))
    } else {
        (Outcome::Success, Words::default())
    };
    let out = matches!(told.0, Outcome::Success).then(|| format!("{}: {counted}", foreign::line(&drill.title)));
    Case { out, ..case(foreign::line(&drill.name), "drills".into(), told) }
}

fn scenario_suites(report: &Report) -> Vec<Suite> {
    let mut failures = Failures::new();
    for failure in &report.failures {
        failures.entry((&failure.suite, &failure.scenario)).or_default().push(failure);
    }
    let mut suites: BTreeMap<&str, (u64, Vec<Case>)> = BTreeMap::new();
    for scenario in &report.scenarios {
        let (time, cases) = suites.entry(&scenario.suite).or_default();
        *time = time.saturating_add(scenario.duration_ms);
        let of_it = failures.get(&(scenario.suite.as_str(), scenario.id.as_str()));
        cases.push(scenario_case(scenario, of_it.map_or(&[], Vec::as_slice)));
    }
    let suite = |(name, (time, cases)): (&str, (u64, Vec<Case>))| Suite {
        name: foreign::line(name),
        time: Some(Duration::from_millis(time)),
        properties: Vec::new(),
        cases,
    };
    suites.into_iter().map(suite).collect()
}

fn scenario_case(scenario: &Scenario, failures: &[&Failure]) -> Case {
    let reason = failures.first().map_or_else(String::new, |failure| foreign::line(&failure.reason));
    let counted = format!("{} of {} trials passed", scenario.passed, scenario.trials);
    let message = if reason.is_empty() { counted } else { format!("{counted}: {reason}") };
    let kind = scenario.grade.name().to_owned();
    let told_so = match scenario.grade {
        Grade::Pass | Grade::FailA => (Outcome::Success, Words::default()),
        Grade::FailB | Grade::FailC => (Outcome::Failure, (kind, message, told(failures))),
        Grade::ErrorAgent | Grade::ErrorInfra | Grade::ErrorGrader => (Outcome::Error, (kind, message, told(failures))),
        Grade::NotExposed | Grade::Skipped => (Outcome::Skipped, (kind, message, String::new())),
    };
    let out = (scenario.grade == Grade::FailA).then(|| format!("cosmetic failures only\n{}", told(failures)));
    Case {
        time: Some(Duration::from_millis(scenario.duration_ms)),
        place: located(failures.first().map(|failure| &failure.location)),
        out,
        ..case(foreign::line(&scenario.id), foreign::line(&scenario.suite).into(), told_so)
    }
}

fn told(failures: &[&Failure]) -> String {
    let mut lines = Vec::new();
    for failure in failures.iter().take(TRIALS) {
        lines.push(format!("trial {}: {}", failure.trial, foreign::line(&failure.reason)));
        for (word, side) in [("expected", &failure.expected), ("seen", &failure.actual)] {
            if let Some(text) = side {
                let gap = if text.contains('\n') { '\n' } else { ' ' };
                lines.push(format!("{word}:{gap}{}", foreign::block(text, TEXT_LIMIT / TRIALS)));
            }
        }
    }
    if failures.len() > TRIALS {
        lines.push(format!("{} more trials; the json format has them all", failures.len() - TRIALS));
    }
    lines.join("\n")
}

fn located(place: Option<&Location>) -> Option<(String, usize)> {
    place.map(|place| (foreign::line(&place.file), place.line))
}
