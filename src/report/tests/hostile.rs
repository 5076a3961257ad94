//! A report whose every text is an attack on whoever shows it.

use serde_json::{Map, Value};

use super::{COLORLESS, rendered, sample};
use crate::{
    report::{FORMATS, Style},
    verdict::Report,
};

const ATTACKS: &[&str] = &[
    "::error::x",
    "a\n::add-mask::y\n  ::stop-commands::z\r\n##[error]w ##vso[task.complete]",
    "\u{1b}[2J\u{1b}]8;;http://evil.example\u{7}click\u{1b}]8;;\u{7}\u{9b}31m\u{8}\u{0}\u{fffe}\u{ffff}\u{b}",
    "</script><script>alert(1)</script>]]></failure><!-- --><img src=http://evil.example/x.png>",
    "![x](http://evil.example/x.png) [l](javascript:alert(1)) <http://evil.example> http://evil.example www.evil.example",
    "| a | b |\n|---|---|\n| `c` | ``` |\n```\n</details>\n# head\n- [ ] @everyone #1 $x$ :smile: &lt; [r]: http://e",
    "\u{202e}txt.exe\u{200b}\u{feff}\u{2066}\u{e0041}\u{2028}",
    "`<b>` ``x` <img src=x onerror=y>` **bold** _it_ ~~s~~ \\`",
    "",
    "   ",
];

/// Puts an attack in the place of every text; the words of enumerations stay.
fn attacked(value: Value, attack: &str) -> Value {
    match value {
        Value::String(_) => Value::String(attack.to_owned()),
        Value::Array(items) => Value::Array(items.into_iter().map(|item| attacked(item, attack)).collect()),
        Value::Object(object) => Value::Object(
            object
                .into_iter()
                .map(|(key, value)| match key.as_str() {
                    "decision" | "grade" => (key, value),
                    "metrics" => (key, renamed(value, attack)),
                    _ => (key, attacked(value, attack)),
                })
                .collect(),
        ),
        other => other,
    }
}

fn renamed(metrics: Value, attack: &str) -> Value {
    let Value::Object(metrics) = attacked(metrics, attack) else { unreachable!("metrics are a map") };
    let entries = metrics.into_iter().enumerate();
    Value::Object(entries.map(|(nth, (_, metric))| (format!("{attack}{nth}"), metric)).collect::<Map<_, _>>())
}

fn reports() -> Vec<Report> {
    let everything = ATTACKS.concat();
    let report = serde_json::to_value(sample::no_go()).unwrap();
    let small = ATTACKS.iter().copied().chain([everything.as_str()]);
    let mut reports: Vec<Report> =
        small.map(|attack| serde_json::from_value(attacked(report.clone(), attack)).unwrap()).collect();
    reports.push(large());
    reports
}

/// Texts of a megabyte.
fn large() -> Report {
    let mega = "x::error ` | <b> @a \u{1b}[2J\n".repeat(40_000);
    let mut report = sample::no_go();
    report.verdict.reasons.push(mega.clone());
    report.findings[0].message.clone_from(&mega);
    report.failures[1].actual = Some(mega.clone());
    report.failures[2].reason.clone_from(&mega);
    report.notes.push(mega);
    report
}

fn assert_inert(name: &str, text: &str) {
    assert!(crate::text::printable(text) == text, "{name}: {text:.2000}");
    let commands = regex::Regex::new(r"(?m)^\s*::|##\w*\[").unwrap();
    assert_eq!(commands.find(text).map(|found| found.as_str()), None, "{name}");
}

#[test]
fn no_format_lets_a_terminal_or_a_ci_service_act() {
    for report in reports() {
        for format in FORMATS {
            let text = rendered(format.name, &report, COLORLESS);
            assert_inert(format.name, &text);
        }
    }
}

#[test]
fn a_coloured_terminal_report_holds_own_colours_only() {
    let own = regex::Regex::new("\u{1b}\\[(0|1|3[1-6])m").unwrap();
    for report in reports() {
        for (width, verbose) in [(40, false), (80, false), (120, false), (80, true)] {
            let text = rendered("terminal", &report, Style { color: true, width, verbose });
            assert_inert("terminal", &own.replace_all(&text, ""));
            assert!(!text.contains('\t') && text.lines().count() < 1_200, "{}", text.lines().count());
        }
    }
}

#[test]
fn junit_is_read_back_with_the_same_cases() {
    for report in reports() {
        let xml = rendered("junit", &report, COLORLESS);
        let read = quick_junit::Report::deserialize_from_str(&xml).unwrap();
        assert_eq!(read.tests, 1 + report.checks.len() + report.scenarios.len());
        assert_eq!(read.test_suites[0].test_cases[0].name.as_str(), "gate");
        assert!(!xml.contains("<script") && !xml.contains("<img") && !xml.contains("]]>"));
    }
}

#[test]
fn json_loses_nothing() {
    for report in reports() {
        let read: Report = serde_json::from_str(&rendered("json", &report, COLORLESS)).unwrap();
        assert!(read == report);
    }
}

/// What is left of Markdown when its code is taken out, read as a `CommonMark` reader does: fences first, then spans.
fn outside_code(markdown: &str) -> String {
    let mut out = String::new();
    let mut fence: Option<String> = None;
    for line in markdown.lines() {
        let text = line.trim_start();
        let ticks: String = text.chars().take_while(|c| *c == '`').collect();
        match &fence {
            Some(open) if ticks.len() >= open.len() && text == ticks => fence = None,
            None if ticks.len() >= 3 && !text[ticks.len()..].contains('`') => fence = Some(ticks),
            Some(_) => {}
            None => {
                out.push_str(&without_spans(line));
                out.push('\n');
            }
        }
    }
    assert_eq!(fence, None, "a fence stays open");
    out
}

fn without_spans(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find('`') {
        out.push_str(&rest[..at]);
        let ticks = rest[at..].chars().take_while(|c| *c == '`').count();
        let after = &rest[at + ticks..];
        let mut from = 0;
        let close = loop {
            let Some(next) = after[from..].find('`') else { panic!("an open code span: {line:.400}") };
            let run = after[from + next..].chars().take_while(|c| *c == '`').count();
            if run == ticks {
                break from + next;
            }
            from += next + run;
        };
        rest = &after[close + ticks..];
    }
    out + rest
}

#[test]
fn nothing_foreign_renders_in_markdown() {
    for report in reports() {
        let text = rendered("markdown", &report, COLORLESS);
        assert!(text.len() <= 60_000, "{}", text.len());
        let own = [
            "<details><summary>Failures (4), worst first</summary>",
            "<details><summary>Attacks by goal, carrier, technique, encoding and control</summary>",
            "</details>",
            "</details>",
        ];
        let left = own.iter().fold(outside_code(&text), |text, own| text.replacen(own, "", 1));
        for mark in ["<", "![", "](", "@", "**", "~~", "http", "www.", "&", "\\", "$", ":smile:", "[ ]"] {
            assert!(!left.contains(mark), "{mark} in {left}");
        }
        for line in left.lines().filter(|line| line.starts_with('#')) {
            assert!(line.starts_with("## NO-GO") || line.starts_with("### "), "{line}");
        }
        for row in text.lines().filter(|line| line.starts_with("| ")) {
            let bars = row.replace("\\|", "").matches('|').count();
            assert!([7, 8, 9, 10].contains(&bars), "{row}");
        }
    }
}
