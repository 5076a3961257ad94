//! Adapters: how the gate talks to the agent under test, and how it starts and ends one.
//!
//! An [`Adapter`] is made once per run from `endpoint`; each trial opens a [`Session`] and asks turn by turn.
//! A new wire format is one file with a `KIND` and one line in [`ADAPTERS`]. What an agent answers is data:
//! it is never a template, and text of it in an error is made harmless. Retries, trial deadlines and rates are
//! the caller's.

mod a2a;
mod client;
mod command;
mod contract;
mod extract;
mod frames;
mod group;
mod http;
mod model;
mod piped;
mod preset;
mod process;
mod request;
mod secrets;
mod tail;
mod tree;

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc};

use futures_util::future::BoxFuture;
use serde_json::Value;

pub use contract::{Answer, Message, TrialContext, TurnError};
pub use group::end_all;
pub use piped::piped;
pub use preset::{PRESETS, Preset};
pub use process::{Process, StartError};
pub use secrets::{SecretError, Secrets};

use crate::{
    manifest::endpoint::{Auth, Endpoint, Protocol},
    source::Route,
};

/// Carries out one tool call of a bare model: name and arguments in, what the model sees out. Arguments that are
/// no JSON come as text.
pub type ToolRunner = Arc<dyn Fn(String, Value) -> BoxFuture<'static, Value> + Send + Sync>;

/// The tools of a trial, for a bare model whose tool loop the gate runs.
#[derive(Clone)]
pub struct Tools {
    /// What the model is offered.
    pub offers: Vec<crate::world::Offer>,
    /// Carries out a call.
    pub run: ToolRunner,
}

/// Where the agent lives on this machine.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// The folder that `endpoint.cwd` is relative to; empty for the current one.
    pub folder: PathBuf,
    /// What `{name}` stands for in `url` and `run`: `port`, `agentready`.
    pub variables: BTreeMap<String, String>,
}

impl Place {
    /// The text with each `{name}` that is known put in.
    pub fn filled(&self, text: &str) -> String {
        self.variables.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
    }
}

/// Why an endpoint cannot be spoken to as the manifest describes it.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum AdapterError {
    /// A setting is missing or wrong.
    #[error("{message}")]
    Invalid {
        /// The setting.
        route: Route,
        /// What is wrong: a lowercase fragment.
        message: String,
    },
    /// A secret is not in the environment.
    #[error("{source}")]
    Secret {
        /// The setting that asks for it.
        route: Route,
        /// Which one.
        source: SecretError,
    },
}

impl AdapterError {
    /// The place in the manifest.
    pub fn route(&self) -> &Route {
        match self {
            Self::Invalid { route, .. } | Self::Secret { route, .. } => route,
        }
    }

    fn at(route: &Route, message: String) -> Self {
        Self::Invalid { route: route.clone(), message }
    }

    fn secret(route: &Route, source: SecretError) -> Self {
        Self::Secret { route: route.clone(), source }
    }
}

type Build = fn(&Endpoint, &Place, &mut Secrets) -> Result<Box<dyn Wire>, AdapterError>;

/// A wire format that the gate speaks.
pub struct Kind {
    /// The name in `endpoint.protocol`.
    pub name: &'static str,
    /// One line about it.
    pub about: &'static str,
    protocol: Protocol,
    build: Build,
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// All wire formats, by name.
pub const ADAPTERS: &[Kind] =
    &[a2a::KIND, model::MESSAGES_KIND, command::KIND, http::KIND, model::CHAT_KIND, model::RESPONSES_KIND];

/// A wire format set up for one endpoint.
trait Wire: Send + Sync {
    fn open<'a>(
        &'a self,
        context: &'a TrialContext,
        tools: Option<Tools>,
    ) -> BoxFuture<'a, Result<Box<dyn Conversation>, TurnError>>;

    fn uses_tools_url(&self) -> bool;

    fn runs_tools(&self) -> bool {
        false
    }
}

/// One conversation over a wire format.
trait Conversation: Send {
    fn turn<'a>(&'a mut self, prompt: &'a str) -> BoxFuture<'a, Result<Answer, TurnError>>;

    fn close(&mut self) -> BoxFuture<'_, Result<(), TurnError>>;
}

/// Makes the adapter of a run. `environment` is where `env:NAME` is looked up.
pub fn adapter(
    endpoint: &Endpoint,
    environment: &BTreeMap<String, String>,
    place: &Place,
) -> Result<Adapter, AdapterError> {
    let endpoint = &preset::applied(endpoint)?;
    let Some(kind) = ADAPTERS.iter().find(|kind| kind.protocol == endpoint.protocol) else {
        let name = endpoint.protocol.name();
        let known: Vec<_> = ADAPTERS.iter().map(|kind| format!("`{}`", kind.name)).collect();
        let message = format!("`{name}` is not spoken by this version; it speaks {}", known.join(", "));
        return Err(AdapterError::at(&Route::pointer("/endpoint/protocol"), message));
    };
    let mut secrets = Secrets::new(environment.clone());
    let wire = (kind.build)(endpoint, place, &mut secrets)?;
    Ok(Adapter { kind: kind.name, wire, secrets: Arc::new(secrets) })
}

/// A client without authentication for one public address, such as an issuer's discovery document.
pub fn plain_client(url: &str) -> Option<reqwest::Client> {
    client::plain(url)
}

/// The headers that `auth` at a place of the manifest stands for, and the secrets in them.
pub fn authentication(
    auth: Option<&Auth>,
    route: &Route,
    environment: &BTreeMap<String, String>,
) -> Result<(reqwest::header::HeaderMap, Secrets), AdapterError> {
    let mut secrets = Secrets::new(environment.clone());
    let headers = client::authentication(auth, route, &mut secrets)?;
    Ok((headers, secrets))
}

/// How to talk to the agent under test.
pub struct Adapter {
    kind: &'static str,
    wire: Box<dyn Wire>,
    secrets: Arc<Secrets>,
}

impl fmt::Debug for Adapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Adapter({})", self.kind)
    }
}

impl Adapter {
    /// Opens a conversation: setup requests, or the start of a process. `tools` matter only to a bare model.
    pub async fn open(&self, context: &TrialContext, tools: Option<Tools>) -> Result<Session, TurnError> {
        let secrets = Arc::clone(&self.secrets);
        match self.wire.open(context, tools).await {
            Ok(conversation) => Ok(Session { conversation, secrets }),
            Err(error) => Err(redacted(error, &secrets)),
        }
    }

    /// Whether the agent is told where the trial's tools are.
    pub fn uses_tools_url(&self) -> bool {
        self.wire.uses_tools_url()
    }

    /// Whether the gate itself runs the tool loop, so that [`Adapter::open`] needs tools.
    pub fn runs_tools(&self) -> bool {
        self.wire.runs_tools()
    }

    /// The secrets in use, to keep out of everything that is written.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }
}

/// One conversation with the agent; remembers what was said.
pub struct Session {
    conversation: Box<dyn Conversation>,
    secrets: Arc<Secrets>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session")
    }
}

impl Session {
    /// Says one thing and waits for the complete answer.
    pub async fn turn(&mut self, prompt: &str) -> Result<Answer, TurnError> {
        self.conversation.turn(prompt).await.map_err(|error| redacted(error, &self.secrets))
    }

    /// Ends the conversation: teardown requests, or the end of the process. Every teardown request is tried; the
    /// first failure is returned.
    pub async fn close(mut self) -> Result<(), TurnError> {
        self.conversation.close().await.map_err(|error| redacted(error, &self.secrets))
    }
}

fn redacted(error: TurnError, secrets: &Secrets) -> TurnError {
    match error {
        TurnError::Transport(text) => TurnError::Transport(secrets.redacted(&text)),
        TurnError::Setup(text) => TurnError::Setup(secrets.redacted(&text)),
        TurnError::Agent(text) => TurnError::Agent(secrets.redacted(&text)),
        TurnError::RateLimited { .. } | TurnError::Timeout(_) => error,
    }
}

#[cfg(test)]
mod tests;
