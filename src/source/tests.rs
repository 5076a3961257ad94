use std::{collections::BTreeMap, fmt::Write as _};

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Diagnostics, Files, Loaded, Route, SourceFile, load_text, render};
use crate::units::{Share, Span};

#[derive(Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
struct Sample {
    name: String,
    #[serde(default)]
    timeout: Option<Span>,
    #[serde(default)]
    rate: Option<Share>,
    #[serde(default)]
    effect: Option<Effect>,
    #[serde(default)]
    tools: BTreeMap<String, Inner>,
    #[serde(default)]
    allow: Option<Allow>,
}

#[derive(Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
struct Inner {
    system: String,
    #[serde(default)]
    count: Option<u32>,
}

#[derive(Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Effect {
    Read,
    ExternalSend,
}

#[derive(Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(untagged)]
enum Allow {
    Word(Effect),
    Tiers(Tiers),
}

#[derive(Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
struct Tiers {
    by: String,
    auto_up_to: f64,
}

fn read(name: &str, text: &str) -> Result<Loaded<Sample>, Diagnostics> {
    load_text(SourceFile::new(name, text))
}

fn shown(name: &str, text: &str) -> String {
    match read(name, text) {
        Ok(loaded) => format!("{:?}", loaded.value),
        Err(problems) => render(&problems.0, false),
    }
}

#[test]
fn all_mistakes_of_a_file_are_shown_at_once() {
    let text = "nam: x\ntimeout: soon\nrate: 0.95\neffect: external-sent\ntools:\n  a: {sistem: s, count: two}\nallow: {by: /x, auto_upto: 5}\n";
    insta::assert_snapshot!(shown("agentready.yaml", text));
}

#[test]
fn toml_mistakes_have_places_too() {
    let text = "name = \"x\"\ntimeout = \"soon\"\n\n[tools.a]\nsistem = \"s\"\n";
    insta::assert_snapshot!(shown("agentready.toml", text));
}

#[test]
fn yaml_and_toml_give_the_same_value() {
    let yaml = read("a.yaml", "name: x\ntools: {a: {system: s, count: 2}}\nallow: {by: /x, auto_up_to: 5}\n");
    let toml = read("a.toml", "name = 'x'\nallow = {by = '/x', auto_up_to = 5}\n[tools.a]\nsystem = 's'\ncount = 2\n");
    assert_eq!(yaml.expect("yaml").value, toml.expect("toml").value);
}

#[test]
fn syntax_errors_and_doubled_keys_have_a_place() {
    insta::assert_snapshot!(shown("a.yaml", "name: x\ntools: [a\n"));
    insta::assert_snapshot!(shown("b.yaml", "name: x\nname: y\n"));
    insta::assert_snapshot!(shown("c.toml", "name = x\n"));
}

#[test]
fn alias_bombs_are_refused() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let previous = level - 1;
        let _ = writeln!(text, "a{level}: &a{level} [{}]", vec![format!("*a{previous}"); 9].join(", "));
    }
    assert!(read("bomb.yaml", &text).is_err());
}

#[test]
fn routes_resolve_to_the_nearest_place_that_exists() {
    let loaded = read("a.yaml", "name: x\ntools:\n  a:\n    system: s\n").expect("reads");
    let line = |route: &str| loaded.document.locate(&Route::pointer(route)).line;
    assert_eq!(line("/tools/a/system"), 4);
    assert_eq!(line("/tools/a/rollback"), 3);
    assert_eq!(line("/policy"), 1);
}

#[test]
fn files_outside_the_root_are_refused() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let root = folder.path().join("repo");
    std::fs::create_dir_all(root.join("evals/golden")).expect("folders");
    std::fs::write(folder.path().join("secret.yaml"), "x").expect("a file");
    std::fs::write(root.join("evals/golden/a.yaml"), "x").expect("a file");
    let files = Files::disk(&root, false);
    assert!(files.read("../secret.yaml").is_err());
    assert!(Files::disk(&root, true).read("../secret.yaml").is_ok());
    for pattern in ["evals/**/*.yaml", "evals/golden/*.yaml", "evals/golden/a.yaml", "**/a.yaml"] {
        assert_eq!(files.glob(pattern), ["evals/golden/a.yaml"], "{pattern}");
    }
    assert!(files.glob("evals/golden/b.yaml").is_empty());
    assert_eq!(Files::resolve("evals/golden/a.yaml", "../worlds/w.yaml"), "evals/worlds/w.yaml");
}

#[test]
fn an_oversize_file_is_refused() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    std::fs::write(folder.path().join("big.yaml"), vec![b'#'; 5 * 1024 * 1024]).expect("a file");
    let error = Files::disk(folder.path(), false).read("big.yaml").expect_err("too large");
    assert!(error.to_string().contains("larger than 4 MiB"), "{error}");
}

#[test]
fn an_excerpt_marks_the_place_or_its_nearest_parent() {
    let text = "# head\ntools:\n  refund: {system: stripe, effect: write}   # änd\n  give:\n    allow: never\nlist: [a, {b: 1}]\n";
    for (name, text) in [("m.yaml", text), ("m.toml", "a = 1\n[tools.refund]\nsystem = \"stripe\"\n")] {
        let loaded = load_text::<serde_json::Value>(SourceFile::new(name, text)).unwrap();
        let shown = |route: &str| {
            let spot = loaded.document.spot(&Route::pointer(route), loaded.document.file());
            let marked = spot.excerpt.map(|excerpt| {
                let marked: String = excerpt.text.chars().skip(excerpt.before).take(excerpt.marked).collect();
                format!("{}:{marked}", excerpt.line)
            });
            (spot.location.line, spot.missing, marked.unwrap_or_default())
        };
        let cases = if name == "m.yaml" {
            vec![
                ("", (2, false, "")),
                ("/audit/run_id", (2, true, "")),
                ("/tools/refund", (3, false, "3:refund")),
                ("/tools/refund/effect", (3, false, "3:effect: write")),
                ("/tools/refund/rollback", (3, true, "3:refund")),
                ("/tools/give/allow", (5, false, "5:allow: never")),
                ("/list/0", (6, false, "6:a")),
                ("/list/1/b", (6, false, "6:b: 1")),
            ]
        } else {
            vec![
                ("/tools/refund", (2, false, "2:refund")),
                ("/tools/refund/system", (3, false, "3:system = \"stripe\"")),
            ]
        };
        for (route, (line, missing, marked)) in cases {
            assert_eq!(shown(route), (line, missing, marked.to_owned()), "{name} {route}");
        }
    }
}

#[test]
fn an_excerpt_of_a_long_line_is_cut_around_its_mark() {
    let text = format!("{{\"head\": \"{}\", \"tool\": 1, \"tail\": \"{}\"}}", "x".repeat(5_000), "y".repeat(5_000));
    let loaded = load_text::<serde_json::Value>(SourceFile::new("m.json", text)).unwrap();
    let spot = loaded.document.spot(&Route::pointer("/tool"), loaded.document.file());
    let excerpt = spot.excerpt.unwrap();
    assert_eq!((excerpt.text.chars().count(), excerpt.before), (200, 60));
    assert!(excerpt.text.chars().skip(excerpt.before).take(excerpt.marked).eq("\"tool\": 1".chars()), "{excerpt:?}");
    assert_eq!(excerpt.column + excerpt.before, spot.location.column);
}

#[test]
fn what_a_document_lacks_is_told_below_its_deepest_place() {
    let text = "data:\n  classes: {pii: none}\nevals: {golden: [a]}\n";
    let loaded = load_text::<serde_json::Value>(SourceFile::new("m.yaml", text)).unwrap();
    let lacking = |wanted: serde_json::Value| {
        loaded.document.lacking(&wanted).map(|(route, rest)| format!("{}: {rest}", route.dotted()))
    };
    for (wanted, expected) in [
        (serde_json::json!({"data": {"redaction": "r.yaml"}}), Some("data: {\"redaction\":\"r.yaml\"}")),
        (serde_json::json!({"data": {"classes": {"pii": "x"}}}), None),
        (serde_json::json!({"data": {"classes": {"pii": "x", "keys": [1]}}}), Some("data.classes: {\"keys\":[1]}")),
        (serde_json::json!({"audit": {"sample": "s"}}), Some(": {\"audit\":{\"sample\":\"s\"}}")),
        (serde_json::json!({"evals": {"golden": ["b"]}}), None),
    ] {
        assert_eq!(lacking(wanted.clone()).as_deref(), expected, "{wanted}");
    }
}

#[test]
fn a_pattern_gives_the_same_among_names_that_are_known() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in [
        "a.md",
        "docs/a.md",
        "docs/b/c.md",
        "docs-old/a.md",
        "docs.md",
        "target/a.md",
        "docs/target/x.md",
        "elsewhere/d.md",
    ] {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, "x").expect("written");
    }
    #[cfg(unix)]
    std::os::unix::fs::symlink("elsewhere", folder.path().join("linked")).expect("linked");
    let files = Files::disk(folder.path(), false);
    let names = files.names();
    assert_eq!(names, ["a.md", "docs-old/a.md", "docs.md", "docs/a.md", "docs/b/c.md", "elsewhere/d.md"]);
    for pattern in [
        "*.md",
        "**",
        "**/a.md",
        "docs/*.md",
        "docs/**",
        "./docs/**/*.md",
        "docs*/*",
        "docs/b/*",
        "target/*.md",
        "docs/target/*",
        "linked/*.md",
        "gone/*",
        "docs/a.md",
        "docs/gone.md",
        "../*",
        "docs/../a*",
    ] {
        assert_eq!(files.glob_among(&names, pattern), files.glob(pattern), "{pattern}");
    }
}
