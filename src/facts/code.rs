//! Rule files and code as a reader sees them: comments taken out, the names and texts that occur, what is unbalanced.
//! Knows no language well; must not judge.

use std::{collections::BTreeSet, sync::LazyLock};

use regex::Regex;

/// A file without its comments.
pub(super) struct Code {
    /// The text, line by line as in the file, comments blanked.
    pub(super) text: String,
    /// Names and the contents of quoted texts.
    pub(super) words: BTreeSet<String>,
    /// Quoted texts that look like patterns: `delete_*`, or a prefix such as `delete_`.
    pub(super) patterns: BTreeSet<String>,
}

/// Most characters of a quoted text that counts as a name or a pattern.
const LONGEST_QUOTED: usize = 200;

static NAME: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"[A-Za-z_][A-Za-z0-9_]*").expect("the pattern is valid"));
static QUOTED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#""([^"\n]+)"|'([^'\n]+)'|`([^`\n]+)`"#).expect("the pattern is valid"));

impl Code {
    /// Reads the text of the file `name`.
    pub(super) fn read(name: &str, text: &str) -> Self {
        let text = without_comments(text, Marks::of(name));
        let quoted: BTreeSet<String> = QUOTED
            .captures_iter(&text)
            .filter_map(|found| found.iter().skip(1).flatten().next().map(|inner| inner.as_str().to_owned()))
            .filter(|inner| inner.chars().count() <= LONGEST_QUOTED)
            .collect();
        let patterns = quoted.iter().filter(|text| is_pattern(text)).cloned().collect();
        let mut words: BTreeSet<String> = NAME.find_iter(&text).map(|found| found.as_str().to_owned()).collect();
        words.extend(quoted);
        Self { text, words, patterns }
    }

    /// Whether one of these stands there as a whole name or text; case, dashes and underscores aside.
    pub(super) fn says(&self, wanted: &[&str]) -> bool {
        says(&self.words, wanted)
    }

    /// Whether a name stands there, or a pattern that covers it.
    pub(super) fn names(&self, name: &str) -> bool {
        self.words.contains(name) || self.patterns.iter().any(|pattern| covers(pattern, name))
    }

    /// The first bracket or brace that has no partner.
    pub(super) fn unbalanced(&self) -> Option<char> {
        let bare = QUOTED.replace_all(&self.text, "");
        let mut open = Vec::new();
        for c in bare.chars() {
            match c {
                '(' | '[' | '{' => open.push(c),
                ')' | ']' | '}' => match (open.pop(), c) {
                    (Some('('), ')') | (Some('['), ']') | (Some('{'), '}') => {}
                    _ => return Some(c),
                },
                _ => {}
            }
        }
        open.pop()
    }
}

/// Whether one of these is among the words; case, dashes and underscores aside.
pub(super) fn says(words: &BTreeSet<String>, wanted: &[&str]) -> bool {
    words.iter().any(|word| {
        let plain: String = word.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
        wanted.contains(&plain.as_str())
    })
}

/// The words of a name, in lower case: `closeAccount` and `close_account` have the same.
pub(super) fn name_words(name: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut word = String::new();
    let mut before = ' ';
    let mut chars = name.chars().peekable();
    while let Some(c) = chars.next() {
        let begins = !before.is_uppercase() || chars.peek().is_some_and(|next| next.is_lowercase());
        if !c.is_alphanumeric() || c.is_uppercase() && begins {
            found.insert(std::mem::take(&mut word));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
        before = c;
    }
    found.insert(word);
    found
}

/// Whether a text holds a name that does not go on beyond it.
pub(super) fn stands_in(text: &str, name: &str) -> bool {
    let goes_on = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '-');
    !name.is_empty()
        && text.match_indices(name).any(|(at, found)| {
            let before = text.get(..at).and_then(|before| before.chars().next_back());
            let after = text.get(at + found.len()..).and_then(|after| after.chars().next());
            !goes_on(before) && !goes_on(after)
        })
}

fn is_pattern(text: &str) -> bool {
    let bare = text.trim_end_matches('*');
    let ends_open = text.ends_with('*') || text.ends_with(['_', '-', '.', ':']);
    ends_open && bare.len() >= 3 && !bare.contains(char::is_whitespace) && bare.chars().any(char::is_alphabetic)
}

fn covers(pattern: &str, name: &str) -> bool {
    if pattern.contains('*') { crate::text::wildcard_matches(pattern, name) } else { name.starts_with(pattern) }
}

/// How comments are written.
#[derive(Clone, Copy)]
enum Marks {
    Hash,
    Slashes,
    Both,
}

impl Marks {
    fn of(name: &str) -> Self {
        const HASH: [&str; 11] = ["rego", "py", "rb", "sh", "yaml", "yml", "toml", "fga", "r", "pl", "conf"];
        let end = name.rsplit_once('.').map_or("", |(_, end)| end);
        match end {
            "tf" => Self::Both,
            end if HASH.contains(&end) => Self::Hash,
            _ => Self::Slashes,
        }
    }
}

fn without_comments(text: &str, marks: Marks) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_block = false;
    for line in text.lines() {
        let mut quote = None;
        let mut chars = line.chars().peekable();
        while let Some(c) = chars.next() {
            if in_block {
                if c == '*' && chars.peek() == Some(&'/') {
                    chars.next();
                    in_block = false;
                }
                continue;
            }
            match (marks, quote, c, chars.peek()) {
                (_, Some(open), _, _) if c == open => quote = None,
                (Marks::Hash | Marks::Both, None, '#', _) | (Marks::Slashes | Marks::Both, None, '/', Some('/')) => {
                    break;
                }
                (Marks::Slashes | Marks::Both, None, '/', Some('*')) => {
                    chars.next();
                    in_block = true;
                    continue;
                }
                (_, None, '"' | '\'' | '`', _) => quote = Some(c),
                _ => {}
            }
            out.push(c);
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Code, name_words, stands_in};

    #[test]
    fn comments_say_nothing_and_patterns_cover_names() {
        let rego = Code::read("a.rego", "# issue_refund is blocked\ndeny if startswith(input.tool, \"delete_\") # x\n");
        assert!(!rego.names("issue_refund") && rego.names("delete_customer") && !rego.names("undelete"));
        assert!(rego.says(&["deny"]) && !rego.says(&["blocked"]));
        let code =
            Code::read("a.ts", "/* ask\n approval */ const url = \"http://x\"; // deny\nreturn 'needs-approval';");
        assert!(code.says(&["needsapproval"]) && !code.says(&["deny", "ask"]), "{}", code.text);
        assert_eq!(code.text.lines().count(), 3, "lines stay where they are");
    }

    #[test]
    fn names_are_whole_and_have_words() {
        for (text, expected) in [
            ("resources := {\"account:acct_1\"}", true),
            ("resources := {\"account:acct_12\"}", false),
            ("account:acct_1", true),
            ("my-account:acct_1", false),
            ("account:acct_1-old", false),
        ] {
            assert_eq!(stands_in(text, "account:acct_1"), expected, "{text}");
        }
        assert!(!stands_in("", ""));
        let words = |name: &str| name_words(name).into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>();
        for name in ["issueURLRefund", "issue_URLRefund"] {
            assert_eq!(words(name), ["issue", "refund", "url"], "{name}");
        }
        assert_eq!(words("delete_Customer2"), ["customer2", "delete"]);
    }

    #[test]
    fn brackets_without_a_partner_are_found() {
        for (text, expected) in
            [("f(a[1], {\"x\": \"(\"})", None), ("f(a", Some('(')), ("a)", Some(')')), ("{(}", Some('}'))]
        {
            assert_eq!(Code::read("a.rego", text).unbalanced(), expected, "{text}");
        }
    }
}
