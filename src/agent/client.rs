//! The one HTTP client of a run: sends a request, reads a bounded answer, and says what a failure means.
//!
//! One client is shared by all trials, so connections are kept. Must not know what a body says.

use std::time::Duration;

use reqwest::{
    Method, StatusCode, Url,
    header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
    redirect,
};

use super::{AdapterError, Secrets, TurnError};
use crate::{
    manifest::endpoint::{Auth, Endpoint},
    source::Route,
    text::{printable_line, shortened},
};

/// Body bytes of a refusal that are read, for the message.
const REFUSAL_BYTES: usize = 8 * 1024;
/// An idle connection is dropped before common servers do so (uvicorn and node wait five seconds), because a
/// request on a connection that is just being closed looks like a failure of the agent.
const IDLE: Duration = Duration::from_secs(4);
/// Nobody who is there takes longer to accept a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a stream may stay open after its `[DONE]`; keeps the connection if the end comes at once.
const LINGER: Duration = Duration::from_millis(100);
const REDIRECTS: usize = 5;

/// The client of a run with the endpoint's authentication and limits.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    auth: HeaderMap,
    home: Url,
    timeout: Duration,
    max_bytes: usize,
}

/// One request.
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Vec<u8>>,
}

/// One complete answer.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// `POST http://host/path`, for messages.
    pub(super) asked: String,
}

impl Client {
    /// Builds the client; `urls` are all places that will be asked, which decides whether TLS roots are loaded.
    pub(super) fn new(
        endpoint: &Endpoint,
        home: Url,
        urls: &[&str],
        secrets: &mut Secrets,
    ) -> Result<Self, AdapterError> {
        let auth = authentication(endpoint.auth.as_ref(), &Route::pointer("/endpoint/auth"), secrets)?;
        let encrypted = home.scheme() == "https" || urls.iter().any(|url| url.contains("https:"));
        let http = builder(&home, encrypted, endpoint.timeout.0).build().map_err(|error| {
            AdapterError::at(&Route::pointer("/endpoint/url"), format!("no HTTP client: {}", cause(&error)))
        })?;
        let max_bytes = usize::try_from(endpoint.response.max_bytes).unwrap_or(usize::MAX);
        Ok(Self { http, auth, home, timeout: endpoint.timeout.0, max_bytes })
    }

    /// `endpoint.url`.
    pub(super) fn home(&self) -> &Url {
        &self.home
    }

    /// Sends and reads to the end, whatever the status; within the time and byte limits.
    pub(super) async fn send(&self, ask: Ask) -> Result<Reply, TurnError> {
        match tokio::time::timeout(self.timeout, self.exchange(ask)).await {
            Ok(reply) => reply,
            Err(_elapsed) => Err(TurnError::Timeout(self.timeout)),
        }
    }

    /// [`Client::send`], and a refusal by status is an error.
    pub(super) async fn send_accepted(&self, ask: Ask) -> Result<Reply, TurnError> {
        self.send(ask).await?.accepted()
    }

    async fn exchange(&self, ask: Ask) -> Result<Reply, TurnError> {
        let asked = format!("{} {}", ask.method, shown_url(&ask.url));
        let mut headers = if same_origin(&ask.url, &self.home) { self.auth.clone() } else { HeaderMap::new() };
        headers.extend(ask.headers);
        let mut request = self.http.request(ask.method, ask.url).headers(headers);
        if let Some(body) = ask.body {
            request = request.body(body);
        }
        let mut response = request.send().await.map_err(|error| self.failure(&error, &asked))?;
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        let limit = if status.is_success() { self.max_bytes } else { self.max_bytes.min(REFUSAL_BYTES) };
        let stream = content_type(&headers) == "text/event-stream";
        let mut body = Vec::new();
        while let Some(chunk) = self.next_chunk(&mut response, stream && super::frames::is_done(&body), &asked).await? {
            if body.len() + chunk.len() > limit {
                if status.is_success() {
                    return Err(TurnError::Agent(format!("{asked} answered more than {limit} bytes")));
                }
                body.extend_from_slice(chunk.get(..limit - body.len()).unwrap_or_default());
                break;
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply { status, headers, body, asked })
    }

    async fn next_chunk(
        &self,
        response: &mut reqwest::Response,
        is_done: bool,
        asked: &str,
    ) -> Result<Option<bytes::Bytes>, TurnError> {
        if !is_done {
            return response.chunk().await.map_err(|error| self.failure(&error, asked));
        }
        match tokio::time::timeout(LINGER, response.chunk()).await {
            Ok(Ok(chunk)) => Ok(chunk),
            Ok(Err(_)) | Err(_) => Ok(None),
        }
    }

    fn failure(&self, error: &reqwest::Error, asked: &str) -> TurnError {
        if error.is_connect() || (error.is_request() && !error.is_timeout()) {
            TurnError::Transport(format!("{asked} failed: {}", cause(error)))
        } else if error.is_timeout() {
            TurnError::Timeout(self.timeout)
        } else if error.is_builder() || error.is_redirect() {
            TurnError::Setup(format!("{asked} failed: {}", cause(error)))
        } else {
            TurnError::Agent(format!("{asked}: the answer broke off: {}", cause(error)))
        }
    }
}

impl Reply {
    /// The reply itself if its status is 2xx, else what the status means.
    pub(super) fn accepted(self) -> Result<Self, TurnError> {
        if self.status.is_success() { Ok(self) } else { Err(self.refusal()) }
    }

    /// What a status outside 2xx means.
    pub(super) fn refusal(&self) -> TurnError {
        let retry_after = self.retry_after();
        let said = match self.shown() {
            text if text.is_empty() => String::new(),
            text => format!(": {text}"),
        };
        let answered = format!("{} answered {}", self.asked, self.status);
        match self.status.as_u16() {
            // 529: Anthropic, when all of its users ask too much at once.
            429 | 529 => TurnError::RateLimited { retry_after },
            503 if retry_after.is_some() => TurnError::RateLimited { retry_after },
            401 | 403 | 404 | 405 | 415 => TurnError::Setup(format!("{answered}{said}")),
            300..=399 => {
                let target = self.headers.get("location").and_then(|to| to.to_str().ok()).unwrap_or("nowhere");
                TurnError::Setup(format!("{answered} and points to {}", shortened(&printable_line(target), 200)))
            }
            _ => TurnError::Agent(format!("{answered}{said}")),
        }
    }

    /// `Retry-After` in seconds, or as an HTTP date counted from the answer's own `Date`.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        let text = self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        if let Ok(seconds) = text.parse::<u32>() {
            return Some(Duration::from_secs(seconds.into()));
        }
        let until = http_date(text)?;
        let now = http_date(self.headers.get("date")?.to_str().ok()?)?;
        Some(Duration::from_secs(u64::try_from(until - now).unwrap_or(0)))
    }

    /// The media type without parameters, in lower case.
    pub(super) fn content_type(&self) -> String {
        content_type(&self.headers)
    }

    /// The beginning of the body, harmless.
    pub(super) fn shown(&self) -> String {
        shown(&self.body)
    }
}

/// The first 200 printable characters of a body on one line.
pub(super) fn shown(body: &[u8]) -> String {
    let head = body.get(..body.len().min(2_000)).unwrap_or_default();
    let line: String = printable_line(super::frames::text_of(head).trim()).chars().take(200).collect();
    line
}

/// Reads `endpoint.url` with the given variables put in.
pub(super) fn home(endpoint: &Endpoint, place: &super::Place) -> Result<Url, AdapterError> {
    let Some(text) = &endpoint.url else {
        return Err(AdapterError::at(&Route::pointer("/endpoint"), "this protocol needs `url`".to_owned()));
    };
    let route = Route::pointer("/endpoint/url");
    let url =
        Url::parse(&place.filled(text)).map_err(|error| AdapterError::at(&route, format!("{error}: `{text}`")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(AdapterError::at(&route, format!("`{text}` is no http or https URL")));
    }
    Ok(url)
}

/// Whether two URLs name the same server.
pub(super) fn same_origin(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme() && a.host() == b.host() && a.port_or_known_default() == b.port_or_known_default()
}

/// A client without authentication for the address of `url`.
pub(super) fn plain(url: &str) -> Option<reqwest::Client> {
    let url = Url::parse(url).ok()?;
    builder(&url, url.scheme() == "https", CONNECT).build().ok()
}

fn builder(home: &Url, encrypted: bool, timeout: Duration) -> reqwest::ClientBuilder {
    // Fails when a provider is installed already, which is as good.
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .http1_only()
        .tcp_nodelay(true)
        .pool_idle_timeout(IDLE)
        .connect_timeout(timeout.min(CONNECT))
        .user_agent(concat!("agentready/", env!("CARGO_PKG_VERSION")))
        .referer(false)
        .redirect(redirect::Policy::custom(|attempt| {
            let stays = attempt.previous().first().is_some_and(|first| same_origin(first, attempt.url()));
            if stays && attempt.previous().len() <= REDIRECTS { attempt.follow() } else { attempt.stop() }
        }));
    if !encrypted {
        builder = builder.tls_certs_only([]); // loading the system's roots takes milliseconds
    }
    if home.host_str().is_some_and(is_loopback) {
        builder = builder.no_proxy();
    }
    builder
}

/// A client that only looks whether a server is there.
pub(super) fn prober(url: &Url, timeout: Duration) -> reqwest::Result<reqwest::Client> {
    let builder = builder(url, url.scheme() == "https", timeout);
    builder.timeout(timeout).build()
}

/// Whether a host is this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The headers that `auth` at `base` stands for.
pub(super) fn authentication(
    auth: Option<&Auth>,
    base: &Route,
    secrets: &mut Secrets,
) -> Result<HeaderMap, AdapterError> {
    let mut headers = HeaderMap::new();
    let Some(auth) = auth else { return Ok(headers) };
    if let Some(text) = &auth.bearer {
        let route = base.join("bearer");
        let value = secrets.resolve(text).map_err(|source| AdapterError::secret(&route, source))?;
        headers.insert(AUTHORIZATION, sensitive(&format!("Bearer {value}"), &route)?);
    }
    if let Some(text) = &auth.basic {
        let route = base.join("basic");
        let value = secrets.resolve(text).map_err(|source| AdapterError::secret(&route, source))?;
        let Some((_, password)) = value.split_once(':') else {
            return Err(AdapterError::at(&route, "needs `user:password`".to_owned()));
        };
        secrets.hide(password);
        let encoded = base64(value.as_bytes());
        secrets.hide(&encoded);
        headers.insert(AUTHORIZATION, sensitive(&format!("Basic {encoded}"), &route)?);
    }
    for (name, text) in &auth.headers {
        let route = base.join("headers").join(name);
        let value = secrets.resolve(text).map_err(|source| AdapterError::secret(&route, source))?;
        headers.insert(header_name(name, &route)?, sensitive(&value, &route)?);
    }
    Ok(headers)
}

/// A header name, or an error at its place.
pub(super) fn header_name(name: &str, route: &Route) -> Result<HeaderName, AdapterError> {
    name.parse().map_err(|_invalid| AdapterError::at(route, format!("`{name}` is no header name")))
}

fn sensitive(value: &str, route: &Route) -> Result<HeaderValue, AdapterError> {
    let mut value = HeaderValue::from_str(value)
        .map_err(|_invalid| AdapterError::at(route, "the value cannot stand in a header".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// RFC 4648 with padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |bits: u32| ALPHABET.get((bits & 63) as usize).map_or('=', |&c| char::from(c));
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, i| bits << 8 | u32::from(chunk.get(i).copied().unwrap_or(0)));
        out.extend([digit(bits >> 18), digit(bits >> 12)]);
        out.push(if chunk.len() > 1 { digit(bits >> 6) } else { '=' });
        out.push(if chunk.len() > 2 { digit(bits) } else { '=' });
    }
    out
}

fn content_type(headers: &HeaderMap) -> String {
    let value = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Seconds since 1970 of an RFC 9110 date.
fn http_date(text: &str) -> Option<i64> {
    jiff::fmt::rfc2822::parse(text).ok().map(|date| date.timestamp().as_second())
}

/// A URL without user, password, query and fragment, which may be secret.
fn shown_url(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

/// The innermost reason of an error, which is the one that helps.
fn cause(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    printable_line(&innermost.to_string())
}

#[cfg(test)]
mod tests {
    use super::{base64, http_date};

    #[test]
    fn base64_agrees_with_the_rfc() {
        for (plain, encoded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }

    #[test]
    fn http_dates_are_read() {
        assert_eq!(http_date("Thu, 01 Jan 1970 00:01:00 GMT"), Some(60));
        assert_eq!(http_date("soon"), None);
    }
}
