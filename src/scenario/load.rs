//! From scenario files to compiled scenarios; the mistakes of all files at once.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{
    Scenario, ScenarioFile,
    entry::{self, Surroundings},
    inspection::Inspection,
};
use crate::{
    source::{self, Diagnostic, Diagnostics, Document, Files, Loaded, Route},
    text,
};

/// What a scenario needs to know of its world: the names it may refer to.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct WorldOutline {
    #[serde(default)]
    pub(super) state: BTreeMap<String, Value>,
    pub(super) tools: BTreeMap<String, Value>,
}

/// Reads and compiles scenario files; sorted by id, or every mistake of every file.
pub fn load(files: &Files, names: &[String]) -> Result<Vec<Scenario>, Diagnostics> {
    let mut found = Vec::new();
    let mut pages = Vec::new();
    let mut worlds = BTreeMap::new();
    let names: BTreeSet<&String> = names.iter().collect();
    for name in names {
        match source::load::<ScenarioFile>(files, name) {
            Ok(page) => pages.push(page),
            Err(problems) => found.extend(problems.0),
        }
    }
    let all_read = found.is_empty();
    let mut placed = Vec::new();
    for page in &pages {
        outline(files, page, &mut worlds, &mut found);
        let (scenarios, mistakes) = compile(page, &worlds);
        found.extend(mistakes);
        placed.extend(scenarios.into_iter().map(|scenario| (scenario, &page.document)));
    }
    found.extend(doubled_ids(&placed));
    if all_read {
        found.extend(dangling_twins(&placed));
    }
    if !found.is_empty() {
        return Err(Diagnostics(found));
    }
    let mut scenarios: Vec<Scenario> = placed.into_iter().map(|(scenario, _)| scenario).collect();
    scenarios.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(scenarios)
}

/// The JSON Schema of scenario files.
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(ScenarioFile);
    schema.insert("title".to_owned(), "Scenario file of agentready".into());
    schema.to_value()
}

fn world_name(page: &Loaded<ScenarioFile>) -> Option<String> {
    page.value.world.as_ref().map(|world| Files::resolve(page.document.file().name(), world))
}

/// Reads the world that a file names, once for all files that name it.
fn outline(
    files: &Files,
    page: &Loaded<ScenarioFile>,
    worlds: &mut BTreeMap<String, Option<WorldOutline>>,
    found: &mut Vec<Diagnostic>,
) {
    let Some(name) = world_name(page) else { return };
    if !files.exists(&name) {
        let document = &page.document;
        let written = page.value.world.as_deref().unwrap_or_default();
        let problem = Diagnostic::error(format!("the world `{written}` does not exist"))
            .at(document.file(), document.span(&Route::root().join("world")))
            .hint(format!("the path starts at this file's folder; `{name}` was looked for"));
        found.push(problem);
        return;
    }
    worlds.entry(name.clone()).or_insert_with(|| match source::load::<WorldOutline>(files, &name) {
        Ok(loaded) => Some(loaded.value),
        Err(problems) => {
            found.extend(problems.0);
            None
        }
    });
}

fn compile(
    page: &Loaded<ScenarioFile>,
    worlds: &BTreeMap<String, Option<WorldOutline>>,
) -> (Vec<Scenario>, Vec<Diagnostic>) {
    let mut inspection = Inspection::new(&page.document);
    let world = world_name(page);
    let outline = world.as_ref().and_then(|name| worlds.get(name)).and_then(Option::as_ref);
    let around = Surroundings { file: &page.value, world: world.as_deref(), outline };
    entry::check_file(&mut inspection, &page.value);
    let scenarios =
        page.value.scenarios.iter().map(|(id, entry)| entry::compile(&mut inspection, &around, id, entry)).collect();
    (scenarios, inspection.finish())
}

fn place(id: &str) -> Route {
    Route::root().join("scenarios").join(id)
}

fn doubled_ids(placed: &[(Scenario, &Document)]) -> Vec<Diagnostic> {
    let mut first: BTreeMap<&str, &Scenario> = BTreeMap::new();
    let mut found = Vec::new();
    for (scenario, document) in placed {
        match first.get(scenario.id.as_str()) {
            Some(earlier) => found.push(
                Diagnostic::error(format!("`{}` exists already, at {}", scenario.id, earlier.location))
                    .at(document.file(), document.key_span(&place(&scenario.id)))
                    .hint("an id is unique over all files of a run; rename one of them"),
            ),
            None => {
                first.insert(&scenario.id, scenario);
            }
        }
    }
    found
}

fn dangling_twins(placed: &[(Scenario, &Document)]) -> Vec<Diagnostic> {
    let attacks: BTreeSet<&str> =
        placed.iter().filter(|(s, _)| s.attack.is_some()).map(|(s, _)| s.id.as_str()).collect();
    let mut found = Vec::new();
    for (scenario, document) in placed {
        let Some(of) = scenario.twin_of.as_deref().filter(|of| !attacks.contains(of)) else { continue };
        let exists = placed.iter().any(|(other, _)| other.id == of);
        let message = if exists {
            format!("`{of}` is no attack, so it has no benign twin")
        } else {
            format!("there is no scenario `{of}`")
        };
        let hint = match text::closest(of, attacks.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "name a scenario that has `attack`".to_owned(),
        };
        found.push(
            Diagnostic::error(message)
                .at(document.file(), document.span(&place(&scenario.id).join("twin_of")))
                .hint(hint),
        );
    }
    found
}
