//! Environment, terminal, CI and clock, captured once at the start; everything below takes them as values.

use std::{
    collections::BTreeMap,
    io::IsTerminal as _,
    path::{Path, PathBuf},
    time::Instant,
};

/// What the process was started in.
#[derive(Clone, Debug)]
pub struct Context {
    /// The environment variables.
    pub env: BTreeMap<String, String>,
    /// The working directory.
    pub cwd: PathBuf,
    /// The running program, for agents that are this program themselves.
    pub program: PathBuf,
    /// Whether standard output is a terminal.
    pub stdout_terminal: bool,
    /// Whether standard error is a terminal.
    pub stderr_terminal: bool,
    /// Whether this is a CI job.
    pub ci: bool,
    /// Wall clock at the start.
    pub now: jiff::Timestamp,
    /// Monotonic clock at the start.
    pub started: Instant,
}

impl Context {
    /// Looks at the process once.
    pub fn capture() -> std::io::Result<Self> {
        let env: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Ok(Self {
            cwd: std::env::current_dir()?,
            program: std::env::current_exe()?,
            stdout_terminal: std::io::stdout().is_terminal(),
            stderr_terminal: std::io::stderr().is_terminal(),
            ci: env.get("CI").is_some_and(|value| !value.is_empty() && value != "false" && value != "0"),
            now: jiff::Timestamp::now(),
            started: Instant::now(),
            env,
        })
    }

    /// Whether output to a stream may carry colour, by `NO_COLOR`, `CLICOLOR_FORCE` and the stream itself.
    pub fn allows_color(&self, terminal: bool) -> bool {
        let set = |name: &str| self.env.get(name).is_some_and(|value| !value.is_empty() && value != "0");
        if set("NO_COLOR") {
            return false;
        }
        set("CLICOLOR_FORCE") || (terminal && self.env.get("TERM").is_none_or(|term| term != "dumb"))
    }

    /// Columns of the terminal, as far as the environment tells.
    pub fn width(&self) -> usize {
        self.env.get("COLUMNS").and_then(|text| text.parse().ok()).filter(|width| *width >= 40).unwrap_or(100)
    }

    /// Today's date in UTC, as `YYYY-MM-DD`.
    pub fn today(&self) -> String {
        self.now.strftime("%Y-%m-%d").to_string()
    }

    /// A path as the user gave it, seen from the working directory.
    pub fn path(&self, given: &Path) -> PathBuf {
        self.cwd.join(given)
    }
}
