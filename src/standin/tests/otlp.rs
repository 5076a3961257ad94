//! The trace receiver from outside: what it takes, what it refuses, and to which trial a span goes.

use std::{collections::BTreeMap, io::Write as _, sync::Arc, time::Duration};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Gateway, Inventory, Lane, Token, open, play, post};
use crate::standin::Leaks;
use crate::world::Play;

/// A trace id, a parent and attributes.
type Sent<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

/// A body with one tool span of each trace, right under the span of the gate where `parent` says so.
fn batch(spans: &[Sent<'_>]) -> String {
    let spans: Vec<Value> = spans
        .iter()
        .enumerate()
        .map(|(at, (trace, parent, attributes))| {
            let attributes = attributes.iter().map(|(key, value)| json!({"key": key, "value": {"stringValue": value}}));
            let name = json!({"key": "gen_ai.operation.name", "value": {"stringValue": "execute_tool"}});
            json!({"traceId": trace, "spanId": format!("{:016x}", at + 1), "parentSpanId": parent,
                "name": "execute_tool close", "startTimeUnixNano": "9000000000000000000", "endTimeUnixNano": "9000000000000000001",
                "attributes": attributes.chain([name]).collect::<Vec<_>>()})
        })
        .collect();
    json!({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).to_string()
}

fn url(gateway: &Gateway, lane: &Lane) -> String {
    format!("{}/v1/traces", gateway.telemetry_url(lane))
}

fn spans(gateway: &Gateway, token: &Token) -> usize {
    gateway.close(token).telemetry.spans.len()
}

async fn sent(url: &str, body: Vec<u8>, headers: &[(&str, &str)]) -> (u16, String, Vec<u8>) {
    let client = crate::agent::plain_client(url).expect("a client");
    let request = headers.iter().fold(client.post(url), |request, (name, value)| request.header(*name, *value));
    let response = request.body(body).send().await.expect("an answer");
    let form =
        response.headers().get("content-type").and_then(|form| form.to_str().ok()).unwrap_or_default().to_owned();
    (response.status().as_u16(), form, response.bytes().await.expect("a body").to_vec())
}

fn packed(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(body).expect("packs");
    encoder.finish().expect("packs")
}

const JSON: (&str, &str) = ("content-type", "application/json");
const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const GZIP: (&str, &str) = ("content-encoding", "gzip");

#[tokio::test]
async fn each_form_is_answered_in_kind_and_garbage_is_refused_once_and_for_all() {
    let (gateway, token) = open().await;
    let url = url(&gateway, &gateway.lane());
    let body = batch(&[(token.as_str(), "", &[])]).into_bytes();
    let recorded = std::fs::read("fixtures/otlp/vercel-otel.pb").expect("recorded");
    let ok = |form: &str, body: &[u8]| (200, form.to_owned(), body.to_vec());
    assert_eq!(sent(&url, body.clone(), &[JSON]).await, ok("application/json", b"{}"));
    assert_eq!(sent(&url, packed(&body), &[JSON, GZIP]).await, ok("application/json", b"{}"));
    assert_eq!(sent(&url, recorded.clone(), &[PROTOBUF]).await, ok("application/x-protobuf", b""));
    assert_eq!(sent(&url, packed(&recorded), &[PROTOBUF, GZIP]).await, ok("application/x-protobuf", b""));
    for (body, headers, status) in [
        (b"{\"resourceSpans\"".to_vec(), vec![JSON], 400),
        (vec![0x0a, 0x7f], vec![PROTOBUF], 400),
        (body.clone(), vec![JSON, GZIP], 400),
        (body.clone(), vec![JSON, ("content-encoding", "br")], 415),
        (body.clone(), vec![("content-type", "text/plain")], 415),
        (packed(&vec![b' '; 40 << 20]), vec![JSON, GZIP], 413),
        (vec![b' '; 9 << 20], vec![JSON], 413),
    ] {
        assert_eq!(sent(&url, body, &headers).await.0, status, "{headers:?}");
    }
    let nowhere = url.replace("/t/", "/t/guessed");
    assert_eq!(sent(&nowhere, body, &[JSON]).await.0, 404);
    for other in ["logs", "metrics"] {
        assert_eq!(sent(&url.replace("traces", other), Vec::new(), &[PROTOBUF]).await.0, 200);
    }
    assert_eq!(spans(&gateway, &token), 1, "the same span twice is one");
}

#[tokio::test]
async fn more_spans_than_are_taken_at_once_are_told_in_the_answer() {
    let (gateway, token) = open().await;
    let url = url(&gateway, &gateway.lane());
    let all: Vec<Sent<'_>> = vec![(token.as_str(), "", &[]); 10_003];
    let (status, answer) = post(&url, &batch(&all), &[JSON]).await;
    assert_eq!((status, &answer["partialSuccess"]["rejectedSpans"]), (200, &json!("3")));
    let telemetry = gateway.close(&token).telemetry;
    assert_eq!((telemetry.spans.len(), telemetry.dropped), (4_000, 6_000));
}

#[tokio::test]
async fn spans_find_their_trial_by_trace_by_baggage_and_by_the_trace_that_a_call_bore() {
    let (gateway, first) = open().await;
    let (second, third) = (Token::random(), Token::random());
    gateway.open(&second, None, play());
    gateway.open(&third, None, play());
    let lane = gateway.lane();
    let own = "c".repeat(32);
    let baggage = [("agentready.trial", second.as_str())];
    let other = "d".repeat(32);
    let spans_sent = batch(&[(first.as_str(), "", &[]), (&other, "", &baggage), (&own, "", &[])]);
    assert_eq!(post(&url(&gateway, &lane), &spans_sent, &[JSON]).await.0, 200);
    assert_eq!(gateway.stray_spans(), 1, "nobody is guessed");
    // The agent began a trace of its own, and a call of the third trial bears it.
    let traceparent = format!("00-{own}-00000000000000ff-01");
    let baggage = format!("agentready.trial={third}");
    let tool = format!("{}/close", gateway.lane_url(&lane, None));
    assert_eq!(post(&tool, "{}", &[("traceparent", &traceparent), ("baggage", &baggage)]).await.0, 200);
    assert_eq!(gateway.stray_spans(), 0);
    assert_eq!([&first, &second, &third].map(|token| spans(&gateway, token)), [1, 1, 1]);
}

#[tokio::test]
async fn log_records_go_to_their_trial_in_either_form() {
    let (gateway, token) = open().await;
    let url = url(&gateway, &gateway.lane()).replace("traces", "logs");
    let record = json!({"timeUnixNano": "9000000000000000000", "traceId": token.as_str(), "eventName": "turn",
        "body": {"stringValue": "the key is k"}, "attributes": [{"key": "n", "value": {"intValue": "5"}}]});
    let other = json!({"traceId": "f".repeat(32), "body": {"stringValue": "of nobody"}});
    let body = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [record, other]}]}]}).to_string();
    assert_eq!(post(&url, &body, &[JSON]).await, (200, json!({})));
    // The same in Protocol Buffers, written by hand: trace id (9) and body (5, a text) in three lists.
    let field = |tag: u8, bytes: &[u8]| {
        let size = u8::try_from(bytes.len()).expect("short");
        [&[(tag << 3) | 2, size][..], bytes].concat()
    };
    let id: Vec<u8> =
        (0..16).map(|at| u8::from_str_radix(&token.as_str()[at * 2..at * 2 + 2], 16).expect("hex")).collect();
    let record = [field(9, &id), field(5, &field(1, b"and again"))].concat();
    let batch = field(1, &field(2, &field(2, &record)));
    assert_eq!(sent(&url, batch, &[PROTOBUF]).await.0, 200);
    assert_eq!(post(&url, "{\"resourceSpans\": []}", &[JSON]).await.0, 400);
    let logs = gateway.close(&token).telemetry.logs;
    let told: Vec<_> = logs.iter().map(|log| (log.name.as_str(), &log.body, &log.rest)).collect();
    assert_eq!(told, [("turn", &json!("the key is k"), &json!({"n": 5})), ("", &json!("and again"), &json!({}))]);
}

#[tokio::test]
async fn canaries_are_found_in_what_is_not_kept_too() {
    let texts = [("w.yaml".to_owned(), "state: {}\ncanaries: {key: kx-4711-abc}\ntools: {close: {}}\n".into())];
    let guarded = crate::world::load(&crate::source::Files::texts(texts.into()), "w.yaml").expect("a world");
    let (gateway, _) = open().await;
    let url = url(&gateway, &gateway.lane());
    let request = |span: &str, value: &str| {
        json!({"traceId": span, "spanId": "00000000000000aa", "name": "GET", "startTimeUnixNano": "9000000000000000000",
            "endTimeUnixNano": "9000000000000000001", "attributes": [{"key": "url.full", "value": {"stringValue": value}}]})
    };
    let spans = |list: Vec<Value>| json!({"resourceSpans": [{"scopeSpans": [{"spans": list}]}]}).to_string();
    let large = "x".repeat(4 * 1024 * 1024);
    let leak = "https://far.example/?q=kx-4711-abc";
    let log = |text: &str| json!({"traceId": "T", "body": {"stringValue": text}});
    let records = [vec![log("a"); 1_000], vec![log("the key is kx-4711-abc")]].concat();
    let logs = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]});
    for (sent, is_log) in [
        // A span that tells of no call; one beyond the most that is kept; one beyond the most bytes.
        (spans(vec![request("T", leak)]), false),
        (spans([vec![request("T", "a"); 4_000], vec![request("T", leak)]].concat()), false),
        (spans(vec![request("T", &large), request("T", leak)]), false),
        (logs.to_string(), true),
    ] {
        let token = Token::random();
        gateway.open(&token, None, Play::new(Arc::clone(&guarded), &BTreeMap::new()).expect("a play"));
        let url = if is_log { url.replace("traces", "logs") } else { url.clone() };
        let body = sent.replace("\"T\"", &format!("\"{}\"", token.as_str()));
        assert_eq!(post(&url, &body, &[JSON]).await.0, 200);
        let seen = gateway.close(&token).telemetry.canaries;
        assert_eq!(seen.iter().collect::<Vec<_>>(), ["key"], "{}", &body[..120]);
    }
}

#[tokio::test]
async fn what_belongs_to_no_trial_is_searched_too_until_a_trial_claims_it() {
    let (gateway, token) = open().await;
    let _other = gateway.lane();
    let url = url(&gateway, &gateway.lane());
    gateway.look_for([("key".to_owned(), "kx-4711-abc".to_owned())].into(), vec!["s3cret-token".to_owned()]);
    let (foreign, own) = ("c".repeat(32), "d".repeat(32));
    post(&url, &batch(&[(&own, "", &[("note", "kx-4711-abc")])]), &[JSON]).await;
    assert_eq!(gateway.stray_leaks().canaries.len(), 1);
    let carried = format!("00-{own}-{}-01", "a".repeat(16));
    let claimed = [("traceparent", carried.as_str())];
    post(&format!("{}/close", gateway.tools_url(&token)), "{}", &claimed).await;
    assert_eq!(gateway.stray_leaks(), Leaks::default(), "it is a trial's now, which answers for it");
    for round in 0..2 {
        // The oldest of too many is not kept.
        let many: Vec<Sent<'_>> = vec![(&foreign, "", &[]); 2_000 * round];
        let leak: Sent<'_> = (&foreign, "", &[("note", "my key: KX 4711 ABC")]);
        post(&url, &batch(&[vec![leak], many].concat()), &[JSON]).await;
        let leaks = gateway.stray_leaks();
        assert!(leaks.canaries.contains("key") && !leaks.secret, "{leaks:?}");
    }
    let record = json!({"traceId": foreign, "body": {"stringValue": "authorization: Bearer s3cret-token"}});
    let logs = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]});
    post(&url.replace("traces", "logs"), &logs.to_string(), &[JSON]).await;
    assert!(gateway.stray_leaks().secret);
}

#[tokio::test]
async fn a_secret_in_a_span_that_is_not_kept_is_known_all_the_same() {
    let (gateway, _) = open().await;
    let url = url(&gateway, &gateway.lane());
    gateway.look_for(BTreeMap::new(), vec!["s3cret-token".to_owned(), "abc".to_owned()]);
    for (leak, is_seen) in [("s3cret-token", true), ("abc", false)] {
        let token = Token::random();
        gateway.open(&token, None, play());
        let mut spans: Vec<Sent<'_>> = vec![(token.as_str(), "", &[]); 4_000];
        let told = [("http.header", leak)];
        spans.push((token.as_str(), "", &told));
        post(&url, &batch(&spans), &[JSON]).await;
        assert_eq!(gateway.close(&token).telemetry.secret, is_seen, "{leak}");
    }
}

#[tokio::test]
async fn a_file_is_read_from_where_it_ended_and_its_first_wrong_line_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("spans.jsonl");
    let append = |text: &str| {
        let mut file = std::fs::File::options().append(true).create(true).open(&path).expect("a file");
        file.write_all(text.as_bytes()).expect("appended");
    };
    append("of an earlier run\n");
    let (gateway, token) = open().await;
    let _lane = gateway.lane();
    gateway.follow_export(path.clone(), "spans.jsonl");
    let line = batch(&[(token.as_str(), &token.span(), &[])]);
    let (head, tail) = line.split_at(40);
    append(head);
    tokio::time::sleep(Duration::from_millis(250)).await;
    append(tail);
    append("\n\n{\"resourceMetrics\": []}\n{\"spans\": 1}\nno JSON\n");
    gateway.settle(&token, 1).await;
    // The last line has no end yet, and belongs to no trial.
    append(&batch(&[(&"c".repeat(32), "", &[])]));
    assert_eq!(spans(&gateway, &token), 1);
    let problem = gateway.end_export().expect("a wrong line");
    assert!(problem.starts_with("spans.jsonl:5: ") && problem.contains("resourceSpans"), "{problem}");
    assert_eq!(gateway.stray_spans(), 1);
}

#[tokio::test]
async fn at_a_lane_of_one_trial_spans_that_name_nobody_are_its_own() {
    let gateway = Gateway::start(Inventory::default()).await.expect("starts");
    let (lane, other) = (gateway.lane(), gateway.lane());
    let (here, there) = (Token::random(), Token::random());
    gateway.open(&here, Some(&lane), play());
    gateway.open(&there, Some(&other), play());
    let trace = "e".repeat(32);
    assert_eq!(post(&url(&gateway, &lane), &batch(&[(&trace, "", &[])]), &[JSON]).await.0, 200);
    // What began before the trial is of another one.
    let early = batch(&[(&trace, "", &[])]).replace("9000000000000000000", "5");
    assert_eq!(post(&url(&gateway, &lane), &early, &[JSON]).await.0, 200);
    assert_eq!((spans(&gateway, &here), spans(&gateway, &there), gateway.stray_spans()), (1, 0, 1));
}

#[tokio::test]
async fn a_trial_waits_for_the_last_span_of_its_turn_and_not_for_ever() {
    let (gateway, token) = open().await;
    let url = url(&gateway, &gateway.lane());
    let began = std::time::Instant::now();
    let last = batch(&[(token.as_str(), &token.span(), &[])]);
    let send = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        post(&url, &last, &[JSON]).await
    };
    tokio::join!(gateway.settle(&token, 1), send);
    assert!(began.elapsed() < Duration::from_secs(3), "the last span ends the wait");
    assert_eq!(spans(&gateway, &token), 1);
}

#[tokio::test]
async fn a_span_that_ended_before_the_agent_asked_for_more_does_not_end_the_wait() {
    let (gateway, token) = open().await;
    let url = url(&gateway, &gateway.lane());
    // What an SDK does before the turn: right under the gate's span, and long over.
    let early = batch(&[(token.as_str(), &token.span(), &[])])
        .replace("9000000000000000000", "8")
        .replace("9000000000000000001", "9")
        .replace("0000000000000001", "00000000000000ee");
    assert_eq!(post(&url, &early, &[JSON]).await.0, 200);
    gateway.call(&token, "look", json!({})).await;
    let last = batch(&[(token.as_str(), &token.span(), &[])]);
    let send = async {
        tokio::time::sleep(Duration::from_millis(150)).await;
        post(&url, &last, &[JSON]).await
    };
    tokio::join!(gateway.settle(&token, 1), send);
    assert_eq!(spans(&gateway, &token), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn no_body_breaks_the_receiver(body in proptest::collection::vec(any::<u8>(), 0..300), form in 0..3_usize) {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let status = runtime.block_on(async {
            let (gateway, _) = open().await;
            let url = url(&gateway, &gateway.lane());
            let headers: &[(&str, &str)] = [&[JSON][..], &[PROTOBUF], &[PROTOBUF, GZIP]][form];
            sent(&url, body, headers).await.0
        });
        prop_assert!(status == 200 || status == 400, "{}", status);
    }
}
