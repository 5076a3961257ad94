//! `list`: what there is, from the same data that the gate uses.

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Value, json};

use super::{
    args::{ListArgs, Listing},
    case::{self, Case, Options},
    check, explain,
    output::Output,
    standing,
};
use crate::{
    agent::{ADAPTERS, PRESETS},
    checklist,
    context::Context,
    demo::FLAWS,
    exit::{self, Fault},
    import,
    report::FORMATS,
};

/// Runs `list`.
pub(crate) fn list(args: &ListArgs, context: &Context, output: &Output) -> Result<u8, Fault> {
    if args.markdown {
        if args.what != Listing::Checks {
            return Err(Fault::usage("only the checks are told as Markdown", "use `list checks --markdown`"));
        }
        let catalogue = explain::catalogue(args.checks.as_deref(), context)?;
        output.print(&checklist::reference(&catalogue))?;
        return Ok(exit::GO);
    }
    let (rows, lines) = rows(args, context, output)?;
    if args.json {
        let text = serde_json::to_string_pretty(&rows).map_err(|error| Fault::internal("print the list", error))?;
        output.print(&format!("{text}\n"))?;
    } else {
        output.print(&table(&lines, output.stdout.width))?;
    }
    Ok(exit::GO)
}

fn values(rows: Vec<impl serde::Serialize>) -> Vec<Value> {
    rows.into_iter().map(|row| serde_json::to_value(row).expect("a row is plain data")).collect()
}

/// The same rows for machines and for people.
type Rows = (Vec<Value>, Vec<Vec<String>>);

fn rows(args: &ListArgs, context: &Context, output: &Output) -> Result<Rows, Fault> {
    Ok(match args.what {
        Listing::Checks => plain(values(checklist::list(&explain::catalogue(args.checks.as_deref(), context)?))),
        Listing::Profiles => {
            let profiles = standing::profiles(args, context, output)?;
            let lines = profiles.iter().flat_map(standing::ProfileRow::lines).collect();
            (values(profiles), lines)
        }
        Listing::Controls => {
            let catalogue = explain::catalogue(args.checks.as_deref(), context)?;
            if let Some(name) = &args.framework {
                let rows = standing::controls(name, args, &catalogue, (context, output))?;
                let lines = rows.iter().map(standing::ControlRow::line).collect();
                (values(rows), lines)
            } else {
                let rows = standing::frameworks(&catalogue);
                let lines = rows.iter().map(standing::FrameworkRow::line).collect();
                (values(rows), lines)
            }
        }
        Listing::Formats => plain(FORMATS.iter().map(|format| named(format.name, format.about)).collect()),
        Listing::Imports => plain(import::FORMATS.iter().map(|format| named(format.name, format.about)).collect()),
        Listing::Adapters => plain(adapters()),
        Listing::Flaws => plain(FLAWS.iter().map(|flaw| named(flaw.name, flaw.about)).collect()),
        Listing::Scenarios => plain(scenarios(args, context)?),
    })
}

fn named(name: &str, about: &str) -> Value {
    json!({"name": name, "about": about})
}

/// The wire formats, and the presets of `http`.
fn adapters() -> Vec<Value> {
    let formats = ADAPTERS.iter().map(|adapter| named(adapter.name, adapter.about));
    let presets = PRESETS.iter().map(|preset| named(&format!("http, preset {}", preset.name), &preset.about));
    formats.chain(presets).collect()
}

/// Rows of which people see some keys.
fn plain(rows: Vec<Value>) -> Rows {
    let lines = rows.iter().map(cells).collect();
    (rows, lines)
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

/// What people see of a row.
fn cells(row: &Value) -> Vec<String> {
    let keys = ["id", "name", "severity", "suite", "title", "about"];
    keys.iter().filter_map(|key| row.get(*key)).map(shown).collect()
}

fn table(lines: &[Vec<String>], width: usize) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
    for line in lines {
        table.add_row(line.iter().map(|cell| crate::text::shortened(&crate::text::printable_line(cell), 400)));
    }
    format!("{}\n", table.to_string().lines().map(str::trim_end).collect::<Vec<_>>().join("\n"))
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
