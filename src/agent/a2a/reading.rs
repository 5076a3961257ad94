//! From a message or task to what it comes to. Tolerant: servers mix the two versions. Pure.

use serde_json::Value;

use super::super::extract::claim;
use crate::record::Claim;

/// Where a task stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    Done,
    Working,
    /// It waits for its user: for words or for a sign-in.
    Asking,
    Rejected,
    /// Failed or canceled, in the agent's word.
    Failed(String),
}

/// What an answer comes to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reached {
    pub(super) state: State,
    pub(super) text: String,
    pub(super) thread: Option<String>,
    pub(super) task: Option<String>,
    pub(super) claimed: Vec<Claim>,
}

/// Reads a message or a task, wrapped or bare; nothing if it is neither.
pub(super) fn reached(value: &Value) -> Option<Reached> {
    if let Some(inner) = value.get("task").or_else(|| value.get("message")).filter(|inner| inner.is_object()) {
        return reached(inner);
    }
    let text = |key: &str| value.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    if let Some(state) = value.pointer("/status/state").and_then(Value::as_str) {
        return Some(Reached {
            state: state_of(state),
            text: task_text(value),
            thread: text("contextId"),
            task: text("id"),
            claimed: claims(value),
        });
    }
    let parts = parts(value)?;
    Some(Reached {
        state: State::Done,
        text: joined(parts),
        thread: text("contextId"),
        task: text("taskId"),
        claimed: Vec::new(),
    })
}

/// `TASK_STATE_INPUT_REQUIRED` and `input-required` are the same.
fn state_of(state: &str) -> State {
    let name = state.trim_start_matches("TASK_STATE_").to_lowercase().replace('_', "-");
    match name.as_str() {
        "completed" => State::Done,
        "input-required" | "auth-required" => State::Asking,
        "rejected" => State::Rejected,
        "submitted" | "working" => State::Working,
        _ => State::Failed(crate::text::shortened(&crate::text::printable_line(&name), 40)),
    }
}

/// The artifacts; without them what the status says, else the agent's last message. A task that waits for its user has said
/// what it waits for.
fn task_text(task: &Value) -> String {
    let artifacts = task.get("artifacts").and_then(Value::as_array).into_iter().flatten();
    let artifacts: Vec<String> =
        artifacts.filter_map(parts).map(joined).filter(|text| !text.trim().is_empty()).collect();
    let status = || task.pointer("/status/message").and_then(parts).map(joined).filter(|text| !text.trim().is_empty());
    let is_done = task.pointer("/status/state").and_then(Value::as_str).map(state_of) == Some(State::Done);
    let last = || {
        let history = task.get("history")?.as_array()?;
        let by_agent = |message: &&Value| {
            message.get("role").and_then(Value::as_str).is_some_and(|role| role.to_lowercase().ends_with("agent"))
        };
        history.iter().rev().find(by_agent).and_then(parts).map(joined)
    };
    let made = (!artifacts.is_empty()).then(|| artifacts.join("\n"));
    let said = if is_done { made.or_else(status) } else { status().or(made) };
    said.or_else(last).unwrap_or_default()
}

fn parts(value: &Value) -> Option<&[Value]> {
    value.get("parts").or_else(|| value.get("content"))?.as_array().map(Vec::as_slice)
}

/// The texts of parts in a row; without any, their data as JSON.
fn joined(parts: &[Value]) -> String {
    let texts: Vec<&str> = parts.iter().filter_map(|part| part.get("text")?.as_str()).collect();
    if !texts.is_empty() {
        return texts.concat();
    }
    let data =
        parts.iter().filter_map(|part| part.get("data")).map(|data| data.get("data").unwrap_or(data).to_string());
    data.collect::<Vec<_>>().join("\n")
}

/// Calls that some frameworks leave in the history as data.
fn claims(task: &Value) -> Vec<Claim> {
    let messages = task.get("history").and_then(Value::as_array).into_iter().flatten();
    let parts = messages.filter_map(parts).flatten();
    let calls =
        parts.filter(|part| part.pointer("/metadata/adk_type").and_then(Value::as_str) == Some("function_call"));
    calls.filter_map(|part| part.get("data")).filter_map(|data| claim(data.get("data").unwrap_or(data))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{State, reached};

    #[test]
    fn what_an_answer_comes_to_is_read_from_both_versions() {
        let task = |state: &str, rest: Value| {
            let mut task = json!({"id": "t1", "contextId": "c1", "status": {"state": state}});
            if let (Some(task), Value::Object(rest)) = (task.as_object_mut(), rest) {
                task.extend(rest);
            }
            task
        };
        let says = |state: &str, text: &str| json!({"status": {"state": state, "message": {"parts": [{"kind": "text", "text": text}]}}});
        let artifacts = json!([{"parts": [{"text": "Done: "}, {"text": "$20"}]}, {"parts": [{"text": "Bye"}]}]);
        for (value, state, text) in [
            (json!({"message": {"role": "ROLE_AGENT", "parts": [{"text": "hi"}]}}), State::Done, "hi"),
            (json!({"kind": "message", "role": "agent", "parts": [{"kind": "text", "text": "hi"}]}), State::Done, "hi"),
            (
                json!({"task": task("TASK_STATE_COMPLETED", json!({"artifacts": artifacts}))}),
                State::Done,
                "Done: $20\nBye",
            ),
            (
                task("completed", json!({"artifacts": [{"parts": [{"kind": "data", "data": {"a": 1}}]}]})),
                State::Done,
                r#"{"a":1}"#,
            ),
            (
                task(
                    "completed",
                    json!({"history": [{"role": "ROLE_USER", "parts": [{"text": "q"}]}, {"role": "ROLE_AGENT", "parts": [{"text": "a"}]}]}),
                ),
                State::Done,
                "a",
            ),
            (task("", says("TASK_STATE_INPUT_REQUIRED", "How much?")), State::Asking, "How much?"),
            (task("", says("auth-required", "Sign in")), State::Asking, "Sign in"),
            (task("", says("rejected", "no")), State::Rejected, "no"),
            (task("", says("TASK_STATE_FAILED", "down")), State::Failed("failed".to_owned()), "down"),
            (task("canceled", json!({})), State::Failed("canceled".to_owned()), ""),
            (task("TASK_STATE_UNSPECIFIED", json!({})), State::Failed("unspecified".to_owned()), ""),
            (task("submitted", json!({})), State::Working, ""),
        ] {
            let seen = reached(&value).expect("a message or a task");
            assert_eq!((&seen.state, seen.text.as_str()), (&state, text), "{value}");
        }
        assert_eq!(reached(&json!({"ok": true})), None);
    }

    #[test]
    fn calls_in_the_history_are_claims() {
        let call =
            json!({"data": {"name": "lookup_order", "args": {"id": "9"}}, "metadata": {"adk_type": "function_call"}});
        let task =
            json!({"status": {"state": "completed"}, "history": [{"role": "agent", "parts": [call, {"text": "ok"}]}]});
        let claimed = reached(&task).expect("a task").claimed;
        assert_eq!((claimed[0].tool.as_str(), &claimed[0].args), ("lookup_order", &json!({"id": "9"})));
    }
}
