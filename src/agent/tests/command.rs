#![cfg(unix)]

use std::time::Duration;

use serde_json::{Value, json};

use super::stub::{soon, talk};
use crate::agent::TurnError;

fn shell(script: &str) -> Value {
    json!({"protocol": "command", "run": ["sh", "-c", script], "timeout": "1s", "response": {"max_bytes": 100_000}})
}

#[tokio::test]
async fn a_program_answers_line_by_line() {
    let script = r#"
        n=0
        while read -r line; do
          n=$((n + 1))
          printf '\n{"answer": "%s %s", "usage": {"tokens": 5}, "tool_calls": [{"tool": "look"}]}\n' "$n" "$AGENTREADY_TOOLS_URL"
        done"#;
    let answers = soon(talk(shell(script), &["a", "b"])).await.expect("answers");
    assert_eq!(answers[1].text, "2 http://127.0.0.1:9/t/tok/tools");
    assert_eq!((answers[1].usage.tokens, answers[1].claimed.len()), (5, 1));
}

#[tokio::test]
async fn a_program_sees_the_message_and_the_history() {
    let script =
        r#"while read -r line; do printf '%s' "$line" | sed 's/"/\\"/g; s/^/{"answer": "/; s/$/"}/'; echo; done"#;
    let answers = soon(talk(shell(script), &["hi"])).await.expect("answers");
    let seen: Value = serde_json::from_str(&answers[0].text).expect("JSON");
    assert_eq!(seen["message"], "hi");
    assert_eq!(seen["trial_id"], "small-refund#0");
    assert_eq!(seen["history"], json!([]));
}

#[tokio::test]
async fn a_program_that_fails_says_why() {
    for (script, said) in [
        ("read -r line; echo 'no model key' >&2; exit 3", "ended without an answer (exit status: 3): no model key"),
        ("read -r line; echo oops", "a line that is no JSON: oops"),
        ("read -r line; echo '{\"reply\": 1}'", "no text as `answer`: {\"reply\": 1}"),
        ("read -r line; echo '{\"error\": \"tired\"}'", "the program says: tired"),
        ("cat /dev/zero", "a line of more than 100000 bytes"),
    ] {
        let outcome = soon(talk(shell(script), &["x"])).await;
        let Err(TurnError::Agent(message)) = outcome else { panic!("{script}: {outcome:?}") };
        assert!(message.contains(said), "{message}");
    }
    let missing = json!({"protocol": "command", "run": ["./no-such-program"]});
    assert!(matches!(talk(missing, &["x"]).await, Err(TurnError::Setup(_))));
}

#[tokio::test]
async fn a_silent_program_is_killed_with_its_children() {
    let folder = tempfile::tempdir().expect("a folder");
    let pid_file = folder.path().join("pid");
    let mut endpoint = shell(&format!("sleep 30 & echo $! > {}; wait", pid_file.display()));
    endpoint["timeout"] = json!("300ms");
    assert_eq!(soon(talk(endpoint, &["x"])).await, Err(TurnError::Timeout(Duration::from_millis(300))));
    super::process::assert_gone(&pid_file).await;
}
