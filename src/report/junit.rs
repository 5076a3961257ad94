//! `JUnit` XML for the viewers of CI services: suite `verdict` (one case), `checks` (one case per check), then one
//! suite per scenario suite (one case per scenario).
//!
//! Wrong is a failure, not known is an error, not tried is skipped; `verdict/gate` says the same as the exit code, so
//! no viewer is all green for NO-GO or INCONCLUSIVE. Text is printable before it gets here; escaping is quick-junit's.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    time::Duration,
};

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

use super::{Format, Report, Style, foreign, numbers};
use crate::{
    grade::Grade,
    source::Location,
    verdict::{Check, Decision, Failure, Scenario},
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
    let mut junit = quick_junit::Report::new(foreign::line_of(&report.tool.name, 80));
    junit.set_time(Duration::from_millis(report.run.duration_ms));
    junit.add_test_suite(verdict_suite(report));
    junit.add_test_suite(check_suite(report));
    junit.add_test_suites(scenario_suites(report));
    let mut out = io::BufWriter::new(out);
    junit.serialize(&mut out).map_err(io::Error::other)?;
    out.flush()
}

fn verdict_suite(report: &Report) -> TestSuite {
    let verdict = &report.verdict;
    let word = verdict.decision.word();
    let status = match verdict.decision {
        Decision::Go | Decision::GoWithWaivers => TestCaseStatus::success(),
        Decision::NoGo => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Decision::Inconclusive => TestCaseStatus::non_success(NonSuccessKind::Error),
    };
    let reasons = foreign::block(&verdict.reasons.join("\n"), TEXT_LIMIT);
    let first = verdict.reasons.first().map_or_else(String::new, |reason| format!(": {}", foreign::line(reason)));
    let mut case = TestCase::new("gate", worded(status, word, &format!("{word}{first}"), &reasons));
    case.set_classname("verdict").set_time(Duration::from_millis(report.run.duration_ms));
    case.set_system_out(foreign::block(
        &format!("{word}, exit code {}\n{}", verdict.exit_code, numbers::trials_line(report)),
        TEXT_LIMIT,
    ));
    let mut suite = TestSuite::new("verdict");
    for (name, value) in [
        ("run", report.run.id.as_str()),
        ("manifest", report.run.manifest.path.as_str()),
        ("agent", report.agent.name.as_str()),
        ("profiles", verdict.profiles.join(", ").as_str()),
    ] {
        suite.add_property((name, foreign::line(value).as_str()));
    }
    suite.add_test_case(case);
    suite
}

fn check_suite(report: &Report) -> TestSuite {
    let mut suite = TestSuite::new("checks");
    let mut findings: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut places: BTreeMap<&str, &Location> = BTreeMap::new();
    for finding in &report.findings {
        places.entry(&finding.check).or_insert(&finding.location);
        let [place, message, fix] =
            [&finding.location.to_string(), &finding.message, &finding.fix].map(|t| foreign::line(t));
        findings.entry(&finding.check).or_default().push(format!("{place}: {message}\n  fix: {fix}"));
    }
    for check in &report.checks {
        let text = findings.get(check.id.as_str()).map_or_else(String::new, |lines| lines.join("\n"));
        suite.add_test_case(check_case(check, &text, places.get(check.id.as_str()).copied()));
    }
    suite
}

fn check_case(check: &Check, findings: &str, place: Option<&Location>) -> TestCase {
    let (rung, needed) = (foreign::line_of(&check.rung, 40), foreign::line_of(&check.needed, 40));
    let (title, evidence) = (foreign::line(&check.title), foreign::line(&check.evidence));
    let text = format!("{title}\n{evidence}\n{}", foreign::block(findings, TEXT_LIMIT));
    let severity = foreign::line_of(&check.severity, 40);
    let status = if !check.applies {
        worded(TestCaseStatus::skipped(), "not-applicable", "does not apply to this agent", "")
    } else if check.met {
        TestCaseStatus::success()
    } else if !check.demanded && check.rung != "refuted" {
        let message = format!("{rung}, needs {needed}, but no profile asked demands it");
        worded(TestCaseStatus::skipped(), "not-demanded", &message, &text)
    } else if check.inconclusive {
        let message = format!("could not tell whether it is {needed}: {evidence}");
        worded(TestCaseStatus::non_success(NonSuccessKind::Error), &severity, &message, &text)
    } else {
        let message = format!("{rung}, needs {needed}: {evidence}");
        worded(TestCaseStatus::non_success(NonSuccessKind::Failure), &severity, &message, &text)
    };
    let mut case = TestCase::new(foreign::line(&check.id), status);
    case.set_classname("checks");
    located(&mut case, place);
    if check.applies && check.met {
        let waived = if check.waived { ", a waiver lowered what it needs" } else { "" };
        case.set_system_out(foreign::block(&format!("{rung}, needs {needed}{waived}: {evidence}"), TEXT_LIMIT));
    }
    case
}

fn scenario_suites(report: &Report) -> Vec<TestSuite> {
    let mut failures = Failures::new();
    for failure in &report.failures {
        failures.entry((&failure.suite, &failure.scenario)).or_default().push(failure);
    }
    let mut suites: BTreeMap<&str, (u64, Vec<TestCase>)> = BTreeMap::new();
    for scenario in &report.scenarios {
        let (time, cases) = suites.entry(&scenario.suite).or_default();
        *time = time.saturating_add(scenario.duration_ms);
        let of_it = failures.get(&(scenario.suite.as_str(), scenario.id.as_str()));
        cases.push(scenario_case(scenario, of_it.map_or(&[], Vec::as_slice)));
    }
    let suite = |(name, (time, cases)): (&str, (u64, Vec<TestCase>))| {
        let mut suite = TestSuite::new(foreign::line(name));
        suite.set_time(Duration::from_millis(time)).add_test_cases(cases);
        suite
    };
    suites.into_iter().map(suite).collect()
}

fn scenario_case(scenario: &Scenario, failures: &[&Failure]) -> TestCase {
    let reason = failures.first().map_or_else(String::new, |failure| foreign::line(&failure.reason));
    let counted = format!("{} of {} trials passed", scenario.passed, scenario.trials);
    let message = if reason.is_empty() { counted } else { format!("{counted}: {reason}") };
    let name = scenario.grade.name();
    let status = match scenario.grade {
        Grade::Pass | Grade::FailA => TestCaseStatus::success(),
        Grade::FailB | Grade::FailC => {
            worded(TestCaseStatus::non_success(NonSuccessKind::Failure), name, &message, &told(failures))
        }
        Grade::ErrorAgent | Grade::ErrorInfra | Grade::ErrorGrader => {
            worded(TestCaseStatus::non_success(NonSuccessKind::Error), name, &message, &told(failures))
        }
        Grade::NotExposed | Grade::Skipped => worded(TestCaseStatus::skipped(), name, &message, ""),
    };
    let mut case = TestCase::new(foreign::line(&scenario.id), status);
    case.set_classname(foreign::line(&scenario.suite)).set_time(Duration::from_millis(scenario.duration_ms));
    located(&mut case, failures.first().map(|failure| &failure.location));
    if scenario.grade == Grade::FailA {
        case.set_system_out(format!("cosmetic failures only\n{}", told(failures)));
    }
    case
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

fn worded(mut status: TestCaseStatus, kind: &str, message: &str, text: &str) -> TestCaseStatus {
    if !matches!(status, TestCaseStatus::Success { .. }) {
        status.set_type(kind).set_message(message);
        if !text.is_empty() {
            status.set_description(text);
        }
    }
    status
}

fn located(case: &mut TestCase, place: Option<&Location>) {
    if let Some(place) = place {
        case.extra.insert("file".into(), foreign::line(&place.file).into());
        case.extra.insert("line".into(), place.line.to_string().into());
    }
}
