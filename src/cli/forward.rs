//! The systems of staging that the manifest forwards to: their clients, secrets and tools, ready for a run.

use std::collections::BTreeMap;

use reqwest::Url;

use super::{
    case::Case,
    raise::{Fallen, misplaced},
};
use crate::{
    agent,
    context::Context,
    manifest::{
        Manifest,
        raw::{Allow, AllowWord, Effect, Forward},
    },
    source::Route,
    standin::{Exit, Place, Relays, Staging},
};

/// Reaches every system that the manifest forwards to, and gives the secrets that were read for it. A system that can't be
/// reached is no agent's fault, and no run.
pub(crate) async fn relays(case: &Case, context: &Context, offline: bool) -> Result<(Relays, Vec<String>), Fallen> {
    let (mut relays, mut read) = (Relays::default(), Vec::new());
    for (system, forward) in forwards(&case.manifest) {
        let to = format!("the tools of `{system}` are forwarded to {}", shown(forward));
        if offline {
            return Err(Ok(format!("{to}, and --offline forbids that")));
        }
        let route = Route::pointer("/systems").join(system).join("forward").join("auth");
        let (headers, secrets) = agent::authentication(forward.auth.as_ref(), &route, &context.env)
            .map_err(|error| Err(misplaced(case, &error)))?;
        read.extend(secrets.values().into_iter().map(str::to_owned));
        let known = address(forward).and_then(|url| Url::parse(url).ok().zip(agent::plain_client(url)));
        let Some((url, http)) = known else { return Err(Ok(format!("{to}, which is no URL"))) };
        let place = if forward.mcp.is_some() { Place::Mcp(url) } else { Place::Http(url) };
        let staging = Staging { system: system.to_owned(), place, http, headers, timeout: forward.timeout.0 };
        let added = relays.add(staging, exits(&case.manifest, system, forward)).await;
        added.map_err(|why| Ok(format!("{to}, which {why}")))?;
    }
    Ok((relays, read))
}

/// What a report says of tools that are forwarded.
pub(crate) fn notes(manifest: &Manifest) -> Vec<String> {
    let note = |(system, forward): (&str, &Forward)| {
        let what = if forward.writes { "calls" } else { "reads" };
        format!(
            "systems.{system}: {what} of golden scenarios without `given`, `faults` and `state` are forwarded to {}; all other \
             calls, and every attack, incident and drill, are played on the world",
            shown(forward)
        )
    };
    forwards(manifest).map(note).collect()
}

fn forwards(manifest: &Manifest) -> impl Iterator<Item = (&str, &Forward)> {
    manifest.raw.systems.iter().filter_map(|(name, system)| Some((name.as_str(), system.forward.as_ref()?)))
}

fn address(forward: &Forward) -> Option<&str> {
    forward.mcp.as_deref().or(forward.http.as_deref())
}

/// The server without path and password.
fn shown(forward: &Forward) -> String {
    let url = address(forward).and_then(|url| Url::parse(url).ok());
    url.map_or_else(|| "nowhere".to_owned(), |url| crate::text::printable_line(&url.origin().ascii_serialization()))
}

/// The tools of a system that are forwarded, and which of them may leave the world: what may never be called does not, and
/// what changes something only where the manifest says so.
fn exits(manifest: &Manifest, system: &str, forward: &Forward) -> BTreeMap<String, Exit> {
    let is_meant = |name: &String| forward.tools.as_ref().is_none_or(|tools| tools.contains(name));
    let of_system = manifest.raw.tools.iter().filter(|(name, tool)| tool.system == system && is_meant(name));
    let exit = |(name, tool): (&String, &crate::manifest::raw::Tool)| {
        let is_forbidden = matches!(tool.allowance().as_ref(), Allow::Word(AllowWord::Never));
        let is_open = !is_forbidden && (forward.writes || tool.known_effect().0 == Effect::Read);
        let header = tool.idempotency_key.as_deref().filter(|key| !key.starts_with('/'));
        let key_header = header.and_then(|name| name.parse().ok());
        (name.clone(), Exit { endpoint: tool.endpoint.clone(), is_open, key_header })
    };
    of_system.map(exit).collect()
}
