//! What is traced: `facts.tracing`, from settings of the repository and from a sample that `observability.sample` names.
//!
//! `found` are settings of tracing, `off` the first that turns it off, samples runs away or leaves content out (`does`
//! says which), `on` that something turns it on and nothing off, and `content` that a setting keeps prompts and arguments in it. The sample is OTLP as JSON or JSON lines, as a collector's file exporter
//! writes it; `sample` holds `exists`, `spans`, `orphans` (their parent is not among them), whether each of `parts` is in it (`model-calls`, `prompts`,
//! `tool-inputs`, `tool-outputs`, `intermediate-steps`, `final-output`), `retrieval` (`documents`, and how many of them
//! `with_origin`: an id, a source, a version or time), `policy` (`decisions`, and how many `complete`: decision, rule,
//! digest of the input) and `coverage`: tool spans, audit events of tool calls, and pairs of both. Must not judge.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::facts::{Shelf, document, incidents::paths, settings::Setting};

/// Facts of tracing.
pub(super) fn facts(shelf: &Shelf<'_>, manifest: &Value, settings: &[Setting]) -> Value {
    let about: Vec<&Setting> = settings.iter().filter(|setting| setting.topic.starts_with("trace-")).collect();
    let off = about.iter().find(|setting| turns_off(setting)).map(|setting| {
        json!({
            "path": setting.path, "line": setting.line, "key": setting.key, "value": setting.text,
            "does": does(setting.topic),
        })
    });
    let is_on = about.iter().any(|setting| setting.topic == "trace-exporter");
    json!({
        "found": about.iter().map(|setting| setting.json()).collect::<Vec<_>>(),
        "on": is_on && off.is_none(),
        "content": about.iter().any(|setting| setting.topic == "trace-content" && !turns_off(setting)),
        "off": off,
        "sample": sample(shelf, manifest),
    })
}

fn turns_off(setting: &Setting) -> bool {
    leaves_out(setting.topic, &setting.text.to_lowercase(), setting.number)
}

fn leaves_out(topic: &str, text: &str, number: Option<f64>) -> bool {
    let says = |words: &[&str]| words.contains(&text);
    match topic {
        "trace-disabled" => says(&["true", "1", "yes"]),
        // The share of `traceidratio` stands in a setting of its own (`trace-rate`), or behind the name; without one it is all.
        "trace-sampler" => {
            let share =
                text.split_once("traceidratio").map(|(_, rest)| rest.trim_matches(|c: char| !c.is_ascii_digit()));
            text.contains("always_off")
                || share.and_then(|share| share.parse().ok()).is_some_and(|share: f64| share < 1.0)
        }
        "trace-rate" => number.is_some_and(|share| share < 1.0),
        "trace-exporter" => says(&["none"]),
        "trace-content" => says(&["false", "0", "no", "no_content"]),
        _ => false,
    }
}

/// What a setting that turns tracing off does, by what it is about.
fn does(topic: &str) -> &'static str {
    match topic {
        "trace-sampler" | "trace-rate" => "leaves some runs untraced",
        "trace-content" => "leaves the content out of the trace",
        _ => "turns tracing off",
    }
}

/// Records of incidents, and those that name no trace or run: `facts.traced_incidents`.
pub(super) fn incidents(shelf: &Shelf<'_>, manifest: &Value) -> Value {
    let keys = ["trace", "trace_id", "traces", "run", "run_id", "runs"];
    let names_one = |value: &Value| {
        !matches!(value, Value::Null | Value::Bool(_))
            && value.as_str().is_none_or(|text| !text.trim().is_empty())
            && value.as_array().is_none_or(|list| !list.is_empty())
    };
    let (mut count, mut untraced) = (0_usize, Vec::new());
    for path in paths(shelf, manifest) {
        let records = match document::value(shelf, &path) {
            Some(Value::Array(records)) => records,
            Some(one) => vec![one],
            None => vec![Value::Null],
        };
        count += records.len();
        let missing = records.iter().filter(|record| !keys.iter().any(|key| record.get(key).is_some_and(names_one)));
        untraced.extend(missing.map(|record| match record.get("id").and_then(Value::as_str) {
            Some(id) if records.len() > 1 => format!("{id} ({path})"),
            _ => path.clone(),
        }));
    }
    json!({"records": count, "untraced": untraced})
}

/// One span as far as it is asked about.
struct Span {
    id: String,
    parent: String,
    name: String,
    attributes: Map<String, Value>,
    events: Vec<Map<String, Value>>,
}

impl Span {
    fn text(&self, key: &str) -> &str {
        self.attributes.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    fn does(&self, operations: &[&str], kind: &str) -> bool {
        let operation = self.text("gen_ai.operation.name");
        operations.contains(&operation)
            || self.text("openinference.span.kind").eq_ignore_ascii_case(kind)
            || operation.is_empty() && operations.iter().any(|operation| self.name.starts_with(operation))
    }

    fn has(&self, keys: &[&str]) -> bool {
        let all = std::iter::once(&self.attributes).chain(&self.events);
        let mut names = all.flat_map(|map| map.iter()).filter(|(_, value)| !value.is_null());
        names.any(|(name, _)| keys.iter().any(|key| name == key || name.starts_with(&format!("{key}."))))
    }
}

/// The value of an OTLP attribute.
fn plain(value: &Value) -> Value {
    let object = value.as_object().into_iter().flatten().next();
    match object {
        Some((kind, inner)) if kind == "arrayValue" => {
            inner.get("values").and_then(Value::as_array).into_iter().flatten().map(plain).collect()
        }
        Some((_, inner)) => inner.clone(),
        None => Value::Null,
    }
}

fn attributes(holder: &Value) -> Map<String, Value> {
    let list = holder.get("attributes").and_then(Value::as_array).into_iter().flatten();
    list.filter_map(|one| Some((one.get("key")?.as_str()?.to_owned(), plain(one.get("value")?)))).collect()
}

/// Every entry of `resource…` / `scope…` / `kind` in the lines of a sample.
fn entries<'a>(lines: &'a [Value], outer: &str, inner: &str, kind: &str) -> Vec<&'a Value> {
    let list = |value: &'a Value, key: &str| value.get(key).and_then(Value::as_array).into_iter().flatten();
    let resources = lines.iter().flat_map(|line| list(line, outer));
    resources.flat_map(|resource| list(resource, inner)).flat_map(|scope| list(scope, kind)).collect()
}

fn sample(shelf: &Shelf<'_>, manifest: &Value) -> Value {
    let nothing = json!({"exists": false, "spans": 0});
    let Some(path) = manifest.pointer("/observability/sample").and_then(Value::as_str) else { return nothing };
    let Some(file) = shelf.text(path) else { return nothing };
    let lines: Vec<Value> = match serde_json::from_str(file.text()) {
        Ok(whole) => vec![whole],
        Err(_) => file.text().lines().filter_map(|line| serde_json::from_str(line).ok()).collect(),
    };
    describe(&lines)
}

fn describe(lines: &[Value]) -> Value {
    let spans: Vec<Span> = entries(lines, "resourceSpans", "scopeSpans", "spans").into_iter().map(span).collect();
    let logs: Vec<(String, Map<String, Value>)> = entries(lines, "resourceLogs", "scopeLogs", "logRecords")
        .into_iter()
        .map(|record| (identity(record, "spanId"), attributes(record)))
        .collect();
    let tools: Vec<&Span> = spans.iter().filter(|span| span.does(&["execute_tool"], "tool")).collect();
    let ids: BTreeSet<&str> = spans.iter().map(|span| span.id.as_str()).collect();
    let orphans = spans.iter().filter(|span| !span.parent.is_empty() && !ids.contains(span.parent.as_str())).count();
    json!({
        "exists": !spans.is_empty(),
        "spans": spans.len(),
        "orphans": orphans,
        "parts": parts(&spans, &tools, orphans == 0),
        "retrieval": retrieval(&spans),
        "policy": policy(&spans, &logs),
        "coverage": coverage(&tools, &logs),
    })
}

fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// A span's id with that of its trace: ids are unique within a trace only.
fn identity(value: &Value, key: &str) -> String {
    format!("{}/{}", text(value, "traceId"), text(value, key))
}

fn span(value: &Value) -> Span {
    let events = value.get("events").and_then(Value::as_array).into_iter().flatten();
    Span {
        id: identity(value, "spanId"),
        parent: if text(value, "parentSpanId").is_empty() { String::new() } else { identity(value, "parentSpanId") },
        name: text(value, "name"),
        attributes: attributes(value),
        events: events.map(attributes).collect(),
    }
}

fn parts(spans: &[Span], tools: &[&Span], rooted: bool) -> Value {
    let models: Vec<&Span> =
        spans.iter().filter(|span| span.does(&["chat", "generate_content", "text_completion"], "llm")).collect();
    let agents: Vec<&Span> = spans.iter().filter(|span| span.does(&["invoke_agent"], "agent")).collect();
    let all = |list: &[&Span], keys: &[&str]| !list.is_empty() && list.iter().all(|span| span.has(keys));
    json!({
        "model-calls": !models.is_empty(),
        "prompts": all(&models, &["gen_ai.input.messages", "gen_ai.prompt", "llm.input_messages", "input.value"]),
        "tool-inputs": all(tools, &["gen_ai.tool.call.arguments", "tool.parameters", "input.value"]),
        "tool-outputs": all(tools, &["gen_ai.tool.call.result", "output.value"]),
        "intermediate-steps": spans.len() > 1 && rooted && spans.iter().any(|span| !span.parent.is_empty()),
        "final-output": all(&agents, &["gen_ai.output.messages", "output.value"]),
    })
}

/// Documents on spans: a list of objects, as JSON text or as a value, or `retrieval.documents.0.document.id` and the like. A
/// span that retrieves and holds none of these counts as one document without origin.
fn retrieval(spans: &[Span]) -> Value {
    let of = |span: &Span| -> Vec<Value> {
        let listed = span.attributes.get("gen_ai.retrieval.documents");
        let listed = listed.and_then(|value| match value {
            Value::String(text) => serde_json::from_str::<Vec<Value>>(text).ok(),
            Value::Array(items) => Some(items.clone()),
            _ => None,
        });
        let documents = listed.filter(|documents| !documents.is_empty()).unwrap_or_else(|| numbered(span));
        let retrieves = listed_here(span) || span.does(&["retrieval", "search"], "retriever");
        if documents.is_empty() && retrieves { vec![Value::Null] } else { documents }
    };
    let documents: Vec<Value> = spans.iter().flat_map(of).collect();
    let has = |document: &Value, keys: &[&str]| keys.iter().any(|key| document.get(key).is_some_and(|v| !v.is_null()));
    let complete = |document: &&Value| {
        has(document, &["id", "document_id"])
            && has(document, &["source", "uri", "url", "collection"])
            && has(document, &["version", "updated", "updated_at", "time", "date", "digest"])
    };
    json!({"documents": documents.len(), "with_origin": documents.iter().filter(complete).count()})
}

fn listed_here(span: &Span) -> bool {
    span.attributes.contains_key("gen_ai.retrieval.documents")
}

/// Documents whose fields are attributes: `retrieval.documents.<n>.document.<field>`, with the fields of `metadata` beside.
fn numbered(span: &Span) -> Vec<Value> {
    let mut documents = BTreeMap::<&str, Map<String, Value>>::new();
    for (key, value) in &span.attributes {
        let place = key.strip_prefix("retrieval.documents.").and_then(|rest| rest.split_once(".document."));
        let Some((number, field)) = place else { continue };
        let document = documents.entry(number).or_default();
        let inner = value.as_str().filter(|_| field == "metadata").and_then(|text| serde_json::from_str(text).ok());
        document.extend(inner.unwrap_or_else(|| Map::from_iter([(field.replace("metadata.", ""), value.clone())])));
    }
    documents.into_values().map(Value::Object).collect()
}

fn policy(spans: &[Span], logs: &[(String, Map<String, Value>)]) -> Value {
    let holders = spans.iter().flat_map(|span| std::iter::once(&span.attributes).chain(&span.events));
    let holders = holders.chain(logs.iter().map(|(_, attributes)| attributes));
    let ends =
        |map: &Map<String, Value>, word: &str| map.keys().any(|key| key.contains("policy") && key.ends_with(word));
    let decisions: Vec<&Map<String, Value>> = holders.filter(|map| ends(map, "decision")).collect();
    let complete = decisions.iter().filter(|map| ends(map, "rule") && ends(map, "digest")).count();
    json!({"decisions": decisions.len(), "complete": complete})
}

fn coverage(tools: &[&Span], logs: &[(String, Map<String, Value>)]) -> Value {
    let mut events = BTreeMap::<&str, usize>::new();
    for (span, attributes) in logs {
        if attributes.contains_key("gen_ai.tool.name") {
            *events.entry(span).or_default() += 1;
        }
    }
    let ids: BTreeSet<&str> = tools.iter().map(|span| span.id.as_str()).collect();
    let matched = ids.iter().filter(|id| events.get(**id) == Some(&1)).count();
    json!({"spans": tools.len(), "events": events.values().sum::<usize>(), "matched": matched})
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::describe;

    fn attribute(key: &str, value: &str) -> Value {
        json!({"key": key, "value": {"stringValue": value}})
    }

    fn span(id: &str, parent: &str, operation: &str, more: &[(&str, &str)]) -> Value {
        let mut attributes = vec![attribute("gen_ai.operation.name", operation)];
        attributes.extend(more.iter().map(|(key, value)| attribute(key, value)));
        json!({"spanId": id, "parentSpanId": parent, "name": operation, "attributes": attributes})
    }

    fn run(tool: &[(&str, &str)], event_for: &str) -> Value {
        let spans = json!([
            span("1", "", "invoke_agent", &[("gen_ai.output.messages", "[]")]),
            span("2", "1", "chat", &[("gen_ai.input.messages", "[]")]),
            span("3", "1", "execute_tool", tool),
        ]);
        let log = json!({"spanId": event_for, "attributes": [attribute("gen_ai.tool.name", "pay")]});
        describe(&[
            json!({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}),
            json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [log]}]}]}),
        ])
    }

    #[test]
    fn a_sample_shows_each_part_or_lacks_it() {
        let whole = run(&[("gen_ai.tool.call.arguments", "{}"), ("gen_ai.tool.call.result", "{}")], "3");
        assert!(whole["parts"].as_object().is_some_and(|parts| parts.values().all(|part| *part == true)), "{whole}");
        assert_eq!(whole["coverage"], json!({"spans": 1, "events": 1, "matched": 1}));
        let bare = run(&[("gen_ai.tool.call.arguments", "{}")], "2");
        assert_eq!(bare["parts"]["tool-outputs"], false);
        assert_eq!(bare["coverage"]["matched"], 0);
        assert_eq!(describe(&[])["exists"], false);
    }

    #[test]
    fn a_span_that_retrieves_without_ids_counts_as_a_document_without_origin() {
        let found = |spans: &[Value]| {
            describe(&[json!({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]})])["retrieval"].clone()
        };
        let whole = "[{\"id\": \"KB-1\", \"source\": \"kb\", \"version\": 3}]";
        let told = span("1", "", "retrieval", &[("gen_ai.retrieval.documents", whole)]);
        let text = span("2", "", "retrieval", &[("output.value", "Refunds take three days.")]);
        let loose = span("3", "", "execute_tool", &[("gen_ai.retrieval.documents", "Refunds take three days.")]);
        assert_eq!(found(&[told, text, loose]), json!({"documents": 3, "with_origin": 1}));
        let numbered = span(
            "4",
            "",
            "",
            &[
                ("openinference.span.kind", "RETRIEVER"),
                ("retrieval.documents.0.document.id", "KB-1"),
                ("retrieval.documents.0.document.metadata", "{\"source\": \"kb\", \"version\": 3}"),
                ("retrieval.documents.1.document.content", "no id"),
            ],
        );
        assert_eq!(found(&[numbered]), json!({"documents": 2, "with_origin": 1}));
    }

    #[test]
    fn only_a_share_below_one_leaves_runs_out() {
        for (topic, text, expected) in [
            ("trace-sampler", "parentbased_traceidratio", false),
            ("trace-sampler", "traceidratio/0.1", true),
            ("trace-sampler", "always_off", true),
            ("trace-rate", "0.1", true),
            ("trace-rate", "1.0", false),
            ("trace-content", "false", true),
        ] {
            assert_eq!(super::leaves_out(topic, text, text.parse().ok()), expected, "{topic} {text}");
        }
    }

    #[test]
    fn documents_and_decisions_are_complete_or_not() {
        let documents = "[{\"id\": \"KB-1\", \"source\": \"kb\", \"version\": 3}, {\"text\": \"no id\"}]";
        let found = run(&[("gen_ai.retrieval.documents", documents), ("acme.policy.decision", "deny")], "3");
        assert_eq!(found["retrieval"], json!({"documents": 2, "with_origin": 1}));
        assert_eq!(found["policy"], json!({"decisions": 1, "complete": 0}));
        let decided = [("policy.decision", "allow"), ("policy.rule", "refund"), ("policy.input_digest", "sha256:1")];
        assert_eq!(run(&decided, "3")["policy"], json!({"decisions": 1, "complete": 1}));
    }
}
