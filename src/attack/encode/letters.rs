//! Disguises that exchange or move letters.
#![expect(clippy::unnecessary_wraps, reason = "all ways back have one form, also those that lose nothing")]

/// Thirteen letters on.
pub(super) fn rot13(text: &str) -> String {
    text.chars().map(|c| shifted(c, |offset| (offset + 13) % 26)).collect()
}

pub(super) fn rot13_back(text: &str) -> Option<String> {
    Some(rot13(text))
}

/// The alphabet mirrored.
pub(super) fn atbash(text: &str) -> String {
    text.chars().map(|c| shifted(c, |offset| 25 - offset)).collect()
}

pub(super) fn atbash_back(text: &str) -> Option<String> {
    Some(atbash(text))
}

fn shifted(c: char, shift: impl Fn(u8) -> u8) -> char {
    let first = match c {
        'a'..='z' => b'a',
        'A'..='Z' => b'A',
        _ => return c,
    };
    u8::try_from(c).map_or(c, |byte| char::from(first + shift(byte - first)))
}

pub(super) fn reversed(text: &str) -> String {
    text.chars().rev().collect()
}

pub(super) fn reversed_back(text: &str) -> Option<String> {
    Some(reversed(text))
}

/// A thin bar between all characters.
pub(super) fn spaced(text: &str) -> String {
    text.chars().map(String::from).collect::<Vec<_>>().join("|")
}

/// Gives back texts without bars of their own.
pub(super) fn spaced_back(text: &str) -> Option<String> {
    Some(text.replace('|', ""))
}
