//! From the spans of a trial, in whatever dialect, to one entry for each call and run. Where libraries nest two or three
//! spans for one call, the outermost is kept, with what the inner ones say beside and their ids.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    SentSpan,
    dialect::{TABLE, first},
};
use crate::record::{SpanKind, SpanRecord, Telemetry};

/// Most bytes of content that are kept of one trial.
const MAX_CONTENT: usize = 256 * 1024;
/// Deepest nesting that is followed.
const MAX_DEPTH: usize = 64;

/// Reads all spans of one trial, which began at `began` (nanoseconds since 1970).
pub fn read(sent: &[SentSpan], began: u64) -> Telemetry {
    let mut sent: Vec<&SentSpan> = sent.iter().collect();
    sent.sort_by(|a, b| (a.start, &a.id).cmp(&(b.start, &b.id)));
    let mut seen = std::collections::BTreeSet::new();
    // An exporter that heard no answer sends a batch again.
    sent.retain(|span| span.id.is_empty() || seen.insert((span.trace.as_str(), span.id.as_str())));
    let positions: BTreeMap<&str, usize> = sent
        .iter()
        .enumerate()
        .filter(|(_, span)| !span.id.is_empty())
        .map(|(at, span)| (span.id.as_str(), at))
        .collect();
    let mut records: Vec<Option<SpanRecord>> = sent.iter().map(|span| record(span, began)).collect();
    let around = |at: usize| -> Vec<usize> {
        let parent = |at: &usize| sent.get(*at).and_then(|span| positions.get(span.parent.as_str())).copied();
        std::iter::successors(parent(&at), parent).take(MAX_DEPTH).collect()
    };
    let mut others = 0_u32;
    // Later ones first: inner spans begin after those around them, so that what they say moves outward step by step.
    for at in (0..sent.len()).rev() {
        let ring = around(at);
        let Some(inner) = records.get(at).cloned().flatten() else {
            others += 1;
            let tool = ring.into_iter().find(|outer| is(&records, *outer, SpanKind::Tool));
            if let (Some(outer), Some(span)) = (tool.and_then(|outer| records.get_mut(outer)?.as_mut()), sent.get(at)) {
                outer.links.push(span.id.clone());
            }
            continue;
        };
        let same = ring.into_iter().find(|outer| {
            records.get(*outer).is_some_and(|outer| outer.as_ref().is_some_and(|outer| is_same(outer, &inner)))
        });
        if let Some(outer) = same.and_then(|outer| records.get_mut(outer)?.as_mut()) {
            absorb(outer, inner);
            if let Some(slot) = records.get_mut(at) {
                *slot = None;
            }
        }
    }
    for at in 0..sent.len() {
        let nearest =
            around(at).into_iter().find_map(|outer| records.get(outer)?.as_ref().map(|outer| outer.id.clone()));
        if let (Some(nearest), Some(span)) = (nearest, records.get_mut(at).and_then(Option::as_mut)) {
            span.parent = nearest;
        }
    }
    let mut telemetry = Telemetry { spans: records.into_iter().flatten().collect(), others, ..Telemetry::default() };
    bound(&mut telemetry);
    telemetry
}

fn is(records: &[Option<SpanRecord>], at: usize, kind: SpanKind) -> bool {
    records.get(at).is_some_and(|span| span.as_ref().is_some_and(|span| span.kind == kind))
}

/// Whether an inner span tells of the same call as one around it.
fn is_same(outer: &SpanRecord, inner: &SpanRecord) -> bool {
    outer.kind == inner.kind
        && match outer.kind {
            SpanKind::Tool => is_alike(&outer.name, &inner.name),
            SpanKind::Model => true,
            SpanKind::Agent => false,
        }
}

/// Whether two names are of one tool: frameworks put the name of a server before that of the tool.
pub fn is_alike(one: &str, other: &str) -> bool {
    let (long, short) = if one.len() >= other.len() { (one, other) } else { (other, one) };
    if long == short || short.is_empty() {
        return long == short;
    }
    long.strip_suffix(short).is_some_and(|head| head.ends_with(['_', '-', '.', '/', ':']))
}

fn absorb(outer: &mut SpanRecord, inner: SpanRecord) {
    // The innermost name is what goes over the wire.
    if outer.kind == SpanKind::Tool && !inner.name.is_empty() {
        outer.name = inner.name;
    }
    if outer.input.is_null() {
        outer.input = inner.input;
    }
    if outer.output.is_null() {
        outer.output = inner.output;
    }
    outer.call_id = outer.call_id.take().or(inner.call_id);
    outer.error = outer.error.take().or(inner.error);
    if outer.tokens_in.is_none() && outer.tokens_out.is_none() {
        (outer.tokens_in, outer.tokens_out) = (inner.tokens_in, inner.tokens_out);
    }
    outer.usd = outer.usd.or(inner.usd);
    outer.links.push(inner.id);
    outer.links.extend(inner.links);
}

fn record(span: &SentSpan, began: u64) -> Option<SpanRecord> {
    let (kind, dialect) = TABLE.kind(span)?;
    let text = |keys: &[String]| first(keys, span).and_then(Value::as_str).map(str::to_owned);
    let number = |keys: &[String]| first(keys, span).and_then(count);
    let rest: Map<String, Value> = span
        .attributes
        .iter()
        .filter(|(key, _)| !TABLE.reads(kind, key))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let millis = |nanoseconds: u64| i64::try_from(nanoseconds / 1_000_000).unwrap_or(i64::MAX);
    Some(SpanRecord {
        id: span.id.clone(),
        parent: span.parent.clone(),
        kind,
        dialect: dialect.to_owned(),
        name: TABLE.name(kind, span),
        call_id: text(&TABLE.call_ids).filter(|_| kind == SpanKind::Tool),
        input: TABLE.input(kind, span),
        output: TABLE.output(kind, span),
        tokens_in: number(&TABLE.tokens_in).filter(|_| kind == SpanKind::Model),
        tokens_out: number(&TABLE.tokens_out).filter(|_| kind == SpanKind::Model),
        usd: first(&TABLE.usd, span).and_then(amount).filter(|_| kind == SpanKind::Model),
        error: text(&TABLE.errors).or_else(|| span.failed.clone()),
        at_ms: millis(span.start).saturating_sub(millis(began)),
        took_ms: span.end.saturating_sub(span.start) / 1_000_000,
        links: Vec::new(),
        rest: if rest.is_empty() { Value::Null } else { Value::Object(rest) },
    })
}

/// A count as a number or as its text.
fn count(value: &Value) -> Option<u64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "only whole numbers far below 2^53")]
    let of_real = |real: f64| (real.fract() == 0.0 && (0.0..1e15).contains(&real)).then_some(real as u64);
    value.as_u64().or_else(|| value.as_f64().and_then(of_real)).or_else(|| value.as_str()?.parse().ok())
}

/// A sum of money as a number or as its text.
fn amount(value: &Value) -> Option<f64> {
    let told = value.as_f64().or_else(|| value.as_str()?.parse().ok());
    told.filter(|usd| usd.is_finite() && *usd >= 0.0)
}

/// Drops content beyond what is kept of a trial, the least telling first; arguments of tools go last.
fn bound(telemetry: &mut Telemetry) {
    let mut left = MAX_CONTENT;
    let mut keep = |value: &mut Value| {
        let size = if value.is_null() { 0 } else { value.to_string().len() };
        if size > left {
            *value = Value::Null;
            return false;
        }
        left -= size;
        true
    };
    let mut whole = true;
    for span in telemetry.spans.iter_mut().filter(|span| span.kind == SpanKind::Tool) {
        whole &= keep(&mut span.input);
    }
    for span in telemetry.spans.iter_mut().filter(|span| span.kind != SpanKind::Tool) {
        whole &= keep(&mut span.output);
    }
    for span in &mut telemetry.spans {
        match span.kind {
            SpanKind::Tool => whole &= keep(&mut span.output),
            SpanKind::Model | SpanKind::Agent => whole &= keep(&mut span.input),
        }
    }
    for span in &mut telemetry.spans {
        whole &= keep(&mut span.rest);
    }
    telemetry.cut = !whole;
}
