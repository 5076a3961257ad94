//! Presets: how well-known servers are spoken to, as data. One file in `presets/` is the part of an `http` endpoint that
//! such servers have in common; what the manifest says of its own outweighs it.

use std::{collections::BTreeMap, sync::LazyLock};

use include_dir::{Dir, include_dir};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::AdapterError;
use crate::{
    manifest::endpoint::{BodyFormat, Endpoint, Poll, Protocol, Request, Response, Step},
    source::{Route, SourceFile, load_text},
    text::closest,
};

static FOLDER: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/src/agent/presets");

/// The endpoint of one kind of server.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// The name in `endpoint.preset`: that of the file.
    #[serde(skip)]
    pub name: String,
    /// One line about it.
    pub about: String,
    /// What `endpoint.values` must or may hold.
    #[serde(default)]
    values: BTreeMap<String, Wanted>,
    #[serde(default)]
    setup: Vec<Step>,
    request: Request,
    #[serde(default)]
    poll: Option<Poll>,
    #[serde(default)]
    response: Response,
    #[serde(default)]
    teardown: Vec<Step>,
}

/// A value that differs from server to server.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Wanted {
    about: String,
    #[serde(default)]
    default: Option<String>,
}

/// All presets, by name.
pub static PRESETS: LazyLock<Vec<Preset>> = LazyLock::new(|| {
    let mut presets: Vec<Preset> = FOLDER
        .files()
        .map(|file| {
            let path = file.path().display().to_string();
            let text = file.contents_utf8().expect("a preset is text");
            let read = load_text::<Preset>(SourceFile::new(&path, text)).expect("a preset has its form");
            Preset { name: path.trim_end_matches(".yaml").to_owned(), ..read.value }
        })
        .collect();
    presets.sort_by(|a, b| a.name.cmp(&b.name));
    presets
});

/// The endpoint with what its preset says where the manifest says nothing.
pub(super) fn applied(endpoint: &Endpoint) -> Result<Endpoint, AdapterError> {
    let Some(name) = &endpoint.preset else { return Ok(endpoint.clone()) };
    let route = Route::pointer("/endpoint/preset");
    if endpoint.protocol != Protocol::Http {
        return Err(AdapterError::at(&route, "a preset goes with protocol `http`".to_owned()));
    }
    let Some(preset) = PRESETS.iter().find(|preset| preset.name == *name) else {
        let known: Vec<&str> = PRESETS.iter().map(|preset| preset.name.as_str()).collect();
        let meant = closest(name, known.iter().copied());
        let hint = meant
            .map_or_else(|| format!("; known: {}", known.join(", ")), |meant| format!("; did you mean `{meant}`?"));
        return Err(AdapterError::at(&route, format!("there is no preset `{name}`{hint}")));
    };
    Ok(Endpoint { values: preset.filled(&endpoint.values)?, ..preset.under(endpoint) })
}

impl Preset {
    /// The values with the defaults; a missing or unknown one is an error.
    fn filled(&self, given: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, AdapterError> {
        let route = Route::pointer("/endpoint/values");
        if let Some(unknown) = given.keys().find(|key| !self.values.contains_key(*key)) {
            let known: Vec<_> = self.values.keys().map(|key| format!("`{key}`")).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(AdapterError::at(
                &route.join(unknown),
                format!("preset `{}` has no value `{unknown}`; it has {known}", self.name),
            ));
        }
        let value = |(key, wanted): (&String, &Wanted)| match given.get(key).or(wanted.default.as_ref()) {
            Some(value) => Ok((key.clone(), value.clone())),
            None => Err(AdapterError::at(
                &Route::pointer("/endpoint/preset"),
                format!("preset `{}` needs `endpoint.values.{key}`: {}", self.name, wanted.about),
            )),
        };
        self.values.iter().map(value).collect()
    }

    fn under(&self, endpoint: &Endpoint) -> Endpoint {
        let or = |own: &[Step], preset: &[Step]| if own.is_empty() { preset.to_vec() } else { own.to_vec() };
        Endpoint {
            setup: or(&endpoint.setup, &self.setup),
            request: request(&endpoint.request, &self.request),
            poll: endpoint.poll.clone().or_else(|| self.poll.clone()),
            response: response(&endpoint.response, &self.response),
            teardown: or(&endpoint.teardown, &self.teardown),
            ..endpoint.clone()
        }
    }
}

fn request(own: &Request, preset: &Request) -> Request {
    let plain = Request::default();
    let union = |own: &BTreeMap<String, String>, preset: &BTreeMap<String, String>| {
        preset.iter().chain(own).map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    Request {
        method: if own.method == plain.method { preset.method.clone() } else { own.method.clone() },
        url: own.url.clone().or_else(|| preset.url.clone()),
        headers: union(&own.headers, &preset.headers),
        query: union(&own.query, &preset.query),
        body: if own.body == plain.body { preset.body.clone() } else { body(&own.body, &preset.body) },
    }
}

/// Keys of the manifest's body beside those of the preset: servers take fields of their own.
fn body(own: &Value, preset: &Value) -> Value {
    let (Value::Object(own), Value::Object(preset)) = (own, preset) else { return own.clone() };
    preset.iter().chain(own).map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn response(own: &Response, preset: &Response) -> Response {
    let or = |own: &Option<String>, preset: &Option<String>| own.clone().or_else(|| preset.clone());
    Response {
        format: if own.format == BodyFormat::default() { preset.format } else { own.format },
        answer: or(&own.answer, &preset.answer),
        delta: or(&own.delta, &preset.delta),
        tool_calls: or(&own.tool_calls, &preset.tool_calls),
        usage: or(&own.usage, &preset.usage),
        error: or(&own.error, &preset.error),
        max_bytes: own.max_bytes,
    }
}
