//! A parsed document: plain JSON values for readers, byte spans for diagnostics.

use std::{borrow::Cow, fmt, ops::Range, sync::Arc};

use serde_json::{Map, Value};

use super::{Location, parse::SourceFile};

/// A place inside a document, as a JSON Pointer (RFC 6901): `/tools/issue_refund/allow`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Route(String);

impl Route {
    /// The whole document.
    pub fn root() -> Self {
        Self::default()
    }

    /// Takes a JSON Pointer as it is written.
    pub fn pointer(pointer: impl Into<String>) -> Self {
        Self(pointer.into())
    }

    /// The place one key or index below this one.
    #[must_use]
    pub fn join(&self, key: impl fmt::Display) -> Self {
        let key = key.to_string();
        let key = if key.contains(['~', '/']) { key.replace('~', "~0").replace('/', "~1") } else { key };
        Self(format!("{}/{key}", self.0))
    }

    /// The pointer itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The unescaped keys from the root down.
    pub fn keys(&self) -> impl Iterator<Item = String> {
        self.parts().map(Cow::into_owned)
    }

    /// [`Self::keys`], those borrowed that hold no escape.
    fn parts(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.0.split('/').skip(1).map(|key| {
            if key.contains('~') { Cow::Owned(key.replace("~1", "/").replace("~0", "~")) } else { Cow::Borrowed(key) }
        })
    }

    /// How many keys lead from the root down.
    pub(super) fn depth(&self) -> usize {
        self.0.matches('/').count()
    }

    /// The place as people write it: `tools.issue_refund.allow`.
    pub fn dotted(&self) -> String {
        let pointer = self.0.strip_prefix('/').unwrap_or_default();
        if pointer.contains('~') { self.keys().collect::<Vec<_>>().join(".") } else { pointer.replace('/', ".") }
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A value with the bytes it was read from.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    pub(super) span: Range<usize>,
    pub(super) node: Node,
}

#[derive(Debug, Clone)]
pub(super) enum Node {
    Scalar(Value),
    Seq(Vec<Tree>),
    Map(Vec<Entry>),
}

#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_span: Range<usize>,
    pub(super) value: Tree,
}

impl Tree {
    pub(super) fn to_value(&self) -> Value {
        match &self.node {
            Node::Scalar(value) => value.clone(),
            Node::Seq(items) => Value::Array(items.iter().map(Self::to_value).collect()),
            Node::Map(entries) => {
                Value::Object(entries.iter().map(|e| (e.key.clone(), e.value.to_value())).collect::<Map<_, _>>())
            }
        }
    }

    fn child(&self, key: &str) -> Option<(Option<&Entry>, &Tree)> {
        match &self.node {
            Node::Scalar(_) => None,
            Node::Seq(items) => items.get(key.parse::<usize>().ok()?).map(|tree| (None, tree)),
            Node::Map(entries) => entries.iter().find(|e| e.key == key).map(|e| (Some(e), &e.value)),
        }
    }
}

/// What of a value a tree does not have, if anything.
fn rest(tree: Option<&Tree>, wanted: &Value) -> Option<Value> {
    match (tree, wanted) {
        (None, wanted) => Some(wanted.clone()),
        (Some(tree @ Tree { node: Node::Map(_), .. }), Value::Object(entries)) => {
            let lacking = entries.iter().filter_map(|(key, wanted)| {
                Some((key.clone(), rest(tree.child(key).map(|(_, child)| child), wanted)?))
            });
            let lacking: Map<String, Value> = lacking.collect();
            (!lacking.is_empty()).then_some(Value::Object(lacking))
        }
        (Some(_), _) => None,
    }
}

/// A file together with what it says and where it says it.
#[derive(Debug, Clone)]
pub struct Document {
    pub(super) file: Arc<SourceFile>,
    pub(super) tree: Tree,
}

impl Document {
    /// The file behind the document.
    pub fn file(&self) -> &Arc<SourceFile> {
        &self.file
    }

    /// The content without positions.
    pub fn value(&self) -> Value {
        self.tree.to_value()
    }

    /// The bytes of the value at `route`, or of its nearest parent that exists (for a parent map: its key).
    pub fn span(&self, route: &Route) -> Range<usize> {
        let mut tree = &self.tree;
        let mut span = self.first_byte();
        for key in route.parts() {
            let Some((entry, child)) = tree.child(&key) else { return span };
            span = match (&child.node, entry) {
                (Node::Map(_) | Node::Seq(_), Some(entry)) => entry.key_span.clone(),
                _ => child.span.clone(),
            };
            tree = child;
        }
        span
    }

    /// The bytes of the key at `route`, else what [`Document::span`] gives.
    pub fn key_span(&self, route: &Route) -> Range<usize> {
        let mut tree = &self.tree;
        let mut span = self.first_byte();
        for key in route.parts() {
            let Some((entry, child)) = tree.child(&key) else { return span };
            span = entry.map_or_else(|| child.span.clone(), |entry| entry.key_span.clone());
            tree = child;
        }
        span
    }

    /// What of `wanted` is not written down: the deepest place below which all of it belongs, and the rest.
    pub fn lacking(&self, wanted: &Value) -> Option<(Route, Value)> {
        let mut rest = rest(Some(&self.tree), wanted)?;
        let (mut route, mut tree) = (Route::root(), &self.tree);
        while let Value::Object(entries) = &rest
            && let (1, Some((key, below))) = (entries.len(), entries.iter().next())
            && let Some((_, child @ Tree { node: Node::Map(_), .. })) = tree.child(key)
        {
            (route, tree) = (route.join(key), child);
            rest = below.clone();
        }
        Some((route, rest))
    }

    /// The bytes of the deepest part of `route` that is written down, and how many of its keys lead there: of a scalar its
    /// key and value, of a map or list its key.
    pub(super) fn nearest(&self, route: &Route) -> (Range<usize>, usize) {
        let mut tree = &self.tree;
        let mut found = (self.first_byte(), 0);
        for (nth, key) in route.parts().enumerate() {
            let Some((entry, child)) = tree.child(&key) else { return found };
            let key = entry.map_or(&child.span, |entry| &entry.key_span);
            let span = match &child.node {
                Node::Scalar(_) => key.start..child.span.end.max(key.end),
                Node::Map(_) | Node::Seq(_) => key.clone(),
            };
            found = (span, nth + 1);
            tree = child;
        }
        found
    }

    /// File, line and column of `route`, by its key.
    pub fn locate(&self, route: &Route) -> Location {
        self.file.location(self.key_span(route).start)
    }

    fn first_byte(&self) -> Range<usize> {
        let start = self.tree.span.start.min(self.file.text().len());
        start..start.saturating_add(1).min(self.file.text().len())
    }
}
