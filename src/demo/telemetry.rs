//! What the agent tells of its runs: spans and audit events as OTLP lines (`GET /traces`), spans to the receiver that its
//! environment names, counters (`GET /metrics`).
//! Everything that a step was given and gave is on its span. Must not decide anything.

use std::{
    collections::VecDeque,
    fmt::Write as _,
    sync::{LazyLock, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{policy, prices};
use crate::source::{SourceFile, load_text};

/// What is told, as the configuration has it.
static CONFIG: LazyLock<Config> = LazyLock::new(|| {
    let file = SourceFile::new("telemetry.yaml", include_str!("../../fixtures/demo/config/telemetry.yaml"));
    let said = load_text::<Value>(file).expect("the shipped configuration is YAML").value;
    serde_json::from_value(said).expect("the shipped configuration has this form")
});

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    traces_exporter: String,
    trace_content: bool,
    runs_kept: usize,
}

/// Attributes that hold what was said and done.
const CONTENT: [&str; 4] =
    ["gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.tool.call.arguments", "gen_ai.tool.call.result"];
/// The model, as the manifest names it.
pub(super) const MODEL: &str = "demo/refund-rules-2026-11-01";
/// Upper bounds of the buckets of a run's duration, in seconds.
const BUCKETS: [f64; 6] = [0.1, 0.5, 1.0, 2.0, 5.0, 20.0];

/// What a case costs the person who takes it over, until the help desk tells it.
const HANDOFF_MINUTES: f64 = 1.0;

/// How long the receiver of spans may take for one turn.
const PATIENCE: Duration = Duration::from_secs(2);

/// The spans and events of one turn.
#[derive(Clone, Debug)]
pub(super) struct Trace {
    /// Its id, where the caller began one.
    id: Option<String>,
    /// The caller's span.
    parent: Option<String>,
    /// The span of the turn.
    root: Begun,
    /// Leaves out what changes something.
    is_partial: bool,
    spans: Vec<Value>,
    events: Vec<Value>,
}

/// A span that has begun.
#[derive(Clone, Debug)]
pub(super) struct Begun {
    pub(super) id: String,
    at: u128,
}

impl Begun {
    pub(super) fn now() -> Self {
        Self { id: format!("{:016x}", rand::random::<u64>() | 1), at: nanoseconds() }
    }
}

#[expect(clippy::disallowed_methods, reason = "an agent has its own clock")]
fn nanoseconds() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos()
}

/// What a turn tells, as two documents of OTLP.
pub(super) struct Told {
    spans: Value,
    logs: Value,
}

fn attribute(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

fn id(parts: &[&str]) -> String {
    let digest = Sha256::digest(parts.join("\n").as_bytes());
    digest.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl Trace {
    /// Goes on with the trace that the caller began, if it did.
    pub(super) fn following(traceparent: Option<&str>, is_partial: bool) -> Self {
        let part = |position: usize| traceparent?.split('-').nth(position).map(str::to_owned);
        Self {
            id: part(1).filter(|id| id.len() == 32),
            parent: part(2).filter(|id| id.len() == 16),
            root: Begun::now(),
            is_partial,
            spans: Vec::new(),
            events: Vec::new(),
        }
    }

    fn span(&mut self, begun: &Begun, (operation, name): (&str, &str), more: &[(&str, &str)]) {
        let mut attributes = vec![attribute("gen_ai.operation.name", operation)];
        let told = more.iter().filter(|(key, _)| CONFIG.trace_content || !CONTENT.contains(key));
        attributes.extend(told.map(|(key, value)| attribute(key, value)));
        self.spans.push(json!({
            "spanId": begun.id, "parentSpanId": self.root.id, "name": format!("{operation} {name}"), "kind": 1,
            "startTimeUnixNano": begun.at.to_string(), "endTimeUnixNano": nanoseconds().to_string(),
            "attributes": attributes,
        }));
    }

    /// A model step: what it was given, what it proposes, and the tokens that it took.
    pub(super) fn step(&mut self, (given, tokens): (&Value, u64), proposed: &Value) {
        let (given, proposed) = (given.to_string(), proposed.to_string());
        let said = [("gen_ai.input.messages", given.as_str()), ("gen_ai.output.messages", proposed.as_str())];
        self.span(&Begun::now(), ("chat", "refund-rules"), &said);
        let last = self.spans.last_mut().and_then(|span| span.get_mut("attributes")).and_then(Value::as_array_mut);
        if let Some(attributes) = last {
            attributes.push(attribute("gen_ai.request.model", MODEL));
            attributes.push(json!({"key": "gen_ai.usage.input_tokens", "value": {"intValue": tokens.to_string()}}));
            attributes.push(json!({"key": "gen_ai.usage.output_tokens", "value": {"intValue": "0"}}));
        }
    }

    /// A call that the policy let through, by the rule named like its tool, and what came of it.
    pub(super) fn call(&mut self, begun: &Begun, (tool, args): (&str, &Value), result: &Value) {
        if self.is_partial && policy::writes(tool) {
            return;
        }
        let (args, result) = (args.to_string(), result.to_string());
        let digest = format!("sha256:{}", id(&[tool, &args]));
        let documents = (tool == "search_policy").then(|| documents(&result));
        let mut said = vec![
            ("gen_ai.tool.name", tool),
            ("gen_ai.tool.call.arguments", args.as_str()),
            ("gen_ai.tool.call.result", result.as_str()),
            ("policy.decision", "allow"),
            ("policy.rule", tool),
            ("policy.input_digest", digest.as_str()),
        ];
        said.extend(documents.as_deref().map(|documents| ("gen_ai.retrieval.documents", documents)));
        self.span(begun, ("execute_tool", tool), &said);
        self.events.push(json!({
            "spanId": begun.id, "body": {"stringValue": "called"},
            "attributes": [attribute("gen_ai.tool.name", tool), attribute("gen_ai.tool.call.arguments", &args)],
        }));
    }

    /// A proposed call that was not made, and the rule that stopped it.
    pub(super) fn blocked(&mut self, tool: &str, args: &Value, rule: &str) {
        let args = args.to_string();
        let digest = format!("sha256:{}", id(&[tool, &args]));
        let said = [
            ("gen_ai.tool.call.arguments", args.as_str()),
            ("policy.decision", "deny"),
            ("policy.rule", rule),
            ("policy.input_digest", digest.as_str()),
        ];
        self.span(&Begun::now(), ("policy", tool), &said);
    }

    /// The turn as it is told.
    pub(super) fn told(mut self, run_id: &str, said: &str, answer: &str) -> Told {
        let mut trace = id(&["trace", run_id, said]);
        trace.truncate(32);
        let trace = self.id.take().unwrap_or(trace);
        let root = [("gen_ai.input.messages", said), ("gen_ai.output.messages", answer), ("run_id", run_id)];
        let begun = self.root.clone();
        self.span(&begun, ("invoke_agent", "refund-agent"), &root);
        if let Some(Value::Object(root)) = self.spans.last_mut() {
            match self.parent.take() {
                Some(parent) => root.insert("parentSpanId".to_owned(), parent.into()),
                None => root.remove("parentSpanId"),
            };
        }
        for entry in self.spans.iter_mut().chain(&mut self.events).filter_map(Value::as_object_mut) {
            entry.insert("traceId".to_owned(), trace.clone().into());
        }
        let resource = json!({"attributes": [attribute("service.name", "refund-agent")]});
        Told {
            spans: json!({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": self.spans}]}]}),
            logs: json!({"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": self.events}]}]}),
        }
    }
}

/// Articles as documents with their origin.
fn documents(result: &str) -> String {
    let result: Value = serde_json::from_str(result).unwrap_or_default();
    let articles = result.get("articles").and_then(Value::as_array).into_iter().flatten();
    let documents = articles.map(|article| {
        let version = format!("sha256:{}", id(&[&article.to_string()]));
        json!({"id": article.get("id"), "source": "kb:refund-policy", "version": version})
    });
    Value::Array(documents.collect()).to_string()
}

/// What one turn came to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outcome {
    pub(super) seconds: f64,
    pub(super) tokens: u64,
    pub(super) calls: u64,
    pub(super) failed_calls: u64,
    pub(super) blocked_calls: u64,
    pub(super) bill: prices::Bill,
    pub(super) handed_over: bool,
}

#[derive(Debug, Default)]
struct Counts {
    runs: u64,
    handed_over: u64,
    tokens: u64,
    calls: u64,
    failed: u64,
    blocked: u64,
    bill: prices::Bill,
    seconds: f64,
    buckets: [u64; BUCKETS.len()],
}

/// What all runs of this process came to.
#[derive(Debug, Default)]
pub(super) struct Telemetry {
    /// Where spans are sent, if anywhere.
    receiver: Option<String>,
    lines: Mutex<VecDeque<String>>,
    counts: Mutex<Counts>,
}

impl Telemetry {
    /// Sends spans to a receiver of OTLP over HTTP as well, where there is one.
    pub(super) fn to(receiver: Option<&str>) -> Self {
        let receiver = receiver.map(|url| format!("{}/v1/traces", url.trim_end_matches('/')));
        Self { receiver, ..Self::default() }
    }

    /// Sends the spans of a finished turn; one that does not arrive is still served.
    pub(super) async fn export(&self, http: &reqwest::Client, told: &Told) {
        let Some(receiver) = self.receiver.as_deref().filter(|_| CONFIG.traces_exporter != "none") else { return };
        let _ = http.post(receiver).timeout(PATIENCE).json(&told.spans).send().await;
    }

    /// Takes a finished turn.
    pub(super) fn add(&self, told: &Told, outcome: Outcome) {
        let is_off = CONFIG.traces_exporter == "none";
        let text = if is_off { String::new() } else { format!("{}\n{}\n", told.spans, told.logs) };
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() >= CONFIG.runs_kept {
            lines.pop_front();
        }
        lines.push_back(text);
        drop(lines);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.runs += 1;
        counts.handed_over += u64::from(outcome.handed_over);
        counts.tokens += outcome.tokens;
        counts.calls += outcome.calls;
        counts.failed += outcome.failed_calls;
        counts.blocked += outcome.blocked_calls;
        counts.bill.tools_usd += outcome.bill.tools_usd;
        counts.bill.review_minutes += outcome.bill.review_minutes;
        counts.bill.review_minutes += if outcome.handed_over { HANDOFF_MINUTES } else { 0.0 };
        counts.seconds += outcome.seconds;
        for (bucket, bound) in counts.buckets.iter_mut().zip(BUCKETS) {
            *bucket += u64::from(outcome.seconds <= bound);
        }
    }

    /// The newest runs, as OTLP lines.
    pub(super) fn traces(&self) -> String {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).iter().map(String::as_str).collect()
    }

    /// The counters, in the text format of Prometheus.
    pub(super) fn metrics(&self) -> String {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let solved = counts.runs - counts.handed_over;
        let worked = counts.calls - counts.failed;
        let mut text = format!(
            "refund_agent_runs_total{{outcome=\"success\"}} {solved}\n\
             refund_agent_runs_total{{outcome=\"handoff\"}} {}\n\
             refund_agent_success_total {solved}\n\
             refund_agent_tokens_total {}\n\
             refund_agent_model_cost_usd_total {}\n\
             refund_agent_tool_cost_usd_total {}\n\
             refund_agent_review_minutes_total {}\n\
             refund_agent_tool_calls_total{{status=\"ok\"}} {worked}\n\
             refund_agent_tool_calls_total{{status=\"error\"}} {}\n\
             refund_agent_policy_decisions_total{{decision=\"deny\"}} {}\n",
            counts.handed_over,
            counts.tokens,
            prices::usd(counts.tokens),
            counts.bill.tools_usd,
            counts.bill.review_minutes,
            counts.failed,
            counts.blocked,
        );
        for (bucket, bound) in counts.buckets.iter().zip(BUCKETS) {
            let _ = writeln!(text, "refund_agent_run_seconds_bucket{{le=\"{bound}\"}} {bucket}");
        }
        let _ = write!(
            text,
            "refund_agent_run_seconds_bucket{{le=\"+Inf\"}} {0}\nrefund_agent_run_seconds_sum {1}\nrefund_agent_run_seconds_count {0}\n",
            counts.runs, counts.seconds
        );
        text
    }
}
