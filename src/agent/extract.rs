//! From a reply to an answer: text, claimed tool calls, usage. Pure.
//!
//! Without `endpoint.response.answer` the text of a JSON body is the body itself if that is text, else the first
//! text among `answer`, `output`, `message`, `text` and `content`; of a stream it is the pieces joined, a piece
//! being an event that is text, or its first text among `delta`, `text`, `content`, `answer` and
//! `choices[0].delta.content`.

use serde_json::{Map, Value};

use super::{AdapterError, Answer, TurnError, client::Reply, frames};
use crate::{
    expr::{Expr, ExprError, Scope},
    manifest::endpoint::{BodyFormat, Response},
    record::{Claim, Usage},
    source::Route,
    text::printable_line,
};

const ANSWER_KEYS: [&str; 5] = ["answer", "output", "message", "text", "content"];
const PIECE_KEYS: [&str; 4] = ["delta", "text", "content", "answer"];

/// `endpoint.response`, parsed.
pub(super) struct Extraction {
    format: BodyFormat,
    answer: Option<Expr>,
    delta: Option<Expr>,
    tool_calls: Option<Expr>,
    usage: Option<Expr>,
    error: Option<Expr>,
    scope: Scope<'static>,
}

/// A body as its format says.
enum Content {
    Json(Value),
    Events(Vec<Value>),
    Text(String),
}

/// Parses an optional expression at its place.
pub(super) fn expression(source: Option<&String>, route: &Route) -> Result<Option<Expr>, AdapterError> {
    source.map(|source| Expr::parse(source).map_err(|error| AdapterError::at(route, error.to_string()))).transpose()
}

/// Status, headers and JSON body of a reply as variables.
pub(super) fn bind(scope: &mut Scope<'_>, reply: &Reply, body: &Value) {
    let headers: Map<String, Value> = reply
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), Value::from(String::from_utf8_lossy(value.as_bytes()))))
        .collect();
    scope.set("status", &Value::from(reply.status.as_u16()));
    scope.set("headers", &Value::Object(headers));
    scope.set("body", body);
}

/// The body as JSON if it is JSON, else as text.
pub(super) fn loose_body(reply: &Reply) -> Value {
    let text = frames::text_of(&reply.body);
    serde_json::from_str(&text).unwrap_or_else(|_| Value::String(text.into_owned()))
}

impl Extraction {
    /// Parses the expressions.
    pub(super) fn compile(response: &Response) -> Result<Self, AdapterError> {
        let route = Route::pointer("/endpoint/response");
        Ok(Self {
            format: response.format,
            answer: expression(response.answer.as_ref(), &route.join("answer"))?,
            delta: expression(response.delta.as_ref(), &route.join("delta"))?,
            tool_calls: expression(response.tool_calls.as_ref(), &route.join("tool_calls"))?,
            usage: expression(response.usage.as_ref(), &route.join("usage"))?,
            error: expression(response.error.as_ref(), &route.join("error"))?,
            scope: Scope::new(),
        })
    }

    /// The answer in a reply whose status was accepted.
    pub(super) fn read(&self, reply: &Reply) -> Result<Answer, TurnError> {
        let content = self.content(reply)?;
        let scope = self.scope_of(reply, &content);
        self.reported_error(&scope, reply)?;
        let text = self.text(&scope, reply, &content)?;
        if text.trim().is_empty() {
            return Err(TurnError::Agent(format!("{} gave an empty answer{}", reply.asked, seen(reply))));
        }
        Ok(Answer { text, claimed: self.claims(&scope, &content)?, usage: self.reported_usage(&scope, &content)? })
    }

    fn content(&self, reply: &Reply) -> Result<Content, TurnError> {
        let kind = reply.content_type();
        let expected = match self.format {
            BodyFormat::Json => "JSON",
            BodyFormat::Sse => "server-sent events",
            BodyFormat::Ndjson => "JSON lines",
            BodyFormat::Text => "text",
        };
        let is_stream = kind == "text/event-stream";
        let misfit = match self.format {
            BodyFormat::Json | BodyFormat::Ndjson => kind == "text/html" || is_stream,
            BodyFormat::Sse => kind == "text/html",
            BodyFormat::Text => false,
        };
        if misfit {
            let hint = if is_stream { "; `endpoint.response.format: sse` reads it" } else { "" };
            return Err(TurnError::Setup(format!(
                "{} answered `{kind}` where {expected} is expected{hint}",
                reply.asked
            )));
        }
        if reply.body.trim_ascii().is_empty() {
            return Err(TurnError::Agent(format!("{} answered {} with an empty body", reply.asked, reply.status)));
        }
        let unreadable =
            |what: &str| TurnError::Agent(format!("{} answered what is not {what}: {}", reply.asked, reply.shown()));
        Ok(match self.format {
            BodyFormat::Json => Content::Json(
                serde_json::from_str(&frames::text_of(&reply.body)).map_err(|_syntax| unreadable("JSON"))?,
            ),
            BodyFormat::Sse => match frames::sse_events(&reply.body) {
                events if events.is_empty() => return Err(unreadable(expected)),
                events => Content::Events(events),
            },
            BodyFormat::Ndjson => {
                Content::Events(frames::ndjson_events(&reply.body).map_err(|_line| unreadable(expected))?)
            }
            BodyFormat::Text => Content::Text(frames::text_of(&reply.body).into_owned()),
        })
    }

    /// The variables, bound only when an expression will look at them.
    fn scope_of(&self, reply: &Reply, content: &Content) -> Scope<'_> {
        let mut scope = self.scope.inner();
        if [&self.answer, &self.tool_calls, &self.usage, &self.error].into_iter().all(Option::is_none) {
            return scope;
        }
        match content {
            Content::Json(body) => bind(&mut scope, reply, body),
            Content::Text(text) => bind(&mut scope, reply, &Value::from(text.as_str())),
            Content::Events(events) => {
                bind(&mut scope, reply, &Value::Null);
                scope.set("events", &Value::Array(events.clone()));
            }
        }
        scope
    }

    fn reported_error(&self, scope: &Scope<'_>, reply: &Reply) -> Result<(), TurnError> {
        match evaluated(self.error.as_ref(), scope, "error")? {
            None | Some(Value::Null | Value::Bool(false)) => Ok(()),
            Some(Value::String(text)) if text.is_empty() => Ok(()),
            Some(said) => Err(TurnError::Agent(format!("{}: the agent says: {}", reply.asked, plain(&said)))),
        }
    }

    fn text(&self, scope: &Scope<'_>, reply: &Reply, content: &Content) -> Result<String, TurnError> {
        if let Some(expr) = &self.answer {
            return match expr.eval(scope) {
                Ok(Value::Null) => Err(missing(reply, content, "gives null")),
                Ok(Value::String(text)) => Ok(text),
                Ok(other) => Ok(other.to_string()),
                Err(error) => Err(missing(reply, content, &format!("fails: {error}"))),
            };
        }
        match content {
            Content::Text(text) => Ok(text.clone()),
            Content::Json(body) => default_text(body).ok_or_else(|| missing(reply, content, "is needed")),
            Content::Events(events) => events.iter().map(|event| self.piece(event)).collect::<Result<String, _>>(),
        }
    }

    fn piece(&self, event: &Value) -> Result<String, TurnError> {
        let Some(expr) = &self.delta else {
            return Ok(event.get("data").and_then(default_piece).unwrap_or_default().to_owned());
        };
        let scope = self.scope.inner().with("event", event);
        match evaluated(Some(expr), &scope, "delta")? {
            None | Some(Value::Null) => Ok(String::new()),
            Some(Value::String(text)) => Ok(text),
            Some(other) => Ok(other.to_string()),
        }
    }

    fn claims(&self, scope: &Scope<'_>, content: &Content) -> Result<Vec<Claim>, TurnError> {
        let listed = match (&self.tool_calls, content) {
            (Some(expr), _) => evaluated(Some(expr), scope, "tool_calls")?.unwrap_or_default(),
            (None, Content::Json(body)) => {
                let calls = body.get("tool_calls").and_then(Value::as_array);
                return Ok(calls.and_then(|calls| calls.iter().map(claim).collect()).unwrap_or_default());
            }
            (None, Content::Events(_) | Content::Text(_)) => return Ok(Vec::new()),
        };
        let claims = match &listed {
            Value::Null => Some(Vec::new()),
            Value::Array(calls) => calls.iter().map(claim).collect(),
            _ => None,
        };
        claims.ok_or_else(|| {
            TurnError::Agent(format!(
                "`endpoint.response.tool_calls` gives no list of {{tool, args}}: {}",
                plain(&listed)
            ))
        })
    }

    fn reported_usage(&self, scope: &Scope<'_>, content: &Content) -> Result<Usage, TurnError> {
        Ok(match (&self.usage, content) {
            (Some(expr), _) => evaluated(Some(expr), scope, "usage")?.as_ref().map(usage).unwrap_or_default(),
            (None, Content::Json(body)) => body.get("usage").map(usage).unwrap_or_default(),
            (None, Content::Events(_) | Content::Text(_)) => Usage::default(),
        })
    }
}

/// One claimed call, in our own words or in those of chat completions.
pub(super) fn claim(value: &Value) -> Option<Claim> {
    let call = value.get("function").unwrap_or(value);
    let text = |key: &str| call.get(key).and_then(Value::as_str);
    let tool = text("tool").or_else(|| text("name")).or_else(|| value.as_str())?.to_owned();
    let args = match call.get("args").or_else(|| call.get("arguments")) {
        Some(Value::String(text)) => serde_json::from_str(text).unwrap_or_else(|_| Value::from(text.as_str())),
        Some(args) => args.clone(),
        None => Value::Null,
    };
    Some(Claim { tool, args, blocked: call.get("blocked").and_then(Value::as_bool).unwrap_or(false) })
}

/// Usage in our own words or in those of the large providers; what is missing is zero.
pub(super) fn usage(value: &Value) -> Usage {
    let count = |keys: &[&str]| keys.iter().find_map(|key| whole(value.get(key)?));
    let sides = [["prompt_tokens", "input_tokens"], ["completion_tokens", "output_tokens"]];
    let tokens = count(&["tokens", "total_tokens"])
        .unwrap_or_else(|| sides.iter().filter_map(|keys| count(keys)).fold(0, u64::saturating_add));
    let usd = |key: &str| value.get(key).and_then(Value::as_f64).filter(|usd| usd.is_finite() && *usd >= 0.0);
    Usage {
        tokens,
        steps: count(&["steps"]).unwrap_or(0),
        usd: usd("usd").unwrap_or(0.0),
        tools_usd: usd("tools_usd"),
        review_usd: usd("review_usd"),
        total_usd: usd("total_usd"),
    }
}

fn whole(value: &Value) -> Option<u64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "casts from f64 saturate")]
    value.as_u64().or_else(|| value.as_f64().map(|number| number as u64))
}

/// Evaluates an expression of `endpoint.response`; a key that is not there is no value.
fn evaluated(expr: Option<&Expr>, scope: &Scope<'_>, key: &str) -> Result<Option<Value>, TurnError> {
    match expr.map(|expr| expr.eval(scope)) {
        None | Some(Err(ExprError::Missing(_))) => Ok(None),
        Some(Ok(value)) => Ok(Some(value)),
        Some(Err(error)) => {
            Err(TurnError::Agent(format!("`endpoint.response.{key}` fails: {}", printable_line(&error.to_string()))))
        }
    }
}

fn default_text(body: &Value) -> Option<String> {
    let text = body.as_str().or_else(|| ANSWER_KEYS.iter().find_map(|key| body.get(key)?.as_str()))?;
    Some(text.to_owned())
}

fn default_piece(data: &Value) -> Option<&str> {
    data.as_str()
        .or_else(|| PIECE_KEYS.iter().find_map(|key| data.get(key)?.as_str()))
        .or_else(|| data.pointer("/choices/0/delta/content")?.as_str())
}

/// No text could be read: says what the body has and where to say how to read it.
fn missing(reply: &Reply, content: &Content, why: &str) -> TurnError {
    let has = match content {
        Content::Json(Value::Object(entries)) => {
            let keys: Vec<_> = entries.keys().take(20).map(|key| format!("`{}`", printable_line(key))).collect();
            format!("keys {}", if keys.is_empty() { "none".to_owned() } else { keys.join(", ") })
        }
        Content::Json(_) => "no object".to_owned(),
        Content::Events(events) => format!("{} events", events.len()),
        Content::Text(_) => "text".to_owned(),
    };
    TurnError::Agent(format!(
        "no answer in the reply of {}: `endpoint.response.answer` {}; the body has {has}{}",
        reply.asked,
        printable_line(why),
        seen(reply)
    ))
}

fn seen(reply: &Reply) -> String {
    format!(": {}", reply.shown())
}

fn plain(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    super::client::shown(text.as_bytes())
}
