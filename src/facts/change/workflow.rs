//! GitHub workflows: which job runs the gate, on which changes, whether deploys wait for it, and what the branch's
//! rules demand. Rules come from GitHub itself, fetched by the caller; everything else is read from the files.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{super::Shelf, pins::Part, protection::Known};
use crate::source::{glob_matches, load_text};

/// Events on which a change is tried before it is released.
const EVENTS: [&str; 4] = ["pull_request", "pull_request_target", "merge_group", "push"];
/// Words by which a job that brings a version out is known, beside its `environment`.
const DEPLOYS: [&str; 3] = ["deploy", "publish", "rollout"];
/// Most paths that are named in one fact.
const NAMED: usize = 12;

/// One workflow file as far as the gate cares.
#[derive(Clone, Debug)]
pub(super) struct Workflow {
    path: String,
    name: String,
    on: Map<String, Value>,
    jobs: Vec<Job>,
}

#[derive(Clone, Debug)]
struct Job {
    id: String,
    name: String,
    runs_gate: bool,
    soft: bool,
    deploys: bool,
    needs: Vec<String>,
    loose: Vec<String>,
}

/// Reads every workflow of the repository; a file that is no YAML map is no workflow.
pub(super) fn workflows(shelf: &Shelf<'_>) -> Vec<Workflow> {
    let mut names = shelf.glob(".github/workflows/*.yml");
    names.extend(shelf.glob(".github/workflows/*.yaml"));
    names.sort();
    names.iter().filter_map(|name| workflow(name, &load_text::<Value>(shelf.read(name).ok()?).ok()?.value)).collect()
}

fn workflow(path: &str, text: &Value) -> Option<Workflow> {
    let on = match text.get("on")? {
        Value::String(event) => Map::from_iter([(event.clone(), Value::Null)]),
        Value::Array(events) => {
            events.iter().filter_map(|event| Some((event.as_str()?.to_owned(), Value::Null))).collect()
        }
        Value::Object(events) => events.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) => return None,
    };
    let jobs = text.get("jobs")?.as_object()?.iter().map(|(id, job)| read_job(id, job)).collect();
    let name = text.get("name").and_then(Value::as_str).unwrap_or(path).to_owned();
    Some(Workflow { path: path.to_owned(), name, on, jobs })
}

fn read_job(id: &str, job: &Value) -> Job {
    let steps = || job.get("steps").and_then(Value::as_array).into_iter().flatten();
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let runs = |step: &Value| {
        let command = text(step, "run");
        let calls = command.lines().map(str::trim_start).filter(|line| !line.starts_with('#'));
        let mut calls = calls.map(|line| line.split_whitespace().collect::<Vec<_>>());
        let is_gate = |words: &[&str]| matches!(words, [program, "check" | "merge", ..] if program.rsplit('/').next() == Some("agentready"));
        calls.any(|words| (0..words.len()).any(|at| words.get(at..).is_some_and(is_gate)))
            || text(step, "uses").split('@').next().is_some_and(|action| action.contains("agentready"))
    };
    let gates: Vec<&Value> = steps().filter(|step| runs(step)).collect();
    let is_soft = |value: &Value| value.get("continue-on-error").is_some_and(|soft| *soft != Value::Bool(false));
    let swallows = |step: &Value| text(step, "run").contains("|| true") || text(step, "run").contains("--exit-zero");
    let needs = match job.get("needs") {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    let name = job.get("name").and_then(Value::as_str).unwrap_or(id).to_owned();
    let known = format!("{id} {name}").to_lowercase();
    let actions =
        steps().map(|step| text(step, "uses")).filter(|action| !action.is_empty() && !action.starts_with("./"));
    Job {
        id: id.to_owned(),
        runs_gate: !gates.is_empty(),
        soft: is_soft(job) || gates.iter().any(|step| is_soft(step) || swallows(step)),
        deploys: gates.is_empty()
            && (job.get("environment").is_some() || DEPLOYS.iter().any(|word| known.contains(word))),
        needs,
        loose: actions.filter(|action| !is_pinned(action)).collect(),
        name,
    }
}

/// Whether an action is named by a commit, which nobody can move.
fn is_pinned(action: &str) -> bool {
    action.split_once('@').is_some_and(|(_, rev)| rev.len() == 40 && rev.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Facts of the release gate.
pub(super) fn facts(shelf: &Shelf<'_>, manifest: &Value, files: &[(Part, String)], known: &Known) -> Value {
    let rules = known.rules.as_ref();
    let all = workflows(shelf);
    let wanted = manifest.pointer("/change/release_check").and_then(Value::as_str).unwrap_or_default();
    let runs: Vec<(&Workflow, &Job)> =
        all.iter().flat_map(|flow| flow.jobs.iter().map(move |job| (flow, job))).collect();
    let gates: Vec<(&Workflow, &Job)> = runs
        .iter()
        .copied()
        .filter(|(flow, job)| job.runs_gate && EVENTS.iter().any(|event| flow.on.contains_key(*event)))
        .collect();
    let gate = gates.iter().find(|(flow, job)| is_called(flow, job, wanted)).or(gates.first()).copied();
    let deploys: Vec<String> = runs.iter().filter(|(_, job)| job.deploys).map(|(_, job)| job.id.clone()).collect();
    let free: Vec<&str> =
        runs.iter().filter(|(flow, job)| job.deploys && !waits(flow, job)).map(|(_, job)| job.id.as_str()).collect();
    let scheduled = runs.iter().any(|(flow, job)| job.runs_gate && flow.on.contains_key("schedule"));
    let required = rules.and_then(|rules| rules.as_ref().ok()).map(|rules| {
        rules
            .checks
            .iter()
            .any(|name| name == wanted || gate.is_some_and(|(_, job)| *name == job.name || *name == job.id))
    });
    let mut fact = json!({
        "at": "/change/release_check",
        "check": wanted,
        "workflows": all.len(),
        "gate": gate.map(|(flow, job)| json!({
            "path": flow.path, "job": job.id, "named": is_called(flow, job, wanted), "soft": job.soft, "loose": job.loose,
        })),
        "uncovered": gate.map(|(flow, _)| uncovered(shelf, manifest, files, flow)),
        "deploys": deploys,
        "deploys_that_do_not_wait": free,
        "scheduled": scheduled,
        "rules": {
            "asked": rules.is_some(),
            "reached": rules.is_some_and(Result::is_ok),
            "why": rules.and_then(|rules| rules.as_ref().err()),
            "required": required,
        },
    });
    if let (Some(rules), Some(day)) = (fact.get_mut("rules").and_then(Value::as_object_mut), &known.exported) {
        rules.insert("exported".to_owned(), day.clone().into());
    }
    fact
}

/// `gate`, or `agentready / gate` as the web page shows it.
fn is_called(flow: &Workflow, job: &Job, wanted: &str) -> bool {
    let tail = wanted.rsplit(" / ").next().unwrap_or(wanted);
    let head = wanted.strip_suffix(tail).map(|head| head.trim_end_matches(" / ")).filter(|head| !head.is_empty());
    (job.name == tail || job.id == tail || job.name == wanted) && head.is_none_or(|head| head == flow.name)
}

/// Whether the gate of the same workflow has to be green before this job starts.
fn waits(flow: &Workflow, job: &Job) -> bool {
    let mut open: Vec<&str> = job.needs.iter().map(String::as_str).collect();
    let mut seen = BTreeSet::new();
    while let Some(id) = open.pop() {
        let Some(needed) = flow.jobs.iter().find(|job| job.id == id).filter(|_| seen.insert(id)) else { continue };
        if needed.runs_gate && !needed.soft {
            return true;
        }
        open.extend(needed.needs.iter().map(String::as_str));
    }
    false
}

/// Files of the build whose change does not start the workflow, by what they are.
fn uncovered(shelf: &Shelf<'_>, manifest: &Value, files: &[(Part, String)], flow: &Workflow) -> Value {
    let own = crate::source::Files::resolve("", shelf.from);
    let lock = shelf.name(super::lock::path(manifest));
    let of = |wanted: &[Part]| -> Vec<String> {
        files.iter().filter(|(part, _)| wanted.contains(part)).map(|(_, path)| shelf.name(path)).collect()
    };
    let missed = |names: Vec<String>| -> Vec<String> {
        names.into_iter().filter(|name| !EVENTS.iter().any(|event| starts_on(flow, event, name))).take(NAMED).collect()
    };
    json!({
        "models": missed([vec![own, lock], of(&[Part::Routing])].concat()),
        "prompts": missed(of(&[Part::Prompts])),
        "tools_and_policies": missed(of(&[Part::ToolSchemas, Part::Policies])),
    })
}

/// Whether an event with a change of this file starts the workflow, by its `paths` or `paths-ignore`.
fn starts_on(flow: &Workflow, event: &str, name: &str) -> bool {
    let Some(settings) = flow.on.get(event) else { return false };
    let list = |key: &str| {
        let list = settings.get(key).map(|value| match value {
            Value::String(one) => vec![one.as_str()],
            value => value.as_array().into_iter().flatten().filter_map(Value::as_str).collect(),
        });
        list.filter(|patterns| !patterns.is_empty())
    };
    // A push of tags alone is no change of a file that a person reviews.
    if event == "push" && settings.get("tags").is_some() && settings.get("branches").is_none() {
        return false;
    }
    match (list("paths"), list("paths-ignore")) {
        (Some(paths), _) => is_selected(&paths, name),
        (None, Some(ignored)) => !is_selected(&ignored, name),
        (None, None) => true,
    }
}

/// The last pattern that matches decides; `!` takes files out again.
fn is_selected(patterns: &[&str], name: &str) -> bool {
    patterns.iter().fold(false, |selected, pattern| match pattern.strip_prefix('!') {
        Some(without) => selected && !glob_matches(without, name),
        None => selected || glob_matches(pattern, name),
    })
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use serde_json::{Value, json};

    use super::{
        super::{super::Shelf, BranchRules, Protection},
        Known, Part, facts,
    };
    use crate::source::Files;

    fn seen(workflow: &str, rules: Option<&BranchRules>) -> Value {
        let texts = BTreeMap::from([(".github/workflows/ci.yaml".to_owned(), Arc::from(workflow))]);
        let files = Files::texts(texts);
        let shelf = Shelf::new(&files, "bot/agentready.yaml");
        let built = [
            (Part::Prompts, "prompts/decide.md".to_owned()),
            (Part::ToolSchemas, "schemas/refund.json".to_owned()),
            (Part::Policies, "../policy/refund.rego".to_owned()),
        ];
        facts(
            &shelf,
            &json!({"change": {"release_check": "ci / gate"}}),
            &built,
            &Known { rules: rules.cloned(), exported: None },
        )
    }

    fn with(on: &str, gate: &str, deploy: &str) -> String {
        format!(
            "name: ci\non: {on}\njobs:\n  gate:\n    {gate}\n    steps: [{{run: npx agentready check}}]\n  test: {{needs: gate}}\n  \
             deploy: {{environment: live, {deploy}}}\n"
        )
    }

    #[test]
    fn what_does_not_start_the_gate_is_named() {
        for (on, models, prompts, tools) in [
            ("pull_request", 0, 0, 0),
            ("[push, pull_request]", 0, 0, 0),
            ("{pull_request: {paths: [\"src/**\"]}}", 2, 1, 2),
            ("{pull_request: {paths: [\"bot/**\"]}}", 0, 0, 1),
            ("{pull_request: {paths: [\"**\", \"!bot/prompts/**\"]}}", 0, 1, 0),
            ("{pull_request: {paths-ignore: [\"**/*.md\"]}}", 0, 1, 0),
            ("{pull_request: {paths: [\"src/**\"]}, push: {branches: [main]}}", 0, 0, 0),
            ("{pull_request: {paths: [\"src/**\"]}, push: {tags: [\"v*\"]}}", 2, 1, 2),
        ] {
            let seen = seen(&with(on, "runs-on: x", "needs: gate"), None);
            let missed = |key: &str| seen["uncovered"][key].as_array().map_or(99, Vec::len);
            let counts = (missed("models"), missed("prompts"), missed("tools_and_policies"));
            assert_eq!(counts, (models, prompts, tools), "{on}: {seen:#}");
        }
        assert_eq!(seen(&with("schedule", "runs-on: x", "needs: gate"), None)["gate"], Value::Null);
        assert_eq!(
            seen("name: ci\non: push\njobs: {gate: {steps: [{run: echo agentready}]}}\n", None)["gate"],
            Value::Null
        );
    }

    #[test]
    fn a_gate_that_stops_nothing_is_soft_and_a_deploy_beside_it_is_free() {
        for (gate, deploy, soft, free) in [
            ("runs-on: x", "needs: gate", false, 0),
            ("runs-on: x", "needs: [test]", false, 0),
            ("runs-on: x", "needs: []", false, 1),
            ("continue-on-error: true", "needs: gate", true, 1),
        ] {
            let seen = seen(&with("push", gate, deploy), None);
            assert_eq!(seen["gate"]["soft"], json!(soft), "{gate}");
            assert_eq!(seen["deploys_that_do_not_wait"].as_array().map(Vec::len), Some(free), "{gate} {deploy}");
            assert_eq!(seen["gate"]["named"], json!(true));
        }
        let swallowed = "name: ci\non: push\njobs: {gate: {steps: [{run: agentready check || true}]}}\n";
        assert_eq!(seen(swallowed, None)["gate"]["soft"], json!(true));
    }

    #[test]
    fn rules_are_unknown_until_they_are_read() {
        let text = with("push", "runs-on: x", "needs: gate");
        assert_eq!(
            seen(&text, None)["rules"],
            json!({"asked": false, "reached": false, "why": null, "required": null})
        );
        let names = |names: &[&str]| {
            let checks = names.iter().map(|name| (*name).to_owned()).collect();
            Ok(Protection { checks, ..Protection::default() })
        };
        assert_eq!(seen(&text, Some(&names(&["lint", "gate"])))["rules"]["required"], json!(true));
        assert_eq!(seen(&text, Some(&names(&["lint"])))["rules"]["required"], json!(false));
        assert_eq!(seen(&text, Some(&Err("403".to_owned())))["rules"]["why"], json!("403"));
    }
}
