//! Where scenario files, facts and this run meet: the table of sources against the golden scenarios, findings of the red
//! team against the scenarios they became, the baseline against the verdicts of today. Part of the `suites` that checks
//! see. Judges nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::{grade::Grade, scenario::Suite, stats::sign_test, verdict};

/// What is joined.
pub(crate) struct Sides<'a> {
    /// Every scenario of the files that is not skipped, with its suite.
    pub(crate) scenarios: &'a BTreeMap<String, Suite>,
    /// The manifest's claims.
    pub(crate) manifest: &'a Value,
    /// What stands behind them.
    pub(crate) facts: &'a Value,
    /// Scenarios with their grades, when trials were run.
    pub(crate) rows: Option<&'a [verdict::Scenario]>,
}

/// Adds what the sides say of each other.
pub(crate) fn join(suites: &mut Value, sides: &Sides<'_>) {
    let sources = sources(sides);
    if let Some(golden) = suites.get_mut("golden").and_then(Value::as_object_mut) {
        golden.insert("sources".to_owned(), sources);
    }
    if let Some(suites) = suites.as_object_mut() {
        suites.insert("red_team".to_owned(), red_team(sides));
        suites.insert("regression".to_owned(), regression(sides));
    }
}

impl<'a> Sides<'a> {
    /// What the file at a place of the manifest says.
    fn file(&self, place: &str) -> Option<&'a Value> {
        let path = self.manifest.pointer(place)?.as_str()?;
        self.facts.get("files")?.get(path)
    }
}

/// The first of some cells that says something.
fn cell<'a>(row: &'a Value, names: &[&str]) -> Option<&'a str> {
    let cells = names.iter().filter_map(|name| row.get(*name)?.as_str());
    cells.map(|cell| cell.trim_matches(['`', ' '])).find(|cell| !cell.is_empty())
}

fn rows(file: Option<&Value>) -> impl Iterator<Item = &Value> {
    file.and_then(|file| file.get("rows")?.as_array()).into_iter().flatten()
}

fn sources(sides: &Sides<'_>) -> Value {
    let table = sides.file("/evals/golden_sources");
    let by_case: BTreeMap<&str, &Value> =
        rows(table).filter_map(|row| Some((cell(row, &["case", "scenario", "id"])?, row))).collect();
    let golden: Vec<&str> =
        sides.scenarios.iter().filter(|(_, suite)| **suite == Suite::Golden).map(|(id, _)| id.as_str()).collect();
    let (mut missing, mut unsourced, mut synthetic) = (Vec::new(), Vec::new(), 0_usize);
    let mut days: Vec<jiff::civil::Date> = Vec::new();
    for id in &golden {
        let Some(row) = by_case.get(id) else {
            missing.push(*id);
            continue;
        };
        let source = cell(row, &["source", "ticket", "run", "from"]);
        let day = cell(row, &["date", "day", "labelled_on", "on"]).and_then(|day| day.parse().ok());
        match (source, cell(row, &["labeller", "labelled_by", "by"]), day) {
            (Some(source), Some(_), Some(day)) => {
                synthetic += usize::from(source.to_lowercase().starts_with("synthetic"));
                days.push(day);
            }
            _ => unsourced.push(*id),
        }
    }
    let span = days.iter().max().zip(days.iter().min()).and_then(|(last, first)| last.since(*first).ok());
    #[expect(clippy::cast_precision_loss, reason = "counts of scenarios stay far below 2^52")]
    let share = if golden.is_empty() { 0.0 } else { synthetic as f64 / golden.len() as f64 };
    json!({
        "at": "/evals/golden_sources",
        "rows": by_case.len(),
        "missing": missing,
        "unsourced": unsourced,
        "synthetic_share": share,
        "span_days": span.map_or(0, |span| span.get_days()),
        "newest": days.iter().max().map(ToString::to_string),
    })
}

fn red_team(sides: &Sides<'_>) -> Value {
    let report = sides.file("/evals/red_team");
    let get = |key: &str| report.and_then(|report| report.get(key)).cloned().unwrap_or(Value::Null);
    let headings = get("headings");
    let told = |part: &str| {
        headings.as_array().into_iter().flatten().filter_map(Value::as_str).any(|heading| heading.contains(part))
    };
    let text = report.and_then(|report| report.get("text")?.as_str()).unwrap_or_default();
    let is_case = |row: &Value| {
        let case = cell(row, &["case", "scenario"]).and_then(|case| sides.scenarios.get(case));
        matches!(case, Some(Suite::Adversarial | Suite::Incident))
    };
    let columns = get("columns");
    let has_cases = columns.as_array().into_iter().flatten().any(|name| *name == "case" || *name == "scenario");
    let found: Vec<&Value> = rows(report).filter(|row| row.get("case").or(row.get("scenario")).is_some()).collect();
    let without: Vec<String> = found
        .iter()
        .filter(|row| !is_case(row))
        .enumerate()
        .map(|(at, row)| {
            let known = cell(row, &["finding", "id", "case", "scenario", "issue", "title"]).map(str::to_owned);
            known.unwrap_or_else(|| format!("row {}", at + 1))
        })
        .collect();
    let names_version =
        text.contains("sha256:") || text.split_whitespace().zip(text.split_whitespace().skip(1)).any(is_version);
    json!({
        "at": "/evals/red_team",
        "exists": get("exists") == Value::Bool(true),
        "dates": get("dates"),
        "told": {"injection": told("injection"), "exfiltration": told("exfiltration")},
        "names_version": names_version,
        "findings": found.len(),
        "tabled": has_cases || !found.is_empty(),
        "without_case": without,
        "scheduled": sides.facts.pointer("/release/scheduled").cloned().unwrap_or(Value::Bool(false)),
    })
}

/// Whether two words say which build it was: `version 2026.11`, `commit 0a1b2c3`.
fn is_version((word, next): (&str, &str)) -> bool {
    let word = word.trim_matches(|c: char| !c.is_alphanumeric());
    ["version", "release", "commit", "build"].contains(&word) && next.contains(|c: char| c.is_ascii_digit())
}

/// Scenarios that passed in the baseline: whether they are still there, and how they came out this time.
fn regression(sides: &Sides<'_>) -> Value {
    let report = sides.file("/evals/baseline").and_then(|file| file.get("json"));
    let text = |place: &str| report.and_then(|report| report.pointer(place)?.as_str()).unwrap_or_default();
    let listed = report.and_then(|report| report.get("scenarios")?.as_array());
    let number = |row: &Value, key: &str| row.get(key).and_then(Value::as_u64).unwrap_or_default();
    let tried = || listed.into_iter().flatten().filter(|row| number(row, "trials") > 0);
    let id = |row: &'_ Value| row.get("id").and_then(Value::as_str).map(str::to_owned);
    let had_passed = |row: &&Value| number(row, "passed") == number(row, "trials");
    // Attacks are made anew by each version of a pack; what people wrote has to be withdrawn in the baseline too.
    let is_written = |row: &&Value| row.get("suite").and_then(Value::as_str) != Some("adversarial");
    let (before, rest): (Vec<String>, Vec<String>) =
        tried().filter(had_passed).filter_map(id).partition(|id| sides.scenarios.contains_key(id));
    let written: BTreeSet<String> = tried().filter(is_written).filter_map(id).collect();
    let gone: Vec<String> = rest.into_iter().filter(|id| written.contains(id)).collect();
    let now: Option<BTreeMap<&str, &verdict::Scenario>> =
        sides.rows.map(|rows| rows.iter().map(|row| (row.id.as_str(), row)).collect());
    let (mut compared, mut lost, mut untried) = (0_u32, Vec::new(), Vec::new());
    for id in now.iter().flat_map(|_| &before) {
        match now.as_ref().and_then(|now| now.get(id.as_str())) {
            Some(row) if passes(row) => compared += 1,
            Some(row) if matches!(row.grade, Grade::FailB | Grade::FailC) => {
                compared += 1;
                lost.extend((row.passed * 2 < row.trials).then_some(id));
            }
            _ => untried.push(id),
        }
    }
    let failed = tried().filter(|row| !had_passed(row)).filter_map(id);
    let better = failed.filter(|id| now.as_ref().and_then(|now| now.get(id.as_str())).is_some_and(|row| passes(row)));
    let better = now.as_ref().map(|_| better.count() as u64);
    let held = |now: &BTreeMap<&str, &verdict::Scenario>| {
        before.iter().filter(|id| now.get(id.as_str()).is_some_and(|row| passes(row))).count()
    };
    let worse = now.as_ref().map(|now| u64::from(compared) - held(now) as u64);
    json!({
        "at": "/evals/baseline",
        "reads": listed.is_some(),
        "was_go": text("/verdict/decision").starts_with("GO"),
        "same_agent": text("/agent/name") == sides.manifest.pointer("/agent/name").and_then(Value::as_str).unwrap_or_default(),
        "shared": before.len(),
        "compared": now.as_ref().map(|_| compared),
        "lost": lost,
        "untried": untried,
        "gone": gone,
        "worse": worse,
        "better": better,
        "p": worse.zip(better).map(|(worse, better)| (sign_test(worse, better) * 1e6).round() / 1e6),
    })
}

fn passes(row: &verdict::Scenario) -> bool {
    row.trials > 0 && row.passed == row.trials
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::{super::suites::row, Sides, join};
    use crate::{grade::Grade, scenario::Suite, verdict};

    fn joined(facts: &Value, rows: Option<&[verdict::Scenario]>) -> Value {
        let scenarios: BTreeMap<String, Suite> =
            [("a", Suite::Golden), ("b", Suite::Golden), ("x", Suite::Adversarial)]
                .into_iter()
                .map(|(id, suite)| (id.to_owned(), suite))
                .collect();
        let manifest = json!({"agent": {"name": "bot"},
            "evals": {"golden_sources": "s.csv", "red_team": "r.md", "baseline": "b.json"}});
        let mut suites = json!({"golden": {}});
        join(&mut suites, &Sides { scenarios: &scenarios, manifest: &manifest, facts, rows });
        suites
    }

    #[test]
    fn a_golden_scenario_without_a_whole_row_is_named() {
        let table = |rows: Value| json!({"files": {"s.csv": {"rows": rows}}});
        let whole = json!({"case": "a", "ticket": "T-1", "labeller": "ana", "date": "2026-09-01"});
        let made_up = json!({"case": "b", "source": "Synthetic", "labelled_by": "bo", "date": "2026-10-11"});
        let found = joined(&table(json!([whole, made_up])), None);
        let expected = json!({"at": "/evals/golden_sources", "rows": 2, "missing": [], "unsourced": [],
            "synthetic_share": 0.5, "span_days": 40, "newest": "2026-10-11"});
        assert_eq!(found["golden"]["sources"], expected);
        let found = joined(&table(json!([{"case": "a", "ticket": "T-1", "labeller": "ana", "date": "soon"}])), None);
        let sources = &found["golden"]["sources"];
        assert_eq!((&sources["missing"], &sources["unsourced"]), (&json!(["b"]), &json!(["a"])));
    }

    #[test]
    fn a_finding_of_the_red_team_needs_an_attack_or_an_incident() {
        let report = json!({"exists": true, "headings": ["prompt-injection"], "dates": ["2026-10-01"], "text": "version 1",
            "rows": [{"finding": "RT-1", "case": "`x`"}, {"finding": "RT-2", "case": "a"}, {"tool": "ours"}]});
        let found = &joined(&json!({"files": {"r.md": report}, "release": {"scheduled": true}}), None)["red_team"];
        assert_eq!((&found["findings"], &found["without_case"]), (&json!(2), &json!(["RT-2"])));
        assert_eq!(found["told"], json!({"injection": true, "exfiltration": false}));
        assert_eq!((&found["names_version"], &found["scheduled"]), (&json!(true), &json!(true)));
        assert_eq!(joined(&json!({}), None)["red_team"]["exists"], json!(false));
        let report = json!({"text": "conversion rates", "rows": [{"issue": "key in answer", "case": ""}, {"note": "x", "case": ""}]});
        let found = &joined(&json!({"files": {"r.md": report}}), None)["red_team"];
        assert_eq!(found["without_case"], json!(["key in answer", "row 2"]));
        assert_eq!(found["names_version"], json!(false));
        for (report, expected) in
            [(json!({"columns": ["finding", "case"], "rows": []}), true), (json!({"columns": ["tool"]}), false)]
        {
            let found = &joined(&json!({"files": {"r.md": report}}), None)["red_team"];
            assert_eq!((&found["tabled"], &found["findings"]), (&json!(expected), &json!(0)));
        }
    }

    #[test]
    fn what_passed_before_is_lost_only_when_most_trials_fail() {
        let before = |id: &str, passed: u32| json!({"id": id, "trials": 2, "passed": passed});
        let report = json!({"agent": {"name": "bot"}, "verdict": {"decision": "GO-WITH-WAIVERS"},
            "scenarios": [before("a", 2), before("b", 2), before("x", 1), before("gone", 2)]});
        let facts = json!({"files": {"b.json": {"json": report}}});
        for (rows, compared, lost, untried) in [
            (None, Value::Null, json!([]), json!([])),
            (Some(vec![row("a", Grade::Pass, 3, 3), row("b", Grade::FailB, 3, 2)]), json!(2), json!([]), json!([])),
            (Some(vec![row("a", Grade::FailC, 3, 1), row("b", Grade::Pass, 1, 1)]), json!(2), json!(["a"]), json!([])),
            (Some(vec![row("a", Grade::ErrorInfra, 1, 0)]), json!(0), json!([]), json!(["a", "b"])),
        ] {
            let found = joined(&facts, rows.as_deref());
            let found = &found["regression"];
            assert_eq!((&found["compared"], &found["lost"], &found["untried"]), (&compared, &lost, &untried));
            assert!(
                found["was_go"] == json!(true) && found["same_agent"] == json!(true) && found["shared"] == json!(2)
            );
        }
    }

    #[test]
    fn what_is_gone_and_what_got_worse_are_told() {
        let before =
            |id: &str, suite: &str, passed: u32| json!({"id": id, "suite": suite, "trials": 3, "passed": passed});
        let report = json!({"scenarios": [before("a", "golden", 3), before("b", "golden", 3), before("x", "adversarial", 1),
            before("deleted", "golden", 3), before("of-an-older-pack", "adversarial", 3), before("failed", "golden", 1)]});
        let facts = json!({"files": {"b.json": {"json": report}}});
        let rows = [row("a", Grade::FailB, 3, 2), row("b", Grade::FailB, 3, 2), row("x", Grade::Pass, 3, 3)];
        let found = &joined(&facts, Some(&rows))["regression"];
        assert_eq!((&found["gone"], &found["lost"]), (&json!(["deleted"]), &json!([])));
        assert_eq!((&found["worse"], &found["better"], &found["p"]), (&json!(2), &json!(1), &json!(0.5)));
        assert_eq!(joined(&facts, None)["regression"]["p"], Value::Null);
    }
}
