//! From a document to a typed value: shape first (all errors at once), then decoding.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Diagnostic, Diagnostics, Document, Files, Route, SourceFile, parse::parse, shape};

/// A typed value with the document it came from.
#[derive(Debug, Clone)]
pub struct Loaded<T> {
    /// What the file says.
    pub value: T,
    /// Where it says it.
    pub document: Document,
}

/// Reads, parses, checks and decodes one file.
pub fn load<T: DeserializeOwned + JsonSchema>(files: &Files, name: &str) -> Result<Loaded<T>, Diagnostics> {
    let file = files.read(name).map_err(Diagnostic::from)?;
    load_text(file)
}

/// Makes ready what [`load`] of a `T` needs, for a caller that has a thread to spare.
pub fn prepare<T: JsonSchema>() {
    shape::prepare::<T>();
}

/// Parses, checks and decodes a text.
pub fn load_text<T: DeserializeOwned + JsonSchema>(file: SourceFile) -> Result<Loaded<T>, Diagnostics> {
    let document = parse(file)?;
    let value = decode(&document, &document.value())?;
    Ok(Loaded { value, document })
}

/// Parses and decodes a text that belongs to the program: [`load_text`], but that its shape is for a test to hold.
pub fn load_shipped<T: DeserializeOwned>(file: SourceFile) -> Result<Loaded<T>, Diagnostics> {
    let document = parse(file)?;
    let value = serde_json::from_value(document.value()).map_err(|error| Diagnostic::error(error.to_string()))?;
    Ok(Loaded { value, document })
}

/// Checks and decodes `json`, which is or stands for what `document` says; problems get their places in it.
pub fn decode<T: DeserializeOwned + JsonSchema>(document: &Document, json: &Value) -> Result<T, Diagnostics> {
    let problems = shape::check::<T>(document, json);
    if !problems.is_empty() {
        return Err(Diagnostics(problems));
    }
    serde_path_to_error::deserialize(json).map_err(|error| {
        let route = error.path().iter().fold(Route::root(), |route, segment| match segment {
            serde_path_to_error::Segment::Seq { index } => route.join(index),
            serde_path_to_error::Segment::Map { key } => route.join(key),
            serde_path_to_error::Segment::Enum { variant } => route.join(variant),
            serde_path_to_error::Segment::Unknown => route,
        });
        let span = document.span(&route);
        Diagnostic::error(error.into_inner().to_string()).at(document.file(), span).into()
    })
}
