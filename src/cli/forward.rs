//! The systems of staging that the manifest forwards to: their clients, secrets and tools, ready for a run.

use std::collections::BTreeMap;

use reqwest::Url;

use super::{
    case::Case,
    raise::{Fallen, manifest_folder, misplaced},
};
use crate::{
    agent,
    context::Context,
    manifest::{
        Manifest,
        raw::{Allow, AllowWord, Effect, Forward},
    },
    source::Route,
    standin::{Exit, Place, Relays, Staging, Web},
};

/// Reaches every system that the manifest forwards to, and gives the secrets that were read for it. A system that can't be
/// reached is no agent's fault, and no run.
pub(crate) async fn relays(
    case: &Case,
    context: &Context,
    forbids: (bool, bool),
) -> Result<(Relays, Vec<String>), Fallen> {
    let (mut relays, mut read) = (Relays::default(), Vec::new());
    for (system, forward) in forwards(&case.manifest) {
        let to = format!("the tools of `{system}` are forwarded to {}", shown(forward));
        let place = place(case, context, (system, forward), forbids)?;
        let (place, secrets) = place.map_err(|why| Ok(format!("{to}, {why}")))?;
        read.extend(secrets);
        let staging = Staging { system: system.to_owned(), place, timeout: forward.timeout.0 };
        let added = relays.add(staging, exits(&case.manifest, system, forward)).await;
        added.map_err(|why| Ok(format!("{to}, which {why}")))?;
    }
    Ok((relays, read))
}

/// A system's place, and the secrets that were read for it; a mistake of the manifest, or else why there is none.
fn place(
    case: &Case,
    context: &Context,
    (system, forward): (&str, &Forward),
    (offline, no_exec): (bool, bool),
) -> Result<Result<(Place, Vec<String>), String>, Fallen> {
    if let Some(command) = &forward.run {
        if no_exec {
            return Ok(Err("and --no-exec forbids commands".to_owned()));
        }
        let started = agent::piped(command, &manifest_folder(case, context));
        return Ok(started.map(|stdio| (Place::Stdio(stdio), Vec::new())).map_err(|why| format!("which {why}")));
    }
    if offline {
        return Ok(Err("and --offline forbids that".to_owned()));
    }
    let route = Route::pointer("/systems").join(system).join("forward").join("auth");
    let (headers, secrets) = agent::authentication(forward.auth.as_ref(), &route, &context.env)
        .map_err(|error| Err(misplaced(case, &error)))?;
    let known = address(forward).and_then(|url| Url::parse(url).ok().zip(agent::plain_client(url)));
    let Some((url, http)) = known else { return Ok(Err("which is no URL".to_owned())) };
    let web = Web { http, headers };
    let place = if forward.mcp.is_some() { Place::Mcp(url, web) } else { Place::Http(url, web) };
    Ok(Ok((place, secrets.values().into_iter().map(str::to_owned).collect())))
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

/// The server without path and password, or the command.
fn shown(forward: &Forward) -> String {
    if let Some(command) = &forward.run {
        return format!("`{}`", crate::text::shortened(&crate::text::printable_line(command), 80));
    }
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
