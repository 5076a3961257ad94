use std::{collections::BTreeMap, path::Path};

use serde_json::{Value, json};

use super::{Manifest, evidence, load, schema};
use crate::source::{Diagnostics, Files, Route, render};

fn fixture(name: &str) -> Result<Manifest, Diagnostics> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/manifests");
    load(&Files::disk(&folder, false), name)
}

/// The manifest with every field that a check reads.
fn complete() -> Manifest {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/complete");
    load(&Files::disk(&folder, false), "agentready.yaml").expect("the complete manifest reads")
}

fn read(text: &str) -> Result<Manifest, Diagnostics> {
    let texts = BTreeMap::from([("agentready.yaml".to_owned(), text.into())]);
    load(&Files::texts(texts), "agentready.yaml")
}

/// A manifest that says as little as it may, plus `more`.
fn bare(more: &str) -> Result<Manifest, Diagnostics> {
    read(&format!("manifest: 1\nagent: {{name: a, autonomy: assist}}\nendpoint: {{url: \"http://localhost\"}}\n{more}"))
}

fn shown(result: Result<Manifest, Diagnostics>) -> String {
    match result {
        Ok(manifest) => format!("{} is sound", manifest.name),
        Err(problems) => render(&problems.0, false),
    }
}

fn tool<'a>(document: &'a Value, name: &str) -> &'a Value {
    let tools = document.get("tools").and_then(Value::as_array).expect("a list of tools");
    tools.iter().find(|tool| tool["name"] == name).expect(name)
}

#[test]
fn mistakes_of_shape_are_shown_all_at_once() {
    insta::assert_snapshot!(shown(fixture("wrong.yaml")));
}

#[test]
fn dangling_references_are_shown_all_at_once() {
    insta::assert_snapshot!(shown(fixture("wrong-references.yaml")));
}

#[test]
fn yaml_and_toml_give_the_same_model() {
    let yaml = serde_json::to_value(complete().raw).expect("plain");
    let toml = serde_json::to_value(fixture("complete.toml").expect("TOML reads").raw).expect("plain");
    assert_eq!(yaml, toml);
}

#[test]
fn the_model_keeps_every_leaf_of_the_complete_manifest() {
    let manifest = complete();
    let kept = serde_json::to_value(&manifest.raw).expect("plain");
    let mut leaves = 0;
    every_leaf(&manifest.document.value(), &Route::root(), &mut |route, leaf| {
        leaves += 1;
        let found = kept.pointer(route.as_str());
        let is_same = match (leaf.as_f64(), found.and_then(Value::as_f64)) {
            (Some(written), Some(found)) => (written - found).abs() < f64::EPSILON,
            _ => found == Some(leaf),
        };
        assert!(is_same, "{route}: {leaf} became {found:?}");
    });
    assert!(leaves > 350, "only {leaves} leaves were compared");
}

fn every_leaf(value: &Value, route: &Route, visit: &mut impl FnMut(&Route, &Value)) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| every_leaf(value, &route.join(key), visit)),
        Value::Array(list) => list.iter().enumerate().for_each(|(i, value)| every_leaf(value, &route.join(i), visit)),
        leaf => visit(route, leaf),
    }
}

#[test]
fn what_is_left_out_takes_its_default() {
    let manifest = &evidence(&bare("").expect("reads"))["manifest"];
    let table = [
        ("/gate/profiles", json!(["go-no-go"])),
        ("/gate/confidence", json!("point")),
        ("/endpoint/protocol", json!("http")),
        ("/prompts", json!(["prompts/**"])),
        ("/resilience/timeout", json!("30s")),
        ("/resilience/retries", json!(2)),
        ("/resilience/backoff", json!("exponential-jitter")),
        ("/policy/default", json!("deny")),
        ("/policy/on_error", json!("deny")),
        (
            "/policy/forbidden/delete-data",
            json!(["delete_*", "purge_*", "drop_*", "erase_*", "wipe_*", "destroy_*", "truncate_*"]),
        ),
        ("/policy/forbidden/modify-iam", json!(["grant_*", "iam_*", "*_role", "*_permission", "*_permissions"])),
        ("/policy/forbidden/transfer-funds", json!(["payout_*", "transfer_*", "wire_*", "*_payout", "*_payouts"])),
        ("/policy/destinations/webhook_hosts", json!([])),
        ("/approvals/required_for", json!(["refunds", "deletes", "permission-changes"])),
        ("/budgets/per_run/steps", json!(25)),
        ("/budgets/per_run/tool_calls", json!(20)),
        ("/budgets/per_run/model_calls", json!(25)),
        ("/budgets/per_run/tokens", json!(200_000)),
        ("/budgets/per_run/spend_usd", json!(1.0)),
        ("/budgets/per_run/writes", json!(1)),
        ("/budgets/per_minute/runs", json!(60)),
        ("/budgets/on_exceed/do", json!("stop")),
        ("/observability/semconv", json!("gen_ai")),
        ("/audit/run_id", json!({"baggage": "run_id"})),
        ("/evals/trials", json!(1)),
        ("/data/classes/secrets/model", json!("never")),
        ("/data/classes/secrets/retrieval", json!("never")),
        ("/data/classes/secrets/tools", json!([])),
        ("/incident/records", json!(["incidents/*.yaml"])),
        ("/change/lock", json!("agentready.lock")),
        ("/change/release_check", json!("agentready / gate")),
    ];
    for (route, expected) in table {
        assert_eq!(manifest.pointer(route), Some(&expected), "{route}");
    }
}

#[test]
fn a_fact_that_is_left_out_stays_absent() {
    let manifest = &evidence(&bare("").expect("reads"))["manifest"];
    for route in [
        "/agent/workflow",
        "/agent/owner/team",
        "/identity/subject",
        "/handoff/queue",
        "/policy/engine",
        "/budgets/latency_p95",
        "/evals/baseline",
        "/cost/cache",
        "/data/tenancy",
        "/incident/kill_switch/agent",
        "/change/repository",
    ] {
        assert_eq!(manifest.pointer(route), None, "{route}");
    }
}

#[test]
fn defaults_that_hang_on_other_fields_are_filled() {
    let more = "incident: {kill_switch: {agent: {run: ./off.sh}}}\n\
                budgets: {per_minute: {tokens: 5}}\n\
                audit: {run_id: {attribute: session.id}}\n\
                policy: {forbidden: {transfer-funds: [], close-books: [settle_*]}}\n\
                approvals: {groups: {leads: {idp_group: x}}}\n";
    let manifest = &evidence(&bare(more).expect("reads"))["manifest"];
    assert_eq!(manifest["incident"]["kill_switch"]["agent"]["within"], "5m");
    assert_eq!(manifest["budgets"]["per_minute"], json!({"runs": 60, "tokens": 5}));
    assert_eq!(manifest["audit"]["run_id"], json!({"attribute": "session.id"}));
    let forbidden = &manifest["policy"]["forbidden"];
    assert_eq!(forbidden.as_object().map(serde_json::Map::len), Some(4), "the usual three and one more: {forbidden}");
    assert_eq!(forbidden["close-books"], json!(["settle_*"]));
    assert_eq!(forbidden["transfer-funds"], json!([]), "an empty list is a statement");
    assert_eq!(forbidden["delete-data"][0], "delete_*");
    assert_eq!(manifest["approvals"]["groups"]["leads"]["min"], 1);
}

#[test]
fn the_other_spellings_read_too() {
    let more = "models: {answer: openai/gpt-4o-mini-2024-07-18}\n\
                cost: {single_model: one task, cache: {none: answers differ}}\n\
                data: {classes: {pii: none}, tenancy: {single: true}}\n\
                gate: {confidence: 95%, thresholds: {ramp_interval: 7d, scenario_pass_rate: 97%, category_c: 0}}\n";
    let manifest = bare(more).expect("reads");
    let document = evidence(&manifest);
    assert_eq!(document["manifest"]["models"]["answer"]["id"], "openai/gpt-4o-mini-2024-07-18");
    assert_eq!(document["manifest"]["data"]["classes"]["pii"], "none");
    assert_eq!(document["manifest"]["data"]["tenancy"]["single"], true);
    let thresholds: Vec<f64> = manifest.raw.gate.thresholds.values().map(super::raw::Threshold::value).collect();
    assert_eq!(thresholds, [0.0, 604_800.0, 0.97]);
}

#[test]
fn the_schema_accepts_what_loads_and_is_a_valid_schema() {
    let schema = schema();
    assert!(jsonschema::meta::is_valid(&schema));
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    let validator = jsonschema::validator_for(&schema).expect("compiles");
    let others = ["complete.toml", "minimal.yaml"].map(|name| fixture(name).expect(name));
    for manifest in [complete()].iter().chain(&others) {
        let (name, value) = (&manifest.name, manifest.document.value());
        let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
    }
}

#[test]
fn the_evidence_of_the_minimal_manifest() {
    insta::assert_json_snapshot!(evidence(&fixture("minimal.yaml").expect("reads")));
}

#[test]
fn effects_and_allowances_are_normalised() {
    let document = evidence(&complete());
    let get_order = tool(&document, "get_order");
    assert_eq!((&get_order["effect"], &get_order["effect_from"]), (&json!("read"), &json!("endpoint")));
    assert_eq!(get_order["effect_declared"], false);
    assert_eq!(get_order["allow"], json!({"mode": "auto"}));
    let refund = tool(&document, "issue_refund");
    let bands = json!({"mode": "tiers", "by": "/amount_usd", "auto_up_to": 50.0, "approval_up_to": 300.0});
    assert_eq!((&refund["allow"], &refund["reversible"], &refund["is_write"]), (&bands, &json!(false), &json!(true)));
    assert_eq!(tool(&document, "cancel_refund")["allow"], json!({"mode": "approval"}));
    assert_eq!(tool(&document, "send_decision")["reversible"], false);
    let unknown = evidence(&bare("systems: {s: {}}\ntools: {t: {system: s}}\n").expect("reads"));
    assert_eq!(tool(&unknown, "t")["effect"], "destructive");
}

#[test]
fn credentials_inherit_and_secrets_stay_hidden() {
    let more = "identity: {credential_defaults: {grant: workload-identity, ttl: 15m}}\n\
                systems:\n  s: {credentials: {read: {scopes: [r]}, write: {secret: hunter2, ttl: 5m}}}\n\
                \x20 t: {credentials: {write: {secret: \"env:T\"}}}\n";
    let document = evidence(&bare(more).expect("reads"));
    let found: Vec<_> = ["/credentials/0", "/credentials/1", "/credentials/2"]
        .iter()
        .map(|route| document.pointer(route).expect(route))
        .map(|it| (it["at"].as_str().expect("a place"), it["ttl"].as_str().expect("a ttl"), it["secret"].as_str()))
        .collect();
    assert_eq!(
        found,
        [
            ("/systems/s/credentials/read", "15m", None),
            ("/systems/s/credentials/write", "5m", Some("(written out in the manifest)")),
            ("/systems/t/credentials/write", "15m", Some("env:T")),
        ]
    );
    assert!(!document.to_string().contains("hunter2"));
}

#[test]
fn a_written_out_token_of_the_endpoint_is_no_evidence() {
    let text = "manifest: 1\nagent: {name: a, autonomy: assist}\n\
                endpoint: {url: x, auth: {bearer: hunter2, headers: {X-Api-Key: hunter3, X-Other: \"env:KEY\"}}}\n";
    let document = evidence(&read(text).expect("reads"));
    assert!(!document.to_string().contains("hunter"), "{document}");
    assert_eq!(document["manifest"]["endpoint"]["auth"]["headers"]["X-Other"], "env:KEY");
}

#[test]
fn versions_days_and_endpoints_are_checked() {
    let cases = [
        "manifest: 2\nagent: {name: a, autonomy: assist}\nendpoint: {url: x}\n",
        "manifest: 1\nagent: {name: a, autonomy: asist}\nendpoint: {}\n",
        "manifest: 1\nagent: {name: a, autonomy: assist}\nendpoint: {}\n",
        "manifest: 1\nagent: {name: a, autonomy: assist}\nendpoint: {url: x}\n\
         gate: {waivers: [{check: c, reason: r, approved_by: b, expires: 2027-02-30}]}\n",
        "manifest: 1\nagent: {name: a, autonomy: assist}\nendpoint: {url: x}\nbudgets: {on_exceed: {do: cheaper-model}}\n",
        "manifest: 1\nagent: {name: a, autonomy: assist}\nendpoint: {url: x}\nevals: {trials: 0}\n\
         data: {classes: {pii: no}}\nsystems: {s: {}}\ntools: {t: {system: s, allow: {by: amount}}}\n",
    ];
    let shown: Vec<String> = cases.into_iter().map(|text| shown(read(text))).collect();
    insta::assert_snapshot!(shown.join("\n\n----\n\n"));
}

#[test]
fn five_hundred_tools_load() {
    let mut text = "systems: {s: {}}\ntools:\n".to_owned();
    for number in 0..500 {
        let line = format!("  tool_{number}: {{system: s, effect: write, rollback: {{tool: tool_0}}}}\n");
        text.push_str(&line);
    }
    let manifest = bare(&text).expect("reads");
    assert_eq!(evidence(&manifest)["tools"].as_array().map(Vec::len), Some(500));
    assert_eq!(manifest.locate(&Route::pointer("/tools/tool_499/rollback")).line, 505);
}

#[test]
fn a_stand_in_that_the_gate_does_not_play_is_a_mistake() {
    let with = |value: &str| {
        let text = "manifest: 1\nagent: {name: a, autonomy: assist}\nsystems: {payments: {}}\n";
        shown(read(&format!("{text}endpoint: {{url: \"http://localhost\", stand_ins: {{URL: \"{value}\"}}}}\n")))
    };
    let models = ["gate:model/openai", "gate:model/anthropic"];
    for sound in ["gate:tools", "gate:tools/payments", "gate:otlp", "gate:egress", "x:y"].into_iter().chain(models) {
        assert_eq!(with(sound), "agentready.yaml is sound", "{sound}");
    }
    for (wrong, hint) in [
        ("gate:tool", "did you mean `gate:tools`?"),
        ("gate:model/antropic", "did you mean `gate:model/anthropic`?"),
        ("gate:tools/payment", "did you mean `payments`?"),
        ("gate:inbox", "there is no stand-in `gate:inbox`"),
        ("gate:", "there are `gate:egress`, `gate:model/anthropic`"),
        ("gate:tools/", "did you mean `gate:tools`?"),
    ] {
        let told = with(wrong);
        assert!(told.contains(hint) && told.contains("agentready.yaml:4"), "{wrong}: {told}");
    }
}

#[test]
fn a_header_names_trials_when_it_names_nothing_else() {
    let with = |header: &str| {
        let text = "manifest: 1\nagent: {name: a, autonomy: assist}\n";
        let correlation = format!("correlation: {{header: \"{header}\"}}");
        shown(read(&format!("{text}endpoint: {{url: \"http://localhost\", {correlation}}}\n")))
    };
    assert_eq!(with("X-Case-Id"), "agentready.yaml is sound");
    for (wrong, message) in [
        ("x case", "`x case` is no header name"),
        ("", "`` is no header name"),
        ("Authorization", "`Authorization` has a meaning of its own"),
        ("mcp-session-id", "`mcp-session-id` has a meaning of its own"),
    ] {
        assert!(with(wrong).contains(message), "{wrong}: {}", with(wrong));
    }
}

#[test]
fn what_is_forwarded_names_one_place_and_tools_that_can_be_asked_for_there() {
    let with = |forward: &str| {
        let systems = format!("systems: {{shop: {{forward: {forward}}}, desk: {{}}}}");
        let tools = "tools:\n  get: {system: shop, effect: read, endpoint: GET /orders}\n  list: {system: shop, effect: read}\n  \
                     close: {system: desk, effect: write}";
        shown(bare(&format!("{systems}\n{tools}\n")))
    };
    for sound in [
        "{mcp: \"https://a.example\"}",
        "{run: npx -y @acme/orders}",
        "{http: \"https://a.example\", tools: [get], writes: true, timeout: 5s}",
    ] {
        assert_eq!(with(sound), "agentready.yaml is sound", "{sound}");
    }
    for (wrong, message) in [
        ("{}", "`forward` has no `mcp`, `run` or `http`"),
        ("{mcp: \"https://a.example\", http: \"https://a.example\"}", "`forward` has `mcp` and `http`"),
        ("{mcp: \"https://a.example\", run: ./server}", "`forward` has `mcp` and `run`"),
        ("{run: \" \"}", "`run` is empty"),
        ("{run: ./server, auth: {bearer: \"env:X\"}}", "`auth` is for a URL"),
        ("{mcp: a.example}", "`a.example` is no http or https URL"),
        ("{mcp: \"https://a.example\", tools: [gte]}", "did you mean `get`?"),
        ("{mcp: \"https://a.example\", tools: [close]}", "`close` is a tool of `desk`, not of `shop`"),
        ("{http: \"https://a.example\"}", "`list` is forwarded to an HTTP API and has no `endpoint`"),
        ("{mcp: \"https://a.example\", write: true}", "did you mean `writes`?"),
    ] {
        let told = with(wrong);
        assert!(told.contains(message), "{wrong}: {told}");
    }
}
