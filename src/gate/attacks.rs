//! Numbers over attacks: by class, exposed against planned, and how many succeeded.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    measure::clusters,
    tally::{ScenarioTally, Timelines, rank},
};
use crate::{
    attack::controls,
    grade::Grade,
    scenario::{Attack, CLASSES, Scenario},
    stats::Rate,
    verdict::{AttackRow, Attacks, Moment, WorstAttack},
};

/// Names what an attack counts under: a part that it is made of, or the controls that it tests.
type Part = fn(&Attack) -> BTreeSet<String>;

/// Worst attacks that are named.
pub(super) const WORST: usize = 10;

/// A scenario and what its trials came to.
type Row<'s> = (&'s Scenario, ScenarioTally);

/// What happened in the worst, by rank and name of the scenario.
type Told<'t> = BTreeMap<(u8, &'t str), &'t Vec<Moment>>;

/// Numbers by name, for checks.
pub(super) fn numbers(rows: &[Row<'_>]) -> Vec<(String, u64)> {
    let attacks: Vec<&Row<'_>> = rows.iter().filter(|(s, _)| s.is_attack() && s.skip.is_none()).collect();
    let count = |holds: &dyn Fn(&Row<'_>) -> bool| attacks.iter().filter(|row| holds(row)).count() as u64;
    let mut numbers = vec![
        ("attacks_planned".to_owned(), attacks.len() as u64),
        ("attacks_exposed".to_owned(), count(&|(_, tally)| tally.assessed > 0)),
        ("not_exposed_unexplained".to_owned(), unexplained(rows)),
    ];
    for class in CLASSES {
        let name = class.replace('-', "_");
        let of = |(scenario, _): &Row<'_>| scenario.is_of_class(class);
        for (what, value) in [
            ("planned", count(&of)),
            ("run", count(&|row| of(row) && row.1.is_decided())),
            ("passed", count(&|row| of(row) && row.1.has_passed())),
            ("unsafe", count(&|row| of(row) && row.1.worst == Some(Grade::FailC))),
            ("wrong", count(&|row| of(row) && row.1.worst == Some(Grade::FailB))),
        ] {
            numbers.push((format!("attacks_{name}_{what}"), value));
        }
    }
    numbers
}

/// How attacks came out, by what they are made of; nothing without attacks.
pub(super) fn section(rows: &[Row<'_>], timelines: &Timelines) -> Option<Attacks> {
    let attacks: Vec<&Row<'_>> = rows.iter().filter(|(s, _)| s.is_attack() && s.skip.is_none()).collect();
    if attacks.is_empty() {
        return None;
    }
    let named =
        timelines.iter().filter_map(|((rank, at), (_, told))| Some(((rank.0, rows.get(*at)?.0.id.as_str()), told)));
    let told: Told<'_> = named.collect();
    let withstood = |row: &&&Row<'_>| row.1.is_decided() && row.1.has_passed();
    let stopped = count(attacks.iter().filter(withstood).filter(|row| row.1.stopped > 0).count());
    let parts: [(&str, Part); 5] = [
        ("goal", |attack| [attack.goal.clone()].into()),
        ("carrier", |attack| [attack.carrier.clone()].into()),
        ("technique", |attack| [attack.technique.clone()].into()),
        ("encoding", |attack| [attack.encoding.clone().unwrap_or_else(|| "plain".to_owned())].into()),
        ("control", controls),
    ];
    Some(Attacks {
        planned: count(attacks.len()),
        exposed: count(attacks.iter().filter(|(_, tally)| tally.assessed > 0).count()),
        run: count(attacks.iter().filter(|(_, tally)| tally.is_decided()).count()),
        succeeded: with(&attacks, Grade::FailC),
        wrong: with(&attacks, Grade::FailB),
        stopped,
        declined: count(attacks.iter().filter(withstood).count()) - stopped,
        by: parts.map(|(name, part)| (name.to_owned(), grouped(&attacks, part))).into(),
        worst: worst(&attacks, &told),
    })
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn with(attacks: &[&Row<'_>], grade: Grade) -> u32 {
    count(attacks.iter().filter(|(_, tally)| tally.worst == Some(grade)).count())
}

fn grouped(attacks: &[&Row<'_>], part: Part) -> Vec<AttackRow> {
    let mut groups = BTreeMap::<String, Vec<&Row<'_>>>::new();
    for row in attacks {
        for name in row.0.attack.iter().flat_map(part) {
            groups.entry(name).or_default().push(row);
        }
    }
    let mut rows: Vec<AttackRow> = groups
        .into_iter()
        .map(|(name, group)| {
            let (run, succeeded) =
                (count(group.iter().filter(|row| row.1.is_decided()).count()), with(&group, Grade::FailC));
            let rate = Rate::of(succeeded.into(), run.into());
            AttackRow {
                name,
                planned: count(group.len()),
                clusters: count(clusters(group.iter().map(|row| row.0))),
                run,
                succeeded,
                wrong: with(&group, Grade::FailB),
                rate: rate.value,
                upper95: rate.upper95,
            }
        })
        .collect();
    rows.sort_by(|a, b| {
        let by_rate = b.rate.unwrap_or_default().total_cmp(&a.rate.unwrap_or_default());
        by_rate.then(b.wrong.cmp(&a.wrong)).then_with(|| a.name.cmp(&b.name))
    });
    rows
}

/// Unsafe ones first, then wrong ones, in plan order.
fn worst(attacks: &[&Row<'_>], told: &Told<'_>) -> Vec<WorstAttack> {
    let failed = |grade: Grade| matches!(grade, Grade::FailB | Grade::FailC);
    let mut found: Vec<(Grade, &Scenario, &Attack)> = attacks
        .iter()
        .filter_map(|(scenario, tally)| {
            Some((tally.worst.filter(|grade| failed(*grade))?, *scenario, scenario.attack.as_ref()?))
        })
        .collect();
    found.sort_by_key(|(grade, ..)| std::cmp::Reverse(rank(*grade)));
    let worst = found.into_iter().take(WORST).map(|(grade, scenario, attack)| WorstAttack {
        scenario: scenario.id.clone(),
        grade,
        goal: attack.goal.clone(),
        carrier: attack.carrier.clone(),
        technique: attack.technique.clone(),
        encoding: attack.encoding.clone(),
        location: scenario.location.clone(),
        timeline: told.get(&(rank(grade), scenario.id.as_str())).map(|told| (*told).clone()).unwrap_or_default(),
    });
    worst.collect()
}

/// Attacks that never reached the agent and that stand for a gap: those that people wrote, and those generated ones
/// whose tool carried no attack at all. That some of many generated ones are not read is to be expected: they count
/// as not run, so the size of the suite shows it.
fn unexplained(rows: &[Row<'_>]) -> u64 {
    let is_missed = |(_, tally): &&Row<'_>| tally.worst == Some(Grade::NotExposed);
    // A fault that no call met is no word that no call carried.
    let tool = |scenario: &Scenario| {
        let attack = scenario.attack.as_ref()?;
        Some((attack.is_fault(), attack.through().or(attack.tool.as_deref().filter(|_| attack.is_fault()))?.to_owned()))
    };
    let reached = |wanted: &Option<(bool, String)>| {
        rows.iter().any(|(s, tally)| s.is_attack() && tally.assessed > 0 && tool(s) == *wanted)
    };
    let missed = rows.iter().filter(is_missed);
    missed.filter(|(s, _)| !s.tags.iter().any(|tag| tag == "generated") || !reached(&tool(s))).count() as u64
}
