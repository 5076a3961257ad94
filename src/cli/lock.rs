//! `lock`: writes down what the build is made of, and says what changed since the last time.

use super::{args::LockArgs, case, output::Output};
use crate::{
    checklist::Catalogue,
    context::Context,
    exit::{self, Fault},
    facts::{self, LockFile},
    manifest,
    source::Files,
};

/// Runs `lock`.
pub(crate) fn lock(args: &LockArgs, context: &Context, output: &Output) -> Result<u8, Fault> {
    let (files, name) = case::find(args.manifest.as_deref(), &context.cwd, false)?;
    let manifest = manifest::load(&files, &name)?;
    let catalogue = match &args.checks {
        None => Catalogue::embedded(),
        Some(folder) => {
            Catalogue::embedded().with_folder(&files, &super::check::relative(&files, &context.path(folder))?)?
        }
    };
    let options = facts::Options {
        offline: true,
        manifest: manifest.name.clone(),
        checks: catalogue.pins(),
        ..facts::Options::default()
    };
    let mut new = facts::present_lock(&files, &manifest::evidence(&manifest), &options);
    let path = manifest.resolve(&manifest.raw.change.lock);
    let old = previous(&files, &path)?;
    // Only a server can say what its tools are now; without asking, what it said stays.
    new.entries.extend(
        old.entries.iter().filter(|(entry, _)| entry.starts_with("tool:")).map(|(e, v)| (e.clone(), v.clone())),
    );
    let changes = old.changes(&new);
    for change in &changes {
        output.print(&format!("{:<8} {}\n", change.kind, crate::text::printable(&change.entry)))?;
    }
    for (name, model) in manifest.raw.models.iter().filter(|(_, model)| !facts::is_snapshot(&model.id)) {
        output.say(&format!(
            "warning: the model `{name}` is {}, an alias that changes without you",
            crate::text::printable(&model.id)
        ));
    }
    if args.check {
        let count = changes.len();
        output.say(&if count == 0 {
            format!("{path} holds the build as it is")
        } else {
            format!("{path} does not hold the build as it is: {count} entries differ; `agentready lock` writes it anew")
        });
        return Ok(if count == 0 { exit::GO } else { exit::NO_GO });
    }
    if changes.is_empty() {
        output.say(&format!("{path} holds the build as it is; nothing was written"));
        return Ok(exit::GO);
    }
    write(&files, &path, &new)?;
    output.say(&format!("wrote {path}: {} entries; commit it with what it pins", new.entries.len()));
    Ok(exit::GO)
}

fn previous(files: &Files, path: &str) -> Result<LockFile, Fault> {
    match files.read(path) {
        Err(crate::source::FilesError::Missing(_)) => Ok(LockFile::default()),
        Err(error) => Err(Fault::usage(error.to_string(), "move it away and run `agentready lock` again")),
        Ok(file) => LockFile::parse(file.text()).map_err(|error| {
            Fault::usage(format!("`{path}` is no lock: {error}"), "move it away and run `agentready lock` again")
        }),
    }
}

fn write(files: &Files, path: &str, lock: &LockFile) -> Result<(), Fault> {
    if path.split('/').any(|part| part == "..") || path.starts_with('/') {
        return Err(Fault::usage(
            format!("`{path}` lies outside the repository root"),
            "name a file inside it in `change.lock`",
        ));
    }
    let root = files.root().ok_or_else(|| Fault::usage("there is no folder to write to", "run it in a repository"))?;
    let text = if path.rsplit('.').next() == Some("json") {
        serde_json::to_string_pretty(lock).map_err(|error| Fault::internal("write the lock", error))? + "\n"
    } else {
        lock.to_toml()
    };
    std::fs::write(root.join(path), text)
        .map_err(|error| Fault::usage(format!("`{path}` can't be written: {error}"), "make its folder writable"))
}
