//! Disguises by characters that nobody sees, and by their directions and marks.
#![expect(clippy::unnecessary_wraps, reason = "all ways back have one form, also those that lose nothing")]

/// Unicode tag characters in place of ASCII; others stay.
pub(super) fn tags(text: &str) -> String {
    let tag = |c: char| if c.is_ascii() { char::from_u32(0xE0000 + u32::from(c)).unwrap_or(c) } else { c };
    text.chars().map(tag).collect()
}

pub(super) fn tags_back(text: &str) -> Option<String> {
    let plain = |c: char| u32::from(c).checked_sub(0xE0000).filter(|code| *code < 128).and_then(char::from_u32);
    Some(text.chars().map(|c| plain(c).unwrap_or(c)).collect())
}

/// One variation selector for each byte, behind a visible character.
pub(super) fn selectors(text: &str) -> String {
    let selector = |byte: u8| match byte {
        0..=15 => char::from_u32(0xFE00 + u32::from(byte)),
        16..=255 => char::from_u32(0xE0100 + u32::from(byte) - 16),
    };
    std::iter::once('\u{2022}').chain(text.bytes().filter_map(selector)).collect()
}

pub(super) fn selectors_back(text: &str) -> Option<String> {
    let byte = |c: char| match u32::from(c) {
        code @ 0xFE00..=0xFE0F => u8::try_from(code - 0xFE00).ok(),
        code @ 0xE0100..=0xE01EF => u8::try_from(code - 0xE0100 + 16).ok(),
        _ => None,
    };
    String::from_utf8(text.chars().skip(1).map(byte).collect::<Option<Vec<_>>>()?).ok()
}

const ZERO: char = '\u{200B}';
const ONE: char = '\u{200C}';

/// The bits of the text as two characters without width.
pub(super) fn zero_width(text: &str) -> String {
    let bits = |byte: u8| (0..8).rev().map(move |at| if byte >> at & 1 == 1 { ONE } else { ZERO });
    text.bytes().flat_map(bits).collect()
}

pub(super) fn zero_width_back(text: &str) -> Option<String> {
    let bits: Vec<u8> = text.chars().map(|c| u8::from(c == ONE)).collect();
    let bytes = bits.chunks(8).map(|byte| byte.iter().fold(0, |sum, bit| sum << 1 | bit)).collect();
    String::from_utf8(bytes).ok()
}

/// Stored backwards inside an override of direction, so that it reads forwards on a screen.
pub(super) fn bidi(text: &str) -> String {
    let turned: String = text.chars().rev().collect();
    format!("\u{202E}{turned}\u{202C}")
}

pub(super) fn bidi_back(text: &str) -> Option<String> {
    Some(text.strip_prefix('\u{202E}')?.strip_suffix('\u{202C}')?.chars().rev().collect())
}

const MARKS: [char; 6] = ['\u{0300}', '\u{0323}', '\u{0335}', '\u{030B}', '\u{0331}', '\u{0346}'];

/// Two combining marks on every letter.
pub(super) fn zalgo(text: &str) -> String {
    let mut out = String::new();
    for (at, c) in text.chars().enumerate() {
        out.push(c);
        if c.is_alphanumeric() {
            out.extend(MARKS.iter().cycle().skip(at % MARKS.len()).take(2));
        }
    }
    out
}

pub(super) fn zalgo_back(text: &str) -> Option<String> {
    Some(text.chars().filter(|c| !MARKS.contains(c)).collect())
}
