//! Nothing is lost in a disguise that says so.

use proptest::prelude::*;

use super::{ALGORITHMS, algorithm, by_table, disguise};
use crate::attack::pack::{BASE, Encoding};

fn back(encoding: &Encoding, disguised: &str) -> Option<String> {
    if let Some(name) = &encoding.algorithm {
        return algorithm(name)?.decode?(disguised);
    }
    let original =
        |code: &str| encoding.table.iter().find(|(_, value)| value.as_str() == code).map(|(key, _)| key.clone());
    let own = |code: &str| original(code).unwrap_or_else(|| code.to_owned());
    Some(if encoding.joiner.is_empty() {
        disguised.chars().map(|c| own(&c.to_string())).collect()
    } else {
        disguised.split(&encoding.joiner).map(own).collect()
    })
}

#[test]
fn algorithms_are_sorted_and_each_has_its_file() {
    assert!(ALGORITHMS.is_sorted_by_key(|algorithm| algorithm.name));
    let used: Vec<&String> = BASE.encodings.values().filter_map(|encoding| encoding.algorithm.as_ref()).collect();
    for algorithm in ALGORITHMS {
        assert!(used.iter().any(|name| *name == algorithm.name), "{} is used by no encoding", algorithm.name);
    }
    for name in used {
        assert!(algorithm(name).is_some(), "there is no algorithm {name}");
    }
    assert!(BASE.encodings.len() > 20, "{} encodings", BASE.encodings.len());
}

#[test]
fn known_texts_look_as_others_write_them() {
    let shown = |name: &str, text: &str| {
        let encoding = &BASE.encodings[name];
        disguise(encoding, text).replacen(encoding.frame.split("{text}").next().unwrap_or_default(), "", 1)
    };
    for (name, text, expected) in [
        ("base64", "any carnal pleas", "YW55IGNhcm5hbCBwbGVhcw=="),
        ("base32", "foobar", "MZXW6YTBOI======"),
        ("hex", "Hi!", "48 69 21"),
        ("rot13", "Uryyb, 7", "Hello, 7"),
        ("atbash", "abc XYZ", "zyx CBA"),
        ("morse", "SOS 1", "... --- ... / .----"),
        ("url", "a/ü", "%61%2F%C3%BC"),
        ("html-entities", "<b>", "&#60;&#98;&#62;"),
        ("leet", "Test", "7357"),
        ("nato", "ab c", "Alfa Bravo - Charlie"),
        ("ascii-art", "I", "###\n #\n #\n #\n###\n"),
    ] {
        assert_eq!(shown(name, text), expected, "{name}");
    }
}

proptest! {
    #[test]
    fn a_reversible_disguise_loses_nothing(text in "[a-zA-Z0-9 .,:{}\"'_@$-]{1,80}") {
        for (name, encoding) in BASE.encodings.iter().filter(|(_, encoding)| encoding.reversible) {
            let text = if encoding.folds { text.to_lowercase() } else { text.clone() };
            // A table can only keep what it writes differently from everything else.
            let text = if name == "nato" || name == "morse" { text.replace(['-', '.'], "") } else { text };
            if text.is_empty() { continue; }
            let disguised = Encoding { frame: "{text}".to_owned(), ..encoding.clone() };
            let disguised = disguise(&disguised, &text);
            prop_assert_eq!(back(encoding, &disguised), Some(text.clone()), "{}", name);
        }
    }

    #[test]
    fn a_disguise_changes_every_word_of_letters(text in "[b-df-hj-np-rv-z]{8,20}") {
        for (name, encoding) in BASE.encodings.iter().filter(|(name, _)| !["plain", "leet", "homoglyph", "upside-down"].contains(&name.as_str())) {
            prop_assert!(!disguise(encoding, &text).contains(&text), "{}", name);
        }
    }

    #[test]
    fn other_scripts_and_marks_never_break_a_disguise(text in "\\PC{0,60}") {
        for encoding in BASE.encodings.values() {
            prop_assert!(encoding.algorithm.is_some() || !by_table(encoding, &text).is_empty() || text.is_empty());
            let _ = disguise(encoding, &text);
        }
    }
}
