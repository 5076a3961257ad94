//! How the gate reaches the agent under test.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::units::Span;

/// The endpoint of the build under test. `{port}` in `url` and `start` is a free port that the gate picks.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// The wire format.
    #[serde(default)]
    pub protocol: Protocol,
    /// Protocol `http`: how a well-known server is spoken to; `list adapters` names them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<String>,
    /// What a preset asks for; `values.<name>` in templates.
    #[serde(default)]
    pub values: BTreeMap<String, String>,
    /// Where to send; needed for every protocol but `command`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// How the gate authenticates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// Command that starts the agent; the gate ends its whole process group afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// Working directory of `start` and `run`, relative to the manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// When a started agent counts as ready.
    #[serde(default)]
    pub ready: Ready,
    /// Test tenants, for isolation checks.
    #[serde(default)]
    pub tenants: Vec<String>,
    /// Environment of `start`: `gate:tools` becomes the URL of the tool stand-in, `gate:otlp` that of the trace receiver;
    /// `gate:model/openai` and `gate:model/anthropic` that of the model stand-in: scripted in drills and in scenarios with
    /// `model`, else the way to `upstream`, where one is named.
    #[serde(default)]
    pub stand_ins: BTreeMap<String, String>,
    /// What the agent passes on that names its trial, where it passes on no trace context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation: Option<Correlation>,
    /// Real providers behind `gate:model/<provider>`: in the suites the gate passes on what the agent asks there, and notes
    /// prompts, tokens and cost. Without one the agent asks its own model there.
    #[serde(default)]
    pub upstream: BTreeMap<Provider, Upstream>,
    /// The agent reads what the tools' server says of them (names, descriptions, schemas) before it uses them, as every
    /// agent with an MCP server does; attacks may then stand there.
    #[serde(default)]
    pub lists_tools: bool,
    /// Time limit of one request.
    #[serde(default = "default_timeout")]
    pub timeout: Span,
    /// Time limit of one trial, all turns together.
    #[serde(default = "default_trial_timeout")]
    pub trial_timeout: Span,
    /// Requests that may be in flight at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// Requests per second that the agent accepts, such as `10/s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// Protocol `command`: program and arguments, one process per trial, JSON lines over stdio.
    #[serde(default)]
    pub run: Vec<String>,
    /// Protocols `openai`, `openai-responses` and `anthropic`: the model name to ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The same protocols: the endpoint is a bare model and the gate runs the tool loop itself.
    #[serde(default)]
    pub bare_model: bool,
    /// The same protocols: text of the system message, for a bare model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// The same protocols: ask for a streamed answer.
    #[serde(default)]
    pub stream: bool,
    /// The same protocols: more fields of each request, as they are sent (`{store: false, metadata: {entity_id: refunds}}`).
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub fields: serde_json::Map<String, Value>,
    /// Protocol `http`: requests that open a session; what they capture is `session.<name>` below.
    #[serde(default)]
    pub setup: Vec<Step>,
    /// Protocol `http`: the request of one turn.
    #[serde(default)]
    pub request: Request,
    /// Protocol `http`: asked again until it is done, for agents that answer later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poll: Option<Poll>,
    /// Protocol `http`: how the answer is read.
    #[serde(default)]
    pub response: Response,
    /// Protocol `http`: requests that close the session.
    #[serde(default)]
    pub teardown: Vec<Step>,
}

fn default_timeout() -> Span {
    Span(std::time::Duration::from_secs(30))
}

fn default_trial_timeout() -> Span {
    Span(std::time::Duration::from_secs(120))
}

/// What names a trial in requests of the agent.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Correlation {
    /// A header that the gate sends with each request, and that the agent sends to its tools, its model and with its traces.
    pub header: String,
}

/// The wire formats that the gate speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// Any JSON over HTTP, described by `request` and `response`.
    #[default]
    Http,
    /// Chat completions.
    Openai,
    /// `OpenAI`'s Responses.
    OpenaiResponses,
    /// Anthropic's Messages.
    Anthropic,
    /// `Agent2Agent` 1.0 and 0.3, as the agent card says.
    A2a,
    /// Model Context Protocol; not spoken by this version.
    Mcp,
    /// JSON lines over stdio.
    Command,
}

impl Protocol {
    /// The name in `endpoint.protocol`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Openai => "openai",
            Self::OpenaiResponses => "openai-responses",
            Self::Anthropic => "anthropic",
            Self::A2a => "a2a",
            Self::Mcp => "mcp",
            Self::Command => "command",
        }
    }
}

/// Providers of models whose formats the gate speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Provider {
    /// Chat completions and Responses.
    Openai,
    /// Messages.
    Anthropic,
}

impl Provider {
    /// The name behind `gate:model/`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::Anthropic => "anthropic",
        }
    }
}

/// A real provider of models.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// Its base URL as its clients take it: `https://api.openai.com/v1`, `https://api.anthropic.com`.
    pub url: String,
    /// The key as `env:NAME`; the agent's own goes along when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// How the gate authenticates. Values may be `env:NAME`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// `Authorization: Bearer …`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer: Option<String>,
    /// `Authorization: Basic …`, given as `user:password`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic: Option<String>,
    /// Other headers, such as `X-Api-Key`.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

/// When a started agent counts as ready.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ready {
    /// URL that must answer with any status below 500; the port of `url` must accept connections when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// How long to wait.
    #[serde(default = "default_ready")]
    pub within: Span,
}

impl Default for Ready {
    fn default() -> Self {
        Self { url: None, within: default_ready() }
    }
}

fn default_ready() -> Span {
    Span(std::time::Duration::from_secs(60))
}

/// Requests per time, such as `10/s` or `600/m`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Requests per second.
    pub per_second: f64,
}

impl std::str::FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('/').and_then(|(count, unit)| {
            let seconds = match unit {
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                _ => return None,
            };
            let count: f64 = count.trim().parse().ok()?;
            (count > 0.0).then_some(Self { per_second: count / seconds })
        });
        parsed.ok_or_else(|| format!("`{text}` is no rate such as `10/s` or `600/m`"))
    }
}

impl Serialize for Rate {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}/s", self.per_second))
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Rate {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Rate".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^[0-9]+(\\.[0-9]+)?/(s|m|h)$",
            "x-expected": "a rate such as `10/s` or `600/m`"
        })
    }
}

/// The request of one turn. Text leaves of `body`, `query` and `headers` are templates over `prompt`, `messages`,
/// `history`, `turn`, `session`, `run.id`, `trial.id`, `trial.token`, `tools_url`, `traceparent` and `baggage`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// `POST` when left out.
    #[serde(default = "post")]
    pub method: String,
    /// Path or URL, relative to `endpoint.url`; a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Headers; templates.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Query parameters; templates.
    #[serde(default)]
    pub query: BTreeMap<String, String>,
    /// JSON body as a tree with template leaves; `{$cel: …}` is what the expression gives over the same names.
    #[serde(default = "default_body")]
    pub body: Value,
}

impl Default for Request {
    fn default() -> Self {
        Self { method: post(), url: None, headers: BTreeMap::new(), query: BTreeMap::new(), body: default_body() }
    }
}

fn post() -> String {
    "POST".to_owned()
}

fn default_body() -> Value {
    serde_json::json!({
        "message": "{{ prompt }}",
        "history": "{{ history }}",
        "session_id": "{{ trial.id }}",
        "tools_url": "{{ tools_url }}"
    })
}

/// A request before or after the turns, with what it keeps.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The request.
    pub request: Request,
    /// Name to CEL over `status`, `headers` and `body`; kept as `session.<name>`.
    #[serde(default)]
    pub capture: BTreeMap<String, String>,
}

/// Asking again until the answer is there.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Poll {
    /// URL, a template that may also name `submitted` (the body of the first answer).
    pub url: String,
    /// Pause between two requests.
    #[serde(default = "default_every")]
    pub every: Span,
    /// CEL over `status` and `body`: the answer is there.
    pub until: String,
    /// CEL over `status` and `body`: the agent gave up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fail_if: Option<String>,
}

fn default_every() -> Span {
    Span(std::time::Duration::from_secs(1))
}

/// How the answer is read; every expression is CEL over `body`, `status`, `headers` and, for streams, `events`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Response {
    /// How the body is framed.
    #[serde(default)]
    pub format: BodyFormat,
    /// The final text. For streams the texts that `delta` gives are joined when this is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// For streams: CEL over `event` (`{name, data}`, data parsed as JSON where it is JSON) giving a piece of text or null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delta: Option<String>,
    /// Tool calls the agent says it made: a list of `{tool, args, blocked}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<String>,
    /// Usage: a map with `tokens`, `steps`, and what the turn cost by the agent's own count: `usd` (models), `tools_usd`,
    /// `review_usd` (people), or `total_usd` alone; each optional.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<String>,
    /// Text that says the agent failed, or null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Largest body in bytes that is read.
    #[serde(default = "default_max_bytes")]
    pub max_bytes: u64,
}

impl Default for Response {
    fn default() -> Self {
        Self {
            format: BodyFormat::Json,
            answer: None,
            delta: None,
            tool_calls: None,
            usage: None,
            error: None,
            max_bytes: default_max_bytes(),
        }
    }
}

fn default_max_bytes() -> u64 {
    4 * 1024 * 1024
}

/// Framing of an answer's body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BodyFormat {
    /// One JSON document.
    #[default]
    Json,
    /// Server-sent events.
    Sse,
    /// One JSON document a line.
    Ndjson,
    /// Plain text, taken as the answer.
    Text,
}
