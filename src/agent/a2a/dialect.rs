//! What goes over the wire: requests of both versions over both bindings, and the JSON-RPC envelope. Pure.

use reqwest::{Method, Url};
use serde_json::{Value, json};

use super::{super::TrialContext, card::Interface};

/// JSON-RPC: no such method; A2A: no such version.
const NOT_SPOKEN: [i64; 2] = [-32601, -32009];

/// A version of the protocol; patch versions do not matter. The newer comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Version {
    V1,
    V03,
}

impl Version {
    pub(super) fn named(text: &str) -> Option<Self> {
        let mut numbers = text.split('.');
        match (numbers.next()?, numbers.next().unwrap_or("0")) {
            ("1", _) => Some(Self::V1),
            ("0", "3") => Some(Self::V03),
            _ => None,
        }
    }
}

/// How messages are carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Binding {
    JsonRpc,
    Rest,
}

impl Binding {
    pub(super) fn named(text: &str) -> Option<Self> {
        match text {
            "JSONRPC" => Some(Self::JsonRpc),
            "HTTP+JSON" => Some(Self::Rest),
            _ => None,
        }
    }
}

/// One HTTP request.
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) body: Option<Value>,
}

/// What the user says.
pub(super) struct Said<'a> {
    pub(super) prompt: &'a str,
    pub(super) id: String,
    pub(super) thread: Option<&'a str>,
    pub(super) task: Option<&'a str>,
    pub(super) context: &'a TrialContext,
}

/// Why a JSON-RPC request failed.
pub(super) struct RpcFault {
    pub(super) message: String,
    /// The agent does not speak what its card says.
    pub(super) is_setup: bool,
}

impl Interface {
    /// The request that sends a message and waits for what comes of it.
    pub(super) fn send(&self, said: &Said<'_>, number: u64) -> Request {
        let mut params = json!({"message": self.message(said), "configuration": self.configuration()});
        if let Some(tenant) = &self.tenant {
            set(&mut params, "tenant", tenant.as_str().into());
        }
        match (self.binding, self.version) {
            (Binding::JsonRpc, Version::V1) => self.call("SendMessage", &params, number),
            (Binding::JsonRpc, Version::V03) => self.call("message/send", &params, number),
            (Binding::Rest, _) => Request { method: Method::POST, url: self.below("message:send"), body: Some(params) },
        }
    }

    /// The request that looks at a task.
    pub(super) fn look(&self, task: &str) -> Request {
        let mut params = json!({"id": task});
        if let Some(tenant) = &self.tenant {
            set(&mut params, "tenant", tenant.as_str().into());
        }
        match (self.binding, self.version) {
            (Binding::JsonRpc, Version::V1) => self.call("GetTask", &params, 0),
            (Binding::JsonRpc, Version::V03) => self.call("tasks/get", &params, 0),
            (Binding::Rest, _) => {
                Request { method: Method::GET, url: self.below(&format!("tasks/{task}")), body: None }
            }
        }
    }

    fn message(&self, said: &Said<'_>) -> Value {
        let context = said.context;
        let mut message = match (self.version, self.binding) {
            (Version::V1, _) => json!({"role": "ROLE_USER", "parts": [{"text": said.prompt}]}),
            (Version::V03, Binding::JsonRpc) => {
                json!({"kind": "message", "role": "user", "parts": [{"kind": "text", "text": said.prompt}]})
            }
            (Version::V03, Binding::Rest) => json!({"role": "ROLE_USER", "content": [{"text": said.prompt}]}),
        };
        set(&mut message, "messageId", said.id.as_str().into());
        for (key, value) in [("contextId", said.thread), ("taskId", said.task)] {
            if let Some(value) = value {
                set(&mut message, key, value.into());
            }
        }
        let metadata = json!({
            "traceparent": context.traceparent, "baggage": context.baggage, "agentready.tools": context.tools_url
        });
        set(&mut message, "metadata", metadata);
        message
    }

    fn configuration(&self) -> Value {
        match self.version {
            Version::V1 => {
                json!({"acceptedOutputModes": ["text/plain", "application/json"], "returnImmediately": false})
            }
            Version::V03 => json!({"acceptedOutputModes": ["text/plain", "application/json"], "blocking": true}),
        }
    }

    fn call(&self, method: &str, params: &Value, number: u64) -> Request {
        let body = json!({"jsonrpc": "2.0", "id": number, "method": method, "params": params});
        Request { method: Method::POST, url: self.url.clone(), body: Some(body) }
    }

    /// A path below the interface's URL.
    fn below(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        let prefix = match self.version {
            Version::V03 if !base.ends_with("/v1") => "/v1",
            Version::V1 | Version::V03 => "",
        };
        url.set_path(&format!("{base}{prefix}/{path}"));
        url
    }
}

fn set(value: &mut Value, key: &str, item: Value) {
    if let Some(entries) = value.as_object_mut() {
        entries.insert(key.to_owned(), item);
    }
}

/// The result of a JSON-RPC answer, or its error.
pub(super) fn without_envelope(mut answer: Value) -> Result<Value, RpcFault> {
    if let Some(error) = answer.get("error").filter(|error| !error.is_null()) {
        let code = error.get("code").and_then(Value::as_i64).unwrap_or_default();
        let message = error.get("message").and_then(Value::as_str).map_or_else(|| error.to_string(), str::to_owned);
        return Err(RpcFault { message: format!("{message} ({code})"), is_setup: NOT_SPOKEN.contains(&code) });
    }
    Ok(answer.get_mut("result").map(Value::take).unwrap_or(answer))
}
