//! Where reports go: `--format NAME[=PATH]`. The one place of this module that touches files.
//!
//! Every target is opened before the run, so that an unwritable path costs no run; an earlier report is emptied
//! then, so that a killed run can't leave a stale GO behind. All reports are tried even if one fails.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    str::FromStr,
};

use super::{FORMATS, Format, Report, Style};
use crate::text::{closest, printable_line};

/// What can go wrong with a target.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// There is no such format.
    #[error("there is no report format `{name}`{}", match .suggestion { Some(known) => format!(", did you mean `{known}`?"), None => format!(" (known: {})", known_names()) })]
    UnknownFormat {
        /// What was asked for.
        name: String,
        /// The format that was probably meant.
        suggestion: Option<&'static str>,
    },
    /// `NAME=` without a path.
    #[error("`{name}=` names no file; write `{name}=PATH`, or `{name}` for standard output")]
    NoPath {
        /// The format.
        name: &'static str,
    },
    /// Two formats want standard output.
    #[error("`{first}` and `{second}` both go to standard output; give one of them a file: `--format {second}=PATH`")]
    TwoOnStdout {
        /// The format that came first.
        first: &'static str,
        /// The one that came second.
        second: &'static str,
    },
    /// Two formats want the same file.
    #[error("two reports go to `{}`", .path.display())]
    SameFile {
        /// The file.
        path: PathBuf,
    },
    /// The file can't be written.
    #[error("failed to open `{}` for the {format} report", .path.display())]
    Open {
        /// The format.
        format: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Writing failed half-way.
    #[error("failed to write the {format} report to {to}")]
    Write {
        /// The format.
        format: &'static str,
        /// The file, or `standard output`.
        to: String,
        /// Why.
        source: io::Error,
    },
}

/// One report that was asked for.
#[derive(Clone, Debug)]
pub struct FormatTarget {
    /// How to write it.
    pub format: &'static Format,
    /// Where to; `None` is standard output.
    pub path: Option<PathBuf>,
}

impl FromStr for FormatTarget {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let (name, path) = match text.split_once('=') {
            Some((name, path)) => (name, Some(path)),
            None => (text, None),
        };
        let format = FORMATS.iter().find(|format| format.name == name).ok_or_else(|| TargetError::UnknownFormat {
            name: printable_line(name),
            suggestion: closest(name, FORMATS.iter().map(|format| format.name)),
        })?;
        match path {
            Some("") => Err(TargetError::NoPath { name: format.name }),
            None | Some("-") => Ok(Self { format, path: None }),
            Some(path) => Ok(Self { format, path: Some(PathBuf::from(path)) }),
        }
    }
}

/// Targets that are open and wait for the report.
#[derive(Debug)]
pub struct Targets {
    open: Vec<(FormatTarget, Option<File>)>,
}

impl Targets {
    /// Opens every target, or says all that is wrong with them.
    pub fn open(targets: &[FormatTarget]) -> Result<Self, Vec<TargetError>> {
        let mut errors = conflicts(targets);
        let mut open = Vec::new();
        if errors.is_empty() {
            for target in targets {
                match target.path.as_deref().map(|path| create(target.format.name, path)).transpose() {
                    Ok(file) => open.push((target.clone(), file)),
                    Err(error) => errors.push(error),
                }
            }
        }
        if errors.is_empty() { Ok(Self { open }) } else { Err(errors) }
    }

    /// The format that owns standard output, if one does; human text then goes to standard error.
    pub fn on_stdout(&self) -> Option<&'static Format> {
        self.open.iter().find(|(_, file)| file.is_none()).map(|(target, _)| target.format)
    }

    /// Writes the report to every target; all are tried, and all errors come back.
    ///
    /// `style` is that of standard output; files get [`Style::FILE`]. A reader of standard output that went away is
    /// no error.
    pub fn write_all(self, report: &Report, style: &Style, stdout: &mut dyn Write) -> Result<(), Vec<TargetError>> {
        let mut errors = Vec::new();
        for (FormatTarget { format, path }, file) in self.open {
            let written = match file {
                Some(mut file) => (format.render)(report, &mut file, &Style::FILE).and_then(|()| file.flush()),
                None => quiet((format.render)(report, stdout, style).and_then(|()| stdout.flush())),
            };
            if let Err(source) = written {
                let to = path.map_or_else(|| "standard output".to_owned(), |path| format!("`{}`", path.display()));
                errors.push(TargetError::Write { format: format.name, to, source });
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

fn conflicts(targets: &[FormatTarget]) -> Vec<TargetError> {
    let mut errors = Vec::new();
    let mut on_stdout: Option<&'static str> = None;
    let mut paths = BTreeSet::new();
    for FormatTarget { format, path } in targets {
        match (path, on_stdout) {
            (None, None) => on_stdout = Some(format.name),
            (None, Some(first)) => errors.push(TargetError::TwoOnStdout { first, second: format.name }),
            (Some(path), _) if !paths.insert(path.components().collect::<PathBuf>()) => {
                errors.push(TargetError::SameFile { path: path.clone() });
            }
            (Some(_), _) => {}
        }
    }
    errors
}

fn create(format: &'static str, path: &Path) -> Result<File, TargetError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.map_or(Ok(()), fs::create_dir_all).and_then(|()| File::create(path)).map_err(|source| TargetError::Open {
        format,
        path: path.to_owned(),
        source,
    })
}

fn quiet(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

fn known_names() -> String {
    FORMATS.iter().map(|format| format.name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
#[path = "tests/target.rs"]
mod tests;
