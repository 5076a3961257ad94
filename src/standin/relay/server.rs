//! A real MCP server at the far end: streamable HTTP of both eras, with and without sessions, and stdio. Results and errors are handed
//! on as they came; nothing of them is decoded into types, which would lose what the types do not know.

use std::{
    sync::{
        PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use reqwest::{StatusCode, Url, header::HeaderMap};
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;

use super::{
    Answer, Asked, Reply, aside,
    line::{Got, Line},
    pipe::Pipe,
};
use crate::record::CallStatus;

/// Most pages of a list of tools.
const MAX_PAGES: usize = 50;
/// The revision of MCP that needs no session.
const STATELESS: &str = "2026-07-28";
/// The revision that is asked for where a session is needed.
const WITH_SESSION: &str = "2025-11-25";
/// How long a program is asked which revisions it knows: some of the older ones say nothing to that.
const PROBE: Duration = Duration::from_secs(10);
/// Names in `_meta` that speak of one connection and not of the call.
const OF_CONNECTION: &str = "io.modelcontextprotocol/";

/// The server, and the session with it that all trials share.
#[derive(Debug)]
pub(super) struct Server {
    link: Link,
    session: Mutex<Option<Session>>,
    asked: AtomicU64,
}

#[derive(Debug)]
enum Link {
    Web(Line, Url),
    Pipe(Pipe),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Session {
    version: String,
    id: Option<String>,
}

/// What a server said to one message.
enum Said {
    Result(Value),
    Error(Value),
}

/// What was said to one message, and what came with it.
struct Heard {
    said: Said,
    headers: HeaderMap,
    /// What the server asked of its client meanwhile and did not get.
    refused: Vec<String>,
}

/// Why a server said nothing.
enum Silence {
    /// It does not know the session any more, and so did nothing.
    SessionGone,
    Failed(String),
}

impl Server {
    /// A server at a URL.
    pub(super) fn at(line: Line, url: Url) -> Self {
        Self::over(Link::Web(line, url))
    }

    /// A server that runs beside the gate.
    pub(super) fn behind(pipe: Pipe) -> Self {
        Self::over(Link::Pipe(pipe))
    }

    fn over(link: Link) -> Self {
        Self { link, session: Mutex::default(), asked: AtomicU64::new(0) }
    }

    /// What its list of tools says, page by page, as it says it; and the headers of the last page.
    pub(super) async fn tools(&self) -> Result<(Vec<Value>, HeaderMap), String> {
        let mut listed = Vec::new();
        let mut params = Map::new();
        for _ in 0..MAX_PAGES {
            let Heard { said, headers, .. } = self.ask("tools/list", params).await?;
            let result = match said {
                Said::Result(result) => result,
                Said::Error(error) => return Err(refused(&error)),
            };
            let tools = result.get("tools").and_then(Value::as_array);
            listed.extend(tools.ok_or("answered without a list of `tools`")?.iter().cloned());
            let Some(cursor) = result.get("nextCursor").filter(|cursor| cursor.is_string()) else {
                return Ok((listed, headers));
            };
            params = Map::from_iter([("cursor".to_owned(), cursor.clone())]);
        }
        Err(format!("has more than {MAX_PAGES} pages of tools"))
    }

    /// Calls a tool.
    pub(super) async fn call(&self, asked: &Asked) -> Answer {
        let mut params = Map::new();
        params.insert("name".to_owned(), asked.tool.as_str().into());
        params.insert("arguments".to_owned(), asked.args.clone());
        let meta: Map<String, Value> = asked
            .meta
            .iter()
            .filter(|(name, _)| !name.starts_with(OF_CONNECTION) && *name != "progressToken")
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        if !meta.is_empty() {
            params.insert("_meta".to_owned(), Value::Object(meta));
        }
        let Heard { said, refused, .. } = match self.ask("tools/call", params).await {
            Ok(heard) => heard,
            Err(why) => return Answer::lost(why),
        };
        match said {
            Said::Result(result) => {
                let is_error = result.get("isError") == Some(&Value::Bool(true));
                let status = if is_error { CallStatus::Blocked } else { CallStatus::Executed };
                Answer { status, result: meaning(&result), reply: Reply::Result(result), refused }
            }
            Said::Error(error) => {
                let text = error.get("message").cloned().unwrap_or_else(|| error.clone());
                Answer { status: CallStatus::Attempted, result: text, reply: Reply::Error(error), refused }
            }
        }
    }

    async fn ask(&self, method: &str, params: Map<String, Value>) -> Result<Heard, String> {
        let session = self.session().await?;
        match self.send(&session, method, params.clone()).await {
            Ok(said) => Ok(said),
            Err(Silence::Failed(why)) => Err(why),
            Err(Silence::SessionGone) => {
                let mut known = self.session.lock().await;
                if known.as_ref() == Some(&session) {
                    *known = None;
                }
                drop(known);
                let session = self.session().await?;
                self.send(&session, method, params).await.map_err(|silence| match silence {
                    Silence::SessionGone => "forgot its session twice".to_owned(),
                    Silence::Failed(why) => why,
                })
            }
        }
    }

    /// The session, opened by the first who needs it.
    async fn session(&self) -> Result<Session, String> {
        let mut known = self.session.lock().await;
        if let Some(session) = &*known {
            return Ok(session.clone());
        }
        let session = self.opened().await?;
        *known = Some(session.clone());
        Ok(session)
    }

    async fn opened(&self) -> Result<Session, String> {
        let stateless = Session { version: STATELESS.to_owned(), id: None };
        let found = self.send(&stateless, "server/discover", Map::new()).await;
        if let Ok(Heard { said: Said::Result(found), .. }) = found {
            let versions = found.get("supportedVersions").and_then(Value::as_array);
            if versions.is_some_and(|versions| versions.iter().any(|version| version == STATELESS)) {
                return Ok(stateless);
            }
        }
        let hello = json!({"jsonrpc": "2.0", "id": self.number(), "method": "initialize", "params": {
            "protocolVersion": WITH_SESSION, "capabilities": {}, "clientInfo": client()}});
        let fresh = Session { version: WITH_SESSION.to_owned(), id: None };
        let Heard { said, headers, .. } = self.exchange(&fresh, &hello).await.map_err(|silence| match silence {
            Silence::SessionGone => "answered HTTP 404".to_owned(),
            Silence::Failed(why) => why,
        })?;
        let result = match said {
            Said::Result(result) => result,
            Said::Error(error) => return Err(refused(&error)),
        };
        let id = headers.get("mcp-session-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
        let version = result.get("protocolVersion").and_then(Value::as_str).unwrap_or(WITH_SESSION).to_owned();
        let session = Session { version, id };
        let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        match &self.link {
            Link::Web(line, url) => drop(line.send(request((line, url), &session, &ready), |_| true).await?),
            Link::Pipe(pipe) => pipe.tell(&ready).await,
        }
        Ok(session)
    }

    async fn send(&self, session: &Session, method: &str, mut params: Map<String, Value>) -> Result<Heard, Silence> {
        if session.version == STATELESS {
            let meta = params.entry("_meta").or_insert_with(|| json!({}));
            for (name, value) in [
                ("protocolVersion", session.version.as_str().into()),
                ("clientCapabilities", json!({})),
                ("clientInfo", client()),
            ] {
                if let Some(meta) = meta.as_object_mut() {
                    meta.insert(format!("{OF_CONNECTION}{name}"), value);
                }
            }
        }
        let message = json!({"jsonrpc": "2.0", "id": self.number(), "method": method, "params": params});
        self.exchange(session, &message).await
    }

    /// Sends a request; what was said to it, and the headers that came along.
    async fn exchange(&self, session: &Session, message: &Value) -> Result<Heard, Silence> {
        let (line, url) = match &self.link {
            Link::Web(line, url) => (line, url),
            Link::Pipe(pipe) => return piped(pipe, message).await.map_err(Silence::Failed),
        };
        let id = message.get("id").cloned().unwrap_or_default();
        let asides = std::sync::Mutex::new(Vec::new());
        let is_it = |event: &Value| match aside::read(event) {
            Some(aside) => {
                let reply = request((line, url), session, &aside.answer);
                let line = line.clone();
                // The server may wait for it before it goes on with its stream.
                tokio::spawn(async move { line.send(reply, |_| true).await });
                let mut asides = asides.lock().unwrap_or_else(PoisonError::into_inner);
                let is_told = asides.len() < aside::MOST;
                asides.extend(aside.refused.filter(|_| is_told));
                false
            }
            None => event.get("id") == Some(&id) && event.get("method").is_none(),
        };
        let got = line.send(request((line, url), session, message), is_it).await.map_err(Silence::Failed)?;
        if got.status == StatusCode::NOT_FOUND && session.id.is_some() {
            return Err(Silence::SessionGone);
        }
        let headers = got.headers.clone();
        let refused = asides.into_inner().unwrap_or_else(PoisonError::into_inner);
        said(got).map(|said| Heard { said, headers, refused }).map_err(Silence::Failed)
    }

    fn number(&self) -> u64 {
        self.asked.fetch_add(1, Ordering::Relaxed)
    }
}

async fn piped(pipe: &Pipe, message: &Value) -> Result<Heard, String> {
    let is_probe = message.get("method").is_some_and(|method| method == "server/discover");
    let id = message.get("id").and_then(Value::as_u64).unwrap_or_default();
    let back = pipe.ask(id, message, if is_probe { PROBE } else { Duration::MAX }).await?;
    let said = said_in(Some(&back.message))?;
    Ok(Heard { said, headers: HeaderMap::new(), refused: back.refused })
}

fn request((line, url): (&Line, &Url), session: &Session, message: &Value) -> reqwest::RequestBuilder {
    let text = |pointer: &str| message.pointer(pointer).and_then(Value::as_str);
    let request = line.http.post(url.clone()).json(message);
    let request = request.header("accept", "application/json, text/event-stream");
    let request = match text("/method") {
        // The version is agreed on in the message itself.
        Some("initialize") => return request,
        _ => request.header("mcp-protocol-version", &session.version),
    };
    let is_stateless = session.version == STATELESS;
    let named = [
        ("mcp-session-id", session.id.as_deref()),
        ("mcp-method", text("/method").filter(|_| is_stateless)),
        ("mcp-name", text("/params/name").filter(|_| is_stateless)),
    ];
    named
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .fold(request, |request, (name, value)| request.header(name, value))
}

/// An error of the server without its words.
fn refused(error: &Value) -> String {
    let code = error.get("code").and_then(Value::as_i64);
    code.map_or_else(|| "answered with an error".to_owned(), |code| format!("answered JSON-RPC error {code}"))
}

fn client() -> Value {
    json!({"name": "agentready", "version": env!("CARGO_PKG_VERSION")})
}

fn said(got: Got) -> Result<Said, String> {
    let message = got.event.or_else(|| serde_json::from_slice::<Value>(&got.body).ok());
    let is_error = message.as_ref().is_some_and(|message| message.get("error").is_some());
    if !is_error && !got.status.is_success() {
        return Err(format!("answered HTTP {}", got.status.as_u16()));
    }
    said_in(message.as_ref())
}

fn said_in(message: Option<&Value>) -> Result<Said, String> {
    let of = |key: &str| message.and_then(|message| message.get(key)).cloned();
    let said = of("error").map(Said::Error).or_else(|| of("result").map(Said::Result));
    said.ok_or_else(|| "answered with no JSON-RPC result".to_owned())
}

/// What a result says, in the form in which the world would have said it: a value, or a text.
pub(in crate::standin) fn meaning(result: &Value) -> Value {
    if let Some(structured) = result.get("structuredContent").filter(|structured| !structured.is_null()) {
        return structured.clone();
    }
    let blocks = result.get("content").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let texts: Vec<&str> = blocks.iter().filter_map(text_of).collect();
    if texts.is_empty() || texts.len() != blocks.len() {
        return result.clone();
    }
    let text = texts.join("\n");
    let value = serde_json::from_str::<Value>(&text).ok().filter(|value| value.is_object() || value.is_array());
    value.unwrap_or_else(|| text.into())
}

fn text_of(block: &Value) -> Option<&str> {
    if block.get("type")? == "text" { block.get("text")?.as_str() } else { None }
}

/// Whether a result holds more than its meaning.
pub(super) fn says_more(result: &Value) -> bool {
    let known = ["content", "structuredContent", "isError", "resultType"];
    let others = result.as_object().is_none_or(|fields| fields.keys().any(|name| !known.contains(&name.as_str())));
    let blocks = result.get("content").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let is_plain =
        |block: &Value| block.as_object().is_some_and(|fields| fields.len() == 2) && text_of(block).is_some();
    let is_whole = meaning(result) == *result;
    !is_whole && (others || blocks.len() > 1 || !blocks.iter().all(is_plain))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{meaning, says_more};

    #[test]
    fn a_result_means_its_value_and_what_it_says_beyond_that_is_known() {
        let text = |text: &str| json!({"type": "text", "text": text});
        let image = json!({"type": "image", "data": "AAAA", "mimeType": "image/png"});
        for (result, means, more) in [
            (json!({"content": [text("{\"paid\": 5}")]}), json!({"paid": 5}), false),
            (json!({"content": [text("5")]}), json!("5"), false),
            (json!({"content": [text("a"), text("b")]}), json!("a\nb"), true),
            (json!({"content": [text("a")], "structuredContent": {"b": 1}}), json!({"b": 1}), false),
            (json!({"content": [text("a")], "_meta": {"c": 1}}), json!("a"), true),
            (json!({"content": [{"type": "text", "text": "a", "annotations": {}}]}), json!("a"), true),
            (json!({"content": [image]}), json!({"content": [image]}), false),
            (json!({"content": []}), json!({"content": []}), false),
        ] {
            assert_eq!((meaning(&result), says_more(&result)), (means, more), "{result}");
        }
    }
}
