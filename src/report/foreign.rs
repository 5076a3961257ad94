//! Text by agents, tools and traces, made inert for terminals and for the logs of CI services.
//!
//! [`crate::text::printable`] takes away what moves cursors or hides; this adds what CI services read as commands:
//! GitHub acts on lines that begin with `::` (spaces before it don't matter) and on `##[` anywhere, Azure and `TeamCity`
//! on `##name[`. Escapes of one format (XML, Markdown) stay in that format's file.

use std::borrow::Cow;

use crate::text::{printable, printable_line, shortened};

/// Longest single line of foreign text in a report for people.
const LINE_LIMIT: usize = 400;

/// Foreign text of several lines, at most `limit` characters of it.
pub(super) fn block(text: &str, limit: usize) -> String {
    let text = without_marks(&printable(text)).into_owned();
    without_command_lines(&shortened(&text, limit))
}

/// Foreign text on one line, short enough to read.
pub(super) fn line(text: &str) -> String {
    line_of(text, LINE_LIMIT)
}

/// Foreign text on one line, at most `limit` characters of it.
pub(super) fn line_of(text: &str, limit: usize) -> String {
    let text = text.trim();
    let is_plain =
        text.len() <= limit && text.bytes().all(|byte| matches!(byte, b' '..=b'~' if byte != b'#' && byte != b':'));
    if is_plain {
        return text.to_owned();
    }
    let text = printable_line(text);
    without_command_lines(&shortened(&without_marks(&text), limit))
}

/// A piece of a foreign line, its blanks kept: what shows a line of a file puts it behind a margin, so no command of a CI
/// service begins there.
pub(super) fn unbroken(text: &str) -> String {
    without_marks(&printable_line(text)).into_owned()
}

/// Breaks `::` at the beginning of every line, colour escapes before it or not.
pub(super) fn without_command_lines(text: &str) -> String {
    if !text.contains("::") {
        return text.to_owned();
    }
    text.split('\n').map(broken_command).collect::<Vec<_>>().join("\n")
}

fn broken_command(line: &str) -> Cow<'_, str> {
    let at = line.len() - after_blanks(line).len();
    match line.split_at(at) {
        (head, tail) if tail.starts_with("::") => {
            Cow::Owned(format!("{head}\\u{{3a}}{}", tail.strip_prefix(':').unwrap_or(tail)))
        }
        _ => Cow::Borrowed(line),
    }
}

fn after_blanks(line: &str) -> &str {
    let line = line.trim_start();
    match line.strip_prefix("\u{1b}[").and_then(|rest| rest.split_once('m')) {
        Some((_, rest)) => after_blanks(rest),
        None => line,
    }
}

/// Breaks `##[` and `##name[` wherever they stand.
fn without_marks(text: &str) -> Cow<'_, str> {
    if !text.contains("##") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    let mut rest = text;
    while let Some((head, tail)) = rest.split_once("##") {
        out.push_str(head);
        let named = tail.trim_start_matches(|c: char| c.is_ascii_alphanumeric());
        out.push_str(if named.starts_with('[') { "#\\u{23}" } else { "#" });
        rest = if named.starts_with('[') { tail } else { rest.get(head.len() + 1..).unwrap_or(tail) };
        if !named.starts_with('[') && !rest.contains("##") {
            break;
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::{block, line, without_command_lines};

    #[test]
    fn commands_of_ci_services_are_broken() {
        for (given, expected) in [
            ("::error::x", "\\u{3a}:error::x"),
            ("a\n  ::add-mask::x", "a\n  \\u{3a}:add-mask::x"),
            ("a ##[error]x", "a #\\u{23}[error]x"),
            ("##vso[task]", "#\\u{23}vso[task]"),
            ("###[x", "##\\u{23}[x"),
            ("## heading ## two", "## heading ## two"),
            ("std::fmt", "std::fmt"),
        ] {
            assert_eq!(block(given, 1000), expected);
        }
        assert_eq!(line("  a\n::x"), "a\\n::x");
    }

    #[test]
    fn colour_does_not_hide_a_command_line() {
        assert_eq!(without_command_lines("\u{1b}[1m ::x"), "\u{1b}[1m \\u{3a}:x");
    }
}
