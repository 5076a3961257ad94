//! What the rules of a policy gate do with a call that none of them speaks of: deny it, let it through, or say nothing.
//!
//! Reads rules as text, and does not run them. Must not judge.

use std::{collections::BTreeMap, sync::LazyLock};

use regex::Regex;
use serde_json::Value;

use super::code::{Code, says};
use crate::source::{SourceFile, load_text};

/// Words by which a rule lets a call through.
pub(super) const ALLOW: [&str; 5] = ["allow", "allowed", "permit", "permitted", "true"];

/// Words by which a rule stops a call.
pub(super) const DENY: [&str; 10] =
    ["deny", "denied", "block", "blocked", "forbid", "forbidden", "reject", "rejected", "refuse", "refused"];

/// How the names of rules begin whose `true` lets a call through.
const GRANTS: [&str; 7] = ["allow", "permit", "authori", "grant", "accept", "decision", "result"];

/// Keys of a rule under which `*` means every tool.
const TOOLS: [&str; 7] = ["tool", "tools", "action", "actions", "name", "names", "operations"];

static DEFAULT: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?m)^(?-u:\s*default\s+(\w+)\s*)(?::=|=)?(?-u:\s*)([^{\n]*\{[^}]*\}|.+)$?"));
static LAST_ARM: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?mi)^.*(?-u:\b)(?:_(?-u:\s*)=>|default(?-u:\s*):|default(?-u:\b).*=|else(?-u:\b)).*$"));

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the pattern is valid")
}

/// What rules do with what they don't know.
#[derive(Clone, Copy, Default)]
struct Stance {
    denies: bool,
    allows: bool,
}

/// Whether the rules, by their names, deny what none of them allows: some of them say so, and none lets everything through.
pub(super) fn denies(rules: &[(&str, &Code)]) -> bool {
    let mut packages = BTreeMap::<&str, (Stance, bool)>::new();
    let mut stances = Vec::new();
    for (name, code) in rules {
        match name.rsplit_once('.').map_or("", |(_, end)| end) {
            "rego" => {
                let package = code.text.lines().find_map(|line| line.trim().strip_prefix("package "));
                let (stance, overridden) = packages.entry(package.map_or(*name, str::trim)).or_default();
                rego(code, stance, overridden);
            }
            "cedar" => stances.push(cedar(code)),
            "yaml" | "yml" | "json" | "toml" => stances.push(listed(name, code)),
            _ => stances.push(Stance { denies: last_arm_says(code, &DENY), allows: false }),
        }
    }
    // `default deny := false` allows what nothing denies, unless its package also has to allow it.
    let packages = packages
        .into_values()
        .map(|(stance, overridden)| Stance { allows: stance.allows || overridden && !stance.denies, ..stance });
    let all: Vec<Stance> = stances.into_iter().chain(packages).collect();
    all.iter().any(|stance| stance.denies) && !all.iter().any(|stance| stance.allows)
}

/// Counts the defaults of a file in; `overridden` says that a rule of denial does not hold by default.
fn rego(code: &Code, stance: &mut Stance, overridden: &mut bool) {
    for found in DEFAULT.captures_iter(&code.text) {
        let text = |group: usize| found.get(group).map_or("", |inner| inner.as_str());
        let (name, value) = (text(1).to_lowercase(), text(2));
        let said = Code::read("value.rego", value);
        let bare: String = value.chars().filter(|c| !c.is_whitespace() && *c != '"').collect();
        let is_true = said.says(&["true"]);
        if name.split('_').any(|word| DENY.contains(&word)) {
            stance.denies |= is_true;
            *overridden |= !is_true;
        } else if ["allow:true", "allowed:true", "permit:true"].iter().any(|pair| bare.contains(pair)) {
            stance.allows = true;
        } else if said.says(&DENY) || GRANTS.iter().any(|start| name.starts_with(start)) && said.says(&["false"]) {
            stance.denies = true;
        } else if GRANTS.iter().any(|start| name.starts_with(start)) {
            stance.allows |= said.says(&ALLOW);
        }
    }
}

/// Cedar denies by itself; a permit of everyone, everything and everywhere undoes that.
fn cedar(code: &Code) -> Stance {
    let bare: String = code.text.chars().filter(|c| !c.is_whitespace()).collect();
    let allows = bare.contains("permit(principal,action,resource);");
    Stance { denies: !allows, allows }
}

/// A list of rules: its default, and whether it allows `*`.
fn listed(name: &str, code: &Code) -> Stance {
    let file = SourceFile::new(name, code.text.clone());
    let stars = load_text::<Value>(file).is_ok_and(|loaded| allows_all(&loaded.value, false));
    let denies = last_arm_says(code, &DENY) || last_arm_says(code, &["false"]);
    Stance { denies, allows: stars || !denies && last_arm_says(code, &ALLOW) }
}

fn last_arm_says(code: &Code, words: &[&str]) -> bool {
    LAST_ARM.find_iter(&code.text).any(|line| Code::read("value.rego", line.as_str()).says(words))
}

/// Whether a `*` stands where tools are allowed: under such a key, or in a map that says so.
fn allows_all(value: &Value, allowed: bool) -> bool {
    let word = |text: &str, words: &[&str]| says(&[text.to_owned()].into(), words);
    match value {
        Value::String(text) => allowed && text == "*",
        Value::Array(items) => items.iter().any(|item| allows_all(item, allowed)),
        Value::Object(map) => {
            let effect = |words: &[&str]| map.values().filter_map(Value::as_str).any(|text| word(text, words));
            let here = (allowed || effect(&ALLOW)) && !effect(&DENY);
            map.iter().any(|(key, inner)| {
                let under = word(key, &ALLOW) || here && TOOLS.contains(&key.to_lowercase().as_str());
                allows_all(inner, under)
            })
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{Code, denies};

    fn said(files: &[(&str, &str)]) -> bool {
        let codes: Vec<(&str, Code)> = files.iter().map(|(name, text)| (*name, Code::read(name, text))).collect();
        denies(&codes.iter().map(|(name, code)| (*name, code)).collect::<Vec<_>>())
    }

    #[test]
    fn only_a_default_that_denies_counts_as_one() {
        for (name, text, expected) in [
            ("a.rego", "package a\ndefault allow := false\n", true),
            ("a.rego", "package a\ndefault allow(_) := false\n", true),
            ("a.rego", "package a\ndefault decision := {\n  \"effect\": \"deny\",\n}\n", true),
            ("a.rego", "package a\ndefault decision := {\"allow\": false, \"why\": \"unknown\"}\n", true),
            ("a.rego", "package a\ndefault decision := {\"allow\": true, \"why\": \"nothing denied it\"}\n", false),
            ("a.rego", "package a\ndefault allow := true\n", false),
            ("a.rego", "package a\ndefault owned := false\n", false),
            ("a.rego", "package a\ndefault deny := false\ndeny if input.tool == \"x\"\n", false),
            ("a.rego", "package a\ndefault deny := true\ndeny := false if input.tool == \"x\"\n", true),
            ("a.rego", "package a\ndefault deny := false\ndefault allow := false\nallow if not deny\n", true),
            ("a.rego", "package a\nallow if input.tool == \"x\"\n", false),
            ("a.cedar", "permit (principal, action, resource);\n", false),
            ("a.cedar", "permit (principal, action,\n  resource) when { context.tool == \"x\" };\n", true),
            ("a.cedar", "permit (principal, action == Action::\"x\", resource);\n", true),
            ("a.rs", "match tool { \"x\" => Allow, _ => Block }\n", true),
            ("a.py", "def decide(call):\n    return 'allow'\n", false),
            ("a.yaml", "default: deny\nallow: [get_order]\n", true),
            ("a.yaml", "default: deny\nallow: [\"*\"]\n", false),
            ("a.yaml", "default: deny\nrules:\n  - {tool: \"*\", effect: allow}\n", false),
            ("a.yaml", "default: deny\nrules:\n  - {tool: \"*\", effect: deny}\n", true),
            ("a.yaml", "default: deny\nallow:\n  - {tool: get_order, resource: \"*\"}\n", true),
            ("a.json", "{\"default\": \"allow\"}\n", false),
        ] {
            assert_eq!(said(&[(name, text)]), expected, "{text}");
        }
    }

    #[test]
    fn one_file_that_lets_everything_through_is_enough() {
        let denying = ("a.rego", "package a\ndefault allow := false\n");
        for (other, expected) in [
            ("package b\ndefault allow := true\n", false),
            ("package b\ndefault deny := false\n", false),
            ("package a\ndefault deny := false\n", true),
            ("package b\ndeny contains x if input.tool == x\n", true),
        ] {
            assert_eq!(said(&[denying, ("b.rego", other)]), expected, "{other}");
        }
        assert!(!said(&[]));
    }
}
