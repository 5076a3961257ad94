//! What a tool returned, held against what was asked for: another record, a missing field or a wrong type is no fact.
//! Pure; must not decide what follows from it.

use serde_json::Value;

/// What a record must bear before anything rests on it.
struct Needs {
    tool: &'static str,
    /// The argument that names the record, which bears it as `id`.
    id: &'static str,
    texts: &'static [&'static str],
    numbers: &'static [&'static str],
}

const NEEDS: &[Needs] = &[
    Needs { tool: "get_charge", id: "charge_id", texts: &["currency"], numbers: &["amount_usd", "refunded_usd"] },
    Needs {
        tool: "get_order",
        id: "order_id",
        texts: &["charge_id", "currency", "customer", "customer_email", "status"],
        numbers: &["days_since_delivery"],
    },
    Needs { tool: "read_mail", id: "ticket_id", texts: &["thread"], numbers: &[] },
    Needs {
        tool: "read_ticket",
        id: "ticket_id",
        texts: &["channel", "kind", "order", "requester", "status"],
        numbers: &[],
    },
];

/// Why a result can't be relied on; nothing when it can.
pub(super) fn flaw_in(tool: &str, args: &Value, result: &Value) -> Option<String> {
    let needs = NEEDS.iter().find(|needs| needs.tool == tool)?;
    if result.get("id").and_then(Value::as_str) != args.get(needs.id).and_then(Value::as_str) {
        return Some("it gave another record than the one that was asked for".to_owned());
    }
    let lacks = |key: &&&str, is_it: fn(&Value) -> bool| !result.get(**key).is_some_and(is_it);
    let text = needs.texts.iter().find(|key| lacks(key, Value::is_string));
    let broken = text.or_else(|| needs.numbers.iter().find(|key| lacks(key, Value::is_number)));
    broken.map(|key| format!("the record has no usable {}", key.replace('_', " ")))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::flaw_in;

    #[test]
    fn only_whole_records_of_what_was_asked_for_are_facts() {
        let args = json!({"charge_id": "ch_1"});
        let charge = |key: &str, value: Value| {
            let mut charge = json!({"id": "ch_1", "currency": "USD", "amount_usd": 20, "refunded_usd": 0});
            charge[key] = value;
            charge
        };
        for (result, is_sound) in [
            (charge("note", json!("")), true),
            (charge("id", json!("ch_2")), false),
            (charge("amount_usd", json!("20")), false),
            (charge("refunded_usd", Value::Null), false),
            (json!({}), false),
            (json!([1]), false),
        ] {
            assert_eq!(flaw_in("get_charge", &args, &result).is_none(), is_sound, "{result}");
        }
        assert_eq!(flaw_in("issue_refund", &args, &json!({})), None);
    }
}
