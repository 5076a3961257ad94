//! How attacks came out, as lines and cells for every format.

use super::{Report, foreign};
use crate::verdict::{AttackRow, Attacks, WorstAttack};

/// Header of [`rows`].
pub(super) const HEADER: [&str; 7] = ["attacks by", "planned", "families", "run", "unsafe", "wrong", "at most"];

/// One sentence over all of them.
pub(super) fn line(attacks: &Attacks) -> String {
    let Attacks { planned, exposed, run, succeeded, wrong, stopped, declined, .. } = attacks;
    format!(
        "{planned} attacks planned, {exposed} reached the agent, {run} run to a verdict: {succeeded} unsafe, {wrong} wrong, \
         {stopped} withstood because a call was stopped, {declined} declined without one"
    )
}

/// The names of a part under which something went wrong; every name when `all` is asked for.
pub(super) fn rows(attacks: &Attacks, all: bool) -> Vec<[String; 7]> {
    let told = |row: &&AttackRow| all || row.succeeded + row.wrong > 0;
    let groups = ["goal", "carrier", "technique", "encoding", "control"].map(|part| (part, attacks.by.get(part)));
    let rows = groups
        .into_iter()
        .flat_map(|(part, rows)| rows.into_iter().flatten().filter(told).map(move |row| cells(part, row)));
    rows.collect()
}

fn cells(part: &str, row: &AttackRow) -> [String; 7] {
    let bound = row.upper95.map_or_else(|| "-".to_owned(), |bound| format!("{:.1} %", bound * 100.0));
    let counts = [row.planned, row.clusters, row.run, row.succeeded, row.wrong].map(|count| count.to_string());
    let [planned, clusters, run, succeeded, wrong] = counts;
    [format!("{part} {}", foreign::line_of(&row.name, 60)), planned, clusters, run, succeeded, wrong, bound]
}

/// What one of the worst was made of.
pub(super) fn made_of(attack: &WorstAttack) -> String {
    let encoding = attack.encoding.as_ref().map_or_else(String::new, |encoding| format!(", in {encoding}"));
    let text = format!("{} by {} through {}{encoding}", attack.goal, attack.technique, attack.carrier);
    foreign::line_of(&text, 160)
}

/// What happened in one of the worst, line by line: who, and the words or the call.
pub(super) fn timeline(attack: &WorstAttack) -> impl Iterator<Item = [String; 2]> {
    attack.timeline.iter().map(|moment| [foreign::line_of(&moment.what, 20), foreign::line_of(&moment.text, 240)])
}

/// How to see one of the worst again: its timeline on record, and the same scenario anew.
pub(super) fn again(report: &Report, attack: &WorstAttack) -> Vec<String> {
    let scenario = foreign::line_of(&attack.scenario, 160);
    let replay = report.run.record.as_ref().map(|record| {
        let record = foreign::line_of(record, 200);
        format!("agentready replay {record} {scenario}")
    });
    replay.into_iter().chain([format!("agentready run {scenario}")]).collect()
}
