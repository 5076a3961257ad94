//! The README says what is true: its help, its tables and its example are held against the program.

use std::collections::BTreeMap;

use agentready::exit;

use crate::support::Bench;

fn readme() -> String {
    std::fs::read_to_string("README.md").expect("the README")
}

/// The fenced blocks of a language.
fn fences(language: &str) -> Vec<String> {
    let text = readme();
    let mut blocks = Vec::new();
    let mut open: Option<String> = None;
    for line in text.lines() {
        match &mut open {
            None if line == format!("```{language}") => open = Some(String::new()),
            None => {}
            Some(_) if line == "```" => blocks.extend(open.take()),
            Some(block) => {
                block.push_str(line);
                block.push('\n');
            }
        }
    }
    blocks
}

/// The files of the example by name, each fence headed `# <path>`.
fn example() -> BTreeMap<String, String> {
    ["yaml", "python"]
        .into_iter()
        .flat_map(fences)
        .filter_map(|block| {
            let name = block.lines().next()?.strip_prefix("# ")?.to_owned();
            (!name.starts_with("part of ")).then_some((name, block))
        })
        .collect()
}

#[test]
fn the_help_block_is_what_the_program_prints() {
    let block =
        fences("console").into_iter().find(|block| block.starts_with("$ agentready --help")).expect("the block");
    let shown = block.split_once('\n').expect("a command and its output").1;
    assert_eq!(Bench::new().run(&["--help"]).out, shown);
}

#[test]
fn the_exit_table_is_that_of_the_program() {
    let text = readme();
    let section = text.split("## Exit codes").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("the section");
    let codes: Vec<u8> =
        section.lines().filter_map(|line| line.strip_prefix("| ")?.split(' ').next()?.parse().ok()).collect();
    assert_eq!(codes, [exit::GO, exit::NO_GO, exit::BAD_INPUT, exit::INCONCLUSIVE, exit::INTERNAL, exit::INTERRUPTED]);
}

#[test]
fn the_module_map_lists_every_module_in_order() {
    let text = readme();
    let map = text.split("## Module map").nth(1).expect("the map");
    let listed: Vec<&str> = map.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let lib = std::fs::read_to_string("src/lib.rs").expect("src/lib.rs");
    let modules: Vec<&str> =
        lib.lines().filter_map(|line| Some(line.strip_prefix("pub mod ")?.trim_end_matches(';'))).collect();
    assert_eq!(listed, modules);
}

#[test]
fn the_example_is_valid_and_its_scenarios_are_found() {
    let bench = Bench::new();
    let files = example();
    assert!(files.len() >= 5, "{:?}", files.keys());
    for (name, text) in &files {
        bench.write(name, text);
    }
    let done = bench.run(&["list", "scenarios", "--json", "--manifest", "agentready.yaml"]);
    assert_eq!(done.code, 0, "{}", done.all());
    let rows: Vec<serde_json::Value> = serde_json::from_str(&done.out).expect("JSON");
    assert_eq!(rows.len(), 4, "{}", done.all());
    let checked = bench.run(&["check", "--static"]);
    assert_eq!(checked.code, 1, "{}", checked.all());
}

#[test]
fn the_selftest_table_names_every_agent() {
    let text = readme();
    let table = text.split("## What it refuses to believe").nth(1).and_then(|rest| rest.split("\n## ").next());
    let source = std::fs::read_to_string("src/cli/selftest/mod.rs").expect("the selftest");
    let rows: Vec<&str> = source.split("Row { name: \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(rows.len(), 14, "{rows:?}");
    for row in rows {
        assert!(table.is_some_and(|table| table.contains(&format!("| {row} |"))), "`{row}` is not in the README");
    }
}
