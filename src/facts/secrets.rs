//! Secrets that stand in files of the manifest: keys of known shape, and values that a name calls secret and that look
//! random. Few false alarms are worth more than a last find: placeholders, `env:NAME` and digests are left alone.
//!
//! `facts.secrets` has an entry per find: `where` (`manifest`, `prompt`, `schema`, `scenario` or `file`), `at` (a place in the
//! manifest), `file`, `line`, `kind`, and `shown`, its first letters. Must never repeat a secret.

use std::{borrow::Cow, collections::BTreeSet, ops::Range, sync::LazyLock};

use regex::{Captures, Regex};
use serde_json::{Value, json};

use super::{Shelf, change::world, document};

/// Kinds of key and the shape of each. Shapes are the vendors' own prefixes.
const SHAPES: [(&str, &str); 14] = [
    ("a private key", r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"),
    ("an AWS access key", r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    ("an Anthropic key", r"\bsk-ant-[A-Za-z0-9_-]{20,}"),
    ("an OpenAI key", r"\bsk-(?:proj-|svcacct-)?[A-Za-z0-9_-]{32,}"),
    ("a Stripe key", r"\b[rs]k_live_[A-Za-z0-9]{20,}"),
    ("a GitHub token", r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{40,})"),
    ("a GitLab token", r"\bglpat-[A-Za-z0-9_-]{20,}"),
    ("a Slack token", r"\bxox[abeprs]-[A-Za-z0-9-]{20,}"),
    ("a Google API key", r"\bAIza[0-9A-Za-z_-]{35}"),
    ("a Hugging Face token", r"\bhf_[A-Za-z0-9]{30,}"),
    ("an npm token", r"\bnpm_[A-Za-z0-9]{36}\b"),
    ("a SendGrid key", r"\bSG\.[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{30,}"),
    ("a signed token", r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"),
    ("an address with a password", r"\b[a-z][a-z0-9+]*://[^\x00-\x20\x7f/:@]+:[^\x00-\x20\x7f/:@${<]{6,}@[a-zA-Z0-9]"),
];

static KNOWN: LazyLock<Regex> = LazyLock::new(|| {
    // A word's edge among ASCII letters alone: with Unicode's the search is slow in any text that is not all ASCII.
    let shapes = SHAPES.iter().map(|(_, shape)| format!("({})", shape.replace(r"\b", r"(?-u:\b)")));
    let shapes: Vec<String> = shapes.collect();
    Regex::new(&shapes.join("|")).expect("the shapes are valid")
});

static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r#"(?i-u)\b[a-z0-9_-]*(?:password|passwd|secret|api[_-]?key|access[_-]?key|auth[_-]?token|private[_-]?key|bearer)["']?\s*[:=]\s*["']?([a-z0-9+/_=.-]{20,})"#;
    Regex::new(pattern).expect("the pattern is valid")
});

static PLACEHOLDER: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"(?i-u)example|sample|dummy|placeholder|change[_-]?me|your[_-]|redacted|canary|fixture|x{6,}|\*{4,}|0{8,}|1234567|abcdef";
    Regex::new(pattern).expect("the pattern is valid")
});

/// Letters of a named value that are looked at.
const MOST_LETTERS: usize = 200;

/// Bits per letter above which a named value counts as random.
const RANDOM: f64 = 3.5;

/// Most finds of one file that are told.
const MOST_FINDS: usize = 20;

/// Fewest letters in a row of every kind but keys in blocks and addresses.
const SHORTEST: usize = 20;

/// Whether a text can hold a secret at all: most are too short of letters in a row, and patterns take longer to say so.
fn may_hold(text: &str) -> bool {
    let (mut row, mut dashes, mut address) = (0, 0, 0);
    text.bytes().any(|byte| {
        row = if is_of_a_value(char::from(byte)) { row + 1 } else { 0 };
        dashes = if byte == b'-' { dashes + 1 } else { 0 };
        address = match (address, byte) {
            (_, b':') => 1,
            (1, b'/') => 2,
            (2, b'/') => 3,
            _ => 0,
        };
        row == SHORTEST || dashes == 5 || address == 3
    })
}

/// The secrets in a text: line, kind and first letters.
pub(super) fn found(text: &str) -> Vec<Value> {
    if !may_hold(text) {
        return Vec::new();
    }
    let known = KNOWN.captures_iter(text).filter_map(|captures| {
        let kind = SHAPES.iter().enumerate().find(|(at, _)| captures.get(at + 1).is_some())?.1.0;
        let found = captures.get(0)?;
        Some(((found.start(), found.as_str()), kind))
    });
    let named = NAMED.captures_iter(text).filter_map(|captures| random(&captures)).map(|found| (found, "a secret"));
    let mut lines = BTreeSet::new();
    known
        .chain(named)
        .filter(|((_, found), _)| !PLACEHOLDER.is_match(found))
        .map(|((start, found), kind)| (line_of(text, start), kind, shown(found)))
        .filter(|(line, _, _)| lines.insert(*line))
        .take(MOST_FINDS)
        .map(|(line, kind, shown)| json!({"line": line, "kind": kind, "shown": shown}))
        .collect()
}

/// Where a written-out secret of the longest kinds ends: a private key at its last line, a named value at its last letter.
static PRIVATE_KEY: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----(?s:.*?)(?:-----END (?:[A-Z]+ )*PRIVATE KEY-----|\z)";
    Regex::new(pattern).expect("the pattern is valid")
});

/// The text with every secret that `found` would tell, and what only looks like one, masked: its first letters stay, and
/// each other letter becomes `x` (no wildcard, as `*` would be where scopes are read), so that lines and columns stay
/// where they are.
pub fn masked(text: &str) -> Cow<'_, str> {
    if !may_hold(text) {
        return Cow::Borrowed(text);
    }
    let known = KNOWN.find_iter(text).map(|found| found.range());
    let named = NAMED.captures_iter(text).filter_map(|captures| random(&captures).and(captures.get(1)));
    let named = named.map(|found| found.range());
    let private = PRIVATE_KEY.find_iter(text).map(|found| found.range());
    let mut secrets: Vec<Range<usize>> = known.chain(named).chain(private).collect();
    if secrets.is_empty() {
        return Cow::Borrowed(text);
    }
    secrets.sort_by_key(|range| (range.start, std::cmp::Reverse(range.end)));
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for Range { start, end } in secrets {
        let start = start.max(from);
        if end <= start {
            continue;
        }
        out.push_str(text.get(from..start).unwrap_or_default());
        let secret = text.get(start..end).unwrap_or_default();
        let shown = if start == from && from > 0 { 0 } else { SHOWN };
        out.extend(secret.chars().enumerate().map(|(nth, c)| if nth < shown || c == '\n' { c } else { 'x' }));
        from = end;
    }
    out.push_str(text.get(from..).unwrap_or_default());
    Cow::Owned(out)
}

fn is_of_a_value(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '_' | '=' | '.' | '-')
}

/// Masks the secrets in all texts and keys of a value.
pub fn mask(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Cow::Owned(masked) = masked(text) {
                *text = masked;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mask),
        Value::Object(entries) => {
            for (key, mut inner) in std::mem::take(entries) {
                mask(&mut inner);
                entries.insert(masked(&key).into_owned(), inner);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Start and first letters of the value behind a name that calls it secret, when it looks random: of high entropy, and no
/// path or row of words.
fn random<'t>(captures: &Captures<'t>) -> Option<(usize, &'t str)> {
    let value = captures.get(1)?;
    let text = value.as_str().get(..MOST_LETTERS).unwrap_or(value.as_str());
    let is_mixed =
        |part: &str| part.chars().any(|c| c.is_ascii_digit()) && part.chars().any(|c| c.is_ascii_alphabetic());
    let mixed = text.split(['-', '_', '.', '/']).any(is_mixed);
    (mixed && !text.starts_with("env") && entropy(text) >= RANDOM).then_some((value.start(), text))
}

/// Shannon's entropy in bits per letter.
fn entropy(text: &str) -> f64 {
    let letters: Vec<char> = text.chars().collect();
    let different: BTreeSet<char> = letters.iter().copied().collect();
    #[expect(clippy::cast_precision_loss, reason = "the text is at most 200 letters long")]
    let share = |letter: &char| letters.iter().filter(|other| *other == letter).count() as f64 / letters.len() as f64;
    different.iter().map(share).map(|share| -share * share.log2()).sum()
}

fn line_of(text: &str, byte: usize) -> usize {
    text.get(..byte).unwrap_or_default().matches('\n').count() + 1
}

/// Letters of a secret that are told: enough to find it and too few to use it.
const SHOWN: usize = 4;

fn shown(secret: &str) -> String {
    let head: String = secret.chars().take(SHOWN).collect();
    format!("{head}…")
}

/// The secrets of the manifest and of every file that it names, which `files` tells.
pub(super) fn facts(shelf: &Shelf<'_>, manifest: &Value, files: &Value) -> Value {
    let mut all = Vec::new();
    if let Ok(own) = shelf.read(shelf.from) {
        all.extend(found(own.text()).into_iter().map(|find| placed(find, shelf.from, "manifest", "")));
    }
    let prompts = matched(manifest.get("prompts"), files);
    let schemas: BTreeSet<&str> = document::each_text(manifest, "tools.*.input_schema").into_iter().collect();
    for (path, file) in files.as_object().into_iter().flatten() {
        let (place, at) = if prompts.contains(path.as_str()) {
            ("prompt", "/prompts")
        } else if schemas.contains(path.as_str()) {
            ("schema", "/tools")
        } else {
            ("file", "")
        };
        let finds = file.get("secrets").and_then(Value::as_array).into_iter().flatten();
        all.extend(finds.map(|find| placed(find.clone(), path, place, at)));
    }
    all.extend(in_scenarios(shelf, manifest));
    Value::Array(all)
}

/// Secrets in scenarios of lawful work and of incidents, and in their worlds, canaries left out: they are made up, and
/// what attacks carry is made up as well.
fn in_scenarios(shelf: &Shelf<'_>, manifest: &Value) -> Vec<Value> {
    let patterns = ["evals.golden", "evals.incidents"].map(|field| document::each_text(manifest, field));
    let paths: BTreeSet<String> = patterns.concat().into_iter().flat_map(|pattern| shelf.matching(pattern)).collect();
    let worlds: BTreeSet<String> = paths.iter().filter_map(|path| world(shelf, path)).collect();
    let canaries: BTreeSet<String> = worlds.iter().flat_map(|path| canaries(shelf, path)).collect();
    let finds = paths.union(&worlds).filter_map(|path| {
        let file = shelf.text(path)?;
        let lines: Vec<&str> = file.text().lines().collect();
        let is_made_up = |find: &Value| {
            let at = find.get("line").and_then(Value::as_u64).and_then(|line| usize::try_from(line).ok());
            let line = at.and_then(|at| lines.get(at.saturating_sub(1))).copied().unwrap_or_default();
            canaries.iter().any(|canary| line.contains(canary.as_str()))
        };
        let finds = found(file.text()).into_iter().filter(|find| !is_made_up(find));
        Some(finds.map(|find| placed(find, path, "scenario", "/evals")).collect::<Vec<_>>())
    });
    finds.flatten().collect()
}

/// The canaries of a world.
fn canaries(shelf: &Shelf<'_>, path: &str) -> Vec<String> {
    let world = document::value(shelf, path);
    let canaries = world.as_ref().and_then(|world| world.get("canaries")?.as_object()).into_iter().flatten();
    canaries.filter_map(|(_, value)| value.as_str()).filter(|value| !value.is_empty()).map(str::to_owned).collect()
}

/// Files that a list of paths and patterns names.
pub(super) fn matched<'a>(patterns: Option<&'a Value>, files: &'a Value) -> BTreeSet<&'a str> {
    let patterns = patterns.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    patterns
        .flat_map(|pattern| {
            let inner = files.get(pattern).and_then(|entry| entry.get("files")).and_then(Value::as_array);
            let inner: Vec<&str> = inner.into_iter().flatten().filter_map(Value::as_str).collect();
            if inner.is_empty() { vec![pattern] } else { inner }
        })
        .collect()
}

fn placed(find: Value, file: &str, place: &str, at: &str) -> Value {
    let mut entry = json!({"name": file, "file": file, "where": place, "at": at});
    if let (Value::Object(entry), Value::Object(find)) = (&mut entry, find) {
        entry.extend(find);
    }
    entry
}

#[cfg(test)]
mod tests {
    use proptest::{strategy::Strategy as _, string::string_regex, test_runner::TestRunner};
    use serde_json::Value;

    use super::{SHAPES, found, masked, may_hold};

    /// Keys are put together here, so that no scanner takes this file for a leak.
    fn key(prefix: &str, rest: &str) -> String {
        format!("{prefix}{rest}")
    }

    #[test]
    fn keys_of_known_shape_and_random_values_are_found() {
        let random = "q7Zr2LwX9vT4bN8mK3sP6yHd1cJ5fGu0";
        for (text, kind) in [
            (key("AKIA", "Q3XZ7JWN5RTLM2VB"), "an AWS access key"),
            (key("token: gh", &format!("p_{random}{random}")), "a GitHub token"),
            (key("sk-", &format!("ant-{random}")), "an Anthropic key"),
            (key("sk-proj-", random), "an OpenAI key"),
            (key("sk_", &format!("live_{random}")), "a Stripe key"),
            (key("-----BEGIN RSA ", "PRIVATE KEY-----"), "a private key"),
            (key("postgres://agent:", "hunter2hunter@db.acme.example/orders"), "an address with a password"),
            (key("client_secret = \"", &format!("{random}\"")), "a secret"),
            (key("{\"api_key\": \"", &format!("{random}\"}}")), "a secret"),
        ] {
            let finds = found(&format!("first line\n{text}\n"));
            let first = finds.first().expect(kind);
            assert_eq!((first["kind"].as_str(), first["line"].as_u64()), (Some(kind), Some(2)), "{text}");
            assert!(first["shown"].as_str().is_some_and(|shown| shown.chars().count() == 5), "{first}");
        }
    }

    #[test]
    fn no_secret_is_too_short_to_be_looked_for() {
        let named = "(password|api_key): [a-z0-9+/_=.-]{20,40}";
        let shapes = SHAPES.iter().map(|(_, shape)| shape.replace(r"\b", ""));
        for shape in shapes.chain([named.to_owned()]) {
            let any = string_regex(&shape).expect("a pattern without edges can be turned round");
            TestRunner::default()
                .run(&any.prop_filter("no line is that long", |text| text.len() < 400), |text| {
                    assert!(may_hold(&text) && may_hold(&format!("before {text}, after")), "{shape}: {text}");
                    Ok(())
                })
                .expect("each holds a secret");
        }
    }

    #[test]
    fn what_is_masked_keeps_its_first_letters_and_its_place() {
        let random = "q7Zr2LwX9vT4bN8mK3sP6yHd1cJ5fGu0";
        let pem = key("-----BEGIN RSA ", "PRIVATE KEY-----\nMIIEow\n-----END RSA ") + "PRIVATE KEY----- after";
        for (text, expected) in [
            (key("a: AKIA", "Q3XZ7JWN5RTLM2VB # b"), "a: AKIAxxxxxxxxxxxxxxxx # b".to_owned()),
            (key("client_secret: ", &format!("{}, b", random.repeat(10))), {
                format!("client_secret: q7Zr{}, b", "x".repeat(316))
            }),
            (
                key("api_key:\n  ", &format!("{random}\nnext: 1")),
                format!("api_key:\n  q7Zr{}\nnext: 1", "x".repeat(28)),
            ),
            (pem, format!("----{}\nxxxxxx\n{} after", "x".repeat(27), "x".repeat(29))),
            ("secret: env:REFUND_AGENT_TOKEN".to_owned(), "secret: env:REFUND_AGENT_TOKEN".to_owned()),
        ] {
            assert_eq!(masked(&text), expected, "{text}");
        }
    }

    #[test]
    fn placeholders_names_and_digests_raise_no_alarm() {
        for text in [
            "secret: env:REFUND_AGENT_TOKEN",
            "api_key: ${API_KEY_OF_THE_PAYMENT_SYSTEM_1}",
            "password: your-password-goes-here-123",
            "prompts/decide.md: sha256:55f749c89b4597ba5fcf532d1985f09acd0991511704eb48cb8a93a094312ff2",
            "idempotency_key: k-1",
            "secret: docs/how-we-keep-secrets-2026.md",
            "AKIAIOSFODNN7EXAMPLE",
            "token: a short sentence about tokens and secrets",
            "postgres://agent:${PASSWORD}@db/orders",
            "https://acme.example/oauth2/aus4refund",
            "never say sk-live keys aloud",
        ] {
            assert_eq!(found(text), Vec::<Value>::new(), "{text}");
        }
    }
}
