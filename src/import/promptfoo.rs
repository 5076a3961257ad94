//! promptfoo red-team files: generated tests with the plugin and strategy that made them.

use std::sync::Arc;

use serde_json::Value;

use super::{
    Format, Haul, Input,
    case::Prompt,
    row::{Row, Shape, escaped},
};
use crate::source::{self, Loaded, Route, SourceFile};

pub(super) const FORMAT: Format = Format {
    name: "promptfoo",
    about: "promptfoo red-team YAML (`redteam generate`): text-only prompts; `not-contains` is kept, what a judge decides is not",
    licence: None,
    read,
};

fn read(input: &Input<'_>, haul: &mut Haul) {
    let Some(page) = page(input.file, haul) else { return };
    let value = &page.value;
    let inject = value.pointer("/redteam/injectVar").and_then(Value::as_str).map(str::to_owned);
    let Some(tests) = value.get("tests").and_then(Value::as_array) else {
        return haul.wrong(
            format!("`{}` has no list `tests`", input.file.name()),
            "a configuration holds none before `promptfoo redteam generate` was run",
        );
    };
    for (index, test) in tests.iter().enumerate() {
        let mut row = row(&page, "tests", index, test);
        one(&mut row, inject.as_deref(), haul);
        haul.mistakes.append(&mut row.mistakes);
    }
}

/// A YAML file with positions; aliases are resolved.
pub(super) fn page(file: &SourceFile, haul: &mut Haul) -> Option<Loaded<Value>> {
    let text: Arc<str> = file.text().trim_start_matches('\u{feff}').into();
    match source::load_text::<Value>(SourceFile::new(file.name(), text)) {
        Ok(page) => Some(page),
        Err(problems) => {
            haul.mistakes.extend(problems.0);
            None
        }
    }
}

/// One item of a list in a YAML file.
pub(super) fn row(page: &Loaded<Value>, list: &str, index: usize, value: &Value) -> Row {
    let route = Route::root().join(list).join(index);
    let byte = page.document.span(&route).start;
    let name = route.as_str().to_owned();
    let at = page.document.file().location(byte);
    Row { base: name.clone(), name, shape: Shape::Paths, at, value: value.clone(), mistakes: Vec::new() }
}

fn one(row: &mut Row, inject: Option<&str>, haul: &mut Haul) {
    let Some(variable) = variable(row, inject) else { return };
    let text = row.text(&format!("/vars/{}", escaped(&variable)));
    let (goal, technique) = (row.maybe("/metadata/pluginId"), row.maybe("/metadata/strategyId"));
    let title = row.maybe("/description");
    let Some(text) = text else { return };
    let mut excludes = Vec::new();
    for check in row.get("/assert").and_then(Value::as_array).into_iter().flatten() {
        excludes.extend(excluded(check));
    }
    haul.cases
        .push(Prompt { title, goal, technique, turns: vec![text], excludes, ..Prompt::default() }.text_only(&row.name));
}

/// The variable that holds the attack: the one that is named, else `prompt`, else the only one.
fn variable(row: &mut Row, inject: Option<&str>) -> Option<String> {
    let names: Vec<String> =
        row.get("/vars").and_then(Value::as_object).map(|vars| vars.keys().cloned().collect()).unwrap_or_default();
    let known = [inject, Some("prompt")].into_iter().flatten().find(|name| names.iter().any(|own| own == name));
    match (known, names.as_slice()) {
        (Some(name), _) => Some(name.to_owned()),
        (None, [only]) => Some(only.clone()),
        (None, []) => {
            row.wrong("/vars", "holds no variable");
            None
        }
        (None, _) => {
            row.wrong("/vars", "holds several variables, and `redteam.injectVar` does not say which one attacks");
            None
        }
    }
}

/// Texts that a deterministic assertion forbids.
fn excluded(check: &Value) -> Vec<String> {
    let kind = check.get("type").and_then(Value::as_str).unwrap_or_default();
    let value = check.get("value");
    match kind {
        "not-contains" | "not-icontains" => value.and_then(Value::as_str).map(str::to_owned).into_iter().collect(),
        "not-contains-any" | "not-icontains-any" => {
            let texts = value.and_then(Value::as_array).into_iter().flatten();
            texts.filter_map(|text| text.as_str().map(str::to_owned)).collect()
        }
        _ => Vec::new(),
    }
}
