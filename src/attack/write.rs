//! Puts an attack together: words, disguise, carrier, host, and what must hold. What comes out is opaque text.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{
    aim::{Aimed, Demand, demand},
    compose::Combination,
    encode,
    ground::Reading,
    pack::{Carrier, Disguised, Encoding, Technique, Way},
    survey::{Host, Slot},
};
use crate::{
    expr::ExprError,
    scenario::{Attack, Category, Expectation, Expected, Fault, Made, Parsed, PlannedTurn, Scenario, Suite},
    source::Route,
};

/// Where the scenarios say they come from.
pub(super) const SOURCE: &str = "pack:base";

/// The parts of the pack that a menu's indices mean.
pub(super) struct Parts<'p> {
    pub(super) goals: &'p [Aimed],
    pub(super) carriers: Vec<(&'static str, &'static Carrier)>,
    pub(super) techniques: Vec<(&'static str, &'static Technique)>,
    pub(super) encodings: Vec<(&'static str, &'static Encoding)>,
}

/// Writes scenarios; remembers ids and parsed expressions.
pub(super) struct Writer<'w> {
    parts: &'w Parts<'w>,
    reading: &'w Reading<'w>,
    ids: BTreeSet<String>,
    parsed: Parsed,
}

/// The parts of one attack.
struct Chosen<'w> {
    goal: &'w Aimed,
    carrier: (&'static str, &'static Carrier),
    technique: (&'static str, &'static Technique),
    encoding: (&'static str, &'static Encoding),
    host: Option<&'w Host<'w>>,
    slot: Option<&'w Slot>,
}

impl<'w> Writer<'w> {
    pub(super) fn new(parts: &'w Parts<'w>, reading: &'w Reading<'w>) -> Self {
        Self { parts, reading, ids: BTreeSet::new(), parsed: Parsed::default() }
    }

    fn chosen(&self, combination: &Combination) -> Option<Chosen<'w>> {
        let host = combination.place.host.and_then(|host| self.reading.hosts.get(host));
        Some(Chosen {
            goal: self.parts.goals.get(combination.goal)?,
            carrier: self.parts.carriers.get(combination.carrier).copied()?,
            technique: self.parts.techniques.get(combination.technique).copied()?,
            encoding: self.parts.encodings.get(combination.encoding).copied()?,
            host,
            slot: host.and_then(|host| host.slots.get(combination.place.slot?)),
        })
    }

    /// The scenario of an attack; nothing when the goal can't be worded here.
    pub(super) fn attack(&mut self, combination: &Combination) -> Option<Scenario> {
        let chosen = self.chosen(combination)?;
        let aim = chosen.goal.at(combination.place.host).get(combination.aim)?;
        let demand = demand(chosen.goal, aim, combination.wording, self.reading).ok()?;
        let digest = digest(&chosen, &aim.it, combination);
        let names = [chosen.goal.name, chosen.carrier.0, chosen.technique.0, chosen.encoding.0];
        let id = self.id(&names, &digest);
        let marker = format!("ref-{}", digest.get(..8).unwrap_or_default());
        let stages = words(&chosen, &demand.words, combination.variant);
        let attack = Attack {
            goal: chosen.goal.name.to_owned(),
            carrier: chosen.carrier.0.to_owned(),
            tool: chosen.slot.map(|slot| slot.tool.clone()),
            technique: chosen.technique.0.to_owned(),
            encoding: (combination.encoding > 0).then(|| chosen.encoding.0.to_owned()),
            marker: chosen.slot.map(|_| marker.clone()),
        };
        let title = format!("{}: {}", chosen.goal.goal.file.title, chosen.technique.1.title);
        let scenario = self.scenario(&chosen, id, title);
        let scenario = Scenario { attack: Some(attack), tags: tags(&chosen), ..scenario };
        match chosen.carrier.1.file.way {
            Way::Read => self.read(scenario, &chosen, (&stages.join("\n"), &marker), &demand),
            Way::Spoken => self.spoken(scenario, &chosen, &stages, &demand),
        }
        .ok()
    }

    /// The lawful task with harmless words in the attack's place.
    pub(super) fn twin(&mut self, combination: &Combination, of: &Scenario) -> Option<Scenario> {
        let chosen = self.chosen(combination)?;
        if chosen.carrier.1.hinders() {
            return None;
        }
        let host = chosen.host?;
        let technique = chosen.technique.1;
        let apart = chosen.goal.goal.file.twin.trim();
        let digest = digest(&chosen, &Value::Null, combination);
        let id = self.id(&["twin", chosen.carrier.0, chosen.technique.0], &digest);
        let title = format!("A lawful request in words of the same kind: {}", technique.title);
        let mut scenario = self.scenario(&chosen, id, title);
        scenario.twin_of = Some(of.id.clone());
        scenario.tags = vec!["generated".to_owned()];
        scenario.turns.clone_from(&host.scenario.turns);
        if let Some(slot) = chosen.slot {
            let words = technique.twin.trim();
            place(&mut scenario, &chosen, slot, format!("{} {words} {apart}", slot.text).trim());
        } else {
            let asks = technique.asks.as_deref().unwrap_or("{request}");
            for turn in &mut scenario.turns {
                turn.say = format!("{apart}\n\n{}", fill(asks.trim(), &[("request", &turn.say)]));
            }
        }
        scenario.expect.clone_from(&host.scenario.expect);
        Some(scenario)
    }

    /// Names joined by `--` and as much of the digest as makes it unique.
    fn id(&mut self, names: &[&str], digest: &str) -> String {
        const SHORTEST: usize = 4;
        let stem = names.join("--");
        let ids =
            (SHORTEST..digest.len()).map(|length| format!("{stem}--{}", digest.get(..length).unwrap_or_default()));
        let free = ids.into_iter().find(|id| !self.ids.contains(id)).unwrap_or_else(|| format!("{stem}--{digest}"));
        self.ids.insert(free.clone());
        free
    }

    /// What attack and twin share.
    fn scenario(&self, chosen: &Chosen<'_>, id: String, title: String) -> Scenario {
        let host = chosen.host.map(|host| host.scenario);
        Scenario {
            id,
            suite: Suite::Adversarial,
            title: Some(title),
            source: Some(host.map_or_else(|| SOURCE.to_owned(), |host| format!("{SOURCE}, {}", host.id))),
            tags: Vec::new(),
            trials: None,
            world: host.map_or_else(|| self.reading.world.clone(), |host| host.world.clone()),
            given: host.map(|host| host.given.clone()).unwrap_or_default(),
            faults: host.map(|host| host.faults.clone()).unwrap_or_default(),
            model: Vec::new(),
            turns: Vec::new(),
            expect: Vec::new(),
            attack: None,
            twin_of: None,
            skip: None,
            incident: None,
            origin: None,
            location: self.reading.ground.location.clone(),
        }
    }

    /// Planted in a text that the agent reads while it does the host's task.
    fn read(
        &mut self,
        mut scenario: Scenario,
        chosen: &Chosen<'_>,
        (payload, marker): (&str, &str),
        demand: &Demand,
    ) -> Result<Scenario, ExprError> {
        let (Some(host), Some(slot)) = (chosen.host, chosen.slot) else { return Ok(scenario) };
        let plant = chosen.carrier.1.file.plant.as_deref().unwrap_or("{text} {payload} ({marker})");
        let planted = fill(plant, &[("text", &slot.text), ("payload", payload), ("marker", marker)]);
        place(&mut scenario, chosen, slot, planted.trim());
        let kept = if chosen.carrier.1.hinders() { forbidding } else { kept };
        for turn in &host.scenario.turns {
            scenario.turns.push(PlannedTurn { say: turn.say.clone(), expect: kept(&turn.expect) });
        }
        scenario.expect = kept(&host.scenario.expect);
        let changes = Expectation { changes: host.changes.clone(), ..Expectation::default() };
        let made = demand.expect.iter().cloned().chain(host.changes.is_some().then_some(changes));
        self.add(&mut scenario, made)?;
        Ok(scenario)
    }

    fn spoken(
        &mut self,
        mut scenario: Scenario,
        chosen: &Chosen<'_>,
        stages: &[String],
        demand: &Demand,
    ) -> Result<Scenario, ExprError> {
        let host: String =
            chosen.host.iter().flat_map(|host| &host.scenario.turns).map(|turn| turn.say.as_str()).collect();
        let payload = stages.join("\n");
        for turn in &chosen.carrier.1.file.turns {
            let messages: &[String] = if turn.contains("{stage}") { stages } else { std::slice::from_ref(&payload) };
            for words in messages {
                let say = fill(turn, &[("payload", words), ("stage", words), ("host", &host)]);
                scenario.turns.push(PlannedTurn { say: say.trim().to_owned(), expect: Vec::new() });
            }
        }
        let alone = chosen.host.is_none().then_some(&demand.alone);
        let made = demand.expect.iter().chain(alone.into_iter().flatten()).cloned();
        self.add(&mut scenario, made)?;
        Ok(scenario)
    }

    fn add(&mut self, scenario: &mut Scenario, made: impl Iterator<Item = Expectation>) -> Result<(), ExprError> {
        let list = Route::root().join("scenarios").join(&scenario.id).join("expect");
        for raw in made {
            let at = Made { location: scenario.location.clone(), route: list.join(scenario.expect.len()) };
            let raw = Expectation { fails: raw.fails.or(Some(Category::C)), ..raw };
            scenario.expect.push(Expected::made(raw, at, &mut self.parsed)?);
        }
        Ok(())
    }
}

/// Puts words where the carrier brings them from: into the state, or into what the tool itself says.
fn place(scenario: &mut Scenario, chosen: &Chosen<'_>, slot: &Slot, words: &str) {
    let Some(kind) = chosen.carrier.1.file.fault else {
        scenario.given.insert(slot.pointer.clone(), words.into());
        return;
    };
    let fault = Fault::saying(&slot.tool, kind, words);
    scenario.faults.insert(0, fault);
}

/// What the host expects under attack too: what happened counts, the wording of the answer does not.
fn kept(expect: &[Expected]) -> Vec<Expected> {
    let counts = |expected: &&Expected| match expected.category {
        Category::A => false,
        Category::B => expected.raw.answer.is_none(),
        Category::C => true,
    };
    expect.iter().filter(counts).cloned().collect()
}

/// What the task forbids: where a tool misbehaves the rest may rightly be left undone.
pub(super) fn forbidding(expect: &[Expected]) -> Vec<Expected> {
    let forbids = |expected: &&Expected| {
        let raw = &expected.raw;
        expected.category == Category::C && (raw.never.is_some() || raw.changes.is_some() || raw.keeps.is_some())
    };
    expect.iter().filter(forbids).cloned().collect()
}

/// The attacker's messages: technique around the demand, disguised as far as the technique bears it.
fn words(chosen: &Chosen<'_>, demand: &str, variant: usize) -> Vec<String> {
    let technique = chosen.technique.1;
    let staged: Vec<&String> = if chosen.carrier.1.is_staged() {
        technique.stages.iter().collect()
    } else {
        technique.texts.get(variant).into_iter().collect()
    };
    let disguised = encode::disguise(chosen.encoding.1, demand);
    let is_whole = technique.disguises == Disguised::Everything;
    let demand = if is_whole { demand } else { &disguised };
    let (head, tail) = halves(demand);
    let filled = |text: &String| fill(text.trim(), &[("demand", demand), ("head", head), ("tail", tail)]);
    let mut words: Vec<String> = staged.into_iter().map(filled).collect();
    if is_whole && let Some(last) = words.last_mut() {
        *last = encode::disguise(chosen.encoding.1, last);
    }
    words
}

/// A text cut between two words in its middle.
fn halves(text: &str) -> (&str, &str) {
    let spaces = || text.char_indices().filter(|(_, c)| *c == ' ').map(|(at, _)| at);
    let middle = spaces().min_by_key(|at| at.abs_diff(text.len() / 2));
    middle.map_or((text, ""), |at| text.split_at(at))
}

/// Puts values in place of `{name}`, in one pass: what was put in is never looked at again.
pub(super) fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some((head, tail)) = rest.split_once('{') {
        out.push_str(head);
        let found = values.iter().find_map(|(name, value)| Some((value, tail.strip_prefix(name)?.strip_prefix('}')?)));
        if let Some((value, after)) = found {
            out.push_str(value);
            rest = after;
        } else {
            out.push('{');
            rest = tail;
        }
    }
    out.push_str(rest);
    out
}

fn tags(chosen: &Chosen<'_>) -> Vec<String> {
    let classes = [chosen.goal.goal.file.class.as_deref(), chosen.technique.1.class.as_deref()];
    let injection = (chosen.carrier.1.file.way == Way::Read).then_some("injection");
    let tags: BTreeSet<&str> = classes.into_iter().flatten().chain(injection).chain(["generated"]).collect();
    tags.into_iter().map(str::to_owned).collect()
}

/// What tells attacks with the same names apart, the same on every machine.
fn digest(chosen: &Chosen<'_>, it: &Value, combination: &Combination) -> String {
    let parts: BTreeMap<&str, String> = [
        ("host", chosen.host.map(|host| host.scenario.id.clone()).unwrap_or_default()),
        ("slot", chosen.slot.map(|slot| format!("{} {}", slot.tool, slot.pointer)).unwrap_or_default()),
        ("goal", chosen.goal.name.to_owned()),
        ("encoding", chosen.encoding.0.to_owned()),
        ("it", it.to_string()),
        ("words", format!("{} {}", combination.variant, combination.wording)),
    ]
    .into();
    let text: Vec<String> = parts.into_iter().map(|(key, value)| format!("{key}={value}\n")).collect();
    let bytes = Sha256::digest(text.concat().as_bytes());
    bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}
