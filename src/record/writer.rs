//! Appends to a record; nothing that was written is changed.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{Ending, Redactor, Ruling, RunHeader, TrialRecord, reader};
use crate::source::Files;

/// Why a record could not be written.
#[derive(Debug, thiserror::Error)]
#[error("`{path}`: {error}")]
pub struct WriteError {
    path: String,
    error: std::io::Error,
}

/// An open record.
#[derive(Debug)]
pub struct Writer {
    folder: PathBuf,
    trials: File,
    previous: String,
    redactor: Redactor,
}

/// The first line's predecessor.
pub(super) const GENESIS: &str = "sha256:0";

impl Writer {
    /// Creates the folder and writes `run.json`.
    pub fn create(folder: &Path, header: &RunHeader, redactor: Redactor) -> Result<Self, WriteError> {
        std::fs::create_dir_all(folder).map_err(failed(folder))?;
        let text = pretty(&redactor.header(header.clone()));
        let path = folder.join("run.json");
        std::fs::write(&path, text).map_err(failed(&path))?;
        let path = folder.join("trials.ndjson");
        let trials = OpenOptions::new().create(true).append(true).open(&path).map_err(failed(&path))?;
        locked(&trials).map_err(failed(&path))?;
        Ok(Self { folder: folder.to_path_buf(), trials, previous: GENESIS.to_owned(), redactor })
    }

    /// Opens an existing record to go on; a line that was cut off in the middle is dropped first.
    pub fn resume(folder: &Path, redactor: Redactor) -> Result<Self, WriteError> {
        let path = folder.join("trials.ndjson");
        let mut trials = OpenOptions::new().read(true).write(true).open(&path).map_err(failed(&path))?;
        locked(&trials).map_err(failed(&path))?;
        let (length, previous) = reader::intact(&path).map_err(failed(&path))?;
        trials.set_len(length).map_err(failed(&path))?;
        trials.seek(SeekFrom::End(0)).map_err(failed(&path))?;
        Ok(Self { folder: folder.to_path_buf(), trials, previous, redactor })
    }

    /// Appends one finished trial and gives it back as it was written, secrets and values of classes replaced: what is
    /// reported is what is on record. `rule` is asked for the ruling on a trial that holds values of classes, before they
    /// are replaced. The line is handed to the system when this returns.
    pub fn trial(
        &mut self,
        trial: TrialRecord,
        rule: impl FnOnce(&TrialRecord) -> Option<Ruling>,
    ) -> Result<TrialRecord, WriteError> {
        let trial = self.redactor.without_classes(self.redactor.without_secrets(trial), rule);
        let line =
            serde_json::to_string(&Line { prev: &self.previous, trial: &trial }).expect("a trial record is JSON");
        self.previous = Files::digest(&line);
        let path = self.folder.join("trials.ndjson");
        self.trials.write_all(format!("{line}\n").as_bytes()).map_err(failed(&path))?;
        Ok(trial)
    }

    /// Writes `run.json` again, for a run that goes on.
    pub fn header(&mut self, header: &RunHeader) -> Result<(), WriteError> {
        let path = self.folder.join("run.json");
        std::fs::write(&path, pretty(&self.redactor.header(header.clone()))).map_err(failed(&path))
    }

    /// A text with each secret replaced.
    pub fn redacted(&self, text: &str) -> String {
        self.redactor.text(text)
    }

    /// Digest of the last line that was written.
    pub fn last_line(&self) -> &str {
        &self.previous
    }

    /// Writes `verdict.json`.
    pub fn finish(&mut self, ending: &Ending) -> Result<(), WriteError> {
        let path = self.folder.join("verdict.json");
        std::fs::write(&path, pretty(&self.redactor.ending(ending.clone()))).map_err(failed(&path))?;
        let path = self.folder.join("trials.ndjson");
        self.trials.sync_all().map_err(failed(&path))
    }
}

#[derive(Serialize)]
struct Line<'a> {
    prev: &'a str,
    trial: &'a TrialRecord,
}

fn pretty(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("our own structs are JSON");
    text.push('\n');
    text
}

/// One writer at a time: two runs that append to one record would break its chain.
fn locked(file: &File) -> std::io::Result<()> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(std::io::Error::other("another run writes this record")),
        // A file system without locks can't tell; the hash chain still shows what two writers would do.
        Err(TryLockError::Error(error)) if error.kind() == std::io::ErrorKind::Unsupported => Ok(()),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> WriteError {
    let path = path.display().to_string();
    |error| WriteError { path, error }
}
