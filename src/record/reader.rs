//! Reads a record back and holds it to its hash chain.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::Path,
};

use serde::{Deserialize, de::DeserializeOwned};

use super::{Ending, RunHeader, TrialRecord, VERSION, writer::GENESIS};
use crate::source::Files;

/// Why a record could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A file is missing or can't be opened.
    #[error("`{path}`: {error}")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// A file is not what the format says.
    #[error("`{path}`: {error}")]
    Format {
        /// The file.
        path: String,
        /// What is wrong.
        error: String,
    },
    /// A line does not follow from the one before.
    #[error("`{path}`{}: the hash chain is broken; the record was changed after it was written", if *.line == 0 { ", last line".to_owned() } else { format!(" line {line}") })]
    Chain {
        /// The file.
        path: String,
        /// The line, from 1; 0 when the end of the file is not the end of the run.
        line: usize,
    },
}

#[derive(Deserialize)]
struct Line {
    prev: String,
    trial: TrialRecord,
}

/// Reads `run.json`.
pub fn read_header(folder: &Path) -> Result<RunHeader, ReadError> {
    let path = folder.join("run.json");
    let header: RunHeader = json(&path)?;
    if header.record == VERSION {
        return Ok(header);
    }
    let error = format!("record version {}, this program reads {VERSION}", header.record);
    Err(ReadError::Format { path: path.display().to_string(), error })
}

/// Reads `verdict.json`, if the run came that far.
pub fn read_ending(folder: &Path) -> Result<Option<Ending>, ReadError> {
    let path = folder.join("verdict.json");
    if path.exists() { json(&path).map(Some) } else { Ok(None) }
}

/// Gives every intact trial to `each`, one at a time; a last line that was cut off is left out.
pub fn trials(folder: &Path, mut each: impl FnMut(TrialRecord)) -> Result<(), ReadError> {
    let path = folder.join("trials.ndjson");
    let name = path.display().to_string();
    let file = File::open(&path).map_err(|error| ReadError::Io { path: name.clone(), error })?;
    let mut previous = GENESIS.to_owned();
    let mut reader = BufReader::new(file);
    let mut text = String::new();
    for number in 1.. {
        text.clear();
        let read = reader.read_line(&mut text).map_err(|error| ReadError::Io { path: name.clone(), error })?;
        if read == 0 || !text.ends_with('\n') {
            break;
        }
        let line_text = text.trim_end_matches('\n');
        let line: Line = serde_json::from_str(line_text)
            .map_err(|error| ReadError::Format { path: name.clone(), error: format!("line {number}: {error}") })?;
        if line.prev != previous {
            return Err(ReadError::Chain { path: name, line: number });
        }
        previous = Files::digest(line_text);
        each(line.trial);
    }
    match read_ending(folder)? {
        Some(ending) if !ending.last_line.is_empty() && ending.last_line != previous => {
            Err(ReadError::Chain { path: name, line: 0 })
        }
        _ => Ok(()),
    }
}

/// Length in bytes of the whole lines, and the digest of the last of them.
pub(super) fn intact(path: &Path) -> std::io::Result<(u64, String)> {
    let mut reader = BufReader::new(File::open(path)?);
    let mut length = 0;
    let mut previous = GENESIS.to_owned();
    let mut text = String::new();
    loop {
        text.clear();
        let read = reader.read_line(&mut text)?;
        if read == 0 || !text.ends_with('\n') {
            return Ok((length, previous));
        }
        length += read as u64;
        previous = Files::digest(text.trim_end_matches('\n'));
    }
}

fn json<T: DeserializeOwned>(path: &Path) -> Result<T, ReadError> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(|error| ReadError::Io { path: name.clone(), error })?;
    serde_json::from_reader(BufReader::new(file))
        .map_err(|error| ReadError::Format { path: name, error: error.to_string() })
}
