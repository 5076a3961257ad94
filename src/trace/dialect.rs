//! The table of names: what a span tells of, and under which attributes. Must hold no name of an attribute itself.

use std::{collections::BTreeMap, sync::LazyLock};

use serde::Deserialize;
use serde_json::Value;

use super::SentSpan;
use crate::{
    record::SpanKind,
    source::{SourceFile, load_text},
};

/// The table that is shipped.
pub(super) static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let file = SourceFile::new("dialects.yaml", include_str!("dialects.yaml"));
    let told = load_text::<Value>(file).expect("the shipped table is YAML").value;
    serde_json::from_value(told).expect("the shipped table has this form")
});

/// Names of attributes by what they say.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    /// Goes up when a line changes its meaning.
    #[expect(dead_code, reason = "for those who read the table")]
    version: u32,
    kinds: Vec<Rule>,
    names: ByKind,
    inputs: ByKind,
    outputs: ByKind,
    pub(super) call_ids: Vec<String>,
    pub(super) tokens_in: Vec<String>,
    pub(super) tokens_out: Vec<String>,
    pub(super) usd: Vec<String>,
    pub(super) errors: Vec<String>,
    tool_spans: Vec<String>,
    wrapped: Vec<Wrap>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    kind: SpanKind,
    dialect: String,
    name: Option<String>,
    scope: Option<String>,
    #[serde(default)]
    when: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ByKind {
    tool: Vec<String>,
    model: Vec<String>,
    agent: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wrap {
    has: String,
    take: String,
}

impl ByKind {
    fn of(&self, kind: SpanKind) -> &[String] {
        match kind {
            SpanKind::Tool => &self.tool,
            SpanKind::Model => &self.model,
            SpanKind::Agent => &self.agent,
        }
    }
}

impl Rule {
    fn fits(&self, span: &SentSpan) -> bool {
        let is_named = self.name.as_deref().is_none_or(|pattern| within(pattern, &span.name).is_some());
        let is_scoped = self.scope.as_deref().is_none_or(|scope| span.scope.starts_with(scope));
        is_named
            && is_scoped
            && self.when.iter().all(|(key, wanted)| span.attributes.get(key).is_some_and(|value| is_one(value, wanted)))
    }
}

fn is_one(value: &Value, wanted: &[String]) -> bool {
    let text = value.as_str();
    wanted.iter().any(|one| one == "*" || text.is_some_and(|text| text.eq_ignore_ascii_case(one)))
}

/// What stands for the first `*` of a pattern with one or two; nothing when the text is another.
fn within<'t>(pattern: &str, text: &'t str) -> Option<&'t str> {
    let Some((head, rest)) = pattern.split_once('*') else { return (pattern == text).then_some("") };
    let inner = text.strip_prefix(head)?;
    match rest.split_once('*') {
        None => inner.strip_suffix(rest),
        Some((middle, tail)) => {
            let (first, last) = inner.split_once(middle)?;
            last.ends_with(tail).then_some(first)
        }
    }
}

impl Table {
    /// What a span tells of, and by which convention.
    pub(super) fn kind(&self, span: &SentSpan) -> Option<(SpanKind, &str)> {
        self.kinds.iter().find(|rule| rule.fits(span)).map(|rule| (rule.kind, rule.dialect.as_str()))
    }

    /// The tool, model or agent; empty when the span does not name it.
    pub(super) fn name(&self, kind: SpanKind, span: &SentSpan) -> String {
        let told = first(self.names.of(kind), span).and_then(Value::as_str).filter(|name| !name.is_empty());
        let told = told.or_else(|| {
            let mut patterns = self.tool_spans.iter().filter(|_| kind == SpanKind::Tool);
            patterns.find_map(|pattern| within(pattern, &span.name)).filter(|name| !name.is_empty())
        });
        told.unwrap_or_default().to_owned()
    }

    /// Arguments, prompt or task.
    pub(super) fn input(&self, kind: SpanKind, span: &SentSpan) -> Value {
        let found = content(self.inputs.of(kind), span);
        let inner = self.wrapped.iter().find(|wrap| kind == SpanKind::Tool && found.get(&wrap.has).is_some());
        match inner {
            Some(wrap) => found.get(&wrap.take).map(opened).unwrap_or_default(),
            None => found,
        }
    }

    /// Result or answer.
    pub(super) fn output(&self, kind: SpanKind, span: &SentSpan) -> Value {
        content(self.outputs.of(kind), span)
    }

    /// Whether the attribute is read as one of these; what else a span says is kept beside them.
    pub(super) fn reads(&self, kind: SpanKind, key: &str) -> bool {
        let lists = [self.names.of(kind), self.inputs.of(kind), self.outputs.of(kind), &self.call_ids];
        lists.into_iter().flatten().any(|name| key == name)
    }
}

/// The first attribute of a list that a span has.
pub(super) fn first<'s>(keys: &[String], span: &'s SentSpan) -> Option<&'s Value> {
    keys.iter().find_map(|key| span.attributes.get(key)).filter(|value| !value.is_null())
}

/// The same where a convention spreads a list over numbered attributes (`llm.input_messages.0.message.role`).
fn content(keys: &[String], span: &SentSpan) -> Value {
    for key in keys {
        if let Some(value) = span.attributes.get(key).filter(|value| !value.is_null()) {
            return opened(value);
        }
        let head = format!("{key}.");
        let spread: serde_json::Map<String, Value> = span
            .attributes
            .range(head.clone()..)
            .take_while(|(name, _)| name.starts_with(&head))
            .filter(|(name, _)| name.as_bytes().get(head.len()).is_some_and(u8::is_ascii_digit))
            .map(|(name, value)| (name.trim_start_matches(&head).to_owned(), value.clone()))
            .collect();
        if !spread.is_empty() {
            return Value::Object(spread);
        }
    }
    Value::Null
}

/// A text that is a JSON object or list as that value.
fn opened(value: &Value) -> Value {
    let text = value.as_str().map(str::trim_start).filter(|text| text.starts_with(['{', '[']));
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_else(|| value.clone())
}
