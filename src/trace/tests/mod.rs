//! Bodies of many libraries, recorded on the wire, and what is read from them; and bodies of nobody.

use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{SentSpan, Way, read, reconcile, spans_of, spans_of_json, spans_of_protobuf};
use crate::record::{Call, CallStatus, Carried, SpanKind, Telemetry};

/// Set-ups that were recorded: a framework with one way to trace it.
const RECORDED: [&str; 15] = [
    "adk-otel.pb",
    "adk-otel-content.pb",
    "langgraph-langsmith.pb",
    "langgraph-openinference.pb",
    "langgraph-traceloop.pb",
    "maf-otel.pb",
    "oai-logfire.pb",
    "oai-openinference.pb",
    "oai-otelv2.pb",
    "oai-traceloop.pb",
    "pydantic-otel-v1.pb",
    "pydantic-otel-v2.pb",
    "vercel-otel.pb",
    "vercel-otel-json.json",
    "vercel7-otel.pb",
];

fn recorded(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/fixtures/otlp/{name}", env!("CARGO_MANIFEST_DIR"))).expect("a recorded body")
}

fn spans(name: &str) -> Vec<SentSpan> {
    let body = recorded(name);
    let spans = if body.starts_with(b"{") { spans_of_json(&body) } else { spans_of_protobuf(&body) };
    spans.expect("a recorded body is OTLP")
}

/// Each trace of a body by itself, as trials are.
fn told(spans: &[SentSpan]) -> Vec<Telemetry> {
    let traces: std::collections::BTreeSet<&str> = spans.iter().map(|span| span.trace.as_str()).collect();
    let of = |trace: &str| spans.iter().filter(|span| span.trace == trace).cloned().collect::<Vec<_>>();
    traces.into_iter().map(|trace| read(&of(trace), 0)).collect()
}

#[test]
fn every_recorded_dialect_is_read_with_one_entry_for_each_call() {
    let mut text = String::new();
    for name in RECORDED {
        let _ = writeln!(text, "== {name}");
        for telemetry in told(&spans(name)).iter().filter(|telemetry| !telemetry.spans.is_empty()) {
            let _ = writeln!(text, "trace");
            for span in &telemetry.spans {
                let mark = |value: &Value, word: &'static str| if value.is_null() { "" } else { word };
                let inner =
                    if span.links.is_empty() { String::new() } else { format!(" +{} inside", span.links.len()) };
                let tokens = span.tokens_in.map(|tokens| format!(" {tokens}+{} tokens", span.tokens_out.unwrap_or(0)));
                let (kind, said) = match span.kind {
                    SpanKind::Tool => ("tool", format!(" {} {}", span.call_id.as_deref().unwrap_or("-"), span.input)),
                    SpanKind::Model => ("model", mark(&span.input, " input").to_owned()),
                    SpanKind::Agent => ("agent", mark(&span.input, " input").to_owned()),
                };
                let _ = writeln!(
                    text,
                    "  {kind} ({}) `{}`{said}{}{}{inner}{}",
                    span.dialect,
                    span.name,
                    mark(&span.output, " output"),
                    tokens.unwrap_or_default(),
                    span.error.as_ref().map(|error| format!(" error: {error}")).unwrap_or_default(),
                );
            }
        }
    }
    insta::assert_snapshot!("dialects", text);
}

#[test]
fn every_recorded_set_up_tells_of_its_tool_calls_by_the_names_of_the_server() {
    for name in RECORDED {
        let tools: Vec<String> = told(&spans(name))
            .iter()
            .flat_map(|told| told.of(SpanKind::Tool).map(|span| span.name.clone()).collect::<Vec<_>>())
            .collect();
        assert!(!tools.is_empty(), "{name} has no tool");
        assert!(
            tools.iter().all(|tool| ["lookup_order", "issue_refund"].contains(&tool.as_str())),
            "{name}: {tools:?}"
        );
    }
}

fn sent(id: &str, parent: &str, name: &str, attributes: &[(&str, Value)]) -> SentSpan {
    SentSpan {
        trace: "1".repeat(32),
        id: id.to_owned(),
        parent: parent.to_owned(),
        name: name.to_owned(),
        start: 5_000_000,
        end: 9_000_000,
        attributes: attributes.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect(),
        ..SentSpan::default()
    }
}

fn tool(id: &str, name: &str, args: Option<Value>) -> SentSpan {
    let mut span =
        sent(id, "", name, &[("gen_ai.operation.name", json!("execute_tool")), ("gen_ai.tool.name", json!(name))]);
    span.attributes.extend(args.map(|args| ("gen_ai.tool.call.arguments".to_owned(), args)));
    span
}

fn call(seq: u32, tool: &str, args: Value, span: &str) -> Call {
    let traceparent = (!span.is_empty()).then(|| format!("00-{}-{span}-01", "1".repeat(32)));
    Call {
        seq,
        turn: 0,
        tool: tool.to_owned(),
        args,
        status: CallStatus::Executed,
        result: Value::Null,
        fault: None,
        grants: None,
        review: None,
        forwarded: None,
        carried: Some(Carried { traceparent, baggage: None }),
        at_ms: 6,
    }
}

fn ways(calls: &[Call], spans: &[SentSpan]) -> (Vec<Option<Way>>, usize) {
    let telemetry = read(spans, 0);
    let found = reconcile(calls, &telemetry);
    (found.calls.iter().map(|(_, way)| *way).collect(), found.unbacked.len())
}

#[test]
fn a_call_is_found_by_its_span_then_by_its_arguments_then_by_the_time() {
    let id = "00000000000000a1";
    let args = json!({"order_id": "1", "amount": 20});
    let one = |span: SentSpan, call: Call| ways(&[call], &[span]);
    let same = Some(args.to_string().into());
    assert_eq!(one(tool(id, "pay", None), call(0, "pay", args.clone(), id)), (vec![Some(Way::Id)], 0));
    assert_eq!(one(tool(id, "pay", same.clone()), call(0, "pay", args.clone(), "")), (vec![Some(Way::Arguments)], 0));
    let real = json!({"order_id": "1", "amount": 20.0});
    assert_eq!(one(tool(id, "srv_pay", same.clone()), call(0, "pay", real, "")), (vec![Some(Way::Arguments)], 0));
    assert_eq!(one(tool(id, "pay", None), call(0, "pay", args.clone(), "")), (vec![Some(Way::Time)], 0));
    let masked = Some(json!({"order_id": "***"}));
    assert_eq!(one(tool(id, "pay", masked), call(0, "pay", args.clone(), "")), (vec![Some(Way::Time)], 0));
    // Another tool and another time are another call.
    assert_eq!(one(tool(id, "refund", same), call(0, "pay", args.clone(), id)), (vec![None], 1));
    let late = Call { at_ms: 60_000, ..call(0, "pay", args, "") };
    assert_eq!(one(tool(id, "pay", None), late), (vec![None], 1));
}

#[test]
fn one_span_stands_for_one_call_and_what_the_gate_called_itself_needs_none() {
    let id = "00000000000000a1";
    let twice = [call(0, "pay", json!({}), id), call(1, "pay", json!({}), id)];
    assert_eq!(ways(&twice, &[tool(id, "pay", None)]), (vec![Some(Way::Id), None], 0));
    let own = Call { carried: None, ..call(0, "pay", json!({}), "") };
    assert_eq!(ways(&[own], &[]), (vec![], 0));
}

#[test]
fn a_batch_that_comes_twice_and_spans_around_each_other_do_no_harm() {
    let again = [tool("00000000000000a1", "pay", None), tool("00000000000000a1", "pay", None)];
    assert_eq!(read(&again, 0).spans.len(), 1);
    let ring =
        [sent("a", "b", "execute_tool x", &[]), sent("b", "a", "execute_tool x", &[]), sent("c", "c", "chat", &[])];
    assert!(read(&ring, 0).spans.len() <= 2);
}

#[test]
fn ids_in_base64_and_names_of_enumerations_are_read_although_the_standard_forbids_them() {
    let span = json!({"traceId": "W47/95gDgQPSabYzgT/GDA==", "spanId": "7uGbfsPBsXM=", "name": "x",
        "startTimeUnixNano": "12", "endTimeUnixNano": 13, "status": {"code": "STATUS_CODE_ERROR", "message": "no"},
        "attributes": [{"key": "n", "value": {"intValue": "5"}}, {"key": "m", "value": {"kvlistValue": {"values":
            [{"key": "k", "value": {"arrayValue": {"values": [{"boolValue": true}]}}}]}}}]});
    let document = json!({"resourceSpans": [{"scopeSpans": [{"scope": {"name": "lib"}, "spans": [span]}]}]});
    let read = spans_of(&document).expect("OTLP");
    let [span] = read.as_slice() else { panic!("{read:?}") };
    assert_eq!((span.trace.as_str(), span.id.as_str()), ("5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b173"));
    assert_eq!((span.start, span.end, span.failed.as_deref(), span.scope.as_str()), (12, 13, Some("no"), "lib"));
    assert_eq!(span.attributes.get("n"), Some(&json!(5)));
    assert_eq!(span.attributes.get("m"), Some(&json!({"k": [true]})));
}

#[test]
fn what_is_no_otlp_is_an_error_and_nothing_at_all_is_no_span() {
    for body in ["", "[", "[]", "7", "null", "{\"spans\": []}", "{\"resourceSpans\": 3}"] {
        assert!(spans_of_json(body.as_bytes()).is_err(), "{body}");
    }
    assert_eq!(spans_of_json(b"{}"), Ok(Vec::new()));
    assert_eq!(spans_of_protobuf(b""), Ok(Vec::new()));
    assert!(spans_of_protobuf(b"\x0a\x7f").is_err());
}

#[test]
fn content_beyond_what_is_kept_is_cut_and_arguments_of_tools_go_last() {
    let long = "x".repeat(200 * 1024);
    let model =
        sent("a", "", "chat m", &[("gen_ai.operation.name", json!("chat")), ("gen_ai.input.messages", json!(long))]);
    let spans = [model, tool("b", "pay", Some(json!(format!("{{\"note\": \"{long}\"}}"))))];
    let telemetry = read(&spans, 0);
    assert!(telemetry.cut);
    assert!(telemetry.of(SpanKind::Tool).all(|span| span.input.is_object()));
    assert!(telemetry.of(SpanKind::Model).all(|span| span.input.is_null()));
}

proptest! {
    #[test]
    fn no_body_ends_the_reader(body in proptest::collection::vec(any::<u8>(), 0..400)) {
        for spans in [spans_of_json(&body), spans_of_protobuf(&body)].into_iter().flatten() {
            read(&spans, 0);
        }
    }

    #[test]
    fn no_change_of_a_recorded_body_ends_the_reader(name in 0..RECORDED.len(), at in any::<prop::sample::Index>(), with in any::<u8>(), end in any::<prop::sample::Index>()) {
        let mut body = recorded(RECORDED[name]);
        let length = body.len();
        body[at.index(length)] = with;
        body.truncate(end.index(length).max(length / 2));
        for spans in [spans_of_json(&body), spans_of_protobuf(&body)].into_iter().flatten() {
            let telemetry = read(&spans, u64::MAX);
            prop_assert!(telemetry.spans.len() <= spans.len());
        }
    }

    #[test]
    fn no_span_stands_for_two_calls(calls in 0..6_u32, spans in 0..6_usize) {
        let calls: Vec<Call> = (0..calls).map(|seq| call(seq, "pay", json!({}), "")).collect();
        let spans: Vec<SentSpan> = (0..spans).map(|at| tool(&format!("{at:016x}"), "pay", None)).collect();
        let (ways, unbacked) = ways(&calls, &spans);
        let matched = ways.iter().flatten().count();
        prop_assert_eq!(matched, calls.len().min(spans.len()));
        prop_assert_eq!(unbacked, spans.len() - matched);
    }
}
