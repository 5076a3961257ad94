//! What an agent tells of itself by `OpenTelemetry`: spans in, one entry for each call of a tool or a model out, and the
//! comparison with the gate's own ledger. Must not judge, and must do no input or output.

mod dialect;
mod logs;
mod otlp;
mod reading;
mod reconcile;
mod wire;

pub use logs::{Sent, SentLog, logs_of_json, logs_of_protobuf, sent_of_line};
pub use otlp::{OtlpError, SentSpan, spans_of, spans_of_json, spans_of_protobuf};
pub use reading::{is_alike, read};
pub use reconcile::{Reconciled, Way, reconcile, uncovered};

#[cfg(test)]
mod tests;
