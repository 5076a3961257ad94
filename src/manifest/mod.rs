//! The claims: what the team says about the agent.
//!
//! `raw` holds names, types and defaults; `references` holds what must agree between sections; `evidence` turns
//! the claims into the document that checks read. Judges nothing: whether a claim is good enough is for checks.

mod evidence;
mod references;

pub mod endpoint;
pub mod raw;

pub use evidence::evidence;

use serde_json::Value;

use crate::source::{self, Diagnostic, Diagnostics, Document, Files, Loaded, Location, Route, SourceFile, Spot};
use raw::ManifestFile;

/// A manifest that reads well: every reference between its sections leads somewhere.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// What it says, with defaults.
    pub raw: ManifestFile,
    /// Where it says it.
    pub document: Document,
    /// Its file name, relative to the root.
    pub name: String,
    /// `sha256:…` of its text.
    pub digest: String,
}

impl Manifest {
    /// Where a place stands, with its line out of `shown`, the manifest's text as it may be shown.
    pub fn spot(&self, route: &Route, shown: &SourceFile) -> Spot {
        self.document.spot(route, shown)
    }

    /// File, line and column of a place, or of its nearest parent that is written down.
    pub fn locate(&self, route: &Route) -> Location {
        self.document.locate(route)
    }

    /// Joins a path that stands in the manifest with the manifest's folder.
    pub fn resolve(&self, path: &str) -> String {
        Files::resolve(&self.name, path)
    }
}

/// Makes ready what reading a manifest needs, for a caller that has a thread to spare.
pub fn prepare() {
    source::prepare::<ManifestFile>();
}

/// Reads a manifest; all mistakes of its shape at once, else all mistakes of its references at once.
pub fn load(files: &Files, name: &str) -> Result<Manifest, Diagnostics> {
    load_text(files.read(name).map_err(Diagnostic::from)?)
}

/// [`load`] of a text that was read already.
pub fn load_text(file: SourceFile) -> Result<Manifest, Diagnostics> {
    let Loaded { value, document } = source::load_text::<ManifestFile>(file)?;
    related(value, document)
}

/// Reads `claims` as if they stood in `document`, whose places and text they keep.
pub fn read(document: &Document, claims: &Value) -> Result<Manifest, Diagnostics> {
    related(source::decode(document, claims)?, document.clone())
}

fn related(mut raw: ManifestFile, document: Document) -> Result<Manifest, Diagnostics> {
    let problems = references::check(&raw, &document);
    if !problems.is_empty() {
        return Err(Diagnostics(problems));
    }
    raw.fill();
    let name = document.file().name().to_owned();
    let digest = Files::digest(document.file().text());
    Ok(Manifest { raw, document, name, digest })
}

/// The JSON Schema (draft 2020-12) of a manifest.
pub fn schema() -> Value {
    schemars::schema_for!(ManifestFile).to_value()
}

#[cfg(test)]
mod tests;
