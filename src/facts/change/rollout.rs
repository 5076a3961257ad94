//! How a version reaches all traffic: the stages that the manifest states, and the rollout object of the repository
//! (Argo `Rollout`, Flagger `Canary`) that carries them out.

use serde_json::{Value, json};

use super::super::{Shelf, document};
use crate::{
    source::{SourceFile, load_text},
    units::{Share, Span, parse_duration},
};

/// Folders beside the manifest and at the root in which rollout objects are sought.
const FOLDERS: [&str; 6] = ["deploy", "ops", "k8s", "kubernetes", "charts", "rollout"];

/// A step of a rollout: share of the traffic in percent, and how long it lasts.
#[derive(Clone, Debug, Default, PartialEq)]
struct Step {
    percent: f64,
    seconds: Option<f64>,
}

/// A rollout object.
#[derive(Clone, Debug, Default)]
struct Object {
    steps: Vec<Step>,
    /// It looks at metrics between steps.
    analysis: bool,
}

/// Facts of stages and object.
pub(super) fn facts(shelf: &Shelf<'_>, manifest: &Value) -> Value {
    let stages = stages(manifest);
    let found = object(shelf);
    let object = found.as_ref().map(|(path, object)| {
        let partial = |steps: &[Step]| -> Vec<f64> { steps.iter().map(|s| s.percent).filter(|p| *p < 100.0).collect() };
        let (said, done) = (partial(&stages), partial(&object.steps));
        let agrees = said.len() == done.len() && said.iter().zip(&done).all(|(a, b)| (a - b).abs() < 0.05);
        let lasts = |wanted: &Step, step: &Step| match (wanted.seconds, step.seconds) {
            (Some(wanted), Some(seconds)) => seconds >= wanted,
            // A pause without an end waits for a person; a stage without a time asks for none.
            (None, _) | (Some(_), None) => true,
        };
        let in_time = agrees && stages.iter().zip(&object.steps).all(|(stage, step)| lasts(stage, step));
        let done: Vec<String> = done.into_iter().map(percent).collect();
        json!({"path": path, "weights": done, "agrees": agrees, "in_time": in_time, "analysis": object.analysis})
    });
    let (guards, blind, unasked) = guards(shelf, manifest);
    let last = stages.len().saturating_sub(1);
    json!({
        "at": "/change/rollout",
        "stages": stages.iter().map(|s| json!({"share": s.percent / 100.0, "percent": s.percent, "seconds": s.seconds})).collect::<Vec<_>>(),
        "first": stages.first().map(|stage| percent(stage.percent)),
        "first_percent": stages.first().map(|stage| stage.percent),
        "shortest": stages.iter().take(last).map(|stage| stage.seconds.unwrap_or_default()).reduce(f64::min),
        "guards": guards,
        "guards_without_kpi": blind,
        "guards_without_query": unasked,
        "object": object,
    })
}

fn percent(share: f64) -> String {
    Share(share / 100.0).to_string()
}

/// The guards; those that are no KPI of the manifest; those that no query answers.
fn guards(shelf: &Shelf<'_>, manifest: &Value) -> (Vec<String>, Vec<String>, Vec<String>) {
    let list = manifest.pointer("/change/rollout/guards").and_then(Value::as_array).into_iter().flatten();
    let all: Vec<String> = list.filter_map(Value::as_str).map(str::to_owned).collect();
    let has = |map: Option<&Value>, name: &String| map.and_then(|map| map.get(name)).is_some();
    let path = manifest.pointer("/observability/queries").and_then(Value::as_str);
    let queries = path.and_then(|path| document::value(shelf, path));
    let queries = queries.as_ref().map(|queries| queries.get("queries").unwrap_or(queries));
    let blind = all.iter().filter(|name| !has(manifest.get("kpis"), name)).cloned().collect();
    let unasked = all.iter().filter(|name| !has(queries, name)).cloned().collect();
    (all, blind, unasked)
}

fn stages(manifest: &Value) -> Vec<Step> {
    let list = manifest.pointer("/change/rollout/stages").and_then(Value::as_array).into_iter().flatten();
    list.filter_map(|stage| {
        let share: Share = stage.get("traffic")?.as_str()?.parse().ok()?;
        let lasts = stage.get("for").and_then(Value::as_str).and_then(|text| text.parse::<Span>().ok());
        Some(Step { percent: (share.0 * 1e8).round() / 1e6, seconds: lasts.map(|span| span.0.as_secs_f64()) })
    })
    .collect()
}

/// The first rollout object found, with its file.
fn object(shelf: &Shelf<'_>) -> Option<(String, Object)> {
    let mut names: Vec<String> = FOLDERS
        .iter()
        .flat_map(|folder| {
            let near = shelf.glob(&shelf.name(&format!("{folder}/**")));
            near.into_iter().chain(shelf.glob(&format!("{folder}/**")))
        })
        .filter(|name| matches!(name.rsplit('.').next(), Some("yaml" | "yml")))
        .collect();
    names.sort();
    names.dedup();
    names.into_iter().find_map(|name| {
        let file = shelf.files.peek(&name).ok()?;
        let pieces = file.text().split("\n---");
        let object = pieces.filter(|piece| is_rollout(piece)).find_map(|piece| {
            let text = piece.trim_start_matches("---");
            read(&load_text::<Value>(SourceFile::new(name.as_str(), text)).ok()?.value)
        })?;
        Some((name, object))
    })
}

fn is_rollout(text: &str) -> bool {
    text.lines().any(|line| matches!(line.trim_end(), "kind: Rollout" | "kind: Canary"))
}

fn read(object: &Value) -> Option<Object> {
    match object.get("kind")?.as_str()? {
        "Rollout" => argo(object.pointer("/spec/strategy/canary")?),
        "Canary" => flagger(object.pointer("/spec/analysis")?),
        _ => None,
    }
}

/// Steps of an Argo canary: a weight, then the pauses and analyses up to the next one.
fn argo(canary: &Value) -> Option<Object> {
    let looks = |analysis: Option<&Value>| {
        let list = |key: &str| {
            analysis.and_then(|analysis| analysis.get(key)?.as_array()).is_some_and(|list| !list.is_empty())
        };
        list("templates") && !list("dryRun")
    };
    let mut object = Object { analysis: looks(canary.get("analysis")), ..Object::default() };
    for step in canary.get("steps")?.as_array()? {
        if let Some(percent) = step.get("setWeight").and_then(Value::as_f64) {
            object.steps.push(Step { percent, seconds: Some(0.0) });
        }
        object.analysis |= looks(step.get("analysis"));
        let (Some(pause), Some(open)) = (step.get("pause"), object.steps.last_mut()) else { continue };
        let lasts = match pause.get("duration") {
            Some(Value::Number(seconds)) => seconds.as_f64(),
            Some(Value::String(text)) => parse_duration(text).map(|lasts| lasts.as_secs_f64()).or(text.parse().ok()),
            _ => None,
        };
        open.seconds = open.seconds.zip(lasts).map(|(before, more)| before + more);
    }
    Some(object)
}

/// Steps of a Flagger canary; each lasts one interval, and metrics decide about the next.
fn flagger(analysis: &Value) -> Option<Object> {
    let interval = analysis.get("interval").and_then(Value::as_str).and_then(parse_duration);
    let seconds = Some(interval.map_or(0.0, |interval| interval.as_secs_f64()));
    let listed = analysis.get("stepWeights").and_then(Value::as_array);
    let weights: Vec<f64> = if let Some(listed) = listed {
        listed.iter().filter_map(Value::as_f64).collect()
    } else {
        let (step, most) = (analysis.get("stepWeight")?.as_f64()?, analysis.get("maxWeight")?.as_f64()?);
        let next = |before: &f64| Some(before + step).filter(|weight| step > 0.0 && *weight <= most);
        std::iter::successors(Some(step), next).take(1000).collect()
    };
    let analysis = analysis.get("metrics").and_then(Value::as_array).is_some_and(|metrics| !metrics.is_empty());
    Some(Object { steps: weights.into_iter().map(|percent| Step { percent, seconds }).collect(), analysis })
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use serde_json::{Value, json};

    use super::{super::super::Shelf, facts};
    use crate::source::Files;

    const ARGO: &str = "apiVersion: v1\nkind: Service\n---\napiVersion: argoproj.io/v1alpha1\nkind: Rollout\nspec:\n  \
        strategy:\n    canary:\n      steps:\n        - {setWeight: 2}\n        - {pause: {duration: 7d}}\n        \
        - {setWeight: 50}\n        - {pause: {}}\n        - {analysis: {templates: [{templateName: errors}]}}\n";
    const FLAGGER: &str =
        "kind: Canary\nspec:\n  analysis: {interval: 7d, stepWeights: [2, 50], metrics: [{name: x}]}\n";

    fn seen(name: &str, text: &str, stages: &Value) -> Value {
        let files = Files::texts(BTreeMap::from([(name.to_owned(), Arc::from(text))]));
        let shelf = Shelf::new(&files, "bot/agentready.yaml");
        facts(&shelf, &json!({"change": {"rollout": {"stages": stages}}}))
    }

    #[test]
    fn the_object_is_held_against_the_stages() {
        let stages = || json!([{"traffic": "2%", "for": "7d"}, {"traffic": "50%", "for": "7d"}, {"traffic": "100%"}]);
        for (name, text) in [("deploy/canary.yaml", ARGO), ("bot/ops/flags.yml", FLAGGER)] {
            let seen = seen(name, text, &stages());
            let object = &seen["object"];
            assert_eq!(object["path"], json!(name));
            assert!(object["agrees"] == json!(true) && object["in_time"] == json!(true), "{seen:#}");
            assert_eq!(object["analysis"], json!(true));
        }
        for looks_at_nothing in ["{templates: []}", "{templates: [{templateName: errors}], dryRun: [{metricName: .*}]}"]
        {
            let text = ARGO.replace("{templates: [{templateName: errors}]}", looks_at_nothing);
            assert_eq!(seen("ops/a.yaml", &text, &stages())["object"]["analysis"], json!(false), "{looks_at_nothing}");
        }
        let faster = json!([{"traffic": "2%", "for": "14d"}, {"traffic": "50%", "for": "7d"}, {"traffic": "100%"}]);
        assert_eq!(seen("ops/a.yaml", ARGO, &faster)["object"]["in_time"], json!(false));
        let other = json!([{"traffic": "5%", "for": "7d"}, {"traffic": "100%"}]);
        let other = seen("ops/a.yaml", ARGO, &other);
        assert_eq!(other["object"]["agrees"], json!(false));
        assert_eq!(other["shortest"], json!(604_800.0));
        assert_eq!(seen("src/a.yaml", ARGO, &stages())["object"], Value::Null);
    }
}
