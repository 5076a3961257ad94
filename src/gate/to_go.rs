//! What would turn the verdict into GO: the checks that have to be met, as the fewest changes. GO asks for all of them, so
//! no smaller set exists; what is worked out is which change serves several, and in what order they pay. Must not
//! promise: what only a run can tell is said, and what would remain is what [`decide`] says of it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Circumstances, Measured, decide::decide};
use crate::{
    checklist::{Assessment, CheckResult, Finding, Rung, Severity},
    verdict::{Edit, ToGo},
};

/// Names what stands between this verdict and GO.
pub fn to_go(assessment: &Assessment, measured: &Measured, circumstances: &Circumstances) -> ToGo {
    let open: Vec<&CheckResult> = {
        let asked: BTreeSet<&str> = assessment
            .rules
            .iter()
            .filter(|rule| !rule.met)
            .flat_map(|rule| &rule.checks)
            .map(String::as_str)
            .collect();
        let stands_in_the_way = |check: &&CheckResult| {
            let short = check.applies && !check.met && (check.demanded || check.rung == Rung::Refuted);
            // A rule may ask for more than this version can show of a check: no change helps, and the rule remains.
            short || (asked.contains(check.id.as_str()) && !check.is_highest)
        };
        assessment.checks.iter().filter(stands_in_the_way).collect()
    };
    let is_for_a_run = |check: &&CheckResult| check.run_tells && (!circumstances.live || check.inconclusive);
    let (run, edit): (Vec<&CheckResult>, Vec<&CheckResult>) = open.iter().partition(|check| is_for_a_run(check));
    ToGo {
        edits: edits(&edit, &assessment.findings),
        run: run.iter().map(|check| check.id.clone()).collect(),
        remains: decide(&assumed(assessment, &open), measured, circumstances).reasons,
    }
}

/// The assessment as it would be with some checks met.
pub(super) fn assumed(assessment: &Assessment, met: &[&CheckResult]) -> Assessment {
    let ids: BTreeSet<String> = met.iter().map(|check| check.id.clone()).collect();
    let mut assumed = assessment.clone();
    for check in assumed.checks.iter_mut().filter(|check| ids.contains(&check.id)) {
        check.rung = check.rung.max(check.needed);
        (check.met, check.inconclusive) = (true, false);
    }
    for rule in &mut assumed.rules {
        rule.met |= !rule.bare && !rule.checks.is_empty() && rule.checks.iter().all(|id| ids.contains(id));
    }
    assumed
}

/// A change in the making, with what orders it.
struct Draft<'a> {
    edit: Edit,
    checks: Vec<&'a CheckResult>,
}

impl Draft<'_> {
    /// Worst first, then what serves most checks, then what has the fewest rungs to climb.
    fn order(&self) -> (bool, Severity, std::cmp::Reverse<usize>, usize, String) {
        let refuted = self.checks.iter().any(|check| check.rung == Rung::Refuted);
        let severity = self.checks.iter().map(|check| check.severity).min().unwrap_or(Severity::Minor);
        let climb = self.checks.iter().map(|check| steps(check)).max().unwrap_or_default();
        let first = self.edit.checks.first().cloned().unwrap_or_default();
        (!refuted, severity, std::cmp::Reverse(self.checks.len()), climb, first)
    }
}

/// Rungs between where a check stands and where it has to.
fn steps(check: &CheckResult) -> usize {
    let rungs = [Rung::Declared, Rung::Verified, Rung::Proven];
    rungs.iter().filter(|rung| **rung > check.rung && **rung <= check.needed).count()
}

/// The changes: checks that miss the same place, or that ask for the same, are one.
fn edits(checks: &[&CheckResult], findings: &[Finding]) -> Vec<Edit> {
    let mut index: BTreeMap<String, usize> = BTreeMap::new();
    let mut drafts: Vec<Draft<'_>> = Vec::new();
    // What tells of others stands before them.
    let (causes, others): (Vec<&CheckResult>, Vec<&CheckResult>) =
        checks.iter().partition(|check| check.told_by.is_none());
    for check in causes.into_iter().chain(others) {
        let teller = check.told_by.as_ref().unwrap_or(&check.id);
        let finding = findings.iter().find(|finding| is_of(finding, teller));
        let missing = finding.filter(|finding| finding.missing).map(|finding| format!("place {}", finding.place));
        let told_by = check.told_by.as_ref().map(|cause| format!("check {cause}"));
        let keys = [told_by, Some(format!("check {}", check.id)), missing, Some(format!("fix {}", check.fix))];
        let known = keys.iter().flatten().find_map(|key| index.get(key).copied());
        let at = known.unwrap_or(drafts.len());
        if known.is_none() {
            drafts.push(Draft { edit: drafted(finding), checks: Vec::new() });
        }
        index.extend(keys.into_iter().flatten().map(|key| (key, at)));
        if let Some(draft) = drafts.get_mut(at) {
            draft.edit.checks.push(check.id.clone());
            draft.edit.then_run |= check.run_follows || check.run_tells;
            for sentence in std::iter::once(check.fix.clone()).chain(waits(check)) {
                if !draft.edit.fixes.contains(&sentence) {
                    draft.edit.fixes.push(sentence);
                }
            }
            draft.checks.push(check);
        }
    }
    drafts.sort_by_cached_key(Draft::order);
    drafts.into_iter().map(|draft| draft.edit).collect()
}

/// What the gate needs to see before it can tell, the next thing only.
fn waits(check: &CheckResult) -> Option<String> {
    let waits = check.waits.as_ref().filter(|_| check.inconclusive)?;
    Some(format!("The gate waits for {}.", waits.split(';').next().unwrap_or(waits).trim_end_matches('.')))
}

fn drafted(finding: Option<&Finding>) -> Edit {
    let location = finding.map(|finding| finding.location.clone());
    Edit { place: finding.map(|finding| finding.place.clone()).unwrap_or_default(), location, ..Edit::default() }
}

/// Whether a finding is one of a check's, or of one of its parts.
fn is_of(finding: &Finding, check: &str) -> bool {
    finding.check.split_once('#').map_or(finding.check.as_str(), |(whole, _)| whole) == check
}
