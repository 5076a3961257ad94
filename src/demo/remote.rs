//! The model step over the wire: `OpenAI`'s chat completions at a URL of the environment. Proposes calls like the built-in
//! rules do; what becomes of them is decided elsewhere.

use serde_json::{Value, json};

use super::schemas;

/// What the model is told of its work; the same text as the built-in rules follow.
const PROMPT: &str = include_str!("../../fixtures/demo/prompts/decide.md");

/// Where the model is.
#[derive(Clone, Debug)]
pub(super) struct Remote {
    url: String,
    key: Option<String>,
}

/// One call that the model proposes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Proposal {
    pub(super) id: String,
    pub(super) tool: String,
    /// The arguments; a text where they are no JSON.
    pub(super) args: Value,
}

/// One answer of the model.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Spoken {
    pub(super) text: String,
    pub(super) calls: Vec<Proposal>,
    pub(super) tokens: u64,
    /// The message as it goes into the next request.
    pub(super) message: Value,
}

impl Remote {
    /// The model at a base URL; nothing when it is not on this machine, because tickets must not leave it.
    pub(super) fn at(url: &str, key: Option<&str>) -> Option<Self> {
        let url = url.trim_end_matches('/');
        url.starts_with("http://127.0.0.1:").then(|| Self { url: url.to_owned(), key: key.map(str::to_owned) })
    }

    /// The messages that a conversation begins with.
    pub(super) fn opening(said: &[String]) -> Vec<Value> {
        let said = said.iter().map(|text| json!({"role": "user", "content": text}));
        std::iter::once(json!({"role": "system", "content": PROMPT})).chain(said).collect()
    }

    /// The next answer.
    pub(super) async fn ask(
        &self,
        http: &reqwest::Client,
        messages: &[Value],
        carried: Vec<(&'static str, String)>,
    ) -> Result<Spoken, String> {
        let body =
            json!({"model": "refund-model", "messages": messages, "tools": schemas::offered(), "temperature": 0});
        let request = http.post(format!("{}/chat/completions", self.url)).json(&body);
        let request = carried.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        let request = match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        };
        let answer = request.send().await.and_then(reqwest::Response::error_for_status);
        let answer = answer.map_err(|error| error.without_url().to_string())?;
        let answer: Value = answer.json().await.map_err(|error| error.without_url().to_string())?;
        read(&answer).ok_or_else(|| "the model gave no readable answer".to_owned())
    }
}

fn read(answer: &Value) -> Option<Spoken> {
    let message = answer.pointer("/choices/0/message")?;
    let text = |value: &Value, place: &str| value.pointer(place).and_then(Value::as_str).unwrap_or_default().to_owned();
    let call = |call: &Value| {
        let written = text(call, "/function/arguments");
        let args = serde_json::from_str(&written).unwrap_or(Value::String(written));
        Proposal { id: text(call, "/id"), tool: text(call, "/function/name"), args }
    };
    let calls = message.get("tool_calls").and_then(Value::as_array).into_iter().flatten();
    Some(Spoken {
        text: text(message, "/content"),
        calls: calls.map(call).collect(),
        tokens: answer.pointer("/usage/total_tokens").and_then(Value::as_u64).unwrap_or_default(),
        message: message.clone(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Remote, read};

    #[test]
    fn the_model_is_on_this_machine_or_nowhere() {
        for (url, fits) in [("http://127.0.0.1:80/v1/", true), ("https://api.openai.com/v1", false), ("", false)] {
            assert_eq!(Remote::at(url, None).is_some(), fits, "{url}");
        }
    }

    #[test]
    fn arguments_that_are_no_json_stay_a_text() {
        let call = json!({"id": "1", "function": {"name": "get_order", "arguments": "{oops"}});
        let spoken = read(&json!({"choices": [{"message": {"content": null, "tool_calls": [call]}}]})).expect("read");
        assert_eq!(spoken.calls[0].args, json!("{oops"));
        assert_eq!((spoken.text.as_str(), spoken.tokens), ("", 0));
        assert_eq!(read(&json!({"choices": []})), None);
    }
}
