//! What leads the agent to raw credentials: tools, scopes and mounts that reach a store of secrets.
//!
//! `facts.vaults` has an entry per way: `what` it is, `name`, `at`, and what it `leads_to`.

use serde_json::{Value, json};

use crate::facts::{Claims, may_run};

/// Words of names that mean a store of secrets.
const STORES: [&str; 16] = [
    "vault",
    "keyvault",
    "key_vault",
    "secretsmanager",
    "secretmanager",
    "secrets_manager",
    "secret_manager",
    "secret",
    "secrets",
    "credential",
    "credentials",
    "parameter_store",
    "kms",
    "keychain",
    "onepassword",
    "lastpass",
];

/// Places in addresses and paths, with what they are.
const PLACES: [(&str, &str); 16] = [
    ("169.254.169.254", "the metadata of the cloud"),
    ("metadata.google.internal", "the metadata of the cloud"),
    ("metadata.azure.com", "the metadata of the cloud"),
    ("vault", "a store of secrets"),
    ("secretsmanager", "a store of secrets"),
    ("secretmanager", "a store of secrets"),
    (".aws", "the key files of a cloud account"),
    (".azure", "the key files of a cloud account"),
    ("gcloud", "the key files of a cloud account"),
    (".kube", "the keys of a cluster"),
    ("kubeconfig", "the keys of a cluster"),
    (".ssh", "private keys"),
    (".gnupg", "private keys"),
    (".netrc", "passwords"),
    (".docker", "the keys of registries"),
    ("docker.sock", "the whole machine, its secrets included"),
];

/// `facts.vaults`; `mounts` is the fact of that name.
pub(super) fn facts(claims: &Claims<'_>, mounts: &Value) -> Value {
    let tools = claims.tools.iter().filter_map(tool);
    let scopes = claims.credentials.iter().flat_map(scopes);
    let mounts = mounts.as_array().into_iter().flatten().filter_map(mount);
    tools.chain(scopes).chain(mounts).collect()
}

fn tool(tool: &Value) -> Option<Value> {
    let text = |key: &str| tool.get(key).and_then(Value::as_str).unwrap_or_default();
    let by_name = [text("name"), text("system")].into_iter().any(names_a_store).then_some("a store of secrets");
    let leads_to = by_name.or_else(|| place(text("endpoint"))).filter(|_| may_run(tool))?;
    Some(json!({"what": "the tool", "name": text("name"), "at": tool.get("at"), "leads_to": leads_to}))
}

fn scopes(credential: &Value) -> impl Iterator<Item = Value> {
    let at = credential.get("at").cloned();
    let scopes = credential.get("scopes").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let found = scopes.filter(|scope| names_a_store(scope));
    found.map(move |scope| json!({"what": "the scope", "name": scope, "at": at, "leads_to": "a store of secrets"}))
}

fn mount(mount: &Value) -> Option<Value> {
    let path = mount.get("path")?.as_str()?;
    let file = mount.get("file")?.as_str()?;
    let is_env = path.rsplit('/').next().is_some_and(|name| name == ".env" || name.starts_with(".env."));
    let leads_to = if is_env {
        "a file of secrets"
    } else if is_home(path) {
        "a whole home folder, its keys included"
    } else {
        place(path)?
    };
    Some(json!({"what": "the mount", "name": path, "at": "/systems", "leads_to": format!("{leads_to} ({file})")}))
}

/// A home folder as a whole, or all that is above it.
fn is_home(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    match (path.starts_with('/'), parts.as_slice()) {
        (false, ["~" | "$HOME" | "${HOME}"]) | (true, [] | ["root" | "home" | "Users"] | ["home" | "Users", _]) => true,
        (_, _) => false,
    }
}

/// Whether a word of a name, or two that stand together, mean a store.
fn names_a_store(name: &str) -> bool {
    let lower = name.to_lowercase();
    let words: Vec<&str> = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let pairs = words.windows(2).map(|pair| pair.join("_"));
    words.iter().any(|word| STORES.contains(word)) || pairs.into_iter().any(|pair| STORES.contains(&pair.as_str()))
}

fn place(text: &str) -> Option<&'static str> {
    let lower = text.to_lowercase();
    let parts: Vec<&str> = lower.split(['/', ' ', ':']).collect();
    let stands = |known: &str| {
        parts.iter().any(|part| *part == known || part.strip_suffix(known).is_some_and(|rest| rest.ends_with('.')))
    };
    PLACES.iter().find(|(known, _)| stands(known)).map(|(_, what)| *what)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{mount, names_a_store, place, tool};

    #[test]
    fn ways_to_secrets_are_told_from_their_likes() {
        for (name, expected) in [
            ("read_secret", true),
            ("vault", true),
            ("secretmanager.versions.access", true),
            ("get_key_vault_entry", true),
            ("read_ticket", false),
            ("secretary_calendar", false),
            ("orders:read", false),
        ] {
            assert_eq!(names_a_store(name), expected, "{name}");
        }
        for (text, expected) in [
            ("GET http://169.254.169.254/latest", true),
            ("GET /v1/vault/data", true),
            ("GET /v1/vaulting", false),
            ("~/.aws", true),
            ("./awsome", false),
            ("/var/run/docker.sock", true),
        ] {
            assert_eq!(place(text).is_some(), expected, "{text}");
        }
        assert!(mount(&json!({"file": "compose.yaml", "path": "./.env"})).is_some());
        for (path, expected) in [
            ("./data", false),
            ("~", true),
            ("$HOME", true),
            ("${HOME}/", true),
            ("/", true),
            ("/root", true),
            ("/home/agent", true),
            ("/home/agent/data", false),
            ("~/.netrc", true),
        ] {
            assert_eq!(mount(&json!({"file": "compose.yaml", "path": path})).is_some(), expected, "{path}");
        }
        let never = json!({"name": "read_secret", "system": "kb", "allow": {"mode": "never"}});
        assert!(tool(&never).is_none(), "what is never called leads nowhere");
    }
}
