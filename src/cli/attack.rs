//! `attack`: the generated attacks, listed, shown one by one, or written as scenario files.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::Path,
};

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Map, Value, json};

use super::{
    args::{AttackAction, AttackArgs, AttackSource},
    attacks, case, demo,
    output::Output,
};
use crate::{
    attack::{self, Order, Set, Standing},
    context::Context,
    exit::{self, Fault},
    manifest,
    scenario::Scenario,
    source::{Files, yaml},
    text::{closest, printable_line},
};

/// Runs `attack`.
pub(crate) fn attack(args: &AttackArgs, context: &Context, output: &Output) -> Result<u8, Fault> {
    match &args.action {
        AttackAction::List(source) => {
            let (set, files) = generate(source, context)?;
            list(&set, source, files.is_lent(attacks::BARE), output)?;
        }
        AttackAction::Show { id, source } => {
            let (set, _) = generate(source, context)?;
            show(&set, id, source, output)?;
        }
        AttackAction::Export { folder, source } => {
            let (set, files) = generate(source, context)?;
            export(&set, &files, &context.path(folder), output)?;
        }
    }
    Ok(exit::GO)
}

fn generate(source: &AttackSource, context: &Context) -> Result<(Set, Files), Fault> {
    let (files, name) = if source.demo {
        (demo::files(), demo::MANIFEST.to_owned())
    } else {
        case::find(source.manifest.as_deref(), &context.cwd, false)?
    };
    let known = attack::goals();
    if let Some(unknown) = source.focus.iter().find(|goal| !known.contains(&goal.as_str())) {
        let hint = closest(unknown, known.iter().copied()).map_or_else(
            || "`agentready attack list` names them all".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        return Err(Fault::usage(format!("there is no goal `{unknown}`"), hint));
    }
    let manifest = manifest::load(&files, &name)?;
    let asked = attacks::asked(&manifest, source.count)?;
    let evidence = manifest::evidence(&manifest);
    let (scenarios, mut worlds) = case::written(&files, &manifest)?;
    attacks::with_bare_tools(&files, &evidence, &mut worlds)?;
    let ground = attacks::ground(&files, &manifest, &evidence, (&scenarios, &worlds), &asked);
    let count = if asked.count == 0 { attacks::USUAL } else { asked.count };
    let set = attacks::made(&ground, &Order { count, seed: source.seed, focus: source.focus.clone() });
    Ok((set, files))
}

fn attacks_of(set: &Set) -> impl Iterator<Item = &Scenario> {
    set.scenarios.iter().filter(|scenario| scenario.attack.is_some())
}

fn clusters(set: &Set) -> usize {
    let attacks = attacks_of(set).filter_map(|scenario| scenario.attack.as_ref());
    attacks.map(|a| (&a.goal, &a.carrier, &a.technique)).collect::<BTreeSet<_>>().len()
}

fn list(set: &Set, source: &AttackSource, is_bare: bool, output: &Output) -> Result<(), Fault> {
    let (attacks, twins) = (attacks_of(set).count(), set.scenarios.iter().filter(|s| s.twin_of.is_some()).count());
    if source.json {
        let ids: Vec<&str> = attacks_of(set).map(|scenario| scenario.id.as_str()).collect();
        return json_out(
            output,
            &json!({"attacks": attacks, "clusters": clusters(set), "twins": twins, "hosts": set.hosts, "seed": source.seed,
                "surfaces": set.surfaces, "parts": set.standings, "ids": ids}),
        );
    }
    let mut text = format!(
        "{attacks} attacks of {} distinct families, {twins} benign twins, seed {}; carried into {} golden tasks\n",
        clusters(set),
        source.seed,
        set.hosts,
    );
    let surfaces = if set.surfaces.is_empty() { "no tool".to_owned() } else { set.surfaces.join(", ") };
    let _ = writeln!(text, "text by others reaches the agent through: {}", printable_line(&surfaces));
    if is_bare {
        let _ = writeln!(text, "{}", attacks::BARE_NOTE);
    }
    for kind in ["goal", "carrier", "technique", "encoding", "fault"] {
        let _ = writeln!(text, "\n{}", heading(kind));
        text.push_str(&table(set.standings.iter().filter(|standing| standing.kind == kind), output.stdout.width));
    }
    text.push_str("\n`agentready attack show ID` prints one, `--json` lists the ids.\n");
    output.print(&text)
}

fn heading(kind: &str) -> &'static str {
    match kind {
        "goal" => "Goals: what the attacker wants",
        "carrier" => "Carriers: how the words travel",
        "technique" => "Techniques: how they persuade",
        "fault" => "Faults: how tools misbehave, without words",
        _ => "Encodings: how they are disguised",
    }
}

fn table<'s>(standings: impl Iterator<Item = &'s Standing>, width: usize) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
    for standing in standings {
        let count = if standing.why_not.is_some() { "-".to_owned() } else { standing.attacks.to_string() };
        let about = match &standing.why_not {
            Some(why) => format!("{}. Does not apply: {why}", standing.title),
            None => standing.title.clone(),
        };
        table.add_row([count, standing.name.clone(), about]);
    }
    format!("{}\n", table.to_string().lines().map(str::trim_end).collect::<Vec<_>>().join("\n"))
}

fn show(set: &Set, id: &str, source: &AttackSource, output: &Output) -> Result<(), Fault> {
    let Some(scenario) = set.scenarios.iter().find(|scenario| scenario.id == id) else {
        let ids = set.scenarios.iter().map(|scenario| scenario.id.as_str());
        let hint = closest(id, ids).map_or_else(
            || "give the same --seed and --count as the run; `agentready attack list --json` has the ids".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        return Err(Fault::usage(format!("the set has no attack `{id}`"), hint));
    };
    let entry = file(std::iter::once(scenario), scenario.world.as_deref());
    if source.json { json_out(output, &entry) } else { output.print(&yaml(&entry)) }
}

fn json_out(output: &Output, value: &Value) -> Result<(), Fault> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Fault::internal("print the attacks", error))?;
    output.print(&format!("{text}\n"))
}

/// A scenario file with these scenarios.
fn file<'s>(scenarios: impl Iterator<Item = &'s Scenario>, world: Option<&str>) -> Value {
    let entries: Map<String, Value> = scenarios
        .map(|scenario| {
            (scenario.id.clone(), serde_json::to_value(scenario.entry()).expect("a scenario is plain data"))
        })
        .collect();
    match world {
        Some(world) => json!({"suite": "adversarial", "world": world, "scenarios": entries}),
        None => json!({"suite": "adversarial", "scenarios": entries}),
    }
}

/// Writes one file for each goal and world, twins beside their attacks, and the worlds themselves.
fn export(set: &Set, files: &Files, folder: &Path, output: &Output) -> Result<(), Fault> {
    let texts = exported(set, files)?;
    let is_free = match fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    };
    if !is_free {
        return Err(Fault::usage(format!("`{}` is not an empty folder", folder.display()), "name a new folder"));
    }
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        fs::write(path, text)
    };
    for (name, text) in &texts {
        write(name, text).map_err(|error| Fault::internal(&format!("write `{name}`"), error))?;
    }
    let shown = folder.display();
    output.print(&format!("{} scenarios in {} files below {shown}\n", set.scenarios.len(), texts.len()))
}

/// The files of an export by name: they load again and are the same scenarios.
pub(crate) fn exported(set: &Set, files: &Files) -> Result<BTreeMap<String, String>, Fault> {
    let goals: BTreeMap<&str, &str> = attacks_of(set)
        .filter_map(|scenario| Some((scenario.id.as_str(), scenario.attack.as_ref()?.goal.as_str())))
        .collect();
    let mut groups: BTreeMap<(&str, Option<&str>), Vec<&Scenario>> = BTreeMap::new();
    for scenario in &set.scenarios {
        let of = scenario.twin_of.as_deref().unwrap_or(&scenario.id);
        let goal = goals.get(of).copied().unwrap_or("twins");
        groups.entry((goal, scenario.world.as_deref())).or_default().push(scenario);
    }
    let worlds: BTreeSet<&str> = groups.keys().filter_map(|(_, world)| *world).collect();
    let number = |world: &str| worlds.iter().position(|other| *other == world).unwrap_or_default();
    let mut texts = BTreeMap::new();
    for ((goal, world), scenarios) in &groups {
        let place = world.map(|world| format!("worlds/{}", base_name(world, number(world))));
        if let (Some(world), Some(place)) = (world, &place) {
            let text =
                files.read(world).map_err(|error| Fault::Input(crate::source::Diagnostic::from(error).into()))?;
            texts.insert(place.clone(), text.text().to_owned());
        }
        let suffix = world.map_or(0, number);
        let name = if suffix == 0 { format!("{goal}.yaml") } else { format!("{goal}-{suffix}.yaml") };
        texts.insert(name, yaml(&file(scenarios.iter().copied(), place.as_deref())));
    }
    Ok(texts)
}

/// Worlds of different folders may bear one name.
fn base_name(world: &str, number: usize) -> String {
    let name = world.rsplit('/').next().unwrap_or(world);
    if number == 0 { name.to_owned() } else { format!("{number}-{name}") }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{exported, generate};
    use crate::{
        cli::args::AttackSource,
        context::Context,
        scenario::{self, Scenario},
        source::Files,
        world,
    };

    /// All that a run sees of a scenario.
    fn shown(scenario: &Scenario) -> (String, String) {
        let entry = serde_json::to_string(&scenario.entry()).expect("plain data");
        (scenario.id.clone(), entry)
    }

    #[test]
    fn what_was_exported_loads_again_and_is_the_same() {
        let source =
            AttackSource { count: Some(200), focus: Vec::new(), seed: 0, manifest: None, demo: true, json: false };
        let (set, files) = generate(&source, &Context::capture().expect("a context")).expect("a set");
        let texts = exported(&set, &files).unwrap_or_else(|fault| panic!("{fault:?}"));
        let names: Vec<String> = texts.keys().filter(|name| !name.starts_with("worlds/")).cloned().collect();
        let again = Files::texts(texts.into_iter().map(|(name, text)| (name, text.into())).collect());
        let loaded = scenario::load(&again, &names).unwrap_or_else(|problems| panic!("{problems}"));
        let before: BTreeMap<String, String> = set.scenarios.iter().map(shown).collect();
        let after: BTreeMap<String, String> = loaded.iter().map(shown).collect();
        assert_eq!(before.len(), set.scenarios.len());
        assert!(set.scenarios.iter().any(|scenario| !scenario.faults.is_empty()));
        for (id, entry) in &before {
            assert_eq!(after.get(id), Some(entry), "{id}");
        }
        assert_eq!(before.len(), after.len());
        for scenario in &loaded {
            let name = scenario.world.as_deref().expect("a world");
            let world = world::load(&again, name).unwrap_or_else(|problems| panic!("{problems}"));
            world.initial(&scenario.given).unwrap_or_else(|problem| panic!("{}: {problem}", scenario.id));
        }
    }
}
