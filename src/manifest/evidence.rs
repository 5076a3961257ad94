//! The claims as the document that checks read: plain JSON, defaults applied, lists where checks iterate.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    Manifest,
    raw::{Allow, Credential, CredentialDefaults, Effect, ManifestFile, System, Tool},
};
use crate::source::Route;

/// The part of the evidence that comes from the manifest: `manifest`, `agent`, `tools`, `systems`,
/// `credentials` and `models`.
///
/// What is not said is absent, never null. A secret appears as `env:NAME` only; one that is written out in
/// the manifest is replaced.
pub fn evidence(manifest: &Manifest) -> Value {
    let raw = &manifest.raw;
    let mut document = plain(raw);
    hide_secrets(&mut document);
    let systems: Vec<Value> = raw.systems.iter().map(|(name, system)| system_entry(raw, name, system)).collect();
    let credentials: Vec<Value> =
        raw.systems.iter().flat_map(|(name, system)| credentials(raw, name, system)).collect();
    let parts: [(&str, Value); 6] = [
        ("agent", document.get("agent").cloned().unwrap_or_default()),
        ("tools", raw.tools.iter().map(|(name, tool)| tool_entry(name, tool)).collect()),
        ("systems", systems.into()),
        ("credentials", credentials.into()),
        ("models", raw.models.iter().map(|(name, model)| named("/models", name, plain(model))).collect()),
        ("manifest", document),
    ];
    parts.into_iter().collect()
}

fn tool_entry(name: &str, tool: &Tool) -> Value {
    let (effect, source) = tool.known_effect();
    let mut entry = named("/tools", name, plain(tool));
    put(&mut entry, "effect", plain(&effect));
    put(&mut entry, "effect_declared", tool.effect.is_some().into());
    put(&mut entry, "effect_from", plain(&source));
    put(&mut entry, "reversible", tool.is_reversible().into());
    put(&mut entry, "reversible_declared", tool.reversible.is_some().into());
    put(&mut entry, "is_write", (effect != Effect::Read).into());
    put(&mut entry, "allow", allowance(&tool.allowance()));
    put(&mut entry, "allow_declared", tool.allow.is_some().into());
    entry
}

fn allowance(allow: &Allow) -> Value {
    match allow {
        Allow::Word(word) => json!({ "mode": word }),
        Allow::Tiers(tiers) => {
            let mut entry = json!({ "mode": "tiers" });
            if let Value::Object(bands) = plain(tiers) {
                bands.into_iter().for_each(|(key, value)| put(&mut entry, &key, value));
            }
            entry
        }
    }
}

fn system_entry(raw: &ManifestFile, name: &str, system: &System) -> Value {
    let mut entry = named("/systems", name, plain(system));
    put(&mut entry, "credentials", credentials(raw, name, system).into());
    entry
}

fn credentials(raw: &ManifestFile, system_name: &str, system: &System) -> Vec<Value> {
    let at = Route::pointer("/systems").join(system_name).join("credentials");
    [("read", &system.credentials.read), ("write", &system.credentials.write)]
        .into_iter()
        .filter_map(|(name, credential)| Some((name, credential.as_ref()?)))
        .map(|(name, credential)| {
            let merged = merged(credential, &raw.identity.credential_defaults);
            let mut entry = named(at.as_str(), name, plain(&merged));
            put(&mut entry, "system", system_name.into());
            hide(entry.get_mut("secret"));
            entry
        })
        .collect()
}

fn merged(credential: &Credential, defaults: &CredentialDefaults) -> Credential {
    Credential {
        grant: credential.grant.or(defaults.grant),
        ttl: credential.ttl.or(defaults.ttl),
        rotate_every: credential.rotate_every.or(defaults.rotate_every),
        delivery: credential.delivery.or(defaults.delivery),
        ..credential.clone()
    }
}

/// An entry of a list: its name, its place, then what the manifest says.
/// About as many fields as a tool has here, so that its map does not grow in steps.
const MOST_FIELDS: usize = 28;

fn named(parent: &str, name: &str, value: Value) -> Value {
    let mut entry = Map::with_capacity(MOST_FIELDS);
    entry.insert("name".to_owned(), name.into());
    entry.insert("at".to_owned(), Route::pointer(parent).join(name).as_str().into());
    if let Value::Object(fields) = value {
        entry.extend(fields);
    }
    Value::Object(entry)
}

fn put(entry: &mut Value, key: &str, value: Value) {
    if let Value::Object(fields) = entry {
        fields.insert(key.to_owned(), value);
    }
}

fn plain<T: Serialize>(value: &T) -> Value {
    serde_json::to_value(value).expect("the manifest model has text keys and finite numbers")
}

fn hide_secrets(document: &mut Value) {
    if let Some(Value::Object(auth)) = document.pointer_mut("/endpoint/auth") {
        for (key, value) in auth {
            match value {
                Value::Object(headers) if key == "headers" => headers.values_mut().for_each(|value| hide(Some(value))),
                value => hide(Some(value)),
            }
        }
    }
    if let Some(Value::Object(upstreams)) = document.pointer_mut("/endpoint/upstream") {
        upstreams.values_mut().for_each(|upstream| hide(upstream.get_mut("key")));
    }
    if let Some(Value::Object(systems)) = document.get_mut("systems") {
        for system in systems.values_mut() {
            hide(system.pointer_mut("/credentials/read/secret"));
            hide(system.pointer_mut("/credentials/write/secret"));
        }
    }
}

fn hide(secret: Option<&mut Value>) {
    if let Some(value) = secret
        && !value.as_str().is_some_and(|text| text.starts_with("env:"))
    {
        *value = "(written out in the manifest)".into();
    }
}
