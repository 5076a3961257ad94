//! What the credentials grant, against what the tools need.
//!
//! `facts.grants` has an entry per credential: `name`, `system`, `at`, what is `granted`, the grants that no tool needs
//! (`unused`), those that a tool needs and that are not granted (`missing`: `tool`, `scope`), what a system's own
//! description asks for and the credential does not hold by any alternative (`asked`: `endpoint`, `scopes`), and everyone else who uses it
//! (`shared`: other credentials of this manifest, other manifests). `facts.connectors` says the same per system that is
//! reached over the network, with the scopes that its tokens hold beyond the manifest (`wider`) and tokens for no audience
//! (`unbound`).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{
    effects::by_tool,
    offered::{Offer, Offers},
};
use crate::facts::{Claims, is_write, may_run};

/// `facts.grants` and `facts.connectors`; `manifests` is `facts.manifests`, the other ones of the repository.
pub(super) fn facts(claims: &Claims<'_>, offers: &Offers, (manifests, tokens): (&Value, &Value)) -> (Value, Value) {
    let held: Vec<Held<'_>> = claims.credentials.iter().filter_map(Held::new).collect();
    let used = uses(claims, &held);
    let offered = by_tool(offers);
    let users = Users::new(&held, manifests);
    let grants = held.iter().map(|credential| {
        let tools = used.get(&(credential.system, credential.name)).map_or(&[][..], Vec::as_slice);
        credential.facts(tools, &offered, &users)
    });
    let grants: Vec<Value> = grants.collect();
    let connectors = claims.systems.iter().filter_map(|system| connector(system, &held, (&users, tokens))).collect();
    (grants.into(), connectors)
}

/// A credential of the manifest.
struct Held<'a> {
    system: &'a str,
    name: &'a str,
    claim: &'a Value,
    granted: BTreeSet<&'a str>,
}

impl<'a> Held<'a> {
    fn new(claim: &'a Value) -> Option<Self> {
        let text = |key: &str| claim.get(key).and_then(Value::as_str);
        Some(Self { system: text("system")?, name: text("name")?, claim, granted: texts(claim.get("scopes")) })
    }

    fn label(&self) -> String {
        format!("{}.{}", self.system, self.name)
    }

    /// What tells that two credentials are one: where the secret comes from, or the role.
    fn secret(&self) -> Option<String> {
        let secret = self.claim.get("secret").and_then(Value::as_str);
        secret.filter(|secret| secret.starts_with("env:")).map(str::to_owned)
    }

    fn role(&self) -> Option<String> {
        self.claim.get("role").and_then(Value::as_str).map(|role| format!("role:{role}"))
    }

    fn facts(&self, tools: &[&'a Value], offered: &BTreeMap<(&str, &str), &Offer>, users: &Users) -> Value {
        let mut needed: BTreeSet<&str> = BTreeSet::new();
        let mut missing = Vec::new();
        let mut asked = Vec::new();
        // A tool that names no scopes uses all that its credential holds.
        let mut takes_all = false;
        for tool in tools {
            let name = tool.get("name").and_then(Value::as_str).unwrap_or_default();
            match tool.get("scopes") {
                None => takes_all = true,
                Some(scopes) => {
                    let scopes = texts(Some(scopes));
                    let lacking = scopes.difference(&self.granted);
                    missing.extend(lacking.map(|scope| json!({"tool": name, "scope": scope})));
                    needed.extend(scopes);
                }
            }
            let operation = offered.get(&(self.system, name)).and_then(|offer| offer.operation.as_ref());
            if let Some(operation) = operation
                && !operation.scopes.is_empty()
                && !operation.scopes.iter().any(|all| all.iter().all(|scope| self.granted.contains(scope.as_str())))
            {
                let scopes: BTreeSet<&String> = operation.scopes.iter().flatten().collect();
                asked.push(json!({"endpoint": operation.endpoint, "scopes": scopes}));
            }
        }
        let unused: Vec<&&str> = if takes_all { Vec::new() } else { self.granted.difference(&needed).collect() };
        json!({
            "name": self.name,
            "system": self.system,
            "at": self.claim.get("at"),
            "granted": self.granted,
            "role": self.claim.get("role"),
            "subject": self.claim.get("subject"),
            "written_out": self.claim.get("secret").and_then(Value::as_str).is_some_and(|secret| !secret.starts_with("env:")),
            "tools": tools.len(),
            "unused": unused,
            "missing": missing,
            "asked": asked,
            "shared": users.beside(&self.label(), &[self.secret(), self.role()]),
        })
    }
}

fn texts(list: Option<&Value>) -> BTreeSet<&str> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The tools that use each credential: those that read use `read`, all others `write`, or the only one there is.
fn uses<'a>(claims: &Claims<'a>, held: &[Held<'a>]) -> BTreeMap<(&'a str, &'a str), Vec<&'a Value>> {
    let known: BTreeSet<(&str, &str)> = held.iter().map(|held| (held.system, held.name)).collect();
    let mut uses = BTreeMap::<(&str, &str), Vec<&Value>>::new();
    for tool in claims.tools {
        let Some(system) = tool.get("system").and_then(Value::as_str) else { continue };
        let wanted = if is_write(tool) { ["write", "read"] } else { ["read", "write"] };
        let name = wanted.into_iter().find(|name| known.contains(&(system, *name))).unwrap_or("write");
        if may_run(tool) {
            uses.entry((system, name)).or_default().push(tool);
        }
    }
    uses
}

/// Who uses which secret and which role.
struct Users(BTreeMap<String, BTreeSet<String>>);

impl Users {
    /// The users of each secret, and the other manifests that use a role; two databases of one agent may have roles of
    /// one name.
    fn new(held: &[Held<'_>], manifests: &Value) -> Self {
        let mut users = BTreeMap::<String, BTreeSet<String>>::new();
        for credential in held {
            if let Some(secret) = credential.secret() {
                users.entry(secret).or_default().insert(credential.label());
            }
        }
        for other in manifests.as_array().into_iter().flatten() {
            let path = other.get("path").and_then(Value::as_str).unwrap_or_default();
            for source in texts(other.get("credentials")) {
                users.entry(source.to_owned()).or_default().insert(path.to_owned());
            }
        }
        Self(users)
    }

    /// Everyone but `own` who uses one of these.
    fn beside(&self, own: &str, sources: &[Option<String>]) -> BTreeSet<&str> {
        let found = sources.iter().flatten().filter_map(|source| self.0.get(source)).flatten();
        found.map(String::as_str).filter(|user| *user != own).collect()
    }
}

/// A system that is reached over the network, with what it is reached by.
fn connector(system: &Value, held: &[Held<'_>], (users, tokens): (&Users, &Value)) -> Option<Value> {
    let name = system.get("name")?.as_str()?;
    let by = ["mcp", "openapi", "url"].iter().find(|key| system.get(**key).is_some())?;
    let own: Vec<&Held<'_>> = held.iter().filter(|held| held.system == name).collect();
    let shared: BTreeSet<&str> = own
        .iter()
        .flat_map(|held| users.beside(&held.label(), &[held.secret()]))
        .filter(|user| user.split('.').next() != Some(name))
        .collect();
    let bare = own.iter().filter(|held| held.granted.is_empty()).map(|held| held.name);
    let unsaid = own.iter().filter(|held| held.claim.get("grant").is_none()).map(|held| held.name);
    let tokens = || {
        let tokens = tokens.as_array().into_iter().flatten();
        tokens.filter(|token| token.get("system").and_then(Value::as_str) == Some(name))
    };
    let wider: BTreeSet<&str> = tokens().flat_map(|token| texts(token.get("wider"))).collect();
    let unbound = tokens().filter(|token| texts(token.get("audience")).is_empty());
    Some(json!({
        "name": name,
        "at": system.get("at"),
        "by": by,
        "wider": wider,
        "unbound": unbound.filter_map(|token| token.get("of")).collect::<Vec<_>>(),
        "credentials": own.len(),
        "without_scopes": bare.collect::<Vec<_>>(),
        "without_grant": unsaid.collect::<Vec<_>>(),
        "keys": own.iter().filter(|held| held.claim.get("grant") == Some(&"static-key".into())).map(|held| held.name).collect::<Vec<_>>(),
        "shared": shared,
    }))
}
