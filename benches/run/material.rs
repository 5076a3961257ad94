//! Manifests and scenarios of any size.

use std::fmt::Write as _;

/// A complete manifest with this many tools, half of them writes: the demo's with more tools.
pub(crate) fn manifest(tools: usize) -> String {
    let demo = include_str!("../../fixtures/demo/agentready.yaml");
    let (head, tail) = demo.split_once("\nhandoff:\n").expect("the demo's manifest has a handoff");
    let evals = tail.split_once("  golden: [").and_then(|(_, rest)| rest.split_once("  golden_sources:"));
    let (named, _) = evals.expect("the demo's manifest names its golden scenarios");
    let tail = tail.replace(&format!("  golden: [{named}"), "  golden: [golden/*.yaml]\n");
    let attacks =
        tail.lines().find(|line| line.starts_with("  adversarial:")).expect("the demo's manifest has attacks");
    let tail = tail.replace(&format!("{attacks}\n"), "");
    let mut text = head.to_owned();
    for number in 0..tools {
        let tool = if number % 2 == 0 {
            format!(
                "\n  read_{number}: {{system: shop, effect: read, endpoint: \"GET /orders/{number}\", \
                 input_schema: schemas/get_order.json, example: {{order_id: A-1001}}}}"
            )
        } else {
            format!(
                "\n  write_{number}:\n    system: helpdesk\n    effect: write\n    scopes: [tickets:write]\n    \
                 endpoint: POST /tickets/{number}\n    input_schema: schemas/update_ticket.json\n    \
                 example: {{ticket_id: T-101, status: solved}}\n    allow: auto\n    idempotent: true\n    \
                 side_effect_id: /audit_id\n    rollback: {{tool: update_ticket, restore: previous}}"
            )
        };
        text.push_str(&tool);
    }
    format!("{text}\nhandoff:\n{tail}")
}

/// A small manifest of an agent at `url`.
pub(crate) fn small(url: &str, rate: Option<u32>) -> String {
    let rate = rate.map_or_else(String::new, |rate| format!("\n  rate: {rate}/s"));
    format!(
        "manifest: 1\n\
         agent: {{name: reader, workflow: Answers, purpose: Say the status of a record., autonomy: read-only, \
         owner: {{team: records, on_call: \"pagerduty:P1\"}}}}\n\
         endpoint:\n  url: \"{url}\"{rate}\n  request: {{body: {{message: \"{{{{ prompt }}}}\", session: \"{{{{ trial.id }}}}\"}}}}\n  \
         response: {{answer: body.answer, usage: body.usage}}\n\
         models: {{answer: bench/rules-2026-11-01}}\n\
         identity: {{issuer: \"https://id.example\", subject: svc-reader}}\n\
         systems: {{records: {{credentials: {{read: {{scopes: [records:read]}}}}}}}}\n\
         tools: {{get_record: {{system: records, effect: read}}}}\n\
         handoff: {{queue: \"desk:records\"}}\n\
         evals: {{golden: [golden/*.yaml]}}\n"
    )
}

/// One-turn scenarios, numbered from `first`.
pub(crate) fn scenarios(first: usize, count: usize) -> String {
    let mut text = "suite: golden\nscenarios:\n".to_owned();
    for number in first..first + count {
        writeln!(
            text,
            "  record-{number}: {{say: \"What is the status of record {number}?\", expect: [{{answer: {{contains: [open]}}}}]}}"
        )
        .expect("a text takes what is written");
    }
    text
}
