//! Cases to scenario files: ids, provenance, and files that are small enough to be read again.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Format, Haul, Import, Input,
    case::{Case, Shelf, never, slug},
};
use crate::{
    scenario::{Origin, ScenarioFile, Suite},
    source::{Diagnostic, Files},
};

/// Bytes of scenarios in one file; a reader takes four times as much.
const PAGE_BYTES: usize = 1024 * 1024;
/// Scenarios in one file.
const PAGE_SCENARIOS: usize = 2000;

/// Puts the cases on pages.
pub(super) fn pages(format: &Format, input: &Input<'_>, haul: Haul) -> Result<Import, Diagnostic> {
    let options = input.options;
    let made = haul.world.map(|world| (format!("{}-world.yaml", options.name), world));
    let world = made.as_ref().map(|(name, _)| name.clone()).or_else(|| options.world.clone());
    let digest = Files::digest(input.file.text());
    let mut import = Import { left_out: haul.left_out, world: made, ..Import::default() };
    let mut ids = BTreeSet::new();
    let mut open: BTreeMap<Shelf, Page> = BTreeMap::new();
    for mut case in haul.cases {
        convict(&mut case, &options.never);
        case.entry.origin = Some(Origin {
            format: format.name.to_owned(),
            file: input.file.name().rsplit('/').next().unwrap_or_default().to_owned(),
            row: case.row.clone(),
            licence: options.licence.clone().or_else(|| format.licence.map(str::to_owned)),
            digest: digest.clone(),
        });
        *match case.shelf {
            Shelf::Golden => &mut import.golden,
            Shelf::Attacks => &mut import.attacks,
            Shelf::TextOnly => &mut import.text_only,
        } += 1;
        let id = id(&mut ids, &options.name, case.id.as_deref().unwrap_or(&case.row));
        let size = serde_json::to_string(&case.entry).map_or(0, |text| text.len());
        if size > PAGE_BYTES {
            let problem = Diagnostic::error(format!("row {}: the scenario is larger than 1 MiB", case.row));
            return Err(problem.hint("no agent is asked so much in one trial; leave the row out"));
        }
        let page = open.entry(case.shelf).or_default();
        if page.bytes + size > PAGE_BYTES || page.scenarios >= PAGE_SCENARIOS {
            *page = Page { number: page.number + 1, ..Page::default() };
        }
        page.bytes += size;
        page.scenarios += 1;
        let name = name(&options.name, case.shelf, page.number);
        let file = import.pages.entry(name).or_insert_with(|| blank(case.shelf, world.clone()));
        file.scenarios.insert(id, case.entry);
    }
    Ok(import)
}

#[derive(Debug, Default)]
struct Page {
    number: usize,
    bytes: usize,
    scenarios: usize,
}

/// With tools that must not be executed a prompt has an oracle.
fn convict(case: &mut Case, tools: &[String]) {
    if case.shelf == Shelf::TextOnly && !tools.is_empty() {
        case.entry.expect.insert(0, never(tools.to_vec(), None));
        case.shelf = Shelf::Attacks;
    }
}

fn name(name: &str, shelf: Shelf, number: usize) -> String {
    let shelf = match shelf {
        Shelf::Golden => "golden",
        Shelf::Attacks => "attacks",
        Shelf::TextOnly => "text-only",
    };
    if number == 0 { format!("{name}-{shelf}.yaml") } else { format!("{name}-{shelf}-{}.yaml", number + 1) }
}

fn blank(shelf: Shelf, world: Option<String>) -> ScenarioFile {
    let (suite, tag) = match shelf {
        Shelf::Golden => (Suite::Golden, None),
        Shelf::Attacks => (Suite::Adversarial, None),
        Shelf::TextOnly => (Suite::Adversarial, Some("text-only".to_owned())),
    };
    let tags = std::iter::once("imported".to_owned()).chain(tag).collect();
    ScenarioFile { suite, world, tags, trials: None, scenarios: BTreeMap::new() }
}

/// An id that no other case has.
fn id(taken: &mut BTreeSet<String>, name: &str, own: &str) -> String {
    let own = slug(own);
    let base = if own.is_empty() { name.to_owned() } else { format!("{name}-{own}") };
    let others = (2_u32..).map(|n| format!("{base}-{n}"));
    let free = std::iter::once(base.clone()).chain(others).find(|id| !taken.contains(id));
    let id = free.expect("there is always a next number");
    taken.insert(id.clone());
    id
}
