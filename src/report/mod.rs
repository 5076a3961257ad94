//! Renderings of the verdict, one file per format, over one frozen model. Pure, except `target`, which is the
//! one place that opens and writes files.
//!
//! A format is one file with a `FORMAT` constant and one line in [`FORMATS`]. No format decides anything: the
//! exit code, the order and the words of the verdict come from the model. Foreign text goes through `foreign`.

mod attacks;
mod build;
mod foreign;
mod json;
mod junit;
mod markdown;
mod mismatch;
mod numbers;
mod target;
mod terminal;
mod timeline;

use std::io;

pub use build::{Parts, build};
pub use json::schema;
pub use target::{FormatTarget, TargetError, Targets};
pub use timeline::{call_line, timeline};

use crate::verdict::Report;

/// How a report looks on the medium it is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Whether escapes for colour are allowed; the caller decides by terminal and `NO_COLOR`.
    pub color: bool,
    /// Columns to fill at most.
    pub width: usize,
    /// Whether lists are shown whole, however long.
    pub verbose: bool,
}

impl Style {
    /// Is what files get: no colour, a width that reads well in any editor, and everything.
    pub const FILE: Self = Self { color: false, width: 100, verbose: true };
}

/// Writes a report in one format.
pub type Render = fn(&Report, &mut dyn io::Write, &Style) -> io::Result<()>;

/// One way to write a report.
#[derive(Debug)]
pub struct Format {
    /// The word after `--format`.
    pub name: &'static str,
    /// What it is for, one line.
    pub about: &'static str,
    /// Writes it.
    pub render: Render,
}

/// Every format, sorted by name.
pub static FORMATS: &[Format] = &[json::FORMAT, junit::FORMAT, markdown::FORMAT, terminal::FORMAT];

#[cfg(test)]
mod tests;
