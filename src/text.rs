//! Text by others made harmless, and small pure questions about text.
//!
//! What agents, tools and files say is data. Every renderer passes it through [`printable`] before it adds
//! the escapes of its own format.

/// Replaces what could move a cursor, hide text or break a parser by a visible mark.
///
/// Control characters (except newline and tab), bidirectional and zero-width characters, tag characters,
/// variation selectors beyond emoji use, and what XML 1.0 forbids all become `\u{…}`.
pub fn printable(text: &str) -> String {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\n' | b'\t')) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_harmless(c) {
            out.push(c);
        } else {
            out.extend(c.escape_unicode());
        }
    }
    out
}

/// [`printable`] on one line: newlines and tabs become visible too.
pub fn printable_line(text: &str) -> String {
    printable(text).replace('\n', "\\n").replace('\t', "\\t")
}

/// Cuts to at most `limit` characters and says how many were left out.
pub fn shortened(text: &str, limit: usize) -> String {
    // No text has more characters than bytes.
    if text.len() <= limit {
        return text.to_owned();
    }
    match text.char_indices().nth(limit) {
        None => text.to_owned(),
        Some((cut, _)) => {
            let (head, tail) = text.split_at(cut);
            format!("{head}… ({} more characters)", tail.chars().count())
        }
    }
}

/// Whether `name` matches a pattern in which `*` stands for any run of characters.
pub fn wildcard_matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, rest)) => name.strip_prefix(head).is_some_and(|tail| {
            (0..=tail.len())
                .filter(|&i| tail.is_char_boundary(i))
                .any(|i| tail.get(i..).is_some_and(|tail| wildcard_matches(rest, tail)))
        }),
    }
}

/// The known name closest to a misspelt one, if any is close.
pub fn closest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.chars().count().max(name.chars().count()) / 3 + 1)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Whether a character shows itself and does nothing else.
pub(crate) fn is_harmless(c: char) -> bool {
    match c {
        '\n' | '\t' => true,
        '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}' // bidi, zero width
        | '\u{061C}' | '\u{180E}' | '\u{00AD}' | '\u{034F}' | '\u{115F}' | '\u{1160}' | '\u{3164}' // unseen
        | '\u{FE00}'..='\u{FE0E}' | '\u{FFF9}'..='\u{FFFB}' | '\u{FFFE}' | '\u{FFFF}' // variation, specials
        | '\u{E0000}'..='\u{E0FFF}' => false, // tags
        c => !c.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::{closest, printable, shortened, wildcard_matches};

    #[test]
    fn hostile_characters_become_visible() {
        assert_eq!(printable("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(printable("\u{202e}evil\u{200b}"), "\\u{202e}evil\\u{200b}");
        assert_eq!(printable("plain ünï\n✓"), "plain ünï\n✓");
    }

    #[test]
    fn wildcards_match_any_run() {
        for (pattern, name, expected) in
            [("delete_*", "delete_customer", true), ("*", "", true), ("a*c", "abd", false), ("get", "gets", false)]
        {
            assert_eq!(wildcard_matches(pattern, name), expected, "{pattern} against {name}");
        }
    }

    #[test]
    fn only_a_close_name_is_suggested() {
        assert_eq!(closest("efect", ["effect", "system"]), Some("effect"));
        assert_eq!(closest("zzzzzz", ["effect", "system"]), None);
    }

    #[test]
    fn long_text_says_what_is_missing() {
        assert_eq!(shortened("abcdef", 4), "abcd… (2 more characters)");
    }
}
