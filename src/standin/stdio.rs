//! MCP over stdio, for agents that spawn their servers: each line goes to a URL of the gate as it is, and what comes back is a
//! line again. What the agent sends and the gate answers is not looked into beyond what the transport needs.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use reqwest::Url;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    task::JoinSet,
};

/// Longest line that is taken, in bytes; the gateway takes less.
const MAX_LINE: u64 = 1024 * 1024;
/// JSON-RPC: what was read is no JSON.
const NO_JSON: i64 = -32700;
/// JSON-RPC: free for servers; here the answer did not arrive.
const LOST: i64 = -32000;

/// Carries messages between a client on `input` and `output` and the gate's URL, until the input ends and all is answered.
pub async fn bridge(
    http: reqwest::Client,
    url: Url,
    input: impl AsyncBufRead + Unpin,
    mut output: impl AsyncWrite + Unpin,
) -> std::io::Result<()> {
    let line = Line { http, url };
    let mut input = input.take(MAX_LINE);
    let mut agreed: Option<String> = None;
    let mut asked = JoinSet::new();
    let mut read = Vec::new();
    loop {
        tokio::select! {
            Some(answers) = asked.join_next() => write(&mut output, answers.unwrap_or_default()).await?,
            // What was read before another branch came first stays in `read`.
            count = input.read_until(b'\n', &mut read) => {
                let is_end = count? == 0;
                if !is_end && read.last() != Some(&b'\n') && input.limit() > 0 {
                    continue;
                }
                let is_whole = is_end || read.last() == Some(&b'\n');
                input.set_limit(MAX_LINE);
                let text = std::mem::take(&mut read);
                let Some(message) = serde_json::from_slice::<Value>(&text).ok().filter(|_| is_whole) else {
                    if !text.trim_ascii().is_empty() {
                        write(&mut output, vec![fault(&Value::Null, NO_JSON, "the line is no JSON message")]).await?;
                    }
                    if is_end {
                        break;
                    }
                    continue;
                };
                let begins = message.get("method").and_then(Value::as_str) == Some("initialize");
                let exchange = line.clone().exchange(message, agreed.clone());
                if begins {
                    // What comes next depends on the version that is agreed on.
                    let answers = exchange.await;
                    agreed = answers.iter().find_map(|answer| version(answer)).or(agreed);
                    write(&mut output, answers).await?;
                } else {
                    asked.spawn(exchange);
                }
                if is_end {
                    break;
                }
            }
        }
    }
    while let Some(answers) = asked.join_next().await {
        write(&mut output, answers.unwrap_or_default()).await?;
    }
    Ok(())
}

async fn write(output: &mut (impl AsyncWrite + Unpin), answers: Vec<String>) -> std::io::Result<()> {
    for answer in answers {
        output.write_all(answer.as_bytes()).await?;
        output.write_all(b"\n").await?;
    }
    output.flush().await
}

/// The version that `initialize` came to.
fn version(answer: &str) -> Option<String> {
    let answer: Value = serde_json::from_str(answer).ok()?;
    answer.pointer("/result/protocolVersion")?.as_str().map(str::to_owned)
}

#[derive(Clone)]
struct Line {
    http: reqwest::Client,
    url: Url,
}

impl Line {
    /// Sends one message; the lines that answer it, none for a notification.
    async fn exchange(self, message: Value, agreed: Option<String>) -> Vec<String> {
        let id = message.get("id").cloned();
        let lost = |why: &str| id.iter().map(|id| fault(id, LOST, why)).collect::<Vec<_>>();
        let body = message.to_string();
        let request = self.http.post(self.url).headers(headers(&message, agreed.as_deref())).body(body);
        let Ok(response) = request.send().await else { return lost("the gate's tools did not answer") };
        let kind = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let is_stream = kind.is_some_and(|kind| kind.starts_with("text/event-stream"));
        let status = response.status();
        let Ok(text) = response.text().await else { return lost("the answer was lost on the way") };
        let lines: Vec<String> = if is_stream {
            text.lines().filter_map(|line| line.strip_prefix("data:")).map(|data| data.trim().to_owned()).collect()
        } else {
            vec![text.replace(['\n', '\r'], " ").trim().to_owned()]
        };
        let lines: Vec<String> = lines.into_iter().filter(|line| !line.is_empty()).collect();
        let speaks = lines.iter().any(|line| line.contains("\"jsonrpc\""));
        if id.is_none() || (status.is_success() && !lines.is_empty()) || speaks {
            return lines;
        }
        lost(&format!("the gate's tools answered {status}"))
    }
}

/// The headers that a client of streamable HTTP would send with this message.
fn headers(message: &Value, agreed: Option<&str>) -> HeaderMap {
    let text = |pointer: &str| message.pointer(pointer).and_then(Value::as_str);
    let own = text("/params/_meta/io.modelcontextprotocol~1protocolVersion");
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    // The era without sessions repeats in headers what its messages say.
    let modern = own.is_some().then_some(());
    let named = [
        ("mcp-protocol-version", own.or(agreed)),
        ("mcp-method", modern.and_then(|()| text("/method"))),
        ("mcp-name", modern.and_then(|()| text("/params/name").or_else(|| text("/params/uri")))),
    ];
    for (name, value) in named {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    headers
}

fn fault(id: &Value, code: i64, message: &str) -> String {
    json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}}).to_string()
}
