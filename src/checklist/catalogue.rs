//! The catalogue of checks: those in the binary and those of a team's own folder. A shipped check is parsed
//! when it is asked for, so `explain` reads one file.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    sync::{Arc, LazyLock, OnceLock},
};

use include_dir::{Dir, include_dir};

use super::{check::Check, format::CheckFile, framework};
use crate::{
    source::{Diagnostic, Diagnostics, Files, Loaded, SourceFile, load, load_shipped, load_text},
    text::closest,
};

static CHECKS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/checks");

/// Folders below `checks/` that hold other data.
const OTHER_DATA: [&str; 2] = ["profiles", "frameworks"];

/// Where the examples of a shipped check begin; nothing comes after them.
const EXAMPLES: &str = "\nexamples:\n";

/// No check bears this id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no check `{id}`")]
pub struct UnknownCheck {
    /// What was asked for.
    pub id: String,
    /// The nearest id, if one is near.
    pub near: Option<String>,
}

/// The checks in the binary; what was compiled of them is shared by every catalogue.
static SHIPPED: LazyLock<BTreeMap<String, Arc<Entry>>> = LazyLock::new(shipped);

/// Every check the gate knows, by id.
#[derive(Debug)]
pub struct Catalogue {
    entries: BTreeMap<String, Arc<Entry>>,
    digest: OnceLock<String>,
}

#[derive(Debug)]
struct Entry {
    name: String,
    text: Cow<'static, str>,
    own: bool,
    check: OnceLock<Arc<Check>>,
}

impl Entry {
    fn loaded(&self, text: &str) -> Loaded<CheckFile> {
        let file = SourceFile::new(self.name.clone(), text);
        let loaded = if self.own { load_text(file) } else { load_shipped(file) };
        loaded.expect("a test loads every shipped check, and own ones were loaded when they joined")
    }

    /// A shipped check is compiled without its examples: they are its tests, and words for `explain`.
    fn compiled(&self, id: &str) -> Arc<Check> {
        let check = self.check.get_or_init(|| {
            let asked = self.text.split_once(EXAMPLES).map_or(&*self.text, |(asked, _)| asked);
            Arc::new(Check::shipped(id, &self.loaded(asked)).expect("a test compiles every shipped check"))
        });
        Arc::clone(check)
    }
}

impl Catalogue {
    /// The checks in the binary.
    pub fn embedded() -> Self {
        Self { entries: SHIPPED.clone(), digest: OnceLock::new() }
    }

    /// Compiles the checks in the binary, for a caller that has a thread to spare.
    pub fn prepare() {
        Self::embedded().entries.iter().for_each(|(id, entry)| drop(entry.compiled(id)));
    }

    /// Adds a team's own checks, files of the same form in `<dir>/<area>/<name>.yaml`.
    pub fn with_folder(mut self, files: &Files, dir: &str) -> Result<Self, Diagnostics> {
        let mut problems = Vec::new();
        let mut names = files.glob(&format!("{dir}/**/*.yaml"));
        names.extend(files.glob(&format!("{dir}/**/*.yml")));
        if names.is_empty() {
            problems.push(
                Diagnostic::error(format!("`{dir}` holds no check"))
                    .hint("a check is a file `<area>/<name>.yaml` in that folder"),
            );
        }
        for name in names {
            match self.own(files, dir, &name) {
                Ok((id, entry)) => {
                    self.entries.insert(id, Arc::new(entry));
                }
                Err(Diagnostics(more)) => problems.extend(more),
            }
        }
        self.digest = OnceLock::new();
        if problems.is_empty() { Ok(self) } else { Err(Diagnostics(problems)) }
    }

    /// The ids, sorted.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Whether a check came from a team's own folder.
    pub fn is_own(&self, id: &str) -> bool {
        self.entries.get(id).is_some_and(|entry| entry.own)
    }

    /// The check of an id.
    pub fn get(&self, id: &str) -> Result<Arc<Check>, UnknownCheck> {
        let entry = self.entries.get(id).ok_or_else(|| self.unknown(id))?;
        Ok(entry.compiled(id))
    }

    /// Compiles every check that was not compiled yet, on all cores: parsing expressions is most of a static check.
    fn compile(&self) {
        let ids: Vec<&str> = self.ids().collect();
        let shares = std::thread::available_parallelism().map_or(1, usize::from).min(8);
        std::thread::scope(|scope| {
            for share in 0..shares {
                let ids = ids.iter().skip(share).step_by(shares);
                scope.spawn(move || ids.for_each(|id| drop(self.get(id))));
            }
        });
    }

    /// Every check, sorted by id.
    pub fn all(&self) -> impl Iterator<Item = Arc<Check>> {
        self.compile();
        self.entries.keys().filter_map(|id| self.get(id).ok())
    }

    /// What a check's file says, without compiling its expressions.
    pub fn file(&self, id: &str) -> Result<CheckFile, UnknownCheck> {
        let entry = self.entries.get(id).ok_or_else(|| self.unknown(id))?;
        Ok(entry.loaded(&entry.text).value)
    }

    /// The path of a check's file.
    pub fn path(&self, id: &str) -> Option<&str> {
        self.entries.get(id).map(|entry| entry.name.as_str())
    }

    /// `sha256:…` over every check file, so that a record can tell whether the checks changed.
    pub fn digest(&self) -> String {
        let digest = || {
            let all: Vec<String> =
                self.entries.iter().map(|(id, entry)| format!("{id} {}", Files::digest(&entry.text))).collect();
            Files::digest(&all.join("\n"))
        };
        self.digest.get_or_init(digest).clone()
    }

    /// What a lock holds of the checks: a team's own by the digests of their files, those in the binary by its version.
    pub fn pins(&self) -> BTreeMap<String, String> {
        let own = self.entries.values().filter(|entry| entry.own);
        let files = own.map(|entry| (entry.name.clone(), Files::digest(&entry.text)));
        let shipped = ("checks".to_owned(), concat!("agentready ", env!("CARGO_PKG_VERSION")).to_owned());
        files.chain([shipped]).collect()
    }

    fn unknown(&self, id: &str) -> UnknownCheck {
        UnknownCheck { id: id.to_owned(), near: closest(id, self.ids()).map(str::to_owned) }
    }

    fn own(&self, files: &Files, dir: &str, name: &str) -> Result<(String, Entry), Diagnostics> {
        let path = Files::resolve(&format!("{dir}/-"), ".");
        let id = name.strip_prefix(&path).unwrap_or(name).trim_start_matches('/');
        let id = id.strip_suffix(".yaml").or_else(|| id.strip_suffix(".yml")).unwrap_or(id).to_owned();
        if id.split('/').count() != 2 {
            return Err(Diagnostic::error(format!("`{name}` is not in a folder named after its area"))
                .hint("move it to `<area>/<name>.yaml`")
                .into());
        }
        if self.entries.contains_key(&id) {
            return Err(Diagnostic::error(format!("`{name}` bears the id `{id}`, which is taken"))
                .hint("a built-in check can't be replaced; rename the file")
                .into());
        }
        let loaded = load::<CheckFile>(files, name)?;
        let dangling = framework::dangling(&loaded.value, &loaded.document);
        if !dangling.is_empty() {
            return Err(Diagnostics(dangling));
        }
        let check = Check::compile(&id, &loaded)?;
        let text = loaded.document.file().text().to_owned().into();
        Ok((id, Entry { name: name.to_owned(), text, own: true, check: OnceLock::from(Arc::new(check)) }))
    }
}

#[cfg(test)]
impl Catalogue {
    /// The text of a check's file.
    pub(super) fn source(&self, id: &str) -> Option<SourceFile> {
        let entry = self.entries.get(id)?;
        Some(SourceFile::new(entry.name.clone(), &*entry.text))
    }

    /// A catalogue of this one check.
    pub(super) fn alone(&self, id: &str) -> Self {
        let entry = self.entries.get(id).expect("a test names a check that exists");
        Self { entries: [(id.to_owned(), Arc::clone(entry))].into(), digest: OnceLock::new() }
    }
}

fn shipped() -> BTreeMap<String, Arc<Entry>> {
    let areas = CHECKS.dirs().filter(|area| !OTHER_DATA.iter().any(|name| area.path().ends_with(name)));
    areas
        .flat_map(Dir::files)
        .filter_map(|file| {
            let path = file.path().to_str()?.replace('\\', "/");
            let id = path.strip_suffix(".yaml")?.to_owned();
            let text = file.contents_utf8()?.into();
            let name = format!("checks/{path}");
            Some((id, Arc::new(Entry { name, text, own: false, check: OnceLock::new() })))
        })
        .collect()
}

/// The text of a data file in `checks/`, such as `thresholds.yaml`.
pub(super) fn data(path: &str) -> Option<SourceFile> {
    let text = CHECKS.get_file(path)?.contents_utf8()?;
    Some(SourceFile::new(format!("checks/{path}"), text))
}

/// Whether the binary holds a check of this id.
pub(super) fn ships(id: &str) -> bool {
    let id = whole(id);
    let area = id.split('/').next().unwrap_or_default();
    !OTHER_DATA.contains(&area) && id.contains('/') && CHECKS.contains(format!("{id}.yaml"))
}

/// The check of an id that may name one of its parts: `id#part`.
pub(super) fn whole(id: &str) -> &str {
    id.split('#').next().unwrap_or(id)
}

/// The names of the shipped profiles, sorted.
pub(super) fn profile_names() -> Vec<&'static str> {
    names("profiles")
}

/// The names of the data files of a folder in `checks/`, sorted.
pub(super) fn names(folder: &str) -> Vec<&'static str> {
    let folder = CHECKS.get_dir(folder);
    let files = folder.into_iter().flat_map(Dir::files);
    let mut names: Vec<&str> =
        files.filter_map(|file| file.path().file_name()?.to_str()?.strip_suffix(".yaml")).collect();
    names.sort_unstable();
    names
}
