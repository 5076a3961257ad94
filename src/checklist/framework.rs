//! Control frameworks, versioned: data files `checks/frameworks/<id>@<version>.yaml`, to which checks name controls.
//! Must not say whether a control is fulfilled; a check's rung is all that is known.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{catalogue, format::CheckFile};
use crate::{
    source::{Diagnostic, Document, Route, load_shipped},
    text::closest,
};

/// A version of a control framework.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Framework {
    /// Its name.
    pub title: String,
    /// The version that the ids below are of.
    pub version: String,
    /// When that version was published: a year, a month or a day.
    pub published: String,
    /// Where it can be read.
    pub url: String,
    /// What a reader should know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Control id to its gist in a few words.
    pub controls: BTreeMap<String, String>,
    /// The day from which a control applies, where law names one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub applies_from: BTreeMap<String, String>,
}

/// Every framework, by `id@version`.
pub fn frameworks() -> BTreeMap<String, Framework> {
    let names = catalogue::names("frameworks").into_iter();
    names.filter_map(|name| Some((name.to_owned(), framework(name)?))).collect()
}

/// The framework of an `id@version`, or the newest version of an id.
pub fn framework_named(name: &str) -> Option<(String, Framework)> {
    let newest = |known: &&str| *known == name || known.split('@').next() == Some(name);
    let known = catalogue::names("frameworks").into_iter().filter(newest).max()?;
    Some((known.to_owned(), framework(known)?))
}

fn framework(name: &str) -> Option<Framework> {
    let file = catalogue::data(&format!("frameworks/{name}.yaml"))?;
    Some(load_shipped(file).expect("a test loads every shipped framework").value)
}

/// Frameworks and controls that a check names and that do not exist.
pub(super) fn dangling(check: &CheckFile, document: &Document) -> Vec<Diagnostic> {
    let at = |name: &str| Route::root().join("controls").join(name);
    let here =
        |message: String, route: &Route| Diagnostic::error(message).at(document.file(), document.key_span(route));
    let mut problems = Vec::new();
    for (name, ids) in &check.controls {
        let Some(framework) = framework(name) else {
            let near = closest(name, catalogue::names("frameworks")).map(|near| format!("did you mean `{near}`?"));
            let problem = here(format!("there is no framework `{name}`"), &at(name));
            problems.push(match near {
                Some(near) => problem.hint(near),
                None => problem.hint("`agentready list controls` shows them all"),
            });
            continue;
        };
        for (position, id) in ids.iter().enumerate().filter(|(_, id)| !framework.controls.contains_key(*id)) {
            let problem = here(format!("`{name}` has no control `{id}`"), &at(name).join(position));
            problems.push(problem.hint(format!("`agentready list controls --framework {name}` shows them all")));
        }
    }
    problems
}
