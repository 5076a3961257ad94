//! When two JSON values say the same. Numbers compare by value: 20 is 20.0.

use serde_json::{Map, Number, Value};

/// Whether two values are equal, whatever the order of keys and the spelling of numbers.
pub fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => same_number(a, b),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => a.len() == b.len() && has_all(b, a),
        (a, b) => a == b,
    }
}

/// Whether a call's arguments agree with all that are asked for; others are free.
///
/// What is no map of arguments agrees only with its equal, so a grant without arguments covers no call that has some.
pub(super) fn agrees(asked: &Value, args: &Value) -> bool {
    match (asked.as_object(), args.as_object()) {
        (Some(asked), Some(args)) => has_all(args, asked),
        (Some(_) | None, Some(_) | None) => same(asked, args),
    }
}

fn has_all(entries: &Map<String, Value>, asked: &Map<String, Value>) -> bool {
    asked.iter().all(|(key, value)| entries.get(key).is_some_and(|seen| same(seen, value)))
}

/// Whole numbers compare exactly, also where a double could not tell them apart.
fn same_number(a: &Number, b: &Number) -> bool {
    if a == b {
        return true;
    }
    let both_whole = (a.is_i64() || a.is_u64()) && (b.is_i64() || b.is_u64());
    !both_whole && a.as_f64() == b.as_f64()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{agrees, same};

    #[test]
    fn values_are_compared_not_spellings() {
        for (a, b, equal) in [
            (json!(20), json!(20.0), true),
            (json!({"a": 1, "b": [2.0]}), json!({"b": [2], "a": 1.0}), true),
            (json!(20), json!("20"), false),
            (json!({"a": 1}), json!({"a": 1, "b": 2}), false),
            (json!([1, 2]), json!([1]), false),
            (json!(9_007_199_254_740_993_i64), json!(9_007_199_254_740_992_i64), false),
            (json!(u64::MAX), json!(-1), false),
            (json!(null), json!({}), false),
        ] {
            assert_eq!((same(&a, &b), same(&b, &a)), (equal, equal), "{a} and {b}");
        }
    }

    #[test]
    fn only_what_is_asked_for_has_to_agree() {
        let args = json!({"charge": "ch_1", "amount": 20});
        for (asked, agreeing) in [
            (json!({"amount": 20.0}), true),
            (json!({}), true),
            (json!({"amount": 21}), false),
            (json!({"currency": null}), false),
            (Value::Null, false),
            (json!("amount"), false),
        ] {
            assert_eq!(agrees(&asked, &args), agreeing, "{asked}");
        }
    }
}
