//! One bounded request to a system of staging: so many bytes, so much time, and no words of the server in a failure.

use std::time::Duration;

use reqwest::{
    RequestBuilder, StatusCode,
    header::{CONTENT_TYPE, HeaderMap},
};
use serde_json::Value;

/// Most bytes of one answer.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// What every request to one system shares. The client follows redirects within the server only.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) http: reqwest::Client,
    pub(super) headers: HeaderMap,
    pub(super) timeout: Duration,
}

/// One answer, or as much of a stream as was needed.
pub(super) struct Got {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// The message that was waited for, in a stream.
    pub(super) event: Option<Value>,
}

impl Line {
    /// Sends, and reads to the end; of a stream of events until one `is_it`.
    pub(super) async fn send(&self, request: RequestBuilder, is_it: impl Fn(&Value) -> bool) -> Result<Got, String> {
        let exchange = self.exchange(request.headers(self.headers.clone()), is_it);
        let late = || Err(format!("gave no answer within {}", crate::units::format_duration(self.timeout)));
        tokio::time::timeout(self.timeout, exchange).await.unwrap_or_else(|_| late())
    }

    async fn exchange(&self, request: RequestBuilder, is_it: impl Fn(&Value) -> bool) -> Result<Got, String> {
        let sent = request.send().await;
        let mut response =
            sent.map_err(|error| if error.is_connect() { "can't be reached" } else { "gave no answer" })?;
        let (status, headers) = (response.status(), response.headers().clone());
        let is_stream = media_type(&headers).starts_with("text/event-stream");
        let mut events = Events::default();
        let mut body = Vec::new();
        loop {
            let chunk = response.chunk().await.map_err(|_broken| "broke off its answer")?;
            let Some(chunk) = chunk else { break };
            if body.len() + chunk.len() > MAX_BYTES {
                return Err(format!("answered more than {} MiB", MAX_BYTES >> 20));
            }
            body.extend_from_slice(&chunk);
            if let Some(event) = is_stream.then(|| events.next(&body, &is_it)).flatten() {
                return Ok(Got { status, headers, body, event: Some(event) });
            }
        }
        // The last event may end with the stream.
        body.extend_from_slice(b"\n\n");
        let event = is_stream.then(|| events.next(&body, &is_it)).flatten();
        body.truncate(body.len() - 2);
        Ok(Got { status, headers, body, event })
    }
}

pub(super) fn media_type(headers: &HeaderMap) -> &str {
    headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default()
}

/// Server-sent events of a body that grows.
#[derive(Default)]
struct Events {
    /// Where the first event begins that is not complete.
    begin: usize,
}

impl Events {
    fn next(&mut self, body: &[u8], is_it: impl Fn(&Value) -> bool) -> Option<Value> {
        while let Some(rest) = body.get(self.begin..) {
            let (event, ends) = first_event(rest)?;
            self.begin += ends;
            if let Some(value) = data(event).filter(&is_it) {
                return Some(value);
            }
        }
        None
    }
}

/// The bytes of the first event up to its blank line, and where the next one begins.
fn first_event(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let ends = [&b"\n\n"[..], b"\r\n\r\n", b"\r\r"];
    let found = ends.iter().filter_map(|end| Some((bytes.windows(end.len()).position(|at| at == *end)?, end.len())));
    let (at, length) = found.min()?;
    Some((bytes.get(..at)?, at + length))
}

fn data(event: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(event).ok()?;
    let lines = text.split(['\n', '\r']).filter_map(|line| line.strip_prefix("data:"));
    let data: Vec<&str> = lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    serde_json::from_str(&data.join("\n")).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Events;

    #[test]
    fn the_event_that_is_waited_for_is_found_however_the_stream_is_cut() {
        let stream =
            b": hello\n\ndata: {\"method\": \"x\"}\n\nevent: message\r\ndata: {\"id\":\r\ndata: 1}\r\n\r\ndata: {}\n\n";
        let is_it = |event: &Value| event.get("id").is_some();
        for cut in 0..=stream.len() {
            let mut events = Events::default();
            let early = events.next(&stream[..cut], is_it);
            let found = early.or_else(|| events.next(stream, is_it));
            assert_eq!(found, Some(json!({"id": 1})), "cut at {cut}");
        }
        assert_eq!(Events::default().next(b"data: {\"id\": 1}", is_it), None, "an event ends with a blank line");
    }
}
