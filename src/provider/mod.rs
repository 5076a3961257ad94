//! The wire formats of model providers, from both sides: what a client asks and how it reads the answer, and what a server reads
//! and how it answers. One file for each format. Must not send anything, and knows no trial and no agent.

mod chat;
mod messages;
mod responses;

use serde_json::Value;

/// The formats that are spoken.
pub(crate) use self::{chat::FORMAT as CHAT, messages::FORMAT as MESSAGES, responses::FORMAT as RESPONSES};

/// What an agent asks its model, whatever the wire format.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Asked {
    /// The model's name.
    pub(crate) model: String,
    /// Whether the answer comes in pieces.
    pub(crate) stream: bool,
    /// Whether a stream tells the usage.
    pub(crate) wants_usage: bool,
    /// Names of the tools on offer.
    pub(crate) tools: Vec<String>,
    /// What the user said.
    pub(crate) said: Vec<String>,
    /// What tools answered, parsed where it is JSON.
    pub(crate) results: Vec<Value>,
    /// Size of the request.
    pub(crate) bytes: usize,
}

/// A tool call that the model asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Asking {
    /// The model's id of it.
    pub(crate) id: String,
    /// The tool.
    pub(crate) tool: String,
    /// The arguments; text that is no JSON stays text.
    pub(crate) args: Value,
}

/// The model's answer, as a server gives it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Reply {
    /// What it says.
    pub(crate) text: String,
    /// What it wants done.
    pub(crate) calls: Vec<Asking>,
    /// Tokens that it read.
    pub(crate) tokens_in: u64,
    /// Tokens that it wrote.
    pub(crate) tokens_out: u64,
}

/// One event of a stream.
pub(crate) struct Event {
    /// Its name, where the format has names.
    pub(crate) name: Option<&'static str>,
    /// What it says.
    pub(crate) data: String,
}

impl Event {
    fn data(value: &Value) -> Self {
        Self { name: None, data: value.to_string() }
    }
}

/// What an answer says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// Tokens that the model read.
    pub(crate) tokens_in: Option<u64>,
    /// Tokens that it wrote.
    pub(crate) tokens_out: Option<u64>,
    /// How many tool calls it asks for.
    pub(crate) calls: u32,
    /// Why it ended.
    pub(crate) finish: String,
}

impl Told {
    fn tokens(&mut self, tokens_in: Option<u64>, tokens_out: Option<u64>) {
        self.tokens_in = tokens_in.or(self.tokens_in);
        self.tokens_out = tokens_out.or(self.tokens_out);
    }

    /// Tokens in and out, as far as they are told.
    pub(crate) fn sum(&self) -> Option<u64> {
        let told = [self.tokens_in, self.tokens_out].into_iter().flatten();
        told.fold(None, |sum: Option<u64>, tokens| Some(sum.unwrap_or_default().saturating_add(tokens)))
    }
}

/// Reads what one document says of itself: a whole answer, or one event of a stream.
pub(crate) type Tell = fn(&Value, &mut Told);

/// A conversation with a model, as its client tells it anew with each question.
#[derive(Clone, Debug, Default)]
pub(crate) struct Talk {
    /// The model to ask for.
    pub(crate) model: Option<String>,
    /// What stands above all that is said.
    pub(crate) system: Option<String>,
    /// Whether the answer comes in pieces.
    pub(crate) stream: bool,
    /// What was said, in order.
    pub(crate) said: Vec<Said>,
    /// The tools on offer.
    pub(crate) tools: Vec<Tool>,
}

impl Talk {
    /// A request that says `body`, and what every format says by the same keys: the model, whether it streams, the tools.
    fn request(&self, body: Value, tool: fn(&Tool) -> Value) -> Value {
        let model = self.model.as_deref().map(|model| ("model", Value::from(model)));
        let stream = self.stream.then(|| ("stream", Value::from(true)));
        let tools = (!self.tools.is_empty()).then(|| ("tools", self.tools.iter().map(tool).collect()));
        let rest = [model, stream, tools].into_iter().flatten();
        rest.fold(body, |body, (key, value)| with(body, key, value))
    }
}

/// One thing that was said.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Said {
    /// By the user.
    User(String),
    /// By the model.
    Model(Heard),
    /// By the tools that the model asked for.
    Tools(Vec<Done>),
}

/// A tool on offer.
#[derive(Clone, Debug)]
pub(crate) struct Tool {
    /// Its name.
    pub(crate) name: String,
    /// What it is for.
    pub(crate) about: String,
    /// The schema of its arguments.
    pub(crate) input: Value,
}

/// What a tool call came to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Done {
    /// The model's id of the call.
    pub(crate) id: String,
    /// What the model is told.
    pub(crate) text: String,
    /// Whether the tool failed.
    pub(crate) is_error: bool,
}

/// One answer of a model, as a client reads it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Heard {
    /// What it says.
    pub(crate) text: String,
    /// What it wants done.
    pub(crate) calls: Vec<Asking>,
    /// What its provider did meanwhile, without asking anyone.
    pub(crate) ran: Vec<Asking>,
    /// The same in the words of the format, where those are to be said again as they came.
    pub(crate) raw: Vec<Value>,
    /// Why it ended.
    pub(crate) stop: Stop,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It was over, or tools are to be called.
    #[default]
    Over,
    /// It is longer than the request or the model allows.
    Length,
    /// The model or a filter of its provider refused.
    Refusal,
}

/// A wire format.
#[derive(Debug)]
pub(crate) struct Format {
    /// Its name on record.
    pub(crate) name: &'static str,
    /// What an answer in it is called.
    pub(crate) noun: &'static str,
    /// Who speaks it.
    pub(crate) provider: &'static str,
    /// What stands between a base URL of the provider and its paths, as its clients take it.
    pub(crate) version: &'static str,
    /// Where conversations go.
    pub(crate) path: &'static str,
    /// Headers that each request must have.
    pub(crate) headers: &'static [(&'static str, &'static str)],
    /// Server: reads a request.
    pub(crate) read: fn(&Value) -> Result<Asked, String>,
    /// Server: the word for why an answer ended.
    pub(crate) finish: fn(&Reply) -> &'static str,
    /// Server: an answer in one piece.
    pub(crate) whole: fn(&Asked, &Reply) -> Value,
    /// Server: the same as a stream.
    pub(crate) events: fn(&Asked, &Reply) -> Vec<Event>,
    /// Server: an error.
    pub(crate) refusal: fn(&str) -> Value,
    /// Client: a request.
    pub(crate) ask: fn(&Talk) -> Value,
    /// Client: reads an answer; nothing where it is none.
    pub(crate) hear: fn(&Value) -> Option<Heard>,
    /// Client: puts the events of a stream together; nothing where the answer has no end.
    pub(crate) gather: fn(&[&Value]) -> Option<Heard>,
    /// Client: what an answer says of itself.
    pub(crate) tell: Tell,
}

/// The text of a message, whether it is one text or a list of parts.
fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts = parts.iter().filter_map(|part| part.get("text").or_else(|| part.get("content")));
            texts.map(text_of).collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

/// A tool's answer as a value: JSON where it is JSON.
fn result_of(content: &Value) -> Value {
    let text = text_of(content);
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

/// Arguments as they are written: JSON where they are JSON, none where there is nothing.
fn arguments(text: &str) -> Value {
    if text.trim().is_empty() {
        return Value::Object(serde_json::Map::new());
    }
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}

/// The same as text again.
fn written(args: &Value) -> String {
    args.as_str().map_or_else(|| args.to_string(), str::to_owned)
}

/// The id of a call; one that has none gets one.
fn id_of(id: Option<&str>, place: usize) -> String {
    id.filter(|id| !id.is_empty()).map_or_else(|| format!("call_{place}"), str::to_owned)
}

/// Entries of a list of objects; nothing where there is no list.
fn entries<'v>(body: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> + use<'v> {
    body.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn word<'v>(value: &'v Value, place: &str) -> Option<&'v str> {
    value.pointer(place).and_then(Value::as_str)
}

/// An object with one more entry.
fn with(mut object: Value, key: &str, value: impl Into<Value>) -> Value {
    if let Some(entries) = object.as_object_mut() {
        entries.insert(key.to_owned(), value.into());
    }
    object
}

#[cfg(test)]
mod tests;
