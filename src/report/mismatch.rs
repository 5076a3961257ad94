//! The difference between an expected and a seen text, as lines. Knows no format.

use similar::{
    ChangeTag, DiffOp,
    algorithms::{self, Capture, Compact, Replace},
    group_diff_ops,
};

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

/// One algorithm for one type: the library's choice between all of them makes the program half a megabyte larger.
fn operations(expected: &[&str], actual: &[&str]) -> Vec<DiffOp> {
    let mut capture = Compact::new(Replace::new(Capture::new()), expected, actual);
    let ranges = (0..expected.len(), 0..actual.len());
    match algorithms::myers::diff(&mut capture, expected, ranges.0, actual, ranges.1) {
        Ok(()) => capture.into_inner().into_inner().into_ops(),
        Err(never) => match never {},
    }
}

/// The lines that differ, each inert, with a little of what surrounds them.
pub(super) fn lines(expected: &str, actual: &str, limit: usize) -> Vec<(Side, String)> {
    let (expected, actual) = (foreign::block(expected, TEXT_LIMIT), foreign::block(actual, TEXT_LIMIT));
    let (expected, actual): (Vec<&str>, Vec<&str>) =
        (expected.split_inclusive('\n').collect(), actual.split_inclusive('\n').collect());
    let mut out = Vec::new();
    for (nth, group) in group_diff_ops(operations(&expected, &actual), CONTEXT).iter().enumerate() {
        if nth > 0 {
            out.push((Side::Gap, "...".to_owned()));
        }
        for change in group.iter().flat_map(|op| op.iter_changes(expected.as_slice(), actual.as_slice())) {
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
