//! The gate's own ledger against what the agent's spans tell: which calls have their span, and which spans no call.
//!
//! A call finds its span by the span's id that came along with it, else by equal arguments, else by the time; always
//! under the tool's name, and each span stands for one call only.

use serde_json::Value;

use super::reading::is_alike;
use crate::record::{Call, SpanKind, SpanRecord, Telemetry};

/// How far the agent's clock may be off when calls are matched by time.
const SLACK_MS: i64 = 1_000;

/// How a call was found in the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// The id of the span, or of one inside it, came along with the call.
    Id,
    /// The same tool with the same arguments.
    Arguments,
    /// The same tool at the time of the call.
    Time,
}

impl Way {
    /// The way's name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Id => "span id",
            Self::Arguments => "arguments",
            Self::Time => "time",
        }
    }
}

/// What comparing came to, for one trial.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reconciled<'r> {
    /// Calls that the agent sent, each with how it was found in the trace.
    pub calls: Vec<(&'r Call, Option<Way>)>,
    /// Tool spans without a call behind them.
    pub unbacked: Vec<&'r SpanRecord>,
}

/// How many calls of a ledger have no span.
pub fn uncovered(ledger: &[Call], telemetry: &Telemetry) -> usize {
    reconcile(ledger, telemetry).calls.iter().filter(|(_, found)| found.is_none()).count()
}

/// Compares a trial's ledger with its telemetry. Calls that the gate carried out itself are left out.
pub fn reconcile<'r>(ledger: &'r [Call], telemetry: &'r Telemetry) -> Reconciled<'r> {
    let mut open: Vec<&SpanRecord> = telemetry.of(SpanKind::Tool).collect();
    let mut calls: Vec<(&Call, Option<Way>)> =
        ledger.iter().filter(|call| call.carried.is_some()).map(|call| (call, None)).collect();
    for way in [Way::Id, Way::Arguments, Way::Time] {
        for (call, found) in calls.iter_mut().filter(|(_, found)| found.is_none()) {
            let position = open.iter().position(|span| is_alike(&span.name, &call.tool) && fits(way, call, span));
            if let Some(position) = position {
                open.remove(position);
                *found = Some(way);
            }
        }
    }
    Reconciled { calls, unbacked: open }
}

fn fits(way: Way, call: &Call, span: &SpanRecord) -> bool {
    match way {
        Way::Id => {
            let carried = call.carried.as_ref().and_then(|carried| carried.span()).unwrap_or_default();
            !carried.is_empty() && (span.id == carried || span.links.iter().any(|link| link == carried))
        }
        Way::Arguments => !span.input.is_null() && is_equal(&span.input, &call.args),
        // Some libraries mask or cut arguments, so that others do not speak against it.
        Way::Time => {
            let at = i64::try_from(call.at_ms).unwrap_or(i64::MAX);
            let end = span.at_ms.saturating_add_unsigned(span.took_ms);
            at >= span.at_ms.saturating_sub(SLACK_MS) && at <= end.saturating_add(SLACK_MS)
        }
    }
}

/// Equal as JSON, where 20 and 20.0 are one number: languages write it in their own ways.
fn is_equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_equal(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, value)| other.get(key).is_some_and(|other| is_equal(value, other)))
        }
        // Some libraries tell the value of a single argument without its name.
        (Value::String(_) | Value::Number(_), Value::Object(args)) if args.len() == 1 => {
            args.values().any(|only| !only.is_object() && is_loosely(one, only))
        }
        (one, other) => one == other,
    }
}

fn is_loosely(one: &Value, other: &Value) -> bool {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    text(one) == text(other)
}
