//! The module map: each module uses only modules above it in `lib.rs`, and pure modules name no machinery.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Modules that must stay functions of their inputs.
const PURE: &[&str] =
    &["text", "units", "expr", "checklist", "scenario", "plan", "world", "stats", "grade", "verdict", "gate", "report"];

/// What a pure module may not name.
const MACHINERY: &[&str] =
    &["tokio::", "std::fs", "std::env", "std::net", "Instant", "SystemTime", "Timestamp::now", "reqwest", "println!"];

/// Files of pure modules that are the one place where their module meets the world.
const EDGES: &[&str] = &["src/report/target.rs"];

fn modules() -> Vec<String> {
    let lib = std::fs::read_to_string("src/lib.rs").expect("src/lib.rs");
    lib.lines().filter_map(|line| Some(line.strip_prefix("pub mod ")?.trim_end_matches(';').to_owned())).collect()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every source file with its module, tests left out.
fn files() -> BTreeMap<PathBuf, String> {
    let mut found = Vec::new();
    sources(Path::new("src"), &mut found);
    found
        .into_iter()
        .filter(|path| !path.components().any(|part| part.as_os_str() == "tests" || part.as_os_str() == "tests.rs"))
        .filter_map(|path| {
            let first = path.components().nth(1)?.as_os_str().to_string_lossy().into_owned();
            Some((path, first.trim_end_matches(".rs").to_owned()))
        })
        .collect()
}

/// The code of a file without its unit tests and comments.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).expect("a source file");
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn each_module_uses_only_modules_above_it() {
    let order = modules();
    assert!(order.len() > 20, "lib.rs lists the modules, one a line");
    let mut wrong = Vec::new();
    for (path, module) in files() {
        let Some(position) = order.iter().position(|name| *name == module) else { continue };
        let code = code(&path);
        for below in order.iter().skip(position + 1) {
            let direct = format!("crate::{below}::");
            let grouped = code.split("use crate::{").skip(1).filter_map(|rest| rest.split("};").next()).any(|group| {
                group.lines().any(|line| {
                    let line = line.trim();
                    line.starts_with(&format!("{below}::")) || line.trim_end_matches(',') == below.as_str()
                })
            });
            if code.contains(&direct) || grouped {
                wrong.push(format!("{} uses `{below}`, which stands below `{module}`", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pure_modules_name_no_machinery() {
    let mut wrong = Vec::new();
    for (path, module) in files() {
        if !PURE.contains(&module.as_str()) || EDGES.contains(&path.to_string_lossy().as_ref()) {
            continue;
        }
        let code = code(&path);
        wrong.extend(
            MACHINERY
                .iter()
                .filter(|name| code.contains(**name))
                .map(|name| format!("{} names `{name}`", path.display())),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_module_says_what_it_owns() {
    for (path, _) in files() {
        let text = std::fs::read_to_string(&path).expect("a source file");
        assert!(text.starts_with("//!"), "{} has no head comment", path.display());
        assert!(text.lines().count() <= 500, "{} is longer than 500 lines", path.display());
    }
}
