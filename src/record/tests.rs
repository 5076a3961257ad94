use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use super::{
    Call, Class, End, Ending, ModelCall, Prompts, ReadError, Redactor, RunHeader, TrialRecord, TurnRecord, Usage,
    VERSION, Writer, read_ending, read_header, trials,
};

fn header() -> RunHeader {
    RunHeader {
        record: VERSION,
        version: "0.0.0".into(),
        id: "r".into(),
        started: "2026-11-21T00:00:00Z".into(),
        today: "2026-11-21".into(),
        attacks: None,
        seed: 7,
        manifest: "agentready.yaml".into(),
        checklist: "sha256:1".into(),
        profiles: vec![],
        suites: vec![],
        filters: vec![],
        trials: None,
        planned: 3,
        checks: None,
        correlation: "url".into(),
        facts: json!({}),
        environment: BTreeMap::new(),
        inputs: BTreeMap::new(),
    }
}

fn trial(index: u32, answer: &str) -> TrialRecord {
    TrialRecord {
        turns: vec![TurnRecord {
            say: "hello".into(),
            answer: answer.into(),
            usage: Usage { tokens: 12, steps: 1, usd: 0.1, review_usd: Some(2.5), ..Usage::default() },
            latency_ms: 5,
            ..TurnRecord::default()
        }],
        ledger: vec![Call { result: json!({"paid_usd": 80.5}), ..Call::executed("get_order", json!({"id": "1042"})) }],
        state: json!({"orders": {}}),
        attempts: 1,
        duration_ms: 6,
        ..TrialRecord::unasked(index, &format!("s-{index}"), 0, End::Completed)
    }
}

fn read(folder: &std::path::Path) -> Result<Vec<TrialRecord>, ReadError> {
    let mut found = Vec::new();
    trials(folder, |trial| found.push(trial))?;
    Ok(found)
}

#[test]
fn a_record_reads_back_as_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut writer = Writer::create(folder.path(), &header(), Redactor::default()).expect("creates");
    writer.trial(trial(0, "a"), |_| None).expect("writes");
    writer.trial(trial(1, "b"), |_| None).expect("writes");
    let last_line = writer.last_line().to_owned();
    writer.finish(&Ending { duration_ms: 9, last_line, ..Ending::default() }).expect("finishes");
    assert_eq!(read_header(folder.path()).expect("header"), header());
    assert_eq!(read_ending(folder.path()).expect("ending").expect("there").duration_ms, 9);
    assert_eq!(read(folder.path()).expect("trials"), [trial(0, "a"), trial(1, "b")]);
}

#[test]
fn a_cut_line_is_lost_alone_and_the_record_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut writer = Writer::create(folder.path(), &header(), Redactor::default()).expect("creates");
    writer.trial(trial(0, "a"), |_| None).expect("writes");
    writer.trial(trial(1, "b"), |_| None).expect("writes");
    let path = folder.path().join("trials.ndjson");
    let text = std::fs::read_to_string(&path).expect("reads");
    std::fs::write(&path, &text[..text.len() - 20]).expect("cuts");
    assert_eq!(read(folder.path()).expect("trials"), [trial(0, "a")]);
    drop(writer);
    let mut writer = Writer::resume(folder.path(), Redactor::default()).expect("resumes");
    writer.trial(trial(2, "c"), |_| None).expect("writes");
    assert_eq!(read(folder.path()).expect("trials"), [trial(0, "a"), trial(2, "c")]);
}

#[test]
fn a_changed_line_breaks_the_chain() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut writer = Writer::create(folder.path(), &header(), Redactor::default()).expect("creates");
    writer.trial(trial(0, "refused"), |_| None).expect("writes");
    writer.trial(trial(1, "b"), |_| None).expect("writes");
    let path = folder.path().join("trials.ndjson");
    let text = std::fs::read_to_string(&path).expect("reads").replacen("refused", "granted", 1);
    std::fs::write(&path, text).expect("changes");
    assert!(matches!(read(folder.path()), Err(ReadError::Chain { line: 2, .. })));
}

#[test]
fn a_changed_end_is_seen_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut writer = Writer::create(folder.path(), &header(), Redactor::default()).expect("creates");
    writer.trial(trial(0, "refused"), |_| None).expect("writes");
    let last_line = writer.last_line().to_owned();
    writer.finish(&Ending { last_line, ..Ending::default() }).expect("finishes");
    let path = folder.path().join("trials.ndjson");
    let text = std::fs::read_to_string(&path).expect("reads");
    std::fs::write(&path, text.replacen("refused", "granted", 1)).expect("changes");
    assert!(matches!(read(folder.path()), Err(ReadError::Chain { line: 0, .. })));
    std::fs::write(&path, "").expect("empties");
    assert!(matches!(read(folder.path()), Err(ReadError::Chain { line: 0, .. })));
}

#[test]
fn two_runs_never_write_one_record() {
    let folder = tempfile::tempdir().expect("a folder");
    let _first = Writer::create(folder.path(), &header(), Redactor::default()).expect("creates");
    assert!(Writer::resume(folder.path(), Redactor::default()).is_err());
}

#[test]
fn a_secret_that_is_a_word_of_the_record_changes_nothing_else() {
    for secret in ["executed", "completed", "tokens", "ledger", "attempts"] {
        let folder = tempfile::tempdir().expect("a folder");
        let redactor = Redactor::new([("TOKEN".to_owned(), secret.to_owned())]);
        let mut writer = Writer::create(folder.path(), &header(), redactor).expect("creates");
        let written = writer.trial(trial(0, &format!("it is {secret}")), |_| None).expect("writes");
        assert_eq!(written.turns[0].answer, "it is [redacted:TOKEN]");
        assert_eq!(TrialRecord { turns: trial(0, "").turns, ..written.clone() }, trial(0, ""), "{secret}");
        assert_eq!(read(folder.path()).expect("reads"), [written]);
    }
}

#[test]
fn secrets_and_values_of_classes_are_replaced_in_prompts_and_in_json_that_stands_there_as_text() {
    let folder = tempfile::tempdir().expect("a folder");
    let holder = Class { name: "person".into(), fields: vec!["holder".into()], patterns: vec![] };
    let redactor = Redactor::new([("KEY".to_owned(), "hunter2secret".to_owned())]);
    let mut writer = Writer::create(folder.path(), &header(), redactor.with_classes(vec![holder], vec![], "k".into()))
        .expect("creates");
    let asked = json!({"messages": [
        {"role": "user", "content": "whose is it?"},
        {"role": "assistant", "content": "with hunter2secret I see:"},
        {"role": "tool", "content": "{\"holder\": \"Ada Obi\", \"paid_usd\": 5}"},
        {"role": "assistant", "content": "it is of Ada Obi"},
    ]});
    let said = Prompts::default().take(asked.as_object().expect("an object").clone());
    let call = ModelCall { said: Some(said), ..ModelCall::default() };
    let written = writer.trial(TrialRecord { model_calls: vec![call], ..trial(0, "a") }, |_| None).expect("writes");
    let said = written.model_calls[0].said.as_ref().expect("kept");
    let texts: Vec<_> = said.new.iter().map(|part| part["content"].as_str().expect("text")).collect();
    let token = texts[3].trim_start_matches("it is of ");
    assert!(token.starts_with("[class:person:"), "{texts:?}");
    let tool = format!("{{\"holder\": \"{token}\", \"paid_usd\": 5}}");
    assert_eq!(texts[..3], ["whose is it?", "with [redacted:KEY] I see:", &tool]);
    assert_eq!(read(folder.path()).expect("reads"), [written]);
}

#[test]
fn secrets_never_reach_the_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let redactor = Redactor::new([("TOKEN".to_owned(), "hunter2secret".to_owned())]);
    let mut writer = Writer::create(folder.path(), &header(), redactor).expect("creates");
    writer.trial(trial(0, "your token is hunter2secret!"), |_| None).expect("writes");
    let text = std::fs::read_to_string(folder.path().join("trials.ndjson")).expect("reads");
    assert!(!text.contains("hunter2secret"));
    assert!(text.contains("your token is [redacted:TOKEN]!"));
}

fn with_classes(own: &str) -> Redactor {
    let class = |name: &str, fields: &[&str], pattern: &str| Class {
        name: name.to_owned(),
        fields: fields.iter().map(|field| (*field).to_owned()).collect(),
        patterns: vec![regex::Regex::new(pattern).expect("a pattern")],
    };
    let classes = vec![
        class("pii", &["Email", "phone"], "[a-z]+@private[.]example"),
        class("card", &[], r"\b(\d{4} ){3}\d{4}\b"),
    ];
    Redactor::default().with_classes(classes, vec![own.into()], "key".to_owned())
}

/// What stands on record of an answer and the arguments of one call.
fn on_record(redactor: &Redactor, answer: &str, args: serde_json::Value) -> (String, TrialRecord) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut writer = Writer::create(folder.path(), &header(), redactor.clone()).expect("creates");
    let call = Call::executed("note", args);
    let written = writer.trial(TrialRecord { ledger: vec![call], ..trial(0, answer) }, |_| None).expect("writes");
    (std::fs::read_to_string(folder.path().join("trials.ndjson")).expect("reads"), written)
}

#[test]
fn values_of_classes_are_tokens_wherever_they_stand() {
    let redactor = with_classes("state: {email: ana@shop.example, phone: 5550100123}");
    for (answer, args, told) in [
        ("Done.", json!({"to": {"EMAIL": "real@person.example"}}), "real@person"),
        ("I wrote to real@person.example.", json!({"email": "real@person.example"}), "real@person"),
        ("Sent to x@private.example", json!({}), "x@private"),
        ("card 4929 1180 4417 2035, thanks", json!({}), "4929"),
        ("Done.", json!({"email": ["a@b.example", "real@person.example"]}), "real@person"),
        ("Done.", json!({"phone": 4_915_112_345_678_i64}), "4915112345678"),
        ("Done.", json!({"x@private.example": 1}), "x@private"),
        (
            "Done.",
            json!({"email": "quo\"ted@person.example", "note": "{\"to\":\"quo\\\"ted@person.example\"}"}),
            "ted@person",
        ),
        ("Done.", json!({"email": "q"}), "\"q\""),
    ] {
        let (text, _) = on_record(&redactor, answer, args);
        assert!(text.contains("[class:") && !text.contains(told), "{told}: {text}");
    }
}

#[test]
fn more_values_than_can_be_told_apart_are_withheld_in_bounded_time() {
    let own = "word ".repeat(200_000);
    let redactor = with_classes(&own);
    let began = std::time::Instant::now();
    let many: Vec<String> = (0..20_000).map(|n| format!("p{n}@person.example")).collect();
    let long = format!("{}@person.example…", "x".repeat(100_000));
    for (answer, args) in [
        ("and to p19999@person.example".to_owned(), json!({"email": many})),
        (long.repeat(5), json!({"email": [long, "y".repeat(90_000)]})),
        ("…".repeat(300_000), json!({"email": many[..1_500]})),
    ] {
        let (text, written) = on_record(&redactor, &answer, args);
        assert!(!text.contains("person.example"), "{}", text.len());
        assert!(written.ledger[0].args.to_string().contains("[class:"));
    }
    assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
}

#[test]
fn what_the_runs_own_files_hold_stays_as_it_is() {
    let redactor = with_classes("state: {email: ana@shop.example, phone: 5550100123}");
    for args in [
        json!({"email": "ana@shop.example"}),
        json!({"phone": 5_550_100_123_i64}),
        json!({"phone": 42, "email": null, "name": "real@person.example"}),
    ] {
        let (text, written) = on_record(&redactor, "Wrote to ana@shop.example.", args.clone());
        assert!(!text.contains("[class:"), "{text}");
        assert_eq!((&written.ledger[0].args, &written.ruling), (&args, &None));
    }
}

#[test]
fn a_token_is_stable_in_a_run_and_tells_nothing_without_its_key() {
    let redactor = with_classes("");
    let token = |redactor: &Redactor| on_record(redactor, "to x@private.example", json!({})).1.turns[0].answer.clone();
    assert_eq!(token(&redactor), token(&redactor));
    let other = Redactor::default().with_classes(
        vec![Class {
            name: "pii".to_owned(),
            fields: vec![],
            patterns: vec![regex::Regex::new("x@.*").expect("a pattern")],
        }],
        vec![],
        "another key".to_owned(),
    );
    assert_ne!(token(&redactor), token(&other));
}

proptest! {
    #[test]
    fn any_answer_survives_the_round_trip(answer in any::<String>(), usd in 0.0..1e6f64) {
        let folder = tempfile::tempdir().expect("a folder");
        let mut writer = Writer::create(folder.path(), &header(), Redactor::default()).expect("creates");
        let mut written = trial(0, &answer);
        if let Some(turn) = written.turns.first_mut() {
            turn.usage.usd = usd;
        }
        writer.trial(written.clone(), |_| None).expect("writes");
        prop_assert_eq!(read(folder.path()).expect("reads"), vec![written]);
    }
}
