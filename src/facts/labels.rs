//! How the model that judges was calibrated: verdicts of people beside its own, and how far the two agree.
//!
//! Labels are JSON lines such as
//!
//! ```json
//! {"case": "late-parcel", "transcript": "…", "verdict": "pass", "labeller": "ana@acme.example", "date": "2026-11-03",
//!  "judge": {"model": "openai/gpt-4.1-2025-04-14", "rubric": "sha256:…", "verdict": "B"}}
//! ```
//! with `pass`, `A`, `B` or `C` as verdicts. Other files in the same folder are earlier rounds.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Shelf, is_snapshot};
use crate::source::Files;

/// The verdicts that a label may hold.
const VERDICTS: [&str; 4] = ["pass", "A", "B", "C"];

/// One case that a person judged.
struct Label {
    case: String,
    transcript: String,
    verdict: String,
    labeller: String,
    date: String,
    judged_by: String,
    rubric: String,
    judged: Option<String>,
}

/// Facts of the judge that the manifest names; nothing without one.
pub(super) fn facts(shelf: &Shelf<'_>, manifest: &Value) -> Value {
    let Some(judge) = manifest.pointer("/evals/judge").filter(|judge| judge.is_object()) else { return Value::Null };
    let text = |key: &str| judge.get(key).and_then(Value::as_str).unwrap_or_default();
    let (model, path) = (text("model"), text("labels"));
    let rubric = shelf.text(text("rubric"));
    let rules = rubric.as_ref().map_or("", |file| file.text());
    let rubric = rubric.as_ref().map(|file| Files::digest(file.text()));
    let read = shelf.text(path).map(|file| labels(file.text()));
    let exists = read.is_some();
    let (labels, unread) = read.unwrap_or_default();
    let distinct: BTreeSet<&str> = labels.iter().map(|l| l.case.as_str()).collect();
    let mut classes: BTreeMap<&str, usize> = VERDICTS.iter().map(|verdict| (*verdict, 0)).collect();
    for label in &labels {
        *classes.entry(label.verdict.as_str()).or_default() += 1;
    }
    let by_model = |l: &&Label| l.labeller.contains('/') || l.labeller == model || l.labeller.is_empty();
    let same = |l: &Label| l.judged_by == model && Some(&l.rubric) == rubric.as_ref();
    let agreement = agreement(&labels);
    json!({
        "at": "/evals/judge",
        "model": model,
        "snapshot": is_snapshot(model),
        "rubric": rubric,
        "path": path,
        "exists": exists,
        "unread": unread,
        "rows": labels.len(),
        "distinct": distinct.len(),
        "by_models": labels.iter().filter(by_model).count(),
        "labellers": labels.iter().map(|l| l.labeller.as_str()).collect::<BTreeSet<_>>().len(),
        "classes": classes,
        "newest": labels.iter().filter(|l| l.judged.is_some() && same(l)).map(|l| l.date.as_str()).max(),
        "in_rubric": labels.iter().filter(|l| l.transcript.chars().count() >= 20 && rules.contains(&l.transcript)).count(),
        "judged": labels.iter().filter(|l| l.judged.is_some()).count(),
        "judged_otherwise": labels.iter().filter(|l| l.judged.is_some() && !same(l)).count(),
        "agreement": agreement,
        "history": history(shelf, path),
    })
}

/// The labels of a file, and the number of the first line that is none.
fn labels(text: &str) -> (Vec<Label>, Option<usize>) {
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match serde_json::from_str::<Value>(line).ok().as_ref().and_then(label) {
            Some(label) => found.push(label),
            None => return (found, Some(at + 1)),
        }
    }
    (found, None)
}

fn label(row: &Value) -> Option<Label> {
    let text = |place: &str| row.pointer(place).and_then(Value::as_str).unwrap_or_default().to_owned();
    let verdict = |place: &str| Some(text(place)).filter(|verdict| VERDICTS.contains(&verdict.as_str()));
    let date = text("/date");
    date.parse::<jiff::civil::Date>().ok()?;
    Some(Label {
        case: text("/case"),
        transcript: text("/transcript").trim().to_owned(),
        verdict: verdict("/verdict")?,
        labeller: text("/labeller"),
        date,
        judged_by: text("/judge/model"),
        rubric: text("/judge/rubric"),
        judged: verdict("/judge/verdict"),
    })
}

/// Cohen's kappa of people and judge, raw agreement, the share of failures that the judge lets pass, and the share of
/// category C that it sees. Nothing when the judge gave no verdicts.
fn agreement(labels: &[Label]) -> Option<Value> {
    let pairs: Vec<(&str, &str)> =
        labels.iter().filter_map(|l| Some((l.verdict.as_str(), l.judged.as_deref()?))).collect();
    let share = |part: usize, of: usize| if of == 0 { None } else { Some(real(part) / real(of)) };
    let count = |wanted: &dyn Fn(&(&str, &str)) -> bool| pairs.iter().filter(|pair| wanted(pair)).count();
    let raw = share(count(&|(a, b)| a == b), pairs.len())?;
    let chance: f64 = VERDICTS
        .iter()
        .map(|v| {
            real(count(&|(a, _)| a == v)) * real(count(&|(_, b)| b == v)) / (real(pairs.len()) * real(pairs.len()))
        })
        .sum();
    let kappa = if chance >= 1.0 { raw } else { (raw - chance) / (1.0 - chance) };
    let failing = count(&|(a, _)| *a != "pass");
    let unsafe_ones = count(&|(a, _)| *a == "C");
    Some(json!({
        "pairs": pairs.len(),
        "kappa": rounded(kappa),
        "raw": rounded(raw),
        "false_pass": share(count(&|(a, b)| *a != "pass" && *b == "pass"), failing).map(rounded),
        "recall_c": share(count(&|(a, b)| *a == "C" && *b == "C"), unsafe_ones).map(rounded),
    }))
}

/// Kappa of every round in the folder of the labels, by file name, and the largest fall from one to the next.
fn history(shelf: &Shelf<'_>, path: &str) -> Value {
    let folder = path.rsplit_once('/').map_or(".", |(folder, _)| folder);
    let rounds: Vec<(String, f64)> = shelf
        .matching(&format!("{folder}/*.jsonl"))
        .into_iter()
        .filter_map(|name| {
            let (labels, _) = labels(shelf.text(&name)?.text());
            Some((name, agreement(&labels)?.get("kappa")?.as_f64()?))
        })
        .collect();
    let falls = rounds.iter().zip(rounds.iter().skip(1)).map(|((_, before), (_, after))| before - after);
    json!({"rounds": rounds.len(), "worst_fall": rounded(falls.fold(0.0, f64::max))})
}

#[expect(clippy::cast_precision_loss, reason = "counts of labels stay far below 2^52")]
fn real(count: usize) -> f64 {
    count as f64
}

fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};

    use serde_json::{Value, json};

    use super::{super::Shelf, facts};
    use crate::source::Files;

    /// The day of a round, and its labels: person, judge, how many.
    type Round<'r> = (&'r str, &'r [(&'r str, &'r str, usize)]);

    fn seen(rounds: &[Round<'_>]) -> Value {
        let mut texts: BTreeMap<String, Arc<str>> = BTreeMap::from([("rubric.md".to_owned(), Arc::from("Be strict."))]);
        for (name, groups) in rounds {
            let mut text = String::new();
            for (person, judge, times) in *groups {
                for at in 0..*times {
                    let _ = writeln!(
                        text,
                        r#"{{"case": "{person}-{judge}-{at}", "verdict": "{person}", "labeller": "ana", "date": "2026-11-03", "judge": {{"model": "m-2026-01-01", "rubric": "x", "verdict": "{judge}"}}}}"#
                    );
                }
            }
            texts.insert(format!("labels/{name}.jsonl"), text.into());
        }
        let files = Files::texts(texts);
        let shelf = Shelf::new(&files, "agentready.yaml");
        let judge = json!({"model": "m-2026-01-01", "rubric": "rubric.md", "labels": "labels/b.jsonl"});
        facts(&shelf, &json!({"evals": {"judge": judge}}))
    }

    #[test]
    fn agreement_is_what_chance_alone_would_not_give() {
        let seen = seen(&[
            ("a", &[("pass", "pass", 50), ("B", "B", 50)]),
            ("b", &[("pass", "pass", 45), ("pass", "B", 15), ("B", "pass", 25), ("B", "B", 15)]),
        ]);
        // The textbook table: raw agreement 0.6, by chance 0.54.
        let agreement = &seen["agreement"];
        assert_eq!((&agreement["raw"], &agreement["kappa"]), (&json!(0.6), &json!(0.1304)));
        assert_eq!((&agreement["false_pass"], &agreement["recall_c"]), (&json!(0.625), &Value::Null));
        assert_eq!(seen["history"], json!({"rounds": 2, "worst_fall": 0.8696}));
        assert_eq!(
            (&seen["rows"], &seen["distinct"], &seen["judged_otherwise"]),
            (&json!(100), &json!(100), &json!(100))
        );
        assert_eq!(seen["classes"], json!({"A": 0, "B": 40, "C": 0, "pass": 60}));
    }

    #[test]
    fn a_line_that_is_no_label_is_named() {
        let files = Files::texts(BTreeMap::from([("l.jsonl".to_owned(), Arc::from("{\"verdict\": \"fine\"}\n"))]));
        let shelf = Shelf::new(&files, "agentready.yaml");
        let seen = facts(&shelf, &json!({"evals": {"judge": {"model": "gpt-4.1", "labels": "l.jsonl"}}}));
        assert_eq!((&seen["unread"], &seen["rows"], &seen["snapshot"]), (&json!(1), &json!(0), &json!(false)));
        assert_eq!(facts(&shelf, &json!({"evals": {}})), Value::Null);
    }

    #[test]
    fn a_transcript_that_the_rubric_shows_is_counted_and_only_this_judges_labels_are_new() {
        let rubric = "C is unsafe, such as: I have sent you 900 dollars for the broken mug.";
        let line = |day: &str, model: &str, said: &str| {
            json!({"case": day, "transcript": said, "verdict": "C", "labeller": "ana", "date": day,
                "judge": {"model": model, "rubric": Files::digest(rubric), "verdict": "C"}})
            .to_string()
        };
        let lines = [
            line("2026-10-01", "m-2026-01-01", "I have sent you 900 dollars"),
            line("2026-11-01", "another", "unsafe"),
        ];
        let texts = [("r.md", rubric.to_owned()), ("l.jsonl", lines.join("\n"))];
        let texts = texts.into_iter().map(|(name, text)| (name.to_owned(), Arc::from(text))).collect();
        let files = Files::texts(texts);
        let judge = json!({"model": "m-2026-01-01", "rubric": "r.md", "labels": "l.jsonl"});
        let seen = facts(&Shelf::new(&files, "agentready.yaml"), &json!({"evals": {"judge": judge}}));
        assert_eq!((&seen["in_rubric"], &seen["newest"]), (&json!(1), &json!("2026-10-01")));
    }
}
