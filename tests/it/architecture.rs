//! The module map: each module uses only modules above it in `lib.rs`, and pure modules name no machinery.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// Modules that must stay functions of their inputs.
const PURE: &[&str] = &[
    "text",
    "units",
    "expr",
    "trace",
    "checklist",
    "scenario",
    "plan",
    "world",
    "import",
    "attack",
    "provider",
    "stats",
    "grade",
    "drill",
    "incident",
    "verdict",
    "gate",
    "report",
];

/// What a pure module may not name. `thread::` is absent: compiling checks side by side changes no result.
const MACHINERY: &[&str] = &[
    "tokio::",
    "fs::",
    "env::",
    "net::",
    "process::",
    "Instant",
    "SystemTime",
    "Timestamp::now",
    "reqwest",
    "print!",
    "println!",
];

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

/// The modules that a file names after `crate::`, alone or in a group.
fn named(code: &str) -> BTreeSet<String> {
    let head =
        |text: &str| -> String { text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect() };
    let mut found = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        let Some(group) = rest.strip_prefix('{') else {
            found.insert(head(rest));
            continue;
        };
        found.insert(head(group));
        let mut depth = 1;
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => {
                    found.insert(head(&group[at + 1..]));
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    found
}

#[test]
fn names_are_found_alone_and_in_groups() {
    let found = named("use crate::plan;\nuse crate::{a::{B, c}, d, e::F};\nlet x = crate::g::h();");
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["a", "d", "e", "g", "plan"]);
}

#[test]
fn each_module_uses_only_modules_above_it() {
    let order = modules();
    assert!(order.len() > 20, "lib.rs lists the modules, one a line");
    let mut wrong = Vec::new();
    for (path, module) in files() {
        let Some(position) = order.iter().position(|name| *name == module) else { continue };
        let code = code(&path);
        let used = named(&code);
        for below in order.iter().skip(position + 1).filter(|below| used.contains(*below)) {
            wrong.push(format!("{} uses `{below}`, which stands below `{module}`", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pure_modules_name_no_machinery() {
    let order = modules();
    assert!(PURE.iter().all(|pure| order.iter().any(|module| module == pure)), "a pure module is missing");
    let mut wrong = Vec::new();
    for (path, module) in files() {
        if !PURE.contains(&module.as_str()) || EDGES.contains(&path.to_string_lossy().replace('\\', "/").as_str()) {
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
fn every_embedded_folder_is_packaged() {
    let cargo = std::fs::read_to_string("Cargo.toml").expect("Cargo.toml");
    let include = cargo.lines().find(|line| line.starts_with("include = ")).expect("an include list");
    let mut folders = 0;
    for (path, _) in files() {
        for rest in code(&path).split("include_dir!(\"$CARGO_MANIFEST_DIR").skip(1) {
            let folder = rest.split('"').next().expect("a folder");
            assert!(include.contains(&format!("\"{folder}\"")), "{folder} is not in the package");
            folders += 1;
        }
    }
    assert!(folders >= 4, "only {folders} embedded folders were found");
}

#[test]
fn every_module_says_what_it_owns() {
    for (path, _) in files() {
        let text = std::fs::read_to_string(&path).expect("a source file");
        assert!(text.starts_with("//!"), "{} has no head comment", path.display());
        assert!(text.lines().count() <= 500, "{} is longer than 500 lines", path.display());
    }
}
