//! Names in braces and `gate:` values of the endpoint, filled in for one run.

use std::{collections::BTreeMap, net::TcpListener, time::Duration};

use serde_json::Value;

use crate::manifest::endpoint::Endpoint;

/// A port that is free now. The gate tells it to the agent, which binds it a moment later.
pub(crate) fn free_port() -> std::io::Result<u16> {
    TcpListener::bind(("127.0.0.1", 0))?.local_addr().map(|address| address.port())
}

/// Replaces `{name}` by its value; other braces stay.
pub(crate) fn fill(text: &str, variables: &BTreeMap<String, String>) -> String {
    variables.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
}

/// The endpoint of this run.
pub(crate) fn endpoint(declared: &Endpoint, variables: &BTreeMap<String, String>) -> Endpoint {
    let fill = |text: &String| fill(text, variables);
    Endpoint {
        url: declared.url.as_ref().map(fill),
        start: declared.start.as_ref().map(fill),
        run: declared.run.iter().map(fill).collect(),
        ready: crate::manifest::endpoint::Ready {
            url: declared.ready.url.as_ref().map(fill),
            within: declared.ready.within,
        },
        ..declared.clone()
    }
}

/// Whether a value asks for the tools: `gate:tools` for all of them, `gate:tools/<system>` for those of one system.
pub(crate) fn is_tools(value: &str) -> bool {
    tools_of(value).is_some()
}

/// The system that such a value names; empty for all of them.
fn tools_of(value: &str) -> Option<&str> {
    let rest = value.strip_prefix("gate:tools")?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/').filter(|system| !system.is_empty()) }
}

/// Environment of the started agent; `tools_url` gives the URL of all tools, or of one system's.
pub(crate) fn stand_ins(
    endpoint: &Endpoint,
    port: u16,
    tools_url: impl Fn(Option<&str>) -> String,
) -> BTreeMap<String, String> {
    let filled = |(name, value): (&String, &String)| {
        let value = match tools_of(value) {
            Some(system) => tools_url(Some(system).filter(|system| !system.is_empty())),
            None if value.starts_with("gate:") => return None,
            None => value.clone(),
        };
        Some((name.clone(), value))
    };
    let mut env: BTreeMap<String, String> = endpoint.stand_ins.iter().filter_map(filled).collect();
    env.insert("PORT".to_owned(), port.to_string());
    env
}

/// Asks the issuer for its discovery document (OpenID Connect Discovery 1.0, section 4).
///
/// The issuer may name `{port}`; the answer is kept in the manifest's own words, so that a record does not depend on
/// the port of its run.
pub(crate) async fn discovery(issuer: &str, endpoint: &Endpoint) -> Result<Value, String> {
    let port = endpoint.url.as_deref().and_then(|url| reqwest::Url::parse(url).ok()).and_then(|url| url.port());
    let asked = port.map_or_else(|| issuer.to_owned(), |port| issuer.replace("{port}", &port.to_string()));
    let url = crate::facts::oidc_url(&asked);
    let answer = tokio::time::timeout(Duration::from_secs(5), fetch(&url)).await;
    let document = answer.unwrap_or_else(|_| Err("no answer within 5s".to_owned()))?;
    let served = document.get("issuer").and_then(Value::as_str).unwrap_or_default();
    Ok(serde_json::json!({"issuer": if served == asked { issuer } else { served }}))
}

async fn fetch(url: &str) -> Result<Value, String> {
    let client = crate::agent::plain_client(url).ok_or_else(|| "the issuer is no URL".to_owned())?;
    let said = |error: reqwest::Error| error.without_url().to_string();
    let response = client.get(url).send().await.and_then(reqwest::Response::error_for_status).map_err(said)?;
    response.json().await.map_err(said)
}
