//! Which tools wait for a person, and how the manifest, the page on approvals and the evidence of trust agree on it.
//!
//! `facts.approvals.tools` has an entry for each tool that can change something or waits:
//!
//! | key | holds |
//! |---|---|
//! | `waits`, `automatic` | some calls wait for a person; some don't |
//! | `stakes` | `refunds`, `deletes`, `permission-changes`: by its `kinds`, its name, its scopes, its method or its server |
//! | `group`, `group_known`, `group_shown` | who approves; whether the manifest has that group; whether the page names it |
//! | `page`, `at_idp` | whether there is a page; the name of the group at the identity provider |
//! | `hands_over` | it is the tool by which a case goes to a person, and no more than that |
//! | `documented` | the page on approvals names the tool among those that wait |
//! | `hidden` | required arguments that the approver does not see, idempotency keys aside |
//! | `from_template` | the text that it sends comes from a list of templates |
//! | `relaxation` | the step away from approval that is on record, and what stands behind it; `by_author` says that who allowed it changed the manifest last |
//!
//! `facts.approvals` also holds `doc` (`exists`), `others` (tools that the page lists although they don't wait) and
//! `kinds_unsaid` (classes of `approvals.required_for` that the page leaves out). Must not judge.

use std::{collections::BTreeSet, sync::LazyLock};

use regex::Regex;
use serde_json::{Map, Value, json};

use super::{
    Claims, GitSeen, Shelf,
    code::{name_words, stands_in},
    document, is_write, owners,
};
use crate::source::Files;

/// Classes of high stakes, with words that tools and scopes of the class bear.
const STAKES: [(&str, &[&str]); 3] = [
    ("refunds", &["refund", "refunds", "chargeback", "chargebacks", "payout", "payouts", "reimburse"]),
    ("deletes", &["delete", "deletes", "purge", "erase", "destroy", "drop", "wipe", "truncate"]),
    (
        "permission-changes",
        &["grant", "grants", "revoke", "revokes", "role", "roles", "permission", "permissions", "iam", "acl"],
    ),
];

static APPROVED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)(?-u:\d[\d,]*\s+(?:\w+\s+){0,3}(?:approved|granted)\b)|(?-u:\b(?:approved|granted)\b)[^0-9\n]{0,30}[0-9]",
    )
});
static CHANGED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)(?-u:(?:\d[\d,]*|none|no)\s+(?:\w+\s+){0,3}(?:denied|changed|declined|rejected|refused|corrected)\b)|(?-u:\b(?:denied|changed|declined|rejected|refused|corrected)\b)[^0-9\n]{0,30}[0-9]",
    )
});

/// Words for a person who has to agree, and such words denied.
const ASKS: &str = r"\b(?:approv|wait|ask|person|people|human|confirm|held\b|holds?\b|above\b|more than\b)\w*";
static WAITS: LazyLock<Regex> = LazyLock::new(|| pattern(&format!("(?i-u){ASKS}")));
static WAITS_NOT: LazyLock<Regex> =
    LazyLock::new(|| pattern(&format!(r"(?i-u)\b(?:no|not|never|nobody|without)\b[\s,]+(?:\w+[\s,]+)?{ASKS}")));

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the pattern is valid")
}

/// Facts of approvals.
pub(super) fn facts(shelf: &Shelf<'_>, claims: &Claims<'_>, git: Option<&GitSeen>) -> Value {
    let manifest = claims.manifest;
    let page = manifest.pointer("/approvals/doc").and_then(Value::as_str);
    let page = page.and_then(|path| shelf.text(path.split('#').next()?));
    let text = page.as_ref().map_or("", |file| file.text());
    let author = git.and_then(|git| git.last.get(&Files::resolve("", shelf.from)));
    let look = Look { shelf, manifest, page: text, author: author.map(|commit| commit.author.as_str()) };
    let writes = || claims.tools.iter().filter(|tool| is_write(tool) || waits(tool));
    let kinds = manifest.pointer("/approvals/required_for").and_then(Value::as_array).into_iter().flatten();
    let unsaid = kinds
        .filter_map(Value::as_str)
        .filter(|kind| !text.to_lowercase().contains(&kind.replace('-', " ")) && !text.to_lowercase().contains(*kind));
    let others = writes()
        .filter(|tool| !waits(tool))
        .filter_map(name)
        .filter(|tool| names(text, tool, |said| !says_otherwise(said)));
    let facts: [(&str, Value); 5] = [
        ("at", "/approvals".into()),
        ("doc", json!({"exists": page.is_some()})),
        ("tools", writes().map(|tool| look.tool(tool)).collect()),
        ("others", others.collect()),
        ("kinds_unsaid", unsaid.collect()),
    ];
    facts.into_iter().collect()
}

fn name(tool: &Value) -> Option<&str> {
    tool.get("name")?.as_str()
}

fn mode(tool: &Value) -> &str {
    super::mode(tool).unwrap_or_default()
}

fn waits(tool: &Value) -> bool {
    matches!(mode(tool), "approval" | "tiers")
}

fn has_auto_band(tool: &Value) -> bool {
    mode(tool) == "tiers"
        && tool
            .get("allow")
            .and_then(|allow| allow.get("auto_up_to"))
            .and_then(Value::as_f64)
            .is_none_or(|most| most > 0.0)
}

struct Look<'a> {
    shelf: &'a Shelf<'a>,
    manifest: &'a Value,
    page: &'a str,
    /// Who changed the manifest last.
    author: Option<&'a str>,
}

impl Look<'_> {
    fn tool(&self, tool: &Value) -> Value {
        let name = name(tool).unwrap_or_default();
        let group = tool.get("approvers").or_else(|| self.manifest.pointer("/approvals/default_group"));
        let group = group.and_then(Value::as_str);
        let known = group.and_then(|group| self.manifest.pointer("/approvals/groups")?.get(group));
        let schema =
            tool.get("input_schema").and_then(Value::as_str).and_then(|path| document::shared(self.shelf, path));
        json!({
            "name": name,
            "at": tool.get("at"),
            "effect": tool.get("effect"),
            "effect_from": tool.get("effect_from"),
            "mode": mode(tool),
            "allow": tool.get("allow"),
            "kinds": tool.get("kinds"),
            "destination": tool.get("destination"),
            "reversible": tool.get("reversible"),
            "waits": waits(tool),
            "automatic": mode(tool) == "auto" || has_auto_band(tool),
            "stakes": if is_write(tool) { stakes(tool) } else { Vec::new() },
            "group": group,
            "group_known": known.is_some(),
            "group_shown": group.is_some_and(|group| stands_in(self.page, group)),
            "page": !self.page.is_empty(),
            "at_idp": known.and_then(|known| known.get("idp_group")),
            "hands_over": self.hands_over(tool),
            "documented": names(self.page, name, |text| !says_otherwise(text) || says_who_waits(text)),
            "hidden": schema.as_deref().map(|schema| self.hidden(tool, schema)),
            "from_template": schema.as_deref().is_some_and(is_from_template),
            "relaxation": self.relaxation(name),
        })
    }

    /// Asking a person whether a person may be asked makes no sense; what destroys or has bands does more than that.
    fn hands_over(&self, tool: &Value) -> bool {
        let named = self.manifest.pointer("/handoff/tool").and_then(Value::as_str);
        let is_harmless =
            || tool.get("effect").and_then(Value::as_str) != Some("destructive") && stakes(tool).is_empty();
        named.is_some() && named == name(tool) && mode(tool) != "tiers" && is_harmless()
    }

    fn hidden(&self, tool: &Value, schema: &Value) -> Vec<String> {
        let shown = self.manifest.pointer("/approvals/preview").and_then(Value::as_array);
        let shown: Vec<&str> = shown.into_iter().flatten().filter_map(Value::as_str).collect();
        let key = tool.get("idempotency_key").and_then(Value::as_str).unwrap_or_default().trim_start_matches('/');
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        let required = required.filter_map(Value::as_str).filter(|name| *name != key && !shown.contains(name));
        required.map(str::to_owned).collect()
    }

    /// Whether a table of the page counts approved, and changed or denied, requests in a row that names the tool.
    fn is_tabled(&self, path: &str, tool: &str) -> bool {
        let page = document::facts(self.shelf, path);
        let rows = page.get("rows").and_then(Value::as_array);
        let counts = |row: &Map<String, Value>, column: &str| {
            row.get(column).is_some_and(|cell| {
                cell.is_number() || cell.as_str().is_some_and(|text| text.trim().parse::<u64>().is_ok())
            })
        };
        rows.into_iter().flatten().filter_map(Value::as_object).any(|row| {
            row.values().filter_map(Value::as_str).any(|cell| stands_in(cell, tool))
                && counts(row, "approved")
                && (counts(row, "changed") || counts(row, "denied"))
        })
    }

    fn relaxation(&self, tool: &str) -> Value {
        let list = self.manifest.pointer("/approvals/relaxations").and_then(Value::as_array).into_iter().flatten();
        let Some(one) = list.into_iter().find(|one| one.get("tool").and_then(Value::as_str) == Some(tool)) else {
            return json!({"given": false});
        };
        let text = |key: &str| one.get(key).and_then(Value::as_str);
        let evidence = text("evidence").and_then(|path| self.shelf.text(path.split('#').next()?));
        let said = evidence.as_ref().map_or("", |file| file.text());
        let full =
            ["to", "since", "approved_by", "evidence"].iter().all(|key| text(key).is_some_and(|text| !text.is_empty()));
        json!({
            "given": true,
            "full": full,
            "evidence": text("evidence"),
            "approved_by": text("approved_by"),
            "exists": evidence.is_some(),
            "names_tool": stands_in(said, tool),
            "counted": APPROVED.is_match(said) && CHANGED.is_match(said) || text("evidence").is_some_and(|path| self.is_tabled(path, tool)),
            "by_author": self.author.is_some() && text("approved_by") == self.author,
            "by_owner": text("approved_by").is_some_and(|who| owners::is_owner(self.shelf, who)),
        })
    }
}

/// The classes that a tool belongs to, by what it says of itself, its name and its scopes.
fn stakes(tool: &Value) -> Vec<&'static str> {
    let list = |key: &str| tool.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let words: BTreeSet<String> = list("scopes").chain(name(tool)).flat_map(name_words).collect();
    let text = |key: &str| tool.get(key).and_then(Value::as_str).unwrap_or_default();
    // What a server calls destructive, or a method; an effect that is not known counts as destructive, which says nothing.
    let is_delete = text("effect") == "destructive" && ["server", "endpoint"].contains(&text("effect_from"));
    let holds = |(kind, names): &(&str, &[&str])| {
        list("kinds").any(|own| own == *kind)
            || names.iter().any(|word| words.contains(*word))
            || is_delete && *kind == "deletes"
    };
    STAKES.iter().filter(|class| holds(class)).map(|(kind, _)| *kind).collect()
}

/// Arguments that hold what the model writes.
const FREE_TEXTS: [&str; 9] = ["body", "text", "message", "content", "html", "subject", "note", "comment", "markdown"];

/// Whether what is sent is one of a list of templates, and nothing is written beside it.
fn is_from_template(schema: &Value) -> bool {
    let properties = schema.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::iter);
    let required = schema.get("required").and_then(Value::as_array);
    let is_required = |name: &str| required.is_some_and(|names| names.iter().any(|one| one.as_str() == Some(name)));
    let is_listed = |property: &Value| property.get("enum").is_some() || property.get("const").is_some();
    let mut is_chosen = false;
    for (name, property) in properties {
        is_chosen |= name.contains("template") && is_required(name) && is_listed(property);
        if !is_listed(property) && name_words(name).iter().any(|word| FREE_TEXTS.contains(&word.as_str())) {
            return false;
        }
    }
    is_chosen
}

fn says_otherwise(text: &str) -> bool {
    const OTHERWISE: [&str; 5] = ["automatic", "without", "no approval", "never", "relax"];
    OTHERWISE.iter().any(|word| text.to_lowercase().contains(word))
}

fn says_who_waits(text: &str) -> bool {
    WAITS.is_match(&WAITS_NOT.replace_all(text, ""))
}

/// Whether a page names a tool in a paragraph or a row of a table that tells of waiting, under a heading that does.
fn names(page: &str, tool: &str, tells: impl Fn(&str) -> bool) -> bool {
    let mut exempt = false;
    let mut paragraph = String::new();
    for line in page.lines().chain([""]) {
        let ends = line.trim().is_empty() || line.starts_with(['#', '|', '-', '*']);
        if ends {
            if !exempt && stands_in(&paragraph, tool) && tells(&paragraph) {
                return true;
            }
            paragraph.clear();
        }
        if line.starts_with('#') {
            exempt = !tells(line);
        } else {
            paragraph.push_str(line);
            paragraph.push('\n');
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        APPROVED, CHANGED, Claims, GitSeen, Shelf, facts, is_from_template, names, says_otherwise, says_who_waits,
        stakes, stands_in,
    };
    use crate::source::Files;

    #[test]
    fn who_relaxes_a_tool_is_held_against_who_changed_the_manifest() {
        let manifest = json!({"approvals": {"relaxations": [{"tool": "pay", "approved_by": "lead@acme.example"}]}});
        let evidence = json!({"tools": [{"name": "pay", "is_write": true, "allow": {"mode": "auto"}}]});
        let files = Files::texts(std::collections::BTreeMap::new());
        let shelf = Shelf::new(&files, "bot/agentready.yaml");
        for (author, expected) in [("lead@acme.example", true), ("dev@acme.example", false)] {
            let last = json!({"last": {"bot/agentready.yaml":
                {"id": "1", "on": "2026-11-01", "author": author, "signature": "N"}}});
            let git: GitSeen = serde_json::from_value(last).expect("an answer of git");
            let found = facts(&shelf, &Claims::new(&manifest, &evidence), Some(&git));
            assert_eq!(found["tools"][0]["relaxation"]["by_author"], expected, "{author}: {found}");
        }
    }

    #[test]
    fn stakes_come_from_kinds_names_and_scopes() {
        for (tool, expected) in [
            (json!({"name": "pay_back", "kinds": ["refunds"]}), vec!["refunds"]),
            (json!({"name": "issue_refund"}), vec!["refunds"]),
            (json!({"name": "purge_cache"}), vec!["deletes"]),
            (json!({"name": "add_member", "scopes": ["iam:write"]}), vec!["permission-changes"]),
            (json!({"name": "update_ticket", "scopes": ["tickets:write"]}), vec![]),
            (json!({"name": "undeleted_items"}), vec![]),
            (json!({"name": "issueRefund"}), vec!["refunds"]),
            (json!({"name": "deleteCustomer"}), vec!["deletes"]),
            (json!({"name": "grantIAMRole"}), vec!["permission-changes"]),
            (json!({"name": "close", "effect": "destructive", "effect_from": "server"}), vec!["deletes"]),
            (json!({"name": "close", "effect": "destructive", "effect_from": "unknown"}), vec![]),
        ] {
            assert_eq!(stakes(&tool), expected, "{tool}");
        }
    }

    #[test]
    fn a_page_lists_a_tool_unless_it_says_otherwise() {
        for (page, listed, documented) in [
            ("| `pay` | always |", true, true),
            ("Pay is done by `pay`.", true, true),
            ("`pay` is\nnever allowed.", false, false),
            ("## What is automatic\n\n`pay` runs at once.", false, false),
            ("## What is automatic\n\n`pay` never waits for a person.", false, false),
            ("## What is automatic\n\n`pay` waits for a person above 50 USD.", false, false),
            ("## Automatic\nx\n## Waits\n- pay", true, true),
            ("`pay` is automatic up to 50 USD; above, a person decides.", false, true),
            ("`pay` runs without any approval.", false, false),
            ("`repay` waits", false, false),
            ("`pay-out` waits", false, false),
        ] {
            assert_eq!(names(page, "pay", |text| !says_otherwise(text)), listed, "{page}");
            let tells = |text: &str| !says_otherwise(text) || says_who_waits(text);
            assert_eq!(names(page, "pay", tells), documented, "{page}");
        }
        assert!(stands_in("(pay)", "pay") && !stands_in("pay_all", "pay") && !stands_in("", ""));
    }

    #[test]
    fn a_template_with_a_text_beside_it_is_no_template() {
        let schema = |more: serde_json::Value| {
            let mut properties = json!({"template": {"enum": ["a", "b"]}, "to": {"type": "string"}});
            properties.as_object_mut().expect("a map").extend(more.as_object().cloned().unwrap_or_default());
            json!({"required": ["template"], "properties": properties})
        };
        for (more, expected) in [
            (json!({}), true),
            (json!({"subject": {"enum": ["x"]}}), true),
            (json!({"body": {"type": "string"}}), false),
            (json!({"mailText": {"type": "string"}}), false),
            (json!({"template": {"type": "string"}}), false),
        ] {
            assert_eq!(is_from_template(&schema(more.clone())), expected, "{more}");
        }
    }

    #[test]
    fn counts_are_read_from_prose() {
        for (text, expected) in [
            ("842 requests were approved, 4 changed", (true, true)),
            ("Approved: 842. Denied: 3.", (true, true)),
            ("612 approved; no refund was changed", (true, true)),
            ("everything was approved", (false, false)),
        ] {
            assert_eq!((APPROVED.is_match(text), CHANGED.is_match(text)), expected, "{text}");
        }
    }
}
