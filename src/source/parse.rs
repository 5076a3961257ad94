//! Named texts, and TOML to a positioned tree; `compose` does so for YAML.

use std::sync::{Arc, OnceLock};

use toml::de::{DeTable, DeValue};

use super::{
    Diagnostic, Document, Location, compose,
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
        Format::Yaml => compose::yaml(&file)?,
        Format::Toml => toml(&file)?,
    };
    Ok(Document { file, tree })
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
