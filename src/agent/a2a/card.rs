//! From an agent card to the interface that is used. Pure.

use reqwest::Url;
use serde_json::Value;

use super::{
    super::client::is_loopback,
    dialect::{Binding, Version},
};
use crate::text::printable_line;

/// Where and how the agent is spoken to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Interface {
    pub(super) url: Url,
    pub(super) version: Version,
    pub(super) binding: Binding,
    pub(super) tenant: Option<String>,
}

/// One interface as a card lists it.
struct Listed<'a> {
    url: &'a str,
    binding: &'a str,
    version: &'a str,
    tenant: Option<&'a str>,
}

/// The best interface of a card: the newer version first, JSON-RPC before REST; or what is wrong, to follow "the agent card".
pub(super) fn interface(card: &Value, home: &Url) -> Result<Interface, String> {
    let listed = listed(card);
    if listed.is_empty() {
        return Err("names no interface: neither `supportedInterfaces` nor `url`".to_owned());
    }
    let mut known: Vec<_> = listed
        .iter()
        .filter_map(|one| Some(((Version::named(one.version)?, Binding::named(one.binding)?), one)))
        .collect();
    known.sort_by_key(|(rank, _)| *rank);
    let Some(((version, binding), one)) = known.first() else {
        let offered: Vec<_> =
            listed.iter().map(|one| printable_line(&format!("{} {}", one.binding, one.version))).collect();
        return Err(format!("offers {}; this version speaks JSON-RPC and REST of 1.0 and 0.3", offered.join(", ")));
    };
    Ok(Interface {
        url: at_home(one.url, home)?,
        version: *version,
        binding: *binding,
        tenant: one.tenant.filter(|tenant| !tenant.is_empty()).map(str::to_owned),
    })
}

fn listed(card: &Value) -> Vec<Listed<'_>> {
    let newer = card.get("supportedInterfaces").and_then(Value::as_array).into_iter().flatten().filter_map(|one| {
        Some(Listed {
            url: one.get("url")?.as_str()?,
            binding: one.get("protocolBinding")?.as_str()?,
            version: one.get("protocolVersion").and_then(Value::as_str).unwrap_or("1.0"),
            tenant: one.get("tenant").and_then(Value::as_str),
        })
    });
    let version = card.get("protocolVersion").and_then(Value::as_str).unwrap_or("0.3");
    let older = card.get("url").and_then(Value::as_str).map(|url| Listed {
        url,
        binding: card.get("preferredTransport").and_then(Value::as_str).unwrap_or("JSONRPC"),
        version,
        tenant: None,
    });
    let others = card.get("additionalInterfaces").and_then(Value::as_array).into_iter().flatten().filter_map(|one| {
        let (url, binding) = (one.get("url")?.as_str()?, one.get("transport")?.as_str()?);
        Some(Listed { url, binding, version, tenant: None })
    });
    newer.chain(older).chain(others).collect()
}

/// The address on the manifest's own host. Cards of agents in a container or on a picked port often name another one for
/// this machine; what lies on somebody else's host is not asked.
fn at_home(text: &str, home: &Url) -> Result<Url, String> {
    let shown = printable_line(text);
    let named = home.join(text).map_err(|error| format!("names no usable URL: {error}: `{shown}`"))?;
    let is_here =
        |url: &Url| url.host_str().is_some_and(|host| is_loopback(host) || matches!(host, "0.0.0.0" | "[::]"));
    if named.host() != home.host() && !(is_here(&named) && is_here(home)) {
        return Err(format!("points to `{shown}`, a host that `endpoint.url` does not name"));
    }
    let mut url = home.clone();
    url.set_path(named.path());
    url.set_query(named.query());
    Ok(url)
}

#[cfg(test)]
mod tests {
    use reqwest::Url;
    use serde_json::json;

    use super::{Binding, Version, interface};

    #[test]
    fn the_newest_interface_that_is_spoken_is_taken() {
        let home = Url::parse("http://127.0.0.1:9004/").expect("a URL");
        let on = |url: &str, binding: &str, version: &str| json!({"url": url, "protocolBinding": binding, "protocolVersion": version});
        for (card, expected) in [
            (
                json!({"supportedInterfaces": [on("http://localhost:1/v3", "JSONRPC", "0.3"), on("http://0.0.0.0:80/rest", "HTTP+JSON", "1.0.1"), on("/g", "GRPC", "1.0")]}),
                Ok(("http://127.0.0.1:9004/rest", Version::V1, Binding::Rest)),
            ),
            (
                json!({"supportedInterfaces": [on("http://127.0.0.1:9004/rest", "HTTP+JSON", "1.0"), on("http://127.0.0.1:9004/rpc", "JSONRPC", "1.0")]}),
                Ok(("http://127.0.0.1:9004/rpc", Version::V1, Binding::JsonRpc)),
            ),
            (
                json!({"url": "http://localhost:8000/a2a/x?y=1", "protocolVersion": "0.3.0"}),
                Ok(("http://127.0.0.1:9004/a2a/x?y=1", Version::V03, Binding::JsonRpc)),
            ),
            (
                json!({"url": "/g", "preferredTransport": "GRPC", "protocolVersion": "0.3.0", "additionalInterfaces": [{"url": "/r", "transport": "HTTP+JSON"}]}),
                Ok(("http://127.0.0.1:9004/r", Version::V03, Binding::Rest)),
            ),
            (
                json!({"url": "https://elsewhere.example/a2a"}),
                Err("points to `https://elsewhere.example/a2a`, a host that `endpoint.url` does not name"),
            ),
            (
                json!({"supportedInterfaces": [on("/", "GRPC", "1.0"), on("/", "JSONRPC", "0.2.5")]}),
                Err("offers GRPC 1.0, JSONRPC 0.2.5; this version speaks JSON-RPC and REST of 1.0 and 0.3"),
            ),
            (json!({"name": "x"}), Err("names no interface: neither `supportedInterfaces` nor `url`")),
        ] {
            let found = interface(&card, &home);
            let seen = found.as_ref().map(|one| (one.url.as_str(), one.version, one.binding)).map_err(String::as_str);
            assert_eq!(seen, expected, "{card}");
        }
    }
}
