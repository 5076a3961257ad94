use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};

use proptest::prelude::*;
use serde_json::json;

use super::{FORMATS, Import, Input, Options, format, import};
use crate::{
    scenario::{self, Scenario},
    source::{self, Diagnostics, Files, SourceFile, render},
    world,
};

const WORLD: &str = "tau2-world.yaml";

fn fixture(name: &str) -> SourceFile {
    let text = std::fs::read_to_string(format!("fixtures/import/{name}")).expect("a fixture");
    SourceFile::new(name, text)
}

fn options(kind: &str, file: &str) -> Options {
    Options {
        name: "own".to_owned(),
        world: (kind == "tau2").then(|| WORLD.to_owned()),
        benign: file.contains("benign"),
        ..Options::default()
    }
}

fn read(kind: &str, file: &SourceFile, options: &Options) -> Result<Import, Diagnostics> {
    let attacks = (kind == "bipia").then(|| fixture("bipia_attacks.json"));
    let input = Input { file, attacks: attacks.as_ref(), options };
    import(format(kind).expect("a format"), &input)
}

/// The files as they would be written.
fn texts(import: &Import) -> BTreeMap<String, String> {
    let pages = import.pages.iter().map(|(name, page)| (name.clone(), serde_json::to_value(page).expect("plain data")));
    let world =
        import.world.iter().map(|(name, world)| (name.clone(), serde_json::to_value(world).expect("plain data")));
    pages.chain(world).map(|(name, value)| (name, source::yaml(&value))).collect()
}

/// What a run would load.
fn load(import: &Import) -> Vec<Scenario> {
    let mut all: BTreeMap<String, Arc<str>> =
        texts(import).into_iter().map(|(name, text)| (name, text.into())).collect();
    all.insert(WORLD.to_owned(), fixture(WORLD).text().into());
    let files = Files::texts(all);
    if let Some((name, _)) = &import.world {
        world::load(&files, name).unwrap_or_else(|error| panic!("{error}"));
    }
    let names: Vec<String> = import.pages.keys().cloned().collect();
    scenario::load(&files, &names).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_format_becomes_scenarios_that_load() {
    let mut tried = std::collections::BTreeSet::new();
    for (kind, file) in [
        ("advbench", "advbench.csv"),
        ("agentdojo", "agentdojo.json"),
        ("agentharm", "agentharm.json"),
        ("agentharm", "agentharm_benign.json"),
        ("bipia", "bipia.jsonl"),
        ("csv", "plain.csv"),
        ("deepeval", "deepeval.csv"),
        ("deepeval", "deepeval.json"),
        ("garak-hitlog", "garak.hitlog.jsonl"),
        ("garak-report", "garak.report.jsonl"),
        ("harmbench", "harmbench.csv"),
        ("injecagent", "injecagent.json"),
        ("inspect", "inspect.jsonl"),
        ("jailbreakbench", "jailbreakbench.csv"),
        ("jailbreakbench", "jailbreakbench.json"),
        ("jsonl", "plain.jsonl"),
        ("promptfoo", "promptfoo.yaml"),
        ("pyrit", "pyrit.prompt"),
        ("tau2", "tau2.json"),
    ] {
        tried.insert(kind);
        let import = read(kind, &fixture(file), &options(kind, file)).unwrap_or_else(|error| panic!("{kind}: {error}"));
        let scenarios = load(&import);
        assert_eq!(scenarios.len(), import.golden + import.attacks + import.text_only, "{kind}");
        for scenario in &scenarios {
            let origin = scenario.origin.as_ref().expect("every scenario says where it comes from");
            assert_eq!((origin.format.as_str(), origin.file.as_str()), (kind, file));
            assert!(origin.digest.starts_with("sha256:"));
        }
        assert_eq!(scenarios.iter().filter(|scenario| scenario.is_attack()).count(), import.attacks, "{kind}");
        assert_eq!(scenarios.iter().filter(|scenario| scenario.is_text_only()).count(), import.text_only, "{kind}");
        let mut shown = String::new();
        for (name, text) in texts(&import) {
            let _ = writeln!(shown, "# {name}\n{text}");
        }
        let _ = write!(shown, "# left out\n{}", source::yaml(&json!(import.left_out)));
        insta::assert_snapshot!(format!("{kind}-{}", file.replace('.', "-")), shown);
    }
    let all: std::collections::BTreeSet<&str> = FORMATS.iter().map(|format| format.name).collect();
    assert_eq!(tried, all, "every format is tried");
    assert!(FORMATS.is_sorted_by_key(|format| format.name));
}

#[test]
fn every_mistake_of_a_file_is_told_with_its_row_and_column() {
    let mut shown = String::new();
    for (kind, file) in [
        ("advbench", "advbench.csv"),
        ("advbench", "advbench-header.csv"),
        ("advbench", "advbench-quote.csv"),
        ("agentdojo", "agentdojo.json"),
        ("agentdojo", "agentdojo-suite.json"),
        ("agentdojo", "agentdojo-form.json"),
        ("agentharm", "agentharm.json"),
        ("bipia", "bipia.jsonl"),
        ("deepeval", "deepeval.json"),
        ("garak-report", "garak.report.jsonl"),
        ("harmbench", "harmbench.csv"),
        ("injecagent", "injecagent.json"),
        ("injecagent", "injecagent-cut.json"),
        ("inspect", "inspect.jsonl"),
        ("jailbreakbench", "jailbreakbench.csv"),
        ("jsonl", "plain.jsonl"),
        ("promptfoo", "promptfoo.yaml"),
        ("promptfoo", "promptfoo-syntax.yaml"),
        ("pyrit", "pyrit.prompt"),
        ("tau2", "tau2.json"),
    ] {
        let file = fixture(&format!("wrong/{file}"));
        let problems = read(kind, &file, &options(kind, file.name())).expect_err(kind);
        let _ = writeln!(shown, "# {kind}, {}\n{}\n", file.name(), render(&problems.0, false));
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn what_no_file_can_mend_is_told_too() {
    let mut shown = String::new();
    let file = fixture("advbench.csv");
    for (kind, file, options) in [
        ("bipia", &fixture("bipia.jsonl"), Options::default()),
        ("tau2", &fixture("tau2.json"), Options::default()),
        ("agentharm", &fixture("agentharm_benign.json"), Options::default()),
        ("injecagent", &fixture("injecagent.json"), Options { world: Some("w.yaml".to_owned()), ..Options::default() }),
        ("csv", &SourceFile::new("empty.csv", ""), Options::default()),
        ("csv", &SourceFile::new("header.csv", "prompt,id\n"), Options::default()),
        ("csv", &file, Options { column: Some("gaol".to_owned()), ..Options::default() }),
    ] {
        let input = Input { file, attacks: None, options: &options };
        let problems = import(format(kind).expect("a format"), &input).expect_err(kind);
        let _ = writeln!(shown, "# {kind}, {}\n{}\n", file.name(), render(&problems.0, false));
    }
    let unknown = format("promtfoo").expect_err("there is no such format");
    shown.push_str(&render(&[unknown], false));
    insta::assert_snapshot!(shown);
}

#[test]
fn a_tool_that_must_not_be_executed_makes_an_attack_of_a_prompt() {
    let options =
        Options { never: vec!["issue_refund".to_owned()], world: Some(WORLD.to_owned()), ..options("advbench", "") };
    let import = read("advbench", &fixture("advbench.csv"), &options).expect("imports");
    assert_eq!((import.attacks, import.text_only), (2, 0));
    let scenarios = load(&import);
    assert!(scenarios.iter().all(Scenario::is_attack));
    assert!(import.pages.keys().all(|name| name == "own-attacks.yaml"));
}

#[test]
fn large_files_become_several_pages_and_ids_stay_apart() {
    let mut text = "id,prompt\n".to_owned();
    for _ in 0..2100 {
        text.push_str("same,words\n");
    }
    let import = read("csv", &SourceFile::new("many.csv", text), &options("csv", "")).expect("imports");
    assert_eq!(import.pages.keys().collect::<Vec<_>>(), ["own-text-only-2.yaml", "own-text-only.yaml"]);
    assert_eq!(load(&import).len(), 2100);
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_first_column() {
    let file = SourceFile::new("a.csv", "\u{feff}prompt,id\r\nhello,1\r\n");
    assert_eq!(load(&read("csv", &file, &options("csv", "")).expect("imports"))[0].turns[0].say, "hello");
    let file = SourceFile::new("a.jsonl", "\u{feff}{\"prompt\": \"hello\"}\n");
    assert_eq!(load(&read("jsonl", &file, &options("jsonl", "")).expect("imports"))[0].turns[0].say, "hello");
}

#[test]
fn mistakes_without_number_are_counted() {
    let text: String = std::iter::once("prompt,id\n".to_owned()).chain((0..150).map(|n| format!(",{n}\n"))).collect();
    let problems = read("csv", &SourceFile::new("a.csv", text), &options("csv", "")).expect_err("is wrong").0;
    assert_eq!(problems.len(), 101);
    assert!(problems[100].message.starts_with("50 more mistakes"), "{}", problems[100].message);
}

/// Attack text as it comes: controls, templates, quotes, YAML, everything.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<String>(),
        "[\\x00-\\x1f\\x7f-\\x9f\u{200b}\u{202e}\u{feff}\u{e0041}]{1,4}",
        Just("{{ env.HOME }}{% raw %}".to_owned()),
        Just("\n- a: &b *c\n? |\n  #".to_owned()),
        Just("\"',\r\n\\u0041\\".to_owned()),
    ];
    prop::collection::vec(piece, 1..5)
        .prop_map(|pieces| pieces.concat())
        .prop_filter("blank", |text| !text.trim().is_empty())
}

proptest! {
    #[test]
    fn attack_text_is_kept_as_it_stands(texts in prop::collection::vec(hostile(), 1..4)) {
        let lines: String = texts.iter().map(|text| json!({"prompt": text}).to_string()).collect::<Vec<_>>().join("\n");
        let cells: String = texts.iter().map(|text| format!("\"{}\"", text.replace('"', "\"\""))).collect::<Vec<_>>().join("\n");
        let items: Vec<_> = texts.iter().map(|text| json!({"value": text})).collect();
        for (kind, name, text) in [
            ("jsonl", "a.jsonl", lines),
            ("csv", "a.csv", format!("prompt\n{cells}")),
            ("pyrit", "a.prompt", source::yaml(&json!({"seeds": items}))),
        ] {
            let import = read(kind, &SourceFile::new(name, text), &options(kind, "")).expect("imports");
            let mut said: Vec<String> = load(&import).into_iter().map(|s| s.turns[0].say.clone()).collect();
            let mut wanted = texts.clone();
            said.sort();
            wanted.sort();
            prop_assert_eq!(said, wanted, "{}", kind);
        }
    }
}
