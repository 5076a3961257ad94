//! `schema`: JSON Schemas of everything that people and machines read or write.

use super::{
    args::{SchemaArgs, SchemaName},
    output::Output,
};
use crate::exit::{self, Fault};

/// Runs `schema`.
pub(crate) fn schema(args: &SchemaArgs, output: &Output) -> Result<u8, Fault> {
    let schema = match args.what {
        SchemaName::Manifest => crate::manifest::schema(),
        SchemaName::Scenario => crate::scenario::schema(),
        SchemaName::World => crate::world::schema(),
        SchemaName::Check => schemars::schema_for!(crate::checklist::CheckFile).to_value(),
        SchemaName::Report => crate::report::schema().to_value(),
    };
    let text = serde_json::to_string_pretty(&schema).map_err(|error| Fault::internal("print the schema", error))?;
    output.print(&format!("{text}\n"))?;
    Ok(exit::GO)
}
