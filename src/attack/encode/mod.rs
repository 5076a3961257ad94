//! Disguises: tables of the pack, and algorithms by name. A disguise changes how words look, never what they say.

mod bytes;
mod invisible;
mod letters;
mod structure;

use super::pack::Encoding;

/// A disguise that a table can't say.
struct Algorithm {
    name: &'static str,
    encode: fn(&str) -> String,
    /// Gives the text back; nothing where it is lost.
    #[cfg_attr(not(test), expect(dead_code, reason = "shows in tests that nothing was lost"))]
    decode: Option<fn(&str) -> Option<String>>,
}

const fn entry(
    name: &'static str,
    encode: fn(&str) -> String,
    decode: Option<fn(&str) -> Option<String>>,
) -> Algorithm {
    Algorithm { name, encode, decode }
}

/// All algorithms, sorted by name.
const ALGORITHMS: &[Algorithm] = &[
    entry("ascii-art", structure::ascii_art, None),
    entry("atbash", letters::atbash, Some(letters::atbash_back)),
    entry("base32", bytes::base32, Some(bytes::base32_back)),
    entry("base64", bytes::base64, Some(bytes::base64_back)),
    entry("bidi", invisible::bidi, Some(invisible::bidi_back)),
    entry("binary", bytes::binary, Some(bytes::binary_back)),
    entry("hex", bytes::hex, Some(bytes::hex_back)),
    entry("html-entities", bytes::html_entities, Some(bytes::html_entities_back)),
    entry("reversed", letters::reversed, Some(letters::reversed_back)),
    entry("rot13", letters::rot13, Some(letters::rot13_back)),
    entry("spaced", letters::spaced, Some(letters::spaced_back)),
    entry("split-json", structure::split_json, Some(structure::split_json_back)),
    entry("tag-characters", invisible::tags, Some(invisible::tags_back)),
    entry("unicode-escapes", bytes::unicode_escapes, Some(bytes::unicode_escapes_back)),
    entry("url", bytes::url, Some(bytes::url_back)),
    entry("variation-selectors", invisible::selectors, Some(invisible::selectors_back)),
    entry("zalgo", invisible::zalgo, Some(invisible::zalgo_back)),
    entry("zero-width", invisible::zero_width, Some(invisible::zero_width_back)),
];

/// Disguises a text and puts the encoding's frame around it.
pub(super) fn disguise(encoding: &Encoding, text: &str) -> String {
    let disguised = match &encoding.algorithm {
        Some(name) => algorithm(name).map_or_else(|| text.to_owned(), |algorithm| (algorithm.encode)(text)),
        None => by_table(encoding, text),
    };
    encoding.frame.replacen("{text}", &disguised, 1)
}

fn algorithm(name: &str) -> Option<&'static Algorithm> {
    ALGORITHMS.iter().find(|algorithm| algorithm.name == name)
}

fn by_table(encoding: &Encoding, text: &str) -> String {
    if encoding.table.is_empty() {
        return text.to_owned();
    }
    let mut buffer = [0; 4];
    let look_up = |c: char| {
        let own: &str = c.encode_utf8(&mut buffer);
        let folded = if encoding.folds { own.to_lowercase() } else { own.to_owned() };
        encoding.table.get(&folded).cloned().unwrap_or(folded)
    };
    text.chars().map(look_up).collect::<Vec<_>>().join(&encoding.joiner)
}

#[cfg(test)]
mod tests;
