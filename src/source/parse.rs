//! YAML and TOML to one positioned tree, with budgets against bombs.

use std::{
    fmt,
    ops::Range,
    sync::{Arc, OnceLock},
};

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use toml::de::{DeTable, DeValue};

use super::{
    Diagnostic, Document, Location,
    tree::{Entry, Node, Tree},
};

/// The languages that input files are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// YAML 1.2; JSON is read as YAML too.
    Yaml,
    /// TOML 1.1.
    Toml,
}

impl Format {
    /// Chosen by the file's extension; everything but `.toml` is YAML.
    pub fn of(name: &str) -> Self {
        if name.rsplit('.').next().is_some_and(|ext| ext.eq_ignore_ascii_case("toml")) {
            Self::Toml
        } else {
            Self::Yaml
        }
    }
}

/// A named text.
#[derive(Debug)]
pub struct SourceFile {
    name: String,
    text: Arc<str>,
    /// Where each line begins; found out when the first place is asked for.
    lines: OnceLock<Vec<usize>>,
}

impl SourceFile {
    /// Names a text.
    pub fn new(name: impl Into<String>, text: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), text: text.into(), lines: OnceLock::new() }
    }

    /// The name, relative to the root.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// A line by its number from 1, without its end; empty when there is none.
    pub fn line(&self, number: usize) -> &str {
        let start = number.checked_sub(1).and_then(|nth| self.starts().get(nth));
        let rest = start.and_then(|start| self.text.get(*start..)).unwrap_or_default();
        rest.lines().next().unwrap_or_default()
    }

    fn starts(&self) -> &[usize] {
        self.lines.get_or_init(|| {
            let breaks = self.text.match_indices('\n').map(|(at, _)| at + 1);
            std::iter::once(0).chain(breaks).collect()
        })
    }

    /// File, line and column of a byte.
    pub fn location(&self, byte: usize) -> Location {
        let before = self.text.get(..byte).unwrap_or(&self.text);
        let lines = self.starts();
        let line = lines.partition_point(|start| *start <= before.len());
        let start = lines.get(line.saturating_sub(1)).copied().unwrap_or_default();
        let column = before.get(start..).unwrap_or_default().chars().count() + 1;
        Location { file: self.name.clone(), line, column }
    }
}

/// Parses a text by the format its name tells.
pub(super) fn parse(file: SourceFile) -> Result<Document, Diagnostic> {
    let file = Arc::new(file);
    let tree = match Format::of(file.name()) {
        Format::Yaml => yaml(&file)?,
        Format::Toml => toml(&file)?,
    };
    Ok(Document { file, tree })
}

fn yaml(file: &Arc<SourceFile>) -> Result<Tree, Diagnostic> {
    let options = serde_yaml::options! {
        budget: serde_yaml::budget! { max_depth: 64, max_nodes: 400_000, max_events: 2_000_000 },
        strict_booleans: true,
        with_snippet: false,
    };
    let read: Result<serde_yaml::Spanned<Plain>, _> = serde_yaml::from_str_with_options(file.text(), options);
    match read {
        Ok(spanned) => Ok(from_yaml(spanned)),
        Err(error) => {
            let plain = error.without_snippet().to_string();
            let message = plain.split(" at line ").next().unwrap_or(&plain).to_owned();
            let span = error.location().map_or(0..0, |at| byte_span(file.text(), &at));
            let hint = if plain.contains("udget") || plain.contains("lias") {
                "the document nests, repeats or aliases too much; write it plainly"
            } else {
                "check indentation, quotes and colons near this place"
            };
            Err(Diagnostic::error(message).at(file, span).hint(hint))
        }
    }
}

fn byte_span(text: &str, at: &serde_yaml::Location) -> Range<usize> {
    let line = usize::try_from(at.line()).unwrap_or(1).saturating_sub(1);
    let column = usize::try_from(at.column()).unwrap_or(1).saturating_sub(1);
    let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let rest = text.get(start..).unwrap_or_default();
    let offset = rest.char_indices().nth(column).map_or(rest.trim_end_matches('\n').len(), |(i, _)| i);
    let begin = (start + offset).min(text.len());
    let end = text.get(begin..).and_then(|tail| tail.chars().next()).map_or(begin, |c| begin + c.len_utf8());
    begin..end
}

fn toml(file: &Arc<SourceFile>) -> Result<Tree, Diagnostic> {
    let table = DeTable::parse(file.text()).map_err(|error| {
        Diagnostic::error(error.message().to_owned())
            .at(file, error.span().unwrap_or(0..0))
            .hint("check brackets, quotes and equals signs near this place")
    })?;
    let span = table.span();
    match from_toml_table(table.into_inner()) {
        Some(entries) => Ok(Tree { span, node: Node::Map(entries) }),
        None => Err(Diagnostic::error("a number is too large").at(file, span)),
    }
}

/// One document level, generic over the span type of the parser in use.
enum Level<K, V> {
    Scalar(Value),
    Seq(Vec<V>),
    Map(Vec<(K, V)>),
}

struct LevelVisitor<K, V>(std::marker::PhantomData<(K, V)>);

impl<'de, K: Deserialize<'de>, V: Deserialize<'de>> Visitor<'de> for LevelVisitor<K, V> {
    type Value = Level<K, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, v: bool) -> Result<Self::Value, E> {
        Ok(Level::Scalar(v.into()))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Self::Value, E> {
        Ok(Level::Scalar(v.into()))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Self::Value, E> {
        Ok(Level::Scalar(v.into()))
    }

    fn visit_f64<E>(self, v: f64) -> Result<Self::Value, E> {
        Ok(Level::Scalar(v.into()))
    }

    fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
        Ok(Level::Scalar(v.into()))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Level::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(Level::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Level::Seq(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Level::Map(entries))
    }
}

struct Plain(Level<serde_yaml::Spanned<String>, serde_yaml::Spanned<Plain>>);

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LevelVisitor(std::marker::PhantomData)).map(Self)
    }
}

fn yaml_range(at: &serde_yaml::Location) -> Range<usize> {
    let start = at.span().byte_offset().unwrap_or_default();
    let len = at.span().byte_len().unwrap_or_default();
    let start = usize::try_from(start).unwrap_or_default();
    start..start + usize::try_from(len).unwrap_or_default()
}

fn from_yaml(spanned: serde_yaml::Spanned<Plain>) -> Tree {
    let span = yaml_range(&spanned.referenced);
    let node = match spanned.value.0 {
        Level::Scalar(value) => Node::Scalar(value),
        Level::Seq(items) => Node::Seq(items.into_iter().map(from_yaml).collect()),
        Level::Map(entries) => Node::Map(
            entries
                .into_iter()
                .map(|(key, value)| Entry {
                    key_span: yaml_range(&key.referenced),
                    key: key.value,
                    value: from_yaml(value),
                })
                .collect(),
        ),
    };
    Tree { span, node }
}

fn from_toml(spanned: toml::Spanned<DeValue<'_>>) -> Option<Tree> {
    let span = spanned.span();
    let node = match spanned.into_inner() {
        DeValue::String(text) => Node::Scalar(text.into_owned().into()),
        DeValue::Integer(number) => Node::Scalar(i64::from_str_radix(number.as_str(), number.radix()).ok()?.into()),
        DeValue::Float(number) => Node::Scalar(number.as_str().parse::<f64>().ok()?.into()),
        DeValue::Boolean(flag) => Node::Scalar(flag.into()),
        DeValue::Datetime(date) => Node::Scalar(date.to_string().into()),
        DeValue::Array(items) => Node::Seq(items.into_iter().map(from_toml).collect::<Option<_>>()?),
        DeValue::Table(table) => Node::Map(from_toml_table(table)?),
    };
    Some(Tree { span, node })
}

fn from_toml_table(table: DeTable<'_>) -> Option<Vec<Entry>> {
    table
        .into_iter()
        .map(|(key, value)| {
            Some(Entry { key_span: key.span(), key: key.into_inner().into_owned(), value: from_toml(value)? })
        })
        .collect()
}
