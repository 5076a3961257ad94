//! `list`: what there is, from the same data that the gate uses.

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Value, json};

use super::{
    args::{ListArgs, Listing},
    case::{self, Case, Options},
    check, explain,
    output::Output,
};
use crate::{
    agent::ADAPTERS,
    checklist,
    context::Context,
    demo::FLAWS,
    exit::{self, Fault},
    report::FORMATS,
};

/// Runs `list`.
pub(crate) fn list(args: &ListArgs, context: &Context, output: &Output) -> Result<u8, Fault> {
    let rows = rows(args, context)?;
    if args.json {
        let text = serde_json::to_string_pretty(&rows).map_err(|error| Fault::internal("print the list", error))?;
        output.print(&format!("{text}\n"))?;
    } else {
        output.print(&table(&rows, output.stdout.width))?;
    }
    Ok(exit::GO)
}

fn values(rows: Vec<impl serde::Serialize>) -> Vec<Value> {
    rows.into_iter().map(|row| serde_json::to_value(row).expect("a row is plain data")).collect()
}

fn rows(args: &ListArgs, context: &Context) -> Result<Vec<Value>, Fault> {
    let named = |name: &str, about: &str| json!({"name": name, "about": about});
    Ok(match args.what {
        Listing::Checks => values(checklist::list(&explain::catalogue(args.checks.as_deref(), context)?)),
        Listing::Profiles => checklist::profiles().iter().map(|(name, profile)| named(name, &profile.title)).collect(),
        Listing::Formats => FORMATS.iter().map(|format| named(format.name, format.about)).collect(),
        Listing::Adapters => ADAPTERS.iter().map(|adapter| named(adapter.name, adapter.about)).collect(),
        Listing::Flaws => FLAWS.iter().map(|flaw| named(flaw.name, flaw.about)).collect(),
        Listing::Scenarios => scenarios(args, context)?,
    })
}

/// The manifest's scenarios; without any manifest those of the demo.
fn scenarios(args: &ListArgs, context: &Context) -> Result<Vec<Value>, Fault> {
    let (files, manifest) = match case::find(args.manifest.as_deref(), &context.cwd, false) {
        Ok(found) => found,
        Err(_) if args.manifest.is_none() => (super::demo::files(), super::demo::MANIFEST.to_owned()),
        Err(fault) => return Err(fault),
    };
    let checks = args.checks.as_ref().map(|folder| check::relative(&files, &context.path(folder))).transpose()?;
    let case = Case::load(files, &manifest, &Options { checks, ..Options::default() })?;
    Ok(case
        .plan
        .scenarios
        .iter()
        .map(|scenario| {
            json!({
                "name": scenario.id,
                "suite": scenario.suite,
                "about": scenario.title.clone().or_else(|| scenario.turns.first().map(|turn| turn.say.clone())),
                "location": scenario.location.to_string(),
                "origin": scenario.origin,
            })
        })
        .collect())
}

fn table(rows: &[Value], width: usize) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
    for row in rows {
        let cells = ["id", "name", "severity", "suite", "title", "about"]
            .iter()
            .filter_map(|key| row.get(*key))
            .map(|value| crate::text::shortened(&crate::text::printable_line(&shown(value)), 400));
        table.add_row(cells);
    }
    format!("{}\n", table.to_string().lines().map(str::trim_end).collect::<Vec<_>>().join("\n"))
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
