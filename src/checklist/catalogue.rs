//! The catalogue of checks: those in the binary and those of a team's own folder. A shipped check is read
//! when it is asked for, so `explain` reads one.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock, OnceLock},
};

use include_dir::{Dir, include_dir};
use serde::de::DeserializeOwned;

use super::{check::Check, format::CheckFile, framework};
use crate::{
    source::{Diagnostic, Diagnostics, Files, SourceFile, load, load_text, unpacked},
    text::closest,
};

/// Id, file without its examples, and digest of every shipped check, sorted: the build makes JSON of the YAML.
static CHECKS: &[(&str, &str, &str)] = &include!(concat!(env!("OUT_DIR"), "/checks.rs"));

/// The examples of every shipped check as JSON, by id.
static EXAMPLES: LazyLock<BTreeMap<String, Arc<str>>> =
    LazyLock::new(|| unpacked(include_bytes!(concat!(env!("OUT_DIR"), "/examples.pack"))));

static PROFILES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/checks/profiles");
static FRAMEWORKS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/checks/frameworks");
static THRESHOLDS: &str = include_str!("../../checks/thresholds.yaml");

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
    text: Text,
    check: OnceLock<Arc<Check>>,
}

/// What a check was read from.
#[derive(Debug)]
enum Text {
    /// JSON in the binary, and the digest of it and of its examples, which are its tests and words for `explain`.
    Shipped(&'static str, &'static str),
    /// The YAML of a team's file.
    Own(String),
}

impl Entry {
    fn is_own(&self) -> bool {
        matches!(self.text, Text::Own(_))
    }

    fn digest(&self) -> String {
        match &self.text {
            Text::Shipped(_, digest) => (*digest).to_owned(),
            Text::Own(text) => Files::digest(text),
        }
    }

    /// All that the file says.
    fn file(&self, id: &str) -> CheckFile {
        match &self.text {
            Text::Shipped(asked, _) => {
                let examples = EXAMPLES.get(id).expect("the build packed the examples of every check");
                CheckFile { examples: json(examples), ..json(asked) }
            }
            Text::Own(text) => {
                let file = SourceFile::new(self.name.clone(), text.as_str());
                load_text(file).expect("own checks were loaded when they joined").value
            }
        }
    }

    /// A shipped check is compiled without its examples.
    fn compiled(&self, id: &str) -> Arc<Check> {
        let check = self.check.get_or_init(|| {
            let file = match &self.text {
                Text::Shipped(asked, _) => json(asked),
                Text::Own(_) => self.file(id),
            };
            Arc::new(Check::shipped(id, file).expect("a test compiles every shipped check"))
        });
        Arc::clone(check)
    }
}

fn json<T: DeserializeOwned>(text: &str) -> T {
    serde_json::from_str(text).expect("a test reads every shipped check")
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
        self.entries.get(id).is_some_and(|entry| entry.is_own())
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
        Ok(entry.file(id))
    }

    /// The path of a check's file.
    pub fn path(&self, id: &str) -> Option<&str> {
        self.entries.get(id).map(|entry| entry.name.as_str())
    }

    /// `sha256:…` over every check file, so that a record can tell whether the checks changed.
    pub fn digest(&self) -> String {
        let digest = || {
            let all: Vec<String> = self.entries.iter().map(|(id, entry)| format!("{id} {}", entry.digest())).collect();
            Files::digest(&all.join("\n"))
        };
        self.digest.get_or_init(digest).clone()
    }

    /// What a lock holds of the checks: a team's own by the digests of their files, those in the binary by its version.
    pub fn pins(&self) -> BTreeMap<String, String> {
        let own = self.entries.values().filter(|entry| entry.is_own());
        let files = own.map(|entry| (entry.name.clone(), entry.digest()));
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
        let text = Text::Own(loaded.document.file().text().to_owned());
        Ok((id, Entry { name: name.to_owned(), text, check: OnceLock::from(Arc::new(check)) }))
    }
}

#[cfg(test)]
impl Catalogue {
    /// The file of a shipped check, as it is written.
    pub(super) fn source(&self, id: &str) -> Option<SourceFile> {
        static WRITTEN: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/checks");
        let text = WRITTEN.get_file(format!("{id}.yaml"))?.contents_utf8()?;
        Some(SourceFile::new(self.path(id)?, text))
    }

    /// A catalogue of this one check.
    pub(super) fn alone(&self, id: &str) -> Self {
        let entry = self.entries.get(id).expect("a test names a check that exists");
        Self { entries: [(id.to_owned(), Arc::clone(entry))].into(), digest: OnceLock::new() }
    }
}

fn shipped() -> BTreeMap<String, Arc<Entry>> {
    let entry = |asked, digest, id| Entry {
        name: format!("checks/{id}.yaml"),
        text: Text::Shipped(asked, digest),
        check: OnceLock::new(),
    };
    CHECKS.iter().map(|(id, asked, digest)| ((*id).to_owned(), Arc::new(entry(asked, digest, id)))).collect()
}

/// A folder of other data in `checks/`.
fn dir(name: &str) -> Option<&'static Dir<'static>> {
    match name {
        "profiles" => Some(&PROFILES),
        "frameworks" => Some(&FRAMEWORKS),
        _ => None,
    }
}

/// The text of a data file in `checks/`, such as `thresholds.yaml`.
pub(super) fn data(path: &str) -> Option<SourceFile> {
    let text = match path.split_once('/') {
        Some((folder, name)) => dir(folder)?.get_file(name)?.contents_utf8()?,
        None => THRESHOLDS,
    };
    Some(SourceFile::new(format!("checks/{path}"), text))
}

/// Whether the binary holds a check of this id.
pub(super) fn ships(id: &str) -> bool {
    let id = whole(id);
    CHECKS.binary_search_by_key(&id, |(id, _, _)| id).is_ok()
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
    let files = dir(folder).into_iter().flat_map(Dir::files);
    let mut names: Vec<&str> =
        files.filter_map(|file| file.path().file_name()?.to_str()?.strip_suffix(".yaml")).collect();
    names.sort_unstable();
    names
}
