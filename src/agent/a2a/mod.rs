//! `Agent2Agent` 1.0 and 0.3, over JSON-RPC and REST. The agent card says which of them the agent speaks.
//!
//! A task that is not done is asked for until it is; one that needs more from its user goes on with the next turn. What
//! the card points to must lie on the host that the manifest names.

mod card;
mod dialect;
mod reading;

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt as _, future::BoxFuture};
use reqwest::{
    Method, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use serde_json::Value;
use tokio::sync::OnceCell;

use self::{
    card::Interface,
    dialect::{Binding, Said, Version},
    reading::{Reached, State},
};
use super::{
    AdapterError, Answer, Conversation, Kind, Place, Secrets, Tools, TrialContext, TurnError, Wire,
    client::{self, Ask, Client, Reply, shown},
    frames,
    http::trace_headers,
};
use crate::{
    manifest::endpoint::{Endpoint, Protocol},
    record::Usage,
};

/// Where agents put their card, the present place first.
const CARDS: [&str; 2] = [".well-known/agent-card.json", ".well-known/agent.json"];
/// Pauses between two questions for a task: doubled each time up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

pub(super) const KIND: Kind = Kind {
    name: "a2a",
    about: "Agent2Agent 1.0 and 0.3, JSON-RPC and REST, as the agent card says",
    protocol: Protocol::A2a,
    build,
};

fn build(endpoint: &Endpoint, place: &Place, secrets: &mut Secrets) -> Result<Box<dyn Wire>, AdapterError> {
    let home = client::home(endpoint, place)?;
    let client = Client::new(endpoint, home, &[], secrets)?;
    let plan = Plan { client, interface: OnceCell::new(), within: endpoint.trial_timeout.0 };
    Ok(Box::new(A2a { plan: Arc::new(plan) }))
}

struct A2a {
    plan: Arc<Plan>,
}

struct Plan {
    client: Client,
    /// What the card says, asked for once in a run.
    interface: OnceCell<Interface>,
    /// How long a task may take.
    within: Duration,
}

impl Wire for A2a {
    fn open<'a>(
        &'a self,
        context: &'a TrialContext,
        _tools: Option<Tools>,
    ) -> BoxFuture<'a, Result<Box<dyn Conversation>, TurnError>> {
        async move {
            let headers = trace_headers(context)?;
            self.plan.interface.get_or_try_init(|| self.plan.look_up(&headers)).await?;
            let talk = Talk {
                plan: Arc::clone(&self.plan),
                context: context.clone(),
                headers,
                said: 0,
                thread: None,
                open_task: None,
            };
            Ok(Box::new(talk) as Box<dyn Conversation>)
        }
        .boxed()
    }

    fn uses_tools_url(&self) -> bool {
        false
    }
}

impl Plan {
    /// Reads the agent card at, below or beside `endpoint.url`.
    async fn look_up(&self, headers: &HeaderMap) -> Result<Interface, TurnError> {
        let home = self.client.home();
        let mut asked: Vec<String> = Vec::new();
        for url in card_urls(home) {
            let ask = Ask { method: Method::GET, url, headers: headers.clone(), body: None };
            let reply = self.client.send(ask).await?;
            if matches!(reply.status.as_u16(), 404 | 405) {
                asked.push(reply.asked);
                continue;
            }
            let reply = reply.accepted()?;
            let card = json_of(&reply).map_err(|_syntax| {
                TurnError::Setup(format!("{} answered no agent card: {}", reply.asked, reply.shown()))
            })?;
            return card::interface(&card, home)
                .map_err(|why| TurnError::Setup(format!("the agent card of {} {why}", reply.asked)));
        }
        Err(TurnError::Setup(format!("there is no agent card: {} answered 404 or 405", asked.join(", "))))
    }

    fn interface(&self) -> &Interface {
        self.interface.get().expect("the card was read when the conversation began")
    }
}

/// The card itself, if the URL names one; else the places where cards are, below the URL and at its root.
fn card_urls(home: &Url) -> Vec<Url> {
    if home.path().to_lowercase().ends_with(".json") {
        return vec![home.clone()];
    }
    let below = home.path().trim_end_matches('/').to_owned();
    let mut paths: Vec<String> = Vec::new();
    for folder in [below, String::new()] {
        for card in CARDS {
            let path = format!("{folder}/{card}");
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
    }
    let at = |path: String| {
        let mut url = home.clone();
        url.set_path(&path);
        url
    };
    paths.into_iter().map(at).collect()
}

fn json_of(reply: &Reply) -> serde_json::Result<Value> {
    serde_json::from_str(&frames::text_of(&reply.body))
}

/// One conversation.
struct Talk {
    plan: Arc<Plan>,
    context: TrialContext,
    headers: HeaderMap,
    /// Messages so far.
    said: u64,
    /// The agent's name of the conversation.
    thread: Option<String>,
    /// The task that waits for more from its user.
    open_task: Option<String>,
}

impl Talk {
    async fn say(&mut self, prompt: &str) -> Result<Answer, TurnError> {
        self.said += 1;
        let interface = self.plan.interface();
        let said = Said {
            prompt,
            id: format!("{}-{}", self.context.token, self.said),
            thread: self.thread.as_deref(),
            task: self.open_task.as_deref(),
            context: &self.context,
        };
        let (reply, first) = self.ask(interface.send(&said, self.said)).await?;
        let mut reached = reading::reached(&first).ok_or_else(|| unreadable(&reply))?;
        if reached.state == State::Working {
            let task = reached.task.take().ok_or_else(|| unreadable(&reply))?;
            reached = tokio::time::timeout(self.plan.within, self.wait(&task))
                .await
                .map_err(|_elapsed| TurnError::Timeout(self.plan.within))??;
        }
        self.thread = reached.thread.take().or(self.thread.take());
        self.open_task = reached.task.take().filter(|_| reached.state == State::Asking);
        answer(reached, &reply)
    }

    /// Asks for the task until it has come to something.
    async fn wait(&self, task: &str) -> Result<Reached, TurnError> {
        let interface = self.plan.interface();
        let mut pause = FIRST_PAUSE;
        loop {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            let (reply, task) = match self.ask(interface.look(task)).await {
                Err(TurnError::RateLimited { retry_after }) => {
                    pause = retry_after.unwrap_or(pause);
                    continue;
                }
                asked => asked?,
            };
            let reached = reading::reached(&task).ok_or_else(|| unreadable(&reply))?;
            if reached.state != State::Working {
                return Ok(reached);
            }
        }
    }

    /// Sends one request; what it gives without its envelope.
    async fn ask(&self, request: dialect::Request) -> Result<(Reply, Value), TurnError> {
        let interface = self.plan.interface();
        let mut headers = self.headers.clone();
        if interface.version == Version::V1 {
            headers.insert(HeaderName::from_static("a2a-version"), HeaderValue::from_static("1.0"));
        }
        let mut body = None;
        if let Some(value) = request.body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            body = Some(serde_json::to_vec(&value).expect("JSON values can be written"));
        }
        let reply = self.plan.client.send(Ask { method: request.method, url: request.url, headers, body }).await?;
        let reply = reply.accepted()?;
        let value = json_of(&reply).map_err(|_syntax| unreadable(&reply))?;
        if interface.binding == Binding::Rest {
            return Ok((reply, value));
        }
        match dialect::without_envelope(value) {
            Ok(result) => Ok((reply, result)),
            Err(fault) => {
                let message = format!("{}: the agent says: {}", reply.asked, shown(fault.message.as_bytes()));
                Err(if fault.is_setup { TurnError::Setup(message) } else { TurnError::Agent(message) })
            }
        }
    }
}

fn unreadable(reply: &Reply) -> TurnError {
    TurnError::Agent(format!("{} answered what is no message and no task: {}", reply.asked, reply.shown()))
}

fn answer(reached: Reached, reply: &Reply) -> Result<Answer, TurnError> {
    let asked = &reply.asked;
    match reached.state {
        State::Failed(state) => {
            let said =
                if reached.text.is_empty() { String::new() } else { format!(": {}", shown(reached.text.as_bytes())) };
            Err(TurnError::Agent(format!("{asked}: the task ended as {state}{said}")))
        }
        State::Rejected if reached.text.trim().is_empty() => {
            Ok(Answer { text: "The task was rejected.".to_owned(), claimed: reached.claimed, usage: Usage::default() })
        }
        State::Done | State::Asking | State::Rejected | State::Working if reached.text.trim().is_empty() => {
            Err(TurnError::Agent(format!("{asked} gave an empty answer: {}", reply.shown())))
        }
        State::Done | State::Asking | State::Rejected | State::Working => {
            Ok(Answer { text: reached.text, claimed: reached.claimed, usage: Usage::default() })
        }
    }
}

impl Conversation for Talk {
    fn turn<'a>(&'a mut self, prompt: &'a str) -> BoxFuture<'a, Result<Answer, TurnError>> {
        self.say(prompt).boxed()
    }

    fn close(&mut self) -> BoxFuture<'_, Result<(), TurnError>> {
        async { Ok(()) }.boxed()
    }
}
