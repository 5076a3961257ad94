//! The hosts that the build points at: compose files, samples of the environment and the MCP configuration that lie
//! beside the manifest or at the repository's root.
//!
//! `facts.hosts` has an entry per host and file: `host`, `file`, and `of`, what the manifest knows it as (a system, a
//! model provider, telemetry, …), empty when it knows it as nothing. `facts.mounts` has the host paths that the compose
//! files mount. Names of services in a compose file are the build itself, and so is the local machine.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use regex::Regex;
use serde_json::{Map, Value, json};

use crate::{
    facts::{Claims, Shelf},
    source::{Files, SourceFile, load_text},
    text::wildcard_matches,
};

/// Files that say where a build connects to.
const PLACES: [&str; 19] = [
    "compose.yaml",
    "compose.yml",
    "compose.*.yaml",
    "compose.*.yml",
    "docker-compose.yaml",
    "docker-compose.yml",
    "docker-compose.*.yaml",
    "docker-compose.*.yml",
    ".env.example",
    ".env.sample",
    ".env.template",
    "mcp.json",
    ".mcp.json",
    "mcp_config.json",
    ".cursor/mcp.json",
    ".vscode/mcp.json",
    ".gemini/settings.json",
    "deploy/*compose*.y*ml",
    "docker/*compose*.y*ml",
];

/// Hosts of model providers.
const MODEL_HOSTS: [&str; 14] = [
    "api.openai.com",
    "api.anthropic.com",
    "*.openai.azure.com",
    "*.services.ai.azure.com",
    "*.cognitiveservices.azure.com",
    "generativelanguage.googleapis.com",
    "*aiplatform.googleapis.com",
    "bedrock*.amazonaws.com",
    "api.mistral.ai",
    "api.cohere.com",
    "api.groq.com",
    "api.deepseek.com",
    "openrouter.ai",
    "api.together.xyz",
];

static ADDRESS: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"(?i)\b[a-z][a-z0-9+.-]*://(?:[^/\s@'\x22]*@)?([a-z0-9-]+(?:\.[a-z0-9-]+)+)";
    Regex::new(pattern).expect("the pattern is valid")
});

/// `facts.hosts` and `facts.mounts`.
pub(super) fn facts(shelf: &Shelf<'_>, claims: &Claims<'_>) -> (Value, Value) {
    let known = known(claims);
    let mut hosts = BTreeMap::<(String, String), String>::new();
    let mut mounts = Vec::new();
    for name in files(shelf) {
        let Ok(file) = shelf.read(&name) else { continue };
        for line in file.text().lines().map(without_comment) {
            let addresses = ADDRESS.captures_iter(line).filter_map(|found| Some(found.get(1)?.as_str().to_lowercase()));
            for host in addresses.chain(bare(line)) {
                if !is_local(&host) {
                    let of = if line.contains("OTEL_") { "telemetry" } else { known_as(&known, &host) };
                    hosts.insert((name.clone(), host), of.to_owned());
                }
            }
        }
        if name.contains("compose") {
            mounts.extend(mounted(&name, file));
        }
    }
    let hosts = hosts.into_iter().map(|((file, host), of)| json!({"file": file, "host": host, "of": of})).collect();
    (hosts, Value::Array(mounts))
}

/// The files, by their names in the file set.
fn files(shelf: &Shelf<'_>) -> BTreeSet<String> {
    let near = PLACES.iter().flat_map(|place| shelf.glob(&shelf.name(place)));
    let top = PLACES.iter().flat_map(|place| shelf.glob(&Files::resolve("", place)));
    near.chain(top).collect()
}

/// The host that a setting names without a scheme: `PGHOST: db.acme.example`.
fn bare(line: &str) -> Option<String> {
    const KEYS: [&str; 6] = ["HOST", "HOSTNAME", "ENDPOINT", "SERVER", "DOMAIN", "ADDR"];
    let (key, value) = line.split_once(['=', ':'])?;
    let key = key.trim().trim_start_matches(['-', ' ']).trim_matches(['"', '\'']).to_uppercase();
    let value = value.trim().trim_end_matches(',').trim_matches(['"', '\'']);
    let host = value.split([':', '/']).next()?.to_lowercase();
    let parts: Vec<&str> = host.split('.').collect();
    let is_name = |part: &&str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    let has_domain = parts.len() > 2 && parts.last().is_some_and(|last| last.chars().all(|c| c.is_ascii_alphabetic()));
    let fits = KEYS.iter().any(|end| key.ends_with(end)) && has_domain && parts.iter().all(is_name);
    (fits && !value.contains("://")).then_some(host)
}

fn without_comment(line: &str) -> &str {
    match line.find(" #") {
        _ if line.trim_start().starts_with('#') => "",
        Some(at) => line.get(..at).unwrap_or(line),
        None => line,
    }
}

fn is_local(host: &str) -> bool {
    let number = host.split('.').all(|part| part.parse::<u8>().is_ok());
    number && (host.starts_with("127.") || host == "0.0.0.0")
        || host.ends_with(".localhost")
        || host == "host.docker.internal"
}

/// Hosts that the manifest names, with what they are.
fn known(claims: &Claims<'_>) -> BTreeMap<String, String> {
    let mut known = BTreeMap::new();
    for (section, value) in claims.manifest.as_object().into_iter().flatten() {
        if section == "systems" {
            for (system, entry) in value.as_object().into_iter().flatten() {
                gather(entry, &format!("system {system}"), &mut known);
            }
        } else {
            gather(value, section, &mut known);
        }
    }
    known
}

fn gather(value: &Value, what: &str, known: &mut BTreeMap<String, String>) {
    match value {
        Value::String(text) => {
            for host in ADDRESS.captures_iter(text).filter_map(|found| found.get(1)) {
                known.entry(host.as_str().to_lowercase()).or_insert_with(|| what.to_owned());
            }
        }
        Value::Array(items) => items.iter().for_each(|item| gather(item, what, known)),
        Value::Object(map) => map.values().for_each(|item| gather(item, what, known)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn known_as<'a>(known: &'a BTreeMap<String, String>, host: &str) -> &'a str {
    if MODEL_HOSTS.iter().any(|pattern| wildcard_matches(pattern, host)) {
        return "model provider";
    }
    known.get(host).map_or("", String::as_str)
}

/// Paths of the host machine that a compose file mounts into a service.
fn mounted(name: &str, file: SourceFile) -> Vec<Value> {
    let compose = load_text::<Value>(file).map_or(Value::Null, |loaded| loaded.value);
    let services = compose.get("services").and_then(Value::as_object).into_iter().flat_map(Map::iter);
    let volumes = services.flat_map(|(service, entry)| {
        let list = entry.get("volumes").and_then(Value::as_array).into_iter().flatten();
        list.filter_map(move |volume| Some((service, source(volume)?)))
    });
    volumes.map(|(service, path)| json!({"file": name, "service": service, "path": path})).collect()
}

fn source(volume: &Value) -> Option<&str> {
    match volume {
        Value::String(short) => {
            short.split(':').next().filter(|path| path.contains('/') || path.starts_with(['.', '~']))
        }
        long => long.get("source").and_then(Value::as_str),
    }
}

#[cfg(test)]
mod tests {
    use super::bare;

    #[test]
    fn a_host_without_a_scheme_is_known_by_its_key() {
        for (line, expected) in [
            ("SALESFORCE_HOST=acme.my.salesforce.com", Some("acme.my.salesforce.com")),
            ("      PGHOST: db.acme.example", Some("db.acme.example")),
            ("      - SMTP_SERVER=mail.acme.example:587", Some("mail.acme.example")),
            ("  \"ENDPOINT\": \"api.acme.example/v1\",", Some("api.acme.example")),
            ("PGHOST=db", None),
            ("LOCALHOST=127.0.0.1", None),
            ("HOST=0.0.0.0", None),
            ("VERSION=1.2.beta", None),
            ("API_ENDPOINT=https://api.acme.example", None),
        ] {
            assert_eq!(bare(line).as_deref(), expected, "{line}");
        }
    }
}
