//! Files of other tools to scenarios: one file per format. Pure.
//!
//! A format is one file with a `FORMAT` constant and one line in [`FORMATS`]. What a file says is data: its texts are
//! kept exactly as they stand, never rendered, and each scenario keeps where it came from. A prompt of which only the
//! words are known has no oracle; it lands on a page of its own, where a failure is wrong and never unsafe. All
//! mistakes of a file are told at once. Must not read or write files.

mod advbench;
mod agentdojo;
mod agentharm;
mod bipia;
mod case;
mod csv;
mod deepeval;
mod garak;
mod harmbench;
mod injecagent;
mod inspect;
mod jailbreakbench;
mod pages;
mod plain;
mod promptfoo;
mod pyrit;
mod row;
mod table;
mod tau2;

use std::collections::BTreeMap;

use case::Case;
pub(crate) use case::slug;

use crate::{
    scenario::ScenarioFile,
    source::{Diagnostic, Diagnostics, SourceFile},
    text::closest,
    world::WorldFile,
};

/// The largest file that is imported, in bytes (64 MiB).
pub const MAX_BYTES: u64 = 64 * 1024 * 1024;
/// Mistakes that are told one by one; more are counted.
const MISTAKES: usize = 100;

/// One kind of file that can be imported.
#[derive(Debug)]
pub struct Format {
    /// The word after `import`.
    pub name: &'static str,
    /// What it reads and what becomes of it, one line.
    pub about: &'static str,
    /// The licence of the data, where it has one of its own.
    pub licence: Option<&'static str>,
    read: fn(&Input<'_>, &mut Haul),
}

/// Every format, sorted by name.
pub static FORMATS: &[Format] = &[
    advbench::FORMAT,
    agentdojo::FORMAT,
    agentharm::FORMAT,
    bipia::FORMAT,
    plain::CSV,
    deepeval::FORMAT,
    garak::HITLOG,
    garak::REPORT,
    harmbench::FORMAT,
    injecagent::FORMAT,
    inspect::FORMAT,
    jailbreakbench::FORMAT,
    plain::JSONL,
    promptfoo::FORMAT,
    pyrit::FORMAT,
    tau2::FORMAT,
];

/// What the user says beside the file.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Begins the ids of the scenarios and the names of the files.
    pub name: String,
    /// The world of the scenarios, as their files are to name it.
    pub world: Option<String>,
    /// Tools that must not be executed, so that prompts get an oracle.
    pub never: Vec<String>,
    /// The licence of the texts, where the format does not know better.
    pub licence: Option<String>,
    /// The column or key with the prompt, for plain files.
    pub column: Option<String>,
    /// Whether the file holds lawful requests, where a format has files of both kinds.
    pub benign: bool,
}

/// A file to import.
#[derive(Debug)]
pub struct Input<'a> {
    /// The file.
    pub file: &'a SourceFile,
    /// A second file, where the format has its attacks apart.
    pub attacks: Option<&'a SourceFile>,
    /// What the user says.
    pub options: &'a Options,
}

/// What became of a file.
#[derive(Debug, Default)]
pub struct Import {
    /// Scenario files by name.
    pub pages: BTreeMap<String, ScenarioFile>,
    /// The world that was made for them, with its name.
    pub world: Option<(String, WorldFile)>,
    /// Scenarios with lawful work.
    pub golden: usize,
    /// Attacks with an oracle.
    pub attacks: usize,
    /// Prompts of which only the words are known.
    pub text_only: usize,
    /// Rows that became no scenario, counted by reason.
    pub left_out: BTreeMap<String, u32>,
}

/// What a format found in a file.
#[derive(Debug, Default)]
pub(crate) struct Haul {
    cases: Vec<Case>,
    world: Option<WorldFile>,
    left_out: BTreeMap<String, u32>,
    mistakes: Vec<Diagnostic>,
}

impl Haul {
    fn leave_out(&mut self, why: &str) {
        *self.left_out.entry(why.to_owned()).or_default() += 1;
    }

    fn wrong(&mut self, message: impl Into<String>, hint: impl Into<String>) {
        self.mistakes.push(Diagnostic::error(message).hint(hint));
    }
}

/// Finds a format by its name.
pub fn format(name: &str) -> Result<&'static Format, Diagnostic> {
    FORMATS.iter().find(|format| format.name == name).ok_or_else(|| {
        let problem = Diagnostic::error(format!("there is no import format `{name}`"));
        match closest(name, FORMATS.iter().map(|format| format.name)) {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None => problem.hint("`agentready list imports` shows them all"),
        }
    })
}

/// Reads a file as one format, or gives every mistake in it.
pub fn import(format: &Format, input: &Input<'_>) -> Result<Import, Diagnostics> {
    let mut haul = Haul::default();
    (format.read)(input, &mut haul);
    if haul.mistakes.is_empty() && haul.cases.is_empty() {
        let left: u32 = haul.left_out.values().sum();
        let reasons: Vec<&str> = haul.left_out.keys().map(String::as_str).collect();
        let hint =
            if left == 0 { "is it the right file?".to_owned() } else { format!("left out: {}", reasons.join("; ")) };
        haul.wrong(format!("`{}` holds nothing that becomes a scenario", input.file.name()), hint);
    }
    if haul.mistakes.is_empty() {
        return pages::pages(format, input, haul).map_err(Diagnostics::from);
    }
    let more = haul.mistakes.len().saturating_sub(MISTAKES);
    haul.mistakes.truncate(MISTAKES);
    if more > 0 {
        haul.wrong(format!("{more} more mistakes of the same file are not shown"), "mend these first");
    }
    Err(Diagnostics(haul.mistakes))
}

#[cfg(test)]
mod tests;
