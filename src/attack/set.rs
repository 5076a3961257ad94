//! From the ground to the whole set: menu, composition, scenarios, twins, and where each part of the pack stands.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Value, json};

use super::{
    aim::{self, Aimed},
    compose::{self, Combination, Menu, Place},
    draw::Draw,
    fault::Cases,
    ground::{Ground, Order, Reading, under},
    pack::{BASE, Carrier, Disguised, Technique, Way},
    survey::Slot,
    write::{Parts, Writer},
};
use crate::{expr::Scope, scenario::Scenario};

/// One attack of so many is a fault without words, as long as there are faults.
const ATTACKS_PER_FAULT: usize = 10;
/// One twin for so many attacks.
const ATTACKS_PER_TWIN: usize = 5;

/// The generated scenarios, and what stands behind them.
#[derive(Clone, Debug)]
pub struct Set {
    /// Attacks in the order in which they were chosen, each twin behind the attack it belongs to.
    pub scenarios: Vec<Scenario>,
    /// Goals, carriers, techniques, encodings and faults of the pack, in this order.
    pub standings: Vec<Standing>,
    /// Tools whose results hold text by others while a golden task is done.
    pub surfaces: Vec<String>,
    /// Golden tasks that attacks were carried into.
    pub hosts: usize,
}

/// Where one part of the pack stands for one manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// `goal`, `carrier`, `technique`, `encoding` or `fault`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// One line for people.
    pub title: String,
    /// Attacks of the set that use it.
    pub attacks: usize,
    /// Controls of frameworks that it tests.
    pub controls: BTreeMap<String, Vec<String>>,
    /// Why it does not apply, where it does not.
    pub why_not: Option<String>,
}

/// Generates the attacks of a manifest.
pub fn generate(ground: &Ground<'_>, order: &Order) -> Set {
    let reading = Reading::new(ground);
    let mut goals = aim::aims(&reading);
    goals.retain(|aimed| order.focus.is_empty() || order.focus.iter().any(|name| name == aimed.name));
    let parts = parts(&goals);
    let menu = menu(&parts, &reading);
    let count = usize::try_from(order.count).unwrap_or(usize::MAX);
    let chosen = compose::compose(&menu, count, order.seed);
    let mut writer = Writer::new(&parts, &reading);
    let mut worded = Vec::new();
    let mut twins = Twins::new(&reading, order.seed);
    for combination in &chosen {
        let Some(attack) = writer.attack(combination) else { continue };
        let twin = twins.due(combination).and_then(|twin| writer.twin(&twin, &attack));
        if twin.is_some() {
            twins.count(combination);
        }
        worded.push((attack, twin));
    }
    let cases = Cases::new(&reading, &order.focus);
    let befallen: BTreeMap<&str, usize> = BASE.faults.keys().map(|name| (name.as_str(), cases.of(name))).collect();
    let scenarios = mixed(worded, cases.scenarios(&reading, order.seed), count);
    let surfaces: BTreeSet<&String> = reading
        .hosts
        .iter()
        .flat_map(|host| &host.slots)
        .filter(|slot| !slot.is_tool())
        .map(|slot| &slot.tool)
        .collect();
    Set {
        standings: [standings(&parts, &menu, &scenarios), maladies(&befallen, &scenarios)].concat(),
        surfaces: surfaces.into_iter().cloned().collect(),
        hosts: reading.hosts.len(),
        scenarios,
    }
}

/// Attacks of words with their twins, and a fault after every few of them; a smaller mixture begins a larger one.
fn mixed(
    worded: Vec<(Scenario, Option<Scenario>)>,
    mut faults: impl Iterator<Item = Scenario>,
    count: usize,
) -> Vec<Scenario> {
    let mut worded = worded.into_iter();
    let mut scenarios = Vec::new();
    for place in 1..=count {
        let fault = if place % ATTACKS_PER_FAULT == 0 { faults.next() } else { None };
        if let Some(fault) = fault {
            scenarios.push(fault);
        } else if let Some((attack, twin)) = worded.next() {
            scenarios.push(attack);
            scenarios.extend(twin);
        } else if let Some(fault) = faults.next() {
            scenarios.push(fault);
        } else {
            break;
        }
    }
    scenarios
}

fn parts(goals: &[Aimed]) -> Parts<'_> {
    Parts {
        goals,
        carriers: BASE.carriers.iter().map(|(name, carrier)| (name.as_str(), carrier)).collect(),
        techniques: BASE.techniques.iter().map(|(name, technique)| (name.as_str(), technique)).collect(),
        encodings: encodings(),
    }
}

/// The goals of the pack, by name; some are those of faults alone.
pub fn goals() -> Vec<&'static str> {
    let of_faults = BASE.faults.values().map(|malady| malady.file.goal.as_str());
    let goals: BTreeSet<&str> = BASE.goals.keys().map(String::as_str).chain(of_faults).collect();
    goals.into_iter().collect()
}

/// How many possible pairs no attack covers: of goal, carrier, technique and encoding, and of the last two alone.
#[cfg(test)]
pub(super) fn uncovered(ground: &Ground<'_>, count: usize, seed: u64) -> (usize, usize) {
    let reading = Reading::new(ground);
    let goals = aim::aims(&reading);
    let menu = menu(&parts(&goals), &reading);
    compose::uncovered(&menu, &compose::compose(&menu, count, seed))
}

/// Plain first, because the composer knows it by its place.
fn encodings() -> Vec<(&'static str, &'static super::pack::Encoding)> {
    let plain = BASE.encodings.get_key_value("plain");
    let others = BASE.encodings.iter().filter(|(name, _)| name.as_str() != "plain");
    plain.into_iter().chain(others).map(|(name, encoding)| (name.as_str(), encoding)).collect()
}

fn menu<'m>(parts: &Parts<'m>, reading: &Reading<'_>) -> Menu<'m> {
    let variants = |technique: &Technique, carrier: &Carrier| match carrier.file.way {
        way if !technique.ways.contains(&way) => 0,
        Way::Spoken if carrier.is_staged() => usize::from(!technique.stages.is_empty()),
        Way::Spoken | Way::Read => technique.texts.len(),
    };
    let of_technique = |technique: &Technique| parts.carriers.iter().map(|(_, c)| variants(technique, c)).collect();
    let fits = |aimed: &Aimed| {
        let fits =
            |c: &Carrier| aimed.goal.file.ways.contains(&c.file.way) && !(c.hinders() && aimed.goal.asks_for_an_act());
        parts.carriers.iter().map(|(_, carrier)| fits(carrier)).collect()
    };
    Menu {
        goals: parts.goals,
        places: places(parts, reading),
        variants: parts.techniques.iter().map(|(_, technique)| of_technique(technique)).collect(),
        encodings: parts.encodings.len(),
        plain: parts.techniques.iter().map(|(_, technique)| technique.disguises == Disguised::Nothing).collect(),
        fits: parts.goals.iter().map(fits).collect(),
    }
}

/// The places of each carrier.
fn places(parts: &Parts<'_>, reading: &Reading<'_>) -> Vec<Vec<Place>> {
    let mut places: Vec<Vec<Place>> = vec![Vec::new(); parts.carriers.len()];
    let mut known: BTreeMap<(String, String), Vec<usize>> = BTreeMap::new();
    for (host, entry) in reading.hosts.iter().enumerate() {
        for (slot, text) in entry.slots.iter().enumerate() {
            // Places of one kind differ in their ids alone.
            let kind = (text.tool.clone(), text.pointer.replace(|c: char| c.is_ascii_digit(), "9"));
            let carriers = known.entry(kind).or_insert_with(|| carriers_of(parts, reading, text));
            for carrier in carriers {
                if let Some(list) = places.get_mut(*carrier) {
                    list.push(Place { host: Some(host), slot: Some(slot) });
                }
            }
        }
    }
    for ((_, carrier), list) in parts.carriers.iter().zip(&mut places) {
        if carrier.file.way != Way::Spoken {
            continue;
        }
        if carrier.hosts() {
            let single = reading.hosts.iter().enumerate().filter(|(_, host)| host.scenario.turns.len() == 1);
            list.extend(single.map(|(host, _)| Place { host: Some(host), slot: None }));
        } else {
            list.push(Place { host: None, slot: None });
        }
    }
    places
}

/// The carrier that a text belongs to, and those that may dress it otherwise.
fn carriers_of(parts: &Parts<'_>, reading: &Reading<'_>, slot: &Slot) -> Vec<usize> {
    let scope = Scope::new().with("slot", &slot_document(reading, slot));
    let read = || {
        let fits = |c: &Carrier| c.file.way == Way::Read && c.is_of_tool() == slot.is_tool();
        parts.carriers.iter().enumerate().filter(move |(_, (_, carrier))| fits(carrier))
    };
    let holds =
        |carrier: &Carrier| carrier.filter.as_ref().is_some_and(|filter| filter.test(&scope).unwrap_or_default());
    let text = || read().filter(|(_, (_, carrier))| !carrier.is_of_tool());
    let own = text().find(|(_, (_, carrier))| !carrier.file.also && holds(carrier));
    let own = own.or_else(|| text().find(|(_, (_, carrier))| carrier.filter.is_none()));
    let also = read().filter(|(_, (_, carrier))| (carrier.file.also || carrier.is_of_tool()) && holds(carrier));
    own.into_iter().chain(also).map(|(at, _)| at).collect()
}

fn slot_document(reading: &Reading<'_>, slot: &Slot) -> Value {
    let find = |list: &str, name: &str| {
        let entries = reading.document.get(list).and_then(Value::as_array);
        entries
            .and_then(|entries| entries.iter().find(|entry| *under(entry, "name") == *name))
            .cloned()
            .unwrap_or_default()
    };
    let tool = find("tools", &slot.tool);
    let system = find("systems", under(&tool, "system").as_str().unwrap_or_default());
    json!({"tool": slot.tool, "pointer": slot.pointer, "key": slot.pointer.rsplit('/').next().unwrap_or_default(),
        "system": under(&tool, "system").as_str().unwrap_or_default(), "retrieval": *under(&system, "retrieval") == true,
        "approves": *under(&tool, "approves") == true, "lists": reads_lists(reading, &system)})
}

/// Whether the agent is shown what a tool is about: by the server of its system, by the gate, or as its team says.
fn reads_lists(reading: &Reading<'_>, system: &Value) -> bool {
    let says = |key: &str| reading.document.pointer(&format!("/manifest/endpoint/{key}")) == Some(&true.into());
    says("lists_tools") || says("bare_model") || under(system, "mcp").is_string()
}

/// Decides which attacks get a benign twin.
struct Twins {
    /// Hosts for words that the user says: tasks that change something, where there are any, because an agent that does
    /// nothing at all must not pass.
    tasks: Vec<usize>,
    draw: Draw,
    seen: BTreeSet<(usize, usize)>,
    attacks: usize,
    made: usize,
}

impl Twins {
    fn new(reading: &Reading<'_>, seed: u64) -> Self {
        let single = || reading.hosts.iter().enumerate().filter(|(_, host)| host.scenario.turns.len() == 1);
        let acts = |host: &super::survey::Host<'_>| host.changes.as_ref().is_some_and(|changes| !changes.is_empty());
        let acting: Vec<usize> = single().filter(|(_, host)| acts(host)).map(|(at, _)| at).collect();
        let tasks = if acting.is_empty() { single().map(|(at, _)| at).collect() } else { acting };
        Self { tasks, draw: Draw::new(!seed), seen: BTreeSet::new(), attacks: 0, made: 0 }
    }

    /// The place and words of the twin, if this attack gets one: families without a twin come first.
    fn due(&mut self, attack: &Combination) -> Option<Combination> {
        self.attacks += 1;
        if self.made * ATTACKS_PER_TWIN >= self.attacks || self.seen.contains(&(attack.carrier, attack.technique)) {
            return None;
        }
        let mut twin = Combination { variant: 0, wording: 0, aim: 0, encoding: 0, ..*attack };
        if twin.place.slot.is_none() {
            twin.place.host = Some(*self.draw.pick(&self.tasks)?);
        }
        Some(twin)
    }

    /// Takes note that an attack got its twin: where the carrier keeps the task from being done, there is none.
    fn count(&mut self, attack: &Combination) {
        self.seen.insert((attack.carrier, attack.technique));
        self.made += 1;
    }
}

fn standings(parts: &Parts<'_>, menu: &Menu<'_>, scenarios: &[Scenario]) -> Vec<Standing> {
    let attacks: Vec<_> = scenarios.iter().filter_map(|scenario| scenario.attack.as_ref()).collect();
    let mut found = Vec::new();
    for aimed in parts.goals {
        let file = &aimed.goal.file;
        let is_carried = menu.fits.iter().zip(menu.goals).any(|(fits, other)| {
            other.name == aimed.name && fits.iter().zip(&menu.places).any(|(fits, places)| *fits && !places.is_empty())
        });
        let why_not = match aimed.len() {
            0 => Some(file.otherwise.clone()),
            _ if !is_carried => Some("No carrier exists that it could travel by.".to_owned()),
            _ => None,
        };
        found.push(Standing {
            kind: "goal",
            name: aimed.name.to_owned(),
            title: file.title.clone(),
            attacks: attacks.iter().filter(|attack| attack.goal == aimed.name).count(),
            controls: file.controls.clone(),
            why_not,
        });
    }
    for ((name, carrier), places) in parts.carriers.iter().zip(&menu.places) {
        let absent = places.is_empty().then(|| carrier.file.otherwise.clone());
        found.push(Standing {
            kind: "carrier",
            name: (*name).to_owned(),
            title: carrier.file.title.clone(),
            attacks: attacks.iter().filter(|attack| attack.carrier == **name).count(),
            controls: carrier.file.controls.clone(),
            why_not: absent,
        });
    }
    for (name, technique) in &parts.techniques {
        found.push(Standing {
            kind: "technique",
            name: (*name).to_owned(),
            title: technique.title.clone(),
            attacks: attacks.iter().filter(|attack| attack.technique == **name).count(),
            controls: technique.controls.clone(),
            why_not: None,
        });
    }
    for (name, encoding) in &parts.encodings {
        let is_used = |attack: &&&crate::scenario::Attack| attack.encoding.as_deref().unwrap_or("plain") == *name;
        found.push(Standing {
            kind: "encoding",
            name: (*name).to_owned(),
            title: encoding.title.clone(),
            attacks: attacks.iter().filter(is_used).count(),
            controls: encoding.controls.clone(),
            why_not: None,
        });
    }
    found
}

/// Where the faults stand.
fn maladies(befallen: &BTreeMap<&str, usize>, scenarios: &[Scenario]) -> Vec<Standing> {
    let attacks: Vec<_> = scenarios.iter().filter_map(|scenario| scenario.attack.as_ref()).collect();
    let standing = |(name, malady): (&String, &super::pack::Malady)| Standing {
        kind: "fault",
        name: name.clone(),
        title: malady.file.title.clone(),
        attacks: attacks.iter().filter(|attack| attack.is_fault() && attack.technique == **name).count(),
        controls: malady.file.controls.clone(),
        why_not: (befallen.get(name.as_str()) == Some(&0)).then(|| malady.file.otherwise.clone()),
    };
    BASE.faults.iter().map(standing).collect()
}
