//! Any JSON over HTTP, as `endpoint.request` and `endpoint.response` describe it.
//!
//! Besides what the manifest says, every request carries `traceparent`, `baggage` and `x-agentready-tools`.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::{FutureExt as _, future::BoxFuture};
use reqwest::{
    Method,
    header::{COOKIE, HeaderMap, HeaderName, HeaderValue, SET_COOKIE},
};
use serde_json::{Map, Value, json};

use super::{
    AdapterError, Answer, Conversation, Kind, Message, Place, Secrets, Tools, TrialContext, TurnError, Wire,
    client::{self, Ask, Client, Reply, same_origin},
    extract::{Extraction, bind, expression, loose_body},
    request::{Sending, resolved},
    tree::Tree,
};
use crate::{
    expr::{Expr, ExprError, Scope},
    manifest::endpoint::{Endpoint, Poll, Protocol, Request, Step},
    source::Route,
};

pub(super) const KIND: Kind =
    Kind { name: "http", about: "any JSON over HTTP, described by templates and CEL", protocol: Protocol::Http, build };

fn build(endpoint: &Endpoint, place: &Place, secrets: &mut Secrets) -> Result<Box<dyn Wire>, AdapterError> {
    let home = client::home(endpoint, place)?;
    let steps = endpoint.setup.iter().chain(&endpoint.teardown).map(|step| &step.request);
    let mut urls: Vec<&str> = steps.chain([&endpoint.request]).filter_map(|request| request.url.as_deref()).collect();
    urls.extend(endpoint.poll.as_ref().map(|poll| poll.url.as_str()));
    let client = Client::new(endpoint, home, &urls, secrets)?;
    let base = Route::pointer("/endpoint");
    let plan = Plan {
        client,
        setup: steps_of(&endpoint.setup, &base.join("setup"), &endpoint.values)?,
        turn: Sending::compile(&endpoint.request, &base.join("request"), &endpoint.values)?,
        poll: endpoint.poll.as_ref().map(|poll| Polling::compile(poll, endpoint)).transpose()?,
        extraction: Extraction::compile(&endpoint.response)?,
        teardown: steps_of(&endpoint.teardown, &base.join("teardown"), &endpoint.values)?,
        scope: Scope::new(),
        values: serde_json::to_value(&endpoint.values).expect("texts are plain data"),
    };
    Ok(Box::new(Http { plan: Arc::new(plan) }))
}

struct Http {
    plan: Arc<Plan>,
}

/// The endpoint, parsed once for the run.
struct Plan {
    client: Client,
    setup: Vec<CapturingStep>,
    turn: Sending,
    poll: Option<Polling>,
    extraction: Extraction,
    teardown: Vec<CapturingStep>,
    scope: Scope<'static>,
    /// `endpoint.values`.
    values: Value,
}

struct CapturingStep {
    sending: Sending,
    capture: Vec<(String, Expr)>,
    route: Route,
}

struct Polling {
    url: Tree,
    every: Duration,
    within: Duration,
    until: Expr,
    fail_if: Option<Expr>,
}

fn steps_of(
    steps: &[Step],
    route: &Route,
    values: &BTreeMap<String, String>,
) -> Result<Vec<CapturingStep>, AdapterError> {
    steps
        .iter()
        .enumerate()
        .map(|(index, step)| {
            let route = route.join(index);
            // What a turn says by default means nothing before or after the turns.
            let mut request = step.request.clone();
            if request.body == Request::default().body {
                request.body = Value::Null;
            }
            let capture = step.capture.iter().map(|(name, source)| {
                let at = route.join("capture").join(name);
                let expr = Expr::parse(source).map_err(|error| AdapterError::at(&at, error.to_string()))?;
                Ok((name.clone(), expr))
            });
            let capture = capture.collect::<Result<_, AdapterError>>()?;
            Ok(CapturingStep { sending: Sending::compile(&request, &route.join("request"), values)?, capture, route })
        })
        .collect()
}

impl Polling {
    fn compile(poll: &Poll, endpoint: &Endpoint) -> Result<Self, AdapterError> {
        let route = Route::pointer("/endpoint/poll");
        let parsed = |source: &String, key: &str| {
            Expr::parse(source).map_err(|error| AdapterError::at(&route.join(key), error.to_string()))
        };
        Ok(Self {
            url: Tree::leaf(&poll.url, &route.join("url"))?,
            every: poll.every.0.max(Duration::from_millis(10)),
            within: endpoint.trial_timeout.0,
            until: parsed(&poll.until, "until")?,
            fail_if: expression(poll.fail_if.as_ref(), &route.join("fail_if"))?,
        })
    }
}

impl Wire for Http {
    fn open<'a>(
        &'a self,
        context: &'a TrialContext,
        _tools: Option<Tools>,
    ) -> BoxFuture<'a, Result<Box<dyn Conversation>, TurnError>> {
        async move {
            let mut talk = Talk::new(Arc::clone(&self.plan), context)?;
            match talk.take_steps(&self.plan.setup).await {
                Ok(()) => Ok(Box::new(talk) as Box<dyn Conversation>),
                Err(error) => {
                    // What was half opened is closed as well as it can be; the first failure is the one that counts.
                    drop(talk.end().await);
                    Err(error)
                }
            }
        }
        .boxed()
    }

    fn uses_tools_url(&self) -> bool {
        let steps = self.plan.setup.iter().map(|step| &step.sending);
        steps.chain([&self.plan.turn]).any(|sending| sending.mentions("tools_url"))
    }
}

/// One conversation.
struct Talk {
    plan: Arc<Plan>,
    context: TrialContext,
    headers: HeaderMap,
    history: Vec<Message>,
    session: Map<String, Value>,
    cookies: BTreeMap<String, String>,
}

impl Talk {
    fn new(plan: Arc<Plan>, context: &TrialContext) -> Result<Self, TurnError> {
        Ok(Self {
            plan,
            headers: trace_headers(context)?,
            context: context.clone(),
            history: Vec::new(),
            session: Map::new(),
            cookies: BTreeMap::new(),
        })
    }

    fn values(&self, prompt: &str) -> Value {
        let history = serde_json::to_value(&self.history).expect("messages are plain data");
        let mut messages = history.clone();
        if let Some(list) = messages.as_array_mut() {
            list.push(json!({"role": "user", "content": prompt}));
        }
        let context = &self.context;
        json!({
            "prompt": prompt, "messages": messages, "history": history, "turn": self.history.len() / 2,
            "session": self.session, "run": {"id": context.run_id},
            "trial": {"id": context.trial_id, "token": context.token}, "tools_url": context.tools_url,
            "traceparent": context.traceparent, "baggage": context.baggage,
            "values": self.plan.values
        })
    }

    /// Headers of every request, with the session's cookies.
    fn base_headers(&self) -> HeaderMap {
        let mut headers = self.headers.clone();
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if let Ok(value) = HeaderValue::from_str(&cookies.join("; "))
            && !cookies.is_empty()
        {
            headers.insert(COOKIE, value);
        }
        headers
    }

    async fn send(&mut self, ask: Ask) -> Result<Reply, TurnError> {
        let at_home = same_origin(&ask.url, self.plan.client.home());
        let reply = self.plan.client.send(ask).await?;
        if at_home {
            self.keep_cookies(&reply);
        }
        Ok(reply)
    }

    /// Keeps `name=value`; paths and domains do not matter, because a session speaks to one server.
    fn keep_cookies(&mut self, reply: &Reply) {
        for header in reply.headers.get_all(SET_COOKIE) {
            let Some((pair, attributes)) = header.to_str().ok().map(|text| text.split_once(';').unwrap_or((text, "")))
            else {
                continue;
            };
            let Some((name, value)) = pair.trim().split_once('=') else { continue };
            let is_gone = attributes.to_ascii_lowercase().replace(' ', "").contains("max-age=0");
            if is_gone || value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    async fn take_steps(&mut self, steps: &[CapturingStep]) -> Result<(), TurnError> {
        for step in steps {
            self.take_step(step).await?;
        }
        Ok(())
    }

    async fn take_step(&mut self, step: &CapturingStep) -> Result<(), TurnError> {
        let plan = Arc::clone(&self.plan);
        let ask = step.sending.ask(plan.client.home(), &self.values(""), self.base_headers())?;
        let reply = self.send(ask).await?.accepted()?;
        let mut scope = plan.scope.inner();
        bind(&mut scope, &reply, &loose_body(&reply));
        for (name, expr) in &step.capture {
            let value = expr.eval(&scope).map_err(|error| {
                let at = step.route.join("capture").join(name).dotted();
                TurnError::Setup(format!("`{at}` fails on the reply of {}: {error}: {}", reply.asked, reply.shown()))
            })?;
            self.session.insert(name.clone(), value);
        }
        Ok(())
    }

    async fn say(&mut self, prompt: &str) -> Result<Answer, TurnError> {
        let plan = Arc::clone(&self.plan);
        let values = self.values(prompt);
        let ask = plan.turn.ask(plan.client.home(), &values, self.base_headers())?;
        let mut reply = self.send(ask).await?.accepted()?;
        if let Some(poll) = &plan.poll {
            let asking = self.ask_until_done(poll, reply, values);
            reply = tokio::time::timeout(poll.within, asking)
                .await
                .map_err(|_elapsed| TurnError::Timeout(poll.within))??;
        }
        let answer = plan.extraction.read(&reply)?;
        self.history.push(Message { role: "user", content: prompt.to_owned() });
        self.history.push(Message { role: "assistant", content: answer.text.clone() });
        Ok(answer)
    }

    async fn ask_until_done(&mut self, poll: &Polling, first: Reply, mut values: Value) -> Result<Reply, TurnError> {
        if let Some(values) = values.as_object_mut() {
            values.insert("submitted".to_owned(), loose_body(&first));
        }
        let plan = Arc::clone(&self.plan);
        let url = resolved(plan.client.home(), &poll.url, &values, &Route::pointer("/endpoint/poll/url"))?;
        let mut pause = first.retry_after();
        loop {
            tokio::time::sleep(pause.unwrap_or(poll.every)).await;
            let ask = Ask { method: Method::GET, url: url.clone(), headers: self.base_headers(), body: None };
            let reply = self.send(ask).await?;
            pause = reply.retry_after();
            if reply.status.as_u16() == 429 {
                continue;
            }
            let is_refused = matches!(reply.status.as_u16(), 401 | 403) || reply.status.is_server_error();
            if is_refused {
                return Err(reply.refusal());
            }
            let mut scope = plan.scope.inner();
            bind(&mut scope, &reply, &loose_body(&reply));
            if let Some(fail_if) = &poll.fail_if
                && holds(fail_if, &scope, "fail_if")?
            {
                return Err(TurnError::Agent(format!("{}: the agent gave up: {}", reply.asked, reply.shown())));
            }
            if holds(&poll.until, &scope, "until")? {
                return reply.accepted();
            }
        }
    }

    /// Every step is tried; the first failure is returned.
    async fn end(&mut self) -> Result<(), TurnError> {
        let plan = Arc::clone(&self.plan);
        let mut outcome = Ok(());
        for step in &plan.teardown {
            outcome = outcome.and(self.take_step(step).await);
        }
        outcome
    }
}

/// Whether a condition of `poll` holds; a key that is not there yet means no.
fn holds(expr: &Expr, scope: &Scope<'_>, key: &str) -> Result<bool, TurnError> {
    match expr.test(scope) {
        Ok(answer) => Ok(answer),
        Err(ExprError::Missing(_)) => Ok(false),
        Err(error) => Err(TurnError::Agent(format!("`endpoint.poll.{key}` fails: {error}"))),
    }
}

/// The headers that tie a request to its trial.
pub(super) fn trace_headers(context: &TrialContext) -> Result<HeaderMap, TurnError> {
    let named = [
        ("traceparent", &context.traceparent),
        ("baggage", &context.baggage),
        ("x-agentready-tools", &context.tools_url),
    ];
    let mut headers = HeaderMap::new();
    for (name, text) in named {
        let value = HeaderValue::from_str(text)
            .map_err(|_invalid| TurnError::Setup(format!("`{name}` of the trial cannot stand in a header")))?;
        headers.insert(HeaderName::from_static(name), value);
    }
    if let Some((name, text)) = &context.header {
        let named = HeaderName::from_bytes(name.as_bytes()).ok().zip(HeaderValue::from_str(text).ok());
        let (name, value) = named.ok_or_else(|| TurnError::Setup(format!("`{name}` is no header")))?;
        headers.insert(name, value);
    }
    Ok(headers)
}

impl Conversation for Talk {
    fn turn<'a>(&'a mut self, prompt: &'a str) -> BoxFuture<'a, Result<Answer, TurnError>> {
        self.say(prompt).boxed()
    }

    fn close(&mut self) -> BoxFuture<'_, Result<(), TurnError>> {
        self.end().boxed()
    }
}
