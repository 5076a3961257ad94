//! How far each area of the checklist is shown: counts over its checks, nothing decided.

use std::collections::BTreeMap;

use crate::{
    checklist::{CheckResult, Rung},
    verdict::Area,
};

/// The areas of the checks that apply, by name.
pub fn ladder(checks: &[CheckResult]) -> Vec<Area> {
    let mut areas: BTreeMap<&str, Area> = BTreeMap::new();
    for check in checks.iter().filter(|check| check.applies) {
        let name = check.id.split_once('/').map_or(check.id.as_str(), |(area, _)| area);
        let area = areas.entry(name).or_insert_with(|| Area { area: name.to_owned(), ..Area::default() });
        let is_short = !check.met;
        let blocks = is_short && (check.demanded || check.rung == Rung::Refuted);
        for (count, counts) in [
            (&mut area.checks, true),
            (&mut area.needed, check.needed > Rung::Absent || check.waived || is_short),
            (&mut area.short, is_short),
            (&mut area.blocking, blocks),
            (&mut area.refuted, check.rung == Rung::Refuted),
            (&mut area.declared, check.rung >= Rung::Declared),
            (&mut area.verified, check.rung >= Rung::Verified),
            (&mut area.proven, check.rung >= Rung::Proven),
        ] {
            *count += u32::from(counts);
        }
    }
    areas.into_values().collect()
}
