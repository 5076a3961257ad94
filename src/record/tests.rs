use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use super::{
    Call, CallStatus, End, Ending, ReadError, Redactor, RunHeader, TrialRecord, TurnRecord, Usage, VERSION, Writer,
    read_ending, read_header, trials,
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
        index,
        scenario: format!("s-{index}"),
        trial: 0,
        turns: vec![TurnRecord {
            say: "hello".into(),
            answer: answer.into(),
            usage: Usage { tokens: 12, steps: 1, usd: 0.1 },
            latency_ms: 5,
            ..TurnRecord::default()
        }],
        ledger: vec![Call {
            seq: 0,
            turn: 0,
            tool: "get_order".into(),
            args: json!({"id": "1042"}),
            status: CallStatus::Executed,
            result: json!({"paid_usd": 80.5}),
            grants: None,
            at_ms: 3,
        }],
        state: json!({"orders": {}}),
        end: End::Completed,
        attempts: 1,
        duration_ms: 6,
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
    writer.trial(trial(0, "a")).expect("writes");
    writer.trial(trial(1, "b")).expect("writes");
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
    writer.trial(trial(0, "a")).expect("writes");
    writer.trial(trial(1, "b")).expect("writes");
    let path = folder.path().join("trials.ndjson");
    let text = std::fs::read_to_string(&path).expect("reads");
    std::fs::write(&path, &text[..text.len() - 20]).expect("cuts");
    assert_eq!(read(folder.path()).expect("trials"), [trial(0, "a")]);
    drop(writer);
    let mut writer = Writer::resume(folder.path(), Redactor::default()).expect("resumes");
    writer.trial(trial(2, "c")).expect("writes");
    assert_eq!(read(folder.path()).expect("trials"), [trial(0, "a"), trial(2, "c")]);
}

#[test]
fn a_changed_line_breaks_the_chain() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut writer = Writer::create(folder.path(), &header(), Redactor::default()).expect("creates");
    writer.trial(trial(0, "refused")).expect("writes");
    writer.trial(trial(1, "b")).expect("writes");
    let path = folder.path().join("trials.ndjson");
    let text = std::fs::read_to_string(&path).expect("reads").replacen("refused", "granted", 1);
    std::fs::write(&path, text).expect("changes");
    assert!(matches!(read(folder.path()), Err(ReadError::Chain { line: 2, .. })));
}

#[test]
fn a_changed_end_is_seen_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut writer = Writer::create(folder.path(), &header(), Redactor::default()).expect("creates");
    writer.trial(trial(0, "refused")).expect("writes");
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
        let written = writer.trial(trial(0, &format!("it is {secret}"))).expect("writes");
        assert_eq!(written.turns[0].answer, "it is [redacted:TOKEN]");
        assert_eq!(TrialRecord { turns: trial(0, "").turns, ..written.clone() }, trial(0, ""), "{secret}");
        assert_eq!(read(folder.path()).expect("reads"), [written]);
    }
}

#[test]
fn secrets_never_reach_the_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let redactor = Redactor::new([("TOKEN".to_owned(), "hunter2secret".to_owned())]);
    let mut writer = Writer::create(folder.path(), &header(), redactor).expect("creates");
    writer.trial(trial(0, "your token is hunter2secret!")).expect("writes");
    let text = std::fs::read_to_string(folder.path().join("trials.ndjson")).expect("reads");
    assert!(!text.contains("hunter2secret"));
    assert!(text.contains("your token is [redacted:TOKEN]!"));
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
        writer.trial(written.clone()).expect("writes");
        prop_assert_eq!(read(folder.path()).expect("reads"), vec![written]);
    }
}
