//! Reads what a token says of itself, where a credential names the variable that holds one (`secret: env:NAME`), and
//! checks its signature with the issuer's keys. Must never show or keep the token, nor claims beyond those in
//! `facts::TokenClaims`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde_json::{Map, Value};

use crate::facts::TokenClaims;

/// The values behind the credentials of the systems, by `system.kind`.
pub(crate) fn values<'a>(manifest: &Value, env: &'a BTreeMap<String, String>) -> BTreeMap<String, &'a str> {
    let systems = manifest.get("systems").and_then(Value::as_object).into_iter().flatten();
    let credentials = systems.flat_map(|(system, entry)| {
        let kinds = entry.get("credentials").and_then(Value::as_object).into_iter().flatten();
        kinds.map(move |(kind, credential)| (format!("{system}.{kind}"), credential))
    });
    let value = |credential: &Value| {
        let name = credential.get("secret")?.as_str()?.strip_prefix("env:")?.to_owned();
        env.get(&name).map(String::as_str).filter(|value| !value.is_empty())
    };
    credentials.filter_map(|(of, credential)| Some((of, value(credential)?))).collect()
}

/// What each of them says, as far as it is a JSON Web Token (RFC 7519); `oidc` is what the issuer served.
pub(crate) fn claims(
    manifest: &Value,
    env: &BTreeMap<String, String>,
    (oidc, now): (Option<&Value>, Timestamp),
) -> BTreeMap<String, TokenClaims> {
    let read = |token| Some(TokenClaims { read: Some(now.as_second()), ..read(token, oidc)? });
    values(manifest, env).into_iter().filter_map(|(of, token)| Some((of, read(token)?))).collect()
}

fn read(token: &str, oidc: Option<&Value>) -> Option<TokenClaims> {
    let (signed, signature) = token.rsplit_once('.')?;
    let (head, body) = signed.split_once('.')?;
    let head: Map<String, Value> = serde_json::from_slice(&bytes(head)?).ok()?;
    let body: Map<String, Value> = serde_json::from_slice(&bytes(body)?).ok()?;
    let text = |map: &Map<String, Value>, key: &str| map.get(key).and_then(Value::as_str).map(str::to_owned);
    let issuer = text(&body, "iss");
    let genuine = genuine(&head, issuer.as_deref(), (signed.as_bytes(), &bytes(signature)?), oidc);
    let time = |key: &str| body.get(key).and_then(Value::as_f64);
    #[expect(clippy::cast_possible_truncation, reason = "a time beyond all times becomes the last one")]
    let second = |key: &str| time(key).map(|at| at as i64);
    Some(TokenClaims {
        issuer,
        subject: text(&body, "sub"),
        audience: words(body.get("aud"), None),
        scopes: ["scope", "scp"].into_iter().flat_map(|key| words(body.get(key), Some(' '))).collect(),
        lives: time("exp").zip(time("iat").or_else(|| time("nbf"))).map(|(end, start)| end - start),
        endless: time("exp").is_none(),
        made: second("iat"),
        begins: second("nbf"),
        ends: second("exp"),
        read: None,
        algorithm: text(&head, "alg"),
        genuine: genuine.as_ref().ok().copied(),
        why: genuine.err(),
    })
}

/// A list, or one text, cut at `between`.
fn words(value: Option<&Value>, between: Option<char>) -> Vec<String> {
    match value {
        Some(Value::String(one)) => match between {
            Some(between) => one.split(between).filter(|word| !word.is_empty()).map(str::to_owned).collect(),
            None => vec![one.clone()],
        },
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// Whether a key of the issuer made the signature, or why nobody can tell.
fn genuine(
    head: &Map<String, Value>,
    issuer: Option<&str>,
    (signed, signature): (&[u8], &[u8]),
    oidc: Option<&Value>,
) -> Result<bool, String> {
    let oidc = oidc.ok_or("the issuer's keys were not fetched")?;
    if issuer != oidc.get("issuer").and_then(Value::as_str) {
        return Err("it is of another issuer".to_owned());
    }
    let keys = oidc.pointer("/jwks/keys").and_then(Value::as_array).ok_or("the issuer served no keys")?;
    let text = |map: &Value, key: &str| map.get(key).and_then(Value::as_str).map(str::to_owned);
    let wanted = head.get("kid").and_then(Value::as_str);
    let algorithm = head.get("alg").and_then(Value::as_str).unwrap_or_default();
    let mut fitting = keys.iter().filter(|key| wanted.is_none() || text(key, "kid").as_deref() == wanted);
    let part = |key: &Value, name: &str| text(key, name).and_then(|text| bytes(&text)).unwrap_or_default();
    match algorithm {
        "RS256" => Ok(fitting.any(|key| {
            let key = RsaPublicKeyComponents { n: part(key, "n"), e: part(key, "e") };
            key.verify(&RSA_PKCS1_2048_8192_SHA256, signed, signature).is_ok()
        })),
        "ES256" => Ok(fitting.any(|key| {
            let point = [&[4], part(key, "x").as_slice(), part(key, "y").as_slice()].concat();
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed, signature).is_ok()
        })),
        "EdDSA" => {
            Ok(fitting.any(|key| UnparsedPublicKey::new(&ED25519, part(key, "x")).verify(signed, signature).is_ok()))
        }
        "none" => Ok(false),
        _ => Err("its algorithm is not one that can be checked here (RS256, ES256, EdDSA)".to_owned()),
    }
}

/// Base64 for addresses, without padding (RFC 4648, section 5).
fn bytes(text: &str) -> Option<Vec<u8>> {
    let six = |c: u8| match c {
        b'A'..=b'Z' => Some(c - b'A'),
        b'a'..=b'z' => Some(c - b'a' + 26),
        b'0'..=b'9' => Some(c - b'0' + 52),
        b'-' => Some(62),
        b'_' => Some(63),
        _ => None,
    };
    let (mut out, mut held, mut bits) = (Vec::new(), 0_u32, 0_u32);
    for c in text.trim_end_matches('=').bytes() {
        held = (held << 6) | u32::from(six(c)?);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push(u8::try_from((held >> bits) & 0xff).ok()?);
            held &= (1 << bits) - 1;
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ring::signature::{Ed25519KeyPair, KeyPair as _};
    use serde_json::{Value, json};

    use super::{bytes, claims};

    fn encoded(bytes: &[u8]) -> String {
        const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut out = String::new();
        for chunk in bytes.chunks(3) {
            let held = chunk.iter().fold(0_u32, |held, byte| (held << 8) | u32::from(*byte)) << (8 * (3 - chunk.len()));
            for at in 0..=chunk.len() {
                let letter = (held >> (18 - 6 * at)) & 63;
                out.push(char::from(LETTERS[letter as usize]));
            }
        }
        out
    }

    #[test]
    fn base64_for_addresses_is_read() {
        for text in ["", "a", "ab", "abc", "any carnal pleas", "\u{fc}\u{2028}?>"] {
            assert_eq!(bytes(&encoded(text.as_bytes())).as_deref(), Some(text.as_bytes()));
        }
        assert_eq!(bytes("a+b/"), None);
    }

    fn token(key: &Ed25519KeyPair, head: &Value, body: &Value) -> String {
        let signed = format!("{}.{}", encoded(head.to_string().as_bytes()), encoded(body.to_string().as_bytes()));
        format!("{signed}.{}", encoded(key.sign(signed.as_bytes()).as_ref()))
    }

    #[test]
    fn a_token_is_read_and_its_signature_is_held_against_the_keys() {
        let key = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a key");
        let other = Ed25519KeyPair::from_seed_unchecked(&[8; 32]).expect("a key");
        let head = json!({"alg": "EdDSA", "kid": "k1"});
        let body = json!({"iss": "https://id.example", "sub": "svc", "aud": "shop", "scope": "orders:read orders:write",
            "iat": 1000, "exp": 1900, "email": "nobody@example.com"});
        let jwk = json!({"kid": "k1", "kty": "OKP", "x": encoded(key.public_key().as_ref())});
        let oidc = json!({"issuer": "https://id.example", "jwks": {"keys": [jwk]}});
        let manifest =
            json!({"systems": {"shop": {"credentials": {"read": {"secret": "env:T"}, "write": {"secret": "env:U"}}}}});
        let seen = |token: String, oidc: Option<&Value>| {
            let env = BTreeMap::from([("T".to_owned(), token)]);
            claims(&manifest, &env, (oidc, jiff::Timestamp::UNIX_EPOCH)).remove("shop.read")
        };
        let good = seen(token(&key, &head, &body), Some(&oidc)).expect("a token");
        assert_eq!((good.genuine, good.lives, good.subject.as_deref()), (Some(true), Some(900.0), Some("svc")));
        assert_eq!(good.scopes, ["orders:read", "orders:write"]);
        assert_eq!(good.audience, ["shop"]);
        assert_eq!((good.made, good.begins, good.ends, good.read), (Some(1000), None, Some(1900), Some(0)));
        assert!(!format!("{good:?}").contains("nobody"), "no other claim is kept");
        for (token, oidc, genuine) in [
            (token(&other, &head, &body), Some(&oidc), Some(false)),
            (token(&key, &json!({"alg": "none"}), &body), Some(&oidc), Some(false)),
            (token(&key, &json!({"alg": "HS256"}), &body), Some(&oidc), None),
            (token(&key, &head, &json!({"iss": "https://other.example"})), Some(&oidc), None),
            (token(&key, &head, &body), None, None),
        ] {
            let seen = seen(token, oidc).expect("a token");
            assert_eq!(seen.genuine, genuine, "{seen:?}");
            assert_eq!(seen.why.is_some(), genuine.is_none());
        }
        assert!(seen("sk_live_no_token".to_owned(), None).is_none(), "a key is no token");
    }
}
