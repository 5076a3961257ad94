//! Runs the program in a scratch folder with a scrubbed environment.

mod agent;
mod collector;

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

pub(crate) use agent::agent;
pub(crate) use collector::{collector, provider};
use serde_json::Value;

/// A scratch folder with its own repository root.
pub(crate) struct Bench {
    folder: tempfile::TempDir,
}

/// What a command printed and how it ended.
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a scratch folder");
        std::fs::create_dir(folder.path().join(".git")).expect("a repository root");
        Self { folder }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        std::fs::write(&path, text).expect("a file");
        path
    }

    /// Copies a folder of the project, by the same name.
    pub(crate) fn copy(&self, folder: &str) {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                self.copy(&name);
            } else {
                self.write(&name, &std::fs::read_to_string(&name).expect("a text"));
            }
        }
    }

    /// Moves the days that the files of a copied folder state, so that they are as old today as they were on `written`.
    /// Logs and locks stay as they are: they are chained or digests, and no check asks for their age.
    pub(crate) fn age_as_on(&self, folder: &str, written: &str) {
        let written: jiff::civil::Date = written.parse().expect("a day");
        let passed = jiff::Zoned::now().date() - written;
        // Not the days within names of models and files.
        let day = regex::Regex::new(r"(^|[^\w/-])(\d{4}-\d{2}-\d{2})").expect("valid");
        for entry in std::fs::read_dir(self.path().join(folder)).expect("a folder").flatten() {
            let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                self.age_as_on(&name, &written.to_string());
            } else if !["jsonl", "lock"].contains(&name.rsplit('.').next().unwrap_or_default()) {
                let moved = |found: &regex::Captures<'_>| match found[2].parse::<jiff::civil::Date>() {
                    Ok(date) => format!("{}{}", &found[1], date + passed),
                    Err(_) => found[0].to_owned(),
                };
                self.write(&name, &day.replace_all(&self.read(&name), moved));
            }
        }
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name)).expect(name)
    }

    pub(crate) fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(name)).expect("JSON")
    }

    /// The program with these arguments, its environment scrubbed of what could change the outcome.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_agentready"));
        command.args(arguments).current_dir(self.path());
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with("AGENTREADY_")
                || ["CI", "NO_COLOR", "CLICOLOR_FORCE", "COLUMNS"].contains(&name.as_str())
            {
                command.env_remove(name);
            }
        }
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Done {
        Done::from(self.command(arguments).output().expect("the program starts"))
    }
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Done {
    /// Both streams, for messages of failed assertions.
    pub(crate) fn all(&self) -> String {
        format!("exit {}\n--- stdout\n{}\n--- stderr\n{}", self.code, self.out, self.err)
    }
}
