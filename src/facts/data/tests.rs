//! Facts on data over the manifest and files of a small repository in memory.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};

use crate::{
    facts::{Options, collect},
    manifest,
    source::Files,
};

const HEAD: &str = "manifest: 1\nagent: {name: a, autonomy: assist}\nendpoint: {url: \"http://localhost:1\"}\n";

/// `facts.data` of a manifest and the files beside it.
fn data(manifest: &str, files: &[(&str, &str)]) -> Value {
    let text = format!("{HEAD}{manifest}");
    let texts: BTreeMap<String, Arc<str>> = files
        .iter()
        .copied()
        .chain([("agentready.yaml", text.as_str())])
        .map(|(name, text)| (name.to_owned(), Arc::from(text)))
        .collect();
    let files = Files::texts(texts);
    let manifest = manifest::load(&files, "agentready.yaml").expect("the manifest loads");
    let options = Options { manifest: "agentready.yaml".to_owned(), ..Options::default() };
    collect(&files, &manifest::evidence(&manifest), &options)["data"].clone()
}

fn named<'a>(list: &'a Value, name: &str) -> &'a Value {
    list.as_array().expect("a list").iter().find(|entry| entry["name"] == name).unwrap_or(&Value::Null)
}

#[test]
fn why_redaction_is_not_shown_is_said_in_words() {
    let rule = "redaction: 1\nrules:\n  - {class: secrets, name: key, pattern: 'key-[0-9]+', finds: [key-1], leaves: [keys]}\n";
    let used = "used_by: {model: client.py}\n";
    let wired = format!("{rule}{used}");
    for (rules, client, trouble, fault) in [
        (Some(wired.as_str()), "load('config/rules.yaml')", None, None),
        (None, "", Some("rules.yaml does not exist"), None),
        (Some(rule), "", Some("rules.yaml does not say where it is used for that (`used_by.model`)"), None),
        (
            Some(&wired),
            "load('other.yaml')",
            Some("client.py, which is said to use rules.yaml, does not name it"),
            None,
        ),
        (Some("- a list\n"), "", Some("what rules.yaml does can't be told, its rules are in another form"), None),
        (Some(&wired.replace("secrets", "pii")), "rules.yaml", None, Some("rules.yaml has no rule for it")),
        (Some(&wired.replace("[key-1]", "[]")), "rules.yaml", None, Some("the rule `key` has no test (`finds`)")),
        (Some(&wired.replace("[key-1]", "[key-x]")), "rules.yaml", None, Some("`key` misses one of its own tests")),
        (Some(&wired.replace("[key-1]", "[key-1x]")), "rules.yaml", None, Some("`key` misses one of its own tests")),
        (
            Some(&wired.replace("[keys]", "[key-22]")),
            "rules.yaml",
            None,
            Some("`key` takes `key-22`, which it must leave"),
        ),
        (
            Some(&wired.replace("-[0-9]+", "-[")),
            "rules.yaml",
            None,
            Some("the pattern of `key` is not a regular expression"),
        ),
    ] {
        let mut files = vec![("client.py", client)];
        files.extend(rules.map(|rules| ("rules.yaml", rules)));
        let facts = data("data: {redaction: rules.yaml}\n", &files);
        assert_eq!(facts["rules"][0]["trouble"]["model"].as_str(), trouble, "{rules:?}");
        assert_eq!(named(&facts["classes"], "secrets")["fault"].as_str(), fault, "{rules:?}");
    }
    assert_eq!(data("data: {}\n", &[])["rules"][0]["trouble"]["tools"], "`data.redaction` names no rules");
}

#[test]
fn only_what_runs_can_be_said_to_use_the_rules() {
    let rules = |file: &str| format!("used_by: {{model: {file}}}\nrules: []\n");
    for (file, text, refers) in [
        ("src/client.py", "load('config/rules.yaml')", true),
        ("src/client.py", "load('config/other-rules.yaml')", false),
        ("src/client.py", "pass # TODO rules.yaml", false),
        ("config/client.yaml", "# rules: rules.yaml\nrules: other.yaml\n", false),
        ("config/client.yaml", "rules: ../config/rules.yaml\n", true),
        ("README.md", "See rules.yaml.", false),
        ("tests/client.py", "load('rules.yaml')", false),
        ("config/rules.yaml", "", false),
        ("agentready.yaml", "", false),
        ("gone.py", "", false),
    ] {
        let own = rules(file);
        let files: Vec<(&str, &str)> = [("config/rules.yaml", own.as_str())]
            .into_iter()
            .chain((!text.is_empty()).then_some((file, text)))
            .collect();
        let facts = data("data: {redaction: config/rules.yaml}\n", &files);
        assert_eq!(facts["redaction"]["used_by"]["model"]["refers"], json!(refers), "{file}: {text}");
        let cached =
            data(&format!("data: {{redaction: config/rules.yaml}}\ncost: {{cache: {{config: {file}}}}}\n"), &files);
        assert_eq!(cached["cache"]["redacts"], json!(refers), "{file}: {text}");
    }
}

#[test]
fn fields_that_look_like_data_belong_to_a_class_or_are_told() {
    let manifest = "systems: {mail: {}, payments: {openapi: pay.yaml}, hr: {}}\ntools:\n  \
        send: {system: mail, effect: external-send, input_schema: send.json, allow: auto}\n  \
        note: {system: mail, effect: write, input_schema: note.json, example: {card: 4111 1111 1111 1111}}\n  \
        pay: {system: payments, endpoint: GET /pay}\n  \
        gone: {system: mail, effect: write, input_schema: note.json, allow: never}\n\
        data: {classes: {pii: {match: [e-mail], tools: [send]}, staff: none}}\n";
    let facts = data(
        manifest,
        &[
            ("send.json", "{\"properties\": {\"to\": {\"format\": \"email\"}}}"),
            ("note.json", "{\"properties\": {\"customerEmail\": {}, \"dob\": {}, \"template\": {}}}"),
            (
                "pay.yaml",
                "paths: {/pay: {get: {responses: {'200': {content: {application/json: {schema: {properties: {iban: {}, id: {}}}}}}}}}}\n",
            ),
        ],
    );
    let told: Vec<String> = facts["uncovered"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|entry| format!("{} {} {} {}", entry["tool"], entry["name"], entry["looks"], entry["at"]).replace('"', ""))
        .collect();
    assert_eq!(
        told,
        [
            "note dob birth-date /tools/note",
            "note card pan /tools/note",
            "pay iban bank-account /tools/pay",
            "null payments payment data /systems/payments",
        ]
    );
    assert_eq!(
        facts["exports"],
        json!([{"name": "note", "at": "/tools/note", "field": "customerEmail", "class": "pii"}])
    );
    assert_eq!(facts["unneeded"][0]["name"], "iban");
    assert_eq!(facts["external"].as_array().map(Vec::len), Some(1));
    assert_eq!(facts["external"][0]["classes"], json!(["pii"]));
}

#[test]
fn an_export_of_the_server_describes_tools_too() {
    let manifest = "systems: {kb: {mcp: kb.json, retrieval: true}, shop: {openapi: shop.yaml}}\ntools:\n  \
        search: {system: kb, effect: read}\n  get_order: {system: shop, endpoint: \"GET /orders/{id}\"}\n";
    let export = json!({"result": {"tools": [{"name": "search", "inputSchema": {"properties": {"query": {}, "tenant_id": {}}},
        "outputSchema": {"properties": {"author_email": {}}}}]}});
    let shop =
        "paths: {\"/orders/{order_id}\": {parameters: [{name: order_id}], get: {parameters: [{name: buyer_email}]}}}\n";
    let facts = data(manifest, &[("kb.json", &export.to_string()), ("shop.yaml", shop)]);
    let kb = named(&facts["sources"], "kb");
    assert_eq!((&kb["described"], &kb["filters"]), (&json!(true), &json!(["tenant_id"])));
    assert_eq!(named(&facts["uncovered"], "author_email")["taken"], json!(false));
    assert_eq!(named(&facts["uncovered"], "buyer_email")["tool"], "get_order");
    let unknown = data("systems: {kb: {retrieval: true}}\ntools: {search: {system: kb, effect: read}}\n", &[]);
    assert_eq!(named(&unknown["sources"], "kb")["described"], json!(false));
}

#[test]
fn companies_that_get_data_are_found_where_the_manifest_leads_to_them() {
    let manifest = "models: {a: {id: anthropic/claude-x}, b: gpt-4o-mini-2024-07-18, c: {id: bedrock/llama}}\n\
        observability: {metrics: \"https://api.datadoghq.eu/v1\"}\n\
        evals: {judge: {model: openai/gpt-4.1}}\n\
        data:\n  doc: d.md\n  residency: [eu]\n  classes: {pii: {match: [email], model: tokenized}, card: {match: [pan], model: never}}\n  \
        processors:\n    OpenAI: {sends: [emails of buyers, the pan], region: eu, trains: false, contract: c.txt}\n    \
        aws-bedrock: {sends: [tokenized email], region: us}\n";
    let facts = data(manifest, &[("d.md", "openai: eu\n"), ("c.txt", "We never TRAIN on it.")]);
    let list = &facts["processors"];
    let openai = named(list, "OpenAI");
    assert_eq!(openai["used_for"], json!(["models.b", "evals.judge.model"]));
    for key in ["in_doc", "region_in_doc", "within", "contract_exists", "contract_on_training"] {
        assert_eq!(openai[key], json!(true), "{key}");
    }
    assert_eq!((&openai["forbidden"], &openai["clear"]), (&json!(["card"]), &json!([])));
    let bedrock = named(list, "aws-bedrock");
    assert_eq!((&bedrock["within"], &bedrock["used_for"]), (&json!(false), &json!(["models.c"])));
    assert_eq!(bedrock["clear"], json!([]));
    for (id, maker) in [
        ("anthropic.claude-sonnet-4-5-20250929-v1:0", "anthropic"),
        ("us.anthropic.claude-opus-4-7", "anthropic"),
        ("ft:gpt-4o-mini-2024-07-18:acme", "openai"),
        ("o4-mini-2025-04-16", "openai"),
        ("grok-4-0709", "xai"),
        ("house-model-2", "house-model-2"),
    ] {
        let found = data(&format!("models: {{a: {{id: \"{id}\"}}}}\n"), &[]);
        assert_eq!(named(&found["processors"], maker)["listed"], json!(false), "{id}: {}", found["processors"]);
    }
    let own = data(
        "models: {a: acme-large-2}\ndata: {processors: {Acme: {sends: [x], region: us-east-1}}, residency: [us]}\n",
        &[],
    );
    assert_eq!(own["processors"].as_array().map(Vec::len), Some(1));
    assert_eq!(named(&own["processors"], "Acme")["within"], json!(true));
    for (page, region, contract, trains) in [
        ("Contact us. openai gets tickets.", "us", "We may train on your data.", false),
        ("openai gets tickets.\n\n# Mail\nin the us", "us", "{\"train_on_data\": false}", true),
        ("# OpenAI\n\nIts region is `us`.", "us", "Training: opt in only.", true),
        ("| openai | us |", "us", "They do not\ntrain on it.", true),
    ] {
        let manifest = format!(
            "data: {{doc: d.md, processors: {{openai: {{sends: [x], region: {region}, trains: false, contract: c.json}}}}}}\n"
        );
        let found = data(&manifest, &[("d.md", page), ("c.json", contract)]);
        let openai = named(&found["processors"], "openai");
        assert_eq!(openai["region_in_doc"], json!(page.starts_with("# O") || page.starts_with('|')), "{page}");
        assert_eq!(openai["contract_on_training"], json!(trains), "{contract}");
    }
    for (name, at) in [("anthropic", "/models/a"), ("datadog", "/observability/metrics")] {
        assert_eq!((&named(list, name)["listed"], &named(list, name)["at"]), (&json!(false), &json!(at)));
    }
}

#[test]
fn windows_are_found_in_files_of_any_form() {
    for (name, text, found) in [
        ("r.yaml", "payloads: 14d\n", vec![1_209_600.0]),
        ("r.yaml", "payloads: {days: 14}\n", vec![1_209_600.0]),
        ("r.yaml", "stores: {t: {keeps: payloads, for: 336h}, m: {keeps: metadata, for: 400d}}\n", vec![1_209_600.0]),
        ("r.json", "{\"Rules\": [{\"keeps\": \"payloads\", \"Expiration\": {\"Days\": 7}}]}", vec![604_800.0]),
        ("r.toml", "[payload]\nretention_days = 3\nowner = \"ops\"\n", vec![259_200.0]),
        ("r.yaml", "payloads: {ttl: 600}\n", vec![600.0]),
        ("r.yaml", "payloads: {ttl_seconds: 600, max_age_s: 300}\n", vec![600.0, 300.0]),
        ("r.yaml", "payloads: soon\n", vec![]),
        ("r.yaml", "payload_count: 14\n", vec![]),
    ] {
        let facts = data(&format!("data: {{retention: {{payloads: 14d, config: {name}}}}}\n"), &[(name, text)]);
        let window = named(&facts["retention"]["windows"], "payloads");
        assert_eq!(window["found"], json!(found), "{text}");
        assert_eq!(window["agrees"], json!(found == [1_209_600.0]), "{text}");
    }
}

#[test]
fn sources_frameworks_tenants_and_caches_are_looked_into() {
    let manifest = "systems: {kb: {retrieval: true, resources: [x]}, desk: {}, shop: {}}\ntools:\n  \
        search: {system: kb, effect: read, input_schema: s.json}\n  read_tickets: {system: desk, effect: read}\n  \
        get_order: {system: shop, effect: read}\n\
        cost: {cache: {config: c.yaml, key: [org_id]}}\n\
        data:\n  classes: {cardholder: {match: [pan], model: never}, health: {match: [diagnosis], model: never}}\n  redaction: r.yaml\n  \
        tenancy: {key: org_id, storage: \"s3://x/\", logs: \"l/{tenant}\"}\n  \
        retrieval: {kb: {writers: staff, reviewed: 2026-10-01, review: k.md}}\n  frameworks: {pci-dss: p.md}\n";
    let facts = data(
        manifest,
        &[
            ("s.json", "{\"properties\": {\"query\": {}, \"collectionId\": {}, \"orgId\": {}, \"workspaces\": {}}}"),
            ("k.md", "The kb is trusted little; planted instructions end at policy."),
            (
                "p.md",
                "2026-10-01\n\n| Control | Checks | Why |\n|-|-|-|\n| 1 | data/residency | |\n| 2 | | not ours |\n| 3 | | |\n",
            ),
            ("c.yaml", "ttl: 2h\nrules: r.yaml\nby: org_id\n"),
            (".github/CODEOWNERS", "* @a/devs\n/p.md @a/privacy-office\n"),
        ],
    );
    let names: Vec<&str> =
        facts["sources"].as_array().expect("a list").iter().filter_map(|s| s["name"].as_str()).collect();
    assert_eq!(names, ["desk", "kb"]);
    let kb = named(&facts["sources"], "kb");
    assert_eq!(kb["filters"], json!(["collectionId", "orgId", "workspaces"]));
    assert_eq!(kb["page"], json!({"exists": true, "names": true, "trust": true, "orders": true}));
    assert_eq!(named(&facts["sources"], "desk")["tools"], json!(["read_tickets"]));
    let pci = named(&facts["frameworks"], "pci-dss");
    assert_eq!(
        (&pci["checks"], &pci["loose"], &pci["owned"]),
        (&json!(["data/residency"]), &json!(["3"]), &json!(true))
    );
    assert_eq!(named(&facts["frameworks"], "hipaa")["because"], "health");
    assert_eq!(
        facts["tenancy"],
        json!({"key": "org_id", "single": false, "storage": false, "logs": true, "used_in": ["c.yaml"]})
    );
    assert_eq!(
        facts["cache"],
        json!({"path": "c.yaml", "exists": true, "readable": true, "seconds": 7200.0, "redacts": true, "by_tenant": true})
    );
}
