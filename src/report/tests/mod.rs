mod hostile;
pub(crate) mod sample;

use quick_junit::{NonSuccessKind, TestCaseStatus};

use super::{FORMATS, Report, Style, schema};
use crate::verdict::{Drill, Finding};

pub(super) const COLORLESS: Style = Style { color: false, width: 100, verbose: false };

pub(super) fn rendered(name: &str, report: &Report, style: Style) -> String {
    let format = FORMATS.iter().find(|format| format.name == name).unwrap();
    let mut out = Vec::new();
    (format.render)(report, &mut out, &style).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn formats_are_sorted_and_named_once() {
    let names: Vec<_> = FORMATS.iter().map(|format| format.name).collect();
    assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
    insta::assert_snapshot!(
        FORMATS.iter().map(|f| format!("{:<10} {}", f.name, f.about)).collect::<Vec<_>>().join("\n")
    );
}

#[test]
fn every_format_shows_every_decision() {
    for (name, report) in sample::all() {
        for format in FORMATS {
            insta::assert_snapshot!(format!("{}-{name}", format.name), rendered(format.name, &report, COLORLESS));
        }
    }
}

#[test]
fn junit_has_a_case_for_each_drill_and_keeps_what_came_through_from_what_shows_nothing() {
    let drill = |name: &str, (cases, held): (u32, u32), broken: &[&str], unsure: &[&str]| Drill {
        name: name.to_owned(),
        title: "A control".to_owned(),
        cases,
        held,
        broken: broken.iter().map(|why| (*why).to_owned()).collect(),
        unsure: unsure.iter().map(|why| (*why).to_owned()).collect(),
        idle: (cases == 0).then(|| "nothing is forbidden".to_owned()),
    };
    let report = Report {
        drills: vec![
            drill("held", (3, 3), &[], &[]),
            drill("broken", (3, 1), &["a: it came through <once>"], &["b: its control failed"]),
            drill("unsure", (2, 1), &[], &["c: its control failed"]),
            drill("idle", (0, 0), &[], &[]),
        ],
        ..sample::go()
    };
    let junit = quick_junit::Report::deserialize_from_str(&rendered("junit", &report, COLORLESS)).expect("JUnit");
    let suite = junit.test_suites.iter().find(|suite| suite.name.as_str() == "drills").expect("a suite of drills");
    let told: Vec<_> = suite
        .test_cases
        .iter()
        .map(|case| match &case.status {
            TestCaseStatus::Success { .. } => (case.name.as_str(), "success", String::new()),
            TestCaseStatus::NonSuccess { kind, message, .. } => {
                let kind = if *kind == NonSuccessKind::Failure { "failure" } else { "error" };
                (case.name.as_str(), kind, message.as_ref().expect("a message").to_string())
            }
            TestCaseStatus::Skipped { message, .. } => {
                (case.name.as_str(), "skipped", message.as_ref().expect("a message").to_string())
            }
        })
        .collect();
    let texts = |name, kind, message: &str| (name, kind, message.to_owned());
    assert_eq!(
        told,
        [
            texts("held", "success", ""),
            texts("broken", "failure", "1 of 3 cases held: a: it came through <once>"),
            texts("unsure", "skipped", "1 of 2 cases held: c: its control failed"),
            texts("idle", "skipped", "nothing is forbidden"),
        ]
    );
}

#[test]
fn colour_changes_nothing_but_escapes() {
    let colored = rendered("terminal", &sample::no_go(), Style { color: true, ..COLORLESS });
    insta::assert_snapshot!(colored.replace('\u{1b}', "ESC"));
    let escapes = regex::Regex::new("\u{1b}\\[[0-9;]*m").unwrap();
    assert_eq!(escapes.replace_all(&colored, ""), rendered("terminal", &sample::no_go(), COLORLESS));
}

#[test]
fn the_terminal_report_keeps_to_its_width() {
    let mut far_down = sample::no_go();
    for finding in &mut far_down.findings {
        finding.fix = "Name the tool that undoes it, or the section of the runbook. ".repeat(5);
        finding.excerpt.as_mut().unwrap().line = 12_345;
    }
    for report in [sample::no_go(), far_down] {
        for width in [60, 80, 100] {
            let text = rendered("terminal", &report, Style { width, ..COLORLESS });
            let wide: Vec<_> = text.lines().filter(|line| line.chars().count() > width).collect();
            assert!(wide.is_empty(), "{wide:#?}");
        }
    }
}

#[test]
fn what_comes_next_is_named_at_every_width() {
    for (name, mut report) in sample::all() {
        report.run.manifest.path = "agents/of/the/payments/team/refund-agent/agentready.yaml".to_owned();
        for width in [40, 60, 80, 100, 120] {
            let text = rendered("terminal", &report, Style { width, ..COLORLESS });
            let next = text.split("next:").nth(1).expect("a next step");
            let words: Vec<&str> = next.split_whitespace().collect();
            assert!(words.starts_with(&["agentready"]), "{name} at {width}: {next}");
        }
    }
}

#[test]
fn tables_break_no_word_at_eighty_columns() {
    let text = rendered("terminal", &sample::no_go(), Style { width: 80, ..COLORLESS });
    for word in ["adversarial", "scenario_pass_rate", "max_tool_calls_per_run", "identity", "verified", "skipped"] {
        let is_cell = |line: &str| line.starts_with('|') && line.split(['|', ' ']).any(|cell| cell == word);
        assert!(text.lines().any(is_cell), "{word} in\n{text}");
    }
}

#[test]
fn sources_that_are_old_or_fetched_or_not_committed_are_told_when_asked() {
    let text = rendered("terminal", &sample::go(), Style { verbose: true, ..COLORLESS });
    let told = text.split("\nSources").nth(1).and_then(|rest| rest.split("\n\n").next()).expect("a part on sources");
    insta::assert_snapshot!(told);
    assert!(!rendered("terminal", &sample::go(), COLORLESS).contains("Sources of"), "in brief there is no room");
}

#[test]
fn a_sound_small_agent_fits_two_screens() {
    assert!(rendered("terminal", &sample::go(), COLORLESS).lines().count() <= 60);
}

#[test]
fn json_reads_back_as_the_same_report_and_obeys_its_schema() {
    let validator = jsonschema::validator_for(schema().as_value()).unwrap();
    for (name, report) in sample::all() {
        let value = serde_json::from_str(&rendered("json", &report, COLORLESS)).unwrap();
        assert!(validator.is_valid(&value), "{name}");
        assert_eq!(serde_json::from_value::<Report>(value).unwrap(), report, "{name}");
    }
}

#[test]
fn junit_tells_what_is_found_of_a_part_at_its_check() {
    let mut report = sample::no_go();
    let check = report.checks.iter().find(|check| check.demanded && !check.met).expect("an open check").id.clone();
    let part = report.findings.first().expect("a finding").clone();
    report.findings = vec![Finding { check: format!("{check}#half"), message: "only half of it".to_owned(), ..part }];
    let xml = rendered("junit", &report, COLORLESS);
    let read = quick_junit::Report::deserialize_from_str(&xml).unwrap();
    let mut cases = read.test_suites.iter().flat_map(|suite| &suite.test_cases);
    let case = cases.find(|case| case.name.as_str() == check).expect("a case of the check");
    let TestCaseStatus::NonSuccess { description: Some(text), .. } = &case.status else { panic!("{:?}", case.status) };
    assert!(text.as_str().contains("half: only half of it"), "{text:?}");
}

#[test]
fn junit_attributes_agree_with_the_cases() {
    for (name, report) in sample::all() {
        let xml = rendered("junit", &report, COLORLESS);
        let read = quick_junit::Report::deserialize_from_str(&xml).unwrap();
        let mut sums = [0; 4];
        for suite in &read.test_suites {
            let mut counts = [suite.test_cases.len(), 0, 0, 0];
            for case in &suite.test_cases {
                assert_eq!(case.classname.as_deref(), Some(suite.name.as_str()), "{name}");
                match &case.status {
                    TestCaseStatus::Success { .. } => {}
                    TestCaseStatus::NonSuccess { kind: NonSuccessKind::Failure, .. } => counts[1] += 1,
                    TestCaseStatus::NonSuccess { kind: NonSuccessKind::Error, .. } => counts[2] += 1,
                    TestCaseStatus::Skipped { .. } => counts[3] += 1,
                }
            }
            assert_eq!(
                [suite.tests, suite.failures, suite.errors, suite.skipped],
                counts,
                "{name} {}",
                suite.name.as_str()
            );
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum += count;
            }
        }
        assert_eq!([read.tests, read.failures, read.errors, read.skipped], sums, "{name}");
        assert_eq!(sums[0], 1 + report.checks.len() + report.scenarios.len(), "{name}");
    }
}

#[test]
fn junit_is_never_all_green_unless_the_answer_is_go() {
    for (name, report) in sample::all() {
        let read = quick_junit::Report::deserialize_from_str(&rendered("junit", &report, COLORLESS)).unwrap();
        assert_eq!(read.failures + read.errors == 0, report.verdict.exit_code == 0, "{name}");
    }
}

#[test]
fn output_grows_with_the_scenarios_and_no_faster() {
    let sized = |format: &str, count: usize| {
        let mut report = sample::no_go();
        report.scenarios = (0..count).map(|_| report.scenarios[0].clone()).collect();
        rendered(format, &report, COLORLESS).len()
    };
    for format in ["json", "junit"] {
        let (base, one, ten) = (sized(format, 0), sized(format, 1_000), sized(format, 10_000));
        assert!(ten - base <= (one - base) * 11, "{format}: {base} {one} {ten}");
    }
}

#[test]
fn markdown_stays_below_its_size_and_says_what_is_missing() {
    let mut report = sample::no_go();
    report.failures = (0..2_000).map(|nth| report.failures[nth % 4].clone()).collect();
    let text = rendered("markdown", &report, COLORLESS);
    assert!(text.len() <= 60_000, "{}", text.len());
    assert!(
        text.contains("more failures left out") && text.contains("</details>") && text.contains("Next: "),
        "{text}"
    );
}
