//! Framing of streamed bodies: server-sent events and NDJSON. Pure.
//!
//! Works on the whole body, so a character that was split between two chunks is whole again.

use serde_json::{Value, json};

/// The text of a body: invalid UTF-8 becomes a mark, a byte order mark is left out.
pub(super) fn text_of(body: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body))
}

/// The events of an SSE body as `{name, data}`; data that is JSON is parsed. Ends at `[DONE]`.
///
/// Follows the WHATWG rules for line ends, comments and multi-line data; unlike there, an event that the end of
/// the body cuts short still counts, since many servers leave out the last empty line.
pub(super) fn sse_events(body: &[u8]) -> Vec<Value> {
    let text = text_of(body);
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut events = Vec::new();
    let mut pending = Pending::default();
    for line in text.split('\n') {
        if line.is_empty() {
            if pending.is_done() {
                return events;
            }
            events.extend(pending.take());
        } else {
            pending.add(line);
        }
    }
    if !pending.is_done() {
        events.extend(pending.take());
    }
    events
}

/// The lines of an NDJSON body, each as `{name: "", data}`; or the first line that is no JSON.
pub(super) fn ndjson_events(body: &[u8]) -> Result<Vec<Value>, String> {
    text_of(body)
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| match serde_json::from_str::<Value>(line) {
            Ok(data) => Ok(json!({"name": "", "data": data})),
            Err(_) => Err(line.to_owned()),
        })
        .collect()
}

/// Whether an SSE body has come to its `[DONE]`.
pub(super) fn is_done(body: &[u8]) -> bool {
    let end = body.trim_ascii_end();
    end.ends_with(b"[DONE]") && end.len() + 1 < body.len()
}

#[derive(Default)]
struct Pending {
    name: String,
    data: Vec<String>,
}

impl Pending {
    fn add(&mut self, line: &str) {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => self.data.push(value.to_owned()),
            "event" => value.clone_into(&mut self.name),
            _ => {} // comments (an empty field name), ids and retry times mean nothing here
        }
    }

    fn is_done(&self) -> bool {
        matches!(self.data.as_slice(), [only] if only.trim() == "[DONE]")
    }

    fn take(&mut self) -> Option<Value> {
        let Self { name, data } = std::mem::take(self);
        if data.is_empty() {
            return None;
        }
        let text = data.join("\n");
        let data = serde_json::from_str::<Value>(&text).unwrap_or(Value::String(text));
        Some(json!({"name": if name.is_empty() { "message" } else { name.as_str() }, "data": data}))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{is_done, ndjson_events, sse_events};

    #[test]
    fn server_sent_events_follow_the_rules() {
        let body =
            "\u{feff}: hello\r\nevent: piece\r\ndata: {\"a\":1}\r\n\r\ndata: one\rdata:two\n\nid: 7\n\ndata: last";
        assert_eq!(
            sse_events(body.as_bytes()),
            [
                json!({"name": "piece", "data": {"a": 1}}),
                json!({"name": "message", "data": "one\ntwo"}),
                json!({"name": "message", "data": "last"}),
            ]
        );
    }

    #[test]
    fn nothing_after_done_counts() {
        let body = b"data: a\n\ndata: [DONE]\n\ndata: b\n\n";
        assert_eq!(sse_events(body).len(), 1);
        assert!(is_done(b"data: a\n\ndata: [DONE]\n\n"));
        assert!(!is_done(b"data: a\n\n"));
    }

    #[test]
    fn a_line_that_is_no_json_is_named() {
        assert_eq!(ndjson_events(b"{\"a\":1}\n\n[2]\n").map(|events| events.len()), Ok(2));
        assert_eq!(ndjson_events(b"{\"a\":1}\noops\n"), Err("oops".to_owned()));
    }
}
