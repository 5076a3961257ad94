//! The attacks that a manifest asks for with `pack:base`, or the command line with `--attacks`.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    attack::{self, Ground, Order, Set},
    manifest::Manifest,
    scenario::Scenario,
    source::{Diagnostic, Diagnostics, Files, Location, Route},
    world::World,
};

/// The one pack of this version.
const BASE: &str = "base";
/// Attacks of a pack that names no number: more than the release rule asks for, because some never reach an agent that
/// reads less than it could, and so many that every goal meets every technique.
pub(crate) const USUAL: u32 = 1300;
/// The most attacks of one run.
pub(crate) const MOST: u32 = 100_000;

/// How many attacks to make, and where they are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// What the manifest asks for; nothing when it names no pack.
    pub(crate) by_manifest: Option<u32>,
    pub(crate) count: u32,
    location: Location,
}

/// Reads the packs of a manifest; `flag` overrides the number.
pub(crate) fn asked(manifest: &Manifest, flag: Option<u32>) -> Result<Asked, Diagnostics> {
    let list = Route::root().join("evals").join("adversarial");
    let mut asked = Asked { by_manifest: None, count: 0, location: manifest.locate(&list) };
    let mut problems = Vec::new();
    for (position, pattern) in manifest.raw.evals.adversarial.iter().enumerate() {
        let Some(pack) = pattern.strip_prefix("pack:") else { continue };
        let route = list.join(position);
        match read(pack) {
            Ok(count) => {
                asked.location = manifest.locate(&route);
                asked.by_manifest = Some(asked.by_manifest.unwrap_or_default().max(count));
            }
            Err((message, hint)) => {
                let problem = Diagnostic::error(message);
                problems.push(problem.at(manifest.document.file(), manifest.document.span(&route)).hint(hint));
            }
        }
    }
    asked.count = flag.or(asked.by_manifest).unwrap_or_default();
    if problems.is_empty() { Ok(asked) } else { Err(Diagnostics(problems)) }
}

/// `base` or `base?count=2000`.
fn read(pack: &str) -> Result<u32, (String, String)> {
    let (name, options) = pack.split_once('?').unwrap_or((pack, ""));
    if name != BASE {
        return Err((format!("there is no pack `{name}`"), format!("this version has one: `pack:{BASE}`")));
    }
    if options.is_empty() {
        return Ok(USUAL);
    }
    let count = options.strip_prefix("count=").and_then(|count| count.parse().ok());
    count.filter(|count| (1..=MOST).contains(count)).ok_or_else(|| {
        let hint = format!("write `pack:{BASE}?count=2000`, with 1 to {MOST}");
        (format!("`{options}` is no number of attacks"), hint)
    })
}

/// What attacks are made from.
pub(crate) fn ground<'a>(
    files: &Files,
    manifest: &Manifest,
    evidence: &'a serde_json::Value,
    (scenarios, worlds): (&'a [Scenario], &'a BTreeMap<String, Arc<World>>),
    asked: &Asked,
) -> Ground<'a> {
    let names = manifest.raw.prompts.iter().flat_map(|pattern| files.glob(&Files::resolve(&manifest.name, pattern)));
    let prompts = names.filter_map(|name| Some(files.read(&name).ok()?.text().to_owned())).collect();
    Ground { evidence, scenarios, worlds, prompts, location: asked.location.clone() }
}

/// Makes the attacks, and leaves out those whose id a file has taken.
pub(crate) fn made(ground: &Ground<'_>, order: &Order) -> Set {
    let mut set = attack::generate(ground, order);
    let is_taken = |id: &str| ground.scenarios.iter().any(|scenario| scenario.id == id);
    set.scenarios.retain(|scenario| !is_taken(&scenario.id));
    set
}

/// How many scenarios of a set its first so many attacks are, their twins counted. A smaller set begins a larger one.
pub(crate) fn first(set: &Set, attacks: u32) -> usize {
    let attacks = usize::try_from(attacks).unwrap_or(usize::MAX);
    let mut places = set.scenarios.iter().enumerate().filter(|(_, scenario)| scenario.attack.is_some());
    places.nth(attacks).map_or(set.scenarios.len(), |(place, _)| place)
}
