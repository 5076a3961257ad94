//! What must agree between sections: every name that refers to something leads there.
//!
//! Places are looked up only for what is wrong, so that a sound manifest costs one map lookup per reference.

use std::collections::BTreeMap;

use super::{
    endpoint::Protocol,
    raw::{ApproverGroup, ClassRule, ManifestFile, Reaction, System, Tool},
};
use crate::{
    source::{Diagnostic, Document, Route},
    text::closest,
};

/// All dangling references of a manifest, each at its place.
pub(super) fn check(raw: &ManifestFile, document: &Document) -> Vec<Diagnostic> {
    let mut review = Review { raw, document, problems: Vec::new() };
    review.endpoint();
    review.correlation();
    review.stand_ins();
    review.forwards();
    review.tools();
    review.handoff_and_policy();
    review.approvals();
    review.budgets();
    review.data();
    review.rollout();
    review.problems
}

/// Headers that can name no trial.
const TAKEN: [&str; 10] = [
    "accept",
    "authorization",
    "baggage",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "host",
    "traceparent",
];

/// What `gate:` values of `endpoint.stand_ins` name.
const STAND_INS: [&str; 5] = ["egress", "model/anthropic", "model/openai", "otlp", "tools"];

struct Review<'a> {
    raw: &'a ManifestFile,
    document: &'a Document,
    problems: Vec<Diagnostic>,
}

/// What names of one kind refer to.
struct Target<'a, V> {
    what: &'static str,
    section: &'static str,
    known: &'a BTreeMap<String, V>,
}

impl<'a> Review<'a> {
    fn endpoint(&mut self) {
        let endpoint = &self.raw.endpoint;
        let (key, is_missing, hint) = match endpoint.protocol {
            Protocol::Command => ("run", endpoint.run.is_empty(), "add `run`, the program and its arguments as a list"),
            Protocol::A2a
            | Protocol::Anthropic
            | Protocol::Http
            | Protocol::Mcp
            | Protocol::Openai
            | Protocol::OpenaiResponses => {
                ("url", endpoint.url.is_none(), "add `url`, or say `protocol: command` and give `run`")
            }
        };
        if is_missing {
            let message = format!("`endpoint` needs `{key}` for protocol `{}`", endpoint.protocol.name());
            self.object_key(message, &Route::pointer("/endpoint"), hint.to_owned());
        }
    }

    /// A header that can be told from those that mean something else.
    fn correlation(&mut self) {
        let Some(correlation) = &self.raw.endpoint.correlation else { return };
        let name = correlation.header.to_ascii_lowercase();
        let is_name = reqwest::header::HeaderName::from_bytes(name.as_bytes()).is_ok();
        let is_taken = TAKEN.contains(&name.as_str()) || name.starts_with("mcp-");
        if !is_name || is_taken {
            let what = if is_taken { "has a meaning of its own" } else { "is no header name" };
            let message = format!("`{}` {what}", correlation.header);
            self.object(
                message,
                &Route::pointer("/endpoint/correlation/header"),
                "write one such as `X-Trial`".to_owned(),
            );
        }
    }

    /// What the agent is told of the gate's own places.
    fn stand_ins(&mut self) {
        for (name, value) in &self.raw.endpoint.stand_ins {
            let Some(asked) = value.strip_prefix("gate:") else { continue };
            let route = || Route::pointer("/endpoint/stand_ins").join(name);
            if let Some(system) = asked.strip_prefix("tools/").filter(|system| !system.is_empty()) {
                self.refer(&self.systems(), system, route);
            } else if !STAND_INS.contains(&asked) {
                let known = STAND_INS.map(|known| format!("`gate:{known}`")).join(", ");
                let near = closest(asked, STAND_INS);
                let hint = near.map_or_else(String::new, |near| format!("did you mean `gate:{near}`? "));
                let message = format!("there is no stand-in `{value}`");
                self.object(message, &route(), format!("{hint}there are {known} and `gate:tools/<system>`"));
            }
        }
    }

    /// Where calls are forwarded to: one place, and tools that can be asked for there.
    fn forwards(&mut self) {
        let raw = self.raw;
        for (system, forward) in raw.systems.iter().filter_map(|(name, system)| Some((name, system.forward.as_ref()?)))
        {
            let route = Route::pointer("/systems").join(system).join("forward");
            let places = [("mcp", &forward.mcp), ("run", &forward.run), ("http", &forward.http)];
            let given: Vec<_> = places.iter().filter_map(|(key, place)| Some((*key, place.as_ref()?))).collect();
            let [(key, place)] = given.as_slice() else {
                let names: Vec<String> = given.iter().map(|(key, _)| format!("`{key}`")).collect();
                let which = if names.is_empty() { "no `mcp`, `run` or `http`".to_owned() } else { names.join(" and ") };
                let hint = "give one: `mcp`, the URL of a server, `run`, the command of one, or `http`, the base URL of an API";
                self.object_key(format!("`forward` has {which}"), &route, hint.to_owned());
                continue;
            };
            if *key == "run" {
                self.forward_command(forward, place, &route);
            } else if !(place.starts_with("http://") || place.starts_with("https://")) {
                self.object(
                    format!("`{place}` is no http or https URL"),
                    &route.join(key),
                    "name a server of staging".to_owned(),
                );
            }
            for (index, name) in forward.tools.iter().flatten().enumerate() {
                let place = || route.join("tools").join(index);
                match raw.tools.get(name) {
                    None => self.refer(&self.known_tools(), name, place),
                    Some(tool) if tool.system != *system => {
                        let message = format!("`{name}` is a tool of `{}`, not of `{system}`", tool.system);
                        self.object(message, &place(), format!("forward it below `{}`", tool.system));
                    }
                    Some(_) => {}
                }
            }
            let is_meant = |name: &String| forward.tools.as_ref().is_none_or(|tools| tools.contains(name));
            let of_system = raw.tools.iter().filter(|(name, tool)| tool.system == *system && is_meant(name));
            for (name, tool) in of_system.filter(|_| forward.http.is_some()) {
                let is_request = tool.endpoint.as_ref().is_some_and(|endpoint| endpoint.contains(" /"));
                if !is_request {
                    let message = format!("`{name}` is forwarded to an HTTP API and has no `endpoint`");
                    let hint = "add `endpoint`, such as `GET /orders/{order_id}`".to_owned();
                    self.object_key(message, &Route::pointer("/tools").join(name), hint);
                }
            }
        }
    }

    /// A command of staging, which takes its secrets from the environment.
    fn forward_command(&mut self, forward: &super::raw::Forward, command: &str, route: &Route) {
        if command.trim().is_empty() {
            self.object("`run` is empty".to_owned(), &route.join("run"), "give the command of a server".to_owned());
        }
        if forward.auth.is_some() {
            let hint = "the command has the gate's environment; let it read its secrets there".to_owned();
            self.object("`auth` is for a URL, and this is a command".to_owned(), &route.join("auth"), hint);
        }
    }

    fn tools(&mut self) {
        let raw = self.raw;
        for (name, tool) in &raw.tools {
            let route = |key: &str| Route::pointer("/tools").join(name).join(key);
            self.refer(&self.systems(), &tool.system, || route("system"));
            if let Some(undoing) = tool.rollback.as_ref().and_then(|rollback| rollback.tool.as_ref()) {
                self.refer(&self.known_tools(), undoing, || route("rollback").join("tool"));
            }
            if let Some(group) = &tool.approvers {
                self.refer(&self.groups(), group, || route("approvers"));
            }
        }
    }

    fn handoff_and_policy(&mut self) {
        let raw = self.raw;
        if let Some(tool) = &raw.handoff.tool {
            self.refer(&self.known_tools(), tool, || Route::pointer("/handoff/tool"));
        }
        let classes = Target { what: "class", section: "policy.forbidden", known: &raw.policy.forbidden };
        for (index, exception) in raw.policy.exceptions.iter().enumerate() {
            let route = |key: &str| Route::pointer("/policy/exceptions").join(index).join(key);
            self.refer(&self.known_tools(), &exception.tool, || route("tool"));
            self.refer(&classes, &exception.class, || route("class"));
        }
    }

    fn approvals(&mut self) {
        let approvals = &self.raw.approvals;
        if let Some(group) = &approvals.default_group {
            self.refer(&self.groups(), group, || Route::pointer("/approvals/default_group"));
        }
        for (index, relaxation) in approvals.relaxations.iter().enumerate() {
            self.refer(&self.known_tools(), &relaxation.tool, || {
                Route::pointer("/approvals/relaxations").join(index).join("tool")
            });
        }
    }

    fn budgets(&mut self) {
        let on_exceed = &self.raw.budgets.on_exceed;
        let models = Target { what: "model", section: "models", known: &self.raw.models };
        match (on_exceed.reaction, &on_exceed.model) {
            (_, Some(model)) => self.refer(&models, model, || Route::pointer("/budgets/on_exceed/model")),
            (Reaction::CheaperModel, None) => self.object(
                "`cheaper-model` does not say which model".to_owned(),
                &Route::pointer("/budgets/on_exceed/do"),
                "add `model` with a name from `models`".to_owned(),
            ),
            (Reaction::Stop | Reaction::Escalate | Reaction::Ask, None) => {}
        }
    }

    fn data(&mut self) {
        let data = &self.raw.data;
        for (class, rule) in &data.classes {
            let route = || Route::pointer("/data/classes").join(class);
            match rule {
                ClassRule::Absent(_) if class == "secrets" => self.object(
                    "the class `secrets` can't be `none`".to_owned(),
                    &route(),
                    "secrets are always looked for; leave the key out".to_owned(),
                ),
                ClassRule::Absent(_) => {}
                ClassRule::Handled(handled) => {
                    for (index, tool) in handled.tools.iter().enumerate() {
                        self.refer(&self.known_tools(), tool, || route().join("tools").join(index));
                    }
                }
            }
        }
        for system in data.retrieval.keys().filter(|system| !self.raw.systems.contains_key(*system)) {
            let (message, hint) = wording(&self.systems(), system);
            self.object_key(message, &Route::pointer("/data/retrieval").join(system), hint);
        }
    }

    fn rollout(&mut self) {
        let kpis = Target { what: "KPI", section: "kpis", known: &self.raw.kpis };
        for (index, guard) in self.raw.change.rollout.guards.iter().enumerate() {
            self.refer(&kpis, guard, || Route::pointer("/change/rollout/guards").join(index));
        }
    }

    fn systems(&self) -> Target<'a, System> {
        Target { what: "system", section: "systems", known: &self.raw.systems }
    }

    fn known_tools(&self) -> Target<'a, Tool> {
        Target { what: "tool", section: "tools", known: &self.raw.tools }
    }

    fn groups(&self) -> Target<'a, ApproverGroup> {
        Target { what: "group", section: "approvals.groups", known: &self.raw.approvals.groups }
    }

    fn refer<V>(&mut self, target: &Target<'_, V>, name: &str, route: impl FnOnce() -> Route) {
        if !target.known.contains_key(name) {
            let (message, hint) = wording(target, name);
            self.object(message, &route(), hint);
        }
    }

    fn object(&mut self, message: String, route: &Route, hint: String) {
        let span = self.document.span(route);
        self.problems.push(Diagnostic::error(message).at(self.document.file(), span).hint(hint));
    }

    fn object_key(&mut self, message: String, route: &Route, hint: String) {
        let span = self.document.key_span(route);
        self.problems.push(Diagnostic::error(message).at(self.document.file(), span).hint(hint));
    }
}

fn wording<V>(target: &Target<'_, V>, name: &str) -> (String, String) {
    const SHOWN: usize = 8;
    let Target { what, section, known } = target;
    let hint = if let Some(near) = closest(name, known.keys().map(String::as_str)) {
        format!("did you mean `{near}`? if not, list `{name}` under `{section}`")
    } else if known.is_empty() {
        format!("list it under `{section}`, which is empty")
    } else {
        let names: Vec<&str> = known.keys().take(SHOWN).map(String::as_str).collect();
        let more = if known.len() > SHOWN { ", …" } else { "" };
        format!("list it under `{section}`, which has: {}{more}", names.join(", "))
    };
    (format!("there is no {what} `{name}`"), hint)
}
