//! Names in braces and `gate:` values of the endpoint, filled in for one run.

use std::{collections::BTreeMap, net::TcpListener, time::Duration};

use serde_json::Value;

use super::receipts::Receipts;
use crate::manifest::endpoint::Endpoint;

/// How long an issuer may take for one answer.
const PATIENCE: Duration = Duration::from_secs(5);

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

/// The value that asks for the trace receiver.
const TRACES: &str = "gate:otlp";

/// Whether an endpoint points its agent to the trace receiver; an agent that the gate does not start never hears of it.
pub(crate) fn is_traced(endpoint: &Endpoint) -> bool {
    endpoint.start.is_some() && endpoint.stand_ins.values().any(|value| value == TRACES)
}

/// What exporters are told beside the address, where the manifest says nothing else: the gate takes OTLP over HTTP, has
/// no use for metrics, and waits for spans after each trial.
const EXPORT: [(&str, &str); 4] = [
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
    ("OTEL_TRACES_EXPORTER", "otlp"),
    ("OTEL_METRICS_EXPORTER", "none"),
    ("OTEL_BSP_SCHEDULE_DELAY", "200"),
];

/// Environment of the started agent; `tools_url` gives the URL of all tools, or of one system's, `otlp_url` that of the
/// trace receiver.
pub(crate) fn stand_ins(
    endpoint: &Endpoint,
    port: u16,
    tools_url: impl Fn(Option<&str>) -> String,
    otlp_url: &str,
) -> BTreeMap<String, String> {
    let filled = |(name, value): (&String, &String)| {
        let value = match tools_of(value) {
            Some(system) => tools_url(Some(system).filter(|system| !system.is_empty())),
            None if value == TRACES => otlp_url.to_owned(),
            None if value.starts_with("gate:") => return None,
            None => value.clone(),
        };
        Some((name.clone(), value))
    };
    let mut env: BTreeMap<String, String> = endpoint.stand_ins.iter().filter_map(filled).collect();
    env.insert("PORT".to_owned(), port.to_string());
    if is_traced(endpoint) {
        for (name, value) in EXPORT {
            env.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        }
    }
    env
}

/// The model providers that the gate is to play for the started agent, by the variable that names each.
pub(crate) fn models(endpoint: &Endpoint) -> impl Iterator<Item = (&String, &str)> {
    endpoint.stand_ins.iter().filter_map(|(name, value)| Some((name, value.strip_prefix("gate:model/")?)))
}

/// Asks the issuer for its discovery document (OpenID Connect Discovery 1.0, section 4), and for the keys that it names.
///
/// The issuer may name `{port}`; the answer is kept in the manifest's own words, so that a record does not depend on
/// the port of its run.
pub(crate) async fn discovery(issuer: &str, endpoint: &Endpoint, receipts: &Receipts) -> Result<Value, String> {
    let port = endpoint.url.as_deref().and_then(|url| reqwest::Url::parse(url).ok()).and_then(|url| url.port());
    let asked = port.map_or_else(|| issuer.to_owned(), |port| issuer.replace("{port}", &port.to_string()));
    let url = crate::facts::oidc_url(&asked);
    let answer = tokio::time::timeout(PATIENCE, fetch(&url, Some((issuer, receipts)))).await;
    let document = answer.unwrap_or_else(|_| Err("no answer within 5s".to_owned()))?;
    let served = document.get("issuer").and_then(Value::as_str).unwrap_or_default();
    let mut answer = serde_json::json!({"issuer": if served == asked { issuer } else { served }});
    let keys = match document.get("jwks_uri").and_then(Value::as_str) {
        Some(place) => tokio::time::timeout(PATIENCE, fetch(place, None))
            .await
            .unwrap_or_else(|_| Err("no answer within 5s".to_owned())),
        None => Err("the issuer names no keys".to_owned()),
    };
    if let Some(answer) = answer.as_object_mut() {
        match keys {
            Ok(keys) => answer.insert("jwks".to_owned(), serde_json::json!({"keys": public(&keys)})),
            Err(why) => answer.insert("jwks_error".to_owned(), why.into()),
        };
    }
    Ok(answer)
}

/// The public parts of the keys; whatever else a document holds is not kept.
fn public(keys: &Value) -> Vec<Value> {
    const PARTS: [&str; 9] = ["kid", "kty", "alg", "use", "crv", "n", "e", "x", "y"];
    let keys = keys.get("keys").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object);
    keys.map(|key| {
        key.iter()
            .filter(|(name, _)| PARTS.contains(&name.as_str()))
            .map(|(name, part)| (name.clone(), part.clone()))
            .collect()
    })
    .collect()
}

async fn fetch(url: &str, kept: Option<(&str, &Receipts)>) -> Result<Value, String> {
    let client = crate::agent::plain_client(url).ok_or_else(|| "the issuer is no URL".to_owned())?;
    let said = |error: reqwest::Error| error.without_url().to_string();
    let response = client.get(url).send().await.and_then(reqwest::Response::error_for_status).map_err(said)?;
    if let Some((issuer, receipts)) = kept {
        receipts.keep(issuer, response.headers());
    }
    response.json().await.map_err(said)
}

#[cfg(test)]
mod tests {
    use axum::{Json, Router, http::StatusCode, routing::get};
    use serde_json::json;

    use super::{super::receipts::Receipts, discovery};
    use crate::manifest::endpoint::Endpoint;

    #[tokio::test]
    async fn an_issuer_is_asked_for_its_keys_and_only_their_public_parts_are_kept() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let home = format!("http://{}", listener.local_addr().expect("bound"));
        let documents =
            |path: &str, keys: &str| json!({"issuer": format!("{home}{path}"), "jwks_uri": format!("{home}{keys}")});
        let (good, broken) = (documents("/good", "/keys"), documents("/broken", "/nowhere"));
        let key = json!({"kid": "k1", "kty": "EC", "crv": "P-256", "x": "eA", "y": "eQ", "d": "secret"});
        let router = Router::new()
            .route("/good/.well-known/openid-configuration", get(|| async move { Json(good) }))
            .route("/broken/.well-known/openid-configuration", get(|| async move { Json(broken) }))
            .route("/keys", get(|| async move { Json(json!({"keys": [key]})) }))
            .fallback(|| async { StatusCode::NOT_FOUND });
        tokio::spawn(async move { axum::serve(listener, router).await });
        let endpoint: Endpoint = serde_json::from_value(json!({"url": home})).expect("an endpoint");
        let receipts = Receipts::new(jiff::Timestamp::UNIX_EPOCH, std::time::Instant::now());
        let seen = discovery(&format!("{home}/good"), &endpoint, &receipts).await.expect("served");
        assert_eq!(seen["issuer"], json!(format!("{home}/good")));
        assert_eq!(seen["jwks"]["keys"], json!([{"kid": "k1", "kty": "EC", "crv": "P-256", "x": "eA", "y": "eQ"}]));
        let broken = discovery(&format!("{home}/broken"), &endpoint, &receipts).await.expect("served");
        assert!(broken["jwks_error"].as_str().expect("a reason").contains("404"), "{broken}");
        assert!(discovery(&format!("{home}/none"), &endpoint, &receipts).await.is_err());
    }
}
