//! What the people in charge have of the agent: switches, approvals that can be taken back, and the audit trail of runs.
//! The loop asks here before it acts and tells here what it did; nothing here decides what is right.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::{get, post, put},
};
use jiff::Timestamp;
use regex::Regex;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::policy;
use crate::source::Files;

/// How long an approval can be used.
const APPROVAL_LASTS: Duration = Duration::from_secs(30 * 60);

/// Runs and approvals that are remembered at once.
const MOST_KEPT: usize = 4096;

static LOCK: LazyLock<Value> = LazyLock::new(|| {
    let lock: toml::Table = include_str!("../../fixtures/demo/agentready.lock").parse().expect("the lock is TOML");
    let entries = lock.get("entries").and_then(toml::Value::as_table).expect("the lock has entries");
    let below = |folder: &str| -> Vec<String> {
        let own = entries.iter().filter(|(name, _)| name.starts_with(folder));
        own.filter_map(|(_, digest)| Some(digest.as_str()?.to_owned())).collect()
    };
    let model = entries.get("model:decide").and_then(toml::Value::as_str);
    json!({"model": model, "prompt": below("prompts/"), "tools": below("schemas/"), "policy": below("policy/")})
});

static PERSONAL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"[A-Za-z0-9._-]+@[a-z0-9.-]+\.[a-z]{2,}|\b(?:\d{4} ){3}\d{4}\b|sk-[a-z0-9-]{8,}")
        .expect("a pattern written here")
});

/// An approval, from its grant to its use.
#[derive(Clone, Debug, Serialize)]
struct Approval {
    tool: String,
    args_digest: String,
    #[serde(serialize_with = "as_text")]
    expires_at: Timestamp,
    state: Standing,
}

fn as_text<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Standing {
    Granted,
    Used,
    Revoked,
}

/// Switches, approvals and records of one process.
#[derive(Debug, Default)]
pub(super) struct Oversight {
    off: Mutex<BTreeSet<String>>,
    approvals: Mutex<BTreeMap<String, Approval>>,
    runs: Mutex<BTreeMap<String, Vec<String>>>,
}

fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Oversight {
    /// Whether the agent takes no runs.
    pub(super) fn is_off(&self) -> bool {
        held(&self.off).contains("agent")
    }

    /// Whether a switch stops the tool: asked before each call, so that a switch works at once.
    pub(super) fn stops(&self, tool: &str) -> bool {
        let off = held(&self.off);
        off.contains("agent") || off.contains(&format!("tool.{tool}")) || off.contains("writes") && policy::writes(tool)
    }

    /// A token for one call, from the agent's own issuer; none once its identity is revoked.
    pub(super) fn token(&self) -> Option<String> {
        let revoked = held(&self.off).contains("identity");
        (!revoked).then(|| format!("svc-refund-agent.{:016x}", rand::random::<u64>()))
    }

    /// Notes what a person decided about exactly these arguments; the key of a grant is what redeems it.
    pub(super) fn decided(&self, run: &str, request: &Value, answer: &Value) -> Option<String> {
        let tool = request.get("tool").and_then(Value::as_str).unwrap_or_default();
        let granted = answer.get("approved") == Some(&Value::Bool(true));
        let digest = Files::digest(&request.get("args").cloned().unwrap_or_default().to_string());
        let expires_at = Timestamp::now().checked_add(APPROVAL_LASTS).unwrap_or(Timestamp::MAX);
        let decision = if granted { "granted" } else { "denied" };
        self.record(
            run,
            "approval",
            json!({"tool": tool, "approver": "refund-leads", "decision": decision, "args_digest": digest,
                "approval_id": answer.get("approval_id"), "expires_at": expires_at.to_string()}),
        );
        granted.then(|| {
            let id = answer.get("approval_id").and_then(Value::as_str).unwrap_or_default();
            let key = format!("{run}.{id}");
            let mut approvals = held(&self.approvals);
            if approvals.len() >= MOST_KEPT {
                approvals.pop_first();
            }
            let approval =
                Approval { tool: tool.to_owned(), args_digest: digest, expires_at, state: Standing::Granted };
            approvals.insert(key.clone(), approval);
            key
        })
    }

    /// Uses an approval up; false when it was used, taken back or is too old.
    pub(super) fn redeem(&self, key: &str) -> bool {
        let mut approvals = held(&self.approvals);
        let usable =
            |approval: &&mut Approval| approval.state == Standing::Granted && Timestamp::now() <= approval.expires_at;
        approvals.get_mut(key).filter(usable).map(|approval| approval.state = Standing::Used).is_some()
    }

    /// Opens the records of a run.
    pub(super) fn open(&self, run: &str, trigger: &str, initiator: &str, input: &str) {
        let mut fields = json!({"trigger": trigger, "initiator": initiator, "input": input});
        if let (Value::Object(fields), Value::Object(versions)) = (&mut fields, &*LOCK) {
            fields.extend(versions.clone());
        }
        self.record(run, "run", fields);
    }

    /// Adds a record to a run and gives its digest; each record holds the digest of the one before.
    pub(super) fn record(&self, run: &str, event: &str, fields: Value) -> String {
        let mut runs = held(&self.runs);
        if runs.len() >= MOST_KEPT && !runs.contains_key(run) {
            runs.pop_first();
        }
        let lines = runs.entry(run.to_owned()).or_default();
        let mut entry = Map::new();
        entry.insert("event".to_owned(), event.into());
        entry.insert("run_id".to_owned(), run.into());
        entry.insert("at".to_owned(), Timestamp::now().to_string().into());
        if let Value::Object(fields) = fields {
            entry.extend(fields.into_iter().filter(|(_, value)| !value.is_null()));
        }
        entry.extend(lines.last().map(|line| ("prev".to_owned(), Files::digest(line).into())));
        let line = PERSONAL.replace_all(&Value::Object(entry).to_string(), "<redacted>").into_owned();
        let head = Files::digest(&line);
        lines.push(line);
        head
    }

    fn lines(&self, run: &str) -> Option<Vec<String>> {
        held(&self.runs).get(run).cloned()
    }

    fn records(&self, run: &str) -> Option<Vec<Value>> {
        Some(self.lines(run)?.iter().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }
}

/// The routes of the people in charge.
pub(super) fn router(oversight: Arc<Oversight>) -> Router {
    Router::new()
        .route("/switch/{name}", put(switch))
        .route("/approvals", get(approvals))
        .route("/approvals/{id}/revoke", post(revoke))
        .route("/audit/{run}", get(audit))
        .route("/replay/{run}", get(replay))
        .route("/timeline/{run}", get(timeline))
        .with_state(oversight)
}

async fn switch(State(oversight): State<Arc<Oversight>>, Path(name): Path<String>, value: String) -> Response {
    let known = matches!(name.as_str(), "agent" | "identity" | "writes") || name.starts_with("tool.");
    let mut off = held(&oversight.off);
    match value.trim() {
        "off" if known => drop(off.insert(name)),
        "on" if known => drop(off.remove(&name)),
        _ => {
            return (StatusCode::BAD_REQUEST, "PUT /switch/agent, identity, writes or tool.NAME: on or off")
                .into_response();
        }
    }
    Json(json!({ "off": *off })).into_response()
}

async fn approvals(State(oversight): State<Arc<Oversight>>) -> Response {
    Json(&*held(&oversight.approvals)).into_response()
}

async fn revoke(State(oversight): State<Arc<Oversight>>, Path(id): Path<String>) -> Response {
    let mut approvals = held(&oversight.approvals);
    match approvals.get_mut(&id).filter(|approval| approval.state == Standing::Granted) {
        Some(approval) => {
            approval.state = Standing::Revoked;
            Json(&*approval).into_response()
        }
        None => (StatusCode::CONFLICT, "there is no approval of this id that is still unused").into_response(),
    }
}

fn unknown() -> Response {
    (StatusCode::NOT_FOUND, "there is no run of this id").into_response()
}

async fn audit(State(oversight): State<Arc<Oversight>>, Path(run): Path<String>) -> Response {
    oversight.lines(&run).map_or_else(unknown, |lines| (lines.join("\n") + "\n").into_response())
}

/// A run rebuilt from its records alone: input, decisions, calls and effects in their order.
async fn replay(State(oversight): State<Arc<Oversight>>, Path(run): Path<String>) -> Response {
    let Some(records) = oversight.records(&run) else { return unknown() };
    let of = |event: &str| {
        records.iter().filter(move |record| record.get("event") == Some(&event.into())).collect::<Vec<_>>()
    };
    let of_first = |event: &str, key: &str| of(event).first().and_then(|record| record.get(key)).cloned();
    let effects: Vec<&Value> = records.iter().filter_map(|record| record.get("side_effect_id")).collect();
    Json(json!({"input": of_first("run", "input"), "decisions": of("approval"), "calls": of("call"),
        "effects": effects, "output": of_first("end", "output")}))
    .into_response()
}

async fn timeline(State(oversight): State<Arc<Oversight>>, Path(run): Path<String>) -> Response {
    let Some(records) = oversight.records(&run) else { return unknown() };
    let text = |record: &Value, key: &str| record.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let line = |record: &Value| {
        let outcome = text(record, if text(record, "event") == "approval" { "decision" } else { "status" });
        let words = [text(record, "at"), text(record, "event"), text(record, "tool"), outcome];
        words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join("  ") + "\n"
    };
    records.iter().map(line).collect::<String>().into_response()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Oversight, held};
    use crate::source::Files;

    fn off(name: &str) -> Oversight {
        let oversight = Oversight::default();
        held(&oversight.off).insert(name.to_owned());
        oversight
    }

    #[test]
    fn a_switch_stops_what_it_names() {
        for (name, tool, stopped) in [
            ("writes", "issue_refund", true),
            ("writes", "get_order", false),
            ("agent", "get_order", true),
            ("tool.send_decision", "send_decision", true),
            ("tool.send_decision", "issue_refund", false),
        ] {
            assert_eq!(off(name).stops(tool), stopped, "{name} on {tool}");
        }
        assert!(off("agent").is_off() && !off("writes").is_off());
        assert!(off("identity").token().is_none() && off("writes").token().is_some());
    }

    #[test]
    fn an_approval_is_good_once_and_not_after_it_was_taken_back() {
        let oversight = Oversight::default();
        let request = json!({"tool": "issue_refund", "args": {"amount_usd": 120}});
        let decided = |id: &str, approved: bool| {
            oversight.decided("run-1", &request, &json!({"approval_id": id, "approved": approved}))
        };
        let key = decided("ap_1", true).expect("granted");
        assert!(oversight.redeem(&key) && !oversight.redeem(&key));
        let second = decided("ap_2", true).expect("granted");
        if let Some(approval) = held(&oversight.approvals).get_mut(&second) {
            approval.state = super::Standing::Revoked;
        }
        assert!(!oversight.redeem(&second) && !oversight.redeem("run-1.ap_9"));
        assert_eq!(decided("ap_3", false), None);
        assert_eq!(oversight.records("run-1").map(|records| records.len()), Some(3), "denials are recorded, too");
    }

    #[test]
    fn records_form_a_chain_and_hold_nothing_personal() {
        let oversight = Oversight::default();
        oversight.open("run-1", "T-101", "service-desk", "Mail ana@customer.example, card 4111 1111 1111 1111");
        let head = oversight.record("run-1", "end", json!({"output": "done"}));
        let lines = oversight.lines("run-1").expect("a run");
        assert_eq!(lines.last().map(|line| Files::digest(line)), Some(head));
        let records: Vec<Value> = oversight.records("run-1").expect("a run");
        assert_eq!(records[1]["prev"], json!(Files::digest(&lines[0])));
        assert_eq!(records[0]["input"], json!("Mail <redacted>, card <redacted>"));
        assert_eq!(records[0]["model"], json!("demo/refund-rules-2026-11-01"));
    }
}
