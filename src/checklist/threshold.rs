//! Thresholds: the catalogue's defaults, what profiles tighten, what the manifest may change and in which direction.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::catalogue;
use crate::{
    source::{Diagnostic, Document, Route, load_shipped},
    text::closest,
    units::{Share, Span, parse_duration},
};

/// Why a threshold has its value, which decides whether the manifest may loosen it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// A checklist states it: tightening is free, loosening is not applied.
    Rule,
    /// A checklist gives it as an example: loosening is applied and said.
    Example,
    /// A checklist has an adjective, the number is ours: loosening is applied and said.
    Ours,
}

/// What a threshold counts, and so how it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// A whole number.
    Count,
    /// A share such as `95%`.
    Share,
    /// A length of time such as `7d`.
    Duration,
    /// US dollars.
    Usd,
    /// Cohen's kappa, from 0 to 1.
    Kappa,
}

/// The direction that is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// More is stricter.
    Up,
    /// Less is stricter.
    Down,
}

/// One threshold of the catalogue, a line of `checks/thresholds.yaml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// The value, written in its unit.
    pub default: Value,
    /// How a metric is compared with it.
    pub op: String,
    /// The direction that is free.
    pub tighten: Direction,
    /// Why it has its value.
    pub class: Class,
    /// What it counts.
    pub unit: Unit,
    /// Clauses of the seed lists.
    pub sources: Vec<String>,
    /// Values that profiles bring; of several the strictest holds.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub profiles: BTreeMap<String, Value>,
    /// What a reader should know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A threshold of the manifest that can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThresholdProblem {
    /// Where in the manifest.
    pub route: Route,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// Whether it is the name that is wrong, not the value.
    pub name_is_wrong: bool,
}

impl ThresholdProblem {
    /// As a diagnostic at its place.
    pub fn diagnostic(&self, manifest: &Document) -> Diagnostic {
        let span = if self.name_is_wrong { manifest.key_span(&self.route) } else { manifest.span(&self.route) };
        let diagnostic = Diagnostic::error(self.message.clone()).at(manifest.file(), span);
        match &self.hint {
            Some(hint) => diagnostic.hint(hint.clone()),
            None => diagnostic,
        }
    }
}

impl fmt::Display for ThresholdProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.route.dotted(), self.message)
    }
}

/// The numbers that hold for this gate.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Thresholds {
    /// Name to number; durations in seconds, shares from 0 to 1.
    pub values: BTreeMap<String, f64>,
    /// Rules that the manifest tried to loosen; their own value stays in force.
    pub loosened: Vec<String>,
    /// What the report should say of looser values.
    pub notes: Vec<String>,
}

impl Thresholds {
    /// The `thresholds` of the evidence document; whole numbers stay whole.
    pub fn to_json(&self) -> Value {
        let number = |value: f64| {
            #[expect(clippy::cast_possible_truncation, reason = "only whole numbers far below 2^53 are cast")]
            let whole = value as i64;
            if value.fract() == 0.0 && value.abs() < 1e15 { Value::from(whole) } else { Value::from(value) }
        };
        self.values.iter().map(|(name, value)| (name.clone(), number(*value))).collect::<serde_json::Map<_, _>>().into()
    }
}

/// All thresholds of the catalogue, by name.
pub fn thresholds() -> BTreeMap<String, Threshold> {
    shipped()
}

fn shipped() -> BTreeMap<String, Threshold> {
    let file = catalogue::data("thresholds.yaml").expect("the thresholds are shipped");
    load_shipped(file).expect("a test loads the shipped thresholds").value
}

/// The numbers that hold under the given profiles when the manifest states `claims`.
pub fn resolve(claims: &BTreeMap<String, Value>, profiles: &[String]) -> Result<Thresholds, Vec<ThresholdProblem>> {
    let known = thresholds();
    let mut problems = Vec::new();
    let mut out = Thresholds::default();
    for name in claims.keys().filter(|name| !known.contains_key(*name)) {
        let near = closest(name, known.keys().map(String::as_str));
        problems.push(ThresholdProblem {
            route: place(name),
            message: format!("unknown threshold `{name}`"),
            hint: Some(match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known thresholds: {}", known.keys().cloned().collect::<Vec<_>>().join(", ")),
            }),
            name_is_wrong: true,
        });
    }
    let profiles: BTreeSet<&str> = profiles.iter().map(String::as_str).collect();
    for (name, threshold) in &known {
        let base = base(threshold, &profiles);
        let value = match claims.get(name).map(|claim| read(threshold.unit, claim)) {
            None => base,
            Some(Ok(claim)) => weigh(name, threshold, (base, claim), &mut out),
            Some(Err((message, hint))) => {
                let message = format!("`gate.thresholds.{name}` {message}");
                problems.push(ThresholdProblem { route: place(name), message, hint: Some(hint), name_is_wrong: false });
                base
            }
        };
        out.values.insert(name.clone(), value);
    }
    if problems.is_empty() { Ok(out) } else { Err(problems) }
}

fn place(name: &str) -> Route {
    Route::root().join("gate").join("thresholds").join(name)
}

/// The strictest of the default and what the active profiles bring.
fn base(threshold: &Threshold, profiles: &BTreeSet<&str>) -> f64 {
    let brought = threshold.profiles.iter().filter(|(profile, _)| profiles.contains(profile.as_str()));
    std::iter::once(&threshold.default)
        .chain(brought.map(|(_, value)| value))
        .filter_map(|value| read(threshold.unit, value).ok())
        .reduce(|a, b| match threshold.tighten {
            Direction::Up => a.max(b),
            Direction::Down => a.min(b),
        })
        .expect("a test reads every shipped threshold")
}

fn weigh(name: &str, threshold: &Threshold, (base, claim): (f64, f64), out: &mut Thresholds) -> f64 {
    let looser = match threshold.tighten {
        Direction::Up => claim < base,
        Direction::Down => claim > base,
    };
    if !looser {
        return claim;
    }
    let (asked, held) = (show(threshold.unit, claim), show(threshold.unit, base));
    match threshold.class {
        Class::Rule => {
            out.notes.push(format!("gate.thresholds.{name}: {asked} is looser than the rule; {held} stays in force"));
            out.loosened.push(name.to_owned());
            base
        }
        Class::Example | Class::Ours => {
            out.notes.push(format!("gate.thresholds.{name}: {asked} is looser than the default of {held}"));
            claim
        }
    }
}

type Misfit = (String, String);

/// A value in its unit as a number.
fn read(unit: Unit, value: &Value) -> Result<f64, Misfit> {
    let misfit = |wanted: &str, hint: String| Err((format!("must be {wanted}, not {value}"), hint));
    match unit {
        Unit::Count => match value.as_u64().and_then(|count| u32::try_from(count).ok()) {
            Some(count) => Ok(f64::from(count)),
            None => misfit("a whole number", "write it without unit, such as `250`".to_owned()),
        },
        Unit::Share => match value.as_str().and_then(|text| text.parse::<Share>().ok()) {
            Some(share) => Ok(share.0),
            None => misfit("a share with a percent sign", share_hint(value)),
        },
        Unit::Duration => match value.as_str().and_then(parse_duration) {
            Some(duration) => Ok(duration.as_secs_f64()),
            None => misfit("a length of time", "write it with its unit, such as `7d` or `10s`".to_owned()),
        },
        Unit::Usd => match value.as_f64().filter(|usd| *usd >= 0.0) {
            Some(usd) => Ok(usd),
            None => misfit("an amount in US dollars", "write a number, such as `50`".to_owned()),
        },
        Unit::Kappa => match value.as_f64().filter(|kappa| (0.0..=1.0).contains(kappa)) {
            Some(kappa) => Ok(kappa),
            None => misfit("a number from 0 to 1", "write Cohen's kappa, such as `0.7`".to_owned()),
        },
    }
}

/// `0.97` may mean 97 % or 0.97 %, so it is asked back.
fn share_hint(value: &Value) -> String {
    match value.as_f64() {
        Some(number) if (0.0..=1.0).contains(&number) => format!("write `{}`", Share(number)),
        Some(number) if number <= 100.0 => format!("write `{number}%`"),
        _ => "write it as in `95%`".to_owned(),
    }
}

/// A number in its unit, as people write it.
pub fn show(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Count | Unit::Kappa => value.to_string(),
        Unit::Share => Share(value).to_string(),
        Unit::Duration => Span(std::time::Duration::try_from_secs_f64(value).unwrap_or_default()).to_string(),
        Unit::Usd => format!("${value}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::{resolve, show, thresholds};

    #[test]
    fn thresholds_tighten_freely_and_loosen_only_where_they_may() {
        let claims = |value: Value| -> BTreeMap<String, Value> { serde_json::from_value(value).expect("a map") };
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let tight =
            resolve(&claims(json!({"scenario_pass_rate": "97%", "golden_scenarios": 250})), &[]).expect("reads");
        assert!(tight.values["scenario_pass_rate"] > 0.969 && tight.loosened.is_empty() && tight.notes.is_empty());
        let loose =
            resolve(&claims(json!({"scenario_pass_rate": "90%", "amount_auto_max": 80, "ramp_interval": "8d"})), &[]);
        let loose = loose.expect("reads");
        assert_eq!(loose.values["scenario_pass_rate"].to_string(), "0.95", "a rule stays in force");
        assert_eq!(loose.loosened, ["scenario_pass_rate"]);
        assert_eq!(loose.to_json()["amount_auto_max"], json!(80), "an example may be loosened");
        assert_eq!(loose.to_json()["ramp_interval"], json!(691_200));
        assert_eq!(loose.notes.len(), 2);
        let autopilot = resolve(&BTreeMap::new(), &names(&["go-no-go", "autopilot"])).expect("reads");
        assert_eq!(autopilot.to_json()["golden_scenarios"], json!(200));
        assert_eq!(thresholds().len(), 36);
        for (name, threshold) in thresholds() {
            let shown = show(threshold.unit, autopilot.values[&name]);
            assert!(!shown.is_empty(), "{name}");
        }
    }
}
