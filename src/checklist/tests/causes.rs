//! What stands open for one cause is told once, by the check that is the cause; the others stay open and say by whom.

use serde_json::{Value, json};

use super::{
    super::{Example, assess, sound},
    CATALOGUE,
};

/// What is taken from the sound agent: from its manifest, or from what was seen; the checks that tell of it; and checks that
/// stand open for it without a finding.
type Cause<'a> = (&'a str, Value, Value, &'a [&'a str], &'a [&'a str]);

fn causes() -> Vec<Cause<'static>> {
    vec![
        (
            "no lock file",
            Value::Null,
            json!({"facts": {"lock": {"exists": false}}}),
            &["change/versions-pinned#model"],
            &["change/reproducible-behaviour", "change/tool-schemas-versioned", "observability/failures-reproducible"],
        ),
        (
            "no redaction rules",
            json!({"data": {"redaction": null}}),
            Value::Null,
            &["data/redact-before-model"],
            &[
                "data/access-before-retrieval",
                "data/cache-redaction",
                "data/log-redaction",
                "data/redact-before-export",
                "data/secret-scan",
            ],
        ),
        (
            "no traces",
            json!({"observability": {"traces": null}}),
            Value::Null,
            &["observability/trace-coverage"],
            &[
                "observability/failures-reproducible",
                "observability/policy-decisions-traced",
                "observability/retrieval-provenance",
                "observability/tracing-complete",
            ],
        ),
        (
            "no page on approvals",
            json!({"approvals": {"doc": null}}),
            Value::Null,
            &["approvals/protected-actions#complete"],
            &["approvals/approvers-named"],
        ),
        (
            "no stages",
            json!({"change": {"rollout": null}}),
            Value::Null,
            &["change/canary-start"],
            &["change/ramp-weekly", "change/stage-guards"],
        ),
        (
            "no page of the agent",
            json!({"agent": {"spec": null}}),
            Value::Null,
            &["scope/workflow-named"],
            &["scope/spec-page"],
        ),
        (
            "no interface for approvals",
            json!({"approvals": {"api": null}}),
            Value::Null,
            &["approvals/revocable"],
            &["approvals/rerunnable"],
        ),
        (
            "a tool that no rule names, in an agent that was not drilled",
            json!({"agent": {"autonomy": "autopilot"}}),
            json!({"drills": undrilled(), "facts": {"policy": {"unnamed": ["issue_refund"]}}}),
            &["policy/gate-outside-model#drill", "policy/gate-outside-model#rules"],
            &[
                "approvals/protected-actions",
                "authorization/default-deny",
                "budgets/fail-closed",
                "policy/destination-allowlists",
                "policy/forbidden-actions",
                "policy/high-risk-intercepted",
                "scope/disposition-per-action",
            ],
        ),
    ]
}

/// What the book of drills holds when no scripted model was asked.
fn undrilled() -> Value {
    let section = json!({"cases": 0, "held": 0, "holds": false, "clean": false, "tools": {},
        "says": "it was not drilled with a scripted model"});
    let names = [
        "amount-tiers",
        "default-deny",
        "destination-allowlists",
        "fail-closed",
        "forbidden-actions",
        "high-stakes-gated",
        "irreversible-confirmed",
    ];
    names.into_iter().map(|name| (name.to_owned(), section.clone())).collect()
}

#[test]
fn one_cause_is_told_once_and_what_follows_stays_open() {
    let mut wrong = Vec::new();
    for (name, manifest, evidence, tellers, followers) in causes() {
        let case = sound::with(&Example { manifest, evidence, ..Example::default() }).expect("loads");
        let assessment = assess(&CATALOGUE, &mut case.evidence.clone(), &case.view(Vec::new()));
        let told: Vec<&str> = assessment.findings.iter().map(|finding| finding.check.as_str()).collect();
        let mut also: Vec<&str> =
            assessment.findings.iter().flat_map(|finding| &finding.also).map(String::as_str).collect();
        also.sort_unstable();
        let open = assessment.checks.iter().filter(|check| !check.met && check.told_by.is_some());
        let open: Vec<&str> = open.map(|check| check.id.as_str()).collect();
        if told != tellers || also != followers || open != followers {
            wrong.push(format!("{name}: told by {told:?}, also {also:?}, open {open:?}: {:#?}", assessment.findings));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
