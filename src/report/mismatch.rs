//! The difference between an expected and a seen text, as lines. Knows no format.

use similar::{ChangeTag, TextDiff};

use super::foreign;

/// Longest text that is compared.
const TEXT_LIMIT: usize = 4_000;
/// Equal lines shown around a change.
const CONTEXT: usize = 2;

/// What a line of a difference is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// In both.
    Both,
    /// Only in what was expected.
    Expected,
    /// Only in what was seen.
    Actual,
    /// Lines were left out here.
    Gap,
}

impl Side {
    /// The sign in front of the line.
    pub(super) fn sign(self) -> char {
        match self {
            Self::Both => ' ',
            Self::Expected => '-',
            Self::Actual => '+',
            Self::Gap => '~',
        }
    }
}

/// The lines that differ, each inert, with a little of what surrounds them.
pub(super) fn lines(expected: &str, actual: &str, limit: usize) -> Vec<(Side, String)> {
    let (expected, actual) = (foreign::block(expected, TEXT_LIMIT), foreign::block(actual, TEXT_LIMIT));
    let diff = TextDiff::from_lines(&expected, &actual);
    let mut out = Vec::new();
    for (nth, group) in diff.grouped_ops(CONTEXT).iter().enumerate() {
        if nth > 0 {
            out.push((Side::Gap, "...".to_owned()));
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let side = match change.tag() {
                ChangeTag::Equal => Side::Both,
                ChangeTag::Delete => Side::Expected,
                ChangeTag::Insert => Side::Actual,
            };
            out.push((side, foreign::line(change.value().trim_end())));
        }
    }
    let left = out.len().saturating_sub(limit);
    if left > 0 {
        out.truncate(limit);
        out.push((Side::Gap, format!("... {left} more lines")));
    }
    out
}
