//! Facts over a small repository in memory.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};

use super::{Fetched, Options, collect, is_snapshot, oidc_url, owners::owns};
use crate::source::Files;

fn repository(extra: &[(&str, &str)]) -> Files {
    let lock = format!(
        "version = 1\n[entries]\n\"model:decide\" = \"anthropic/claude-sonnet-4-20250514\"\n\"prompts/decide.md\" = \"{}\"\n",
        Files::digest("Decide.")
    );
    let mut texts: BTreeMap<String, Arc<str>> = [
        ("bot/docs/agent.md", "# Refund Handling\n\n## Never does\nPay twice.\n"),
        ("bot/docs/runbook.md", "# Runbook\n## Wrong mail!\n1. Write again.\n```\n## not a heading\n```\n## Empty\n"),
        ("bot/schemas/refund.json", "{\"properties\": {\"amount_usd\": {\"maximum\": 300}}}"),
        ("bot/prompts/decide.md", "Decide."),
        ("bot/openapi.yaml", "paths:\n  /orders/{id}:\n    get: {operationId: getOrder}\n    delete: {}\n"),
        ("bot/agentready.lock", lock.as_str()),
        ("bot/agentready.yaml", "manifest: 1"),
        ("other/agentready.toml", "[agent]\nworkflow = \"Billing\"\n[identity]\nsubject = \"svc-billing\"\n"),
        (".github/CODEOWNERS", "* @acme/everyone # all\n/bot/ @acme/payments-ops\n"),
    ]
    .into_iter()
    .chain(extra.iter().copied())
    .map(|(name, text)| (name.to_owned(), Arc::from(text)))
    .collect();
    texts.retain(|_, text| &**text != "gone");
    Files::texts(texts)
}

fn manifest() -> Value {
    json!({
        "agent": {"spec": "docs/agent.md", "workflow": "Refund handling"},
        "incident": {"runbook": "docs/runbook.md"},
        "models": {"decide": {"id": "anthropic/claude-sonnet-4-20250514"}},
        "systems": {"shop": {"openapi": "openapi.yaml"}, "stripe": {"mcp": "https://mcp.example"}, "far": {"openapi": "https://far.example/o.json"}},
        "tools": {
            "get_order": {"system": "shop", "endpoint": "GET /orders/{id}"},
            "refund": {"system": "stripe", "input_schema": "schemas/refund.json",
                "rollback": {"runbook": "docs/runbook.md#wrong-mail", "otherwise": "docs/runbook.md#nowhere"}}
        },
        "prompts": ["prompts/**"]
    })
}

fn options() -> Options {
    Options { manifest: "bot/agentready.yaml".to_owned(), ..Options::default() }
}

#[test]
fn documents_schemas_and_descriptions_are_opened() {
    let files = repository(&[]);
    let tools = json!([{"name": "get_order", "at": "/tools/get_order", "system": "shop", "effect": "read", "endpoint": "GET /orders/{order_id}"}]);
    let facts = collect(&files, &json!({"manifest": manifest(), "tools": tools}), &options());
    insta::assert_json_snapshot!("facts", facts);
    assert!(files.seen().contains_key("bot/docs/runbook.md"), "what was read is kept for the record");
}

#[test]
fn every_kind_of_file_is_read_as_what_it_is() {
    let page = "# Review (2026-10-20)\nSee [index](kb/index.md), [gone](gone.md#x) and <https://a.example/b>.\nNext: 2027-01-01, not 12026-10-201 nor 2026-02-30.\n\n| Source | Trust |\n|---|---|\n| tickets | low |\n\n```rego\ndefault allow := false\n```\n";
    let files = repository(&[
        ("bot/docs/review.md", page),
        ("bot/docs/kb/index.md", "text"),
        ("bot/config/redaction.yaml", "version: 1\nrules: [pan]\n"),
        ("bot/config/broken.toml", "a = \n"),
        ("bot/evals/labels.jsonl", "{\"case\": 1}\n{\"case\": 2}\n"),
        ("bot/evals/sources.csv", "Case,Labelled on\nc1,2026-11-02\n"),
        ("bot/policy/a.rego", "default Allow := false"),
        ("bot/policy/b.rego", "b"),
    ]);
    let manifest = json!({
        "data": {"redaction": "config/redaction.yaml", "retrieval": {"kb": {"review": "docs/review.md"}}, "doc": "docs/missing.md"},
        "evals": {"golden_sources": "evals/sources.csv", "judge": {"labels": "evals/labels.jsonl"}},
        "cost": {"prices": "config/broken.toml", "routing": "https://elsewhere.example/routing.yaml"},
        "policy": {"rules": ["policy/*.rego"]},
        "incident": {"records": ["incidents/*.yaml"], "runbook": "../../etc/passwd"},
    });
    let facts = collect(&files, &manifest, &options());
    insta::assert_json_snapshot!("kinds", facts["files"]);
}

#[test]
fn a_file_that_is_no_text_or_lies_outside_is_said_so() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("dpa.pdf"), [0x25, 0x50, 0xff, 0xfe]).expect("written");
    let manifest = json!({"data": {"processors": {"a": {"contract": "dpa.pdf"}, "b": {"contract": "../outside"}}}});
    let options = Options { manifest: "agentready.yaml".to_owned(), ..Options::default() };
    let facts = collect(&Files::disk(folder.path(), false), &manifest, &options);
    let of = |path: &str| facts["files"][path].clone();
    assert_eq!(of("dpa.pdf")["exists"], json!(true));
    assert_eq!(of("dpa.pdf")["error"], json!("`dpa.pdf` is not UTF-8 text"));
    assert_eq!(of("../outside")["exists"], json!(false));
}

#[test]
fn a_changed_prompt_or_a_strange_lock_is_not_locked() {
    let changed = collect(&repository(&[("bot/prompts/decide.md", "Pay.")]), &manifest(), &options());
    assert_eq!(changed["lock"]["parts"]["prompts"]["stale"], json!(["prompts/decide.md"]));
    for lock in ["version = 2\n", "entries = 1", "{\"version\": 1, \"entries\": {\"a\": 1}}"] {
        let facts = collect(&repository(&[("bot/agentready.lock", lock)]), &manifest(), &options());
        assert!(facts["lock"]["exists"] == json!(true) && facts["lock"]["error"].is_string(), "{lock}");
        assert_eq!(facts["lock"]["models"]["decide"]["locked"], json!(false));
    }
    let json = "{\"version\": 1, \"entries\": {\"model:decide\": \"anthropic/claude-sonnet-4-20250514\"}}";
    let facts = collect(&repository(&[("bot/agentready.lock", json)]), &manifest(), &options());
    assert_eq!(facts["lock"]["models"]["decide"]["locked"], json!(true));
    let none = collect(&repository(&[("bot/agentready.lock", "gone")]), &manifest(), &options());
    assert_eq!(none["lock"]["exists"], json!(false));
}

#[test]
fn what_was_fetched_is_a_fact_only_when_it_answers() {
    let with = |oidc, offline| {
        let tools = [("stripe".to_owned(), Ok(json!({"tools": [{"name": "refund"}]})))].into();
        let fetched = Fetched { oidc, tools, ..Fetched::default() };
        collect(&repository(&[]), &manifest(), &Options { offline, fetched, ..options() })
    };
    let good = with(Some(Ok(json!({"issuer": "https://id.example"}))), false);
    assert_eq!((&good["oidc"]["reached"], &good["oidc"]["issuer"]), (&json!(true), &json!("https://id.example")));
    assert_eq!(good["servers"][2]["tools"], json!(["refund"]));
    assert_eq!(with(Some(Ok(json!({}))), false)["oidc"]["reached"], json!(false));
    assert_eq!(with(Some(Err("refused".to_owned())), false)["oidc"]["tried"], json!(true));
    assert_eq!(with(Some(Ok(json!({"issuer": "x"}))), true)["oidc"]["tried"], json!(false));
    assert_eq!(oidc_url("https://id.example/"), "https://id.example/.well-known/openid-configuration");
}

#[test]
fn snapshots_are_told_from_aliases() {
    for id in [
        "gpt-4o-mini-2024-07-18",
        "claude-sonnet-4-20250514",
        "gpt-4-0613",
        "gemini-1.5-pro-001",
        "anthropic.claude-3-5-sonnet-20241022-v2:0",
        "llama@sha256:0011",
        "anthropic/claude-opus-4-7",
        "anthropic.claude-opus-4-6-v1",
        "claude-sonnet-5",
    ] {
        assert!(is_snapshot(id), "{id}");
    }
    for id in ["gpt-4o", "claude-sonnet-4", "claude-opus-4-5", "claude-latest", "gpt-4-turbo", "model-9999", "o3"] {
        assert!(!is_snapshot(id), "{id}");
    }
}

#[test]
fn code_owner_patterns_cover_what_code_hosts_cover() {
    for (pattern, path, expected) in [
        ("*", "a/b.md", true),
        ("*.md", "a/b.md", true),
        ("/a/", "a/b/c.md", true),
        ("/a/", "a", false),
        ("a/", "x/a/b", true),
        ("/a/*", "a/b.md", true),
        ("/a/*", "a/b/c.md", false),
        ("a/**/c.md", "a/x/y/c.md", true),
        ("/b.md", "a/b.md", false),
        ("prompts", "prompts/x.md", true),
    ] {
        assert_eq!(owns(pattern, path), expected, "{pattern} on {path}");
    }
}

#[test]
fn the_way_back_leads_to_a_version_of_this_agent_that_was_go() {
    let contract = json!({"tools": [{"name": "refund", "description": "Refunds."}]});
    let tools = [("stripe".to_owned(), Ok(contract))].into();
    let fetched = Options { fetched: Fetched { tools, ..Fetched::default() }, ..options() };
    let mut manifest = manifest();
    manifest["agent"]["name"] = json!("refunder");
    manifest["change"] = json!({"rollback": {"to": "1.0", "run": "deploy {version}"}});
    let snapshot = "anthropic/claude-sonnet-4-20250514";
    let report = |agent: &str| json!({"agent": {"name": agent}, "verdict": {"decision": "GO"}}).to_string();
    for (entries, agent, has_lock, aliases, moved, was_go) in [
        (format!("\"model:decide\" = \"{snapshot}\""), "refunder", true, 0, 0, true),
        (String::new(), "refunder", false, 0, 0, true),
        (format!("\"model:decide\" = \"{}\"", Files::digest(snapshot)), "refunder", true, 0, 0, true),
        (format!("\"model:decide\" = \"{}\"", Files::digest("openai/gpt-4o")), "refunder", true, 1, 0, true),
        (
            format!("\"model:decide\" = \"{snapshot}\"\n\"tool:stripe/refund\" = \"sha256:0\""),
            "refunder",
            true,
            0,
            1,
            true,
        ),
        (format!("\"model:decide\" = \"{snapshot}\""), "another", true, 0, 0, false),
    ] {
        let lock = format!("version = 1\n[entries]\n{entries}\n");
        let files = repository(&[
            ("bot/releases/1.0/agentready.lock", lock.as_str()),
            ("bot/releases/1.0/report.json", &report(agent)),
        ]);
        let seen = collect(&files, &manifest, &fetched)["rollback"].clone();
        let len = |key: &str| seen[key].as_array().map_or(99, Vec::len);
        assert_eq!(
            (seen["has_lock"].clone(), len("aliases"), len("moved")),
            (json!(has_lock), aliases, moved),
            "{entries}"
        );
        assert_eq!(seen["was_go"], json!(was_go), "{agent}");
    }
}

#[test]
fn a_tool_that_its_server_lists_no_more_is_gone_and_one_that_was_not_asked_is_open() {
    let lock = "version = 1\n[entries]\n\"tool:stripe/refund\" = \"sha256:0\"\n";
    let files = repository(&[("bot/agentready.lock", lock)]);
    let other = json!({"tools": [{"name": "charge"}]});
    for (listed, gone, unasked) in [(Some(other), true, false), (None, false, true)] {
        let tools = listed.map(|listed| ("stripe".to_owned(), Ok(listed))).into_iter().collect();
        let fetched = Options { fetched: Fetched { tools, ..Fetched::default() }, ..options() };
        let seen = collect(&files, &manifest(), &fetched)["lock"]["tools"]["refund"].clone();
        assert_eq!((&seen["gone"], &seen["unasked"]), (&json!(gone), &json!(unasked)), "{seen}");
    }
}

#[test]
fn a_sign_off_of_security_covers_the_rules_and_tells_whose_commit_it_is() {
    let mut manifest = manifest();
    manifest["policy"] = json!({"rules": ["policy/*.rego"]});
    manifest["change"] = json!({"signoffs": {"security": "s.json", "legal": "s.json"}});
    let own = serde_json::to_string(&manifest).expect("JSON");
    let seen = |rule: &str, signature: char| {
        let commit = super::Commit { author: "lee@acme.example".to_owned(), signature, ..super::Commit::default() };
        let git = super::GitSeen { last: [("bot/s.json".to_owned(), commit)].into(), ..super::GitSeen::default() };
        let options = Options { fetched: Fetched { git: Some(git), ..Fetched::default() }, ..options() };
        let files = repository(&[("bot/agentready.yaml", &own), ("bot/policy/a.rego", rule), ("bot/s.json", "{}")]);
        collect(&files, &manifest, &options)["signoffs"].clone()
    };
    let (before, after) = (seen("package a", 'G'), seen("package b", 'X'));
    assert_ne!(before["security"]["current"], after["security"]["current"]);
    assert_eq!(before["legal"]["current"], after["legal"]["current"]);
    assert_eq!(before["security"]["committed_by"], "lee@acme.example");
    assert_eq!((&before["security"]["is_signed"], &after["security"]["is_signed"]), (&json!(true), &json!(false)));
}
