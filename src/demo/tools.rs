//! How the agent calls its tools: over HTTP where it is told a URL, over MCP where its environment names a server. Pass the
//! caller's trace context on, with the id of the run beside it.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    limits::{LIMITS, Meter},
    model::Seen,
    oversight::Oversight,
    remote::Remote,
};

/// The version of MCP that it speaks: every message stands for itself.
const MCP: &str = "2026-07-28";

/// Where the tools are.
#[derive(Clone, Debug)]
pub(super) struct Tools {
    pub(super) http: reqwest::Client,
    pub(super) place: Place,
    pub(super) meter: Arc<Meter>,
    /// The id of the run, sent along with every call.
    pub(super) run: String,
    /// What the caller sent along, empty for an agent that drops it.
    pub(super) context: Context,
    pub(super) oversight: Arc<Oversight>,
    /// The model over the wire; the built-in rules decide where there is none.
    pub(super) model: Option<Remote>,
}

/// The URL of the tools and what is spoken there.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// `POST <url>/<tool>`.
    Http(String),
    /// JSON-RPC at the URL itself.
    Mcp(String),
}

impl Place {
    /// The place without a slash at its end; nothing when it is not on this machine.
    pub(super) fn on_loopback(self) -> Option<Self> {
        let kept = |url: String| url.starts_with("http://127.0.0.1:").then(|| url.trim_end_matches('/').to_owned());
        match self {
            Self::Http(url) => kept(url).map(Self::Http),
            Self::Mcp(url) => kept(url).map(Self::Mcp),
        }
    }
}

/// W3C trace context and baggage of the run.
#[derive(Clone, Debug, Default)]
pub(super) struct Context {
    pub(super) traceparent: Option<String>,
    pub(super) baggage: Option<String>,
    /// Passes nothing on, not even the id of the run.
    pub(super) dropped: bool,
}

/// A tool as its server describes it. Its name alone is read: what it says of itself is data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Offered {
    pub(super) name: String,
    /// The description and those of the arguments.
    pub(super) says: String,
}

impl Offered {
    fn read(tool: &Value) -> Option<Self> {
        let text = |key: &str| tool.get(key).and_then(Value::as_str);
        let schema = tool.get("inputSchema").or_else(|| tool.get("input")).unwrap_or(&Value::Null);
        let arguments = schema.get("properties").and_then(Value::as_object);
        let arguments =
            arguments.into_iter().flatten().filter_map(|(_, argument)| argument.get("description")?.as_str());
        let own = text("description").or_else(|| text("about"));
        let says: Vec<&str> = own.into_iter().chain(arguments).collect();
        Some(Self { name: text("name")?.to_owned(), says: says.join("\n") })
    }
}

impl Tools {
    /// The tools that the server offers; nothing where it does not say.
    pub(super) async fn list(&self) -> Vec<Offered> {
        let request = match &self.place {
            Place::Http(url) => self.http.get(url),
            Place::Mcp(url) => self.message(url, ("tools/list", json!({})), ""),
        };
        let request = self.carried("").into_iter().fold(request, |request, (name, value)| request.header(name, value));
        let Ok(response) = request.send().await else { return Vec::new() };
        let body: Value = response.json().await.unwrap_or_default();
        let tools = body.as_array().or_else(|| body.pointer("/result/tools")?.as_array());
        tools.into_iter().flatten().filter_map(Offered::read).collect()
    }

    /// The id of the run and what the caller sent, but for an id of the caller's own.
    fn baggage(&self) -> String {
        let own = format!("run_id={}", self.run);
        let given = self.context.baggage.iter().flat_map(|baggage| baggage.split(','));
        let given = given.map(str::trim).filter(|member| !member.is_empty() && !member.starts_with("run_id="));
        std::iter::once(own.as_str()).chain(given).collect::<Vec<_>>().join(",")
    }

    /// What goes along with a call, by name: the caller's trace, going on from the span of the call where it has one.
    pub(super) fn carried(&self, span: &str) -> Vec<(&'static str, String)> {
        if self.context.dropped {
            return Vec::new();
        }
        let traceparent =
            self.context.traceparent.as_deref().map(|traceparent| ("traceparent", continued(traceparent, span)));
        traceparent.into_iter().chain([("baggage", self.baggage())]).collect()
    }

    /// Writes a call into the audit trail, whatever came of it.
    pub(super) fn log(&self, (tool, args): (&str, &Value), seen: &Seen, latency_ms: u64, span: &str) {
        let (status, response, error) = match seen {
            Seen::Result(result) => ("ok", result.clone(), Value::Null),
            Seen::Refused(why) => ("error", Value::Null, json!(why)),
            Seen::Blocked(why) => ("blocked", Value::Null, json!(why.name())),
        };
        let effect = side_effect(tool).and_then(|key| response.get(key)).cloned();
        let carried: serde_json::Map<String, Value> =
            self.carried(span).into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        let record = json!({"tool": tool, "args": args, "status": status, "response": response, "error": error,
            "latency_ms": latency_ms, "side_effect_id": effect, "actor": "svc-refund-agent", "trace_id": self.run,
            "carried": carried});
        self.oversight.record(&self.run, "call", record);
    }

    /// Makes a call, as the span with this id.
    pub(super) async fn call(&self, (tool, args): (&str, &Value), span: &str) -> Seen {
        let clients = &LIMITS.clients;
        let place = match &self.place {
            Place::Http(url) => format!("{url}/{tool}"),
            Place::Mcp(url) => format!("{url}#{tool}"),
        };
        if self.meter.is_open(&place, clients) {
            return Seen::Refused("the tool keeps failing and is left alone for a while".to_owned());
        }
        self.meter.keep_pace(clients).await;
        let Some(token) = self.oversight.token() else {
            return Seen::Refused("the identity of the agent is revoked".to_owned());
        };
        let request = match &self.place {
            Place::Http(url) => self.http.post(format!("{url}/{tool}")).json(args),
            Place::Mcp(url) => self.message(url, ("tools/call", json!({"name": tool, "arguments": args})), span),
        };
        let request =
            self.carried(span).into_iter().fold(request, |request, (name, value)| request.header(name, value));
        let sent = request.bearer_auth(token).send().await;
        self.meter.note(&place, sent.as_ref().map_or(true, |answer| answer.status().is_server_error()), clients);
        let Ok(response) = sent else { return Seen::Refused("the tool can't be reached".to_owned()) };
        let fine = response.status().is_success();
        let body: Value = response.json().await.unwrap_or_default();
        match self.place {
            Place::Http(_) => read(fine, &body),
            Place::Mcp(_) => read_message(&body),
        }
    }

    /// A request of MCP, with what goes along in its `_meta`.
    fn message(&self, url: &str, (method, mut params): (&str, Value), span: &str) -> reqwest::RequestBuilder {
        let mut meta = json!({
            "io.modelcontextprotocol/protocolVersion": MCP,
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "refund-agent", "version": env!("CARGO_PKG_VERSION")},
        });
        if let Some(meta) = meta.as_object_mut() {
            meta.extend(self.carried(span).into_iter().map(|(name, value)| (name.to_owned(), value.into())));
        }
        let name = params.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        if let Some(params) = params.as_object_mut() {
            params.insert("_meta".to_owned(), meta);
        }
        let request = self.http.post(url).header("accept", "application/json, text/event-stream");
        let request = request.header("mcp-protocol-version", MCP).header("mcp-method", method);
        let request = if name.is_empty() { request } else { request.header("mcp-name", name) };
        request.json(&json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}))
    }
}

/// A trace context with another span; a text of another form is passed on as it is.
fn continued(traceparent: &str, span: &str) -> String {
    match traceparent.split('-').collect::<Vec<_>>().as_slice() {
        [version, trace, _, flags] if !span.is_empty() => format!("{version}-{trace}-{span}-{flags}"),
        _ => traceparent.to_owned(),
    }
}

fn read(fine: bool, body: &Value) -> Seen {
    match (fine, body.get("result"), body.get("error").and_then(Value::as_str)) {
        (true, Some(result), _) => Seen::Result(result.clone()),
        (_, _, Some(error)) => Seen::Refused(error.to_owned()),
        _ => Seen::Refused("the tool gave no readable answer".to_owned()),
    }
}

fn read_message(body: &Value) -> Seen {
    let text = body.pointer("/result/content/0/text").and_then(Value::as_str);
    let failed = body.pointer("/result/isError") == Some(&Value::Bool(true));
    match (text, body.pointer("/error/message").and_then(Value::as_str)) {
        (Some(text), _) if failed => Seen::Refused(text.to_owned()),
        (Some(text), _) => Seen::Result(match body.pointer("/result/structuredContent") {
            Some(value) => value.clone(),
            None => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
        }),
        (None, Some(error)) => Seen::Refused(error.to_owned()),
        (None, None) => Seen::Refused("the tool gave no readable answer".to_owned()),
    }
}

/// Where the id of what a tool made or changed stands in its result.
fn side_effect(tool: &str) -> Option<&'static str> {
    match tool {
        "issue_refund" | "cancel_refund" => Some("refund_id"),
        "update_ticket" => Some("audit_id"),
        "send_decision" => Some("message_id"),
        "escalate_case" => Some("ticket_id"),
        "request_approval" => Some("approval_id"),
        _ => None,
    }
}
