//! The line that a place stands on, cut for people to look at. Must not know what is secret: who shows a line hands in
//! a text in which that is masked.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Document, Location, Route, SourceFile};

/// Characters of a line that are kept.
const LINE_LIMIT: usize = 200;
/// Characters kept before the marked ones when a long line is cut.
const LEAD: usize = 60;

/// A line of a file with what is spoken of marked in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Excerpt {
    /// The line, from 1.
    pub line: usize,
    /// Column of the first character of `text`, from 1; more where the head of a long line was left out.
    pub column: usize,
    /// The line or a piece of it, written-out secrets masked.
    pub text: String,
    /// How many characters of `text` stand before the marked ones.
    pub before: usize,
    /// How many characters are marked.
    pub marked: usize,
}

/// A place asked for, or its nearest parent that is written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// File, line and column.
    pub location: Location,
    /// Whether only a parent of it is written down, or nothing.
    pub missing: bool,
    /// The line; nothing when not even a parent is written down.
    pub excerpt: Option<Excerpt>,
}

impl Document {
    /// Where `route` stands. `shown` is the text to show: that of the file, perhaps with letters masked, so that lines and
    /// columns are the same.
    pub fn spot(&self, route: &Route, shown: &SourceFile) -> Spot {
        let (span, depth) = self.nearest(route);
        let location = self.file().location(span.start);
        let missing = depth < route.depth();
        let marked = self.file().text().get(span).unwrap_or_default();
        let marked = marked.lines().next().unwrap_or_default().trim_end().chars().count();
        let excerpt = (depth > 0).then(|| cut(shown.line(location.line), &location, marked));
        Spot { location, missing, excerpt }
    }
}

fn cut(line: &str, at: &Location, marked: usize) -> Excerpt {
    let before = at.column.saturating_sub(1);
    let left_out = if line.chars().count() > LINE_LIMIT { before.saturating_sub(LEAD) } else { 0 };
    let text: String = line.chars().skip(left_out).take(LINE_LIMIT).collect();
    let before = before - left_out;
    let marked = marked.min(text.chars().count().saturating_sub(before)).max(1);
    Excerpt { line: at.line, column: left_out + 1, text, before, marked }
}
