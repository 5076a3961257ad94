//! Amounts in US dollars, kept to the cent.

use serde_json::Value;

/// Rounds to whole cents.
pub(super) fn cents(amount: f64) -> f64 {
    (amount * 100.0).round() / 100.0
}

/// Writes an amount for people.
pub(super) fn shown(amount: f64) -> String {
    format!("{:.2} USD", cents(amount))
}

/// An amount as a JSON number; whole dollars stay whole.
pub(super) fn json(amount: f64) -> Value {
    let amount = cents(amount);
    #[expect(clippy::cast_possible_truncation, reason = "whole dollars far below 2^53")]
    if amount.fract() == 0.0 && amount.abs() < 1e12 { Value::from(amount as i64) } else { Value::from(amount) }
}

/// The number under a key, zero when there is none.
pub(super) fn of(value: &Value, key: &str) -> f64 {
    value.get(key).and_then(Value::as_f64).unwrap_or(0.0)
}
