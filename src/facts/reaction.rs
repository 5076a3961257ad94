//! What happens when a budget is spent: `facts.reaction`.
//!
//! `claimed` is `budgets.on_exceed.do`; `found` the settings that state a reaction, `differs` the first of them that
//! states another one, `kept` that one states it and none another; `tests` the lines of the repository's tests that
//! name a budget and its end; `unknown_model` a cheaper model that `models` does not list; `prompts` the lines of prompts that leave the reaction to the model. Must not run tests.

use std::sync::LazyLock;

use regex::bytes::Regex;
use serde_json::{Value, json};

use super::{Shelf, code::name_words, settings::Setting};

/// Most test files that are looked through.
const MAX_FILES: usize = 400;
/// Largest of them, in bytes.
const MAX_BYTES: usize = 256 * 1024;
/// Most lines that are kept as evidence.
const MAX_LINES: usize = 8;

/// How a test begins, in the languages that tests are written in.
static OPENS: LazyLock<Regex> = LazyLock::new(|| {
    let named = r"\b(?:fn|fun|void|def\s+test|function\s+test|func\s+Test|test_|test[A-Z]|Test[A-Z_])";
    Regex::new(&format!(r#"(?-u){named}|(?i-u)\b(?:it|test|describe|context|scenario)\s*[("'`:.]"#)).expect("a pattern")
});

/// Whether a line opens a test that names a budget and its end.
fn is_budget_test(line: &str) -> bool {
    if !OPENS.is_match(line.as_bytes()) {
        return false;
    }
    let words = name_words(line);
    let has = |list: &[&str]| list.iter().any(|word| words.contains(*word));
    let ends = ["exceed", "exhaust", "stop", "reach", "escalat", "halt", "abort"];
    let ends = words.iter().any(|word| ends.iter().any(|end| word.starts_with(end)));
    let budget = has(&["budget", "budgets", "quota", "quotas", "cap", "caps"])
        || has(&["limit", "limits", "max"])
            && has(&[
                "spend", "cost", "token", "tokens", "step", "steps", "turn", "turns", "call", "calls", "run", "runs",
            ]);
    budget && (ends || has(&["spent", "over", "handed", "hands", "handoff", "handover"]))
}

static LEFT_TO_MODEL: LazyLock<Regex> = LazyLock::new(|| {
    // Bytes and ASCII classes: with Unicode's, counted repetitions take longer to compile than all prompts to search.
    let spent = r"(?:out of|over|exceed\w*|spent|reach\w*|hit|end of)\W+(?:\w+\W+){0,4}(?:budget|limit|cap|quota)s?";
    let decide = r"decide|choose|up to you|your (?:own )?judge?ment|use judge?ment|what is best|as you see fit";
    Regex::new(&format!(r"(?is-u)(?:{spent}).{{0,120}}(?:{decide})|(?:{decide}).{{0,120}}(?:{spent})"))
        .expect("a pattern")
});

/// Facts of the reaction.
pub(super) fn facts(shelf: &Shelf<'_>, manifest: &Value, settings: &[Setting]) -> Value {
    let claimed = manifest.pointer("/budgets/on_exceed/do").and_then(Value::as_str).unwrap_or("stop");
    let found: Vec<&Setting> = settings.iter().filter(|setting| setting.topic == "on-exceed").collect();
    let differs = found.iter().find(|setting| !means(&setting.text, claimed)).map(|setting| setting.json());
    json!({
        "claimed": claimed,
        "unknown_model": unknown_model(manifest),
        "found": found.iter().map(|setting| setting.json()).collect::<Vec<_>>(),
        "kept": !found.is_empty() && differs.is_none(),
        "differs": differs,
        "tests": tests(shelf),
        "prompts": prompts(shelf, manifest),
    })
}

/// The cheaper model, when `models` does not list it.
fn unknown_model(manifest: &Value) -> Option<&str> {
    let name = manifest.pointer("/budgets/on_exceed/model")?.as_str()?;
    manifest.get("models").and_then(|models| models.get(name)).is_none().then_some(name)
}

fn means(text: &str, claimed: &str) -> bool {
    let text = text.to_lowercase().replace(['_', ' '], "-");
    match claimed {
        "escalate" => ["escalate", "handoff", "hand-off", "hand-over", "human"].iter().any(|word| text.contains(word)),
        "stop" => ["stop", "abort", "fail", "halt", "raise", "refuse"].iter().any(|word| text.contains(word)),
        "ask" => text.contains("ask") || text.contains("confirm"),
        other => text.contains(other) || text.contains("fallback"),
    }
}

fn tests(shelf: &Shelf<'_>) -> Vec<Value> {
    let is_test = |name: &String| {
        let base = name.rsplit('/').next().unwrap_or(name).to_lowercase();
        let code = ["py", "ts", "js", "go", "rs", "java", "kt", "rb", "cs", "rego"];
        let ending = base.rsplit_once('.').map_or("", |(_, ending)| ending);
        let folders = ["/tests/", "/test/", "/spec/"];
        code.contains(&ending)
            && !name.contains("node_modules/")
            && (base.contains("test")
                || base.contains("spec")
                || folders.iter().any(|f| format!("/{name}").contains(f)))
    };
    let names = shelf.matching("**/*").into_iter().filter(is_test).take(MAX_FILES);
    let mut found = Vec::new();
    for name in names {
        let Some(file) = shelf.peek(&name).filter(|file| file.text().len() <= MAX_BYTES) else { continue };
        let lines: Vec<Value> = file
            .text()
            .lines()
            .enumerate()
            .filter(|(_, line)| is_budget_test(line))
            .map(|(at, line)| json!({"path": name, "line": at + 1, "text": crate::text::shortened(line.trim(), 120)}))
            .take(MAX_LINES)
            .collect();
        if !lines.is_empty() {
            shelf.text(&name);
            found.extend(lines);
        }
        if found.len() >= MAX_LINES {
            break;
        }
    }
    found
}

fn prompts(shelf: &Shelf<'_>, manifest: &Value) -> Vec<Value> {
    let patterns = manifest.get("prompts").and_then(Value::as_array).into_iter().flatten();
    let names = patterns.filter_map(Value::as_str).flat_map(|pattern| shelf.matching(pattern));
    names
        .filter_map(|name| {
            let file = shelf.text(&name)?;
            let found = LEFT_TO_MODEL.find(file.text().as_bytes())?;
            let line = file.text().get(..found.start())?.matches('\n').count() + 1;
            let text = file.text().get(found.range())?.split_whitespace().collect::<Vec<_>>().join(" ");
            Some(json!({"path": name, "line": line, "text": crate::text::shortened(&text, 120)}))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{LEFT_TO_MODEL, is_budget_test, means};

    #[test]
    fn tests_that_name_a_spent_budget_are_told_from_others() {
        for (line, expected) in [
            ("def test_run_stops_when_token_budget_is_exceeded():", true),
            ("it('hands the case over once the budget is spent', async () => {", true),
            ("func TestStopsAtMaxTokens(t *testing.T) {", true),
            ("fn a_run_over_its_cap_is_handed_over() {", true),
            ("test_budget_exceeded_escalates if {", true),
            ("def test_refund_of_20_usd():", false),
            ("limit = 20  # stop", false),
            ("void stopsWhenTokenLimitIsReached() {", true),
            ("Scenario: a run over its budget", true),
            ("def test_capture_handler():", false),
            ("def test_handles_rate_limit():", false),
            ("def test_pagination_limit_over_100():", false),
            ("it('escapes markdown over http', () => {", false),
            ("func TestHandlerCapture(t *testing.T) {", false),
            ("# it stops when the budget is spent", false),
        ] {
            assert_eq!(is_budget_test(line), expected, "{line}");
        }
    }

    #[test]
    fn prompts_that_leave_the_reaction_to_the_model_are_seen() {
        for (text, expected) in [
            ("If you run out of budget, decide what is best.", true),
            ("Use your judgement when you exceed the limit.", true),
            ("When a call is blocked, hand the case over.", false),
            ("Decide on a refund.\n\nStay below the limit of 300 USD.", false),
        ] {
            assert_eq!(LEFT_TO_MODEL.is_match(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn reactions_have_several_names() {
        assert!(means("handoff", "escalate") && means("ABORT", "stop") && means("cheaper_model", "cheaper-model"));
        assert!(!means("warn", "stop") && !means("stop", "escalate"));
    }
}
