//! Asks the servers that the manifest names for what they say of themselves: the tools of MCP servers, `OpenAPI`
//! documents, the agent card. Must ask for nothing else, and shows none of their words in a failure.

use std::{collections::BTreeMap, time::Duration};

use futures_util::{StreamExt as _, future::join_all};
use reqwest::{
    Client, RequestBuilder, Response, Url,
    header::{AUTHORIZATION, HeaderValue},
};
use serde_json::{Value, json};

use super::receipts::Receipts;
use crate::standin;

/// How long one server may take for all that it is asked.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most bytes of one answer.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// What the servers said, or why nothing is known, in the form of `facts::Fetched`.
#[derive(Debug, Default)]
pub(crate) struct Described {
    /// Answers to `tools/list`, by system.
    pub(crate) tools: BTreeMap<String, Result<Value, String>>,
    /// Documents, by address.
    pub(crate) documents: BTreeMap<String, Result<Value, String>>,
}

/// Asks all of them at once.
pub(crate) async fn fetch(manifest: &Value, env: &BTreeMap<String, String>, receipts: &Receipts) -> Described {
    let systems = manifest.get("systems").and_then(Value::as_object).into_iter().flatten();
    let (mut servers, mut places) = (Vec::new(), Vec::new());
    for (name, system) in systems {
        let token = token(system, env);
        if let Some(url) = address(system.get("mcp")) {
            servers.push((name.clone(), url, token));
        } else if let Some(url) = address(system.get("openapi")) {
            places.push((url, token));
        }
    }
    places.extend(address(manifest.pointer("/agent/card")).map(|url| (url, None)));
    let tools = join_all(
        servers
            .into_iter()
            .map(|(name, url, token)| async move { (name, in_time(tools(&url, token.as_deref(), receipts)).await) }),
    );
    let documents = join_all(places.into_iter().map(|(url, token)| async move {
        let document = in_time(document(&url, token.as_deref(), receipts)).await;
        (url, document)
    }));
    let (tools, documents) = tokio::join!(tools, documents);
    Described { tools: tools.into_iter().collect(), documents: documents.into_iter().collect() }
}

/// The places of the manifest that name a server to ask, here and elsewhere: what a run without the network goes without.
pub(crate) fn places(manifest: &Value) -> Vec<String> {
    let single = ["identity.issuer", "agent.card", "audit.timeline", "cost.usage"].map(str::to_owned);
    let systems = manifest.get("systems").and_then(Value::as_object).into_iter().flat_map(serde_json::Map::keys);
    let described = systems.flat_map(|name| ["mcp", "openapi"].map(|key| format!("systems.{name}.{key}")));
    let is_named = |place: &String| {
        let keys = place.split('.');
        address(keys.into_iter().try_fold(manifest, |found, key| found.get(key))).is_some()
    };
    single.into_iter().chain(described).filter(is_named).collect()
}

/// An address, as opposed to a path.
fn address(place: Option<&Value>) -> Option<String> {
    let place = place?.as_str()?;
    (place.starts_with("http://") || place.starts_with("https://")).then(|| place.to_owned())
}

/// The credential for reading, where the manifest says which variable holds it.
fn token(system: &Value, env: &BTreeMap<String, String>) -> Option<String> {
    let secret = |kind: &str| system.pointer(&format!("/credentials/{kind}/secret")).and_then(Value::as_str);
    let name = secret("read").or_else(|| secret("write"))?.strip_prefix("env:")?;
    env.get(name).filter(|value| !value.is_empty()).cloned()
}

async fn in_time(answer: impl Future<Output = Result<Value, String>>) -> Result<Value, String> {
    let late = || Err(format!("gave no answer within {}s", PATIENCE.as_secs()));
    tokio::time::timeout(PATIENCE, answer).await.unwrap_or_else(|_| late())
}

fn client(url: &str) -> Result<Client, String> {
    crate::agent::plain_client(url).ok_or_else(|| "is no URL".to_owned())
}

async fn document(url: &str, token: Option<&str>, receipts: &Receipts) -> Result<Value, String> {
    let request = client(url)?.get(url).header("accept", "application/json, application/yaml;q=0.9");
    let response = send(with(request, token)).await?;
    receipts.keep(url, response.headers());
    let body = body(response, |_| false).await?;
    serde_json::from_str(&body)
        .ok()
        .or_else(|| {
            let file = crate::source::SourceFile::new("answer.yaml", body);
            crate::source::load_text::<Value>(file).ok().map(|loaded| loaded.value)
        })
        .filter(Value::is_object)
        .ok_or_else(|| "answered with neither JSON nor YAML".to_owned())
}

/// The tools of an MCP server over HTTP.
async fn tools(url: &str, token: Option<&str>, receipts: &Receipts) -> Result<Value, String> {
    let http = client(url)?;
    let place = Url::parse(url).map_err(|_wrong| "is no URL")?;
    let bearer = token.and_then(|token| HeaderValue::from_str(&format!("Bearer {token}")).ok());
    let headers = bearer.map(|bearer| (AUTHORIZATION, bearer)).into_iter().collect();
    let (tools, answered) = standin::tools_of(http, place, headers, PATIENCE).await?;
    receipts.keep(url, &answered);
    Ok(json!({ "tools": tools }))
}

fn with(request: RequestBuilder, token: Option<&str>) -> RequestBuilder {
    match token {
        Some(token) => request.bearer_auth(token),
        None => request,
    }
}

async fn send(request: RequestBuilder) -> Result<Response, String> {
    let response =
        request.send().await.map_err(|error| if error.is_connect() { "can't be reached" } else { "gave no answer" })?;
    match response.status() {
        status if status.is_success() => Ok(response),
        status => Err(format!("answered HTTP {}", status.as_u16())),
    }
}

/// The text of an answer, up to the cap or until it is `enough`.
pub(super) async fn body(response: Response, enough: impl Fn(&str) -> bool) -> Result<String, String> {
    let mut bytes = Vec::new();
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        let Ok(chunk) = chunk else { return Err("broke off its answer".to_owned()) };
        bytes.extend(chunk);
        if bytes.len() > MAX_BYTES {
            return Err(format!("answered more than {} MiB", MAX_BYTES >> 20));
        }
        if std::str::from_utf8(&bytes).is_ok_and(&enough) {
            break;
        }
    }
    String::from_utf8(bytes).ok().ok_or_else(|| "answered with bytes that are no text".to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use axum::{
        Json, Router,
        http::{HeaderMap, StatusCode},
        response::IntoResponse as _,
        routing::{get, post},
    };
    use serde_json::{Value, json};

    use super::{super::receipts::Receipts, fetch};

    async fn served(router: Router) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}")
    }

    fn answer(ask: &Value, result: &Value) -> Value {
        json!({"jsonrpc": "2.0", "id": ask["id"], "result": result})
    }

    /// A server of the present revision, in two pages.
    async fn stateless(headers: HeaderMap, Json(ask): Json<Value>) -> axum::response::Response {
        if ask["method"] == "server/discover" {
            return Json(answer(&ask, &json!({"supportedVersions": ["2026-07-28"]}))).into_response();
        }
        if ask["method"] != "tools/list" || headers.get("mcp-method").is_none_or(|method| method != "tools/list") {
            return StatusCode::NOT_FOUND.into_response();
        }
        let page = match ask["params"]["cursor"].as_str() {
            None => json!({"tools": [{"name": "a", "annotations": {"readOnlyHint": true}}], "nextCursor": "2"}),
            Some(_) => json!({"tools": [{"name": "b"}]}),
        };
        Json(answer(&ask, &page)).into_response()
    }

    /// A server that wants a session and answers in streams.
    async fn with_session(headers: HeaderMap, Json(ask): Json<Value>) -> axum::response::Response {
        let authorized = headers.get("authorization").is_some_and(|value| value == "Bearer t0ken");
        let known = headers.get("mcp-session-id").is_some_and(|id| id == "s1");
        match ask["method"].as_str() {
            _ if !authorized => StatusCode::UNAUTHORIZED.into_response(),
            Some("initialize") => {
                let hello = answer(&ask, &json!({"protocolVersion": "2025-06-18", "capabilities": {}}));
                ([("mcp-session-id", "s1")], Json(hello)).into_response()
            }
            Some("notifications/initialized") if known => StatusCode::ACCEPTED.into_response(),
            Some("tools/list") if known => {
                let event = answer(&ask, &json!({"tools": [{"name": "c"}]}));
                ([("content-type", "text/event-stream")], format!("event: message\ndata: {event}\n\n")).into_response()
            }
            _ => StatusCode::BAD_REQUEST.into_response(),
        }
    }

    #[tokio::test]
    async fn servers_of_both_eras_list_their_tools_and_the_rest_says_why_not() {
        let router = Router::new()
            .route("/new", post(stateless))
            .route("/old", post(with_session))
            .route("/api.json", get(|| async { Json(json!({"paths": {}})) }))
            .route("/api.yaml", get(|| async { "paths: {}\n" }))
            .route("/page", get(|| async { "<html>" }));
        let home = served(router).await;
        let manifest = json!({
            "agent": {"card": format!("{home}/page")},
            "systems": {
                "new": {"mcp": format!("{home}/new")},
                "old": {"mcp": format!("{home}/old"), "credentials": {"read": {"secret": "env:OLD"}}},
                "shut": {"mcp": format!("{home}/old")},
                "gone": {"mcp": "http://127.0.0.1:9/mcp"},
                "file": {"mcp": "exports/tools.json"},
                "json": {"openapi": format!("{home}/api.json")},
                "yaml": {"openapi": format!("{home}/api.yaml")},
            },
        });
        let env = BTreeMap::from([("OLD".to_owned(), "t0ken".to_owned())]);
        let receipts = Receipts::new(jiff::Timestamp::UNIX_EPOCH, std::time::Instant::now());
        let described = fetch(&manifest, &env, &receipts).await;
        let names = |system: &str| -> Result<Vec<Value>, String> {
            let tools = described.tools[system].clone()?;
            Ok(tools["tools"].as_array().expect("a list").iter().map(|tool| tool["name"].clone()).collect())
        };
        assert_eq!(names("new"), Ok(vec![json!("a"), json!("b")]));
        assert_eq!(names("old"), Ok(vec![json!("c")]));
        assert_eq!(names("shut"), Err("answered HTTP 401".to_owned()));
        assert_eq!(names("gone"), Err("can't be reached".to_owned()));
        assert!(!described.tools.contains_key("file"), "a path is opened, not asked");
        for name in ["api.json", "api.yaml"] {
            assert_eq!(described.documents[&format!("{home}/{name}")], Ok(json!({"paths": {}})), "{name}");
        }
        let asked: Vec<String> = receipts.taken().into_keys().map(|from| from.replace(&home, "")).collect();
        assert_eq!(asked, ["/api.json", "/api.yaml", "/new", "/old", "/page"], "who answered has a receipt");
        let card = &described.documents[&format!("{home}/page")];
        assert_eq!(card, &Err("answered with neither JSON nor YAML".to_owned()));
    }
}
