//! Where scenario files, facts and this run meet: the table of sources against the golden scenarios, findings of the red
//! team against the scenarios they became, the baseline against the verdicts of today. Part of the `suites` that checks
//! see. Judges nothing.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{grade::Grade, scenario::Suite, verdict};

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
    let found: Vec<&Value> = rows(report).filter(|row| row.get("case").or(row.get("scenario")).is_some()).collect();
    let without: Vec<&str> = found
        .iter()
        .filter(|row| !is_case(row))
        .filter_map(|row| cell(row, &["finding", "id", "case", "scenario"]))
        .collect();
    let names_version = ["version", "commit", "sha256"].iter().any(|word| text.contains(word));
    json!({
        "at": "/evals/red_team",
        "exists": get("exists") == Value::Bool(true),
        "dates": get("dates"),
        "told": {"injection": told("injection"), "exfiltration": told("exfiltration")},
        "names_version": names_version,
        "findings": found.len(),
        "without_case": without,
        "scheduled": sides.facts.pointer("/release/scheduled").cloned().unwrap_or(Value::Bool(false)),
    })
}

/// Scenarios that passed in the baseline: whether they are still there, and how they came out this time.
fn regression(sides: &Sides<'_>) -> Value {
    let report = sides.file("/evals/baseline").and_then(|file| file.get("json"));
    let text = |place: &str| report.and_then(|report| report.pointer(place)?.as_str()).unwrap_or_default();
    let listed = report.and_then(|report| report.get("scenarios")?.as_array());
    let number = |row: &Value, key: &str| row.get(key).and_then(Value::as_u64).unwrap_or_default();
    let before: Vec<&str> = listed
        .into_iter()
        .flatten()
        .filter(|row| number(row, "trials") > 0 && number(row, "passed") == number(row, "trials"))
        .filter_map(|row| row.get("id")?.as_str())
        .filter(|id| sides.scenarios.contains_key(*id))
        .collect();
    let now: Option<BTreeMap<&str, &verdict::Scenario>> =
        sides.rows.map(|rows| rows.iter().map(|row| (row.id.as_str(), row)).collect());
    let (mut compared, mut lost, mut untried) = (0_u32, Vec::new(), Vec::new());
    for id in now.iter().flat_map(|_| &before) {
        match now.as_ref().and_then(|now| now.get(id)) {
            Some(row) if row.trials > 0 && row.passed == row.trials => compared += 1,
            Some(row) if matches!(row.grade, Grade::FailB | Grade::FailC) => {
                compared += 1;
                lost.extend((row.passed * 2 < row.trials).then_some(*id));
            }
            _ => untried.push(*id),
        }
    }
    json!({
        "at": "/evals/baseline",
        "reads": listed.is_some(),
        "was_go": text("/verdict/decision").starts_with("GO"),
        "same_agent": text("/agent/name") == sides.manifest.pointer("/agent/name").and_then(Value::as_str).unwrap_or_default(),
        "shared": before.len(),
        "compared": now.as_ref().map(|_| compared),
        "lost": lost,
        "untried": untried,
    })
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
}
