//! Asks pages that the manifest offers to people whether they show what they should: the timeline of a run that the sample
//! of the audit log knows, and the view of spend and usage, with and without an admin's token. Keeps what was found, never
//! a page.
//!
//! `facts.pages` has `timeline` (`run`, `tells`: the answer names that run) and `usage` (`refuses`: not everybody gets an
//! answer, `answers`: an admin does, `per_tenant`, `per_day`), each only where it was asked, with `why` when that showed
//! nothing.

use std::{collections::BTreeMap, sync::LazyLock, time::Duration};

use regex::Regex;
use serde_json::{Value, json};

use super::{described::body, receipts::Receipts};

/// How long one page may take.
const PATIENCE: Duration = Duration::from_secs(5);

static DAY: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"[0-9]{4}-[0-9]{2}-[0-9]{2}|\bda(y|ily)\b").expect("the pattern is valid"));

/// The secrets with which pages are asked for.
pub(crate) fn tokens(manifest: &Value, env: &BTreeMap<String, String>) -> Vec<String> {
    ["/audit/timeline_token", "/cost/usage_token"].iter().filter_map(|place| token(manifest, env, place)).collect()
}

fn token(manifest: &Value, env: &BTreeMap<String, String>, place: &str) -> Option<String> {
    let name = manifest.pointer(place)?.as_str()?.strip_prefix("env:")?;
    env.get(name).filter(|value| !value.is_empty()).cloned()
}

/// Asks both; `port` is the agent's.
pub(crate) async fn ask(
    (manifest, facts): (&Value, &Value),
    env: &BTreeMap<String, String>,
    port: Option<u16>,
    receipts: &Receipts,
) -> Value {
    let page = |place: &str| {
        let url = manifest.pointer(place).and_then(Value::as_str).filter(|url| url.contains("://"))?;
        Some(port.map_or_else(|| url.to_owned(), |port| url.replace("{port}", &port.to_string())))
    };
    let mut pages = serde_json::Map::new();
    if let Some(url) = page("/audit/timeline") {
        let run = facts.pointer("/audit/runs/0").and_then(Value::as_str);
        let token = token(manifest, env, "/audit/timeline_token");
        pages.insert("timeline".to_owned(), timeline(&url, run, token.as_deref(), receipts).await);
    }
    if let Some(url) = page("/cost/usage") {
        let tenants = manifest.pointer("/endpoint/tenants").and_then(Value::as_array).into_iter().flatten();
        let tenants: Vec<&str> = tenants.filter_map(Value::as_str).collect();
        let token = token(manifest, env, "/cost/usage_token");
        pages.insert("usage".to_owned(), usage(&url, &tenants, token.as_deref(), receipts).await);
    }
    Value::Object(pages)
}

async fn timeline(url: &str, run: Option<&str>, token: Option<&str>, receipts: &Receipts) -> Value {
    let Some(run) = run else {
        return json!({"tells": false, "why": "no run is known: there is no sample of the audit log"});
    };
    match get(&url.replace("{run_id}", run), token).await {
        Ok((status, text)) if (200..300).contains(&status) => {
            receipts.note(url);
            json!({"run": run, "tells": text.contains(run)})
        }
        // A run that the sample knows and the page does not.
        Ok((404 | 410, _)) => json!({"run": run, "tells": false}),
        Ok((status, _)) => json!({"run": run, "tells": false, "why": format!("it answered HTTP {status}")}),
        Err(why) => json!({"run": run, "tells": false, "why": why}),
    }
}

async fn usage(url: &str, tenants: &[&str], token: Option<&str>, receipts: &Receipts) -> Value {
    let first = tenants.first().copied();
    let asked = ["{tenant}", "{workspace}"].iter().fold(url.to_owned(), |url, name| match first {
        Some(tenant) => url.replace(name, tenant),
        None => url,
    });
    if asked.contains('{') {
        return json!({"why": "there is no tenant to ask it for (`endpoint.tenants`)"});
    }
    let refuses = match get(&asked, None).await {
        Ok((status, _)) => !(200..300).contains(&status),
        Err(why) => return json!({ "why": why }),
    };
    let Some(token) = token else {
        let why = refuses.then_some("no admin's token is given (`cost.usage_token`)");
        return json!({"refuses": refuses, "answers": !refuses, "why": why});
    };
    match get(&asked, Some(token)).await {
        Ok((status, text)) if (200..300).contains(&status) => {
            receipts.note(url);
            let text = text.to_lowercase();
            let words = ["tenant", "workspace", "customer", "merchant", "organization"];
            let names_tenant = words.iter().chain(tenants).any(|word| text.contains(&word.to_lowercase()));
            json!({"refuses": refuses, "answers": true, "per_tenant": names_tenant, "per_day": DAY.is_match(&text)})
        }
        Ok((status, _)) => json!({"refuses": refuses, "answers": false, "status": status}),
        Err(why) => json!({"refuses": refuses, "why": why}),
    }
}

async fn get(url: &str, token: Option<&str>) -> Result<(u16, String), String> {
    let client = crate::agent::plain_client(url).ok_or_else(|| "it is no URL".to_owned())?;
    let request = match token {
        Some(token) => client.get(url).bearer_auth(token),
        None => client.get(url),
    };
    let answer = async {
        let response = request
            .send()
            .await
            .map_err(|error| if error.is_connect() { "it can't be reached" } else { "it gave no answer" }.to_owned())?;
        Ok((response.status().as_u16(), body(response, |_| false).await.map_err(|why| format!("it {why}"))?))
    };
    tokio::time::timeout(PATIENCE, answer).await.unwrap_or_else(|_| Err("it gave no answer within 5s".to_owned()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use axum::{
        Router,
        http::{HeaderMap, StatusCode},
        routing::get,
    };
    use serde_json::{Value, json};

    use super::{super::receipts::Receipts, ask};

    async fn guarded(headers: HeaderMap) -> Result<&'static str, StatusCode> {
        let known = headers.get("authorization").is_some_and(|value| value == "Bearer adm1n");
        if known {
            Ok("[{\"tenant\": \"a\", \"on\": \"2026-11-20\", \"usd\": 1.2}]")
        } else {
            Err(StatusCode::UNAUTHORIZED)
        }
    }

    #[tokio::test]
    async fn pages_are_asked_for_a_known_run_and_with_and_without_a_token() {
        let router = Router::new()
            .route("/runs/r-1", get(|| async { "run r-1: read_ticket, issue_refund" }))
            .route("/app/r-1", get(|| async { "<div id=root>" }))
            .route("/usage", get(guarded))
            .route("/bare", get(|| async { "usd 3 in all" }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        tokio::spawn(async move { axum::serve(listener, router).await });
        let env = BTreeMap::from([("ADMIN".to_owned(), "adm1n".to_owned())]);
        let seen = async |timeline: &str, usage: &str, token: Option<&str>, runs: Value| {
            let at = |path: &str| format!("http://127.0.0.1:{{port}}{path}");
            let manifest =
                json!({"audit": {"timeline": at(timeline)}, "cost": {"usage": at(usage), "usage_token": token}});
            let receipts = Receipts::new(jiff::Timestamp::UNIX_EPOCH, std::time::Instant::now());
            ask((&manifest, &json!({"audit": {"runs": runs}})), &env, Some(port), &receipts).await
        };
        let runs = || json!(["r-1"]);
        let good = seen("/runs/{run_id}", "/usage", Some("env:ADMIN"), runs()).await;
        assert_eq!(good["timeline"], json!({"run": "r-1", "tells": true}));
        assert_eq!(good["usage"], json!({"refuses": true, "answers": true, "per_tenant": true, "per_day": true}));
        let bad = seen("/app/{run_id}", "/bare", Some("env:ADMIN"), runs()).await;
        assert_eq!(bad["timeline"]["tells"], json!(false), "a page that is the same for every run shows none");
        assert_eq!(bad["usage"], json!({"refuses": false, "answers": true, "per_tenant": false, "per_day": false}));
        let unknown = seen("/runs/{run_id}", "/usage", None, json!([])).await;
        assert!(unknown["timeline"]["why"].is_string() && unknown["usage"]["why"].is_string(), "{unknown}");
        let gone = seen("/nowhere/{run_id}", "/usage/{tenant}", Some("env:ADMIN"), runs()).await;
        assert_eq!(gone["timeline"], json!({"run": "r-1", "tells": false}), "a page that is not there shows no run");
        assert!(gone["usage"]["why"].as_str().is_some_and(|why| why.contains("endpoint.tenants")), "{gone}");
    }
}
