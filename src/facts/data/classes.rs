//! Classes of data, the fields of tools that look like them, and where each may go.
//!
//! `facts.data.classes`: an entry per class of the manifest and one for `pii` where none says it: `stated`, `none`,
//! `recognised`, `broken` (patterns that do not compile), `model`, `retrieval`, `reason`, `tools`,
//! `fault` (what is wrong with the redaction rules for it), `ruled` (a policy rule names it).
//! `uncovered`: fields and systems that look like data of a kind (`looks`) which no class covers, with their `tool`.
//! `undescribed`: tools that may run and of which nobody knows what they take.
//! `unneeded`: personal fields that a described tool returns and no prompt and no other tool's argument names.
//! `exports`: arguments that carry a `class` whose list of tools does not name the tool.
//! `external`: tools that send out, with the `classes` they may carry, whether the step away from approval is `relaxed`
//! on `evidence` that names the tool (`told`), and whether the approver sees every argument that may hold it (`previewed`).

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::{Value, json};

use super::{Sight, described::Property, kinds, names, place, redaction::Rules, string, strings};
use crate::facts::{code::Code, is_write, may_run, mode, secrets};

/// The classes of the manifest and the fields of its tools.
pub(super) struct Classes {
    all: Vec<Class>,
    fields: Vec<Field>,
    /// Names of the arguments of all tools.
    arguments: BTreeSet<String>,
}

#[derive(Debug, Default)]
struct Class {
    name: String,
    stated: bool,
    none: bool,
    words: Vec<String>,
    patterns: Vec<Regex>,
    broken: Vec<String>,
    tools: Vec<String>,
    entry: Value,
}

impl Class {
    fn read(name: &str, entry: &Value) -> Self {
        let written = strings(entry.get("patterns"));
        let broken = written.iter().filter(|text| Regex::new(text).is_err()).cloned().collect();
        Self {
            name: name.to_owned(),
            stated: true,
            none: entry.as_str() == Some("none"),
            words: strings(entry.get("match")),
            patterns: written.iter().filter_map(|text| Regex::new(text).ok()).collect(),
            broken,
            tools: strings(entry.get("tools")),
            entry: entry.clone(),
        }
    }

    fn covers(&self, field: &Field) -> bool {
        let by_name = |word: &String| {
            kinds::is_kind(word, field.looks) || field.names.iter().any(|name| kinds::plain(word) == kinds::plain(name))
        };
        !self.none
            && (self.words.iter().any(by_name)
                || self.patterns.iter().any(|pattern| field.values.iter().any(|value| pattern.is_match(value))))
    }
}

/// A field of a tool that looks like data of a kind.
#[derive(Debug)]
struct Field {
    tool: String,
    at: String,
    looks: &'static str,
    /// Its names, and the values that stand for it in examples.
    names: Vec<String>,
    values: Vec<String>,
    /// Whether the tool takes it, as opposed to returns it.
    taken: bool,
}

impl Classes {
    pub(super) fn of(sight: &Sight<'_>) -> Self {
        let mut all: Vec<Class> = sight.map("/data/classes").map(|(name, entry)| Class::read(name, entry)).collect();
        if !all.iter().any(|class| class.name == "pii") {
            all.push(Class { name: "pii".to_owned(), ..Class::default() });
        }
        let callable = sight.tools.iter().filter(|tool| may_run(tool));
        let fields = callable.flat_map(|tool| fields(sight, tool)).collect();
        let arguments = sight.shapes.values().flat_map(|shape| &shape.taken);
        let arguments = arguments.map(|property| kinds::plain(&property.name)).collect();
        Self { all, fields, arguments }
    }

    /// Names of the classes that the agent handles.
    pub(super) fn handled(&self) -> impl Iterator<Item = (&str, &[String])> {
        let handled = self.all.iter().filter(|class| class.stated && !class.none);
        handled.map(|class| (class.name.as_str(), class.words.as_slice()))
    }

    fn class_of(&self, field: &Field) -> Option<&Class> {
        self.all.iter().find(|class| class.covers(field))
    }

    pub(super) fn facts(&self, sight: &Sight<'_>, rules: &Rules) -> Value {
        let policy = secrets::matched(sight.claim("/policy/rules"), sight.files);
        let read = |path: &str| Some(Code::read(path, sight.shelf.text(path)?.text()).text.to_lowercase());
        let policy: Vec<String> = policy.into_iter().filter_map(read).collect();
        let entry = |class: &Class| {
            let recognised = class.name == "secrets" || !class.words.is_empty() || !class.patterns.is_empty();
            let at = if class.stated { place("/data/classes", &class.name) } else { "/data/classes".to_owned() };
            json!({
                "name": class.name, "at": at, "stated": class.stated, "none": class.none,
                "recognised": recognised, "broken": class.broken, "tools": class.tools,
                "model": string(&class.entry, "model"), "retrieval": string(&class.entry, "retrieval"),
                "reason": string(&class.entry, "reason"), "fault": rules.fault_of(&class.name),
                "ruled": policy.iter().any(|text| names(text, &class.name.to_lowercase())),
            })
        };
        self.all.iter().map(entry).collect()
    }

    /// What looks like data of a kind and belongs to no class.
    pub(super) fn uncovered(&self, sight: &Sight<'_>) -> Value {
        let mut told = BTreeSet::new();
        let fields = self.fields.iter().filter(|field| self.class_of(field).is_none());
        let fields = fields.filter(|field| told.insert((field.tool.clone(), field.looks))).map(|field| {
            json!({"name": field.names.first(), "at": field.at, "tool": field.tool, "looks": field.looks, "taken": field.taken})
        });
        let mut found: Vec<Value> = fields.collect();
        for (system, _) in sight.map("/systems") {
            let words: Vec<String> = kinds::plain(system).split('_').map(str::to_owned).collect();
            let hit =
                kinds::SYSTEMS.iter().find(|(known, _, _)| words.iter().any(|word| known.contains(&word.as_str())));
            let Some((_, looks, classes)) = hit else { continue };
            let fits = |class: &Class| classes.iter().any(|known| class.name.to_lowercase().contains(known));
            if !self.all.iter().any(|class| class.stated && fits(class)) {
                found.push(json!({"name": system, "at": place("/systems", system), "looks": looks}));
            }
        }
        found.into()
    }

    /// Tools of which nobody knows what they take.
    pub(super) fn undescribed(sight: &Sight<'_>) -> Value {
        let tools = sight.tools.iter().filter(|tool| may_run(tool));
        let unknown = tools
            .filter(|tool| !string(tool, "name").and_then(|name| sight.shape(&name)).is_some_and(|shape| shape.known));
        unknown
            .map(|tool| json!({"name": tool.get("name"), "at": tool.get("at"), "looks": "", "unknown": true}))
            .collect()
    }

    /// Personal fields that a described tool returns and nothing uses.
    pub(super) fn unneeded(&self, sight: &Sight<'_>) -> Value {
        let prompts = secrets::matched(sight.claim("/prompts"), sight.files);
        let prompts: Vec<String> =
            prompts.into_iter().filter_map(|path| sight.file(path)?.get("text")?.as_str()).map(kinds::plain).collect();
        let is_used = |name: &String| {
            let name = kinds::plain(name);
            prompts.iter().any(|text| text.contains(&name)) || self.arguments.contains(&name)
        };
        let mut told = BTreeSet::new();
        let unused = self.fields.iter().filter(|field| !field.taken && !field.names.iter().any(is_used));
        let unused = unused.filter(|field| told.insert((field.tool.clone(), field.names.first().cloned())));
        let unused = unused.map(
            |field| json!({"name": field.names.first(), "at": field.at, "tool": field.tool, "looks": field.looks}),
        );
        unused.collect::<Vec<_>>().into()
    }

    /// Arguments that carry a class to a tool which its list does not name.
    pub(super) fn exports(&self) -> Value {
        let mut told = BTreeSet::new();
        let carried = self.fields.iter().filter(|field| field.taken).filter_map(|field| {
            let class = self.class_of(field).filter(|class| !class.tools.contains(&field.tool))?;
            told.insert((field.tool.clone(), class.name.clone()))
                .then(|| json!({"name": field.tool, "at": field.at, "field": field.names.first(), "class": class.name}))
        });
        carried.collect::<Vec<_>>().into()
    }

    /// Tools that send out.
    pub(super) fn external(&self, sight: &Sight<'_>) -> Value {
        let preview = strings(sight.claim("/approvals/preview"));
        let relaxations = sight.claim("/approvals/relaxations").and_then(Value::as_array);
        let entry = |tool: &Value| {
            let name = string(tool, "name")?;
            let mode = mode(tool)?;
            let sends = tool.get("effect").is_some_and(|effect| effect == "external-send")
                || is_write(tool) && tool.get("destination").is_some();
            (sends && mode != "never").then_some(())?;
            let carrying = self.fields.iter().filter(|field| field.taken && field.tool == name);
            let carrying: Vec<(&Field, &Class)> =
                carrying.filter_map(|field| Some((field, self.class_of(field)?))).collect();
            let carried: BTreeSet<&str> = carrying.iter().map(|(_, class)| class.name.as_str()).collect();
            let may_carry = |class: &&Class| class.tools.contains(&name) || carried.contains(class.name.as_str());
            // Of a class that is only listed nobody knows the argument.
            let is_anywhere = self.all.iter().any(|class| may_carry(&class) && !carried.contains(class.name.as_str()));
            let key = string(tool, "idempotency_key").unwrap_or_default();
            let is_told = |one: &Property| {
                let holds = is_anywhere || carrying.iter().any(|(field, _)| field.names.contains(&one.name));
                !holds || preview.contains(&one.name) || key.trim_start_matches('/') == one.name
            };
            let classes: Vec<&str> = self.all.iter().filter(may_carry).map(|class| class.name.as_str()).collect();
            let mut steps =
                relaxations.into_iter().flatten().filter(|step| string(step, "tool").as_ref() == Some(&name));
            let step = steps.next_back();
            let evidence = step.and_then(|step| string(step, "evidence"));
            let page = evidence.as_deref().and_then(|path| sight.file(path)?.get("text")?.as_str());
            Some(json!({
                "name": name, "at": tool.get("at"), "classes": classes, "mode": mode,
                "relaxed": step.is_some_and(|step| step.get("approved_by").is_some() && step.get("since").is_some()),
                "evidence": evidence, "told": page.is_some_and(|text| names(text, &name.to_lowercase())),
                "previewed": sight.shape(&name).is_some_and(|shape| shape.known && shape.taken.iter().all(is_told)),
            }))
        };
        sight.tools.iter().filter_map(entry).collect()
    }
}

fn fields(sight: &Sight<'_>, tool: &Value) -> Vec<Field> {
    let name = string(tool, "name").unwrap_or_default();
    let at = string(tool, "at").unwrap_or_default();
    let mut found = Vec::new();
    let mut add = |field: &str, looks: Option<&'static str>, value: Option<&str>, taken: bool| {
        if let Some(looks) = looks {
            let values = value.or_else(|| kinds::sample(looks)).map(str::to_owned).into_iter().collect();
            found.push(Field {
                tool: name.clone(),
                at: at.clone(),
                looks,
                names: vec![field.to_owned()],
                values,
                taken,
            });
        }
    };
    let shape = sight.shape(&name);
    for property in shape.into_iter().flat_map(|shape| &shape.taken) {
        add(&property.name, property.looks, None, true);
    }
    for (field, value) in tool.get("example").and_then(Value::as_object).into_iter().flatten() {
        let looks = kinds::of_name(field).or_else(|| kinds::of_value(value.as_str()?));
        add(field, looks, value.as_str(), true);
    }
    for property in shape.into_iter().flat_map(|shape| &shape.returned) {
        add(&property.name, property.looks, None, false);
    }
    found
}
