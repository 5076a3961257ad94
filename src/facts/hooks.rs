//! The commands of the manifest that exercise a control, and whether there is something behind them to run.
//!
//! `facts.hooks` has an entry for each place that can hold a hook, by that place (`incident.kill_switch.writes`):
//!
//! | key | holds |
//! |---|---|
//! | `given` | the manifest has the hook |
//! | `run`, `undo` | the command and what became of looking: `command`, `state`, `script`; `undo` only where it is given |
//! | `within_s` | seconds in which it must have worked, where that is said |
//! | `in_runbook` | the runbook shows the command of `run` |
//!
//! `state` is `ready` (a script of the repository with something to run), `missing`, `empty` (nothing but comments, exits
//! and echoes), or `elsewhere` (a program that the repository does not hold, which is not looked at). Runs nothing, and
//! must not judge.

use std::sync::LazyLock;

use regex::{Regex, bytes};
use serde_json::{Map, Value, json};

use super::Shelf;
use crate::units::parse_duration;

/// Places of hooks outside of `systems`.
const PLACES: [&str; 8] = [
    "audit.log",
    "audit.replay",
    "change.rollback",
    "identity.revoke",
    "incident.kill_switch.agent",
    "incident.kill_switch.tool",
    "incident.kill_switch.writes",
    "incident.page",
];

/// Programs that run the script that they are given.
const INTERPRETERS: [&str; 11] =
    ["bash", "dash", "deno", "node", "perl", "python", "python3", "ruby", "sh", "tsx", "zsh"];

static PLACEHOLDER: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\\\{[a-z_]+\\\}").expect("the pattern is valid"));

/// Facts of every hook.
pub(super) fn facts(shelf: &Shelf<'_>, manifest: &Value) -> Value {
    let runbook = manifest.pointer("/incident/runbook").and_then(Value::as_str);
    let runbook = runbook.and_then(|path| shelf.text(path.split('#').next()?));
    let runbook = runbook.as_ref().map_or("", |file| file.text());
    let systems = manifest.get("systems").and_then(Value::as_object).into_iter().flat_map(Map::keys);
    let of_systems = systems.flat_map(|name| ["audit_log", "disconnect"].map(|key| format!("systems.{name}.{key}")));
    let places = PLACES.map(str::to_owned).into_iter().chain(of_systems);
    places.map(|place| (place.clone(), hook(shelf, manifest, &place, runbook))).collect::<Map<_, _>>().into()
}

fn hook(shelf: &Shelf<'_>, manifest: &Value, place: &str, runbook: &str) -> Value {
    let pointer = format!("/{}", place.replace('.', "/"));
    let stated = manifest.pointer(&pointer);
    let text = |key: &str| stated.and_then(|hook| hook.get(key)).and_then(Value::as_str);
    let Some(run) = text("run") else { return json!({"given": false, "name": place, "at": pointer}) };
    let mut entry = json!({
        "given": true,
        "name": place,
        "at": pointer,
        "run": command(shelf, run),
        "in_runbook": is_shown(run, runbook),
    });
    if let Value::Object(entry) = &mut entry {
        entry.extend(text("undo").map(|undo| ("undo".to_owned(), command(shelf, undo))));
        let within = text("within").and_then(parse_duration);
        entry.extend(within.map(|within| ("within_s".to_owned(), within.as_secs_f64().into())));
    }
    entry
}

fn command(shelf: &Shelf<'_>, command: &str) -> Value {
    let Some(script) = script(command) else { return json!({"command": command, "state": "elsewhere"}) };
    let state = match shelf.text(script) {
        None => "missing",
        Some(file) if file.text().lines().any(does_something) => "ready",
        Some(_) => "empty",
    };
    json!({"command": command, "script": script, "state": state})
}

/// The file of the repository that a command runs; nothing for a program that lies elsewhere.
fn script(command: &str) -> Option<&str> {
    let mut words = command.split_whitespace().skip_while(|word| {
        matches!(*word, "exec" | "env" | "sudo") || word.split_once('=').is_some_and(|(name, _)| !name.contains('/'))
    });
    let first = words.next()?;
    if INTERPRETERS.contains(&first) {
        return words.find(|word| !word.starts_with('-')).filter(|word| !word.contains(['"', '\'']));
    }
    (first.contains('/') && !first.starts_with('/')).then_some(first)
}

/// Whether a line of a script is more than a comment, an exit or an echo.
fn does_something(line: &str) -> bool {
    const IDLE: [&str; 9] = ["echo", "exit", "return", "set", "true", ":", "pass", "print", "printf"];
    const STRUCTURE: [&str; 12] = ["if", "fi", "then", "else", "done", "do", "esac", "case", "{", "}", ";;", "shift"];
    let line = line.trim();
    let first = line.split(|c: char| c.is_whitespace() || c == '(' || c == ';').next().unwrap_or_default();
    let piped = line.contains('|') || line.contains("$(");
    !line.is_empty()
        && !line.starts_with('#')
        && !line.starts_with("//")
        && !STRUCTURE.contains(&first)
        && (piped || !IDLE.contains(&first))
}

/// Whether a page shows a command; a placeholder stands for any word, and a leading `./` may be missing.
fn is_shown(command: &str, page: &str) -> bool {
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (words, page) = (plain(command), plain(page));
    let words = words.trim_start_matches("./");
    if !words.contains('{') {
        return page.contains(words);
    }
    let pattern = regex::escape(words);
    let pattern = PLACEHOLDER.replace_all(&pattern, r"\S+");
    // Bytes: with Unicode's classes, a pattern takes longer to compile than the page to search.
    bytes::Regex::new(&format!("(?-u){pattern}")).is_ok_and(|pattern| pattern.is_match(page.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::{does_something, is_shown, script};

    #[test]
    fn the_script_behind_a_command_is_found() {
        for (command, expected) in [
            ("./ops/switch.sh writes off", Some("./ops/switch.sh")),
            ("bash -eu ops/switch.sh off", Some("ops/switch.sh")),
            ("REGION=eu ops/off.sh", Some("ops/off.sh")),
            ("python3 ops/off.py", Some("ops/off.py")),
            ("bash -c \"echo off\"", None),
            ("kubectl scale deploy/agent --replicas 0", None),
            ("/usr/local/bin/off", None),
            ("", None),
        ] {
            assert_eq!(script(command), expected, "{command}");
        }
    }

    #[test]
    fn a_script_that_only_speaks_does_nothing() {
        for (line, expected) in [
            ("curl -fsS -X POST \"$URL/off\"", true),
            ("printf x | nc host 1", true),
            ("#!/bin/sh", false),
            ("echo done", false),
            ("exit 0", false),
            ("set -eu", false),
            ("", false),
            ("fi", false),
        ] {
            assert_eq!(does_something(line), expected, "{line}");
        }
    }

    #[test]
    fn a_page_shows_a_command_with_its_placeholders_filled_or_not() {
        let page = "Run:\n\n    ops/switch.sh tool\n    issue_refund off\n\nor `./ops/switch.sh writes off`.";
        assert!(is_shown("./ops/switch.sh tool {tool} off", page));
        assert!(is_shown("./ops/switch.sh writes off", page));
        assert!(is_shown("./ops/deploy.sh {version}", "`./ops/deploy.sh {version}`"));
        assert!(!is_shown("./ops/switch.sh agent off", page));
    }
}
