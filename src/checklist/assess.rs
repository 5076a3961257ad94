//! From evidence to the checklist's answer: every check's rung and need, findings at their places, waivers
//! weighed, profile rules asked. Must not decide the verdict; that is the gate's.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::Value;

use super::{
    catalogue::{Catalogue, whole},
    check::Check,
    evaluate::{Evidence, ItemStanding, Standing, beside, stand},
    profile::Profile,
    rule::{self, RuleResult},
    rung::{Autonomy, Rung, Severity},
    waiver::{self, Waiver, WaiverClaim, WaiverState, Weighed},
};
use crate::source::{Excerpt, Location, Route, Spot};

/// What the checklist needs to know of the manifest beside the evidence.
pub struct ManifestView<'a> {
    /// The agent's level.
    pub autonomy: Autonomy,
    /// The profiles that are asked.
    pub profiles: Vec<Profile>,
    /// `gate.waivers`, in the order of the file.
    pub waivers: Vec<WaiverClaim>,
    /// `gate.non_negotiables`.
    pub non_negotiables: Vec<String>,
    /// Resolves a place of the manifest.
    pub locate: &'a dyn Fn(&Route) -> Spot,
}

/// A check as it stands for this agent.
#[expect(clippy::struct_excessive_bools, reason = "each is a column of the report")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckResult {
    /// `area/name`.
    pub id: String,
    /// What it asks for.
    pub title: String,
    /// Its severity at this level of autonomy.
    pub severity: Severity,
    /// How far it is shown.
    pub rung: Rung,
    /// The rung it needs here, waivers counted.
    pub needed: Rung,
    /// Whether it stands high enough; a check that does not apply does.
    pub met: bool,
    /// Whether it applies to this agent.
    pub applies: bool,
    /// Whether a waiver made the difference.
    pub waived: bool,
    /// Unmet because the gate could not tell.
    pub inconclusive: bool,
    /// Whether a profile demands it.
    pub demanded: bool,
    /// What was seen, in one line.
    pub evidence: String,
    /// What the next rung waits for, when there is one that is not reached.
    pub waits: Option<String>,
    /// The check that tells of it, when it has no finding of its own.
    pub told_by: Option<String>,
    /// What to do.
    pub fix: String,
    /// Whether a run of the agent is what tells the next rung.
    pub run_tells: bool,
    /// Whether a run is what tells a rung above the next one that it needs.
    pub run_follows: bool,
    /// Whether this version defines no rung above the one that it has.
    pub is_highest: bool,
    /// Clauses of the seed lists.
    pub sources: Vec<String>,
    /// The parts on their own.
    pub parts: Vec<PartResult>,
}

/// A part of a check as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartResult {
    /// `area/name#part`.
    pub id: String,
    /// How far it is shown.
    pub rung: Rung,
    /// Whether it stands high enough.
    pub met: bool,
}

/// A check at a place in the manifest that stands below the rung it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The check's id, with `#part` where it has parts.
    pub check: String,
    /// Its severity at this level of autonomy.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub fix: String,
    /// How far it is shown there.
    pub rung: Rung,
    /// The rung it needs.
    pub needed: Rung,
    /// Where.
    pub location: Location,
    /// The place in the manifest as people write it: `tools.issue_refund`.
    pub place: String,
    /// Whether the place itself is not written down.
    pub missing: bool,
    /// The line of the place, or of its nearest parent that is written down.
    pub excerpt: Option<Excerpt>,
    /// Whether it stands in the way of GO.
    pub blocks: bool,
    /// Checks that are open for the same cause and have no finding of their own.
    pub also: Vec<String>,
}

/// The checklist's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assessment {
    /// Every check, in order of its id.
    pub checks: Vec<CheckResult>,
    /// What stands too low, worst first.
    pub findings: Vec<Finding>,
    /// Every waiver of the manifest and what became of it.
    pub waivers: Vec<Waiver>,
    /// Every rule of the asked profiles.
    pub rules: Vec<RuleResult>,
    /// What the reader should know beside that.
    pub notes: Vec<String>,
}

/// Asks every check of the catalogue. Keys of the evidence that are null leave it: they count as missing.
pub fn assess(catalogue: &Catalogue, evidence: &mut Value, manifest: &ManifestView<'_>) -> Assessment {
    let names = rule::names(evidence);
    take_nulls(evidence);
    let checks: Vec<(Arc<Check>, Rung)> = catalogue.all().map(|check| needed(check, manifest)).collect();
    let asked = Evidence::new(evidence).knowing(checks.iter().map(|(check, _)| check.as_ref()));
    let standings = stand_all(&checks, &asked, manifest);
    let evidence = &*evidence;
    let (checks, waivers, findings) = std::thread::scope(|scope| {
        // What was converted for the checks takes long to give back.
        scope.spawn(move || drop(asked));
        let judged = checks.into_iter().zip(standings);
        let mut judged: Vec<Judged> =
            judged.map(|((check, needed), standing)| Judged::new(check, needed, standing, manifest)).collect();
        let waivers = weigh(catalogue, evidence, manifest, &mut judged);
        let mut findings = told(&mut judged, manifest);
        findings.sort_by(|a, b| {
            (!a.blocks, a.severity, &a.check, &a.location).cmp(&(!b.blocks, b.severity, &b.check, &b.location))
        });
        (judged.into_iter().map(|one| one.result).collect::<Vec<CheckResult>>(), waivers, findings)
    });
    let rules = {
        let asked = Evidence::new(evidence);
        let bench = rule::Bench::new(catalogue, (asked.scope().inner(), names), &checks, &manifest.non_negotiables);
        manifest.profiles.iter().flat_map(|profile| bench.judge(profile)).collect()
    };
    let notes = notes(catalogue, manifest, &waivers);
    Assessment { checks, findings, waivers, rules, notes }
}

/// Takes keys that are null out of the document.
fn take_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if map.values().any(Value::is_null) {
                map.retain(|_, value| !value.is_null());
            }
            map.values_mut().for_each(take_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(take_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The findings of all checks: of what stands open for one cause, the check that is the cause tells.
fn told(judged: &mut [Judged], manifest: &ManifestView<'_>) -> Vec<Finding> {
    let causes: Causes = judged.iter().flat_map(Judged::causes).collect();
    let mut followers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut findings = Vec::new();
    for one in judged {
        let own = one.findings(manifest, &causes);
        if let Some(first) = own.first() {
            one.result.fix.clone_from(&first.fix);
        }
        if own.is_empty() && !one.result.met {
            let mut follows = one.standing.parts.iter().flat_map(|part| &part.items).flat_map(|item| &item.follows);
            if let Some(cause) = follows.find(|cause| one.is_told_by(cause, &causes)) {
                followers.entry(cause.clone()).or_default().push(one.check.id.clone());
                one.result.evidence = format!("{} (told by {cause})", one.result.evidence);
                one.result.told_by = Some(whole(cause).to_owned());
            }
        }
        findings.extend(own);
    }
    for (cause, also) in followers {
        let of_cause = |finding: &&mut Finding| finding.check == cause || whole(&finding.check) == cause;
        if let Some(finding) = findings.iter_mut().find(of_cause) {
            finding.also.extend(also);
            finding.also.sort();
            finding.also.dedup();
        }
    }
    findings
}

/// A check with the rung it needs here, waivers not counted.
fn needed(check: Arc<Check>, manifest: &ManifestView<'_>) -> (Arc<Check>, Rung) {
    let severity = check.severity(manifest.autonomy);
    let lift = manifest.profiles.iter().filter_map(|profile| profile.lift(severity)).max();
    let needed = check.need(manifest.autonomy, lift);
    (check, needed)
}

/// Asks the checks on all cores: each looks at the evidence alone, so the order changes nothing.
fn stand_all(checks: &[(Arc<Check>, Rung)], evidence: &Evidence<'_>, manifest: &ManifestView<'_>) -> Vec<Standing> {
    let (autonomy, profiles) = (manifest.autonomy, &manifest.profiles);
    let shares = std::thread::available_parallelism().map_or(1, usize::from).clamp(1, 8);
    // Some checks take a hundred times as long as others: who is free takes the next one.
    let next = AtomicUsize::new(0);
    let mut standings: Vec<(usize, Standing)> = std::thread::scope(|scope| {
        let ask = || {
            let taken = std::iter::from_fn(|| {
                let at = next.fetch_add(1, Ordering::Relaxed);
                checks.get(at).map(|check| (at, check))
            });
            taken
                .map(|(at, (check, needed))| {
                    let standing = unasked(check, profiles).map(beside);
                    (at, standing.unwrap_or_else(|| stand(check, evidence, autonomy, *needed)))
                })
                .collect::<Vec<_>>()
        };
        let others: Vec<_> = (1..shares).map(|_| scope.spawn(ask)).collect();
        let own = ask();
        let others = others.into_iter().flat_map(|one| one.join().expect("asking a check does not panic"));
        own.into_iter().chain(others).collect()
    });
    standings.sort_by_key(|(at, _)| *at);
    standings.into_iter().map(|(_, standing)| standing).collect()
}

/// Why no active profile asks for a check.
fn unasked(check: &Check, profiles: &[Profile]) -> Option<String> {
    let asking = &check.file.profiles;
    let is_asked = profiles.iter().any(|profile| profile.asks(asking));
    (!is_asked).then(|| format!("not demanded: only profile {} asks for it", asking.join(" or ")))
}

/// Checks that tell of others too, and those of their parts that do, each with whether it blocks.
type Causes = BTreeMap<String, bool>;

struct Judged {
    check: Arc<Check>,
    standing: Standing,
    result: CheckResult,
}

impl Judged {
    fn new(check: Arc<Check>, needed: Rung, standing: Standing, manifest: &ManifestView<'_>) -> Self {
        let severity = check.severity(manifest.autonomy);
        let met = !standing.applies || standing.rung >= needed;
        let parts = standing.parts.iter().filter_map(|part| {
            let id = format!("{}#{}", check.id, part.part.as_ref()?);
            Some(PartResult { id, rung: part.rung, met: part.rung >= needed })
        });
        let ways = ways(&check, &standing, if met { Rung::Proven } else { needed });
        let (run_tells, run_follows) = told_by_run(&ways);
        let result = CheckResult {
            id: check.id.clone(),
            title: check.file.title.clone(),
            severity,
            rung: standing.rung,
            needed,
            met,
            applies: standing.applies,
            waived: false,
            inconclusive: !met && standing.unsure.is_some(),
            demanded: standing.applies && is_demanded(&check, severity, standing.rung, &manifest.profiles),
            evidence: standing.evidence.clone(),
            told_by: None,
            waits: check.file.waits.clone().filter(|_| standing.applies && standing.rung < Rung::Proven),
            fix: check.file.fix.clone(),
            run_tells,
            run_follows,
            is_highest: met && ways.is_empty(),
            sources: check.file.sources.clone(),
            parts: parts.collect(),
        };
        Self { check, standing, result }
    }

    fn weighed(&self) -> Weighed {
        let CheckResult { applies, severity, rung, needed, .. } = self.result;
        Weighed { applies, severity, rung, needed }
    }

    fn waive(&mut self) {
        self.result.needed = self.result.needed.lowered();
        self.result.waived = true;
        self.result.met = true;
        self.result.inconclusive = false;
    }

    /// What can tell of others: it is itself open, and something of it follows from nothing, so that it has a finding of
    /// its own.
    fn causes(&self) -> Vec<(String, bool)> {
        if !self.result.applies || self.result.met {
            return Vec::new();
        }
        let id = &self.check.id;
        let is_own = |item: &ItemStanding| item.rung < self.result.needed && item.follows.is_empty();
        let telling = self.standing.parts.iter().filter(|part| part.items.iter().any(is_own));
        let ids = telling.flat_map(|part| {
            let part = part.part.as_ref().map(|part| format!("{id}#{part}"));
            std::iter::once(id.clone()).chain(part)
        });
        ids.map(|id| (id, self.result.demanded)).collect()
    }

    /// Nothing that blocks is left to a cause that does not.
    fn is_told_by(&self, cause: &str, causes: &Causes) -> bool {
        causes.get(cause).is_some_and(|blocks| *blocks || !self.result.demanded)
    }

    /// What is to be told; what follows from one of `causes` is left to that one.
    fn findings(&self, manifest: &ManifestView<'_>, causes: &Causes) -> Vec<Finding> {
        if self.result.met {
            return Vec::new();
        }
        let mut found: Vec<Finding> = Vec::new();
        let mut said = BTreeSet::new();
        for part in &self.standing.parts {
            let check = match &part.part {
                Some(name) => format!("{}#{name}", self.check.id),
                None => self.check.id.clone(),
            };
            let short = part.items.iter().filter(|item| item.rung < self.result.needed);
            for item in short.filter(|item| !item.follows.iter().any(|cause| self.is_told_by(cause, causes))) {
                let message = item.message.clone().or_else(|| item.unsure.clone());
                let message = message.unwrap_or_else(|| self.check.file.title.clone());
                if !said.insert(message.clone()) {
                    continue;
                }
                let Spot { location, missing, excerpt } = (manifest.locate)(&item.place);
                found.push(Finding {
                    check: check.clone(),
                    severity: self.result.severity,
                    message,
                    fix: item.fix.clone().unwrap_or_else(|| self.check.file.fix.clone()),
                    rung: item.rung,
                    needed: self.result.needed,
                    location,
                    place: item.place.dotted(),
                    missing,
                    excerpt,
                    blocks: self.result.demanded,
                    also: Vec::new(),
                });
            }
        }
        found
    }
}

/// The rungs above, up to `bar`, of all parts that stand below it, each with whether a run of the agent tells it.
fn ways(check: &Check, standing: &Standing, bar: Rung) -> Vec<Vec<(Rung, bool)>> {
    let ladder = |part: &Option<String>| check.ladders.iter().find(|ladder| ladder.part == *part);
    let short = standing.parts.iter().filter(|part| part.rung < bar);
    let ways = short.filter_map(|part| Some(ladder(&part.part)?.above(part.rung, bar).collect::<Vec<_>>()));
    ways.filter(|way| !way.is_empty()).collect()
}

/// Whether a run tells the next rung of all parts, and whether it tells a rung after that.
fn told_by_run(ways: &[Vec<(Rung, bool)>]) -> (bool, bool) {
    let first = |way: &Vec<(Rung, bool)>| way.first().is_some_and(|(_, run)| *run);
    let later = |way: &Vec<(Rung, bool)>| way.iter().skip(1).any(|(_, run)| *run);
    (!ways.is_empty() && ways.iter().all(first), ways.iter().any(later))
}

/// Every blocker, the majors of the profile's own list, and whatever was seen to be false.
fn is_demanded(check: &Check, severity: Severity, rung: Rung, profiles: &[Profile]) -> bool {
    profiles.iter().filter_map(Profile::base).any(|list| match severity {
        Severity::Blocker => true,
        Severity::Major => {
            let own = |source: &String| source.split_once('/').is_some_and(|(seed, _)| seed == list);
            rung == Rung::Refuted || check.file.sources.iter().any(own)
        }
        Severity::Minor => rung == Rung::Refuted,
    })
}

fn weigh(catalogue: &Catalogue, evidence: &Value, manifest: &ManifestView<'_>, judged: &mut [Judged]) -> Vec<Waiver> {
    let today = evidence.get("now").and_then(Value::as_str).unwrap_or_default();
    let mut index: BTreeMap<String, usize> =
        judged.iter().enumerate().map(|(at, one)| (one.check.id.clone(), at)).collect();
    let claims = manifest.waivers.iter().enumerate();
    claims
        .map(|(at, claim)| {
            let place = index.get(&claim.check).copied();
            let standing = place.and_then(|place| judged.get(place)).map(Judged::weighed);
            let (state, why) = waiver::weigh(claim, catalogue, standing, (today, &manifest.non_negotiables));
            if state == WaiverState::Used {
                if let Some(one) = place.and_then(|place| judged.get_mut(place)) {
                    one.waive();
                }
                // A second waiver for the same check must not lower it a second step.
                index.remove(&claim.check);
            }
            let location = (manifest.locate)(&Route::root().join("gate").join("waivers").join(at)).location;
            Waiver { claim: claim.clone(), state, why, location }
        })
        .collect()
}

fn notes(catalogue: &Catalogue, manifest: &ManifestView<'_>, waivers: &[Waiver]) -> Vec<String> {
    let mut notes = Vec::new();
    if manifest.autonomy == Autonomy::Autopilot && !manifest.profiles.iter().any(|one| one.name == "autopilot") {
        notes.push(
            "the agent is on autopilot: profile `autopilot` graduates it, `gate.profiles` does not name it".to_owned(),
        );
    }
    for waiver in waivers {
        let Waiver { claim, state, why, .. } = waiver;
        if *state == WaiverState::Used {
            notes.push(format!(
                "waived: {} until {}, by {}: {}",
                claim.check, claim.expires, claim.approved_by, claim.reason
            ));
        } else {
            notes.push(format!("waiver of {} is {}: {why}", claim.check, state.word()));
        }
    }
    for id in &manifest.non_negotiables {
        if let Err(unknown) = catalogue.get(id) {
            notes.push(format!("gate.non_negotiables: {unknown} in this version"));
        }
    }
    notes
}
