//! Problems at a place, and the one way they are shown.

use std::{fmt, ops::Range, sync::Arc};

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::SourceFile;

/// Where something stands, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Location {
    /// The file, relative to the repository root where possible.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The input can't be used.
    Error,
    /// The input can be used, but says something doubtful.
    Warning,
    /// Information only.
    Note,
}

/// One problem, with its place and what to do about it.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong: a lowercase fragment.
    pub message: String,
    /// The file and bytes it speaks of, if it speaks of any.
    pub place: Option<(Arc<SourceFile>, Range<usize>)>,
    /// A short text below the underlined bytes.
    pub label: Option<String>,
    /// What to do.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// An error that has no place in a file.
    pub fn error(message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, message: message.into(), place: None, label: None, hint: None }
    }

    /// A warning that has no place in a file.
    pub fn warning(message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(message) }
    }

    /// Puts the problem at bytes of a file.
    #[must_use]
    pub fn at(mut self, file: &Arc<SourceFile>, span: Range<usize>) -> Self {
        self.place = Some((Arc::clone(file), span));
        self
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds a text below the underlined bytes.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// The place as file, line and column.
    pub fn location(&self) -> Option<Location> {
        self.place.as_ref().map(|(file, span)| file.location(span.start))
    }
}

/// All problems of an input, at least one of them an error.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", .0.iter().map(|d| match d.location() { Some(at) => format!("{at}: {}", d.message), None => d.message.clone() }).collect::<Vec<_>>().join("; "))]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self(vec![diagnostic])
    }
}

/// Renders problems in the manner of rustc, in the order of their places.
pub fn render(diagnostics: &[Diagnostic], color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let mut sorted: Vec<_> = diagnostics.iter().collect();
    sorted.sort_by_key(|d| (d.severity, d.location()));
    let blocks: Vec<String> = sorted.into_iter().map(|d| renderer.render(&[group(d)])).collect();
    blocks.join("\n\n")
}

fn group(diagnostic: &Diagnostic) -> Group<'_> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let title = level.primary_title(crate::text::printable(&diagnostic.message));
    let mut group = match &diagnostic.place {
        Some((file, span)) => title.element(
            Snippet::source(file.text())
                .path(file.name())
                .annotation(AnnotationKind::Primary.span(span.clone()).label(diagnostic.label.as_deref())),
        ),
        None => Group::with_title(title),
    };
    if let Some(hint) = &diagnostic.hint {
        group = group.element(Level::HELP.message(crate::text::printable(hint)));
    }
    group
}
