//! YAML events to one positioned tree, with budgets against bombs. Plain scalars mean what YAML 1.2 says; `yes` and
//! `on` are texts. Must not know what a document is for.

use std::{borrow::Cow, collections::BTreeMap, ops::Range, sync::Arc};

use granit_parser::{Event, Options, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};
use serde_json::Value;

use super::{
    Diagnostic, SourceFile,
    tree::{Entry, Node, Tree},
};

/// Deepest nesting.
const MAX_DEPTH: usize = 64;
/// Most nodes, those that aliases repeat counted.
const MAX_NODES: usize = 400_000;
/// Most bytes of text that aliases repeat.
const MAX_REPEATED_BYTES: usize = 4 * 1024 * 1024;

/// Parses a YAML text of one document.
pub(super) fn yaml(file: &Arc<SourceFile>) -> Result<Tree, Diagnostic> {
    let mut options = Options::default();
    options.set_emit_comments(false);
    let events = Parser::new_from_str_with_options(file.text(), options);
    let mut composer = Composer { events, nodes: 0, repeated: 0, anchors: BTreeMap::new() };
    composer.document().map_err(|slip| {
        let hint = if slip.is_bomb {
            "the document nests, repeats or aliases too much; write it plainly"
        } else {
            "check indentation, quotes and colons near this place"
        };
        Diagnostic::error(slip.message).at(file, first_letter(file.text(), &slip.span)).hint(hint)
    })
}

/// The letter at which a slip begins; what is underlined stays on one line.
fn first_letter(text: &str, span: &Range<usize>) -> Range<usize> {
    let begin = span.start.min(text.len());
    let letter = text.get(begin..).and_then(|tail| tail.chars().next()).filter(|c| *c != '\n');
    begin..letter.map_or(begin, |c| begin + c.len_utf8())
}

struct Slip {
    message: String,
    span: Range<usize>,
    is_bomb: bool,
}

impl Slip {
    fn new(message: impl Into<String>, span: Range<usize>) -> Self {
        Self { message: message.into(), span, is_bomb: false }
    }

    fn bomb(message: &str, span: Range<usize>) -> Self {
        Self { is_bomb: true, ..Self::new(message, span) }
    }
}

impl From<ScanError> for Slip {
    fn from(error: ScanError) -> Self {
        let at = error.marker().byte_offset().unwrap_or_default();
        Self::new(error.info(), at..at)
    }
}

fn range(span: &Span) -> Range<usize> {
    let start = span.start.byte_offset().unwrap_or_default();
    start..span.end.byte_offset().unwrap_or(start).max(start)
}

struct Composer<'t> {
    events: Parser<'t, StrInput<'t>>,
    nodes: usize,
    repeated: usize,
    anchors: BTreeMap<usize, Tree>,
}

impl<'t> Composer<'t> {
    fn next(&mut self) -> Result<(Event<'t>, Range<usize>), Slip> {
        match self.events.next() {
            Some(event) => event.map(|(event, span)| (event, range(&span))).map_err(Slip::from),
            None => Ok((Event::StreamEnd, 0..0)),
        }
    }

    fn document(&mut self) -> Result<Tree, Slip> {
        let tree = loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentStart(..), _) => {}
                (Event::StreamEnd, span) => return Ok(Tree { span, node: Node::Scalar(Value::Null) }),
                (event, span) => break self.node(event, span, 0)?,
            }
        };
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(tree),
                (Event::DocumentStart(..), span) => {
                    return Err(Slip::new("a second document begins where one is expected", span));
                }
                _ => {}
            }
        }
    }

    fn node(&mut self, event: Event<'t>, span: Range<usize>, depth: usize) -> Result<Tree, Slip> {
        self.nodes += 1;
        if depth > MAX_DEPTH || self.nodes > MAX_NODES {
            return Err(Slip::bomb("the document is nested too deeply or has too many values", span));
        }
        let (node, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                (Node::Scalar(scalar(text, style, tag.as_deref(), &span)?), anchor)
            }
            Event::SequenceStart(_, anchor, _) => (Node::Seq(self.items(depth)?), anchor),
            Event::MappingStart(_, anchor, _) => (Node::Map(self.entries(depth)?), anchor),
            Event::Alias(anchor) => (self.repeat(anchor, &span)?, 0),
            _ => return Err(Slip::new("a value is missing", span)),
        };
        let tree = Tree { span, node };
        if anchor > 0 {
            self.anchors.insert(anchor, tree.clone());
        }
        Ok(tree)
    }

    fn items(&mut self, depth: usize) -> Result<Vec<Tree>, Slip> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn entries(&mut self, depth: usize) -> Result<Vec<Entry>, Slip> {
        let mut entries = Vec::new();
        let mut merged = Vec::new();
        loop {
            let (key, key_span, is_merge) = match self.next()? {
                (Event::MappingEnd, _) => break,
                (event, span) => self.key(event, span)?,
            };
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            if is_merge {
                merged.extend(merge(value, &key_span)?);
            } else {
                entries.push(Entry { key, key_span, value });
            }
        }
        if let Some(doubled) = doubled(&entries) {
            return Err(Slip::new(format!("duplicate key `{}`", doubled.key), doubled.key_span.clone()));
        }
        // What the map says itself outweighs what it takes over, and the first that is taken over the next.
        for entry in merged {
            if entries.iter().all(|own| own.key != entry.key) {
                entries.push(entry);
            }
        }
        Ok(entries)
    }

    /// A key, its place, and whether it takes over another map.
    fn key(&mut self, event: Event<'t>, span: Range<usize>) -> Result<(String, Range<usize>, bool), Slip> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_plain = style == ScalarStyle::Plain && tag.is_none();
                // A tag of an application changes nothing of what a plain text means.
                if style == ScalarStyle::Plain && is_null(&text) && !tag.as_deref().is_some_and(makes_text) {
                    return Err(Slip::new("a key is missing", span));
                }
                let is_merge = is_plain && text == "<<";
                if anchor > 0 {
                    let node = Node::Scalar(scalar(text.clone(), style, tag.as_deref(), &span)?);
                    self.anchors.insert(anchor, Tree { span: span.clone(), node });
                }
                Ok((text.into_owned(), span, is_merge))
            }
            Event::Alias(anchor) => match self.repeat(anchor, &span)? {
                Node::Scalar(Value::String(text)) => Ok((text, span, false)),
                Node::Scalar(_) | Node::Seq(_) | Node::Map(_) => Err(Slip::new("a key must be a text", span)),
            },
            _ => Err(Slip::new("a key must be a text", span)),
        }
    }

    /// What an alias stands for.
    fn repeat(&mut self, anchor: usize, span: &Range<usize>) -> Result<Node, Slip> {
        let Some(tree) = self.anchors.get(&anchor) else {
            return Err(Slip::bomb("an alias stands inside what it repeats", span.clone()));
        };
        let (nodes, bytes) = weight(tree);
        self.nodes += nodes;
        self.repeated += bytes;
        if self.nodes > MAX_NODES || self.repeated > MAX_REPEATED_BYTES {
            return Err(Slip::bomb("aliases repeat too much", span.clone()));
        }
        Ok(tree.node.clone())
    }
}

/// Nodes and bytes of text below and at a node.
fn weight(tree: &Tree) -> (usize, usize) {
    let sum = |(nodes, bytes): (usize, usize), (more, text): (usize, usize)| (nodes + more, bytes + text);
    match &tree.node {
        Node::Scalar(Value::String(text)) => (1, text.len()),
        Node::Scalar(_) => (1, 0),
        Node::Seq(items) => items.iter().map(weight).fold((1, 0), sum),
        Node::Map(entries) => {
            entries.iter().map(|entry| sum(weight(&entry.value), (1, entry.key.len()))).fold((1, 0), sum)
        }
    }
}

/// The entries that a map takes over from another one, or from several.
fn merge(value: Tree, at: &Range<usize>) -> Result<Vec<Entry>, Slip> {
    match value.node {
        Node::Map(entries) => Ok(entries),
        Node::Seq(items) => {
            let lists: Vec<Vec<Entry>> = items.into_iter().map(|item| merge(item, at)).collect::<Result<_, _>>()?;
            Ok(lists.into_iter().flatten().collect())
        }
        Node::Scalar(_) => Err(Slip::new("`<<` takes over maps only", at.clone())),
    }
}

/// The second entry of a key.
fn doubled(entries: &[Entry]) -> Option<&Entry> {
    let mut sorted: Vec<&Entry> = entries.iter().collect();
    sorted.sort_by(|a, b| a.key.cmp(&b.key));
    let pairs = sorted.iter().zip(sorted.iter().skip(1));
    pairs.filter(|(first, second)| first.key == second.key).map(|(_, second)| *second).min_by_key(|e| e.key_span.start)
}

fn scalar(text: Cow<'_, str>, style: ScalarStyle, tag: Option<&Tag>, span: &Range<usize>) -> Result<Value, Slip> {
    let unfit = |kind: &str| Slip::new(format!("`{text}` is not {kind}, as its tag says"), span.clone());
    match tag.and_then(Tag::core_suffix) {
        Some("null") => return Ok(Value::Null),
        Some("bool") => return truth(&text).map(Value::Bool).ok_or_else(|| unfit("true or false")),
        Some("int") => return whole(&text).ok_or_else(|| unfit("a whole number")),
        Some("float") => return fraction(&text, span)?.ok_or_else(|| unfit("a number")),
        Some(_) => return Ok(text.into_owned().into()),
        None => {}
    }
    let is_text = style != ScalarStyle::Plain || tag.is_some_and(makes_text);
    if is_text {
        return Ok(text.into_owned().into());
    }
    if is_null(&text) {
        return Ok(Value::Null);
    }
    if let Some(truth) = truth(&text) {
        return Ok(truth.into());
    }
    // Every number begins with a digit, a sign or a point.
    if text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'))
        && let Some(number) = whole(&text).map_or_else(|| fraction(&text, span), |whole| Ok(Some(whole)))?
    {
        return Ok(number);
    }
    Ok(text.into_owned().into())
}

/// Whether a tag says that a scalar is a text, whatever it looks like.
fn makes_text(tag: &Tag) -> bool {
    tag.parts() == ("", "!") || tag.core_suffix() == Some("str")
}

fn is_null(text: &str) -> bool {
    text.is_empty() || text == "~" || text.eq_ignore_ascii_case("null")
}

fn truth(text: &str) -> Option<bool> {
    let is = |word: &str| text.eq_ignore_ascii_case(word);
    if is("true") { Some(true) } else { is("false").then_some(false) }
}

/// `12`, `-3`, `0x1f`, `0o17`, `0b101`, `1_000`. A leading zero makes no whole number.
fn whole(text: &str) -> Option<Value> {
    let (is_negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let marks = [("0x", 16), ("0X", 16), ("0o", 8), ("0O", 8), ("0b", 2), ("0B", 2)];
    let marked = marks.iter().find_map(|(mark, radix)| Some((rest.strip_prefix(mark)?, *radix)));
    let (digits, radix) = marked.unwrap_or((rest, 10));
    let is_padded = radix == 10 && digits.starts_with('0') && digits != "0";
    let is_grouped = digits.split('_').all(|group| !group.is_empty() && group.chars().all(|c| c.is_digit(radix)));
    if is_padded || !is_grouped {
        return None;
    }
    let size = i128::from_str_radix(&digits.replace('_', ""), radix).ok()?;
    if is_negative { i64::try_from(-size).ok().map(Value::from) } else { u64::try_from(size).ok().map(Value::from) }
}

/// A number with a point or an exponent. What is not finite is no JSON and refused.
fn fraction(text: &str, span: &Range<usize>) -> Result<Option<Value>, Slip> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_named = [".nan", ".inf"].iter().any(|name| unsigned.eq_ignore_ascii_case(name));
    let is_numeric = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let Some(number) = text.parse::<f64>().ok().filter(|_| is_numeric) else {
        let refused = || Slip::new(format!("`{text}` is no number that can be compared"), span.clone());
        return if is_named { Err(refused()) } else { Ok(None) };
    };
    if number.is_finite() {
        Ok(Some(number.into()))
    } else {
        Err(Slip::new(format!("`{text}` is too large for a number"), span.clone()))
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use proptest::prelude::{prop_assert_eq, proptest};
    use serde_json::Value;

    use super::yaml;
    use crate::source::SourceFile;

    fn read(text: &str) -> Option<Value> {
        yaml(&SourceFile::new("a.yaml", text).into()).ok().map(|tree| tree.to_value())
    }

    /// What an independent reader says.
    fn theirs(text: &str) -> Option<Value> {
        let options = serde_yaml::options! { strict_booleans: true };
        serde_yaml::from_str_with_options(text, options).ok()
    }

    fn below(folder: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if entry.is_dir() {
                below(&entry, found);
            } else if entry.extension().is_some_and(|e| e == "yaml" || e == "yml" || e == "json") {
                found.push(fs::read_to_string(entry).expect("a text"));
            }
        }
    }

    #[test]
    fn an_independent_reader_agrees_on_every_file_of_this_repository() {
        let mut texts = Vec::new();
        for folder in ["checks", "scenarios", "fixtures"] {
            below(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut texts);
        }
        assert!(texts.len() > 300, "{} files", texts.len());
        for text in texts {
            assert_eq!(read(&text), theirs(&text), "{text}");
        }
    }

    #[test]
    fn an_independent_reader_agrees_on_every_form() {
        for text in [
            "",
            "~",
            "# only a comment",
            "a: 1",
            "a: -1\nb: +2\nc: 0x1F\nd: 0o17\ne: 0b11\nf: 1_000",
            "a: 0127",
            "a: -0127",
            "a: 1.5\nb: .5\nc: 1.\nd: 1e3\ne: -2.5E-1",
            "a: 1e999",
            "a: .inf",
            "a: -.INF",
            "a: .nan",
            "a: inf",
            "a: nan",
            "a: 18446744073709551615",
            "a: 18446744073709551616",
            "a: -9223372036854775808",
            "a: 1__0",
            "a: _1",
            "a: 1_",
            "a: true\nb: FALSE\nc: yes\nd: on\ne: 'true'",
            "a: null\nb: Null\nc: ~\nd:\ne: ''",
            "a: 2026-11-21",
            "a: 12:30:45",
            "a: -",
            "a: +",
            "a: .",
            "a: ..",
            "a: 0x",
            "a: 0xg",
            "a: !!str 12",
            "a: ! 12",
            "a: !!int '7'",
            "a: !!int x",
            "a: !!float 1",
            "a: !!bool yes",
            "a: !!null x",
            "a: !custom 12",
            "a: !custom {b: 1}",
            "a: |\n  one\n  two\nb: >-\n  one\n  two\n",
            "a: \"\\u00e9\\n\"",
            "a: [1, [2], {b: 3}]",
            "{a: 1, b: [c, d]}",
            "1: a\ntrue: b\nnull: c",
            "? a\n: b",
            "? [a]\n: b",
            ": b",
            "!a : b",
            "? !a\n: b",
            "! : b",
            "!!str : b",
            "!!null : b",
            "!!int : b",
            "!a ~: b",
            "a: 1\na: 2",
            "a: {b: 1, c: 2, b: 3}",
            "a: [1",
            "a: b: c",
            "\ta: 1",
            "a: 1\n---\nb: 2",
            "---\na: 1\n...\n",
            "--- 5",
            "a: &x {k: 1}\nb: *x\nc: [*x, *x]",
            "a: *gone",
            "a: &x [*x]",
            "b: &x {k: 1, m: 2}\nc:\n  <<: *x\n  k: 3",
            "b: &x {k: 1}\nd: &y {k: 2, n: 4}\nc:\n  <<: [*x, *y]\n  z: 3",
            "c:\n  <<: 5",
            "a: &k name\n*k : 5",
            "- a\n- b: 1\n  c: 2\n-\n  - d",
            "a: 'it''s'",
            "a: @b",
            "a: `b",
            "%YAML 1.2\n---\na: 1",
        ] {
            assert_eq!(read(text), theirs(text), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn an_independent_reader_agrees_on_scalars(text in "[-+._0-9a-fxobeEXNnulTtrsy~]{1,8}") {
            let text = format!("a: {text}\n");
            prop_assert_eq!(read(&text), theirs(&text));
        }

        #[test]
        fn an_independent_reader_agrees_on_structure(text in "([-?:,{}\\[\\]&*!|>'\"#]| |\n|\n  |a|b|1|: |- ){1,24}") {
            prop_assert_eq!(read(&text), theirs(&text));
        }
    }
}
