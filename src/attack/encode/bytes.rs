//! Disguises of the bytes of a text: base 64, 32, 16 and 2, escapes of URLs, HTML and JSON.

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// RFC 4648, section 4.
pub(super) fn base64(text: &str) -> String {
    in_digits(text.as_bytes(), BASE64, 6, 4)
}

pub(super) fn base64_back(text: &str) -> Option<String> {
    from_digits(text, BASE64, 6)
}

/// RFC 4648, section 6.
pub(super) fn base32(text: &str) -> String {
    in_digits(text.as_bytes(), BASE32, 5, 8)
}

pub(super) fn base32_back(text: &str) -> Option<String> {
    from_digits(text, BASE32, 5)
}

/// Writes bytes in digits of so many bits, filled up with `=` to a multiple of `group`.
fn in_digits(bytes: &[u8], alphabet: &[u8], width: u32, group: usize) -> String {
    let mut out = String::new();
    let (mut held, mut bits) = (0_u32, 0);
    let digit =
        |value: u32| usize::try_from(value).ok().and_then(|at| alphabet.get(at)).map_or('=', |&c| char::from(c));
    let mask = (1 << width) - 1;
    for &byte in bytes {
        held = (held << 8) | u32::from(byte);
        bits += 8;
        while bits >= width {
            bits -= width;
            out.push(digit((held >> bits) & mask));
        }
        held &= (1 << bits) - 1;
    }
    if bits > 0 {
        out.push(digit((held << (width - bits)) & mask));
    }
    while !out.len().is_multiple_of(group) {
        out.push('=');
    }
    out
}

fn from_digits(text: &str, alphabet: &[u8], width: u32) -> Option<String> {
    let mut bytes = Vec::new();
    let (mut held, mut bits) = (0_u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        let value = alphabet.iter().position(|&c| c == byte)?;
        held = (held << width) | u32::try_from(value).ok()?;
        bits += width;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from((held >> bits) & 0xFF).ok()?);
            held &= (1 << bits) - 1;
        }
    }
    String::from_utf8(bytes).ok()
}

pub(super) fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

pub(super) fn hex_back(text: &str) -> Option<String> {
    numbers(text, 16)
}

pub(super) fn binary(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:08b}")).collect::<Vec<_>>().join(" ")
}

pub(super) fn binary_back(text: &str) -> Option<String> {
    numbers(text, 2)
}

fn numbers(text: &str, radix: u32) -> Option<String> {
    let bytes = text.split_whitespace().map(|part| u8::from_str_radix(part, radix).ok()).collect::<Option<Vec<_>>>()?;
    String::from_utf8(bytes).ok()
}

/// Every byte as a percent escape (RFC 3986, section 2.1).
pub(super) fn url(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat()
}

pub(super) fn url_back(text: &str) -> Option<String> {
    numbers(&text.replace('%', " "), 16)
}

pub(super) fn html_entities(text: &str) -> String {
    text.chars().map(|c| format!("&#{};", u32::from(c))).collect::<Vec<_>>().concat()
}

pub(super) fn html_entities_back(text: &str) -> Option<String> {
    let codes = text.split(';').filter(|part| !part.is_empty());
    codes.map(|part| char::from_u32(part.strip_prefix("&#")?.parse().ok()?)).collect()
}

/// UTF-16 units as in a JSON text.
pub(super) fn unicode_escapes(text: &str) -> String {
    text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect::<Vec<_>>().concat()
}

pub(super) fn unicode_escapes_back(text: &str) -> Option<String> {
    let units = text.split("\\u").filter(|part| !part.is_empty());
    let units: Vec<u16> = units.map(|part| u16::from_str_radix(part, 16).ok()).collect::<Option<_>>()?;
    String::from_utf16(&units).ok()
}
