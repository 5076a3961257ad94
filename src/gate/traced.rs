//! Folds what traces told, one trial at a time: counts, and the first calls without a span. The order of adding does not
//! matter.

use std::collections::BTreeMap;

use crate::{
    grade::Policy,
    record::{End, SpanKind, SpanRecord, Telemetry, TrialRecord},
    trace::{self, Way},
    verdict::{Traced, TracedCall, TracedContent},
};

/// Most calls that are named.
const MAX_NAMED: usize = 50;
/// Longest name of a tool that is kept.
const MAX_NAME: usize = 200;

/// What traces came to so far.
#[derive(Clone, Debug, Default)]
pub(super) struct TraceTally {
    counts: Traced,
    missing: Named,
    unbacked: Named,
}

/// Calls by trial and position.
type Named = BTreeMap<(u32, u32), TracedCall>;

impl TraceTally {
    /// Adds one trial. Those whose agent was not pointed to the receiver say nothing, nor do those that ended in an error: who
    /// was cut off in the middle could not tell of it.
    pub(super) fn add(&mut self, record: &TrialRecord, policy: &Policy) {
        let Some(telemetry) = record.telemetry.as_ref().filter(|_| record.end == End::Completed) else { return };
        let found = trace::reconcile(&record.ledger, telemetry);
        let counts = &mut self.counts;
        counts.trials += 1;
        counts.cut += u32::from(telemetry.cut || telemetry.dropped > 0);
        for (call, way) in &found.calls {
            counts.calls += 1;
            match way {
                Some(Way::Id) => counts.by_id += 1,
                Some(Way::Arguments) => counts.by_arguments += 1,
                Some(Way::Time) => counts.by_time += 1,
                None => name(&mut self.missing, record, call.seq, &call.tool),
            }
        }
        // Agents trace tools of their own as well; what matters is a listed one that was reached by another way.
        let is_listed = |span: &&&SpanRecord| policy.tools.keys().any(|tool| trace::is_alike(&span.name, tool));
        for (position, span) in (0..).zip(found.unbacked.iter().filter(is_listed)) {
            counts.unbacked += 1;
            name(&mut self.unbacked, record, position, &span.name);
        }
        let reported = reported(record);
        let told = telemetry.tokens().unwrap_or_default();
        counts.tokens_underreported += u32::from(reported > 0 && told > reported);
        let is_whole = found.calls.iter().all(|(_, way)| way.is_some());
        content(&mut counts.content, telemetry, is_whole);
    }

    /// What is told of all; nothing when no trial was traced.
    pub(super) fn close(&self) -> Option<Traced> {
        let named = |calls: &Named| calls.values().cloned().collect();
        (self.counts.trials > 0).then(|| Traced {
            missing: named(&self.missing),
            unbacked_calls: named(&self.unbacked),
            ..self.counts.clone()
        })
    }
}

/// Tokens that the agent reports itself.
pub(super) fn reported(record: &TrialRecord) -> u64 {
    record.turns.iter().fold(0, |sum: u64, turn| sum.saturating_add(turn.usage.tokens))
}

/// Tokens of a trial: the most that anyone tells of.
pub(super) fn tokens(record: &TrialRecord) -> u64 {
    let told = record.telemetry.as_ref().and_then(Telemetry::tokens).unwrap_or_default();
    let asked = record.model_calls.iter().filter(|call| call.forwarded);
    let counted = asked.fold(0, |sum: u64, call| sum.saturating_add(call.tokens_in).saturating_add(call.tokens_out));
    reported(record).max(told).max(counted)
}

fn name(named: &mut Named, record: &TrialRecord, position: u32, tool: &str) {
    let call = TracedCall {
        scenario: record.scenario.clone(),
        trial: record.trial,
        call: position.saturating_add(1),
        tool: crate::text::shortened(tool, MAX_NAME),
    };
    named.insert((record.index, position), call);
    if named.len() > MAX_NAMED {
        named.pop_last();
    }
}

fn content(content: &mut TracedContent, telemetry: &Telemetry, is_whole: bool) {
    let count = |kind: SpanKind, has: &dyn Fn(&SpanRecord) -> bool| {
        u32::try_from(telemetry.of(kind).filter(|span| has(span)).count()).unwrap_or(u32::MAX)
    };
    let models = count(SpanKind::Model, &|_| true);
    content.trials += 1;
    content.with_model_calls += u32::from(models > 0);
    content.with_final_output += u32::from(count(SpanKind::Agent, &|span| !span.output.is_null()) > 0);
    content.with_all_steps += u32::from(is_whole);
    content.model_calls += models;
    content.with_prompt += count(SpanKind::Model, &|span| !span.input.is_null());
    content.tool_calls += count(SpanKind::Tool, &|_| true);
    content.with_input += count(SpanKind::Tool, &|span| !span.input.is_null());
    content.with_output += count(SpanKind::Tool, &|span| !span.output.is_null() || span.error.is_some());
}
