//! How the agent is watched and what it costs: alerts, dashboards, queries, traces, series of metrics, prices.
//! Each topic documents its own shape.

mod alerts;
mod dashboards;
mod promql;
mod series;
mod spend;
mod tracing;

use serde_json::{Map, Value, json};

use super::{Claims, Fetched, Shelf, document, settings::Setting};

/// The facts of all topics here, by name.
pub(super) fn facts(
    shelf: &Shelf<'_>,
    claims: &Claims<'_>,
    (settings, fetched): (&[Setting], &Fetched),
) -> Map<String, Value> {
    let manifest = claims.manifest;
    let topics = [
        ("alerts", alerts::facts(&shelf.on("alerts"), manifest)),
        ("dashboards", dashboards::facts(&shelf.on("dashboards"), manifest)),
        ("load_test", load_test(&shelf.on("load_test"), manifest)),
        ("queries", dashboards::queries(&shelf.on("queries"), manifest)),
        ("series", series::facts(&shelf.on("series"), manifest, fetched.series.as_ref())),
        ("spend", spend::facts(&shelf.on("spend"), claims)),
        ("traced_incidents", tracing::incidents(&shelf.on("traced_incidents"), manifest)),
        ("tracing", tracing::facts(&shelf.on("tracing"), manifest, settings)),
    ];
    topics.into_iter().map(|(name, topic)| (name.to_owned(), topic)).collect()
}

/// The prices of the file that the manifest names, else of the shipped table.
pub(super) fn prices(shelf: &Shelf<'_>, manifest: &Value) -> crate::record::Prices {
    spend::table(shelf, manifest)
}

/// The report of the last load test: `facts.load_test`, with `exists` and what the `report` says.
fn load_test(shelf: &Shelf<'_>, manifest: &Value) -> Value {
    let path = manifest.pointer("/budgets/load_test").and_then(Value::as_str);
    let report = path.and_then(|path| document::value(shelf, path));
    json!({"exists": report.is_some(), "report": report.unwrap_or_else(|| json!({}))})
}
