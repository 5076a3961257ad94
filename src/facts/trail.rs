//! A sample of the audit log: what one line of it holds, and what is missing.
//!
//! The sample is a file of JSON lines as `audit.log` prints them, at `audit.sample` (`evidence/audit-sample.jsonl` when
//! left out). Each line is one record. A record names its `event`, or is known by what it holds:
//!
//! | event | holds |
//! |---|---|
//! | `run` | `run_id`, `at`, `trigger`, `initiator`, `input`, `model`, `prompt`, `tools`, `policy` (versions as in the lock), or `lock` |
//! | `call` | `run_id`, `at`, `tool`, `args`, `response`, `status` (`ok` or `success`, `200` to `299`, else an error), `latency_ms`, `error`, and `carried` (what went along to the system); of a write `side_effect_id`, `actor`, `trace_id` |
//! | `approval` | `run_id`, `at`, `tool`, `approver`, `decision`, `args` or `args_digest`, `expires_at` |
//! | `end` | `run_id`, `at`, `output` |
//!
//! Where names differ, `audit.fields` gives the JSON Pointer of a field. With `prev`, the digest of
//! the line before of the same run, the records form a chain; a version may be a list.
//!
//! `facts.audit` counts: `records`, `runs` (ids), `run_records`, `calls`, `failed`, `writes`, `approvals`, `ends`;
//! `unended` (runs without a record of their end), `self_approved` (by the agent, or by who set the run off); `lacks` says for each field how many records that should
//! hold it don't: a digest or a mask is no input, output, argument or response. Must not judge.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{Claims, Shelf, chain, is_write, may_run};

/// Where the sample is when the manifest does not say.
const SAMPLE: &str = "evidence/audit-sample.jsonl";

/// Most lines that are looked at.
const MOST_LINES: usize = 5000;

/// Facts of the sample.
pub(super) fn facts(shelf: &Shelf<'_>, claims: &Claims<'_>, locked: &BTreeSet<String>) -> Value {
    let path = claims.manifest.pointer("/audit/sample").and_then(Value::as_str).unwrap_or(SAMPLE);
    let file = shelf.text(path);
    let text = file.as_ref().map_or("", |file| file.text());
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).take(MOST_LINES).collect();
    let read: Result<Vec<Value>, usize> =
        lines.iter().enumerate().map(|(at, line)| serde_json::from_str(line).or(Err(at + 1))).collect();
    let (records, error) = match read {
        Ok(records) if records.iter().all(Value::is_object) => (records, None),
        Ok(_) => (Vec::new(), Some("a line is no JSON object".to_owned())),
        Err(line) => (Vec::new(), Some(format!("line {line} is no JSON"))),
    };
    let mut trail = Trail::new(claims);
    trail.count(&records);
    let runs: Vec<Option<String>> = records.iter().map(|record| trail.field(record, "run_id").map(plain)).collect();
    let joined = chain::links(&lines, &records, &runs);
    let of = |wanted: Event| {
        let kept = records.iter().zip(&runs).filter(|(record, _)| trail.event(record) == wanted);
        kept.map(|(_, run)| run.as_deref()).collect::<BTreeSet<_>>()
    };
    let unended = of(Event::Run).difference(&of(Event::End)).count();
    let mut entry = trail.told(locked);
    entry.insert("unended".to_owned(), unended.into());
    entry.insert("at".to_owned(), "/audit".into());
    entry.insert("path".to_owned(), path.into());
    entry.insert("exists".to_owned(), file.is_some().into());
    entry.extend(error.map(|error| ("error".to_owned(), error.into())));
    entry.insert("chain".to_owned(), joined);
    Value::Object(entry)
}

/// A tool of the manifest, as far as its records go.
struct Written<'a> {
    at: &'a str,
    side_effect_id: Option<&'a str>,
    calls: usize,
    found: usize,
    logged: usize,
}

struct Trail<'a> {
    fields: Option<&'a Map<String, Value>>,
    subject: &'a str,
    writes: BTreeMap<&'a str, Written<'a>>,
    counts: BTreeMap<&'static str, usize>,
    lacks: BTreeMap<&'static str, usize>,
    runs: BTreeSet<String>,
    stamps: BTreeMap<&'static str, BTreeSet<String>>,
    /// Who set each run off.
    initiators: BTreeMap<String, String>,
}

const COUNTS: [&str; 9] =
    ["records", "run_records", "calls", "failed", "writes", "approvals", "ends", "other_actor", "self_approved"];

/// The four versions of a run.
const STAMPS: [&str; 4] = ["model", "prompt", "tools", "policy"];

/// Fields by the records that must hold them.
const OF_ALL: [&str; 1] = ["run_id"];
const OF_RUNS: [&str; 3] = ["trigger", "initiator", "input"];
const OF_CALLS: [&str; 3] = ["tool", "args", "status"];
const OF_WRITES: [&str; 2] = ["trace_id", "actor"];

impl<'a> Trail<'a> {
    fn new(claims: &Claims<'a>) -> Self {
        let manifest = claims.manifest;
        let writes = claims.tools.iter().filter(|tool| is_write(tool) && may_run(tool));
        let text = |tool: &'a Value, key: &str| tool.get(key).and_then(Value::as_str);
        let writes = writes.filter_map(|tool| {
            let side_effect_id = text(tool, "side_effect_id");
            Some((
                text(tool, "name")?,
                Written { at: text(tool, "at")?, side_effect_id, calls: 0, found: 0, logged: 0 },
            ))
        });
        Self {
            fields: manifest.pointer("/audit/fields").and_then(Value::as_object),
            subject: manifest.pointer("/identity/subject").and_then(Value::as_str).unwrap_or_default(),
            writes: writes.collect(),
            counts: COUNTS.map(|name| (name, 0)).into(),
            lacks: BTreeMap::new(),
            runs: BTreeSet::new(),
            stamps: BTreeMap::new(),
            initiators: BTreeMap::new(),
        }
    }

    fn field<'r>(&self, record: &'r Value, name: &str) -> Option<&'r Value> {
        let own = self.fields.and_then(|fields| fields.get(name)?.as_str());
        let found = own.map_or_else(|| record.get(name), |pointer| record.pointer(pointer));
        found.filter(|value| !value.is_null() && value.as_str() != Some(""))
    }

    /// A field that has to tell its content: neither a digest nor a mask does.
    fn told_field(&self, record: &Value, name: &str) -> bool {
        self.field(record, name).is_some_and(|value| !value.as_str().is_some_and(tells_nothing))
    }

    fn time(&self, record: &Value, name: &str) -> Option<Timestamp> {
        self.field(record, name)?.as_str()?.parse().ok()
    }

    fn add(&mut self, name: &'static str) {
        *self.counts.entry(name).or_default() += 1;
    }

    fn expect(&mut self, name: &'static str, holds: bool) {
        *self.lacks.entry(name).or_default() += usize::from(!holds);
    }

    fn expect_fields(&mut self, record: &Value, names: &[&'static str]) {
        for name in names {
            let holds = match *name {
                "input" | "output" | "args" | "response" => self.told_field(record, name),
                _ => self.field(record, name).is_some(),
            };
            self.expect(name, holds);
        }
    }

    fn count(&mut self, records: &[Value]) {
        for record in records {
            self.add("records");
            self.expect_fields(record, &OF_ALL);
            let timed = self.time(record, "at").is_some();
            self.runs.extend(self.field(record, "run_id").map(plain));
            match self.event(record) {
                Event::Run => self.run(record),
                Event::Call => {
                    self.expect("at", timed);
                    self.call(record);
                }
                Event::Approval => self.approval(record, timed),
                Event::End => {
                    self.add("ends");
                    self.expect_fields(record, &["output"]);
                }
                Event::Other => {}
            }
        }
    }

    fn event(&self, record: &Value) -> Event {
        let has = |name| self.field(record, name).is_some();
        match self.field(record, "event").and_then(Value::as_str) {
            Some("run") => Event::Run,
            Some("call") => Event::Call,
            Some("approval") => Event::Approval,
            Some("end") => Event::End,
            None if has("approver") || has("decision") || has("approved") => Event::Approval,
            None if has("tool") => Event::Call,
            None if has("trigger") || has("initiator") || has("input") => Event::Run,
            None if has("output") => Event::End,
            Some(_) | None => Event::Other,
        }
    }

    fn run(&mut self, record: &Value) {
        self.add("run_records");
        let names = (self.field(record, "run_id").map(plain), self.field(record, "initiator").map(plain));
        if let (Some(run), Some(initiator)) = names {
            self.initiators.insert(run, initiator);
        }
        self.expect_fields(record, &OF_RUNS);
        let lock = self.field(record, "lock").map(plain);
        for stamp in STAMPS {
            let values = match self.field(record, stamp) {
                Some(Value::Array(items)) => items.iter().map(plain).collect(),
                Some(one) => vec![plain(one)],
                None => lock.clone().into_iter().collect::<Vec<_>>(),
            };
            self.expect(stamp, !values.is_empty());
            self.stamps.entry(stamp).or_default().extend(values);
        }
    }

    fn call(&mut self, record: &Value) {
        self.add("calls");
        self.expect_fields(record, &OF_CALLS);
        let status = self.field(record, "status").map(plain).unwrap_or_default().to_lowercase();
        let succeeded = ["ok", "success", "succeeded", "completed"].contains(&status.as_str())
            || status.parse().is_ok_and(|code: u16| (200..300).contains(&code));
        let latency = self.field(record, "latency_ms").is_some_and(Value::is_number);
        self.expect("latency_ms", latency);
        let id = self.field(record, "run_id").map(plain).unwrap_or_default();
        let carried = self.field(record, "carried").is_some_and(|carried| carried.to_string().contains(&id));
        self.expect("carried", carried && !id.is_empty());
        if succeeded {
            self.expect_fields(record, &["response"]);
            self.wrote(record);
        } else {
            self.add("failed");
            self.expect_fields(record, &["error"]);
        }
    }

    /// A call that succeeded; of a write, the id of what it made or changed.
    fn wrote(&mut self, record: &Value) {
        let name = self.field(record, "tool").map(plain).unwrap_or_default();
        let response = self.field(record, "response").cloned().unwrap_or_default();
        let logged = self.field(record, "side_effect_id").cloned();
        let Some(tool) = self.writes.get_mut(name.as_str()) else { return };
        tool.calls += 1;
        let id = tool.side_effect_id.and_then(|pointer| response.pointer(pointer)).filter(|id| !id.is_null());
        let is_logged = id.is_some_and(|id| logged.as_ref().map(plain) == Some(plain(id)));
        tool.found += usize::from(id.is_some());
        tool.logged += usize::from(is_logged);
        self.add("writes");
        self.expect_fields(record, &OF_WRITES);
        self.expect("side_effect_id", is_logged);
        let actor = self.field(record, "actor").map(plain);
        if actor.is_some_and(|actor| actor != self.subject) {
            self.add("other_actor");
        }
    }

    /// A decision of a person; what nobody decided is none, and what was denied has nothing that could expire.
    fn approval(&mut self, record: &Value, timed: bool) {
        let decision = self.field(record, "decision").map(plain).unwrap_or_default().to_lowercase();
        if ["requested", "pending", "expired"].contains(&decision.as_str()) {
            return;
        }
        self.add("approvals");
        self.expect("approved_at", timed);
        self.expect_fields(record, &["approver", "decision"]);
        let digest = self.field(record, "args_digest").is_some();
        let payload = digest || self.field(record, "args").is_some();
        self.expect("payload", payload);
        if !["den", "reject", "refuse", "declin", "revok", "withdr"].iter().any(|start| decision.starts_with(start)) {
            let expires = self.time(record, "expires_at").is_some();
            self.expect("expires_at", expires);
        }
        let approver = self.field(record, "approver").map(plain);
        let run = self.field(record, "run_id").map(plain);
        let initiator = run.and_then(|run| self.initiators.get(&run));
        if approver.is_some_and(|approver| approver == self.subject || Some(&approver) == initiator) {
            self.add("self_approved");
        }
    }

    fn told(self, locked: &BTreeSet<String>) -> Map<String, Value> {
        let mut out = Map::new();
        out.extend(self.counts.iter().map(|(name, count)| ((*name).to_owned(), json!(count))));
        out.insert("lacks".to_owned(), json!(self.lacks));
        out.insert("runs".to_owned(), json!(self.runs));
        let locked =
            |values: &BTreeSet<String>| !values.is_empty() && values.iter().all(|value| locked.contains(value));
        let stamps: Map<String, Value> = STAMPS
            .iter()
            .map(|stamp| ((*stamp).to_owned(), self.stamps.get(stamp).is_some_and(locked).into()))
            .collect();
        out.insert("in_lock".to_owned(), Value::Object(stamps));
        let effects = self.writes.iter().map(|(name, tool)| {
            json!({"name": name, "at": tool.at, "side_effect_id": tool.side_effect_id, "calls": tool.calls,
                "found": tool.found, "logged": tool.logged})
        });
        out.insert("effects".to_owned(), effects.collect());
        out
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Event {
    Run,
    Call,
    Approval,
    End,
    Other,
}

/// Whether a text is but a digest, or the mask of what was taken out.
fn tells_nothing(text: &str) -> bool {
    let bare = text.trim();
    let hex = bare.rsplit_once([':', '-']).filter(|(kind, _)| kind.to_lowercase().starts_with("sha") || *kind == "md5");
    let hex = hex.map_or(bare, |(_, hex)| hex);
    let mask = bare.trim_matches(|c: char| "[](){}<>* ".contains(c)).to_lowercase();
    (32..=128).contains(&hex.len()) && hex.bytes().all(|b| b.is_ascii_hexdigit())
        || ["", "redacted", "removed", "masked", "hidden", "omitted"].contains(&mask.as_str())
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use serde_json::{Value, json};

    use super::{
        super::{Claims, Shelf},
        facts,
    };
    use crate::source::Files;

    fn seen(lines: &[Value], audit: &Value) -> Value {
        let mut text = String::new();
        for line in lines {
            text.push_str(&line.to_string());
            text.push('\n');
        }
        seen_text(&text, audit)
    }

    fn seen_text(text: &str, audit: &Value) -> Value {
        let texts: BTreeMap<String, Arc<str>> = [("log.jsonl".to_owned(), Arc::from(text))].into();
        let mut audit = audit.clone();
        audit["sample"] = json!("log.jsonl");
        let manifest = json!({"audit": audit, "identity": {"subject": "svc"}});
        let tools = json!([{"name": "refund", "at": "/tools/refund", "is_write": true, "side_effect_id": "/id",
            "allow": {"mode": "auto"}}]);
        let locked = ["m-1".to_owned(), "p-1".to_owned()].into();
        facts(
            &Shelf::new(&Files::texts(texts), "agentready.yaml"),
            &Claims::new(&manifest, &json!({ "tools": tools })),
            &locked,
        )
    }

    fn call(more: &Value) -> Value {
        let mut call = json!({"event": "call", "run_id": "r1", "at": "2026-11-01T08:00:00Z", "tool": "refund", "args": {},
            "status": "ok", "latency_ms": 3, "response": {"id": "re_1"}, "side_effect_id": "re_1", "actor": "svc",
            "trace_id": "t", "carried": "run_id=r1"});
        if let (Some(call), Some(more)) = (call.as_object_mut(), more.as_object()) {
            call.extend(more.clone());
            call.retain(|_, value| !value.is_null());
        }
        call
    }

    #[test]
    fn a_complete_record_lacks_nothing() {
        let run = json!({"event": "run", "run_id": "r1", "trigger": "t", "initiator": "u", "input": "i", "model": "m-1",
            "prompt": ["p-1"], "tools": "t-1", "policy": "p-1"});
        let end = json!({"run_id": "r1", "output": "done"});
        let found = seen(&[run, call(&json!({})), end], &json!({}));
        let lacking =
            found["lacks"].as_object().expect("a map").iter().filter(|(_, count)| **count != json!(0)).count();
        assert_eq!(lacking, 0, "{}", found["lacks"]);
        assert_eq!(found["in_lock"], json!({"model": true, "prompt": true, "tools": false, "policy": true}));
        assert_eq!((&found["runs"], &found["ends"]), (&json!(["r1"]), &json!(1)), "an end is known by its output");
    }

    #[test]
    fn two_ends_of_one_run_are_not_the_end_of_another() {
        let run = |id: &str| json!({"event": "run", "run_id": id, "input": "i"});
        let end = |id: &str| json!({"event": "end", "run_id": id, "output": "done"});
        let found = seen(&[run("r1"), end("r1"), end("r1"), run("r2")], &json!({}));
        assert_eq!((&found["ends"], &found["run_records"], &found["unended"]), (&json!(2), &json!(2), &json!(1)));
        let found = seen(&[run("r1"), end("r2"), run("r2"), end("r1")], &json!({}));
        assert_eq!(found["unended"], json!(0));
    }

    #[test]
    fn each_missing_field_is_counted_where_it_belongs() {
        for (more, field, lacking) in [
            (json!({"args": null}), "args", 1),
            (json!({"latency_ms": "fast"}), "latency_ms", 1),
            (json!({"at": "yesterday"}), "at", 1),
            (json!({"response": null}), "response", 1),
            (json!({"side_effect_id": "re_2"}), "side_effect_id", 1),
            (json!({"carried": "run_id=r2"}), "carried", 1),
            (json!({"run_id": null}), "run_id", 1),
            (json!({"status": "error", "response": null}), "error", 1),
            (json!({"status": "error", "response": null, "error": "503"}), "error", 0),
        ] {
            let found = seen(&[call(&more)], &json!({}));
            assert_eq!(found["lacks"][field], json!(lacking), "{more}");
        }
        assert_eq!(seen(&[call(&json!({"actor": "root"}))], &json!({}))["other_actor"], json!(1));
        let moved = call(&json!({"tool": {"name": "refund"}, "args": null}));
        let found = seen(&[moved], &json!({"fields": {"tool": "/tool/name", "args": "/tool"}}));
        assert_eq!(
            (&found["lacks"]["tool"], &found["lacks"]["args"], &found["writes"]),
            (&json!(0), &json!(0), &json!(1))
        );
    }

    #[test]
    fn a_digest_alone_is_no_payload_and_success_has_several_names() {
        let digest = Files::digest("x");
        for text in [digest.as_str(), digest.trim_start_matches("sha256:"), "[REDACTED]", "***", "<masked>"] {
            for field in ["args", "response"] {
                assert_eq!(
                    seen(&[call(&json!({field: text}))], &json!({}))["lacks"][field],
                    json!(1),
                    "{field} {text}"
                );
            }
            let run = json!({"event": "run", "run_id": "r1", "trigger": "t", "initiator": "u", "input": text});
            assert_eq!(seen(&[run], &json!({}))["lacks"]["input"], json!(1), "{text}");
        }
        for (status, failed) in
            [(json!("Success"), 0), (json!(201), 0), (json!("200"), 0), (json!(503), 1), (json!("blocked"), 1)]
        {
            assert_eq!(seen(&[call(&json!({"status": status}))], &json!({}))["failed"], json!(failed), "{status}");
        }
        let number = call(&json!({"response": {"id": 42}, "side_effect_id": "42"}));
        assert_eq!(seen(&[number], &json!({}))["lacks"]["side_effect_id"], json!(0));
    }

    #[test]
    fn what_an_approval_must_hold_depends_on_the_decision() {
        let run = json!({"event": "run", "run_id": "r1", "trigger": "t", "initiator": "ines", "input": "i"});
        for (more, approvals, lacks) in [
            (
                json!({"decision": "granted", "approver": "tom", "expires_at": "2026-11-01T08:30:00Z"}),
                1,
                vec!["payload"],
            ),
            (json!({"decision": "denied", "approver": "tom", "args": {}}), 1, vec![]),
            (json!({"decision": "requested"}), 0, vec![]),
            (json!({"decision": "expired"}), 0, vec![]),
            (json!({"approved": true, "event": null}), 1, vec!["approver", "decision", "expires_at", "payload"]),
        ] {
            let mut record = json!({"event": "approval", "run_id": "r1", "at": "2026-11-01T08:00:00Z"});
            if let (Some(record), Some(more)) = (record.as_object_mut(), more.as_object()) {
                record.extend(more.clone());
            }
            let found = seen(&[run.clone(), record], &json!({}));
            let lacking = ["approver", "decision", "expires_at", "payload"];
            let lacking: Vec<&str> =
                lacking.into_iter().filter(|name| found["lacks"][name].as_u64() > Some(0)).collect();
            assert_eq!((&found["approvals"], lacking), (&json!(approvals), lacks), "{more}");
        }
        for (approver, counted) in [("ines", 1), ("svc", 1), ("tom", 0)] {
            let record = json!({"event": "approval", "run_id": "r1", "approver": approver, "decision": "granted"});
            assert_eq!(seen(&[run.clone(), record], &json!({}))["self_approved"], json!(counted), "{approver}");
        }
    }

    #[test]
    fn the_chain_is_followed_run_by_run_and_a_changed_record_breaks_it() {
        let first = call(&json!({}));
        let other = call(&json!({"run_id": "r2"}));
        let second = call(&json!({"prev": Files::digest(&first.to_string())}));
        let whole = seen(&[first.clone(), other.clone(), second.clone()], &json!({}));
        assert_eq!(whole["chain"], json!({"links": 1, "broken": 0, "unlinked": 0}));
        let changed = call(&json!({"response": {"id": "re_9"}}));
        assert_eq!(seen(&[changed, other, second], &json!({}))["chain"]["broken"], json!(1));
        assert_eq!(seen(&[first.clone(), first], &json!({}))["chain"]["unlinked"], json!(1));
    }

    #[test]
    fn what_is_no_log_is_an_error_and_counts_nothing() {
        for (text, error) in [("{}\nnot json\n", "line 2 is no JSON"), ("[1]\n", "a line is no JSON object")] {
            let found = seen_text(text, &json!({}));
            assert_eq!((&found["error"], &found["records"]), (&json!(error), &json!(0)), "{text}");
        }
        assert_eq!(seen_text("", &json!({}))["records"], json!(0));
    }
}
