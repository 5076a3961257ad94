//! The page that the terminal report is written on: wrapping, indentation, headings, colour. Knows no report.

use anstyle::{AnsiColor, Style as Ansi};

use super::super::{Style, foreign};

/// Narrowest and widest page.
const WIDTH: std::ops::RangeInclusive<usize> = 40..=120;

/// Text in the making.
pub(super) struct Sheet {
    out: String,
    style: Style,
}

impl Sheet {
    /// An empty page.
    pub(super) fn new(style: Style) -> Self {
        let width = style.width.clamp(*WIDTH.start(), *WIDTH.end());
        Self { out: String::new(), style: Style { width, ..style } }
    }

    /// How it looks.
    pub(super) fn style(&self) -> Style {
        self.style
    }

    /// Columns to fill.
    pub(super) fn width(&self) -> usize {
        self.style.width
    }

    /// An empty line.
    pub(super) fn gap(&mut self) {
        self.out.push('\n');
    }

    /// A title over a part of the page.
    pub(super) fn heading(&mut self, text: &str) {
        self.gap();
        self.painted(text, Ansi::new().bold());
    }

    /// Lines of one colour.
    pub(super) fn painted(&mut self, text: &str, paint: Ansi) {
        for line in wrapped(text, self.style.width, "    ") {
            let line = if self.style.color { format!("{paint}{line}{paint:#}") } else { line };
            self.line(&line);
        }
    }

    /// A paragraph, indented.
    pub(super) fn text(&mut self, indent: usize, text: &str) {
        self.hanging(indent, "", text);
    }

    /// A paragraph whose first line begins with a word and whose others stand below what follows it.
    pub(super) fn hanging(&mut self, indent: usize, label: &str, text: &str) {
        let first = format!("{}{label}", " ".repeat(indent));
        let hang = " ".repeat(first.chars().count());
        for (nth, line) in wrapped(text, self.style.width.saturating_sub(hang.len()), "").into_iter().enumerate() {
            let lead = if nth == 0 { &first } else { &hang };
            self.line(&format!("{lead}{line}"));
        }
    }

    /// One line of a difference: signed, cut at the edge, coloured by its sign.
    pub(super) fn difference(&mut self, indent: usize, sign: char, text: &str) {
        let line = format!("{sign} {}", cut(text, self.style.width.saturating_sub(indent + 2)));
        let color = match sign {
            '-' => Some(AnsiColor::Red),
            '+' => Some(AnsiColor::Green),
            _ => None,
        };
        let line = match color {
            Some(color) if self.style.color => {
                let paint = Ansi::new().fg_color(Some(color.into()));
                format!("{paint}{line}{paint:#}")
            }
            _ => line,
        };
        self.line(&format!("{}{line}", " ".repeat(indent)));
    }

    /// A line that keeps its form, cut at the edge.
    pub(super) fn source(&mut self, indent: usize, text: &str) {
        let line = cut(text, self.style.width.saturating_sub(indent));
        self.line(&format!("{}{line}", " ".repeat(indent)));
    }

    /// An entry of a list.
    pub(super) fn item(&mut self, text: &str) {
        self.hanging(2, "- ", text);
    }

    /// How many entries of a list are shown, where `brief` would be.
    pub(super) fn at_most(&self, brief: usize) -> usize {
        if self.style.verbose { usize::MAX } else { brief }
    }

    /// Says how many entries a list leaves out, and how they are shown.
    pub(super) fn more(&mut self, left: usize, what: &str) {
        if left > 0 {
            self.text(2, &format!("... {left} more {what}; `-v` shows them all"));
        }
    }

    /// Lines that are laid out already.
    pub(super) fn lines(&mut self, text: &str) {
        for line in text.lines() {
            self.line(line);
        }
    }

    fn line(&mut self, line: &str) {
        self.out.push_str(line.trim_end());
        self.out.push('\n');
    }

    /// The page; no line of it begins a command of a CI service, not even by wrapping.
    pub(super) fn finish(self) -> String {
        foreign::without_command_lines(&self.out)
    }
}

/// At most `room` characters, with a sign where some are missing.
fn cut(text: &str, room: usize) -> String {
    if text.chars().count() > room {
        text.chars().take(room.saturating_sub(3)).chain("...".chars()).collect()
    } else {
        text.to_owned()
    }
}

/// Breaks one line at spaces, and words that are wider than the page anywhere.
pub(super) fn wrapped(text: &str, width: usize, hang: &str) -> Vec<String> {
    let width = width.max(20);
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    for (nth, word) in text.split(' ').enumerate() {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > width {
            lines.push(std::mem::replace(&mut line, hang.to_owned()));
            used = hang.len();
        } else if nth > 0 {
            line.push(' ');
            used += 1;
        }
        for c in word.chars() {
            if used >= width {
                lines.push(std::mem::replace(&mut line, hang.to_owned()));
                used = hang.len();
            }
            line.push(c);
            used += 1;
        }
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn lines_break_at_spaces_and_long_words_anywhere() {
        assert_eq!(wrapped("aaaa bbbb cccc dddd eeee", 20, ""), ["aaaa bbbb cccc dddd", "eeee"]);
        assert_eq!(wrapped(&"x".repeat(45), 20, ""), ["x".repeat(20), "x".repeat(20), "x".repeat(5)]);
        assert_eq!(wrapped("  indented", 20, ""), ["  indented"]);
    }
}
