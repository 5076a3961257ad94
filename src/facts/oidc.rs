//! What the issuer served, and what the tokens say that the credentials hold.
//!
//! `facts.oidc`: `tried`, `reached` (else `error`), `issuer`; its `keys` (`id`, `kind`, `algorithm`, `bits` of an RSA key) or
//! `keys_error`; those that are too `weak`; tokens with a subject that the manifest does not state (`strangers`) and
//! tokens that no key of the issuer signed (`forged`), whether the manifest's subject is called as people are (`personal`)
//! or is who changed the manifest last (`by_author`), and those that have ended or not begun (`untimely`: `of`, `why`). When keys were made is not in the document, so their age is not
//! known. `facts.tokens` has an entry per token that was read: `of` (`system.kind`), `system`, `name`, `at`, `issuer`,
//! `subject`, `audience`, `scopes`, those of them that the manifest does not state (`wider`), how many seconds it `lives`,
//! when it was `made` and `ends`, why it does not hold now (`untimely`), whether it is `endless`, its `algorithm`, and whether it is `genuine` (else `why` that is not known). Must not judge.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Claims, Options};
use crate::source::Files;

/// Fewest bits of an RSA key that is not weak (NIST SP 800-131A).
const LEAST_BITS: usize = 2048;

/// Seconds by which the clocks of the issuer and of this machine may differ.
const CLOCKS: i64 = 60;

/// What a token says of itself; never the token.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenClaims {
    /// Who made it.
    pub issuer: Option<String>,
    /// In whose name.
    pub subject: Option<String>,
    /// For whom.
    pub audience: Vec<String>,
    /// What it allows.
    pub scopes: Vec<String>,
    /// Seconds from its start to its end.
    pub lives: Option<f64>,
    /// Whether it has no end.
    pub endless: bool,
    /// When it was made, when it begins to hold and when it ends, in seconds since 1970.
    pub made: Option<i64>,
    /// See `made`.
    pub begins: Option<i64>,
    /// See `made`.
    pub ends: Option<i64>,
    /// When it was read, in the same way.
    pub read: Option<i64>,
    /// How it is signed.
    pub algorithm: Option<String>,
    /// Whether a key of the issuer signed it, as far as that is known.
    pub genuine: Option<bool>,
    /// Why it is not known.
    pub why: Option<String>,
}

/// `facts.oidc`.
pub(super) fn facts(options: &Options, manifest: &Value, tokens: &Value) -> Value {
    let mut fact = match &options.fetched.oidc {
        Some(_) if options.offline => json!({"tried": false, "reached": false}),
        None => json!({"tried": false, "reached": false}),
        Some(Err(why)) => json!({"tried": true, "reached": false, "error": why}),
        Some(Ok(document)) => match document.get("issuer").and_then(Value::as_str) {
            Some(issuer) => {
                let keys = document.pointer("/jwks/keys").and_then(Value::as_array);
                let keys: Option<Vec<Value>> = keys.map(|keys| keys.iter().map(key).collect());
                let weak: Vec<&Value> = keys.iter().flatten().filter(|key| is_weak(key)).collect();
                json!({"tried": true, "reached": true, "issuer": issuer, "weak": weak, "keys": keys,
                    "keys_error": document.get("jwks_error")})
            }
            None => json!({"tried": true, "reached": false, "error": "the answer names no issuer"}),
        },
    };
    let named = |fits: &dyn Fn(&Value) -> bool| -> Vec<&Value> {
        tokens
            .as_array()
            .into_iter()
            .flatten()
            .filter(|token| fits(token))
            .filter_map(|token| token.get("of"))
            .collect()
    };
    let subject = manifest.pointer("/identity/subject").and_then(Value::as_str).unwrap_or_default();
    let last = options.fetched.git.as_ref().and_then(|git| git.last.get(&Files::resolve("", &options.manifest)));
    let author = last.map(|commit| commit.author.as_str()).filter(|author| !author.is_empty());
    if let Some(fact) = fact.as_object_mut() {
        fact.insert("personal".to_owned(), is_personal(subject).into());
        let is_author = |author: &str| author == subject || author.split('@').next() == Some(subject);
        fact.insert("by_author".to_owned(), author.is_some_and(is_author).into());
        let strangers = named(&|token| token.get("stranger") == Some(&Value::Bool(true)));
        let forged = named(&|token| token.get("genuine") == Some(&Value::Bool(false)));
        fact.insert("strangers".to_owned(), json!(strangers));
        fact.insert("forged".to_owned(), json!(forged));
        let untimely = tokens.as_array().into_iter().flatten();
        let untimely = untimely.filter(|token| token.get("untimely").is_some_and(|why| !why.is_null()));
        let untimely: Vec<Value> =
            untimely.map(|token| json!({"of": token.get("of"), "why": token.get("untimely")})).collect();
        fact.insert("untimely".to_owned(), untimely.into());
    }
    fact
}

/// Whether an account is called as people are: names with a dot or a dash between, and none that a machine bears.
fn is_personal(subject: &str) -> bool {
    const MACHINES: [&str; 14] = [
        "svc",
        "sa",
        "srv",
        "bot",
        "agent",
        "app",
        "robot",
        "service",
        "api",
        "runner",
        "worker",
        "job",
        "automation",
        "system",
    ];
    let lower = subject.to_lowercase();
    let Some((name, host)) = lower.split_once('@') else { return false };
    let words: Vec<&str> = name.split(['.', '_', '-']).collect();
    let is_name = |word: &&str| !word.is_empty() && word.chars().all(char::is_alphabetic);
    let last = words.last().map(|word| word.trim_end_matches(|c: char| c.is_ascii_digit()));
    let (first, rest) = words.split_at(words.len().saturating_sub(1));
    words.len() > 1
        && !host.ends_with(".gserviceaccount.com")
        && first.iter().chain(&last).all(is_name)
        && !first.iter().chain(rest).any(|word| MACHINES.contains(word))
}

/// `facts.tokens`.
pub(super) fn tokens(claims: &Claims<'_>, options: &Options) -> Value {
    let own = claims.manifest.pointer("/identity/subject").and_then(Value::as_str);
    let entry = |credential: &Value| {
        let text = |key: &str| credential.get(key).and_then(Value::as_str);
        let of = format!("{}.{}", text("system")?, text("name")?);
        let token = options.fetched.tokens.get(&of)?;
        let stated = credential.get("scopes").and_then(Value::as_array).into_iter().flatten();
        let stated: BTreeSet<&str> = stated.filter_map(Value::as_str).collect();
        let wider: Vec<&String> = token.scopes.iter().filter(|scope| !stated.contains(scope.as_str())).collect();
        let claimed = text("subject").or(own);
        Some(json!({
            "of": of,
            "system": text("system"),
            "name": text("name"),
            "at": credential.get("at"),
            "issuer": token.issuer,
            "subject": token.subject,
            "stranger": token.subject.is_some() && claimed.is_some() && token.subject.as_deref() != claimed,
            "audience": token.audience,
            "scopes": token.scopes,
            "wider": wider,
            "lives": token.lives,
            "endless": token.endless,
            "made": token.made.and_then(moment),
            "ends": token.ends.and_then(moment),
            "untimely": untimely(token),
            "algorithm": token.algorithm,
            "genuine": token.genuine,
            "why": token.why,
        }))
    };
    claims.credentials.iter().filter_map(entry).collect()
}

/// Why a token does not hold at the moment, by its own words.
fn untimely(token: &TokenClaims) -> Option<String> {
    let read = token.read?;
    let day = |at: i64| moment(at).unwrap_or_else(|| "a time that is none".to_owned());
    if let Some(end) = token.ends.filter(|end| *end + CLOCKS < read) {
        return Some(format!("ended at {}", day(end)));
    }
    if let Some(begin) = token.begins.filter(|begin| *begin - CLOCKS > read) {
        return Some(format!("does not hold before {}", day(begin)));
    }
    token
        .made
        .filter(|made| *made - CLOCKS > read)
        .map(|made| format!("says that it was made at {}, which is yet to come", day(made)))
}

fn moment(seconds: i64) -> Option<String> {
    Some(jiff::Timestamp::from_second(seconds).ok()?.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

fn key(key: &Value) -> Value {
    let text = |name: &str| key.get(name).and_then(Value::as_str);
    // Six bits a letter; the last byte may be filled up.
    let bits = text("n").map(|modulus| modulus.trim_end_matches('=').len() * 6 / 8 * 8);
    json!({"id": text("kid"), "kind": text("kty"), "algorithm": text("alg"), "bits": bits})
}

fn is_weak(key: &Value) -> bool {
    let is_shared = key.get("kind").and_then(Value::as_str) == Some("oct");
    is_shared || key.get("bits").and_then(Value::as_u64).is_some_and(|bits| bits < LEAST_BITS as u64)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::{Claims, TokenClaims, facts, tokens, untimely};
    use crate::facts::{Fetched, Options};

    #[test]
    fn a_token_is_held_against_the_clock() {
        let read = 1_000_000;
        for (made, begins, ends, expected) in [
            (Some(read - 10), Some(read - 10), Some(read + 900), None),
            (None, None, None, None),
            (None, None, Some(read - 30), None),
            (None, None, Some(read - 3_600), Some("ended at 1970-01-12T12:46:40Z")),
            (None, Some(read + 3_600), Some(read + 7_200), Some("does not hold before 1970-01-12T14:46:40Z")),
            (
                Some(read + 3_600),
                None,
                Some(read + 7_200),
                Some("says that it was made at 1970-01-12T14:46:40Z, which is yet to come"),
            ),
        ] {
            let token = TokenClaims { made, begins, ends, read: Some(read), ..TokenClaims::default() };
            assert_eq!(untimely(&token).as_deref(), expected);
        }
        let unread = TokenClaims { ends: Some(1), ..TokenClaims::default() };
        assert_eq!(untimely(&unread), None, "what was read at no time is held against none");
    }

    #[test]
    fn tokens_are_held_against_the_manifest_and_keys_against_their_size() {
        let evidence = json!({
            "manifest": {"identity": {"subject": "svc"}},
            "credentials": [
                {"system": "shop", "name": "read", "at": "/a", "scopes": ["orders:read"]},
                {"system": "mail", "name": "write", "at": "/b", "scopes": ["mail.send"], "subject": "svc-mail"},
            ],
        });
        let token = |subject: &str, scopes: &[&str], genuine| TokenClaims {
            subject: Some(subject.to_owned()),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            genuine,
            ..TokenClaims::default()
        };
        let held = BTreeMap::from([
            ("shop.read".to_owned(), token("jane", &["orders:read", "orders:write"], Some(false))),
            ("mail.write".to_owned(), token("svc-mail", &["mail.send"], Some(true))),
        ]);
        let modulus = |bytes: usize| "A".repeat(bytes.div_ceil(3) * 4);
        let jwks = json!({"keys": [
            {"kid": "a", "kty": "RSA", "n": modulus(256)}, {"kid": "b", "kty": "RSA", "n": modulus(128)},
            {"kid": "c", "kty": "oct"}, {"kid": "d", "kty": "EC", "crv": "P-256"},
        ]});
        let fetched = Fetched {
            oidc: Some(Ok(json!({"issuer": "https://id", "jwks": jwks}))),
            tokens: held,
            ..Fetched::default()
        };
        let options = Options { fetched, ..Options::default() };
        let seen = tokens(&Claims::new(&evidence["manifest"], &evidence), &options);
        assert_eq!(seen[0]["wider"], json!(["orders:write"]));
        assert_eq!((&seen[0]["stranger"], &seen[1]["stranger"]), (&json!(true), &json!(false)));
        let oidc = facts(&options, &json!({}), &seen);
        assert_eq!((&oidc["strangers"], &oidc["forged"]), (&json!(["shop.read"]), &json!(["shop.read"])));
        let weak: Vec<_> = oidc["weak"].as_array().expect("a list").iter().map(|key| key["id"].clone()).collect();
        assert_eq!(weak, [json!("b"), json!("c")]);
        let offline = Options { offline: true, ..options };
        assert_eq!(facts(&offline, &json!({}), &seen)["tried"], json!(false));
    }

    #[test]
    fn a_persons_account_is_told_from_a_machines() {
        for (subject, expected) in [
            ("jane.doe@acme.example", true),
            ("Jane.M.Doe@acme.example", true),
            ("jane.doe2@acme.example", true),
            ("anne-marie.weber@acme.example", true),
            ("jane_doe@acme.example", true),
            ("svc-refund-agent", false),
            ("jane.doe", false),
            ("svc_refund@acme.onmicrosoft.com", false),
            ("refund-handling@acme-prod.iam.gserviceaccount.com", false),
            ("refunds@acme.example", false),
        ] {
            assert_eq!(super::is_personal(subject), expected, "{subject}");
        }
        let git = json!({"last": {"agentready.yaml": {"id": "1", "on": "2026-11-01", "author": "jdoe@acme.example", "signature": "N"}}});
        let fetched = Fetched { git: serde_json::from_value(git).expect("what git says"), ..Fetched::default() };
        let options = Options { fetched, manifest: "agentready.yaml".to_owned(), ..Options::default() };
        for (subject, expected) in [("jdoe@acme.example", true), ("jdoe", true), ("svc-refund", false)] {
            let manifest = json!({"identity": {"subject": subject}});
            assert_eq!(facts(&options, &manifest, &json!([]))["by_author"], json!(expected), "{subject}");
        }
    }
}
