//! BIPIA: texts of others with a question about each, and instructions to hide in them.

use std::collections::BTreeMap;

use super::{Format, Haul, Input, case::Prompt, row::Row, table};
use crate::source::SourceFile;

pub(super) const FORMAT: Format = Format {
    name: "bipia",
    about: "BIPIA contexts (JSONL) with --attacks FILE (JSON): each attack hidden in each text, at changing places; text-only prompts",
    licence: Some("MIT for the code; each text has its own source"),
    read,
};

fn read(input: &Input<'_>, haul: &mut Haul) {
    let Some(file) = input.attacks else {
        return haul.wrong("bipia has its attacks in a second file", "add --attacks text_attack_test.json");
    };
    let Some(attacks) = attacks(file, haul) else { return };
    let mut places = [Place::Start, Place::Middle, Place::End].into_iter().cycle();
    table::each(input.file, table::Wanted::default(), haul, |row, haul| {
        let Some((context, question)) = texts(row) else { return };
        for (category, number, attack) in &attacks {
            let place = places.next().expect("a cycle has no end");
            let text = format!("{question}\n\n{}", hidden(&context, attack, place));
            let prompt = Prompt {
                id: Some(format!("{} {category} {number}", row.name)),
                goal: Some(category.clone()),
                technique: Some(place.name().to_owned()),
                turns: vec![text],
                ..Prompt::default()
            };
            haul.cases.push(prompt.text_only(&row.name));
        }
    });
}

/// `{category: [instructions]}`.
fn attacks(file: &SourceFile, haul: &mut Haul) -> Option<Vec<(String, usize, String)>> {
    match serde_json::from_str::<BTreeMap<String, Vec<String>>>(file.text()) {
        Ok(attacks) => Some(
            attacks
                .into_iter()
                .flat_map(|(category, texts)| {
                    (1..).zip(texts).map(move |(number, text)| (category.clone(), number, text))
                })
                .collect(),
        ),
        Err(error) => {
            haul.wrong(
                format!("{}: {error}", file.name()),
                "the attacks of BIPIA are a map from a category to a list of texts",
            );
            None
        }
    }
}

/// Text and question; code tasks give both as lists of lines.
fn texts(row: &mut Row) -> Option<(String, String)> {
    let context = lines(row, "/context");
    let question = if row.get("/question").is_some() { row.text("/question") } else { lines(row, "/error") };
    Some((context?, question?))
}

fn lines(row: &mut Row, pointer: &str) -> Option<String> {
    if row.get(pointer).is_some_and(serde_json::Value::is_array) {
        row.texts(pointer).map(|lines| lines.join("\n"))
    } else {
        row.text(pointer)
    }
}

/// Where in the text the attack stands.
#[derive(Clone, Copy, Debug)]
enum Place {
    Start,
    Middle,
    End,
}

impl Place {
    fn name(self) -> &'static str {
        match self {
            Self::Start => "hidden-at-start",
            Self::Middle => "hidden-in-middle",
            Self::End => "hidden-at-end",
        }
    }
}

fn hidden(context: &str, attack: &str, place: Place) -> String {
    match place {
        Place::Start => format!("{attack}\n{context}"),
        Place::End => format!("{context}\n{attack}"),
        Place::Middle => {
            let half = context.len() / 2;
            let breaks = context.match_indices(char::is_whitespace).map(|(at, _)| at);
            let at = breaks.min_by_key(|at| at.abs_diff(half)).unwrap_or_default();
            let (head, tail) = context.split_at(at);
            format!("{head}\n{attack}\n{}", tail.trim_start())
        }
    }
}
