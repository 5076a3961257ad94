//! Contradictions between what is claimed and what stands behind it: one flaw in the files of the sound agent, and the
//! finding that names it.

use std::{fs, path::Path};

use super::{
    super::{assess, sound},
    CATALOGUE,
};
use crate::source::Diagnostics;

/// A text that is replaced in a file of the sound agent; where there is nothing to replace the file is new, or grows.
type FileEdit<'a> = (&'a str, &'a str, &'a str);

/// A flaw, the edits that make it, the check that must see it, and words of its finding.
type Flaw<'a> = (&'a str, &'a [FileEdit<'a>], &'a str, &'a [&'a str]);

const MANIFEST: &str = "agentready.yaml";

/// Nobody's key, in the form of one.
const KEY: &str = concat!("AKIA", "Q7ZRT5LMN2PW9XYB");

const SCOPES: &[Flaw<'_>] = &[
    (
        "scopes wider than the tools need",
        &[(MANIFEST, "write: {scopes: [refund:write], ttl", "write: {scopes: [refund:write, payout:write], ttl")],
        "authorization/per-action-permissions",
        &["payout:write", "write credential of stripe", "no tool needs it"],
    ),
    (
        "a tool that a server offers and the manifest lacks",
        &[(MANIFEST, "  search_policy: {system: kb, effect: read, input_schema: schemas/search_policy.json}\n", "")],
        "scope/tool-inventory",
        &["`kb` offers search_policy"],
    ),
    (
        "a tool of the manifest that its server does not offer",
        &[(MANIFEST, "  delete_customer:", "  void_charge: {system: stripe, effect: destructive}\n  delete_customer:")],
        "scope/tool-inventory",
        &["`stripe` does not offer void_charge"],
    ),
    (
        "an effect that the server's annotations contradict",
        &[(MANIFEST, "    system: zendesk\n    effect: write", "    system: zendesk\n    effect: read")],
        "scope/effect-classified",
        &["`update_ticket` is declared read, but"],
    ),
    (
        "an effect that the method contradicts",
        &[(MANIFEST, "POST /v1/refunds/{id}/cancel", "DELETE /v1/refunds/{id}")],
        "scope/effect-classified",
        &["`cancel_refund` is declared write, but", "DELETE"],
    ),
    (
        "a schema that takes more than the amount tiers",
        &[("schemas/issue_refund.json", "\"maximum\": 300", "\"maximum\": 900")],
        "policy/amount-tiers",
        &["the schema of `issue_refund` does not refuse what lies above approval_up_to"],
    ),
];

const WAYS_BACK: &[Flaw<'_>] = &[
    (
        "a write without a way back",
        &[(MANIFEST, "    rollback: {tool: issue_refund}\n", "")],
        "scope/rollback-path-per-write",
        &["`cancel_refund` writes to stripe and names no way back"],
    ),
    (
        "a way back that leads to itself",
        &[(MANIFEST, "    rollback: {tool: issue_refund}\n", "    rollback: {tool: cancel_refund}\n")],
        "scope/rollback-path-per-write",
        &["`cancel_refund` is to be undone by itself", "ends nowhere"],
    ),
    (
        "a way back that ends at a tool that is never called",
        &[(MANIFEST, "rollback: {tool: cancel_refund, within", "rollback: {tool: delete_customer, within")],
        "scope/rollback-path-per-write",
        &["`delete_customer`, which is to undo `issue_refund`, may never be called"],
    ),
    (
        "a way back that ends at a section that is not there",
        &[(MANIFEST, "docs/runbook.md#wrong-mail", "docs/runbook.md#nowhere")],
        "scope/rollback-path-per-write",
        &["docs/runbook.md#nowhere", "`send_decision`"],
    ),
    (
        "destinations with a wildcard",
        &[(MANIFEST, "buckets: []", "buckets: [\"s3://*\"]")],
        "policy/destination-allowlists",
        &["exports may go to any bucket", "policy.destinations.buckets"],
    ),
    (
        "a prompt with a limit that no policy holds",
        &[("prompts/decide.md", "at most what is left of the charge", "never more than $275")],
        "policy/gate-outside-model",
        &["prompts/decide.md:6 limits an amount to 275"],
    ),
];

const SECRETS: &[Flaw<'_>] = &[
    (
        "a secret in the manifest",
        &[(
            MANIFEST,
            "  routing: config/routing.yaml",
            concat!("  routing: config/routing.yaml # ", "AKIA", "Q7ZRT5LMN2PW9XYB"),
        )],
        "data/secret-scan",
        &["agentready.yaml:", "AKIA"],
    ),
    (
        "a secret in a prompt",
        &[("prompts/triage.md", "", KEY)],
        "data/redact-before-model",
        &["prompts/triage.md", "AKIA"],
    ),
    (
        "a secret in a schema",
        &[(
            "schemas/issue_refund.json",
            "\"maxLength\": 200",
            concat!("\"maxLength\": 200, \"example\": \"", "AKIA", "Q7ZRT5LMN2PW9XYB\""),
        )],
        "data/secret-scan",
        &["schemas/issue_refund.json:", "AKIA"],
    ),
    (
        "a secret in a scenario",
        &[("evals/incidents/double-refund.yaml", "", concat!("# seen with ", "AKIA", "Q7ZRT5LMN2PW9XYB\n"))],
        "data/secret-scan",
        &["evals/incidents/double-refund.yaml:", "AKIA"],
    ),
];

const STALE: &[Flaw<'_>] = &[
    (
        "a stale review",
        &[(MANIFEST, "kb: {writers: staff, reviewed: 2026-10-20", "kb: {writers: staff, reviewed: 2025-01-20")],
        "data/retrieval-source-review",
        &["the review of `kb` of 2025-01-20 is older than"],
    ),
    (
        "a sign-off of another manifest",
        &[(MANIFEST, "write: {scopes: [refund:write], ttl", "write: {scopes: [refund:write, payout:write], ttl")],
        "change/security-signoff",
        &["changed after security signed"],
    ),
    (
        "a sign-off of other costs",
        &[(MANIFEST, "reviewer_usd_per_hour: 38", "reviewer_usd_per_hour: 45")],
        "cost/finance-signoff",
        &["changed after finance signed"],
    ),
    (
        "an incident without a case",
        &[(
            "incidents/INC-9.yaml",
            "",
            "id: INC-9\ntitle: A mail went out twice\nseverity: low\ndetected_at: 2026-10-01T09:00:00Z\nresolved_at: 2026-10-01T10:00:00Z\n",
        )],
        "evals/incident-cases",
        &["INC-9 has too few regression cases"],
    ),
];

#[test]
fn every_flaw_is_named_by_the_check_that_it_belongs_to() {
    let mut wrong = Vec::new();
    for (flaw, edits, id, words) in [SCOPES, WAYS_BACK, SECRETS, STALE].concat() {
        let case = edited(edits).unwrap_or_else(|problems| panic!("{flaw}: {problems}"));
        let catalogue = CATALOGUE.alone(id);
        let assessment = assess(&catalogue, &mut case.evidence.clone(), &case.view(Vec::new()));
        let said: Vec<&str> = assessment.findings.iter().map(|finding| finding.message.as_str()).collect();
        let is_named = said.iter().any(|message| words.iter().all(|word| message.contains(word)));
        if !is_named || assessment.checks.iter().any(|check| check.met) {
            wrong.push(format!("{flaw}: {id} says {said:#?}, not {words:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_checks_that_flaws_trip_say_nothing_without_them() {
    let case = edited(&[]).expect("loads");
    for (flaw, _, id, _) in [SCOPES, WAYS_BACK, SECRETS, STALE].concat() {
        let assessment = assess(&CATALOGUE.alone(id), &mut case.evidence.clone(), &case.view(Vec::new()));
        assert!(assessment.findings.is_empty(), "{flaw}: {id} says {:#?}", assessment.findings);
    }
}

#[test]
fn a_way_back_by_a_tool_that_is_not_listed_is_no_manifest() {
    let edits = [(MANIFEST, "rollback: {tool: issue_refund}", "rollback: {tool: refund_again}")];
    let problems = edited(&edits).err().expect("the manifest is refused").to_string();
    assert!(problems.contains("refund_again"), "{problems}");
}

/// The sound agent with its files edited.
fn edited(edits: &[FileEdit<'_>]) -> Result<sound::Case, Diagnostics> {
    let copy = tempfile::tempdir().expect("a folder");
    copy_into(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/complete"), copy.path());
    for (name, old, new) in edits {
        let path = copy.path().join(name);
        let text = fs::read_to_string(&path).unwrap_or_default();
        assert!(text.contains(old), "`{old}` stands in {name}");
        let text = if old.is_empty() { format!("{text}{new}") } else { text.replacen(old, new, 1) };
        fs::write(path, text).expect("written");
    }
    sound::of_folder(copy.path())
}

fn copy_into(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("a folder").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_into(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copied");
        }
    }
}
