//! Which fields of the manifest name files: one list, so that a file behind a claim is opened whichever claim it is.
//!
//! `facts.files` has an entry for every path as it stands in the manifest, `#anchor` included; what an entry holds
//! stands in `document`. For a pattern (`incidents/*.yaml`) there is one entry more, with `files`: the names that
//! match, relative to the manifest's folder and each with its own entry. Must not read what is no file of the manifest:
//! scenario files belong to the suites, `OpenAPI` files to the tools, commands to nobody here.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{Shelf, document};

/// Fields that name a file, a list of files, or a pattern.
const FIELDS: [&str; 33] = [
    "agent.spec",
    "approvals.doc",
    "approvals.relaxations.*.evidence",
    "budgets.load_test",
    "change.branch_rules",
    "change.rollback.rehearsals",
    "change.signoffs.*",
    "cost.cache.config",
    "cost.prices",
    "cost.routing",
    "data.doc",
    "data.frameworks.*",
    "data.processors.*.contract",
    "data.redaction",
    "data.retention.config",
    "data.retrieval.*.review",
    "evals.baseline",
    "evals.golden_sources",
    "evals.judge.labels",
    "evals.judge.rubric",
    "evals.red_team",
    "identity.secrets",
    "incident.records",
    "incident.runbook",
    "observability.alerts",
    "observability.dashboards",
    "observability.queries",
    "policy.rules",
    "prompts",
    "systems.*.roles",
    "tools.*.input_schema",
    "tools.*.rollback.otherwise",
    "tools.*.rollback.runbook",
];

/// Most files of one pattern that are opened.
const MOST_FILES: usize = 500;

/// Facts of every file that the manifest names, by the path as it stands there.
pub(super) fn facts(shelf: &Shelf<'_>, manifest: &Value, tools: &[Value]) -> Value {
    let mut files = Map::new();
    // Schemas that servers give stand beside those that the manifest names.
    let schemas = tools.iter().filter_map(|tool| tool.get("input_schema")?.as_str());
    for path in paths(manifest).into_iter().chain(schemas.filter(|path| !path.contains('*'))).collect::<BTreeSet<_>>() {
        if !path.contains('*') {
            let entry = document::facts(shelf, path);
            files.insert(path.to_owned(), entry);
            continue;
        }
        let found = shelf.matching(path);
        let names: Vec<&String> = found.iter().take(MOST_FILES).collect();
        for name in &names {
            if !files.contains_key(*name) {
                files.insert((*name).clone(), document::facts(shelf, name));
            }
        }
        files.insert(
            path.to_owned(),
            json!({"exists": !names.is_empty(), "files": names, "left_out": found.len() - names.len()}),
        );
    }
    Value::Object(files)
}

/// The paths in the manifest, each once; addresses are no paths.
fn paths(manifest: &Value) -> BTreeSet<&str> {
    let texts = FIELDS.iter().flat_map(|field| document::each_text(manifest, field));
    texts.filter(|path| !path.is_empty() && !path.contains("://")).collect()
}
