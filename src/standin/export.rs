//! The file to which an agent's own exporter appends while it runs: OTLP as JSON, one request a line, as a collector's file
//! exporter writes it. What it brings goes the same way as what arrives over the wire. Must not judge, and never writes.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::desk::Desk;
use crate::trace::sent_of_line;

/// How often the file is looked at.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest line in bytes (32 MiB).
const MAX_LINE: usize = 32 * 1024 * 1024;
/// Bytes that are read at once.
const PIECE: usize = 64 * 1024;

/// A file that is read as it grows.
#[derive(Debug)]
pub(super) struct Export {
    file: Arc<Mutex<Tail>>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
struct Tail {
    path: PathBuf,
    /// Its name in messages.
    name: String,
    /// Bytes and whole lines that were read or are of earlier runs.
    at: u64,
    line: usize,
    /// The beginning of a line whose end is not there yet.
    half: Vec<u8>,
    /// The first line that was no OTLP.
    problem: Option<String>,
}

impl Export {
    /// Reads what is appended from now on; what stands there already is of earlier runs.
    pub(super) fn follow(desk: &Arc<Desk>, path: PathBuf, name: &str) -> Self {
        let mut tail = Tail { path, name: name.to_owned(), at: 0, line: 0, half: Vec::new(), problem: None };
        // A file that is not there yet has no earlier lines, and one that can't be read says so at its first line.
        let _ = tail.pieces(|tail, piece| tail.line += piece.split(|byte| *byte == b'\n').count() - 1);
        let file = Arc::new(Mutex::new(tail));
        let (shared, desk) = (Arc::clone(&file), Arc::clone(desk));
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(PAUSE).await;
                locked(&shared).read(&desk);
            }
        });
        Self { file, task }
    }

    /// Reads what is there by now, the last line also where nothing ends it; gives the first line that was no OTLP.
    pub(super) fn close(&self, desk: &Desk) -> Option<String> {
        self.task.abort();
        let mut tail = locked(&self.file);
        tail.read(desk);
        if !tail.half.is_empty() {
            tail.end_line(desk);
        }
        tail.problem.clone()
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn locked(tail: &Mutex<Tail>) -> MutexGuard<'_, Tail> {
    tail.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tail {
    fn read(&mut self, desk: &Desk) {
        let read = self.pieces(|tail, piece| {
            let mut lines = piece.split(|byte| *byte == b'\n');
            tail.add(lines.next().unwrap_or_default());
            for line in lines {
                tail.end_line(desk);
                tail.add(line);
            }
        });
        if let Err(error) = read
            && error.kind() != std::io::ErrorKind::NotFound
        {
            let name = &self.name;
            self.problem.get_or_insert_with(|| format!("{name} can't be read: {error}"));
        }
    }

    /// Hands out what was appended, piece by piece. A file that is shorter than before was begun anew.
    fn pieces(&mut self, mut each: impl FnMut(&mut Self, &[u8])) -> std::io::Result<()> {
        let mut file = File::open(&self.path)?;
        if file.metadata()?.len() < self.at {
            (self.at, self.line) = (0, 0);
            self.half.clear();
        }
        file.seek(SeekFrom::Start(self.at))?;
        let mut piece = vec![0; PIECE];
        loop {
            let size = file.read(&mut piece)?;
            if size == 0 {
                return Ok(());
            }
            self.at += size as u64;
            each(self, piece.get(..size).unwrap_or_default());
        }
    }

    /// Keeps a part of a line; of one that is too long, enough to know it by.
    fn add(&mut self, part: &[u8]) {
        let room = (MAX_LINE + 1).saturating_sub(self.half.len());
        self.half.extend(part.iter().take(room));
    }

    fn end_line(&mut self, desk: &Desk) {
        let line = std::mem::take(&mut self.half);
        self.line += 1;
        let sent = match line.trim_ascii() {
            [] => return,
            line if line.len() > MAX_LINE => Err("the line is longer than 32 MiB".to_owned()),
            line => sent_of_line(line).map_err(|error| error.to_string()),
        };
        match sent {
            Ok(sent) => desk.take_from_file(sent),
            Err(why) => {
                let place = format!("{}:{}", self.name, self.line);
                self.problem.get_or_insert_with(|| format!("{place}: {why}"));
            }
        }
    }
}
