//! JailbreakBench: the behaviours, or the artifacts of an attack on them.

use super::{Format, Haul, Input, case::Prompt, row::Row, table};

pub(super) const FORMAT: Format = Format {
    name: "jailbreakbench",
    about: "JailbreakBench behaviours (CSV or JSON: Goal, Target) or attack artifacts (JSON: jailbreaks): text-only prompts",
    licence: Some("MIT"),
    read,
};

fn read(input: &Input<'_>, haul: &mut Haul) {
    let wanted = table::Wanted { columns: &["Goal"], below: Some("jailbreaks") };
    table::each(input.file, wanted, haul, |row, haul| {
        if row.get("/goal").is_some() { artifact(row, haul) } else { behaviour(row, haul) }
    });
}

fn behaviour(row: &mut Row, haul: &mut Haul) {
    let (goal, target) = (row.text("/Goal"), row.maybe("/Target"));
    let (category, title, source) = (row.maybe("/Category"), row.maybe("/Behavior"), row.maybe("/Source"));
    let Some(goal) = goal else { return };
    let excludes = target.into_iter().collect();
    let prompt = Prompt { title, source, goal: category, turns: vec![goal], excludes, ..Prompt::default() };
    haul.cases.push(prompt.text_only(&row.name));
}

/// The prompt that an attack found; there is none where it gave up.
fn artifact(row: &mut Row, haul: &mut Haul) {
    let (goal, title) = (row.maybe("/category"), row.maybe("/behavior"));
    let Some(prompt) = row.maybe("/prompt") else {
        haul.leave_out("the attack found no prompt");
        return;
    };
    let technique = Some("jailbreak-artifact".to_owned());
    let prompt = Prompt { title, goal, technique, turns: vec![prompt], ..Prompt::default() };
    haul.cases.push(prompt.text_only(&row.name));
}
