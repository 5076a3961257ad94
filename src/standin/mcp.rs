//! The tools over MCP (streamable HTTP, without sessions): the eras of `initialize` and of `server/discover` on one endpoint.
//!
//! A guard's refusal is a result with `isError`, because that is what every client shows to its model; an unknown tool is a
//! protocol error. No tool of the world has an `outputSchema`: clients abort when one is promised and not kept.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    body::Body,
    extract::{Path, Request, State},
    http::{header, request::Parts},
    response::Response,
};
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CacheScope, CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation, JsonObject,
        ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool, ToolAnnotations,
    },
    service::RequestContext,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
    },
};
use serde_json::Value;

use super::{
    desk::{Desk, Hints},
    inventory::Inventory,
    relay::Reply,
    seat::Came,
    tools::{self, MAX_ARGUMENTS},
};
use crate::{
    manifest::raw::Effect,
    world::{Mishap, Offer, Outcome, cut, garbled},
};

/// The URL that a request came to, and what befalls its answer on the way.
#[derive(Clone)]
struct Address {
    token: String,
    system: Option<String>,
    mishap: Arc<Mutex<Option<Mishap>>>,
    passed: Arc<Mutex<Option<Passed>>>,
}

/// What a real server said, which takes the place of the answer as it is: the types of the protocol would lose what they do
/// not know.
enum Passed {
    Result(Value),
    Error(Value),
    /// Some of the tools in a list, by name.
    Tools(BTreeMap<String, Value>),
}

impl Address {
    fn new(token: String, system: Option<String>) -> Self {
        Self { token, system, mishap: Arc::default(), passed: Arc::default() }
    }

    fn mishap(&self) -> MutexGuard<'_, Option<Mishap>> {
        self.mishap.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn passed(&self) -> MutexGuard<'_, Option<Passed>> {
        self.passed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The MCP server behind every token.
#[derive(Clone)]
pub(super) struct Server {
    desk: Arc<Desk>,
    inventory: Arc<Inventory>,
}

/// The server as HTTP sees it.
#[derive(Clone)]
pub(super) struct Endpoint {
    desk: Arc<Desk>,
    service: StreamableHttpService<Server, NeverSessionManager>,
}

impl Endpoint {
    pub(super) fn new(desk: Arc<Desk>, inventory: Arc<Inventory>) -> Self {
        let config = StreamableHttpServerConfig::default()
            .with_legacy_session_mode(false)
            .with_json_response(true)
            .with_max_request_body_bytes(MAX_ARGUMENTS);
        let server = Server { desk: Arc::clone(&desk), inventory };
        let sessions = Arc::new(NeverSessionManager::default());
        Self { desk, service: StreamableHttpService::new(move || Ok(server.clone()), sessions, config) }
    }
}

/// One JSON-RPC message for the tools of a token.
pub(super) async fn all(State(endpoint): State<Endpoint>, Path(token): Path<String>, request: Request) -> Response {
    answer(&endpoint, Address::new(token, None), request).await
}

/// The same for the tools of one system.
pub(super) async fn of_system(
    State(endpoint): State<Endpoint>,
    Path((token, system)): Path<(String, String)>,
    request: Request,
) -> Response {
    answer(&endpoint, Address::new(token, Some(system)), request).await
}

async fn answer(endpoint: &Endpoint, address: Address, mut request: Request) -> Response {
    endpoint.desk.note_mcp();
    request.extensions_mut().insert(address.clone());
    let response = endpoint.service.handle(request).await.map(Body::new);
    let (mishap, passed) = (address.mishap().take(), address.passed().take());
    match (mishap, passed) {
        (Some(mishap), _) => spoiled(response, mishap).await,
        (None, Some(passed)) => handed_on(response, passed).await,
        (None, None) => response,
    }
}

/// Puts what a real server said in the place of result or error.
async fn handed_on(response: Response, passed: Passed) -> Response {
    let (head, body) = response.into_parts();
    let text = text_of(Response::new(body)).await;
    let mut message: Value = serde_json::from_str(&text).unwrap_or_default();
    if let Some(fields) = message.as_object_mut() {
        let mut own = fields.shift_remove("result");
        match passed {
            Passed::Tools(mut listed) => {
                let tools = own.as_mut().and_then(|own| own.get_mut("tools")).and_then(Value::as_array_mut);
                for tool in tools.into_iter().flatten() {
                    let name = tool.get("name").and_then(Value::as_str);
                    if let Some(theirs) = name.and_then(|name| listed.remove(name)) {
                        *tool = theirs;
                    }
                }
                fields.extend(own.map(|own| ("result".to_owned(), own)));
            }
            Passed::Result(mut result) => {
                // Each era says in its own way that nothing is left to be asked.
                let complete = own.as_ref().and_then(|own| own.get("resultType"));
                match (complete, result.as_object_mut()) {
                    (Some(complete), Some(result)) => {
                        result.entry("resultType").or_insert_with(|| complete.clone());
                    }
                    (None, Some(result)) if result.get("resultType").is_some_and(|kind| kind == "complete") => {
                        result.shift_remove("resultType");
                    }
                    _ => {}
                }
                fields.insert("result".to_owned(), result);
            }
            Passed::Error(error) => {
                fields.insert("error".to_owned(), error);
            }
        }
    }
    let mut response = Response::from_parts(head, Body::from(message.to_string()));
    response.headers_mut().remove(header::CONTENT_LENGTH);
    response
}

/// Breaks an answer on its way; a server of the protocol can't.
async fn spoiled(response: Response, mishap: Mishap) -> Response {
    match mishap {
        Mishap::Silent(wait) => {
            tokio::time::sleep(wait).await;
            tools::broken(String::new())
        }
        Mishap::Reset => tools::broken(String::new()),
        Mishap::Error { status, retry_after, text } => tools::refused(status, retry_after, &text),
        Mishap::Cut(_) => tools::broken(cut(&text_of(response).await)),
        Mishap::Garbled(_) => {
            let (head, body) = response.into_parts();
            let text = garbled(&text_of(Response::new(body)).await);
            let mut response = Response::from_parts(head, Body::from(text));
            response.headers_mut().remove(header::CONTENT_LENGTH);
            response
        }
        Mishap::Late(..) | Mishap::Padded(..) => response,
    }
}

async fn text_of(response: Response) -> String {
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Server {
    /// The URL that a request came to, and what it carries of its trial.
    fn asked(&self, context: &RequestContext<RoleServer>) -> Option<(Address, Hints)> {
        let parts = context.extensions.get::<Parts>()?;
        let address = parts.extensions.get::<Address>()?.clone();
        let hints = self.desk.hints(&parts.headers);
        Some((address, hints.or_meta(context.meta.get_baggage(), context.meta.get_traceparent())))
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("agentready", env!("CARGO_PKG_VERSION")))
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let (address, hints) = self.asked(&context).ok_or_else(nowhere)?;
        let system = address.system.as_deref();
        let offers = match self.desk.find(&address.token, &hints) {
            Some((seat, _)) => {
                let offers = seat.list(&self.inventory, system);
                let listed = seat.listed(&self.inventory, &offers);
                *address.passed() = (!listed.is_empty()).then_some(Passed::Tools(listed));
                offers
            }
            // An agent that asks once, before any trial: what it may meet in the trials.
            None => self.inventory.standing(system),
        };
        self.desk.keep_list(&address.token, &offers);
        let tools = offers.into_iter().map(|offer| tool(&self.inventory, offer)).collect();
        // Offers change from trial to trial: nobody may keep them.
        Ok(ListToolsResult::with_all_items(tools).with_ttl_ms(0).with_cache_scope(CacheScope::Private))
    }

    async fn call_tool(
        &self,
        call: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let (address, hints) = self.asked(&context).ok_or_else(nowhere)?;
        let Some(seat) = self.desk.claim(&address.token, &hints) else {
            return Ok(failed("this call belongs to no trial in flight"));
        };
        if !self.inventory.is_of(&call.name, address.system.as_deref()) {
            return Err(ErrorData::invalid_params(format!("unknown tool: {}", call.name), None));
        }
        let args = call.arguments.map_or(Value::Null, Value::Object);
        let meta = match serde_json::to_value(&context.meta) {
            Ok(Value::Object(meta)) => meta,
            _ => hints.meta(),
        };
        let mut outcome = match seat.carry_out(&self.inventory, (&call.name, args), Some(&hints), meta).await {
            Came::Here(outcome) => outcome,
            Came::Back(reply) => return Ok(returned(&address, reply)),
        };
        if let Outcome::Faulty(Mishap::Late(wait, late)) = outcome {
            tokio::time::sleep(wait).await;
            outcome = *late;
        }
        match outcome {
            Outcome::Executed(result) => Ok(done(result)),
            Outcome::Blocked(why) | Outcome::Malformed(why) => Ok(failed(&why)),
            Outcome::Unknown(why) => Err(ErrorData::invalid_params(why, None)),
            Outcome::Faulty(Mishap::Padded(result, bytes)) => Ok(padded(result, bytes)),
            // The tool itself says so.
            Outcome::Faulty(Mishap::Error { status: 403, text, .. }) => Ok(failed(&text)),
            Outcome::Faulty(mishap) => {
                let result = match &mishap {
                    Mishap::Cut(result) | Mishap::Garbled(result) => result.clone(),
                    _ => Value::Null,
                };
                *address.mishap() = Some(mishap);
                Ok(done(result))
            }
        }
    }
}

/// An answer from elsewhere: a server of MCP speaks for itself, the others are told.
fn returned(address: &Address, reply: Reply) -> CallToolResponse {
    let passed = match reply {
        Reply::Result(result) => Passed::Result(result),
        Reply::Error(error) => Passed::Error(error),
        Reply::Http(status, body) if (200..300).contains(&status) => return done(body),
        Reply::Http(_, body) => return failed(body.as_str().unwrap_or(&body.to_string())),
        Reply::Nothing(why) => return failed(&format!("the tool {why}")),
    };
    *address.passed() = Some(passed);
    done(Value::Null)
}

fn nowhere() -> ErrorData {
    ErrorData::internal_error("the request came to no URL of the gate", None)
}

fn tool(inventory: &Inventory, offer: Offer) -> Tool {
    let schema = match offer.input {
        Value::Object(schema) => schema,
        _ => JsonObject::new(),
    };
    let hints = inventory.tools.get(&offer.name).map(|listed| {
        let is_write = listed.effect != Effect::Read;
        ToolAnnotations::from_raw(
            None,
            Some(!is_write),
            is_write.then_some(listed.effect == Effect::Destructive),
            is_write.then_some(listed.is_idempotent),
            Some(listed.effect == Effect::ExternalSend),
        )
    });
    let mut tool = Tool::new(offer.name, offer.about, Arc::new(schema));
    tool.annotations = hints;
    tool
}

fn done(result: Value) -> CallToolResponse {
    padded(result, 0)
}

fn padded(result: Value, bytes: usize) -> CallToolResponse {
    let text = match &result {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let padding = (bytes > 0).then(|| ContentBlock::text(" ".repeat(bytes)));
    let content = std::iter::once(ContentBlock::text(text)).chain(padding).collect();
    let mut answer = CallToolResult::success(content);
    // Older eras allow nothing but an object here.
    answer.structured_content = Some(result).filter(Value::is_object);
    answer.into()
}

fn failed(why: &str) -> CallToolResponse {
    CallToolResult::error(vec![ContentBlock::text(why)]).into()
}
