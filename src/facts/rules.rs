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
//! | `exceptions` | what the manifest lets through, whether a code owner did (`by_owner`), and whether it was who changed the manifest last (`by_author`) |
//!
//! Reads rules as text, with comments left out: it does not run them. Must not judge.

use std::{collections::BTreeSet, sync::LazyLock};

use regex::{Regex, bytes};
use serde_json::{Map, Value, json};

use super::{
    Claims, GitSeen, Shelf,
    code::Code,
    defaults::{self, ALLOW, DENY},
    is_write, may_run, owners,
};
use crate::{
    manifest::raw::FORBIDDEN,
    source::{Files, load_text},
    text::wildcard_matches,
};

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
/// Files in which settings of a decision point stand beside those in the rules' own folder.
const SETTINGS: [&str; 6] =
    ["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml", "envoy.yaml", "config/envoy.yaml"];

static NUMBER: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?-u)\b\d+(?:\.\d+)?\b"));
// Bytes and ASCII classes: with Unicode's, a pattern takes longer to compile than the rules to search.
static CLOSED: LazyLock<bytes::Regex> = LazyLock::new(|| {
    bytewise(
        r"(?i-u)failure_?mode_?deny[^0-9A-Za-z_]+true|failure_?mode_?allow[^0-9A-Za-z_]+false|failure_?policy[^0-9A-Za-z_]+fail\b|fail[_-]?closed[^0-9A-Za-z_]+true|on[_-]?(?:error|timeout)[^0-9A-Za-z_]+(?:den(?:y|ied)|block(?:ed)?|fail)(?:[_-](?:all|closed))?(?:[^0-9A-Za-z_-]|$)",
    )
});
static OPEN: LazyLock<bytes::Regex> = LazyLock::new(|| {
    bytewise(
        r"(?i-u)failure_?mode_?deny[^0-9A-Za-z_]+false|failure_?mode_?allow[^0-9A-Za-z_]+true|failure_?policy[^0-9A-Za-z_]+ignore\b|fail[_-]?closed[^0-9A-Za-z_]+false|fail[_-]?open[^0-9A-Za-z_]+(?:true|yes|on|1)\b|on[_-]?(?:error|timeout)[^0-9A-Za-z_]+(?:allow|permit|ignore|(?:fail[_-]?)?open|pass\b|continue\b)",
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

/// Facts of the policy gate.
pub(super) fn facts(shelf: &Shelf<'_>, claims: &Claims<'_>, git: Option<&GitSeen>) -> Value {
    let (manifest, tools) = (claims.manifest, claims.tools);
    let (rules, beside) = scripts(shelf, manifest);
    let default_deny = defaults::denies(&rules.iter().map(|rule| (rule.path.as_str(), &rule.code)).collect::<Vec<_>>());
    let outcomes = outcomes(&rules.iter().map(|rule| &rule.code).collect::<Vec<_>>(), default_deny);
    let tests = tests(&rules, &beside);
    let named = |tool: &str| rules.iter().any(|rule| rule.code.names(tool));
    let of = |wanted: fn(&Value) -> bool| {
        let kept = tools.iter().filter(move |tool| wanted(tool));
        kept.filter_map(|tool| tool.get("name")?.as_str()).collect::<Vec<_>>()
    };
    let numbers = numbers(&rules);
    let settings: Vec<&Script> = rules.iter().chain(beside.iter().filter(|script| !is_test(&script.path))).collect();
    json!({
        "at": "/policy",
        "files": rules.iter().map(|rule| json!({"path": rule.path, "error": error(rule)})).collect::<Vec<_>>(),
        "default_deny": default_deny,
        "outcomes": outcomes,
        "tested": self::outcomes(&tests.iter().collect::<Vec<_>>(), false),
        "unnamed": of(|tool| is_write(tool) && may_run(tool)).into_iter().filter(|tool| !named(tool)).collect::<Vec<_>>(),
        "never": never(tools, &rules, default_deny),
        "numbers": numbers,
        "closed": settings_like(&settings, &CLOSED),
        "open": settings_like(&settings, &OPEN),
        "prompt_limits": prompt_limits(shelf, manifest, &numbers),
        "classes": classes(claims, &rules, default_deny),
        "exceptions": exceptions(shelf, manifest, git),
    })
}

/// The rule files, and what lies beside them: tests and settings.
fn scripts(shelf: &Shelf<'_>, manifest: &Value) -> (Vec<Script>, Vec<Script>) {
    let stated = manifest.pointer("/policy/rules").and_then(Value::as_array).into_iter().flatten();
    let matched: BTreeSet<String> =
        stated.filter_map(Value::as_str).flat_map(|one| shelf.matching(one)).filter(|path| !is_prose(path)).collect();
    let folders: BTreeSet<&str> = matched.iter().filter_map(|path| Some(path.rsplit_once('/')?.0)).collect();
    let beside = folders.into_iter().flat_map(|folder| shelf.matching(&format!("{folder}/*")));
    let beside: BTreeSet<String> =
        beside.chain(SETTINGS.map(str::to_owned)).filter(|path| !matched.contains(path) && !is_prose(path)).collect();
    let read = |path: String| {
        let code = Code::read(&path, shelf.text(&path)?.text());
        Some(Script { path, code })
    };
    let (rules, tests): (Vec<String>, Vec<String>) = matched.into_iter().partition(|path| !is_test(path));
    (rules.into_iter().filter_map(read).collect(), tests.into_iter().chain(beside).filter_map(read).collect())
}

/// A page that tells of rules and sets nothing.
fn is_prose(path: &str) -> bool {
    [".md", ".txt", ".rst", ".adoc"].iter().any(|end| path.to_lowercase().ends_with(end))
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

fn classes(claims: &Claims<'_>, rules: &[Script], default_deny: bool) -> Value {
    let stated = claims.manifest.pointer("/policy/forbidden").and_then(Value::as_object);
    let names: BTreeSet<&str> = FORBIDDEN
        .iter()
        .map(|(name, _)| *name)
        .chain(stated.into_iter().flat_map(Map::keys).map(String::as_str))
        .collect();
    let excepted = |class: &str, tool: &str| {
        let list = claims.manifest.pointer("/policy/exceptions").and_then(Value::as_array).into_iter().flatten();
        list.into_iter().any(|one| one.get("class") == Some(&class.into()) && one.get("tool") == Some(&tool.into()))
    };
    let class = |name: &str| {
        let own = stated.and_then(|classes| classes.get(name)?.as_array());
        let own = own.into_iter().flatten().filter_map(Value::as_str);
        let built_in =
            FORBIDDEN.iter().filter(|(class, _)| *class == name).flat_map(|(_, patterns)| patterns.iter().copied());
        let patterns: BTreeSet<&str> = own.chain(built_in).collect();
        let covered: Vec<(&str, bool)> = claims
            .tools
            .iter()
            .filter(|tool| is_write(tool))
            .filter_map(|tool| Some((tool.get("name")?.as_str()?, !may_run(tool))))
            .filter(|(tool, _)| {
                let plain = snake_case(tool);
                patterns.iter().any(|pattern| wildcard_matches(pattern, tool) || wildcard_matches(pattern, &plain))
            })
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

/// `grantRole` and `grant-role` as `grant_role`.
fn snake_case(name: &str) -> String {
    let mut plain = String::new();
    for c in name.chars() {
        let starts = c.is_uppercase() && plain.ends_with(|before: char| before.is_lowercase() || before.is_numeric());
        plain.extend(starts.then_some('_'));
        plain.extend(if c.is_alphanumeric() { c } else { '_' }.to_lowercase());
    }
    plain
}

/// Tools that may never be called.
fn never(tools: &[Value], rules: &[Script], default_deny: bool) -> Vec<Value> {
    tools
        .iter()
        .filter(|tool| !may_run(tool))
        .map(|tool| {
            let name = tool.get("name").and_then(Value::as_str).unwrap_or_default();
            let held = default_deny || rules.iter().any(|rule| rule.code.names(name));
            json!({"name": name, "at": tool.get("at"), "held": held, "rules": rules.len()})
        })
        .collect()
}

fn exceptions(shelf: &Shelf<'_>, manifest: &Value, git: Option<&GitSeen>) -> Vec<Value> {
    let author = git.and_then(|git| git.last.get(&Files::resolve("", shelf.from))).map(|commit| commit.author.as_str());
    let list = manifest.pointer("/policy/exceptions").and_then(Value::as_array).into_iter().flatten();
    list.enumerate()
        .map(|(at, one)| {
            let by = one.get("approved_by").and_then(Value::as_str).unwrap_or_default();
            let mut entry = one.as_object().cloned().unwrap_or_default();
            entry.insert("at".to_owned(), format!("/policy/exceptions/{at}").into());
            entry.insert("by_owner".to_owned(), owners::is_owner(shelf, by).into());
            entry.insert("by_author".to_owned(), (author == Some(by)).into());
            Value::Object(entry)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use serde_json::{Value, json};

    use super::{
        super::{Claims, Shelf},
        facts,
    };
    use crate::source::Files;

    fn seen(texts: &[(&str, &str)], manifest: &Value) -> Value {
        let texts: BTreeMap<String, Arc<str>> =
            texts.iter().map(|(name, text)| ((*name).to_owned(), Arc::from(*text))).collect();
        let tools = json!([
            {"name": "issue_refund", "at": "/tools/issue_refund", "is_write": true, "allow": {"mode": "tiers"}},
            {"name": "delete_customer", "at": "/tools/delete_customer", "is_write": true, "allow": {"mode": "never"}},
            {"name": "grant_role", "at": "/tools/grant_role", "is_write": true, "allow": {"mode": "approval"}},
        ]);
        facts(
            &Shelf::new(&Files::texts(texts), "agentready.yaml"),
            &Claims::new(manifest, &json!({ "tools": tools })),
            None,
        )
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
    fn a_setting_that_only_begins_like_a_closed_one_is_open() {
        for (text, closed, open) in [
            ("on_error: deny", 1, 0),
            ("on-error = \"fail_closed\"", 1, 0),
            ("on_timeout: block", 1, 0),
            ("on_error: fail_open", 0, 1),
            ("on_error: fail-open", 0, 1),
            ("on_error: failover", 0, 0),
            ("fail_open: yes", 0, 1),
            ("on_error: pass", 0, 1),
            ("on_error: continue", 0, 1),
        ] {
            let found = seen(
                &[
                    ("policy/a.rego", "package a\n"),
                    ("policy/c.yaml", text),
                    ("policy/README.md", "on_error: deny"),
                    ("policy/c_test.yaml", "on_error: deny"),
                ],
                &json!({"policy": {"rules": ["policy/*.rego"]}}),
            );
            let count = |key: &str| found[key].as_array().map(Vec::len);
            assert_eq!((count("closed"), count("open")), (Some(closed), Some(open)), "{text}");
        }
    }

    #[test]
    fn classes_know_a_name_however_it_is_written() {
        for (name, class) in [
            ("grantRole", "modify-iam"),
            ("grant-role", "modify-iam"),
            ("deleteCustomer", "delete-data"),
            ("createPayout", "transfer-funds"),
            ("destroy_index", "delete-data"),
        ] {
            let tools = json!([{"name": name, "is_write": true, "allow": {"mode": "auto"}}]);
            let files = Files::texts(BTreeMap::new());
            let found = facts(
                &Shelf::new(&files, "agentready.yaml"),
                &Claims::new(&json!({}), &json!({ "tools": tools })),
                None,
            );
            assert_eq!(found["classes"][class]["open"], json!([name]), "{name}");
        }
    }

    #[test]
    fn who_let_an_exception_through_is_held_against_the_author() {
        let manifest = json!({"policy": {"exceptions": [{"tool": "a", "approved_by": "lead@acme.example"}]}});
        for (author, expected) in [("lead@acme.example", true), ("dev@acme.example", false)] {
            let git = json!({"last": {"agentready.yaml":
                {"id": "1", "on": "2026-11-01", "author": author, "signature": "N"}}});
            let git = serde_json::from_value(git).expect("what git says");
            let files = Files::texts(BTreeMap::new());
            let found = facts(&Shelf::new(&files, "agentready.yaml"), &Claims::new(&manifest, &json!({})), Some(&git));
            assert_eq!(found["exceptions"][0]["by_author"], json!(expected), "{author}");
        }
    }
}
