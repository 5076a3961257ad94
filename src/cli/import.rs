//! `import`: files of other tools become scenario files, which are read back before they are written.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{args::ImportArgs, output::Output};
use crate::{
    context::Context,
    exit::{self, Fault},
    import::{self, Import, Input, MAX_BYTES, Options},
    scenario::{self, Suite},
    source::{self, Files, SourceFile},
    text::printable,
    world,
};

/// Runs `import`.
pub(crate) fn import(args: &ImportArgs, context: &Context, output: &Output) -> Result<u8, Fault> {
    let format = import::format(&args.format).map_err(|problem| Fault::Input(problem.into()))?;
    let file = read(&args.file, context)?;
    let attacks = args.attacks.as_ref().map(|path| read(path, context)).transpose()?;
    let out = context.path(&args.out);
    let world = args.world.as_ref().map(|path| read(path, context)).transpose()?;
    let named = args.world.as_ref().map(|path| relative(&absolute(&out), &absolute(&context.path(path))));
    let options = Options {
        name: name(args)?,
        world: named.clone(),
        never: args.never.clone(),
        licence: args.licence.clone(),
        column: args.column.clone(),
        benign: args.benign,
    };
    let input = Input { file: &file, attacks: attacks.as_ref(), options: &options };
    let import = import::import(format, &input)?;
    let texts = texts(&import)?;
    read_back(&import, &texts, named.zip(world).as_ref())?;
    write(&out, &texts, args.force)?;
    output.print(&summary(args, &import))?;
    Ok(exit::GO)
}

/// Reads a file of any size that fits, as text.
fn read(path: &Path, context: &Context) -> Result<SourceFile, Fault> {
    let shown = path.display();
    let full = context.path(path);
    let unreadable = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => Fault::usage(format!("there is no file `{shown}`"), "name a file to import"),
        std::io::ErrorKind::IsADirectory => Fault::usage(format!("`{shown}` is a folder"), "name one of its files"),
        _ => Fault::usage(format!("`{shown}` can't be read: {error}"), "name a file that can be read"),
    };
    let size = full.metadata().map_err(unreadable)?.len();
    if size > MAX_BYTES {
        let message = format!("`{shown}` is larger than {} MiB", MAX_BYTES / 1024 / 1024);
        return Err(Fault::usage(message, "split it, for example by `split -l`, and import the parts"));
    }
    let bytes = std::fs::read(&full).map_err(unreadable)?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = error.as_bytes().iter().take(good).filter(|byte| **byte == b'\n').count() + 1;
        Fault::usage(format!("`{shown}` is not UTF-8 text (line {line})"), "convert it: `iconv -t utf-8`")
    })?;
    Ok(SourceFile::new(path.to_string_lossy().replace('\\', "/"), text))
}

/// What ids and files begin with: as given, else the name of the file.
fn name(args: &ImportArgs) -> Result<String, Fault> {
    let given = args.name.clone().or_else(|| args.file.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    let name = import::slug(&given.unwrap_or_default());
    if name.is_empty() {
        return Err(Fault::usage("the file's name makes no id", "give a name in letters: --name prompts"));
    }
    Ok(name)
}

/// Every file to write, by name.
fn texts(import: &Import) -> Result<BTreeMap<String, String>, Fault> {
    let yaml = |value: Result<serde_json::Value, serde_json::Error>| {
        value.map(|value| source::yaml(&value)).map_err(|error| Fault::internal("write the scenarios", error))
    };
    let mut texts = BTreeMap::new();
    for (name, page) in &import.pages {
        texts.insert(name.clone(), yaml(serde_json::to_value(page))?);
    }
    if let Some((name, world)) = &import.world {
        texts.insert(name.clone(), yaml(serde_json::to_value(world))?);
    }
    Ok(texts)
}

/// Loads what is about to be written as a run would; the user's own world may lack a tool.
fn read_back(
    import: &Import,
    texts: &BTreeMap<String, String>,
    world: Option<&(String, SourceFile)>,
) -> Result<(), Fault> {
    let mut all: BTreeMap<String, Arc<str>> =
        texts.iter().map(|(name, text)| (name.clone(), Arc::from(text.as_str()))).collect();
    if let Some((name, file)) = world {
        all.insert(Files::resolve("", name), file.text().into());
    }
    let files = Files::texts(all);
    if let Some((name, _)) = &import.world {
        world::load(&files, name)?;
    }
    let names: Vec<String> = import.pages.keys().cloned().collect();
    scenario::load(&files, &names)?;
    Ok(())
}

/// Writes nothing when one of the files is there already.
fn write(out: &Path, texts: &BTreeMap<String, String>, force: bool) -> Result<(), Fault> {
    let there: Vec<String> = texts
        .keys()
        .map(|name| out.join(name))
        .filter(|path| !force && path.exists())
        .map(|path| path.display().to_string())
        .collect();
    if !there.is_empty() {
        let message = format!("{} exists already", there.join(", "));
        return Err(Fault::usage(message, "give another --name or --out, or --force to replace it"));
    }
    std::fs::create_dir_all(out).map_err(|error| Fault::internal("make the folder of the scenarios", error))?;
    for (name, text) in texts {
        std::fs::write(out.join(name), text).map_err(|error| Fault::internal("write the scenarios", error))?;
    }
    Ok(())
}

fn summary(args: &ImportArgs, import: &Import) -> String {
    let mut text = String::new();
    let counts = [
        (import.golden, "golden scenarios"),
        (import.attacks, "attacks with an oracle"),
        (import.text_only, "text-only prompts"),
    ];
    let counts: Vec<String> =
        counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    let _ = writeln!(text, "`{}` became {}", args.file.display(), counts.join(", "));
    for name in import.pages.keys().chain(import.world.iter().map(|(name, _)| name)) {
        let _ = writeln!(text, "  {}", args.out.join(name).display());
    }
    for (why, count) in &import.left_out {
        let _ = writeln!(text, "  left out: {count}: {why}");
    }
    if import.text_only > 0 {
        text.push_str(
            "Text-only prompts fail as wrong (category B) at most and do not count as adversarial prompts, because only \
             words are known of them; --never TOOL --world FILE gives them an oracle.\n",
        );
    }
    let licences = import
        .pages
        .values()
        .flat_map(|page| page.scenarios.values())
        .filter_map(|entry| entry.origin.as_ref().and_then(|origin| origin.licence.as_deref()));
    if let Some(licence) = licences.into_iter().next() {
        let _ = writeln!(text, "The licence of the texts goes on to hold: {licence}");
    }
    let listed = |suite: Suite| {
        let pages = import.pages.iter().filter(|(_, page)| page.suite == suite);
        pages.map(|(name, _)| args.out.join(name).display().to_string()).collect::<Vec<_>>().join(", ")
    };
    let keys =
        [("golden", Suite::Golden), ("adversarial", Suite::Adversarial)].map(|(key, suite)| (key, listed(suite)));
    let keys: Vec<String> =
        keys.iter().filter(|(_, names)| !names.is_empty()).map(|(key, names)| format!("{key}: [{names}]")).collect();
    let _ = writeln!(text, "Add to the manifest, with paths relative to it: evals: {{{}}}", keys.join(", "));
    printable(&text)
}

/// The real path of what exists of it, and the rest as written.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    let there = path.ancestors().find_map(|ancestor| Some((ancestor, ancestor.canonicalize().ok()?)));
    let Some((ancestor, real)) = there else { return path.to_path_buf() };
    path.strip_prefix(ancestor).map_or_else(|_| path.to_path_buf(), |rest| real.join(rest))
}

/// The way from a folder to a file.
pub(crate) fn relative(folder: &Path, file: &Path) -> String {
    let shared = folder.components().zip(file.components()).take_while(|(a, b)| a == b).count();
    let up = folder.components().skip(shared).map(|_| "..".to_owned());
    let down = file.components().skip(shared).map(|part| part.as_os_str().to_string_lossy().into_owned());
    up.chain(down).collect::<Vec<_>>().join("/")
}
