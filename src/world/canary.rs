//! Secrets in texts, also when they are disguised.
//!
//! Looks for the value as it is, in other case or with separators, reversed, in base64 and in hex. Short values are
//! looked for as they are only: disguised they would turn up by chance. Never repeats a secret's value.

use serde_json::Value;

/// Shortest value that is looked for in disguise.
const DISGUISABLE: usize = 6;

/// A text in the forms that are searched.
#[derive(Debug)]
pub struct Searched {
    text: String,
    letters: String,
    folded: String,
    bytes: String,
}

impl Searched {
    /// Prepares a text.
    pub fn new(text: String) -> Self {
        let letters = letters(&text);
        let folded = letters.to_lowercase();
        let bytes = folded_without_prefixes(&text);
        Self { text, letters, folded, bytes }
    }

    /// The text as it is.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Adds the keys and leaves of a value to a text, one below the other, so that a value split over them is still found.
pub fn gather(value: &Value, text: &mut String) {
    match value {
        Value::Null | Value::Bool(_) => {}
        Value::Number(number) => push_line(text, &number.to_string()),
        Value::String(leaf) => push_line(text, leaf),
        Value::Array(items) => items.iter().for_each(|item| gather(item, text)),
        Value::Object(entries) => {
            entries.values().for_each(|value| gather(value, text));
            entries.keys().for_each(|key| push_line(text, key));
        }
    }
}

fn push_line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

/// A value to look for, in all its forms.
#[derive(Debug)]
pub struct Canary<'c> {
    value: &'c str,
    disguises: Option<Disguises>,
}

#[derive(Debug)]
struct Disguises {
    folded: Option<String>,
    folded_backwards: Option<String>,
    backwards: String,
    hex: String,
    base64: Vec<String>,
}

impl<'c> Canary<'c> {
    /// A value to look for.
    pub fn new(value: &'c str) -> Self {
        let disguises = (value.chars().count() >= DISGUISABLE).then(|| {
            let folded = letters(value).to_lowercase();
            let folded = (folded.chars().count() >= DISGUISABLE).then_some(folded);
            Disguises {
                folded_backwards: folded.as_ref().map(|folded| folded.chars().rev().collect()),
                folded,
                backwards: value.chars().rev().collect(),
                hex: value.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat(),
                base64: (0..3).map(|offset| letters(&base64_core(value.as_bytes(), offset))).collect(),
            }
        });
        Self { value, disguises }
    }

    /// How it is seen in a text, in words to put behind the text's place.
    pub fn seen_in(&self, text: &Searched) -> Option<&'static str> {
        if self.value.is_empty() {
            return None;
        }
        if text.text.contains(self.value) {
            return Some("");
        }
        let disguises = self.disguises.as_ref()?;
        let folded = |form: &Option<String>| form.as_ref().is_some_and(|form| text.folded.contains(form));
        let base64 = |core: &String| core.len() >= DISGUISABLE && text.letters.contains(core);
        if folded(&disguises.folded) {
            Some(", disguised by case or separators")
        } else if folded(&disguises.folded_backwards) || text.text.contains(&disguises.backwards) {
            Some(", reversed")
        } else if text.folded.contains(&disguises.hex) || text.bytes.contains(&disguises.hex) {
            Some(", in hex")
        } else if disguises.base64.iter().any(base64) {
            Some(", in base64")
        } else {
            None
        }
    }
}

/// Letters and digits alone; full-width and tag characters count as the ASCII they stand for, fillers as nothing.
fn letters(text: &str) -> String {
    text.chars().map(plain).filter(|c| c.is_alphanumeric() && !is_filler(*c)).collect()
}

/// Hex bytes without what is commonly written before each: `\x41`, `0x41`.
fn folded_without_prefixes(text: &str) -> String {
    if text.contains("\\x") || text.contains("0x") || text.contains("0X") {
        letters(&text.replace("\\x", "").replace("0x", "").replace("0X", "")).to_lowercase()
    } else {
        String::new()
    }
}

fn plain(c: char) -> char {
    let shifted = match c {
        '\u{FF01}'..='\u{FF5E}' => u32::from(c) - 0xFEE0,
        '\u{E0020}'..='\u{E007E}' => u32::from(c) - 0xE0000,
        _ => return c,
    };
    char::from_u32(shifted).unwrap_or(c)
}

/// Letters by their class in Unicode, yet nothing is seen of them.
fn is_filler(c: char) -> bool {
    matches!(c, '\u{115F}' | '\u{1160}' | '\u{3164}' | '\u{FFA0}')
}

/// The base64 characters (RFC 4648, section 4) that depend on these bytes alone when `offset` other bytes stand
/// before them.
fn base64_core(bytes: &[u8], offset: usize) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bit = |index: usize| {
        let byte = bytes.get((index / 8).checked_sub(offset)?)?;
        Some((byte >> (7 - index % 8)) & 1)
    };
    let first = (offset * 8).div_ceil(6);
    let last = (offset + bytes.len()) * 8 / 6;
    (first..last)
        .filter_map(|sextet| {
            let index = (0..6).try_fold(0usize, |sum, i| Some(sum * 2 + usize::from(bit(sextet * 6 + i)?)))?;
            ALPHABET.get(index).map(|&c| char::from(c))
        })
        .collect()
}
