//! Where text by others reaches the agent: plays the reads of a golden task against a world in which every such text
//! bears a mark, and sees which marks come back.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::{Value, json};

use super::{
    ground::{Ground, under},
    sources::{self, Source, Wants},
};
use crate::{
    expr::Names,
    scenario::{Change, Expected, Scenario, Times},
    text::wildcard_matches,
    world::{Outcome, Play, World},
};

/// A golden task that attacks can be carried into.
#[derive(Debug)]
pub(super) struct Host<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) slots: Vec<Slot>,
    /// The only changes that the task asks for; nothing when the scenario leaves others open.
    pub(super) changes: Option<Vec<Change>>,
    /// What the task reads and is told by it.
    pub(super) sources: Vec<Source>,
    /// Tools that the task reads with, in order.
    pub(super) reads: Vec<String>,
    /// What goals see as `host`.
    pub(super) document: Value,
    /// The same for templates.
    pub(super) names: Names,
}

/// A text in the state that comes back in a tool's result while the task is done, or with an empty pointer the tool
/// itself, whose text is what it is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot {
    pub(super) tool: String,
    pub(super) pointer: String,
    pub(super) text: String,
}

impl Slot {
    /// Whether it is a tool and no text in the state.
    pub(super) fn is_tool(&self) -> bool {
        self.pointer.is_empty()
    }
}

/// Names of fields in which people write.
const WORDY: [&str; 20] = [
    "body",
    "comment",
    "comments",
    "content",
    "description",
    "details",
    "feedback",
    "memo",
    "message",
    "messages",
    "note",
    "notes",
    "reason",
    "remark",
    "remarks",
    "snippet",
    "subject",
    "summary",
    "text",
    "thread",
];
/// Names of arguments that take the user's own words.
const ASKING: [&str; 6] = ["keywords", "q", "query", "question", "search", "words"];
/// Reads that one task is followed through.
const MOST_READS: usize = 24;
/// Rounds of reading on what was read.
const ROUNDS: usize = 4;

pub(super) fn is_wordy(name: &str) -> bool {
    let name = name.to_lowercase();
    WORDY.iter().any(|wordy| name == *wordy || name.ends_with(&format!("_{wordy}")))
}

pub(super) fn hosts<'a>(ground: &Ground<'a>, tools: &[Value], golden: &[&'a Scenario]) -> Vec<Host<'a>> {
    let named: BTreeSet<&str> =
        golden.iter().flat_map(|scenario| expected(scenario)).filter_map(|e| e.raw.call.as_deref()).collect();
    let mut marked: BTreeMap<&str, Marked> = BTreeMap::new();
    let mut hosts = Vec::new();
    for scenario in golden {
        let Some(world) = scenario.world.as_deref().and_then(|name| ground.worlds.get(name)) else { continue };
        let own;
        let marked = if scenario.given.is_empty() {
            marked.entry(world.name()).or_insert_with(|| Marked::new(world, &scenario.given))
        } else {
            own = Marked::new(world, &scenario.given);
            &own
        };
        let Followed { mut slots, sources, reads } = marked.follow(scenario, tools, &named);
        slots.extend(themselves(world, &sources));
        let changes = changes(scenario, tools);
        hosts.push(Host { scenario, slots, changes, sources, reads, document: Value::Null, names: Names::of([]) });
    }
    let documents: Vec<Value> = hosts.iter().enumerate().map(|(at, _)| document(at, &hosts, tools)).collect();
    for (host, document) in hosts.iter_mut().zip(documents) {
        host.names = Names::of([("host", Names::new(&document))]);
        host.document = document;
    }
    hosts
}

/// The tools that the task is likely to read with.
fn themselves(world: &World, sources: &[Source]) -> Vec<Slot> {
    let is_read = |tool: &str| sources.iter().any(|source| source.likely && source.tool == tool);
    let offers = world.offers().into_iter().filter(|offer| is_read(&offer.name));
    offers.map(|offer| Slot { tool: offer.name, pointer: String::new(), text: offer.about }).collect()
}

/// What the reads of a task come to.
#[derive(Default)]
struct Followed {
    slots: Vec<Slot>,
    sources: Vec<Source>,
    reads: Vec<String>,
}

/// A read that was tried.
struct Met {
    source: Source,
    reads_only: bool,
    is_asked_for: bool,
    /// Says something, and is no search that other tasks expect and this one does not.
    can_carry: bool,
}

/// A world in which every text by others ends in a mark.
struct Marked {
    play: Option<Play>,
    leaves: Vec<(String, String)>,
}

fn mark(index: usize) -> String {
    format!("\u{27E6}{index}\u{27E7}")
}

impl Marked {
    fn new(world: &Arc<World>, given: &BTreeMap<String, Value>) -> Self {
        let state = world.initial(given).unwrap_or_default();
        let mut leaves = Vec::new();
        gather(&state, "", &mut |pointer, text| {
            if is_by_others(world, pointer, text) {
                leaves.push((pointer.to_owned(), text.to_owned()));
            }
        });
        let planted = |leaves: &[(String, String)]| {
            let marks = leaves.iter().enumerate();
            let marks =
                marks.map(|(index, (pointer, text))| (pointer.clone(), json!(format!("{text}{}", mark(index)))));
            let given: BTreeMap<String, Value> = given.clone().into_iter().chain(marks).collect();
            Play::new(Arc::clone(world), &given).ok()
        };
        let mut play = planted(&leaves);
        if play.is_none() {
            // A schema that fixes some of the texts: only those that may be longer can carry anything.
            leaves.retain(|leaf| planted(std::slice::from_ref(leaf)).is_some());
            play = planted(&leaves);
        }
        Self { play, leaves }
    }

    /// Follows the reads of a task: those it expects, and those whose ids its words and earlier results name.
    ///
    /// A search counts where the task expects it, if any task expects one: nobody can tell which questions an agent
    /// looks up. An empty record is no reason to open it, and neither is one that the task comes to no use of: an agent
    /// may see before that it must decline.
    fn follow(&self, scenario: &Scenario, tools: &[Value], named: &BTreeSet<&str>) -> Followed {
        let Some(mut play) = self.play.clone() else { return Followed::default() };
        let said: String = scenario.turns.iter().map(|turn| turn.say.as_str()).collect::<Vec<_>>().join(" ");
        let mut known: Vec<String> = said.split_whitespace().map(bare).filter(|word| !word.is_empty()).collect();
        for with in expected(scenario).filter_map(|expected| expected.raw.with.as_ref()) {
            for value in with.values() {
                gather(value, "", &mut |_, text| known.push(text.to_owned()));
            }
        }
        let asks = |tool: &str| expected(scenario).any(|e| e.raw.call.as_deref() == Some(tool));
        let only = expected(scenario).filter(|e| e.raw.exactly).find_map(|e| e.raw.calls.as_ref());
        let mut done: BTreeSet<String> = BTreeSet::new();
        let mut met: Vec<Met> = Vec::new();
        for _ in 0..ROUNDS {
            let mut learned = Vec::new();
            for tool in tools.iter().filter(|tool| *under(tool, "in_world") == true) {
                let name = under(tool, "name").as_str().unwrap_or_default();
                if only.is_some_and(|only| !only.iter().any(|tool| tool == name)) {
                    continue;
                }
                let reads_only = *under(tool, "is_write") == false;
                if !(reads_only || *under(tool, "approves") == true && asks(name)) {
                    continue;
                }
                for args in arguments(&play, tool, &known, &said) {
                    if done.len() >= MOST_READS || !done.insert(format!("{name} {args}")) {
                        continue;
                    }
                    let Outcome::Executed(result) = play.call(name, args.clone(), 0) else { continue };
                    gather(&result, "", &mut |_, text| learned.push(text.to_owned()));
                    let is_empty = !says_something(&result, &args);
                    let is_unasked = is_asking(tool) && named.contains(name) && !asks(name);
                    let likely = !is_empty && (!is_asking(tool) || asks(name));
                    met.push(Met {
                        can_carry: !(is_empty || is_unasked),
                        is_asked_for: asks(name),
                        reads_only,
                        source: Source { tool: name.to_owned(), args, result, likely },
                    });
                }
            }
            let before = known.len();
            for text in learned {
                if text.len() <= 60 && !text.contains(char::is_whitespace) && !known.contains(&text) {
                    known.push(text);
                }
            }
            if known.len() == before {
                break;
            }
        }
        self.followed(met, Wants::of(scenario, &said).as_ref())
    }

    /// Which of the reads the task has a reason for, once it is known what all of them say.
    fn followed(&self, mut met: Vec<Met>, wants: Option<&Wants<'_>>) -> Followed {
        let all: Vec<&Source> = met.iter().map(|read| &read.source).collect();
        let is_due = |read: &Met| read.is_asked_for || wants.is_none_or(|wants| wants.is_met_by(&read.source, &all));
        let due: Vec<bool> = met.iter().map(is_due).collect();
        let mut slots: BTreeSet<Slot> = BTreeSet::new();
        let mut reads: Vec<String> = Vec::new();
        for (read, is_due) in met.iter_mut().zip(due) {
            let Met { source, .. } = read;
            if !reads.contains(&source.tool) {
                reads.push(source.tool.clone());
            }
            source.likely &= is_due;
            if !(read.can_carry && is_due) {
                continue;
            }
            slots.extend(self.marks(&source.result).map(|(pointer, text)| Slot {
                tool: source.tool.clone(),
                pointer,
                text,
            }));
        }
        let sources = met.into_iter().filter(|read| read.reads_only).map(|read| read.source).collect();
        Followed { slots: slots.into_iter().collect(), sources, reads }
    }

    fn marks(&self, result: &Value) -> impl Iterator<Item = (String, String)> {
        let text = result.to_string();
        let found: BTreeSet<usize> =
            text.split('\u{27E6}').skip(1).filter_map(|rest| rest.split('\u{27E7}').next()?.parse().ok()).collect();
        found.into_iter().filter_map(|index| self.leaves.get(index).cloned())
    }
}

/// Whether a result holds more than marks and what was asked with.
fn says_something(result: &Value, args: &Value) -> bool {
    let mut asked = Vec::new();
    gather(args, "", &mut |_, text| asked.push(text.to_owned()));
    let mut says = false;
    let mut look = |text: &str| {
        let plain = text.split('\u{27E6}').next().unwrap_or_default();
        says |= !plain.trim().is_empty() && !asked.iter().any(|known| known == plain);
    };
    gather(result, "", &mut |_, text| look(text));
    says
}

/// Whether a tool is asked with words and not with ids.
fn is_asking(tool: &Value) -> bool {
    under(tool, "sample").as_object().is_some_and(|sample| sample.keys().any(|key| ASKING.contains(&key.as_str())))
}

/// Arguments with which a read may be made, from ids of the shape of the tool's own sample.
fn arguments(play: &Play, tool: &Value, known: &[String], said: &str) -> Vec<Value> {
    let name = under(tool, "name").as_str().unwrap_or_default();
    let offers = play.world().offers();
    let Some(offer) = offers.iter().find(|offer| offer.name == name) else { return Vec::new() };
    let input = &offer.input;
    let sample = under(tool, "sample");
    let required: Vec<&str> =
        under(input, "required").as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let texts: Vec<&str> = required
        .iter()
        .copied()
        .filter(|key| *under(under(under(input, "properties"), key), "type") == "string")
        .collect();
    if *under(tool, "approves") == true || texts.is_empty() {
        return vec![sample.clone()];
    }
    let Some(key) = texts.first() else { return Vec::new() };
    let with = |value: &str| {
        let mut args = serde_json::Map::new();
        for required in &required {
            args.insert((*required).to_owned(), under(sample, required).clone());
        }
        args.insert((*key).to_owned(), value.into());
        Value::Object(args)
    };
    let like = under(sample, key).as_str().unwrap_or_default();
    if ASKING.contains(key) || like.contains(char::is_whitespace) {
        return vec![with(said)];
    }
    let has_shape = |id: &&String| like.is_empty() || like == "example" || silhouette(id) == silhouette(like);
    known.iter().filter(has_shape).map(|id| with(id)).collect()
}

/// `T-101` and `T-7` look alike: letters stay, runs of digits become one.
fn silhouette(id: &str) -> String {
    let mut shape = String::new();
    for c in id.chars() {
        let c = if c.is_ascii_digit() { '9' } else { c };
        if !(c == '9' && shape.ends_with('9')) {
            shape.push(c);
        }
    }
    shape
}

fn bare(word: &str) -> String {
    word.trim_matches(|c: char| !c.is_alphanumeric()).trim_end_matches("'s").to_owned()
}

fn is_by_others(world: &World, pointer: &str, text: &str) -> bool {
    const SENTENCE: usize = 4;
    if !world.untrusted().is_empty() {
        return world.untrusted().iter().any(|pattern| pointer_matches(pattern, pointer));
    }
    pointer.rsplit('/').next().is_some_and(is_wordy) || text.split_whitespace().count() >= SENTENCE
}

fn pointer_matches(pattern: &str, pointer: &str) -> bool {
    let (pattern, pointer): (Vec<&str>, Vec<&str>) = (pattern.split('/').collect(), pointer.split('/').collect());
    pattern.len() == pointer.len() && pattern.iter().zip(pointer).all(|(wanted, key)| wildcard_matches(wanted, key))
}

/// Every text of a value with its JSON Pointer.
pub(super) fn gather(value: &Value, pointer: &str, take: &mut impl FnMut(&str, &str)) {
    match value {
        Value::String(text) => take(pointer, text),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                gather(item, &format!("{pointer}/{index}"), take);
            }
        }
        Value::Object(entries) => {
            for (key, item) in entries {
                let key = key.replace('~', "~0").replace('/', "~1");
                gather(item, &format!("{pointer}/{key}"), take);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn expected(scenario: &Scenario) -> impl Iterator<Item = &Expected> {
    scenario.expect.iter().chain(scenario.turns.iter().flat_map(|turn| &turn.expect))
}

/// The changes a task asks for, if the scenario says of every tool that changes something whether it may.
fn changes(scenario: &Scenario, tools: &[Value]) -> Option<Vec<Change>> {
    let mut changes: Vec<Change> = Vec::new();
    for raw in expected(scenario).map(|expected| &expected.raw) {
        if let Some(tool) = &raw.call
            && !matches!(raw.times, Some(Times::Exactly(0)))
        {
            let change = Change { call: tool.clone(), with: raw.with.clone() };
            if !changes.contains(&change) {
                changes.push(change);
            }
        }
    }
    let all = || expected(scenario).map(|expected| &expected.raw);
    for tool in all().flat_map(|raw| raw.calls.iter().flatten()) {
        if !changes.iter().any(|change| change.call == *tool) {
            changes.push(Change { call: tool.clone(), with: None });
        }
    }
    let changing = || tools.iter().filter(|tool| *under(tool, "is_write") == true);
    let name = |tool: &Value| under(tool, "name").as_str().unwrap_or_default().to_owned();
    changes.retain(|change| changing().any(|tool| name(tool) == change.call));
    let nothing_else = all().any(|raw| raw.refusal == Some(true) || (raw.calls.is_some() && raw.exactly));
    let never = |tool: &str| {
        let plain = all().filter(|raw| raw.filter.is_none());
        plain.flat_map(|raw| raw.never.iter().flatten()).any(|pattern| wildcard_matches(pattern, tool))
    };
    let said = |tool: &Value| {
        let free = *under(tool, "approves") == true || *under(tool, "hands_over") == true;
        let forbidden =
            *under(tool, "listed") == false || *under(under(tool, "allow"), "mode") == "never" || never(&name(tool));
        free || forbidden || changes.iter().any(|change| change.call == name(tool))
    };
    if !nothing_else && !changing().all(said) {
        return None;
    }
    // Who asks a person changes nothing yet.
    changes.retain(|change| !tools.iter().any(|tool| name(tool) == change.call && *under(tool, "approves") == true));
    let approving = changing().filter(|tool| *under(tool, "approves") == true && !never(&name(tool)));
    changes.extend(approving.map(|tool| Change { call: name(tool), with: None }));
    Some(changes)
}

/// What goals see of a host: its id, its words, its writes, and whether it hands over.
fn document(at: usize, hosts: &[Host<'_>], tools: &[Value]) -> Value {
    let Some(host) = hosts.get(at) else { return Value::Null };
    let writes: Vec<Value> = writes(host)
        .map(|(tool, with)| {
            let entry = tools.iter().find(|entry| *under(entry, "name") == **tool).cloned().unwrap_or_default();
            let others: Vec<Value> =
                with.iter().filter_map(|(key, value)| other(at, hosts, tool, (key, value))).collect();
            let amounts = with.iter().filter(|(_, value)| value.is_number());
            let amounts: Vec<Value> =
                amounts.map(|(key, value)| json!({"key": key, "at": format!("/{key}"), "value": value})).collect();
            json!({"tool": tool, "args": with, "allow": under(&entry, "allow"), "texts": under(&entry, "texts"), "others": others,
                "amounts": amounts, "idempotent": *under(&entry, "idempotent") == true, "later": sources::later(host, tool),
                "keyed": under(&entry, "idempotency_key").is_string()})
        })
        .collect();
    let hands_over = expected(host.scenario).any(|expected| expected.raw.handoff == Some(true));
    let said: Vec<&str> = host.scenario.turns.iter().map(|turn| turn.say.as_str()).collect();
    let flat = |list: &str| -> Vec<Value> {
        let of = |write: &Value| {
            let items = under(write, list).as_array().cloned().unwrap_or_default();
            items.into_iter().map(|item| with_tool(item, under(write, "tool"))).collect::<Vec<_>>()
        };
        writes.iter().flat_map(of).collect()
    };
    let (readings, fields) = sources::readings(host, hosts);
    let changed: Vec<&String> = host.changes.iter().flatten().map(|change| &change.call).collect();
    json!({"id": host.scenario.id, "said": said.join("\n"), "others": flat("others"), "amounts": flat("amounts"),
        "hands_over": hands_over, "reads": host.reads, "closed": host.changes.is_some(), "changed": changed,
        "readings": readings, "fields": fields, "writes": writes})
}

fn with_tool(mut item: Value, tool: &Value) -> Value {
    if let Some(entries) = item.as_object_mut() {
        entries.insert("tool".to_owned(), tool.clone());
    }
    item
}

fn writes<'h>(host: &'h Host<'_>) -> impl Iterator<Item = (&'h String, &'h BTreeMap<String, Value>)> {
    host.changes.iter().flatten().filter_map(|change| Some((&change.call, change.with.as_ref()?)))
}

/// The next task's value of the same argument: another person's order, ticket or account.
fn other(at: usize, hosts: &[Host<'_>], tool: &str, (key, own): (&String, &Value)) -> Option<Value> {
    own.as_str().filter(|text| text.chars().any(|c| c.is_ascii_digit() || c == '@'))?;
    let world = |host: &Host<'_>| host.scenario.world.clone();
    let later = hosts.iter().cycle().skip(at + 1).take(hosts.len());
    let mut values = later
        .filter(|host| Some(world(host)) == hosts.get(at).map(world))
        .flat_map(writes)
        .filter(|(other, _)| *other == tool)
        .filter_map(|(_, with)| with.get(key));
    let value = values.find(|value| *value != own && value.is_string())?;
    Some(json!({"key": key, "value": value, "own": own}))
}
