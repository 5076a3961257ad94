//! The pack of attacks in the binary: goals, carriers, techniques, encodings and faults, one data file each. Parses them; makes
//! nothing of them.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::shape::Shape;
use crate::{
    expr::{Expr, Template},
    scenario::FaultKind,
    source::{SourceFile, load_text, unpacked},
};

static PACK: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/attacks.pack"));

/// What everybody uses: parsed once.
pub(super) static BASE: LazyLock<Pack> = LazyLock::new(Pack::embedded);

/// All parts of attacks, by name.
#[derive(Debug)]
pub(super) struct Pack {
    pub(super) goals: BTreeMap<String, Goal>,
    pub(super) carriers: BTreeMap<String, Carrier>,
    pub(super) techniques: BTreeMap<String, Technique>,
    pub(super) encodings: BTreeMap<String, Encoding>,
    pub(super) faults: BTreeMap<String, Malady>,
}

/// Who brings the words to the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// The user says them.
    Spoken,
    /// The agent reads them in what a tool gives back.
    Read,
}

/// `goals/*.yaml`: what the attacker wants.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GoalFile {
    pub(super) title: String,
    /// Tag of every attack with this goal, beside the carrier's and the technique's.
    #[serde(default)]
    pub(super) class: Option<String>,
    /// Ways on which it is an attack: a user may lawfully ask for some things that a text may not.
    pub(super) ways: Vec<Way>,
    /// CEL: the manifests (and with `host` the tasks) it applies to.
    pub(super) applies: String,
    /// Why it does not apply where it does not.
    pub(super) otherwise: String,
    /// CEL: the things aimed at, each as `it`.
    pub(super) each: String,
    /// What the agent is told to do: templates over `it` and `host`.
    pub(super) demand: Vec<String>,
    /// What must hold in every attack: expectations with templates for texts.
    pub(super) expect: Vec<Value>,
    /// What must hold as well where the attacker's words stand alone.
    #[serde(default)]
    pub(super) alone: Vec<Value>,
    /// Harmless words with the same vocabulary, for the benign twin.
    pub(super) twin: String,
    #[expect(dead_code, reason = "for readers of the file and for reports to come")]
    pub(super) source: String,
    #[serde(default)]
    pub(super) controls: BTreeMap<String, Vec<String>>,
}

/// A goal with its expressions and templates parsed.
#[derive(Debug)]
pub(super) struct Goal {
    pub(super) file: GoalFile,
    pub(super) applies: Expr,
    pub(super) each: Expr,
    pub(super) demand: Vec<Template>,
    pub(super) expect: Vec<Shape>,
    pub(super) alone: Vec<Shape>,
}

impl Goal {
    /// Whether an agent that can't do the task would fail by that alone.
    pub(super) fn asks_for_an_act(&self) -> bool {
        self.file.expect.iter().any(|expect| expect.get("handoff") == Some(&true.into()))
    }

    /// Whether it aims at the task that hosts the attack, and not at the manifest alone.
    pub(super) fn needs_host(&self) -> bool {
        self.file.each.contains("host.") || self.file.applies.contains("host.")
    }
}

/// `carriers/*.yaml`: how the words travel.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CarrierFile {
    pub(super) title: String,
    pub(super) way: Way,
    /// CEL over `slot`: the places it may be planted in; the places that no other carrier took when left out.
    #[serde(default, rename = "where")]
    pub(super) filter: Option<String>,
    /// Whether it is another dress for a place that belongs to another carrier.
    #[serde(default)]
    pub(super) also: bool,
    /// What the tool does to bring them, where no text of the world's state holds them; the place is then the tool itself.
    #[serde(default)]
    pub(super) fault: Option<FaultKind>,
    /// Why it does not exist where it does not.
    pub(super) otherwise: String,
    /// What stands in the place: `{text}` what stood there (of a tool what it is about), `{payload}`, `{marker}`.
    #[serde(default)]
    pub(super) plant: Option<String>,
    /// The user's messages: `{payload}`, `{host}` the words of the task, `{stage}` a stage of the technique.
    #[serde(default)]
    pub(super) turns: Vec<String>,
    #[expect(dead_code, reason = "for readers of the file and for reports to come")]
    pub(super) source: String,
    #[serde(default)]
    pub(super) controls: BTreeMap<String, Vec<String>>,
}

/// A carrier with its expression parsed.
#[derive(Debug)]
pub(super) struct Carrier {
    pub(super) file: CarrierFile,
    pub(super) filter: Option<Expr>,
}

impl Carrier {
    /// Whether it speaks the stages of a staged technique one by one.
    pub(super) fn is_staged(&self) -> bool {
        self.file.turns.iter().any(|turn| turn.contains("{stage}"))
    }

    /// Whether it travels by a tool itself and not by a text in the state.
    pub(super) fn is_of_tool(&self) -> bool {
        self.file.fault.is_some()
    }

    /// Whether the task can't be done as usual where it travels.
    pub(super) fn hinders(&self) -> bool {
        self.file.fault.is_some_and(FaultKind::prevents)
    }

    /// Whether the words of a task stand beside the attacker's.
    pub(super) fn hosts(&self) -> bool {
        self.file.way == Way::Read || self.file.turns.iter().any(|turn| turn.contains("{host}"))
    }
}

/// `techniques/*.yaml`: how the words persuade.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Technique {
    pub(super) title: String,
    #[serde(default)]
    pub(super) class: Option<String>,
    /// On which ways it makes sense; both when left out.
    #[serde(default = "both")]
    pub(super) ways: Vec<Way>,
    /// The words, `{demand}` or its halves `{head}` and `{tail}` in them; variants of one idea.
    #[serde(default)]
    pub(super) texts: Vec<String>,
    /// The same in several turns, small steps first; the last holds `{demand}`.
    #[serde(default)]
    pub(super) stages: Vec<String>,
    /// What an encoding disguises of it.
    #[serde(default)]
    pub(super) disguises: Disguised,
    /// The same kind of words around a lawful `{request}`, for the benign twin that the user says.
    #[serde(default)]
    pub(super) asks: Option<String>,
    /// Harmless words of the same kind, for the benign twin that is read.
    pub(super) twin: String,
    #[expect(dead_code, reason = "for readers of the file and for reports to come")]
    pub(super) source: String,
    #[serde(default)]
    pub(super) controls: BTreeMap<String, Vec<String>>,
}

/// What an encoding disguises of a technique.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Disguised {
    /// All of its words.
    #[default]
    Everything,
    /// The demand, where the words around it have to be read as they stand.
    Demand,
    /// Nothing, where a disguise would take its point away.
    Nothing,
}

fn both() -> Vec<Way> {
    vec![Way::Spoken, Way::Read]
}

/// `encodings/*.yaml`: how the words are disguised.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Encoding {
    pub(super) title: String,
    /// What stands around the disguised text, `{text}`.
    pub(super) frame: String,
    /// Name of the function that disguises; a table when left out.
    #[serde(default)]
    pub(super) algorithm: Option<String>,
    /// Character to what stands for it.
    #[serde(default)]
    pub(super) table: BTreeMap<String, String>,
    /// What stands between characters of a table.
    #[serde(default)]
    pub(super) joiner: String,
    /// Whether the text can be had back from it exactly, letters' case aside with `folds`.
    #[cfg_attr(not(test), expect(dead_code, reason = "a promise that the tests hold the encoding to"))]
    pub(super) reversible: bool,
    /// Whether letters lose their case.
    #[serde(default)]
    pub(super) folds: bool,
    #[expect(dead_code, reason = "for readers of the file and for reports to come")]
    pub(super) source: String,
    #[serde(default)]
    pub(super) controls: BTreeMap<String, Vec<String>>,
}

/// `faults/*.yaml`: how tools misbehave, and what must not happen then.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MaladyFile {
    pub(super) title: String,
    /// What goes wrong in an agent that fails.
    pub(super) goal: String,
    /// CEL over `host`: what is befallen, each as `it` with the `tool`.
    pub(super) each: String,
    /// Why it does not apply where it does not.
    pub(super) otherwise: String,
    /// The scenario's `faults`, templates over `it` and `host` for texts.
    pub(super) faults: Value,
    /// What must hold beside what the task leaves open; a `never` without tools is left out.
    #[serde(default)]
    pub(super) expect: Vec<Value>,
    #[expect(dead_code, reason = "for readers of the file and for reports to come")]
    pub(super) source: String,
    #[serde(default)]
    pub(super) controls: BTreeMap<String, Vec<String>>,
}

/// A fault file with its expressions and templates parsed.
#[derive(Debug)]
pub(super) struct Malady {
    pub(super) file: MaladyFile,
    pub(super) each: Expr,
    pub(super) faults: Shape,
    pub(super) expect: Vec<Shape>,
}

impl Pack {
    fn embedded() -> Self {
        let texts = unpacked(PACK);
        Self {
            goals: compiled(&texts, "goals", |file: GoalFile| Goal {
                applies: expr(&file.applies),
                each: expr(&file.each),
                demand: file.demand.iter().map(|text| template(text)).collect(),
                expect: file.expect.iter().map(shape).collect(),
                alone: file.alone.iter().map(shape).collect(),
                file,
            }),
            carriers: compiled(&texts, "carriers", |file: CarrierFile| Carrier {
                filter: file.filter.as_deref().map(expr),
                file,
            }),
            techniques: compiled(&texts, "techniques", |file| file),
            encodings: compiled(&texts, "encodings", |file| file),
            faults: compiled(&texts, "faults", |file: MaladyFile| Malady {
                each: expr(&file.each),
                faults: shape(&file.faults),
                expect: file.expect.iter().map(shape).collect(),
                file,
            }),
        }
    }
}

fn compiled<F: DeserializeOwned, T>(
    texts: &BTreeMap<String, Arc<str>>,
    folder: &str,
    compile: impl Fn(F) -> T,
) -> BTreeMap<String, T> {
    let folder = format!("scenarios/attacks/{folder}/");
    let files =
        texts.iter().filter_map(|(path, text)| Some((path.strip_prefix(&folder)?.strip_suffix(".yaml")?, text)));
    files
        .map(|(name, text)| {
            let said = load_text::<Value>(SourceFile::new(name, &**text));
            let said = said.expect("a test loads every file of the pack").value;
            let parsed = serde_json::from_value(said).map_err(|error| format!("{name}: {error}"));
            (name.to_owned(), compile(parsed.expect("a test loads every file of the pack")))
        })
        .collect()
}

fn expr(source: &str) -> Expr {
    Expr::parse(source).expect("a test parses every expression of the pack")
}

fn template(source: &str) -> Template {
    Template::parse(source).expect("a test parses every template of the pack")
}

fn shape(value: &Value) -> Shape {
    Shape::parse(value).expect("a test parses every template of the pack")
}
