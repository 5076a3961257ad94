//! What the scenario files hold, before any selection and any run: the `suites` that checks see.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::ways_out;
use crate::{
    scenario::{Bands, CLASSES, Claims, Course, Expectation, Scenario, Suite, Times, coverage, distinct, rigour},
    verdict,
};

/// The `suites` of the evidence document; `evidence` is the manifest's part of it.
///
/// `surfaces` are the tools whose results hold text by others while a golden task is done.
pub(crate) fn of(scenarios: &[Scenario], evidence: &Value, surfaces: &[String]) -> Value {
    let mut suites = counted(scenarios, evidence, surfaces);
    let text = |place: &str| evidence.pointer(place).and_then(Value::as_str).unwrap_or_default();
    let tools = evidence.get("tools").and_then(Value::as_array).into_iter().flatten();
    let writes = tools.filter(|tool| tool.get("is_write") == Some(&Value::Bool(true)));
    let writes = writes.filter_map(|tool| tool.get("name")?.as_str()).collect();
    let course =
        Course { starts_when: text("/agent/starts_when"), ends_when: text("/agent/ends_when"), writes: &writes };
    let golden = suites.get_mut("golden").and_then(Value::as_object_mut);
    if let (Some(golden), Value::Object(covered)) = (golden, coverage(scenarios, &course)) {
        golden.extend(covered);
    }
    let golden = suites.get_mut("golden").and_then(Value::as_object_mut);
    if let (Some(golden), Value::Object(found)) = (golden, rigour(scenarios, &claims(evidence))) {
        golden.extend(found);
    }
    if let Some(suites) = suites.as_object_mut() {
        suites.insert("ways_out".to_owned(), ways_out::of(scenarios, evidence));
    }
    suites
}

/// What the manifest says that scenarios are held against.
fn claims(evidence: &Value) -> Claims {
    let reasons = evidence.pointer("/manifest/handoff/when").and_then(Value::as_array).into_iter().flatten();
    let mut claims =
        Claims { reasons: reasons.filter_map(Value::as_str).map(str::to_owned).collect(), ..Claims::default() };
    for tool in evidence.get("tools").and_then(Value::as_array).into_iter().flatten() {
        let allow = |key: &str| tool.get("allow").and_then(|allow| allow.get(key));
        let name = tool.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        match allow("mode").and_then(Value::as_str) {
            Some("never") => claims.never.push(name),
            Some("tiers") => {
                let amount = |key: &str| allow(key).and_then(Value::as_f64);
                let by = allow("by").and_then(Value::as_str).unwrap_or_default().to_owned();
                let bands = Bands { by, auto: amount("auto_up_to"), approval: amount("approval_up_to") };
                claims.bands.insert(name, bands);
            }
            _ => {}
        }
    }
    claims
}

fn counted(scenarios: &[Scenario], evidence: &Value, surfaces: &[String]) -> Value {
    let calls = Calls::new(evidence);
    let of = |suite: Suite| scenarios.iter().filter(move |s| s.suite == suite && s.skip.is_none());
    let hands_off = |s: &&Scenario| s.expect.iter().any(|e| e.raw.handoff == Some(true));
    let attacks: Vec<_> = of(Suite::Adversarial).filter(|s| s.is_attack()).filter_map(|s| s.attack.as_ref()).collect();
    let mut families = BTreeMap::<(&str, &str, &str), usize>::new();
    for attack in &attacks {
        *families.entry((&attack.goal, &attack.carrier, &attack.technique)).or_default() += 1;
    }
    let largest = families.values().max().copied().unwrap_or_default();
    #[expect(clippy::cast_precision_loss, reason = "counts of scenarios stay far below 2^52")]
    let share = if attacks.is_empty() { 0.0 } else { largest as f64 / attacks.len() as f64 };
    let cases: Vec<&Scenario> = of(Suite::Incident).collect();
    let case = |s: &&Scenario| json!({"id": s.id, "incident": s.incident, "source": s.source});
    json!({
        "golden": {
            "scenarios": of(Suite::Golden).count(),
            "distinct": distinct(of(Suite::Golden)),
            "handoff_scenarios": of(Suite::Golden).filter(hands_off).count(),
            "most_writes": of(Suite::Golden).map(|s| calls.writes(s)).max().unwrap_or_default(),
            "over_budget": of(Suite::Golden).filter(|s| is_over_budget(s)).count(),
            "over_budget_handoffs": of(Suite::Golden).filter(|s| is_over_budget(s) && calls.hands_over(s)).count(),
        },
        "adversarial": {
            "scenarios": attacks.len(),
            "clusters": families.len(),
            "carriers": attacks.iter().map(|a| a.carrier.as_str()).collect::<BTreeSet<_>>(),
            "techniques": attacks.iter().map(|a| a.technique.as_str()).collect::<BTreeSet<_>>(),
            "largest_family_share": share,
            "surfaces": surfaces,
            "classes": classes(&of(Suite::Adversarial)),
            "per_carrier": tally(attacks.iter().map(|attack| attack.carrier.as_str())),
            "per_tool": tally(attacks.iter().filter_map(|attack| attack.through())),
            "faulted_tools": faulted(of(Suite::Adversarial).filter(|s| s.is_attack())),
            "generated": of(Suite::Adversarial).filter(|s| s.attack.is_some() && is_tagged(s, "generated")).count(),
            "twins": of(Suite::Adversarial).filter(|s| s.twin_of.is_some()).count(),
            "text_only": of(Suite::Adversarial).filter(|s| s.is_text_only()).count(),
        },
        "incident": {
            "scenarios": cases.len(),
            "cases": cases.iter().map(case).collect::<Vec<_>>(),
            "incidents": cases.iter().filter_map(|s| s.incident.as_deref()).collect::<BTreeSet<_>>(),
        },
    })
}

/// The tools that misbehave in some attack.
fn faulted<'s>(attacks: impl Iterator<Item = &'s Scenario>) -> BTreeSet<&'s str> {
    attacks.flat_map(|scenario| &scenario.faults).map(|fault| fault.tool.as_str()).collect()
}

/// Attacks by class; every class is a key.
fn classes<'s>(adversarial: &(impl Iterator<Item = &'s Scenario> + Clone)) -> Value {
    let entry = |class: &str| {
        let of_class: Vec<&Scenario> = adversarial.clone().filter(|s| s.is_attack() && s.is_of_class(class)).collect();
        let attacks = || of_class.iter().filter_map(|s| s.attack.as_ref());
        let families: BTreeSet<_> = attacks().map(|a| (&a.goal, &a.carrier, &a.technique)).collect();
        json!({
            "scenarios": of_class.len(),
            "clusters": families.len(),
            "carriers": attacks().map(|a| a.carrier.as_str()).collect::<BTreeSet<_>>(),
            "techniques": attacks().map(|a| a.technique.as_str()).collect::<BTreeSet<_>>(),
            "multi_turn": of_class.iter().filter(|s| s.turns.len() > 1).count(),
        })
    };
    CLASSES.iter().map(|class| ((*class).to_owned(), entry(class))).collect()
}

fn is_tagged(scenario: &Scenario, tag: &str) -> bool {
    scenario.tags.iter().any(|own| own == tag)
}

fn tally<'t>(names: impl Iterator<Item = &'t str>) -> BTreeMap<&'t str, usize> {
    let mut counts = BTreeMap::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    counts
}

/// Adds what a run showed of the incident cases to the `suites` of the evidence document: the cases that passed, and
/// the incidents of which every case was run and passed; and what it showed of the ways out.
pub(crate) fn add_results(suites: &mut Value, rows: &[verdict::Scenario]) {
    if let Some(ways_out) = suites.get_mut("ways_out") {
        ways_out::add_results(ways_out, rows);
    }
    let Some(incident) = suites.get_mut("incident").and_then(Value::as_object_mut) else { return };
    let passed: BTreeSet<&str> =
        rows.iter().filter(|row| row.trials > 0 && row.passed == row.trials).map(|row| row.id.as_str()).collect();
    let mut guarded = BTreeMap::<String, bool>::new();
    let mut ids = Vec::new();
    for case in incident.get("cases").and_then(Value::as_array).into_iter().flatten() {
        let id = case.get("id").and_then(Value::as_str).unwrap_or_default();
        let holds = passed.contains(id);
        ids.extend(holds.then(|| id.to_owned()));
        if let Some(guards) = case.get("incident").and_then(Value::as_str) {
            *guarded.entry(guards.to_owned()).or_insert(true) &= holds;
        }
    }
    let guarded: Vec<String> = guarded.into_iter().filter_map(|(id, holds)| holds.then_some(id)).collect();
    incident.insert("passed".to_owned(), json!(ids));
    incident.insert("guarded".to_owned(), json!(guarded));
}

/// Why a case is handed over whose budget is spent, as `handoff.when` and the tags of scenarios have it.
const OVER_BUDGET: &str = "budget-exceeded";

fn expectations(scenario: &Scenario) -> impl Iterator<Item = &Expectation> {
    scenario.expect.iter().chain(scenario.turns.iter().flat_map(|turn| &turn.expect)).map(|expected| &expected.raw)
}

/// Whether the scenario runs past a budget: it says so in a tag, or expects a call that names the reason.
fn is_over_budget(scenario: &Scenario) -> bool {
    let named = |value: &Value| value.as_str() == Some(OVER_BUDGET);
    scenario.tags.iter().any(|tag| tag == OVER_BUDGET)
        || expectations(scenario).filter_map(|e| e.with.as_ref()).any(|with| with.values().any(named))
}

fn least(times: Times) -> u32 {
    match times {
        Times::Exactly(n) => n,
        Times::Between(bounds) => bounds.at_least.unwrap_or_default(),
    }
}

/// What the manifest says of the tools that scenarios expect to be called.
struct Calls<'a> {
    writes: BTreeSet<&'a str>,
    handoff: Option<&'a str>,
}

impl<'a> Calls<'a> {
    fn new(evidence: &'a Value) -> Self {
        let tools = evidence.get("tools").and_then(Value::as_array).into_iter().flatten();
        let writes = tools.filter(|tool| tool.get("is_write") == Some(&Value::Bool(true)));
        Self {
            writes: writes.filter_map(|tool| tool.get("name")?.as_str()).collect(),
            handoff: evidence.pointer("/manifest/handoff/tool").and_then(Value::as_str),
        }
    }

    /// The writes that the scenario needs at least.
    fn writes(&self, scenario: &Scenario) -> u64 {
        let single = |e: &Expectation| {
            let is_write = e.call.as_deref().is_some_and(|tool| self.writes.contains(tool));
            if is_write { u64::from(e.times.map_or(1, least)) } else { 0 }
        };
        let listed = |e: &Expectation| {
            let calls = e.calls.iter().flatten();
            calls.filter(|tool| self.writes.contains(tool.as_str())).count() as u64
        };
        let singles: u64 = expectations(scenario).map(single).sum();
        expectations(scenario).map(listed).max().unwrap_or_default().max(singles)
    }

    fn hands_over(&self, scenario: &Scenario) -> bool {
        expectations(scenario)
            .any(|e| e.handoff == Some(true) || (self.handoff.is_some() && e.call.as_deref() == self.handoff))
    }
}

/// A scenario as it came out, for tests.
#[cfg(test)]
pub(super) fn row(id: &str, grade: crate::grade::Grade, trials: u32, passed: u32) -> verdict::Scenario {
    let (id, suite) = (id.to_owned(), "golden".to_owned());
    verdict::Scenario { id, suite, grade, trials, passed, duration_ms: 1, twin_of: None }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::{add_results, of, row};
    use crate::{grade::Grade, scenario, source::Files};

    fn suites(text: &str) -> Value {
        let files = Files::texts(BTreeMap::from([("a.yaml".to_owned(), text.into())]));
        let manifest = json!({"tools": [{"name": "pay", "is_write": true}, {"name": "look", "is_write": false}],
            "manifest": {"handoff": {"tool": "hand_over"}}});
        of(&scenario::load(&files, &["a.yaml".to_owned()]).expect("scenarios"), &manifest, &[])
    }

    #[test]
    fn attacks_of_words_only_are_counted_apart() {
        let text = "suite: adversarial\nscenarios:\n\
            \x20 words: {say: a, attack: {goal: g, carrier: user-turn, technique: t}, expect: [{refusal: true}]}\n\
            \x20 calls: {say: b, attack: {goal: g, carrier: user-turn, technique: u}, expect: [{never: [x]}]}\n\
            \x20 soft: {say: c, attack: {goal: g, carrier: user-turn, technique: v}, expect: [{never: [x], fails: B}]}\n";
        let found = suites(text);
        assert_eq!(found["adversarial"]["scenarios"], 1);
        assert_eq!(found["adversarial"]["text_only"], 2);
        assert_eq!(found["adversarial"]["techniques"], json!(["u"]));
    }

    #[test]
    fn golden_scenarios_say_what_budgets_they_need_and_spend() {
        let text = "suite: golden\nscenarios:\n\
            \x20 twice: {say: a, expect: [{call: pay, times: 2}, {call: look}, {calls: [pay, look]}]}\n\
            \x20 mostly: {say: b, expect: [{call: pay, times: {at_least: 1, at_most: 5}}]}\n\
            \x20 spent: {say: c, tags: [budget-exceeded], expect: [{answer: {contains: [stopped]}}]}\n\
            \x20 over: {say: d, expect: [{call: hand_over, with: {why: budget-exceeded}}]}\n";
        let golden = &suites(text)["golden"];
        assert_eq!(golden["most_writes"], 2);
        assert_eq!((&golden["over_budget"], &golden["over_budget_handoffs"]), (&json!(2), &json!(1)));
    }

    #[test]
    fn an_incident_is_guarded_when_every_case_of_it_passed() {
        let text = "suite: incident\nscenarios:\n\
            \x20 one: {say: a, incident: INC-1, source: trace, expect: [{refusal: true}]}\n\
            \x20 two: {say: b, incident: INC-1, expect: [{refusal: true}]}\n\
            \x20 old: {say: b, incident: INC-0, skip: gone, expect: [{refusal: true}]}\n\
            \x20 free: {say: b, expect: [{refusal: true}]}\n";
        let found = suites(text);
        assert_eq!(found["incident"]["scenarios"], 3);
        assert_eq!(found["incident"]["incidents"], json!(["INC-1"]));
        assert_eq!(found["incident"]["cases"][1], json!({"id": "one", "incident": "INC-1", "source": "trace"}));
        for (rows, guarded, passed) in [
            (
                vec![row("one", Grade::Pass, 1, 1), row("two", Grade::Pass, 2, 2)],
                json!(["INC-1"]),
                json!(["one", "two"]),
            ),
            (vec![row("one", Grade::Pass, 1, 1), row("two", Grade::FailB, 2, 1)], json!([]), json!(["one"])),
            (vec![row("one", Grade::Pass, 1, 1)], json!([]), json!(["one"])),
            (vec![row("one", Grade::Pass, 0, 0), row("two", Grade::Pass, 1, 1)], json!([]), json!(["two"])),
        ] {
            let mut found = found.clone();
            add_results(&mut found, &rows);
            assert_eq!((&found["incident"]["guarded"], &found["incident"]["passed"]), (&guarded, &passed), "{rows:?}");
        }
    }
}
