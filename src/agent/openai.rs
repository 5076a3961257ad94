//! Chat completions: an agent behind that wire format, or a bare model whose tool loop the gate runs.
//!
//! Whether an answer is a stream is read from its content type, since servers do not always do as asked.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::{FutureExt as _, future::BoxFuture};
use reqwest::{
    Method, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue},
};
use serde_json::{Value, json};

use super::{
    AdapterError, Answer, Conversation, Kind, Place, Secrets, Tools, TrialContext, TurnError, Wire,
    client::{self, Ask, Client, Reply, shown},
    extract::{claim, usage},
    frames,
    http::trace_headers,
};
use crate::{
    manifest::endpoint::{Endpoint, Protocol},
    record::Usage,
    source::Route,
};

/// Rounds of model and tools in one turn; a model that still wants tools then is going round in circles.
const MAX_ROUNDS: u64 = 25;

pub(super) const KIND: Kind = Kind {
    name: "openai",
    about: "chat completions, streamed or not; with `bare_model` the gate runs the tool loop",
    protocol: Protocol::Openai,
    build,
};

fn build(endpoint: &Endpoint, place: &Place, secrets: &mut Secrets) -> Result<Box<dyn Wire>, AdapterError> {
    let mut home = client::home(endpoint, place)?;
    complete_path(&mut home);
    if endpoint.bare_model && endpoint.model.is_none() {
        return Err(AdapterError::at(&Route::pointer("/endpoint"), "a bare model needs `model`".to_owned()));
    }
    let plan = Plan {
        client: Client::new(endpoint, home, &[], secrets)?,
        model: endpoint.model.clone(),
        system: endpoint.system.clone(),
        stream: endpoint.stream,
        is_bare: endpoint.bare_model,
    };
    Ok(Box::new(OpenAi { plan: Arc::new(plan) }))
}

/// `…/v1` is what people copy from a provider's page.
fn complete_path(url: &mut Url) {
    let path = url.path().trim_end_matches('/').to_owned();
    if path.ends_with("/v1") {
        url.set_path(&format!("{path}/chat/completions"));
    }
}

struct OpenAi {
    plan: Arc<Plan>,
}

struct Plan {
    client: Client,
    model: Option<String>,
    system: Option<String>,
    stream: bool,
    is_bare: bool,
}

/// One answer of the model, streamed or not.
#[derive(Default)]
struct Completion {
    text: String,
    calls: Vec<WantedCall>,
    usage: Usage,
}

/// A tool call that the model asks for.
#[derive(Clone, Default)]
struct WantedCall {
    id: String,
    name: String,
    arguments: String,
}

impl WantedCall {
    fn to_json(&self) -> Value {
        json!({"id": self.id, "type": "function", "function": {"name": self.name, "arguments": self.arguments}})
    }

    /// The arguments; text that is no JSON stays text, so that the world sees what was sent.
    fn arguments(&self) -> Value {
        if self.arguments.trim().is_empty() {
            return json!({});
        }
        serde_json::from_str(&self.arguments).unwrap_or_else(|_| Value::from(self.arguments.as_str()))
    }
}

impl Wire for OpenAi {
    fn open<'a>(
        &'a self,
        context: &'a TrialContext,
        tools: Option<Tools>,
    ) -> BoxFuture<'a, Result<Box<dyn Conversation>, TurnError>> {
        async move {
            let system = self.plan.system.iter().map(|text| json!({"role": "system", "content": text}));
            let talk = Talk {
                plan: Arc::clone(&self.plan),
                headers: trace_headers(context)?,
                messages: system.collect(),
                tools: tools.filter(|_| self.plan.is_bare),
            };
            Ok(Box::new(talk) as Box<dyn Conversation>)
        }
        .boxed()
    }

    fn uses_tools_url(&self) -> bool {
        self.plan.is_bare
    }

    fn runs_tools(&self) -> bool {
        self.plan.is_bare
    }
}

/// One conversation; `messages` holds everything said, tool calls included.
struct Talk {
    plan: Arc<Plan>,
    headers: HeaderMap,
    messages: Vec<Value>,
    tools: Option<Tools>,
}

impl Conversation for Talk {
    fn turn<'a>(&'a mut self, prompt: &'a str) -> BoxFuture<'a, Result<Answer, TurnError>> {
        async move {
            let before = self.messages.len();
            self.messages.push(json!({"role": "user", "content": prompt}));
            let answer = self.answer().await;
            match &answer {
                Ok(answer) => self.messages.push(json!({"role": "assistant", "content": answer.text})),
                Err(_) => self.messages.truncate(before),
            }
            answer
        }
        .boxed()
    }

    fn close(&mut self) -> BoxFuture<'_, Result<(), TurnError>> {
        async { Ok(()) }.boxed()
    }
}

impl Talk {
    async fn answer(&mut self) -> Result<Answer, TurnError> {
        let mut total = Usage::default();
        for round in 1..=MAX_ROUNDS {
            let completion = self.complete().await?;
            total.tokens = total.tokens.saturating_add(completion.usage.tokens);
            total.usd += completion.usage.usd;
            total.steps = if self.plan.is_bare { round } else { completion.usage.steps };
            match self.tools.clone() {
                Some(tools) if !completion.calls.is_empty() => self.run_tools(&tools, &completion).await,
                Some(_) | None => return finished(completion, total, self.plan.is_bare),
            }
        }
        Err(TurnError::Agent(format!("the model still asked for tools after {MAX_ROUNDS} rounds")))
    }

    async fn run_tools(&mut self, tools: &Tools, completion: &Completion) {
        let content = if completion.text.is_empty() { Value::Null } else { Value::from(completion.text.as_str()) };
        let calls: Vec<Value> = completion.calls.iter().map(WantedCall::to_json).collect();
        self.messages.push(json!({"role": "assistant", "content": content, "tool_calls": calls}));
        for call in &completion.calls {
            let content = match (tools.run)(call.name.clone(), call.arguments()).await {
                Value::String(text) => text,
                other => other.to_string(),
            };
            self.messages.push(json!({"role": "tool", "tool_call_id": call.id, "content": content}));
        }
    }

    async fn complete(&self) -> Result<Completion, TurnError> {
        let mut headers = self.headers.clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = serde_json::to_vec(&self.request()).expect("JSON values can be written");
        let url = self.plan.client.home().clone();
        let ask = Ask { method: Method::POST, url, headers, body: Some(body) };
        let reply = self.plan.client.send_accepted(ask).await?;
        match reply.content_type().as_str() {
            "text/html" => {
                Err(TurnError::Setup(format!("{} answered `text/html` where JSON is expected", reply.asked)))
            }
            "text/event-stream" => streamed(&reply),
            _ => whole(&reply),
        }
    }

    fn request(&self) -> Value {
        let mut request = json!({"messages": self.messages});
        let mut set = |key: &str, value: Value| {
            if let Some(entries) = request.as_object_mut() {
                entries.insert(key.to_owned(), value);
            }
        };
        if let Some(model) = &self.plan.model {
            set("model", Value::from(model.as_str()));
        }
        if self.plan.stream {
            set("stream", Value::Bool(true));
            set("stream_options", json!({"include_usage": true}));
        }
        if let Some(tools) = self.tools.as_ref().filter(|tools| !tools.offers.is_empty()) {
            set("tools", tools.offers.iter().map(offered).collect());
        }
        request
    }
}

fn offered(offer: &crate::world::Offer) -> Value {
    json!({
        "type": "function",
        "function": {"name": offer.name, "description": offer.about, "parameters": offer.input}
    })
}

fn finished(completion: Completion, usage: Usage, is_bare: bool) -> Result<Answer, TurnError> {
    if completion.text.trim().is_empty() {
        return Err(TurnError::Agent(match completion.calls.first() {
            Some(call) if !is_bare => format!(
                "the answer asks for tool `{}` and has no text; with `endpoint.bare_model: true` the gate runs the tools",
                shown(call.name.as_bytes())
            ),
            Some(_) | None => "the model gave an empty answer".to_owned(),
        }));
    }
    let claimed = completion.calls.iter().filter_map(|call| claim(&call.to_json())).collect();
    Ok(Answer { text: completion.text, claimed, usage })
}

fn whole(reply: &Reply) -> Result<Completion, TurnError> {
    if reply.body.trim_ascii().is_empty() {
        return Err(TurnError::Agent(format!("{} answered {} with an empty body", reply.asked, reply.status)));
    }
    let unreadable =
        || TurnError::Agent(format!("{} answered what is no chat completion: {}", reply.asked, reply.shown()));
    let body: Value = serde_json::from_slice(&reply.body).map_err(|_syntax| unreadable())?;
    reported_error(&body, reply)?;
    let message = body.pointer("/choices/0/message").filter(|message| message.is_object()).ok_or_else(unreadable)?;
    let calls = message.get("tool_calls").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let text = text_of(message.get("content")).or_else(|| text_of(message.get("refusal"))).unwrap_or_default();
    Ok(Completion {
        text,
        calls: calls.iter().enumerate().map(|(index, call)| wanted(call, index)).collect(),
        usage: body.get("usage").map(usage).unwrap_or_default(),
    })
}

fn streamed(reply: &Reply) -> Result<Completion, TurnError> {
    let events = frames::sse_events(&reply.body);
    if events.is_empty() {
        return Err(TurnError::Agent(format!("{} answered with an empty stream", reply.asked)));
    }
    let mut completion = Completion::default();
    let mut calls: BTreeMap<u64, WantedCall> = BTreeMap::new();
    for chunk in events.iter().filter_map(|event| event.get("data")) {
        reported_error(chunk, reply)?;
        if let Some(reported) = chunk.get("usage").filter(|usage| usage.is_object()) {
            completion.usage = usage(reported);
        }
        let Some(delta) = chunk.pointer("/choices/0/delta") else { continue };
        completion.text.extend(text_of(delta.get("content")));
        completion.text.extend(text_of(delta.get("refusal")));
        for piece in delta.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
            let index = piece.get("index").and_then(Value::as_u64).unwrap_or(0);
            let call = calls.entry(index).or_default();
            let piece = wanted(piece, usize::MAX);
            call.id.push_str(&piece.id);
            call.name.push_str(&piece.name);
            call.arguments.push_str(&piece.arguments);
        }
    }
    completion.calls = calls.into_values().collect();
    Ok(completion)
}

/// A call, or a piece of one; a whole call without an id gets one (`index` is its place, none for pieces).
fn wanted(call: &Value, index: usize) -> WantedCall {
    let text = |pointer: &str| call.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let id = match text("/id") {
        id if id.is_empty() && index != usize::MAX => format!("call_{index}"),
        id => id,
    };
    let arguments = match call.pointer("/function/arguments") {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => String::new(),
        Some(other) => other.to_string(),
    };
    WantedCall { id, name: text("/function/name"), arguments }
}

/// Content as text, or as a list of parts of which the texts are joined.
fn text_of(content: Option<&Value>) -> Option<String> {
    match content? {
        Value::String(text) => Some(text.clone()),
        Value::Array(parts) => Some(parts.iter().filter_map(|part| part.get("text")?.as_str()).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

/// Some servers answer 200 and put the failure into the body.
fn reported_error(body: &Value, reply: &Reply) -> Result<(), TurnError> {
    match body.get("error") {
        None | Some(Value::Null) => Ok(()),
        Some(error) => {
            let message = error.get("message").or(Some(error)).and_then(Value::as_str).map(str::to_owned);
            let message = message.unwrap_or_else(|| error.to_string());
            Err(TurnError::Agent(format!("{}: the agent says: {}", reply.asked, shown(message.as_bytes()))))
        }
    }
}
