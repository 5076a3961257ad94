//! The rules of the policy gate: what they can answer, which tools and numbers they name, what their tests cover.
//!
//! `facts.policy` holds:
//!
//! | key | holds |
//! |---|---|
//! | `files` | the rule files: `path`, and `error` where one does not read as rules |
//! | `outcomes`, `tested` | which of `allow`, `ask`, `deny` the rules answer, and which their tests name |
//! | `default_deny` | the rules deny what none of them allows |
//! | `unnamed` | tools that write, may be called, and stand in no rule |
//! | `never` | tools that are never allowed, and whether the rules hold that (`held`): by name, or by default |
//! | `numbers` | numbers that stand in the rules |
//! | `closed`, `open` | settings that stop, or let through, calls while the policy gate fails: `path`, `line`, `text` |
//! | `prompt_limits` | limits on money that a prompt states and no rule holds: `path`, `line`, `number` |
//! | `classes` | classes of forbidden action: patterns, the tools they cover, which of these are `open`, whether a rule holds it |
//! | `exceptions` | what the manifest lets through, and whether a code owner did |
//!
//! Reads rules as text, with comments left out: it does not run them. Must not judge.

use std::{collections::BTreeSet, sync::LazyLock};

use regex::{Regex, bytes};
use serde_json::{Map, Value, json};

use super::{Shelf, code::Code, is_write, may_run, owners, tools};
use crate::{manifest::raw::FORBIDDEN, source::load_text, text::wildcard_matches};

const ALLOW: [&str; 5] = ["allow", "allowed", "permit", "permitted", "true"];
const ASK: [&str; 14] = [
    "ask",
    "hold",
    "held",
    "pending",
    "approval",
    "needsapproval",
    "needapproval",
    "requireapproval",
    "requiresapproval",
    "approvalrequired",
    "confirm",
    "needsconfirmation",
    "requireconfirmation",
    "humanreview",
];
const DENY: [&str; 10] =
    ["deny", "denied", "block", "blocked", "forbid", "forbidden", "reject", "rejected", "refuse", "refused"];

/// Files in which settings of a decision point stand beside those in the rules' own folder.
const SETTINGS: [&str; 6] =
    ["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml", "envoy.yaml", "config/envoy.yaml"];

static DEFAULT: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?m)^(?-u:\s*default\s+\w+\s*)(?::=|=)?(?-u:\s*)(.+)$"));
static LAST_ARM: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?mi)^.*(?-u:\b)(?:_(?-u:\s*)=>|default(?-u:\s*):|default(?-u:\b).*=|else(?-u:\b)).*$"));
static NUMBER: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?-u)\b\d+(?:\.\d+)?\b"));
// Bytes and ASCII classes: with Unicode's, a pattern takes longer to compile than the rules to search.
static CLOSED: LazyLock<bytes::Regex> = LazyLock::new(|| {
    bytewise(
        r"(?i-u)failure_?mode_?deny[^0-9A-Za-z_]+true|failure_?mode_?allow[^0-9A-Za-z_]+false|failure_?policy[^0-9A-Za-z_]+fail\b|fail[_-]?closed[^0-9A-Za-z_]+true|on[_-]?(?:error|timeout)[^0-9A-Za-z_]+(?:deny|block|fail)",
    )
});
static OPEN: LazyLock<bytes::Regex> = LazyLock::new(|| {
    bytewise(
        r"(?i-u)failure_?mode_?deny[^0-9A-Za-z_]+false|failure_?mode_?allow[^0-9A-Za-z_]+true|failure_?policy[^0-9A-Za-z_]+ignore\b|fail[_-]?closed[^0-9A-Za-z_]+false|fail[_-]?open[^0-9A-Za-z_]+true|on[_-]?(?:error|timeout)[^0-9A-Za-z_]+(?:allow|permit|ignore)",
    )
});
static MONEY: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i-u)(?:\$|€|£)\s?(\d[\d,]*(?:\.\d+)?)|\b(\d[\d,]*(?:\.\d+)?)\s?(?:usd|eur|gbp|dollars?|euros?|pounds)\b",
    )
});
static LIMIT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i-u)\b(?:never|not|only|at most|up to|max(?:imum)?|more than|above|over|under|below|limits?|exceeds?)\b",
    )
});

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the pattern is valid")
}

fn bytewise(text: &str) -> bytes::Regex {
    bytes::Regex::new(text).expect("the pattern is valid")
}

/// A rule file, or a file of tests or settings beside it.
struct Script {
    path: String,
    code: Code,
}

impl Script {
    fn ends(&self, extension: &str) -> bool {
        self.path.rsplit_once('.').is_some_and(|(_, end)| end == extension)
    }
}

/// Facts of the policy gate.
pub(super) fn facts(shelf: &Shelf<'_>, evidence: &Value, manifest: &Value) -> Value {
    let (rules, beside) = scripts(shelf, manifest);
    let default_deny = !rules.is_empty() && rules.iter().any(denies_by_default);
    let outcomes = outcomes(&rules.iter().map(|rule| &rule.code).collect::<Vec<_>>(), default_deny);
    let tests = tests(&rules, &beside);
    let named = |tool: &str| rules.iter().any(|rule| rule.code.names(tool));
    let of = |wanted: fn(&Value) -> bool| {
        let kept = tools(evidence).filter(move |tool| wanted(tool));
        kept.filter_map(|tool| tool.get("name")?.as_str()).collect::<Vec<_>>()
    };
    let numbers = numbers(&rules);
    let settings: Vec<&Script> = rules.iter().chain(&beside).collect();
    json!({
        "at": "/policy",
        "files": rules.iter().map(|rule| json!({"path": rule.path, "error": error(rule)})).collect::<Vec<_>>(),
        "default_deny": default_deny,
        "outcomes": outcomes,
        "tested": self::outcomes(&tests.iter().collect::<Vec<_>>(), false),
        "unnamed": of(|tool| is_write(tool) && may_run(tool)).into_iter().filter(|tool| !named(tool)).collect::<Vec<_>>(),
        "never": never(evidence, &rules, default_deny),
        "numbers": numbers,
        "closed": settings_like(&settings, &CLOSED),
        "open": settings_like(&settings, &OPEN),
        "prompt_limits": prompt_limits(shelf, manifest, &numbers),
        "classes": classes(evidence, manifest, &rules, default_deny),
        "exceptions": exceptions(shelf, manifest),
    })
}

/// The rule files, and what lies beside them: tests and settings.
fn scripts(shelf: &Shelf<'_>, manifest: &Value) -> (Vec<Script>, Vec<Script>) {
    let stated = manifest.pointer("/policy/rules").and_then(Value::as_array).into_iter().flatten();
    let matched: BTreeSet<String> = stated.filter_map(Value::as_str).flat_map(|one| shelf.matching(one)).collect();
    let folders: BTreeSet<&str> = matched.iter().filter_map(|path| Some(path.rsplit_once('/')?.0)).collect();
    let beside = folders.into_iter().flat_map(|folder| shelf.matching(&format!("{folder}/*")));
    let beside: BTreeSet<String> =
        beside.chain(SETTINGS.map(str::to_owned)).filter(|path| !matched.contains(path)).collect();
    let read = |path: String| {
        let code = Code::read(&path, shelf.text(&path)?.text());
        Some(Script { path, code })
    };
    let (rules, tests): (Vec<String>, Vec<String>) = matched.into_iter().partition(|path| !is_test(path));
    (rules.into_iter().filter_map(read).collect(), tests.into_iter().chain(beside).filter_map(read).collect())
}

/// Whether a rule file is a test of rules.
pub(super) fn is_test(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path).to_lowercase();
    name.split(['_', '-', '.']).any(|word| ["test", "tests", "spec"].contains(&word))
}

/// Why a file does not read as rules.
fn error(rule: &Script) -> Option<String> {
    let end = rule.path.rsplit_once('.').map_or("", |(_, end)| end);
    if rule.code.words.is_empty() {
        return Some("it says nothing".to_owned());
    }
    match end {
        "yaml" | "yml" | "json" | "toml" => {
            let file = crate::source::SourceFile::new(rule.path.clone(), rule.code.text.clone());
            return load_text::<Value>(file).err().map(|problems| problems.to_string());
        }
        "rego" if !rule.code.words.contains("package") => return Some("it names no package".to_owned()),
        "cedar" if !rule.code.says(&["permit", "forbid"]) => return Some("it holds no policy".to_owned()),
        _ => {}
    }
    let brackets = matches!(end, "rego" | "cedar").then(|| rule.code.unbalanced()).flatten();
    brackets.map(|c| format!("a `{c}` has no partner"))
}

fn denies_by_default(rule: &Script) -> bool {
    if rule.ends("cedar") {
        return true;
    }
    let denies = |text: &str| {
        let said = Code::read("value.rego", text);
        said.says(&DENY) || said.says(&["false"])
    };
    if rule.ends("rego") {
        let mut defaults =
            DEFAULT.captures_iter(&rule.code.text).filter_map(|found| Some(found.get(1)?.as_str())).peekable();
        return defaults.peek().is_some() && defaults.all(denies);
    }
    LAST_ARM.find_iter(&rule.code.text).any(|line| denies(line.as_str()))
}

fn outcomes(codes: &[&Code], default_deny: bool) -> Vec<&'static str> {
    let says = |words: &[&str]| codes.iter().any(|code| code.says(words));
    let mut found = Vec::new();
    for (outcome, holds) in [("allow", says(&ALLOW)), ("ask", says(&ASK)), ("deny", default_deny || says(&DENY))] {
        if holds {
            found.push(outcome);
        }
    }
    found
}

/// What the tests say: files of tests, and the tests inside of rule files.
fn tests(rules: &[Script], beside: &[Script]) -> Vec<Code> {
    let whole =
        beside.iter().filter(|script| is_test(&script.path)).map(|script| (&script.path, script.code.text.as_str()));
    let inner = rules.iter().filter_map(|rule| {
        let start =
            ["#[cfg(test)]", "\ntest_", "def test_"].iter().filter_map(|mark| rule.code.text.find(mark)).min()?;
        Some((&rule.path, rule.code.text.get(start..)?))
    });
    whole.chain(inner).map(|(path, text)| Code::read(path, text)).collect()
}

fn numbers(rules: &[Script]) -> Vec<f64> {
    let mut found: Vec<f64> = rules
        .iter()
        .flat_map(|rule| NUMBER.find_iter(&rule.code.text))
        .filter_map(|n| n.as_str().parse().ok())
        .collect();
    found.sort_by(f64::total_cmp);
    found.dedup();
    found
}

fn settings_like(scripts: &[&Script], wanted: &bytes::Regex) -> Vec<Value> {
    let lines = scripts.iter().flat_map(|script| script.code.text.lines().enumerate().map(move |line| (script, line)));
    lines
        .filter(|(_, (_, line))| wanted.is_match(line.as_bytes()))
        .map(|(script, (at, line))| json!({"path": script.path, "line": at + 1, "text": line.trim()}))
        .collect()
}

fn prompt_limits(shelf: &Shelf<'_>, manifest: &Value, rules: &[f64]) -> Vec<Value> {
    let patterns = manifest.get("prompts").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let mut found = Vec::new();
    for path in patterns.flat_map(|pattern| shelf.matching(pattern)) {
        let Some(file) = shelf.text(&path) else { continue };
        for (at, line) in file.text().lines().enumerate().filter(|(_, line)| LIMIT.is_match(line)) {
            for number in MONEY.captures_iter(line).filter_map(|one| one.iter().skip(1).flatten().next()) {
                let amount: Option<f64> = number.as_str().replace(',', "").parse().ok();
                if let Some(amount) = amount.filter(|amount| !rules.iter().any(|n| (n - amount).abs() < 0.005)) {
                    found.push(json!({"path": path, "line": at + 1, "number": amount}));
                }
            }
        }
    }
    found
}

fn classes(evidence: &Value, manifest: &Value, rules: &[Script], default_deny: bool) -> Value {
    let stated = manifest.pointer("/policy/forbidden").and_then(Value::as_object);
    let names: BTreeSet<&str> = FORBIDDEN
        .iter()
        .map(|(name, _)| *name)
        .chain(stated.into_iter().flat_map(Map::keys).map(String::as_str))
        .collect();
    let excepted = |class: &str, tool: &str| {
        let list = manifest.pointer("/policy/exceptions").and_then(Value::as_array).into_iter().flatten();
        list.into_iter().any(|one| one.get("class") == Some(&class.into()) && one.get("tool") == Some(&tool.into()))
    };
    let class = |name: &str| {
        let own = stated.and_then(|classes| classes.get(name)?.as_array());
        let own = own.into_iter().flatten().filter_map(Value::as_str);
        let built_in =
            FORBIDDEN.iter().filter(|(class, _)| *class == name).flat_map(|(_, patterns)| patterns.iter().copied());
        let patterns: BTreeSet<&str> = own.chain(built_in).collect();
        let covered: Vec<(&str, bool)> = tools(evidence)
            .filter(|tool| is_write(tool))
            .filter_map(|tool| Some((tool.get("name")?.as_str()?, !may_run(tool))))
            .filter(|(tool, _)| patterns.iter().any(|pattern| wildcard_matches(pattern, tool)))
            .collect();
        let open = covered.iter().filter(|(tool, never)| !never && !excepted(name, tool));
        let by_name = |rule: &Script| {
            rule.code.words.contains(name)
                || patterns.iter().any(|p| rule.code.patterns.contains(*p))
                || covered.iter().any(|(tool, _)| rule.code.names(tool))
        };
        json!({
            "name": name,
            "at": "/policy/forbidden",
            "listed": stated.and_then(|classes| classes.get(name)?.as_array()).is_some_and(|own| !own.is_empty()),
            "tools": covered.iter().map(|(tool, _)| tool).collect::<Vec<_>>(),
            "open": open.map(|(tool, _)| tool).collect::<Vec<_>>(),
            "held": default_deny || rules.iter().any(by_name),
            "rules": rules.len(),
        })
    };
    names.into_iter().map(|name| (name.to_owned(), class(name))).collect::<Map<_, _>>().into()
}

/// Tools that may never be called.
fn never(evidence: &Value, rules: &[Script], default_deny: bool) -> Vec<Value> {
    tools(evidence)
        .filter(|tool| !may_run(tool))
        .map(|tool| {
            let name = tool.get("name").and_then(Value::as_str).unwrap_or_default();
            let held = default_deny || rules.iter().any(|rule| rule.code.names(name));
            json!({"name": name, "at": tool.get("at"), "held": held, "rules": rules.len()})
        })
        .collect()
}

fn exceptions(shelf: &Shelf<'_>, manifest: &Value) -> Vec<Value> {
    let list = manifest.pointer("/policy/exceptions").and_then(Value::as_array).into_iter().flatten();
    list.enumerate()
        .map(|(at, one)| {
            let by = one.get("approved_by").and_then(Value::as_str).unwrap_or_default();
            let mut entry = one.as_object().cloned().unwrap_or_default();
            entry.insert("at".to_owned(), format!("/policy/exceptions/{at}").into());
            entry.insert("by_owner".to_owned(), owners::is_owner(shelf, by).into());
            Value::Object(entry)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use serde_json::{Value, json};

    use super::{super::Shelf, facts};
    use crate::source::Files;

    fn seen(texts: &[(&str, &str)], manifest: &Value) -> Value {
        let texts: BTreeMap<String, Arc<str>> =
            texts.iter().map(|(name, text)| ((*name).to_owned(), Arc::from(*text))).collect();
        let tools = json!([
            {"name": "issue_refund", "at": "/tools/issue_refund", "is_write": true, "allow": {"mode": "tiers"}},
            {"name": "delete_customer", "at": "/tools/delete_customer", "is_write": true, "allow": {"mode": "never"}},
            {"name": "grant_role", "at": "/tools/grant_role", "is_write": true, "allow": {"mode": "approval"}},
        ]);
        facts(&Shelf::new(&Files::texts(texts), "agentready.yaml"), &json!({ "tools": tools }), manifest)
    }

    #[test]
    fn rules_say_what_they_answer_and_whom_they_name() {
        let rego = "package refund\n# ask, deny: only a comment\ndefault decision := {\"effect\": \"deny\"}\n\
                    decision := {\"effect\": \"allow\"} if { input.tool == \"issue_refund\"; input.args.amount_usd <= 50 }\n";
        let test = "package refund_test\ntest_large if { refund.decision.effect == \"deny\" }\n";
        let manifest = json!({"policy": {"rules": ["policy/*.rego"]}, "prompts": ["prompts/*.md"]});
        let prompt = "Refund what is asked.\nNever refund more than $1,300 at once, or 50 USD twice.\n";
        let found = seen(
            &[
                ("policy/refund.rego", rego),
                ("policy/refund_test.rego", test),
                ("prompts/decide.md", prompt),
                ("policy/client.yaml", "# failure_mode_deny: false\nfailure_mode_deny: true\n"),
            ],
            &manifest,
        );
        assert_eq!(found["outcomes"], json!(["allow", "deny"]));
        assert_eq!(found["tested"], json!(["deny"]));
        assert_eq!(found["unnamed"], json!(["grant_role"]), "a tool that is never called need not be named");
        assert_eq!(found["default_deny"], json!(true));
        assert_eq!(
            found["closed"],
            json!([{"path": "policy/client.yaml", "line": 2, "text": "failure_mode_deny: true"}])
        );
        assert_eq!(found["open"], json!([]), "a comment sets nothing");
        assert_eq!(found["prompt_limits"], json!([{"path": "prompts/decide.md", "line": 2, "number": 1300.0}]));
        assert_eq!(found["never"][0]["held"], json!(true));
        assert_eq!(found["classes"]["modify-iam"]["open"], json!(["grant_role"]));
        assert_eq!(found["files"], json!([{"path": "policy/refund.rego", "error": null}]));
    }

    #[test]
    fn what_is_no_rule_file_says_why() {
        for (name, text, expected) in [
            ("policy/a.rego", "default allow := false\n", "it names no package"),
            ("policy/a.rego", "package a\nallow if { input.x == (1 }\n", "a `}` has no partner"),
            ("policy/a.rego", "# package a\n", "it says nothing"),
            ("policy/a.cedar", "// permit\nwhen { principal };\n", "it holds no policy"),
        ] {
            let found = seen(&[(name, text)], &json!({"policy": {"rules": ["policy/*"]}}));
            assert_eq!(found["files"][0]["error"], json!(expected), "{text}");
        }
    }

    #[test]
    fn only_a_default_that_denies_counts_as_one() {
        for (name, text, expected) in [
            ("policy/a.rego", "package a\ndefault allow := false\n", true),
            ("policy/a.rego", "package a\ndefault allow := true\n", false),
            ("policy/a.rego", "package a\nallow if input.tool == \"x\"\n", false),
            ("policy/a.cedar", "permit (principal, action, resource);\n", true),
            ("policy/a.rs", "match tool { \"x\" => Allow, _ => Block }\n", true),
            ("policy/a.py", "def decide(call):\n    return 'allow'\n", false),
        ] {
            let found = seen(&[(name, text)], &json!({"policy": {"rules": ["policy/*"]}}));
            assert_eq!(found["default_deny"], json!(expected), "{text}");
        }
    }
}
