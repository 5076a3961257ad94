//! The append-only record of a run: `.agentready/runs/<run-id>/`.
//!
//! `run.json` holds the inputs (with their text, so that a record can be judged again anywhere), `trials.ndjson` one
//! line per finished trial, each with the hash of the line before, `verdict.json` how the run ended. A line is on
//! disk before the next trial of its slot starts. Secrets and values of data classes are replaced before anything is
//! written; a trial with such a value carries the ruling that was given on what was seen.
//!
//! | change | readable by an older version |
//! |---|---|
//! | a new key | yes |
//! | another meaning of a key, another hash | no: `record` goes up |

mod class;
mod cost;
mod drill;
mod header;
mod ledger;
mod model;
mod price;
mod prompt;
mod reader;
mod redact;
mod span;
mod trial;
mod writer;

pub use class::Class;
pub use cost::{Cost, Told, told};
pub use drill::{Probe, Wants};
pub use header::{Ending, Input, RunHeader, VERSION};
pub use ledger::{Call, CallStatus, Carried, Forwarded, Grant, Passage, Review};
pub use model::{ModelCall, unanswered};
pub use price::{Price, Prices};
pub use prompt::{Parts, Prompts, Said};
pub use reader::{ReadError, read_ending, read_header, trials};
pub use redact::{REDACTED, Redactor};
pub use span::{LogRecord, SpanKind, SpanRecord, Telemetry};
pub use trial::{Claim, DROPPED, End, Looked, RuledMiss, Ruling, Shown, TrialRecord, TurnRecord, Usage};
pub use writer::{WriteError, Writer};

#[cfg(test)]
mod tests;
