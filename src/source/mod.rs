//! The only reader of input files: text to positioned tree to typed value.
//!
//! Everything people write (manifest, scenario, world, check, profile) takes this one path, so each of them
//! gets file, line and column, all errors of a file at once, did-you-mean and the same limits. A place inside a
//! document is named by its route (a JSON Pointer) and resolved to a line here, once.
//! What is written for people to go on with takes the way back, and reads again as the same value.
//! Must not know what any file means.

mod compose;
mod decode;
mod diagnostic;
mod excerpt;
mod files;
mod packed;
mod parse;
mod shape;
mod tables;
mod tree;
mod write;

pub use decode::{Loaded, decode, load, load_shipped, load_text, prepare};
pub use diagnostic::{Diagnostic, Diagnostics, Location, Severity, render};
pub use excerpt::{Excerpt, Spot};
pub use files::{Files, FilesError, MAX_INPUT_BYTES, glob_matches, repository_root};
pub use packed::unpacked;
pub use parse::{Format, SourceFile};
pub use tables::{toml, toml_entries, toml_header};
pub use tree::{Document, Route};
pub use write::yaml;

#[cfg(test)]
mod tests;
