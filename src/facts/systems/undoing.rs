//! The tools that are named as the way back of others.
//!
//! `facts.undoing` has an entry per such tool that is listed, by its name: its `system`, whether it `writes`, whether it may
//! be called (`runs`), its `input_schema` and `side_effect_id` where there is one, the tool that in turn is `undone_by` it, and
//! whether its credential lacks a scope that it needs (`ungranted`). Must not judge.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::facts::{Claims, is_write, may_run};

/// `facts.undoing`; the tools are those of the evidence, with what their servers say counted in.
pub(super) fn facts(claims: &Claims<'_>, grants: &Value) -> Value {
    let way = |tool: &Value| Some(tool.pointer("/rollback/tool")?.as_str()?.to_owned());
    let named: BTreeSet<String> = claims.tools.iter().filter_map(way).collect();
    let missing =
        grants.as_array().into_iter().flatten().filter_map(|grant| grant.get("missing")?.as_array()).flatten();
    let ungranted: BTreeSet<&str> = missing.filter_map(|one| one.get("tool")?.as_str()).collect();
    let entry = |tool: &Value| {
        let name = tool.get("name")?.as_str().filter(|name| named.contains(*name))?;
        let mut fact = json!({
            "system": tool.get("system"),
            "writes": is_write(tool),
            "runs": may_run(tool),
            "ungranted": ungranted.contains(name),
        });
        for (key, value) in [
            ("input_schema", tool.get("input_schema")),
            ("side_effect_id", tool.get("side_effect_id")),
            ("undone_by", tool.pointer("/rollback/tool")),
        ] {
            if let (Some(fact), Some(value)) = (fact.as_object_mut(), value) {
                fact.insert(key.to_owned(), value.clone());
            }
        }
        Some((name.to_owned(), fact))
    };
    claims.tools.iter().filter_map(entry).collect::<Map<_, _>>().into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Claims, facts};

    #[test]
    fn what_undoes_another_tool_is_told_with_what_it_can_do() {
        let evidence = json!({"tools": [
            {"name": "pay", "system": "shop", "is_write": true, "rollback": {"tool": "cancel"}},
            {"name": "cancel", "system": "shop", "is_write": true, "input_schema": "offered.json", "rollback": {"tool": "pay"}},
            {"name": "look", "system": "shop", "is_write": false, "rollback": {"tool": "nothing"}},
        ]});
        let grants = json!([{"missing": [{"tool": "cancel", "scope": "pay:cancel"}]}]);
        let found = facts(&Claims::new(&evidence, &evidence), &grants);
        assert_eq!(
            found.as_object().map(|map| map.keys().cloned().collect()),
            Some(vec!["pay".to_owned(), "cancel".to_owned()])
        );
        let cancel = &found["cancel"];
        assert_eq!((&cancel["input_schema"], &cancel["undone_by"]), (&json!("offered.json"), &json!("pay")));
        assert_eq!(
            (&cancel["writes"], &cancel["runs"], &cancel["ungranted"]),
            (&json!(true), &json!(true), &json!(true))
        );
    }
}
