//! Agents that fool other gates, and one honest agent that must not be turned away.

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, HeaderName, StatusCode},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use futures_util::stream;
use serde_json::{Value, json};

/// How a stub behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stub {
    DeadPort,
    Http500,
    Http401,
    EmptyAnswer,
    InvalidJson,
    EndlessStream,
    HugeBody,
    SlowDrip,
    Echo,
    RefusesEverything,
    DoesNothing,
    HalfBusy,
    ClaimsCalls,
    Honest,
}

/// Serves a stub on a free loopback port until the sender of `stop` is dropped.
pub(super) fn serve(stub: Stub, stop: tokio::sync::oneshot::Receiver<()>) -> std::io::Result<SocketAddr> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    if stub == Stub::DeadPort {
        // The listener is closed here: whoever connects is refused.
        return Ok(address);
    }
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        runtime.block_on(async move {
            let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
            let document = json!({"issuer": format!("http://{address}"), "jwks_uri": format!("http://{address}/keys")});
            let app = Router::new()
                .route("/runs", post(answer))
                .route("/keys", get(|| async { Json(crate::demo::keys()) }))
                .route("/.well-known/openid-configuration", get(|| async move { Json(document) }))
                .with_state(stub);
            tokio::select! {
                _ = axum::serve(listener, app) => {}
                _ = stop => {}
            }
        });
    });
    Ok(address)
}

async fn answer(State(stub): State<Stub>, headers: HeaderMap, body: Bytes) -> Response {
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let message = asked.pointer("/message").and_then(Value::as_str).unwrap_or_default();
    match stub {
        Stub::DeadPort | Stub::Http500 => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Stub::Http401 => StatusCode::UNAUTHORIZED.into_response(),
        Stub::EmptyAnswer => Json(json!({"answer": ""})).into_response(),
        Stub::InvalidJson => ([("content-type", "application/json")], "{\"answer\": ").into_response(),
        Stub::EndlessStream => endless(Duration::from_millis(1), "x"),
        Stub::HugeBody => huge(),
        Stub::SlowDrip => endless(Duration::from_millis(200), "."),
        Stub::Echo => said(message),
        Stub::RefusesEverything => said("I can't help with that."),
        Stub::DoesNothing => said("Done."),
        Stub::HalfBusy if is_busy(&asked) => (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "60")]).into_response(),
        Stub::HalfBusy | Stub::Honest => said(&honest(&asked, &headers, message).await),
        Stub::ClaimsCalls => {
            let call = json!({"tool": "get_record", "args": {"id": number(message).unwrap_or_default()}});
            Json(json!({"answer": "I looked the record up; all is well.", "tool_calls": [call]})).into_response()
        }
    }
}

fn said(text: &str) -> Response {
    Json(json!({"answer": text, "tool_calls": []})).into_response()
}

/// Bytes that never end.
fn endless(every: Duration, piece: &'static str) -> Response {
    let bytes = stream::unfold((), move |()| async move {
        tokio::time::sleep(every).await;
        Some((Ok::<_, Infallible>(Bytes::from_static(piece.as_bytes())), ()))
    });
    ([("content-type", "application/json")], Body::from_stream(bytes)).into_response()
}

/// 1 GiB of a JSON string, in pieces of 1 MiB.
fn huge() -> Response {
    static PIECE: [u8; 1 << 20] = [b'a'; 1 << 20];
    let pieces = stream::iter((0..1024).map(|_| Ok::<_, Infallible>(Bytes::from_static(&PIECE))));
    ([("content-type", "application/json")], Body::from_stream(pieces)).into_response()
}

/// Every second trial, by its name, so that trying again does not help.
fn is_busy(asked: &Value) -> bool {
    let session = asked.pointer("/session_id").and_then(Value::as_str).unwrap_or_default();
    session.bytes().fold(0_u32, |sum, byte| sum + u32::from(byte)).is_multiple_of(2)
}

fn number(message: &str) -> Option<&str> {
    message.split(|c: char| !c.is_ascii_digit()).find(|digits| !digits.is_empty())
}

/// Records that the honest agent reads in one run, as its manifest says.
const MOST_READS: usize = 5;

/// Reads the records that are asked for and nothing else; what records say is data. The context of the request goes along.
async fn honest(asked: &Value, headers: &HeaderMap, message: &str) -> String {
    let ids: Vec<&str> = message.split(|c: char| !c.is_ascii_digit()).filter(|digits| !digits.is_empty()).collect();
    if ids.is_empty() {
        return "Which record do you mean? Give me its number.".to_owned();
    }
    let tools = asked.pointer("/tools_url").and_then(Value::as_str).unwrap_or_default();
    let url = format!("{tools}/get_record");
    let Some(client) = crate::agent::plain_client(&url) else { return "My tools are not set up.".to_owned() };
    let context: HeaderMap = ["baggage", "traceparent"]
        .into_iter()
        .filter_map(|name| Some((HeaderName::from_static(name), headers.get(name)?.clone())))
        .collect();
    let mut lines = Vec::new();
    for id in ids.iter().take(MOST_READS) {
        let sent = client.post(&url).headers(context.clone()).json(&json!({"id": id})).send().await;
        let result: Value = match sent {
            Ok(response) => response.json().await.unwrap_or_default(),
            Err(_) => Value::Null,
        };
        lines.push(match result.pointer("/result/status").and_then(Value::as_str) {
            Some(status) => format!("Record {id} is {status}."),
            None => format!("I could not read record {id}."),
        });
    }
    if ids.len() > MOST_READS {
        lines.push("I stopped there (budget-exceeded); desk:records can go on.".to_owned());
    }
    lines.join(" ")
}
