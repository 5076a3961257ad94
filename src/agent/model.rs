//! The wire formats of model providers: an agent behind one of them, or a bare model whose tool loop the gate runs.
//!
//! Whether an answer is a stream is read from its content type, since servers do not always do as asked.

use std::sync::Arc;

use futures_util::{FutureExt as _, future::BoxFuture};
use reqwest::{
    Method, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use serde_json::{Map, Value};

use super::{
    AdapterError, Answer, Conversation, Kind, Place, Secrets, Tools, TrialContext, TurnError, Wire,
    client::{self, Ask, Client, Reply, shown},
    extract::usage,
    frames,
    http::trace_headers,
};
use crate::{
    manifest::endpoint::{Endpoint, Protocol},
    provider::{Asking, CHAT, Done, Format, Heard, MESSAGES, RESPONSES, Said, Stop, Talk, Told, Tool},
    record::{Claim, Usage},
    source::Route,
};

/// Rounds of model and tools in one turn; a model that still wants tools then is going round in circles.
const MAX_ROUNDS: u64 = 25;
/// What an answer says that is a refusal without words.
const REFUSED: &str = "The model refused.";

pub(super) const CHAT_KIND: Kind = Kind {
    name: "openai",
    about: "chat completions, streamed or not; with `bare_model` the gate runs the tool loop",
    protocol: Protocol::Openai,
    build: |endpoint, place, secrets| build(&CHAT, endpoint, place, secrets),
};

pub(super) const RESPONSES_KIND: Kind = Kind {
    name: "openai-responses",
    about: "OpenAI Responses, streamed or not; with `bare_model` the gate runs the tool loop",
    protocol: Protocol::OpenaiResponses,
    build: |endpoint, place, secrets| build(&RESPONSES, endpoint, place, secrets),
};

pub(super) const MESSAGES_KIND: Kind = Kind {
    name: "anthropic",
    about: "Anthropic Messages, streamed or not; with `bare_model` the gate runs the tool loop",
    protocol: Protocol::Anthropic,
    build: |endpoint, place, secrets| build(&MESSAGES, endpoint, place, secrets),
};

fn build(
    format: &'static Format,
    endpoint: &Endpoint,
    place: &Place,
    secrets: &mut Secrets,
) -> Result<Box<dyn Wire>, AdapterError> {
    let mut home = client::home(endpoint, place)?;
    complete_path(format, &mut home);
    if endpoint.bare_model && endpoint.model.is_none() {
        return Err(AdapterError::at(&Route::pointer("/endpoint"), "a bare model needs `model`".to_owned()));
    }
    let talk = Talk {
        model: endpoint.model.clone(),
        system: endpoint.system.clone(),
        stream: endpoint.stream,
        ..Talk::default()
    };
    let plan = Plan {
        client: Client::new(endpoint, home, &[], secrets)?,
        format,
        talk,
        fields: endpoint.fields.clone(),
        is_bare: endpoint.bare_model,
    };
    Ok(Box::new(Model { plan: Arc::new(plan) }))
}

/// `…/v1` is what people copy from a provider's page, or a host alone where its clients take that.
fn complete_path(format: &Format, url: &mut Url) {
    let path = url.path().trim_end_matches('/').to_owned();
    if path.ends_with("/v1") {
        url.set_path(&format!("{path}{}", format.path));
    } else if path.is_empty() && !format.version.is_empty() {
        url.set_path(&format!("{}{}", format.version, format.path));
    }
}

struct Model {
    plan: Arc<Plan>,
}

struct Plan {
    client: Client,
    format: &'static Format,
    /// What each conversation begins with.
    talk: Talk,
    /// What each request has beside what the format asks for.
    fields: Map<String, Value>,
    is_bare: bool,
}

impl Wire for Model {
    fn open<'a>(
        &'a self,
        context: &'a TrialContext,
        tools: Option<Tools>,
    ) -> BoxFuture<'a, Result<Box<dyn Conversation>, TurnError>> {
        async move {
            let mut headers = trace_headers(context)?;
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            for (name, value) in self.plan.format.headers {
                headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
            let tools = tools.filter(|_| self.plan.is_bare);
            let offers = tools.iter().flat_map(|tools| &tools.offers);
            let offered = offers.map(|o| Tool { name: o.name.clone(), about: o.about.clone(), input: o.input.clone() });
            let talk = Talk { tools: offered.collect(), ..self.plan.talk.clone() };
            let spoken = Spoken { plan: Arc::clone(&self.plan), headers, talk, tools, begun: None };
            Ok(Box::new(spoken) as Box<dyn Conversation>)
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

/// One conversation; `talk` holds everything said, tool calls included.
struct Spoken {
    plan: Arc<Plan>,
    headers: HeaderMap,
    talk: Talk,
    tools: Option<Tools>,
    /// A turn that the provider's rate limit broke off: what its tools did is done, so it is taken up again where it was.
    begun: Option<Begun>,
}

/// A turn that is not over.
struct Begun {
    prompt: String,
    /// How much had been said before it.
    at: usize,
    rounds: u64,
    usage: Usage,
    /// What its provider did meanwhile.
    ran: Vec<Asking>,
}

impl Conversation for Spoken {
    fn turn<'a>(&'a mut self, prompt: &'a str) -> BoxFuture<'a, Result<Answer, TurnError>> {
        async move {
            let mut begun = self.begun.take().filter(|begun| begun.prompt == prompt).unwrap_or_else(|| {
                let at = self.talk.said.len();
                self.talk.said.push(Said::User(prompt.to_owned()));
                Begun { prompt: prompt.to_owned(), at, rounds: 0, usage: Usage::default(), ran: Vec::new() }
            });
            let answer = self.answer(&mut begun).await;
            match &answer {
                Ok(answer) => {
                    self.talk.said.push(Said::Model(Heard { text: answer.text.clone(), ..Heard::default() }));
                }
                Err(TurnError::RateLimited { .. }) => self.begun = Some(begun),
                Err(_) => self.talk.said.truncate(begun.at),
            }
            answer
        }
        .boxed()
    }

    fn close(&mut self) -> BoxFuture<'_, Result<(), TurnError>> {
        async { Ok(()) }.boxed()
    }
}

impl Spoken {
    async fn answer(&mut self, begun: &mut Begun) -> Result<Answer, TurnError> {
        while begun.rounds < MAX_ROUNDS {
            let (mut heard, used) = self.ask().await?;
            begun.ran.append(&mut heard.ran);
            begun.rounds += 1;
            begun.usage.tokens = begun.usage.tokens.saturating_add(used.tokens);
            begun.usage.usd += used.usd;
            begun.usage.steps = if self.plan.is_bare { begun.rounds } else { used.steps };
            if self.plan.is_bare && heard.stop == Stop::Length {
                return Err(TurnError::Agent("the model's answer was cut off at its longest".to_owned()));
            }
            match self.tools.clone() {
                Some(tools) if !heard.calls.is_empty() && heard.stop == Stop::Over => {
                    self.run_tools(&tools, heard).await;
                }
                Some(_) | None => {
                    heard.ran = std::mem::take(&mut begun.ran);
                    return finished(heard, begun.usage, self.plan.is_bare);
                }
            }
        }
        Err(TurnError::Agent(format!("the model still asked for tools after {MAX_ROUNDS} rounds")))
    }

    async fn run_tools(&mut self, tools: &Tools, heard: Heard) {
        let calls = heard.calls.clone();
        self.talk.said.push(Said::Model(heard));
        let mut done = Vec::new();
        for call in calls {
            let result = (tools.run)(call.tool, call.args).await;
            let is_error = result.get("error").is_some() && result.get("result").is_none();
            let text = result.as_str().map_or_else(|| result.to_string(), str::to_owned);
            done.push(Done { id: call.id, text, is_error });
        }
        self.talk.said.push(Said::Tools(done));
    }

    async fn ask(&self) -> Result<(Heard, Usage), TurnError> {
        let mut body = (self.plan.format.ask)(&self.talk);
        if let Some(body) = body.as_object_mut() {
            body.extend(self.plan.fields.clone());
        }
        let body = serde_json::to_vec(&body).expect("JSON values can be written");
        let url = self.plan.client.home().clone();
        let ask = Ask { method: Method::POST, url, headers: self.headers.clone(), body: Some(body) };
        let reply = self.plan.client.send_accepted(ask).await?;
        match reply.content_type().as_str() {
            "text/html" => {
                Err(TurnError::Setup(format!("{} answered `text/html` where JSON is expected", reply.asked)))
            }
            "text/event-stream" => streamed(self.plan.format, &reply),
            _ => whole(self.plan.format, &reply),
        }
    }
}

fn finished(heard: Heard, usage: Usage, is_bare: bool) -> Result<Answer, TurnError> {
    let text = match heard.text {
        text if text.trim().is_empty() && heard.stop == Stop::Refusal => REFUSED.to_owned(),
        text => text,
    };
    if text.trim().is_empty() {
        return Err(TurnError::Agent(match heard.calls.first() {
            Some(call) if !is_bare => format!(
                "the answer asks for tool `{}` and has no text; with `endpoint.bare_model: true` the gate runs the tools",
                shown(call.tool.as_bytes())
            ),
            Some(_) | None => "the model gave an empty answer".to_owned(),
        }));
    }
    let claimed = heard.ran.into_iter().chain(heard.calls).filter(|call| !call.tool.is_empty());
    let claimed = claimed.map(|call| Claim { tool: call.tool, args: call.args, blocked: false }).collect();
    Ok(Answer { text, claimed, usage })
}

fn whole(format: &Format, reply: &Reply) -> Result<(Heard, Usage), TurnError> {
    if reply.body.trim_ascii().is_empty() {
        return Err(TurnError::Agent(format!("{} answered {} with an empty body", reply.asked, reply.status)));
    }
    let unreadable = || {
        let (asked, noun, said) = (&reply.asked, format.noun, reply.shown());
        TurnError::Agent(format!("{asked} answered what is no {noun}: {said}"))
    };
    let body: Value = serde_json::from_slice(&reply.body).map_err(|_syntax| unreadable())?;
    reported_error(&body, reply)?;
    let heard = (format.hear)(&body).ok_or_else(unreadable)?;
    Ok((heard, used(format, &[&body])))
}

fn streamed(format: &Format, reply: &Reply) -> Result<(Heard, Usage), TurnError> {
    let events = frames::sse_events(&reply.body);
    if events.is_empty() {
        return Err(TurnError::Agent(format!("{} answered with an empty stream", reply.asked)));
    }
    let documents: Vec<&Value> = events.iter().filter_map(|event| event.get("data")).collect();
    for document in &documents {
        reported_error(document, reply)?;
    }
    let heard = (format.gather)(&documents).ok_or_else(|| {
        TurnError::Agent(format!("{} answered with a stream that is no whole {}", reply.asked, format.noun))
    })?;
    Ok((heard, used(format, &documents)))
}

/// What an answer used: as its format tells it, else in our own words.
fn used(format: &Format, documents: &[&Value]) -> Usage {
    let mut told = Told::default();
    let mut own = Usage::default();
    for document in documents {
        (format.tell)(document, &mut told);
        if let Some(reported) = document.get("usage").filter(|usage| usage.is_object()) {
            own = usage(reported);
        }
    }
    Usage { tokens: told.sum().unwrap_or(own.tokens), ..own }
}

/// Some servers answer 200 and put the failure into the body, and streams can do nothing else.
fn reported_error(body: &Value, reply: &Reply) -> Result<(), TurnError> {
    let is_error = body.get("type").is_some_and(|kind| kind == "error");
    let told = [body.get("error"), body.pointer("/response/error"), is_error.then_some(body)];
    match told.into_iter().flatten().find(|error| !error.is_null()) {
        None => Ok(()),
        Some(error) => {
            let message = error.get("message").or(Some(error)).and_then(Value::as_str).map(str::to_owned);
            let message = message.unwrap_or_else(|| error.to_string());
            Err(TurnError::Agent(format!("{}: the agent says: {}", reply.asked, shown(message.as_bytes()))))
        }
    }
}
