//! `PromQL` as far as checks ask about it: which metrics an expression names, what it compares, and what it gives over
//! signals that are made up. Owns parsing and evaluation of one series; must not read files or talk to a server.

mod eval;
mod parse;

use std::collections::BTreeSet;

pub(super) use eval::{Kind, Signal, fires};

/// Why an expression could not be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub(super) struct PromqlError(String);

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expr {
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
    /// A metric, with what stands behind it in braces, brackets and after `offset`, in seconds.
    Metric { name: String, matchers: Vec<(String, String, String)>, range: Option<f64>, offset: f64 },
    /// An expression over a stretch of time.
    Subquery { inner: Box<Expr>, range: f64, offset: f64 },
    /// A function or an aggregation.
    Call { name: String, args: Vec<Expr> },
    /// Two expressions and what stands between them.
    Binary { op: String, is_bool: bool, left: Box<Expr>, right: Box<Expr> },
}

impl Expr {
    /// Reads an expression; variables of a dashboard count as one or as five minutes.
    pub(super) fn parse(text: &str) -> Result<Self, PromqlError> {
        parse::parse(text)
    }

    /// Every expression in this one, itself first.
    pub(super) fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Self)) {
        visit(self);
        match self {
            Self::Number(_) | Self::Text(_) | Self::Metric { .. } => {}
            Self::Subquery { inner, .. } => inner.walk(visit),
            Self::Call { args, .. } => args.iter().for_each(|arg| arg.walk(visit)),
            Self::Binary { left, right, .. } => {
                left.walk(visit);
                right.walk(visit);
            }
        }
    }

    /// The names of its metrics.
    pub(super) fn metrics(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        self.walk(&mut |inner| {
            if let Self::Metric { name, .. } = inner {
                names.insert(name.clone());
            }
        });
        names
    }

    /// The highest quantile that it computes or selects, as a share.
    pub(super) fn quantile(&self) -> Option<f64> {
        let mut found: Option<f64> = None;
        self.walk(&mut |inner| {
            let here = match inner {
                Self::Call { name, args } if name.contains("quantile") => match args.first() {
                    Some(Self::Number(share)) => Some(*share),
                    _ => None,
                },
                Self::Metric { name, matchers, .. } => {
                    let label = matchers.iter().find(|(label, op, _)| label == "quantile" && op == "=");
                    let named = ["p99", "p95", "p90"].iter().find(|mark| name.contains(**mark));
                    label
                        .and_then(|(_, _, value)| value.parse().ok())
                        .or_else(|| Some(named?.trim_start_matches('p').parse::<f64>().ok()? / 100.0))
                }
                _ => None,
            };
            found = found.max_by_share(here);
        });
        found
    }
}

trait MaxByShare {
    fn max_by_share(self, other: Self) -> Self;
}

impl MaxByShare for Option<f64> {
    fn max_by_share(self, other: Self) -> Self {
        match (self, other) {
            (Some(a), Some(b)) => Some(a.max(b)),
            (a, b) => a.or(b),
        }
    }
}

#[cfg(test)]
mod tests;
