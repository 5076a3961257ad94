//! Disguises by form: pieces of a JSON document, and letters drawn with characters.

use serde_json::{Value, json};

/// The longest piece, in characters.
const PIECE: usize = 7;

/// The text cut into pieces under numbered keys, with an order to join them.
pub(super) fn split_json(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let pieces = characters.chunks(PIECE).enumerate();
    let parts: serde_json::Map<String, Value> =
        pieces.map(|(at, piece)| (format!("p{at}"), Value::String(piece.iter().collect()))).collect();
    json!({"join": "in order, without spaces", "parts": parts}).to_string()
}

pub(super) fn split_json_back(text: &str) -> Option<String> {
    let document: Value = serde_json::from_str(text).ok()?;
    let parts = document.get("parts")?.as_object()?;
    (0..parts.len()).map(|at| parts.get(&format!("p{at}"))?.as_str()).collect()
}

/// Letters in five rows of dots.
#[rustfmt::skip]
const FONT: [(char, [&str; 5]); 26] = [
    ('A', [".#.", "#.#", "###", "#.#", "#.#"]),
    ('B', ["##.", "#.#", "##.", "#.#", "##."]),
    ('C', [".##", "#..", "#..", "#..", ".##"]),
    ('D', ["##.", "#.#", "#.#", "#.#", "##."]),
    ('E', ["###", "#..", "##.", "#..", "###"]),
    ('F', ["###", "#..", "##.", "#..", "#.."]),
    ('G', [".##", "#..", "#.#", "#.#", ".##"]),
    ('H', ["#.#", "#.#", "###", "#.#", "#.#"]),
    ('I', ["###", ".#.", ".#.", ".#.", "###"]),
    ('J', ["..#", "..#", "..#", "#.#", ".#."]),
    ('K', ["#.#", "#.#", "##.", "#.#", "#.#"]),
    ('L', ["#..", "#..", "#..", "#..", "###"]),
    ('M', ["#.#", "###", "###", "#.#", "#.#"]),
    ('N', ["##.", "#.#", "#.#", "#.#", "#.#"]),
    ('O', [".#.", "#.#", "#.#", "#.#", ".#."]),
    ('P', ["##.", "#.#", "##.", "#..", "#.."]),
    ('Q', [".#.", "#.#", "#.#", "###", ".##"]),
    ('R', ["##.", "#.#", "##.", "#.#", "#.#"]),
    ('S', [".##", "#..", ".#.", "..#", "##."]),
    ('T', ["###", ".#.", ".#.", ".#.", ".#."]),
    ('U', ["#.#", "#.#", "#.#", "#.#", "###"]),
    ('V', ["#.#", "#.#", "#.#", "#.#", ".#."]),
    ('W', ["#.#", "#.#", "###", "###", "#.#"]),
    ('X', ["#.#", "#.#", ".#.", "#.#", "#.#"]),
    ('Y', ["#.#", "#.#", ".#.", ".#.", ".#."]),
    ('Z', ["###", "..#", ".#.", "#..", "###"]),
];

/// The first words as a banner; the whole in plain letters below it would be no disguise.
pub(super) fn ascii_art(text: &str) -> String {
    const LETTERS: usize = 160;
    const WIDTH: usize = 16;
    let letters: Vec<char> = text.to_uppercase().chars().take(LETTERS).collect();
    let mut lines = Vec::new();
    for row in letters.chunks(WIDTH) {
        for y in 0..5 {
            let cells: Vec<String> = row.iter().map(|c| glyph(*c, y)).collect();
            lines.push(cells.join(" ").trim_end().to_owned());
        }
        lines.push(String::new());
    }
    lines.join("\n")
}

fn glyph(c: char, row: usize) -> String {
    let drawn = FONT.iter().find(|(letter, _)| *letter == c).and_then(|(_, rows)| rows.get(row));
    match drawn {
        Some(dots) => dots.replace('.', " "),
        // What the font does not draw stands in the middle row as it is.
        None if row == 2 => format!(" {c} "),
        None => "   ".to_owned(),
    }
}
