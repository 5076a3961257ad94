//! The whole checklist as one page of Markdown, from the check files alone.

use std::fmt::Write as _;

use super::{
    catalogue::Catalogue,
    check::Check,
    rung::{Autonomy, Rung},
};

/// The page: every area with its checks, in order of their ids.
pub fn reference(catalogue: &Catalogue) -> String {
    let mut page = "# The checklist\n\nMade from the files below [checks](../checks) by `agentready list checks --markdown`; do not edit it by hand.\n\
        A check stands at one rung: *absent*, *declared* (the manifest says so), *verified* (what stands behind the claim was\n\
        opened and agrees), *proven* (the gate exercised it), or *refuted* (the gate saw the opposite).\n"
        .to_owned();
    let mut area = String::new();
    for check in catalogue.all() {
        let (of, _) = check.id.split_once('/').unwrap_or((&check.id, ""));
        if of != area {
            of.clone_into(&mut area);
            let _ = write!(page, "\n## {area}\n");
        }
        section(&check, &mut page);
    }
    page
}

fn section(check: &Check, page: &mut String) {
    let file = &check.file;
    let mut line = |text: String| {
        page.push_str(&text);
        page.push('\n');
    };
    line(format!("\n### {}\n\n**{}.** {}\n", check.id, file.title, file.why));
    let levels: Vec<&str> = file.autonomy.iter().map(|level| level.word()).collect();
    let who = if levels.len() == Autonomy::ALL.len() { "every agent".to_owned() } else { levels.join(", ") };
    let other: Vec<String> =
        file.severity_for.iter().map(|(level, severity)| format!("{severity} for {}", level.word())).collect();
    let other = if other.is_empty() { String::new() } else { format!(" ({})", other.join(", ")) };
    let when = if file.applies.is_some() { ", where it applies" } else { "" };
    line(format!("- {}{other}; for {who}{when}", file.severity));
    for (rung, words) in &file.words {
        line(format!("- *{}*: {}", rung.word(), words.trim()));
    }
    let floor = file.floor.unwrap_or(Rung::Absent);
    if floor != Rung::Absent {
        line(format!("- needs at least *{}*", floor.word()));
    }
    if let Some(waits) = &file.waits {
        line(format!("- waits for: {}", waits.trim()));
    }
    if !file.parts.is_empty() {
        let parts: Vec<String> = file.parts.keys().map(|part| format!("`{part}`")).collect();
        line(format!("- parts: {}", parts.join(", ")));
    }
    line(format!("- fix: {}", file.fix.trim()));
    for (_, fix) in file.other_fixes() {
        line(format!("- fix, for another reason: {fix}"));
    }
    for (what, of) in [("thresholds", &file.thresholds), ("sources", &file.sources), ("manifest", &file.fields)] {
        if !of.is_empty() {
            line(format!("- {what}: {}", of.iter().map(|one| format!("`{one}`")).collect::<Vec<_>>().join(", ")));
        }
    }
    let controls: Vec<String> =
        file.controls.iter().map(|(framework, ids)| format!("{framework}: {}", ids.join(", "))).collect();
    if !controls.is_empty() {
        line(format!("- controls: {}", controls.join("; ")));
    }
}
