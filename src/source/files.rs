//! Where input text comes from: the disk below a root, or texts kept in a record or in the binary.

use std::{
    collections::BTreeMap,
    path::{Component, Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use sha2::{Digest as _, Sha256};

use super::{Diagnostic, SourceFile};

/// The largest input file that is read, in bytes (4 MiB).
pub const MAX_INPUT_BYTES: u64 = 4 * 1024 * 1024;

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// The path leads out of the root.
    #[error("`{0}` lies outside the repository root")]
    Outside(String),
    /// The file is larger than [`MAX_INPUT_BYTES`].
    #[error("`{0}` is larger than 4 MiB")]
    TooLarge(String),
    /// There is no such file.
    #[error("`{0}` does not exist")]
    Missing(String),
    /// The file is not UTF-8 text.
    #[error("`{0}` is not UTF-8 text")]
    NotText(String),
    /// The system refused.
    #[error("`{0}` can't be read: {1}")]
    Io(String, std::io::Error),
}

impl From<FilesError> for Diagnostic {
    fn from(error: FilesError) -> Self {
        let hint = match &error {
            FilesError::Outside(_) => Some("pass --allow-outside to read files beyond the repository"),
            _ => None,
        };
        let diagnostic = Self::error(error.to_string());
        match hint {
            Some(hint) => diagnostic.hint(hint),
            None => diagnostic,
        }
    }
}

/// Reads input files by names relative to a root, each from the disk once, so that all that ask for a file see the
/// same text; and remembers each text it gave out.
#[derive(Debug)]
pub struct Files {
    origin: Origin,
    opened: Mutex<BTreeMap<String, Arc<str>>>,
    seen: Mutex<BTreeMap<String, Arc<str>>>,
    lent: Mutex<BTreeMap<String, Arc<str>>>,
}

#[derive(Debug)]
enum Origin {
    Disk { root: PathBuf, allow_outside: bool },
    Texts(BTreeMap<String, Arc<str>>),
}

impl Files {
    /// Reads below `root`; beyond it only when `allow_outside`.
    pub fn disk(root: &Path, allow_outside: bool) -> Self {
        let root = root.canonicalize().unwrap_or_else(|_| root.to_path_buf());
        Self {
            origin: Origin::Disk { root, allow_outside },
            opened: Mutex::default(),
            seen: Mutex::default(),
            lent: Mutex::default(),
        }
    }

    /// Reads from texts that are already in memory, by name.
    pub fn texts(texts: BTreeMap<String, Arc<str>>) -> Self {
        Self { origin: Origin::Texts(texts), opened: Mutex::default(), seen: Mutex::default(), lent: Mutex::default() }
    }

    /// The folder that names are relative to, when there is one.
    pub fn root(&self) -> Option<&Path> {
        match &self.origin {
            Origin::Disk { root, .. } => Some(root),
            Origin::Texts(_) => None,
        }
    }

    /// Joins a name that stands in `from` (a file of this set) with that file's folder.
    pub fn resolve(from: &str, name: &str) -> String {
        let base = Path::new(from).parent().unwrap_or(Path::new(""));
        normalise(&base.join(name))
    }

    /// Reads one file by its name relative to the root.
    pub fn read(&self, name: &str) -> Result<SourceFile, FilesError> {
        let (name, text) = self.text(name)?;
        if self.is_lent(&name) {
            return Ok(SourceFile::new(name, text));
        }
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), Arc::clone(&text));
        Ok(SourceFile::new(name, text))
    }

    /// Looks into a file that is not kept; what is found in it must be [read](Self::read), so that a record has it.
    pub fn peek(&self, name: &str) -> Result<SourceFile, FilesError> {
        let (name, text) = self.text(name)?;
        Ok(SourceFile::new(name, text))
    }

    /// Where on the disk a file is or will be that somebody else writes while the program runs.
    pub fn place(&self, name: &str) -> Result<PathBuf, FilesError> {
        let name = normalise(Path::new(name));
        let Origin::Disk { root, allow_outside } = &self.origin else { return Err(FilesError::Missing(name)) };
        let path = root.join(&name);
        let folder = path.parent().and_then(|folder| folder.canonicalize().ok());
        let real = match path.canonicalize() {
            Ok(real) => real,
            Err(_) => match folder.zip(path.file_name()) {
                Some((folder, file)) => folder.join(file),
                None => return Err(FilesError::Missing(name)),
            },
        };
        if *allow_outside || real.starts_with(root) { Ok(real) } else { Err(FilesError::Outside(name)) }
    }

    /// Adds a text that is a part of something seen elsewhere and no file: it can be read, and is not kept for a record.
    pub fn lend(&self, name: &str, text: String) {
        let name = normalise(Path::new(name));
        self.lent.lock().unwrap_or_else(PoisonError::into_inner).insert(name, text.into());
    }

    /// Whether a name is that of a text that was lent.
    pub fn is_lent(&self, name: &str) -> bool {
        self.lent.lock().unwrap_or_else(PoisonError::into_inner).contains_key(name)
    }

    fn text(&self, name: &str) -> Result<(String, Arc<str>), FilesError> {
        let name = normalise(Path::new(name));
        if let Some(text) = self.lent.lock().unwrap_or_else(PoisonError::into_inner).get(&name) {
            return Ok((name.clone(), Arc::clone(text)));
        }
        let text = match &self.origin {
            Origin::Texts(texts) => texts.get(&name).cloned().ok_or_else(|| FilesError::Missing(name.clone()))?,
            Origin::Disk { root, allow_outside } => self.opened(root, &name, *allow_outside)?,
        };
        Ok((name, text))
    }

    fn opened(&self, root: &Path, name: &str, allow_outside: bool) -> Result<Arc<str>, FilesError> {
        let opened = || self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(text) = opened().get(name) {
            return Ok(Arc::clone(text));
        }
        let text = read_below(root, name, allow_outside)?;
        // Two that read at once agree on the first text that is kept.
        Ok(Arc::clone(opened().entry(name.to_owned()).or_insert(text)))
    }

    /// Whether a file of this name can be read.
    pub fn exists(&self, name: &str) -> bool {
        let name = normalise(Path::new(name));
        let is_file = || match &self.origin {
            Origin::Texts(texts) => texts.contains_key(&name),
            Origin::Disk { root, .. } => root.join(&name).is_file(),
        };
        self.is_lent(&name) || is_file()
    }

    /// When a file on the disk was last written; nothing of texts that are kept elsewhere.
    pub fn modified(&self, name: &str) -> Option<jiff::Timestamp> {
        let Origin::Disk { root, .. } = &self.origin else { return None };
        root.join(normalise(Path::new(name))).metadata().ok()?.modified().ok()?.try_into().ok()
    }

    /// The names that match a glob with `*` (within a folder) and `**` (any folders), sorted.
    pub fn glob(&self, pattern: &str) -> Vec<String> {
        let pattern = normalise(Path::new(pattern));
        if !pattern.contains('*') {
            return if self.exists(&pattern) { vec![pattern] } else { Vec::new() };
        }
        let mut names: Vec<String> = match &self.origin {
            Origin::Texts(texts) => texts.keys().filter(|name| glob_matches(&pattern, name)).cloned().collect(),
            Origin::Disk { root, .. } => {
                let mut found = Vec::new();
                walk(root, &root.join(fixed(&pattern)), 0, &mut found);
                found.retain(|name| glob_matches(&pattern, name));
                found
            }
        };
        names.sort();
        names
    }

    /// Every name but those in folders that hold no sources, sorted, for [`glob_among`](Self::glob_among).
    pub fn names(&self) -> Vec<String> {
        self.glob("**")
    }

    /// What [`glob`](Self::glob) gives, out of `names`, so that a caller with many patterns walks through the folders once.
    pub fn glob_among(&self, names: &[String], pattern: &str) -> Vec<String> {
        let normal = normalise(Path::new(pattern));
        let folder = fixed(&normal);
        let from = names.partition_point(|name| name.as_str() < folder);
        let near = names.iter().skip(from).map_while(|name| Some((name, name.strip_prefix(folder)?)));
        let near = near.filter(|(_, rest)| folder.is_empty() || rest.starts_with('/')).map(|(name, _)| name);
        let near: Vec<&String> = near.collect();
        // A folder that is a link, or holds no sources, is looked into only when it is named.
        if near.is_empty() || !normal.contains('*') {
            return self.glob(pattern);
        }
        near.into_iter().filter(|name| glob_matches(&normal, name)).cloned().collect()
    }

    /// Every text that was read so far, by name.
    pub fn seen(&self) -> BTreeMap<String, Arc<str>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// `sha256:…` of a text.
    pub fn digest(text: &str) -> String {
        format!("sha256:{:x}", Sha256Hex(Sha256::digest(text.as_bytes()).into()))
    }
}

struct Sha256Hex([u8; 32]);

impl std::fmt::LowerHex for Sha256Hex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The nearest folder above `start` that holds a `.git`, else `start` itself.
pub fn repository_root(start: &Path) -> PathBuf {
    let start = start.canonicalize().unwrap_or_else(|_| start.to_path_buf());
    start.ancestors().find(|folder| folder.join(".git").exists()).map_or_else(|| start.clone(), Path::to_path_buf)
}

fn read_below(root: &Path, name: &str, allow_outside: bool) -> Result<Arc<str>, FilesError> {
    let path = root.join(name);
    let real = path.canonicalize().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => FilesError::Missing(name.to_owned()),
        _ => FilesError::Io(name.to_owned(), error),
    })?;
    if !allow_outside && !real.starts_with(root) {
        return Err(FilesError::Outside(name.to_owned()));
    }
    let size = real.metadata().map_err(|error| FilesError::Io(name.to_owned(), error))?.len();
    if size > MAX_INPUT_BYTES {
        return Err(FilesError::TooLarge(name.to_owned()));
    }
    let bytes = std::fs::read(&real).map_err(|error| FilesError::Io(name.to_owned(), error))?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text.into()),
        Err(_) => Err(FilesError::NotText(name.to_owned())),
    }
}

fn normalise(path: &Path) -> String {
    let mut parts: Vec<String> = Vec::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if parts.last().is_some_and(|last| last != "..") => {
                parts.pop();
            }
            Component::ParentDir => parts.push("..".to_owned()),
            Component::Normal(part) => parts.push(part.to_string_lossy().into_owned()),
            Component::RootDir => parts.push(String::new()),
            Component::Prefix(prefix) => parts.push(prefix.as_os_str().to_string_lossy().into_owned()),
        }
    }
    parts.join("/")
}

/// The folder before the first `*` of a pattern.
fn fixed(pattern: &str) -> &str {
    let before = pattern.find('*').and_then(|star| pattern.get(..star)).unwrap_or(pattern);
    before.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn walk(root: &Path, folder: &Path, depth: usize, found: &mut Vec<String>) {
    const DEEPEST: usize = 24;
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() && depth < DEEPEST && !is_noise(&path) {
            walk(root, &path, depth + 1, found);
        } else if kind.is_file()
            && let Ok(name) = path.strip_prefix(root)
        {
            found.push(normalise(name));
        }
    }
}

fn is_noise(folder: &Path) -> bool {
    folder.file_name().is_some_and(|name| name == ".git" || name == "node_modules" || name == "target")
}

/// Whether a path matches a glob with `*` (within a folder) and `**` (any folders).
pub fn glob_matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<&str> = pattern.split('/').collect();
    let name: Vec<&str> = name.split('/').collect();
    parts_match(&pattern, &name)
}

fn parts_match(pattern: &[&str], name: &[&str]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((&"**", rest)), _) if parts_match(rest, name) => true,
        (Some((&"**", _)), Some((_, tail))) => parts_match(pattern, tail),
        (Some((first, rest)), Some((head, tail))) => {
            crate::text::wildcard_matches(first, head) && parts_match(rest, tail)
        }
        _ => false,
    }
}
