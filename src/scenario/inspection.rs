//! Collects the mistakes of one document at their places while its expressions are compiled.

use std::{ops::Range, sync::Arc};

use jsonschema::Validator;
use regex::Regex;
use serde_json::Value;

use super::names::{self, Names};
use crate::{
    expr::{Expr, Template},
    source::{Diagnostic, Document, Route},
    text,
};

/// One document under inspection, with what was found so far.
pub(crate) struct Inspection<'d> {
    document: &'d Document,
    found: Vec<Diagnostic>,
    names: Names,
}

impl<'d> Inspection<'d> {
    /// Begins with no mistakes.
    pub(crate) fn new(document: &'d Document) -> Self {
        Self { document, found: Vec::new(), names: Names::default() }
    }

    /// The document.
    pub(crate) fn document(&self) -> &'d Document {
        self.document
    }

    /// All mistakes.
    pub(crate) fn finish(self) -> Vec<Diagnostic> {
        self.found
    }

    /// Notes a mistake at the value of `route`.
    pub(crate) fn mistake(&mut self, route: &Route, message: impl Into<String>, hint: impl Into<String>) {
        self.note(self.document.span(route), message, hint);
    }

    /// Notes a mistake at the key of `route`.
    pub(crate) fn mistaken_key(&mut self, route: &Route, message: impl Into<String>, hint: impl Into<String>) {
        self.note(self.document.key_span(route), message, hint);
    }

    /// Notes a name that is not among the known ones.
    pub(crate) fn unknown(&mut self, route: &Route, message: String, name: &str, known: &[&str]) {
        self.mistake(route, message, suggestion(name, known));
    }

    /// The bytes of a word inside a span, or the span.
    fn word(&self, span: &Range<usize>, word: &str) -> Range<usize> {
        let text = self.document.file().text().get(span.clone()).unwrap_or_default();
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        text.match_indices(word)
            .map(|(at, _)| (at, at + word.len()))
            .find(|(from, to)| {
                let before = text.get(..*from).and_then(|head| head.chars().next_back());
                let after = text.get(*to..).and_then(|tail| tail.chars().next());
                !before.is_some_and(is_part) && !after.is_some_and(is_part)
            })
            .map_or_else(|| span.clone(), |(from, to)| span.start + from..span.start + to)
    }

    fn note(&mut self, span: Range<usize>, message: impl Into<String>, hint: impl Into<String>) {
        self.found.push(Diagnostic::error(message).at(self.document.file(), span).hint(hint));
    }

    /// Compiles CEL that may name `variables` only.
    pub(crate) fn expr(&mut self, route: &Route, source: &str, variables: &[&str]) -> Option<Expr> {
        let expr = match Expr::parse(source) {
            Ok(expr) => expr,
            Err(error) => {
                let hint = "CEL: `args.amount <= 50 && args.id in state.orders`, texts in single quotes";
                self.mistake(route, plainly(&error.to_string()), hint);
                return None;
            }
        };
        let span = self.document.span(route);
        let unknown = self.names.unknown_in(&expr, variables);
        for name in unknown.variables {
            let message = format!("nothing here is called `{name}`");
            self.note(self.word(&span, &name), message, suggestion(&name, variables));
        }
        for name in unknown.functions {
            let message = format!("there is no function `{name}`");
            self.note(self.word(&span, &name), message, suggestion(&name, names::COMMON_FUNCTIONS));
        }
        Some(expr)
    }

    /// Compiles a template that may name `variables` only; it stands at the value of `route`.
    pub(crate) fn template(&mut self, route: &Route, source: &str, variables: &[&str]) -> Option<Template> {
        self.template_at(self.document.span(route), source, variables)
    }

    /// Compiles a template that may name `variables` only; it is the key of `route`.
    pub(crate) fn template_key(&mut self, route: &Route, source: &str, variables: &[&str]) -> Option<Template> {
        self.template_at(self.document.key_span(route), source, variables)
    }

    fn template_at(&mut self, span: Range<usize>, source: &str, variables: &[&str]) -> Option<Template> {
        let template = match Template::parse(source) {
            Ok(template) => template,
            Err(error) => {
                let hint = "write `{{ args.name }}` for an argument";
                self.note(span, format!("not a template: {error}"), hint);
                return None;
            }
        };
        for name in names::unknown_in_template(source, variables) {
            let message = format!("nothing here is called `{name}`");
            self.note(self.word(&span, &name), message, suggestion(&name, variables));
        }
        Some(template)
    }

    /// Compiles a regular expression.
    pub(crate) fn pattern(&mut self, route: &Route, source: &str) -> Option<Regex> {
        match Regex::new(source) {
            Ok(pattern) => Some(pattern),
            Err(error) => {
                let message = error.to_string();
                let last = message.lines().last().unwrap_or_default().trim_start_matches("error: ");
                let hint = "escape `.`, `(`, `[` and `$` with `\\`; look-around and back-references do not exist";
                self.mistake(route, format!("not a regular expression: {last}"), hint);
                None
            }
        }
    }

    /// Compiles a JSON Schema.
    pub(crate) fn schema(&mut self, route: &Route, schema: &Value) -> Option<Arc<Validator>> {
        match jsonschema::validator_for(schema) {
            Ok(validator) => Some(Arc::new(validator)),
            Err(error) => {
                let path = error.instance_path().as_str();
                let inner = Route::pointer(format!("{route}{path}"));
                if path.ends_with("/type") {
                    let message = format!("{} is no type of JSON Schema", error.instance());
                    self.mistake(&inner, message, "one of: array, boolean, integer, null, number, object, string");
                } else {
                    let message = format!("not a JSON Schema: {}", text::shortened(&error.to_string(), 200));
                    self.mistake(&inner, message, "nothing is fetched: a `$ref` must stay inside this schema");
                }
                None
            }
        }
    }
}

fn suggestion(name: &str, known: &[&str]) -> String {
    match text::closest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "there are none to choose from".to_owned(),
        None => format!("there are: {}", text::shortened(&known.join(", "), 200)),
    }
}

/// The parser's message without its own counting of places and its list of tokens.
fn plainly(message: &str) -> String {
    let Some((head, tail)) = message.split_once("<input>:") else { return message.to_owned() };
    let rest = tail.split_once(": ").map_or(tail, |(_, rest)| rest).trim_start_matches("Syntax error: ");
    if rest.contains("<EOF>") || rest.starts_with("Incomplete") {
        return format!("{head}it ends too early");
    }
    let rest = rest.split(" expecting ").next().unwrap_or(rest);
    format!("{head}{rest}")
}
