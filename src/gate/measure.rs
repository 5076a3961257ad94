//! From the tally to the numbers that checks, profiles and reports see.

use std::collections::{BTreeMap, BTreeSet};

use super::cost::CostTally;
use super::tally::{ScenarioTally, Tally, rank, suite_name};
use super::{attacks, cost};
use crate::{
    facts::Target,
    grade::Grade,
    plan::Plan,
    scenario::{Scenario, Suite, distinct},
    stats::{Rate, p95, pass_at_k, pass_hat_k},
    verdict::{
        AdversarialSuite, Attacks, Failure, GoldenSuite, IncidentSuite, Metric, Scenario as Row, Suites, Traced, Trials,
    },
};

/// All numbers of a run.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// Planned trials by grade.
    pub trials: Trials,
    /// Scenarios by suite.
    pub suites: Suites,
    /// How attacks came out, when there were any.
    pub attacks: Option<Attacks>,
    /// What the agent's traces told, when they were received.
    pub traced: Option<Traced>,
    /// Every scenario with its grade, in plan order.
    pub scenarios: Vec<Row>,
    /// Trials that did not pass, worst first.
    pub failures: Vec<Failure>,
    /// Numbers by name, as checks see them; absent when not measured.
    pub numbers: BTreeMap<String, f64>,
    /// The same for the report, with what stands behind each.
    pub metrics: BTreeMap<String, Metric>,
}

/// What the numbers are held against.
#[derive(Clone, Copy, Debug)]
pub struct Bar<'a> {
    /// Effective thresholds by name.
    pub thresholds: &'a BTreeMap<String, f64>,
    /// Whether the one-sided 95 % bound decides instead of the measured value.
    pub bound: bool,
    /// What a success may cost, in US dollars.
    pub usd_per_success: Option<Target>,
}

/// Closes the books.
pub fn measure(tally: &Tally, plan: &Plan, bar: &Bar<'_>) -> Measured {
    let rows: Vec<(&Scenario, ScenarioTally)> = plan
        .scenarios
        .iter()
        .enumerate()
        .map(|(position, scenario)| (scenario, tally.scenarios.get(&position).copied().unwrap_or_default()))
        .collect();
    let mut book = Book { bar: *bar, numbers: BTreeMap::new(), metrics: BTreeMap::new() };
    let suites = suites(&rows);
    book.suites(&rows);
    for (name, value) in attacks::numbers(&rows) {
        book.number(&name, real(value));
    }
    book.calls(tally);
    if let Some(traced) = tally.traces.close() {
        book.traces(&traced);
    }
    let mut failures: Vec<Failure> = tally.failures.values().cloned().collect();
    failures.sort_by_key(|failure| std::cmp::Reverse(rank(failure.grade)));
    Measured {
        trials: tally.trials,
        suites,
        attacks: attacks::section(&rows, &tally.timelines),
        traced: tally.traces.close(),
        scenarios: rows.iter().map(|(scenario, tally)| row(scenario, tally)).collect(),
        failures,
        numbers: book.numbers,
        metrics: book.metrics,
    }
}

struct Book<'a> {
    bar: Bar<'a>,
    numbers: BTreeMap<String, f64>,
    metrics: BTreeMap<String, Metric>,
}

/// A count as a number of the report.
#[expect(clippy::cast_precision_loss, reason = "counts of scenarios and calls stay far below 2^53")]
fn real(n: u64) -> f64 {
    n as f64
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

impl Book<'_> {
    fn suites(&mut self, rows: &[(&Scenario, ScenarioTally)]) {
        let golden: Vec<_> = rows.iter().filter(|(s, _)| s.suite == Suite::Golden && s.skip.is_none()).collect();
        let attacks: Vec<_> = rows.iter().filter(|(s, _)| s.is_attack() && s.skip.is_none()).collect();
        let texts: Vec<_> = rows.iter().filter(|(s, _)| s.is_text_only() && s.skip.is_none()).collect();
        let twins: Vec<_> = rows.iter().filter(|(s, _)| s.twin_of.is_some() && s.skip.is_none()).collect();
        let incidents: Vec<_> = rows.iter().filter(|(s, _)| s.suite == Suite::Incident && s.skip.is_none()).collect();
        let decided = |rows: &[&(&Scenario, ScenarioTally)]| count(rows.iter().filter(|(_, t)| t.is_decided()).count());
        let passed = |rows: &[&(&Scenario, ScenarioTally)]| count(rows.iter().filter(|(_, t)| t.has_passed()).count());
        self.number("golden_planned", real(golden.len() as u64));
        self.counted("golden_run", decided(&golden), "golden_scenarios");
        let run = golden.iter().filter(|(_, tally)| tally.is_decided()).map(|(scenario, _)| *scenario);
        self.number("golden_distinct_run", real(distinct(run) as u64));
        self.number("golden_passed", f64::from(passed(&golden)));
        self.rate("scenario_pass_rate", passed(&golden), decided(&golden), "scenario_pass_rate");
        if let Some(bound) = self.metrics.get("scenario_pass_rate").and_then(|metric| metric.lower95) {
            self.number("scenario_pass_rate_lower95", bound);
        }
        self.repeats(&golden);
        self.number("adversarial_planned", real(attacks.len() as u64));
        self.counted("adversarial_run", decided(&attacks), "adversarial_prompts");
        self.number("adversarial_clusters", real(clusters(attacks.iter().map(|(s, _)| *s)) as u64));
        self.rate("attack_pass_rate", passed(&attacks), decided(&attacks), "scenario_pass_rate");
        let succeeded = count(attacks.iter().filter(|(_, t)| t.worst == Some(Grade::FailC)).count());
        self.rate("attack_success_rate", succeeded, decided(&attacks), "");
        self.number("twins_run", f64::from(decided(&twins)));
        self.rate("twin_pass_rate", passed(&twins), decided(&twins), "scenario_pass_rate");
        if !texts.is_empty() {
            self.number("text_only_planned", real(texts.len() as u64));
            self.number("text_only_run", f64::from(decided(&texts)));
            self.rate("text_only_pass_rate", passed(&texts), decided(&texts), "scenario_pass_rate");
        }
        self.number("incident_planned", real(incidents.len() as u64));
        self.number("incident_run", f64::from(decided(&incidents)));
        self.number("incident_passed", f64::from(passed(&incidents)));
        self.rate("incident_pass_rate", passed(&incidents), decided(&incidents), "");
        let expects = |scenario: &Scenario, wanted: fn(&crate::scenario::Expectation) -> bool| {
            scenario.expectations().any(|e| wanted(&e.raw))
        };
        let passing = |wanted: fn(&crate::scenario::Expectation) -> bool| {
            real(rows.iter().filter(|(s, t)| t.has_passed() && expects(s, wanted)).count() as u64)
        };
        let handing = rows.iter().filter(|(s, _)| s.skip.is_none() && expects(s, |e| e.handoff == Some(true))).count();
        self.number("handoff_planned", real(handing as u64));
        self.number("handoff_passed", passing(|e| e.handoff == Some(true)));
        self.number("refusal_passed", passing(|e| e.refusal == Some(true)));
    }

    /// How steady scenarios are that were tried more than once: any of k tries passes, all of k tries pass, and the share
    /// of trials that came out as most of their scenario did.
    fn repeats(&mut self, golden: &[&(&Scenario, ScenarioTally)]) {
        let decided: Vec<ScenarioTally> =
            golden.iter().map(|(_, tally)| *tally).filter(ScenarioTally::is_decided).collect();
        let k = decided.iter().map(|tally| tally.trials).min().unwrap_or_default();
        if k < 2 {
            return;
        }
        for (name, of) in [("pass_at_k", pass_at_k as fn(u64, u64, u64) -> Option<f64>), ("pass_hat_k", pass_hat_k)] {
            let shares: Vec<f64> =
                decided.iter().filter_map(|tally| of(tally.passed.into(), tally.trials.into(), k.into())).collect();
            self.plain(name, shares.iter().sum::<f64>() / real(shares.len() as u64), "rate");
        }
        let alike: u64 = decided.iter().map(|tally| u64::from(tally.passed.max(tally.failed))).sum();
        let all: u64 = decided.iter().map(|tally| u64::from(tally.assessed)).sum();
        self.number("reruns", f64::from(k));
        self.plain("rerun_agreement", real(alike) / real(all), "rate");
    }

    fn calls(&mut self, tally: &Tally) {
        let trials = &tally.trials;
        let assessed = trials.pass + trials.fail_a + trials.fail_b + trials.fail_c;
        let errors = trials.error_agent + trials.error_infra + trials.error_grader;
        self.number("trials_assessed", f64::from(assessed));
        self.rate("error_share", errors, trials.planned - trials.skipped, "");
        if assessed == 0 {
            return;
        }
        self.worst_count("category_c", trials.fail_c, assessed, "category_c");
        self.worst_count("secret_leaks", tally.leaks, assessed, "secret_leaks");
        self.number("leaks_in_prompts", f64::from(tally.leaks_in_prompts));
        self.number("leaks_in_traces", f64::from(tally.leaks_in_traces));
        self.number("canaries_watched", real(tally.canaries as u64));
        let calls = &tally.calls;
        for (name, value) in [
            ("max_tool_calls_per_run", calls.most_in_a_trial),
            ("effects_above_level", calls.above_level),
            ("calls_unlisted", calls.unlisted),
            ("calls_unlisted_tried", calls.unlisted_tried),
            ("calls_seen", calls.all),
            ("amount_breaches", calls.amount_breaches),
            ("tiered_calls", calls.tiered),
        ] {
            self.number(name, real(value));
        }
        if calls.sent > 0 {
            let part = |calls: u64| u32::try_from(calls).unwrap_or(u32::MAX);
            self.rate("run_id_propagation", part(calls.bearing_id), part(calls.sent), "");
        }
        let ids = tally.run_ids.counts();
        for (name, count) in ["run_ids", "run_ids_shared", "run_ids_split"].iter().zip(ids).filter(|_| ids != [0; 3]) {
            self.number(name, real(count));
        }
        if tally.model_calls_max > 0 {
            self.number("max_model_calls_per_run", real(tally.model_calls_max));
        }
        self.number("tokens_untold", f64::from(tally.tokens_untold));
        if tally.tokens_max > 0 {
            self.number("max_tokens_per_run", real(tally.tokens_max));
        }
        self.plain("blocked_attempts", f64::from(trials.blocked_attempts), "count");
        if let Some(p95) = p95(&tally.latencies_ms) {
            self.plain("latency_p95_ms", f64::from(p95), "ms");
        }
        if tally.uncounted > 0 {
            self.number("answers_uncounted", real(tally.uncounted));
        }
        if tally.usd > 0.0 {
            self.plain("cost_usd", tally.usd, "usd");
            self.number("max_usd_per_run", tally.usd_max);
        }
        self.cost(&tally.cost);
    }

    /// What a success costs, by part; at least that, where a part was not counted whole in each trial.
    fn cost(&mut self, tally: &CostTally) {
        if tally.trials == 0 {
            return;
        }
        self.number("cost_trials", f64::from(tally.trials));
        self.number("cost_paid_calls", real(tally.paid_calls));
        self.number("cost_reviews", real(tally.reviews));
        for (name, part) in cost::PARTS.iter().zip(tally.parts) {
            for (what, trials) in [("whole", part.whole), ("told", part.told), ("off", part.off)] {
                self.number(&format!("cost_{name}_{what}"), f64::from(trials));
            }
            if part.whole > 0 {
                self.per_success(&format!("cost_per_success_{name}_usd"), part.usd(), tally.passed);
            }
        }
        if tally.parts.iter().all(|part| part.whole == 0) {
            return;
        }
        let name = "cost_per_success_usd";
        self.per_success(name, tally.parts.iter().map(|part| part.usd()).sum(), tally.passed);
        let value = self.numbers.get(name).copied();
        let met = self.bar.usd_per_success.zip(value).map(|(target, value)| target.is_met(value));
        if let Some(met) = met {
            self.number("cost_per_success_met", f64::from(u8::from(met)));
        }
        if let Some(metric) = self.metrics.get_mut(name) {
            metric.threshold = self.bar.usd_per_success.map(|target| target.limit);
            metric.met = met;
        }
    }

    fn per_success(&mut self, name: &str, usd: f64, passed: u32) {
        let value = (passed > 0).then(|| usd / f64::from(passed));
        if let Some(value) = value {
            self.number(name, value);
        }
        let metric = Metric {
            value,
            numerator: Some(usd),
            denominator: Some(f64::from(passed)),
            lower95: None,
            upper95: None,
            threshold: None,
            met: None,
            unit: "usd".to_owned(),
        };
        self.metrics.insert(name.to_owned(), metric);
    }

    fn traces(&mut self, traced: &Traced) {
        if traced.calls > 0 {
            let covered = traced.by_id + traced.by_arguments + traced.by_time;
            self.rate("trace_coverage", covered, traced.calls, "trace_coverage");
        }
        self.number("unbacked_spans", f64::from(traced.unbacked));
        self.number("tokens_underreported", f64::from(traced.tokens_underreported));
    }

    fn number(&mut self, name: &str, value: f64) {
        self.numbers.insert(name.to_owned(), value);
    }

    fn plain(&mut self, name: &str, value: f64, unit: &str) {
        self.number(name, value);
        let metric = Metric {
            value: Some(value),
            numerator: None,
            denominator: None,
            lower95: None,
            upper95: None,
            threshold: None,
            met: None,
            unit: unit.to_owned(),
        };
        self.metrics.insert(name.to_owned(), metric);
    }

    fn counted(&mut self, name: &str, value: u32, threshold: &str) {
        self.plain(name, f64::from(value), "count");
        let threshold = self.bar.thresholds.get(threshold).copied();
        if let Some(metric) = self.metrics.get_mut(name) {
            metric.threshold = threshold;
            metric.met = threshold.map(|wanted| f64::from(value) >= wanted);
        }
    }

    fn rate(&mut self, name: &str, numerator: u32, denominator: u32, threshold: &str) {
        let rate = Rate::of(u64::from(numerator), u64::from(denominator));
        let threshold = self.bar.thresholds.get(threshold).copied();
        if let Some(value) = rate.value {
            self.number(name, value);
        }
        let seen = if self.bar.bound { rate.lower95 } else { rate.value };
        let metric = Metric {
            value: rate.value,
            numerator: Some(f64::from(numerator)),
            denominator: Some(f64::from(denominator)),
            lower95: rate.lower95,
            upper95: rate.upper95,
            threshold,
            met: threshold.and_then(|wanted| seen.map(|value| value >= wanted)),
            unit: "rate".to_owned(),
        };
        self.metrics.insert(name.to_owned(), metric);
    }

    /// A count of what must not happen, with the bound on its true rate.
    fn worst_count(&mut self, name: &str, numerator: u32, denominator: u32, threshold: &str) {
        self.rate(name, numerator, denominator, "");
        self.number(name, f64::from(numerator));
        let threshold = self.bar.thresholds.get(threshold).copied();
        if let Some(metric) = self.metrics.get_mut(name) {
            metric.value = Some(f64::from(numerator));
            metric.threshold = threshold;
            metric.met = threshold.map(|wanted| f64::from(numerator) <= wanted);
            "count".clone_into(&mut metric.unit);
        }
    }
}

pub(super) fn clusters<'a>(attacks: impl Iterator<Item = &'a Scenario>) -> usize {
    attacks
        .filter_map(|scenario| scenario.attack.as_ref())
        .map(|attack| (&attack.goal, &attack.carrier, &attack.technique))
        .collect::<BTreeSet<_>>()
        .len()
}

fn suites(rows: &[(&Scenario, ScenarioTally)]) -> Suites {
    let of = |suite: Suite| rows.iter().filter(move |(scenario, _)| scenario.suite == suite);
    let twins = || rows.iter().filter(|(scenario, _)| scenario.twin_of.is_some());
    let attacks = || rows.iter().map(|(scenario, _)| *scenario).filter(|scenario| scenario.is_attack());
    Suites {
        golden: GoldenSuite {
            scenarios: count(of(Suite::Golden).count()),
            passed: count(of(Suite::Golden).filter(|(_, tally)| tally.has_passed()).count()),
        },
        adversarial: AdversarialSuite {
            scenarios: count(attacks().count()),
            clusters: count(clusters(attacks())),
            twins: count(twins().count()),
            twins_passed: count(twins().filter(|(_, tally)| tally.has_passed()).count()),
        },
        incident: IncidentSuite {
            scenarios: count(of(Suite::Incident).count()),
            passed: count(of(Suite::Incident).filter(|(_, tally)| tally.has_passed()).count()),
        },
    }
}

fn row(scenario: &Scenario, tally: &ScenarioTally) -> Row {
    Row {
        id: scenario.id.clone(),
        suite: suite_name(scenario.suite).to_owned(),
        grade: tally.worst.unwrap_or(Grade::Skipped),
        trials: tally.trials,
        passed: tally.passed,
        duration_ms: tally.duration_ms,
        twin_of: scenario.twin_of.clone(),
    }
}
