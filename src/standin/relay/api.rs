//! An HTTP API at the far end: a call becomes the request that the tool's `endpoint` says. Arguments fill the path; the rest
//! goes into the query of a request without a body, else into a JSON body.

use reqwest::{Method, Url, header::HeaderName};
use serde_json::{Map, Value, json};

use super::{Answer, Asked, Reply, line::Line};
use crate::record::CallStatus;

/// One tool of an HTTP API.
#[derive(Debug)]
pub(super) struct Api {
    line: Line,
    base: Url,
    method: Method,
    path: String,
}

impl Api {
    /// Reads `METHOD /path`; nothing when it is something else.
    pub(super) fn new(line: Line, base: Url, endpoint: &str) -> Option<Self> {
        let (method, path) = endpoint.split_once(' ')?;
        let path = path.trim();
        let method = method.to_ascii_uppercase().parse().ok()?;
        (path.starts_with('/') && !base.cannot_be_a_base()).then(|| Self { line, base, method, path: path.to_owned() })
    }

    /// Asks for it; `key_header` takes the agent's idempotency key.
    pub(super) async fn call(&self, asked: &Asked, key_header: Option<&HeaderName>) -> Answer {
        let (mut url, rest) = match self.filled(&asked.args) {
            Ok(filled) => filled,
            Err(why) => {
                let reply = Reply::Http(400, why.as_str().into());
                return Answer { status: CallStatus::Attempted, result: why.into(), reply, refused: Vec::new() };
            }
        };
        let has_body = !matches!(self.method, Method::GET | Method::HEAD | Method::DELETE | Method::OPTIONS);
        if !has_body && !rest.is_empty() {
            url.query_pairs_mut().extend_pairs(rest.iter().map(|(name, value)| (name, plain(value))));
        }
        let request = self.line.http.request(self.method.clone(), url);
        let request = if has_body { request.json(&rest) } else { request };
        let trace =
            ["traceparent", "baggage"].into_iter().filter_map(|name| Some((name, asked.meta.get(name)?.as_str()?)));
        let request = trace.fold(request, |request, (name, value)| request.header(name, value));
        let request = match key_header.zip(asked.key.as_ref()) {
            Some((name, key)) => request.header(name, key),
            None => request,
        };
        let got = match self.line.send(request.header("accept", "application/json"), |_| false).await {
            Ok(got) => got,
            Err(why) => return Answer::lost(why),
        };
        let status = got.status.as_u16();
        if got.status.is_redirection() {
            return Answer::lost(format!("answered HTTP {status} and points elsewhere"));
        }
        let result = match got.body.as_slice() {
            [] => json!({}),
            body => serde_json::from_slice(body).unwrap_or_else(|_| String::from_utf8_lossy(body).into_owned().into()),
        };
        let call = match status {
            200..300 => CallStatus::Executed,
            _ if is_broken(status) => CallStatus::Attempted,
            _ => CallStatus::Blocked,
        };
        Answer { status: call, result: result.clone(), reply: Reply::Http(status, result), refused: Vec::new() }
    }

    /// The URL with arguments in its path, and the arguments that are left.
    fn filled(&self, args: &Value) -> Result<(Url, Map<String, Value>), String> {
        let mut rest = match args {
            Value::Object(args) => args.clone(),
            _ => return Err("the arguments must be a JSON object".to_owned()),
        };
        let (path, query) = self.path.split_once('?').unwrap_or((&self.path, ""));
        let mut used = Vec::new();
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty();
            for segment in path.trim_start_matches('/').split('/') {
                let filled = fill(segment, &rest, &mut used)?;
                // These would lead to another place of the server.
                if matches!(filled.as_str(), "." | "..") || (filled.is_empty() && !segment.is_empty()) {
                    return Err(format!("the path has no place for `{filled}`"));
                }
                segments.push(&filled);
            }
        }
        for name in used {
            rest.shift_remove(&name);
        }
        if !query.is_empty() {
            url.set_query(Some(query));
        }
        Ok((url, rest))
    }
}

/// Puts arguments in the place of their names in braces.
fn fill(segment: &str, args: &Map<String, Value>, used: &mut Vec<String>) -> Result<String, String> {
    let (mut out, mut left) = (String::new(), segment);
    while let Some((before, after)) = left.split_once('{') {
        let Some((name, rest)) = after.split_once('}') else { break };
        let value = args.get(name).filter(|value| !value.is_null()).ok_or_else(|| format!("`{name}` is missing"))?;
        out.push_str(before);
        out.push_str(&plain(value));
        used.push(name.to_owned());
        left = rest;
    }
    out.push_str(left);
    Ok(out)
}

/// A value without the quotes of JSON.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Whether a status says nothing about the call: it was too early, too much, or the server broke.
pub(super) fn is_broken(status: u16) -> bool {
    matches!(status, 408 | 425 | 429) || status >= 500
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use reqwest::{Url, header::HeaderMap};
    use serde_json::json;

    use super::{Api, Line};

    fn api(endpoint: &str) -> Option<Api> {
        let http = crate::agent::plain_client("http://127.0.0.1").expect("a client");
        let line = Line { http, headers: HeaderMap::new(), timeout: Duration::from_secs(1) };
        Api::new(line, Url::parse("http://127.0.0.1:1/v1/").expect("a URL"), endpoint)
    }

    #[test]
    fn arguments_fill_the_path_and_never_leave_it() {
        for (endpoint, args, url) in [
            ("GET /orders/{id}", json!({"id": "A-1"}), Ok("/v1/orders/A-1")),
            ("GET /orders/{id}/lines", json!({"id": 7}), Ok("/v1/orders/7/lines")),
            ("GET /orders/{id}", json!({"id": "a/../b?c#d%2e"}), Ok("/v1/orders/a%2F..%2Fb%3Fc%23d%252e")),
            ("GET /orders/{id}.json?full=1", json!({"id": "A"}), Ok("/v1/orders/A.json?full=1")),
            ("GET /orders/{id}", json!({"id": ".."}), Err("the path has no place for `..`")),
            ("GET /orders/{id}", json!({"id": ""}), Err("the path has no place for ``")),
            ("GET /orders/{id}", json!({}), Err("`id` is missing")),
            ("GET /orders", json!([1]), Err("the arguments must be a JSON object")),
        ] {
            let filled = api(endpoint).expect("an endpoint").filled(&args);
            let shown = filled.map(|(url, _)| url.as_str().trim_start_matches("http://127.0.0.1:1").to_owned());
            assert_eq!(shown, url.map(str::to_owned).map_err(str::to_owned), "{endpoint} {args}");
        }
        let rest = api("POST /refunds/{id}").expect("an endpoint").filled(&json!({"id": 1, "b": 2})).expect("filled").1;
        assert_eq!(json!(rest), json!({"b": 2}));
        assert!(api("/orders").is_none() && api("GET orders").is_none());
    }
}
