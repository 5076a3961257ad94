//! The tools as the model is offered them, and the shape that their arguments must have (`schemas/*.json`).

use std::{collections::BTreeMap, sync::LazyLock};

use include_dir::{Dir, include_dir};
use jsonschema::Validator;
use serde_json::{Value, json};

static FILES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/fixtures/demo/schemas");

/// A tool's schema, as written and compiled.
struct Schema {
    written: Value,
    compiled: Validator,
}

static SCHEMAS: LazyLock<BTreeMap<String, Schema>> = LazyLock::new(|| {
    let files = FILES.files().filter_map(|file| Some((file.path().file_stem()?.to_str()?.to_owned(), file)));
    files
        .map(|(name, file)| {
            let written: Value = serde_json::from_slice(file.contents()).expect("the shipped schemas are JSON");
            let compiled = jsonschema::validator_for(&written).expect("the shipped schemas compile");
            (name, Schema { written, compiled })
        })
        .collect()
});

/// The tools in the form in which chat completions take them.
pub(super) fn offered() -> Vec<Value> {
    let tool = |(name, schema): (&String, &Schema)| json!({"type": "function", "function": {"name": name, "parameters": schema.written}});
    SCHEMAS.iter().map(tool).collect()
}

/// Whether arguments have the shape that the tool asks for; a tool without a schema takes none.
pub(super) fn fit(tool: &str, args: &Value) -> bool {
    SCHEMAS.get(tool).is_some_and(|schema| schema.compiled.is_valid(args))
}
