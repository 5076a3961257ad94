//! What names and values look like: fields that hold data of a kind, systems that are known for one.
//!
//! Names are compared in lower case with `_`; a name counts when it is one of the words or ends in one of them
//! (`customer_email`). Bare words that mean many things (`name`, `number`, `token`) are left out on purpose.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

/// A kind of data with the names of fields that hold it.
const KINDS: [(&str, &[&str]); 10] = [
    ("email", &["email", "e_mail", "mail_address", "email_address"]),
    ("phone", &["phone", "phone_number", "mobile_number", "telephone"]),
    ("name", &["first_name", "last_name", "full_name", "family_name", "given_name", "customer_name", "person_name"]),
    (
        "address",
        &[
            "street",
            "street_address",
            "postal_code",
            "zip_code",
            "postcode",
            "shipping_address",
            "billing_address",
            "home_address",
        ],
    ),
    ("birth-date", &["birth_date", "birthdate", "date_of_birth", "dob", "birthday"]),
    ("ssn", &["ssn", "social_security_number", "national_id", "passport_number", "tax_id"]),
    ("pan", &["pan", "card_number", "credit_card", "credit_card_number"]),
    ("cvc", &["cvc", "cvv", "cvc2", "cvv2"]),
    ("bank-account", &["iban", "bank_account", "bank_account_number", "routing_number"]),
    ("health", &["diagnosis", "icd10", "medical_record", "patient_id", "prescription"]),
];

/// What a system is known for: words in its name, the kind of data, names of classes that would hold it.
pub(super) const SYSTEMS: [(&[&str], &str, &[&str]); 3] = [
    (
        &["stripe", "adyen", "paypal", "braintree", "payment", "payments"],
        "payment data",
        &["card", "pci", "payment", "financial", "pan"],
    ),
    (&["epic", "cerner", "fhir", "ehr", "emr", "patients"], "health data", &["health", "phi", "medical", "patient"]),
    (
        &["workday", "bamboohr", "personio", "payroll", "hris", "hr"],
        "data on employees",
        &["employee", "staff", "hr", "pii", "personal"],
    ),
];

static MAIL: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}$").expect("the pattern is valid"));

/// A name of a field in one form: `customerEmail` and `customer-email` are `customer_email`.
pub(super) fn plain(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    let mut small = false;
    for c in name.chars() {
        if c.is_uppercase() && small {
            out.push('_');
        }
        small = c.is_lowercase() || c.is_ascii_digit();
        out.extend(if c == '-' || c == ' ' { '_' } else { c }.to_lowercase());
    }
    out
}

/// The kind of data that a name of a field speaks of.
pub(super) fn of_name(name: &str) -> Option<&'static str> {
    let name = plain(name);
    let speaks = |word: &str| name == word || name.strip_suffix(word).is_some_and(|head| head.ends_with('_'));
    KINDS.iter().find(|(_, words)| words.iter().any(|word| speaks(word))).map(|(kind, _)| *kind)
}

/// The kind of data that a value is.
pub(super) fn of_value(value: &str) -> Option<&'static str> {
    let digits: Vec<u32> = value.chars().filter(|c| !matches!(c, ' ' | '-')).map_while(|c| c.to_digit(10)).collect();
    let all = value.chars().filter(|c| !matches!(c, ' ' | '-')).count();
    if MAIL.is_match(value) {
        Some("email")
    } else if digits.len() == all && is_card(&digits) {
        Some("pan")
    } else {
        None
    }
}

/// The kinds that go by a word of a class's `match`.
pub(super) fn is_kind(word: &str, kind: &str) -> bool {
    let word = plain(word);
    word == plain(kind) || of_name(&word) == Some(kind)
}

/// A value of a kind, for patterns to be tried on where no example gives one.
pub(super) fn sample(kind: &str) -> Option<&'static str> {
    match kind {
        "email" => Some("ana@customer.example"),
        "phone" => Some("+1 415 555 0100"),
        "birth-date" => Some("1990-02-28"),
        "ssn" => Some("078-05-1120"),
        "pan" => Some("4111 1111 1111 1111"),
        "cvc" => Some("123"),
        "bank-account" => Some("DE89 3704 0044 0532 0130 00"),
        _ => None,
    }
}

/// Length, first digit and check digit of card numbers; times in milliseconds have 13 digits and begin with 1.
fn is_card(digits: &[u32]) -> bool {
    let begins = match digits.len() {
        13 => digits.first() == Some(&4),
        14..=19 => digits.first().is_some_and(|first| (2..=6).contains(first)),
        _ => false,
    };
    begins && luhn(digits)
}

/// The check digit of card numbers.
fn luhn(digits: &[u32]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| match (at % 2, digit * 2) {
            (0, _) => *digit,
            (_, double) if double > 9 => double - 9,
            (_, double) => double,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Deepest nesting of a schema that is looked into.
const DEEPEST: usize = 6;

/// Every property of a JSON Schema with its own schema, through `properties`, `items`, `allOf` and local `$ref`.
pub(super) fn properties<'a>(root: &'a Value, schema: &'a Value) -> Vec<(&'a str, &'a Value)> {
    let mut found = Vec::new();
    walk(root, schema, DEEPEST, &mut found);
    found
}

fn walk<'a>(root: &'a Value, schema: &'a Value, depth: usize, found: &mut Vec<(&'a str, &'a Value)>) {
    let Some(depth) = depth.checked_sub(1) else { return };
    for (name, inner) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        found.push((name, inner));
        walk(root, inner, depth, found);
    }
    if let Some(items) = schema.get("items") {
        walk(root, items, depth, found);
    }
    for part in ["allOf", "anyOf", "oneOf"].iter().filter_map(|key| schema.get(key)?.as_array()).flatten() {
        walk(root, part, depth, found);
    }
    let target = schema.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix('#'));
    if let Some(inner) = target.and_then(|pointer| root.pointer(pointer)) {
        walk(root, inner, depth, found);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{of_name, of_value, properties};

    #[test]
    fn names_and_values_speak_of_kinds() {
        for (name, kind) in [
            ("email", Some("email")),
            ("customerEmail", Some("email")),
            ("buyer-phone-number", Some("phone")),
            ("card_number", Some("pan")),
            ("dob", Some("birth-date")),
            ("iban", Some("bank-account")),
            ("name", None),
            ("template", None),
            ("company", None),
            ("japan", None),
            ("email_template_id", None),
        ] {
            assert_eq!(of_name(name), kind, "{name}");
        }
        for (value, kind) in [
            ("buyer@example.com", Some("email")),
            ("4111 1111 1111 1111", Some("pan")),
            ("4111 1111 1111 1112", None),
            ("write to buyer@example.com", None),
            ("1764000000000", None),
            ("ch_test_1", None),
        ] {
            assert_eq!(of_value(value), kind, "{value}");
        }
    }

    #[test]
    fn properties_are_found_wherever_a_schema_puts_them() {
        let schema = json!({"properties": {"buyer": {"$ref": "#/$defs/buyer"}, "lines": {"items": {"properties": {"sku": {}}}}},
            "$defs": {"buyer": {"allOf": [{"properties": {"email": {}}}, {"$ref": "#/$defs/buyer"}]}}});
        let mut names: Vec<&str> = properties(&schema, &schema).into_iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names, ["buyer", "email", "lines", "sku"]);
    }
}
