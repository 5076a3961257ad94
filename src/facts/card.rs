//! The agent's A2A card (`agent.card`): a file, or fetched by the caller.
//!
//! `facts.card`: whether it is `given` and `opened`, `why` not, its `name` and `version`, and in `text` what it says of
//! the agent and its skills, in lower case.

use serde_json::{Value, json};

use super::{Claims, Fetched, Shelf, document};

/// `facts.card`.
pub(super) fn facts(shelf: &Shelf<'_>, claims: &Claims<'_>, fetched: &Fetched) -> Value {
    let Some(place) = claims.manifest.pointer("/agent/card").and_then(Value::as_str) else {
        return json!({"given": false, "opened": false});
    };
    let card = if place.contains("://") {
        fetched.documents.get(place).cloned().unwrap_or_else(|| Err("was not asked for".to_owned()))
    } else {
        document::value(shelf, place).ok_or_else(|| "can't be opened as JSON".to_owned())
    };
    let card = match card {
        Ok(card) if card.get("name").is_some_and(Value::is_string) => card,
        Ok(_) => return json!({"given": true, "opened": false, "why": "names no agent"}),
        Err(why) => return json!({"given": true, "opened": false, "why": why}),
    };
    let skills = card.get("skills").and_then(Value::as_array).into_iter().flatten();
    let said = std::iter::once(&card).chain(skills).flat_map(|one| [one.get("name"), one.get("description")]).flatten();
    let text: Vec<&str> = said.filter_map(Value::as_str).collect();
    json!({
        "given": true,
        "opened": true,
        "name": card.get("name"),
        "version": card.get("version"),
        "text": document::searched(&text.join("\n")),
    })
}
