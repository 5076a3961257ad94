//! What check files, profiles and the list of clauses say of each other holds both ways.

use std::collections::{BTreeMap, BTreeSet};

use super::{CATALOGUE, profiles, sound, thresholds};
use crate::checklist::Example;

/// Checks and the clauses that they name, their parts' included.
fn sources() -> BTreeMap<String, BTreeSet<String>> {
    let of = |check: std::sync::Arc<super::super::check::Check>| {
        let parts = check.file.parts.values().flat_map(|part| &part.sources);
        (check.id.clone(), check.file.sources.iter().chain(parts).cloned().collect())
    };
    CATALOGUE.all().map(of).collect()
}

#[test]
fn every_clause_has_its_checks_and_every_check_names_clauses_that_exist() {
    let list = std::fs::read_to_string("fixtures/clauses.txt").expect("the list of clauses");
    let clauses: BTreeMap<&str, BTreeSet<&str>> = list
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let (clause, checks) = line.split_once(' ').unwrap_or((line, ""));
            (clause, checks.split(' ').filter(|check| !check.is_empty() && *check != "*").collect())
        })
        .collect();
    assert_eq!(clauses.len(), 290);
    let sources = sources();
    let mut wrong = Vec::new();
    for (clause, checks) in &clauses {
        for check in checks {
            match sources.get(*check) {
                None => wrong.push(format!("{clause} asks for {check}, which does not exist")),
                Some(named) if !named.contains(*clause) => wrong.push(format!("{check} does not name {clause}")),
                Some(_) => {}
            }
        }
        if checks.is_empty() && !list.contains(&format!("{clause} *")) {
            wrong.push(format!("{clause} has no check"));
        }
    }
    for (check, named) in &sources {
        let seeds = named.iter().filter(|source| source.split('/').next().is_some_and(|seed| seed.len() == 3));
        for clause in seeds.filter(|source| !clauses.get(source.as_str()).is_some_and(|of| of.contains(check.as_str())))
        {
            wrong.push(format!("{check} names {clause}, which is not in the list with it"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn profiles_name_checks_thresholds_and_metrics_that_exist() {
    let sound = sound::with(&Example::default()).expect("loads").evidence;
    let measured = |name: &str| sound["metrics"].get(name).is_some();
    let known: BTreeSet<String> = thresholds().keys().cloned().collect();
    let word = regex::Regex::new(r"\b(metrics|thresholds)\.([a-z0-9_]+)").expect("a pattern");
    let mut wrong = Vec::new();
    let mut rules = 0;
    for (name, profile) in profiles() {
        for rule in &profile.rules {
            rules += 1;
            let named = rule.check.iter().chain(rule.checks.keys());
            for check in named.filter(|check| CATALOGUE.get(check.split('#').next().unwrap_or(check)).is_err()) {
                wrong.push(format!("{name}: no check {check}"));
            }
            let texts = [Some(&rule.says), rule.when.as_ref(), rule.that.as_ref(), rule.unknown.as_ref()];
            for found in texts.into_iter().flatten().flat_map(|text| word.captures_iter(text)) {
                let is_known = if &found[1] == "thresholds" { known.contains(&found[2]) } else { measured(&found[2]) };
                // What is not measured yet is said to be so by `unknown`.
                let is_waited_for = rule.unknown.as_ref().is_some_and(|unknown| unknown.contains(&found[0]));
                if !is_known && !is_waited_for {
                    wrong.push(format!("{name}: no {}", &found[0]));
                }
            }
        }
    }
    assert!(rules > 20, "{rules}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_page_of_all_checks_is_fresh() {
    let written = std::fs::read_to_string("docs/checks.md").expect("the page");
    let made = crate::checklist::reference(&CATALOGUE);
    let differs = written.lines().zip(made.lines()).find(|(old, new)| old != new);
    assert!(
        written == made,
        "docs/checks.md is stale, first at {differs:?}; run `agentready list checks --markdown > docs/checks.md`"
    );
}
