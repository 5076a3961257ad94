//! `explain`: one check in full, offline.

use std::path::Path;

use super::{args::ExplainArgs, output::Output};
use crate::{
    checklist::{self, Catalogue},
    context::Context,
    exit::{self, Fault},
    source::Files,
};

/// Runs `explain`.
pub(crate) fn explain(args: &ExplainArgs, context: &Context, output: &Output) -> Result<u8, Fault> {
    let catalogue = catalogue(args.checks.as_deref(), context)?;
    let explained = checklist::explain(&catalogue, &args.check).map_err(|unknown| {
        let hint = unknown.near.as_ref().map_or_else(
            || "`agentready list checks` shows them all".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        Fault::usage(unknown.to_string(), hint)
    })?;
    if args.json {
        let text = serde_json::to_string_pretty(&explained.json())
            .map_err(|error| Fault::internal("print the check", error))?;
        output.print(&format!("{text}\n"))?;
    } else {
        output.print(&explained.to_string())?;
    }
    Ok(exit::GO)
}

/// The built-in checks and those of a folder.
pub(crate) fn catalogue(folder: Option<&Path>, context: &Context) -> Result<Catalogue, Fault> {
    let catalogue = Catalogue::embedded();
    let Some(folder) = folder else { return Ok(catalogue) };
    let folder = context.path(folder);
    if !folder.is_dir() {
        return Err(Fault::usage(format!("there is no folder `{}`", folder.display()), "name a folder of checks"));
    }
    let (parent, name) = (folder.parent().unwrap_or(&folder), folder.file_name().unwrap_or_default());
    Ok(catalogue.with_folder(&Files::disk(parent, false), &name.to_string_lossy())?)
}
