//! Foreign text as Markdown that renders as nothing but itself.
//!
//! Words of plain letters stay as they are; everything else becomes a code span, whose content no Markdown reader
//! interprets: no image, link, mention, HTML, table or fence comes out of it.

use super::super::foreign;

/// Foreign text on one line: plain words as prose, the rest as code spans. What our own sentences write between
/// backticks is code already.
pub(super) fn prose(text: &str) -> String {
    let text = foreign::line(text);
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some((before, inner, after)) = quoted(rest) {
        words(before, &mut out);
        out.push_str(&span(inner));
        rest = after;
    }
    words(rest, &mut out);
    if out.trim().is_empty() { "(empty)".to_owned() } else { out.trim().to_owned() }
}

/// Words outside of backticks, with the blanks around them.
fn words(text: &str, out: &mut String) {
    let mut told: Vec<String> = Vec::new();
    let mut odd: Vec<&str> = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        if is_plain(word) && !(out.is_empty() && told.is_empty() && odd.is_empty() && begins_block(word)) {
            flush(&mut odd, &mut told);
            told.push(word.to_owned());
        } else {
            odd.push(word);
        }
    }
    flush(&mut odd, &mut told);
    if text.starts_with(' ') {
        out.push(' ');
    }
    out.push_str(&told.join(" "));
    if text.ends_with(' ') && !told.is_empty() {
        out.push(' ');
    }
}

fn flush(odd: &mut Vec<&str>, out: &mut Vec<String>) {
    if odd.is_empty() {
        return;
    }
    let text = odd.join(" ");
    odd.clear();
    out.push(span(&text));
}

/// The text before a pair of backticks that stands apart, the text in it, and what comes after.
fn quoted(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once('`')?;
    let (inner, after) = rest.split_once('`')?;
    let opens = before.is_empty() || before.ends_with([' ', '(']);
    let closes = after.is_empty() || after.starts_with([' ', ',', '.', ';', ':', ')', '?', '!']);
    (opens && closes && !inner.trim().is_empty()).then_some((before, inner, after))
}

/// Foreign text on one line as a code span.
pub(super) fn code(text: &str) -> String {
    span(&foreign::line(text))
}

fn span(text: &str) -> String {
    if text.trim().is_empty() {
        return "(empty)".to_owned();
    }
    let fence = "`".repeat(longest_run(text, '`') + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// Inert lines as a fenced block, its fence longer than any inside.
pub(super) fn fenced(language: &str, lines: &[String], indent: usize) -> String {
    let longest = lines.iter().map(|line| longest_run(line, '`')).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    let lead = " ".repeat(indent);
    let body: Vec<String> = lines.iter().map(|line| format!("{lead}{line}\n")).collect();
    format!("{lead}{fence}{language}\n{}{lead}{fence}", body.concat())
}

fn longest_run(text: &str, mark: char) -> usize {
    text.split(|c| c != mark).map(str::len).max().unwrap_or(0)
}

/// Whether a word at the beginning of a line opens a list or draws a rule.
fn begins_block(word: &str) -> bool {
    let number = word.strip_suffix(['.', ')']);
    number.is_some_and(|number| number.chars().all(|c| c.is_ascii_digit()))
        || word.chars().all(|c| matches!(c, '-' | '+' | '='))
}

/// Whether a word can mean nothing in Markdown, nor on GitHub (mentions, issues, addresses, emoji, commits, formulas).
fn is_plain(word: &str) -> bool {
    let body = word.trim_end_matches([',', '.', ';', ':', ')', '?', '!', '%']).trim_start_matches('(');
    let joins = |c: char| matches!(c, '-' | '/' | '\'' | '.' | ',' | '+' | '=' | '%' | '\u{2026}' | '(');
    let is_address = body.to_ascii_lowercase().starts_with("www.");
    let may_be_commit =
        body.len() >= 7 && body.chars().all(|c| c.is_ascii_hexdigit()) && body.contains(|c: char| c.is_ascii_digit());
    !is_address && !may_be_commit && body.chars().all(|c| c.is_alphanumeric() || joins(c))
}

#[cfg(test)]
mod tests {
    use super::{code, fenced, prose};

    #[test]
    fn words_stay_words_and_the_rest_is_code() {
        for (given, expected) in [
            ("`issue_refund` writes to stripe.", "`issue_refund` writes to stripe."),
            ("(tag `over-budget`) is `a b`, not `c`.", "(tag `over-budget`) is `a b`, not `c`."),
            ("no rules (`policy.rules`).", "no rules (`policy.rules`)."),
            ("`./off.sh now please` @team", "`./off.sh now please` `@team`"),
            ("`a`b` @x", "`` `a`b` @x ``"),
            ("needs 95%, has 94.5%", "needs 95%, has 94.5%"),
            ("ask @team or #12", "ask `@team` or `#12`"),
            ("![x](http://a/b.png) seen", "`![x](http://a/b.png)` seen"),
            ("a | b", "a `|` b"),
            ("1. nested", "`1.` nested"),
            ("12 of 1.5", "12 of 1.5"),
            ("- nested", "`-` nested"),
            ("see www.evil.com now", "see `www.evil.com` now"),
            ("<b>`</details>", "``<b>`</details>``"),
            ("``` code", "```` ``` ```` code"),
            ("", "(empty)"),
        ] {
            assert_eq!(prose(given), expected, "{given}");
        }
    }

    #[test]
    fn fences_are_longer_than_any_inside() {
        assert_eq!(code("a``b"), "```a``b```");
        assert_eq!(fenced("diff", &["+ ````".to_owned()], 0), "`````diff\n+ ````\n`````");
    }
}
