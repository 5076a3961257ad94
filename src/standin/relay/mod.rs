//! Calls that leave the world: which tools are forwarded to a system of staging, and what came back from there, as it came.
//!
//! What is sent and when is decided by the seat of the trial. Must not judge an answer beyond whether the call was carried
//! out, refused or lost.

mod api;
mod aside;
mod line;
mod pipe;
mod server;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use reqwest::{
    Url,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use serde_json::{Map, Value, json};

pub use self::pipe::{Behind, Stdio};
pub(super) use self::server::meaning;
use self::{api::Api, line::Line, pipe::Pipe, server::Server};
use crate::{
    record::{CallStatus, Forwarded, Passage},
    world::Offer,
};

/// A system of staging, and how it is reached.
#[derive(Debug)]
pub struct Staging {
    /// The system of the manifest.
    pub system: String,
    /// What it speaks.
    pub place: Place,
    /// Time limit of one call.
    pub timeout: Duration,
}

/// What a system of staging speaks.
#[derive(Debug)]
pub enum Place {
    /// MCP at this URL.
    Mcp(Url, Web),
    /// HTTP below this URL.
    Http(Url, Web),
    /// MCP over the stdio of a program.
    Stdio(Stdio),
}

/// How requests to a URL are sent.
#[derive(Clone, Debug)]
pub struct Web {
    /// The client.
    pub http: reqwest::Client,
    /// Sent along with each request.
    pub headers: HeaderMap,
}

/// A tool of such a system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exit {
    /// `METHOD /path` of an HTTP API.
    pub endpoint: Option<String>,
    /// Whether calls may leave at all; the others stay with the world.
    pub is_open: bool,
    /// The header of a request to an HTTP API that carries the agent's idempotency key.
    pub key_header: Option<HeaderName>,
}

/// Where the tools of a run are forwarded to.
#[derive(Clone, Debug, Default)]
pub struct Relays {
    ways: BTreeMap<String, Arc<Way>>,
    /// What servers of MCP say of their tools: as the gate understands it, and as they say it.
    offers: BTreeMap<String, (Offer, Value)>,
}

/// The way of one tool.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) system: String,
    pub(super) is_open: bool,
    /// The header that is handed on with a call.
    pub(super) key_header: Option<HeaderName>,
    far: Far,
}

#[derive(Debug)]
enum Far {
    Mcp(Arc<Server>),
    Http(Box<Api>),
}

/// A call on its way.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) tool: String,
    pub(super) args: Value,
    /// MCP's `_meta` of the call, or what stands for it: the trace context.
    pub(super) meta: Map<String, Value>,
    /// The header of the agent's request that is handed on.
    pub(super) key: Option<HeaderValue>,
}

/// What came back.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) status: CallStatus,
    /// What the ledger keeps as the result.
    pub(super) result: Value,
    /// The same for who speaks the protocol that it came by.
    pub(super) reply: Reply,
    /// What the server asked of its client meanwhile and did not get.
    pub(super) refused: Vec<String>,
}

/// What came back, as it came.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reply {
    /// The result of `tools/call`.
    Result(Value),
    /// The error of JSON-RPC.
    Error(Value),
    /// An answer of an HTTP API.
    Http(u16, Value),
    /// Nothing that can be read, and why.
    Nothing(String),
}

impl Relays {
    /// Adds the tools of one system; a server of MCP is asked for its list. Fails with what the server did.
    pub async fn add(&mut self, staging: Staging, tools: BTreeMap<String, Exit>) -> Result<(), String> {
        let Staging { system, place, timeout } = staging;
        let line = |Web { http, headers }| Line { http, headers, timeout };
        let of = |far, exit: &Exit| {
            let Exit { is_open, key_header, .. } = exit.clone();
            Arc::new(Way { system: system.clone(), is_open, key_header, far })
        };
        let server = match place {
            Place::Mcp(url, web) => Server::at(line(web), url),
            Place::Stdio(stdio) => Server::behind(Pipe::new(stdio, timeout)),
            Place::Http(base, web) => {
                let line = line(web);
                for (name, exit) in tools {
                    let endpoint = exit.endpoint.as_deref().unwrap_or_default();
                    let api = Api::new(line.clone(), base.clone(), endpoint)
                        .ok_or_else(|| format!("can't be asked for `{name}` by `{endpoint}`"))?;
                    self.ways.insert(name, of(Far::Http(Box::new(api)), &exit));
                }
                return Ok(());
            }
        };
        let server = Arc::new(server);
        let listed = server.tools().await?.0.into_iter();
        let mut listed: BTreeMap<String, (Offer, Value)> = listed.map(offered).collect();
        for (name, exit) in tools {
            let offer = listed.remove(&name).ok_or_else(|| format!("has no tool `{name}`"))?;
            self.offers.insert(name.clone(), offer);
            self.ways.insert(name, of(Far::Mcp(Arc::clone(&server)), &exit));
        }
        Ok(())
    }

    /// The way of a tool, if it has one.
    pub(super) fn way(&self, tool: &str) -> Option<&Arc<Way>> {
        self.ways.get(tool)
    }

    /// What the servers say of their tools.
    pub(super) fn offers(&self) -> impl Iterator<Item = &Offer> {
        self.offers.values().map(|(offer, _)| offer)
    }

    /// The same of one tool, as the server says it: with titles, output schema, annotations and what else there is.
    pub(super) fn listed(&self, tool: &str) -> Option<&Value> {
        self.offers.get(tool).map(|(_, listed)| listed)
    }

    /// What a server says of a tool.
    pub(super) fn offer(&self, tool: &str) -> Option<&Offer> {
        self.offers.get(tool).map(|(offer, _)| offer)
    }
}

/// A tool of a list, by name: as the gate understands it, and as it came.
fn offered(tool: Value) -> (String, (Offer, Value)) {
    let text = |key: &str| tool.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let input = tool.get("inputSchema").cloned().unwrap_or_else(|| json!({"type": "object"}));
    let offer = Offer { name: text("name"), about: text("description"), input };
    (offer.name.clone(), (offer, tool))
}

/// Asks a server of MCP for its tools, as it says them, and for nothing else; with the headers of its answer.
pub async fn tools_of(
    http: reqwest::Client,
    url: Url,
    headers: HeaderMap,
    timeout: Duration,
) -> Result<(Vec<Value>, HeaderMap), String> {
    Server::at(Line { http, headers, timeout }, url).tools().await
}

impl Way {
    /// Carries a call there and back, within the limits of its system.
    pub(super) async fn carry(&self, asked: &Asked) -> Answer {
        match &self.far {
            Far::Mcp(server) => server.call(asked).await,
            Far::Http(api) => api.call(asked, self.key_header.as_ref()).await,
        }
    }

    /// What the ledger keeps beside status and result.
    pub(super) fn forwarded(&self, answer: &Answer) -> Forwarded {
        let (passage, whole) = match &answer.reply {
            Reply::Result(result) => (Passage::Answered, Some(result).filter(|result| server::says_more(result))),
            Reply::Error(error) => (Passage::Answered, Some(error).filter(|error| error.get("data").is_some())),
            Reply::Http(status, _) if api::is_broken(*status) => (Passage::Lost, None),
            Reply::Http(..) => (Passage::Answered, None),
            Reply::Nothing(_) => (Passage::Lost, None),
        };
        Forwarded { system: self.system.clone(), passage, answer: whole.cloned(), refused: answer.refused.clone() }
    }
}

impl Answer {
    /// A call of which nothing can be said but that it was made.
    fn lost(why: impl Into<String>) -> Self {
        let why = why.into();
        Self {
            status: CallStatus::Attempted,
            result: why.as_str().into(),
            reply: Reply::Nothing(why),
            refused: Vec::new(),
        }
    }
}
