//! From a loaded case, its facts and its trials to the report: one path for fresh runs and for records.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use serde_json::{Map, Value, json};

use super::{case::Case, joined::Sides};
use crate::{
    checklist::{self, Assessment},
    drill::{self, Book, Routes},
    facts,
    gate::{self, Circumstances, Measured, Tally},
    grade::{self, Grade, Graded, Miss},
    manifest::raw,
    plan::PlannedTrial,
    record::{Ending, RunHeader, TrialRecord},
    report,
    run::CancelReason,
    scenario::Category,
    source::{Files, Format, Route, SourceFile, Spot, load_text, toml, toml_entries, toml_header, yaml},
    verdict::{self, Report},
};

/// How the reason of a run begins that never reached the agent.
pub(crate) const PREFLIGHT: &str = "preflight";

/// What a shallow clone costs.
const SHALLOW: &str =
    "the clone is shallow: git can't tell which files are older than its first commit here, nor what versions held";

/// Grades trials as they come and holds only what the verdict needs.
pub(crate) struct Bench<'a> {
    case: &'a Case,
    tally: Tally,
    done: BTreeSet<u32>,
    observable: bool,
    routes: Routes,
    book: Book,
}

impl<'a> Bench<'a> {
    /// An empty bench; `observable` says whether tool calls of this run reach the ledger.
    pub(crate) fn new(case: &'a Case, observable: bool) -> Self {
        let (routes, book) = (Routes::default(), Book::default());
        Self { case, tally: Tally::default(), done: BTreeSet::new(), observable, routes, book }
    }

    /// Says whether tool calls of this run reach the ledger.
    pub(crate) fn observes(&mut self, observable: bool) {
        self.observable = observable;
    }

    /// Whether something unsafe happened in a trial, however it ended.
    pub(crate) fn is_unsafe(&self, record: &TrialRecord) -> bool {
        self.graded(record).is_some_and(|graded| graded.grade == Grade::FailC)
    }

    /// The grade of a trial that is not added.
    pub(crate) fn graded(&self, record: &TrialRecord) -> Option<Graded> {
        self.grade(&self.planned(record)?, record)
    }

    /// Grades one trial and adds it; nothing when the trial is not of this plan, or was added before.
    pub(crate) fn add(&mut self, record: &TrialRecord) -> Option<Graded> {
        let planned = self.planned(record)?;
        let graded = self.grade(&planned, record)?;
        self.tally.add(&self.case.plan, &planned, &self.case.policy, (record, &graded));
        self.done.insert(record.index);
        // What staging answered can't be done once more in the world of a drill.
        let stayed = record.ledger.iter().all(|call| call.forwarded.is_none());
        if stayed && matches!(graded.grade, Grade::Pass | Grade::FailA) {
            self.routes.add(&planned, self.case.plan.scenario(&planned), record);
        }
        Some(graded)
    }

    /// Takes a trial of a record; false when it is not of this plan, or was added before.
    pub(crate) fn read(&mut self, record: &TrialRecord) -> bool {
        if record.drill.is_some() {
            self.add_drill(record);
            return true;
        }
        self.add(record).is_some()
    }

    /// The grade of a trial of a record, drills included: what came through is unsafe, and what shows nothing is no pass.
    pub(crate) fn seen(&mut self, record: &TrialRecord) -> Option<Graded> {
        if record.drill.is_none() {
            return self.add(record);
        }
        let (grade, why) = match drill::judge(record, &self.case.policy) {
            drill::Outcome::Held => (Grade::Pass, None),
            drill::Outcome::Broken(why) => (Grade::FailC, Some((Category::C, why))),
            drill::Outcome::Unsure(why) => (Grade::NotExposed, Some((Category::B, why))),
        };
        let misses = why.map(|(category, why)| Miss::new(category, why)).into_iter().collect();
        Some(Graded { grade, misses, blocked_attempts: 0 })
    }

    /// Judges the trial of a drill and keeps what it shows.
    pub(crate) fn add_drill(&mut self, record: &TrialRecord) {
        self.book.add(record, &self.case.policy);
    }

    /// The lawful ways that trials went so far.
    pub(crate) fn routes(&self) -> &Routes {
        &self.routes
    }

    /// The drills so far.
    pub(crate) fn book(&self) -> &Book {
        &self.book
    }

    fn grade(&self, planned: &PlannedTrial, record: &TrialRecord) -> Option<Graded> {
        let scenario = self.case.plan.scenario(planned);
        let world = self.case.worlds.get(planned.scenario)?;
        let before = world.initial(&scenario.given).unwrap_or(Value::Null);
        let trial = grade::Trial { record, before: &before, observable: self.observable };
        Some(grade::grade(scenario, &trial, &self.case.policy))
    }

    /// Trials added so far.
    pub(crate) fn done(&self) -> &BTreeSet<u32> {
        &self.done
    }

    /// The planned trial that a record speaks of; a record of another plan fits none.
    fn planned(&self, record: &TrialRecord) -> Option<PlannedTrial> {
        let planned = *self.case.plan.trials.get(usize::try_from(record.index).ok()?)?;
        let fits = self.case.plan.scenario(&planned).id == record.scenario
            && planned.trial == record.trial
            && !self.done.contains(&record.index);
        fits.then_some(planned)
    }
}

/// How a run ended, as far as the report tells.
#[derive(Clone, Debug, Default)]
pub(crate) struct Closing {
    pub(crate) duration_ms: u64,
    pub(crate) stopped: Option<String>,
    pub(crate) unattributed: u32,
    pub(crate) strays: u32,
    pub(crate) stray_leaks: Vec<String>,
    pub(crate) live: bool,
    pub(crate) record: Option<String>,
}

impl Closing {
    /// The same for the record, without the verdict.
    pub(crate) fn ending(self) -> Ending {
        Ending {
            duration_ms: self.duration_ms,
            stopped: self.stopped,
            unattributed_calls: self.unattributed,
            stray_spans: self.strays,
            stray_leaks: self.stray_leaks,
            ..Ending::default()
        }
    }
}

/// What the manifest claims and what was found behind it: `case.claims()` and `header.facts`, given away where nobody
/// needs them afterwards.
pub(crate) struct Known {
    pub(crate) claims: Value,
    pub(crate) facts: Value,
}

/// The verdict and all that stands behind it.
pub(crate) fn judge(mut bench: Bench<'_>, known: Known, header: &RunHeader, closing: &Closing) -> Report {
    let case = bench.case;
    if closing.live {
        let why = closing.stopped.as_deref().unwrap_or("the run was killed");
        bench.tally.close(&case.plan, &bench.done, why);
    }
    let bar = gate::Bar {
        thresholds: &case.thresholds.values,
        bound: case.manifest.raw.gate.confidence == raw::Confidence::Bound95,
        usd_per_success: case.manifest.raw.kpis.get("cost_per_success_usd").and_then(|said| facts::Target::read(said)),
    };
    let mut measured = if closing.live {
        gate::measure(&bench.tally, &case.plan, &bar)
    } else {
        Measured { suites: gate::measure(&bench.tally, &case.plan, &bar).suites, ..Measured::default() }
    };
    if let Some(traced) = &mut measured.traced {
        traced.strays = closing.strays;
    }
    let mut evidence = evidence((case, known), header, closing, (&measured, &bench.book));
    let sources = sources(&evidence, &header.today);
    let (since, unasked) = (since_lock(&evidence), unasked(&evidence));
    let assessment = assess(case, &mut evidence);
    // A large document takes long to give back; the reports need not wait for it.
    std::thread::spawn(move || drop(evidence));
    let complete = bench.done.len() == case.plan.trials.len();
    let circumstances = Circumstances {
        profiles: case.profiles.iter().map(|profile| profile.name.clone()).collect(),
        live: closing.live,
        partial: case.partial,
        needs_calls: needs_calls(case),
        stopped: match &closing.stopped {
            None if closing.live && !complete => Some("killed".to_owned()),
            stopped => stopped.clone(),
        },
        unattributed: closing.unattributed,
        stray_leaks: closing.stray_leaks.clone(),
        unreachable: closing.stopped.as_deref().is_some_and(|why| why.starts_with(PREFLIGHT)),
        interrupted: closing.stopped.as_deref().is_some_and(|why| why.starts_with(CancelReason::Interrupted.name())),
    };
    let verdict = gate::decide(&assessment, &measured, &circumstances);
    let mut to_go = gate::to_go(&assessment, &measured, &circumstances);
    for edit in &mut to_go.edits {
        edit.paste = edit.checks.iter().filter_map(|check| paste(case, check)).collect();
    }
    let shallow = sources.iter().any(|source| source.kind == "command" && source.at_latest);
    let strays = (closing.strays > 0)
        .then(|| format!("{} spans of the agent belong to no trial that was in flight", closing.strays));
    let notes = case.notes.iter().chain(&case.thresholds.notes).cloned();
    let notes = notes.chain(since).chain(shallow.then(|| SHALLOW.to_owned())).chain(strays).chain(unasked).collect();
    report::build(report::Parts {
        run: run(case, header, closing),
        agent: verdict::Agent {
            name: case.manifest.raw.agent.name.clone(),
            autonomy: case.manifest.raw.agent.autonomy.word().to_owned(),
        },
        verdict,
        to_go,
        drills: if bench.book.is_empty() { Vec::new() } else { bench.book.sections() },
        measured,
        assessment,
        sources,
        notes,
    })
}

/// The lines that a check suggests, as far as the manifest does not have them, in the manifest's own format.
fn paste(case: &Case, check: &str) -> Option<verdict::Paste> {
    let manifest = &case.manifest;
    let checked = case.catalogue.get(check).ok()?;
    let lines = checked.file.paste.as_deref()?;
    let wanted = load_text::<Value>(SourceFile::new("paste.yaml", lines)).ok()?.value;
    let (under, rest) = manifest.document.lacking(&wanted)?;
    if Format::of(&manifest.name) == Format::Toml {
        return paste_toml(case, check, (&wanted, &under, &rest));
    }
    let is_top = under == Route::root();
    let line = (!is_top).then(|| manifest.locate(&under).line);
    Some(verdict::Paste { check: check.to_owned(), under: under.dotted(), line, text: yaml(&rest) })
}

/// The same in TOML: below the header of their table where there is one, else with a header of their own at the end. What
/// would not read as wanted there (its table is written in one line) is left out.
fn paste_toml(case: &Case, check: &str, (wanted, under, rest): (&Value, &Route, &Value)) -> Option<verdict::Paste> {
    let text = case.manifest.document.file().text();
    let keys: Vec<String> = under.keys().collect();
    let header = toml_header(&keys);
    let entries = rest.as_object()?;
    let place = text.lines().position(|line| line.trim() == header).filter(|_| !keys.is_empty());
    let (line, lines) = match place {
        Some(at) => (Some(at + 1), toml_entries(entries)),
        None if keys.is_empty() => (None, toml(entries)),
        None => (None, format!("{header}\n{}", toml_entries(entries))),
    };
    let at = line.unwrap_or_else(|| text.lines().count());
    let (before, after): (Vec<&str>, Vec<&str>) = (text.lines().take(at).collect(), text.lines().skip(at).collect());
    let pasted = format!("{}\n{lines}\n{}\n", before.join("\n"), after.join("\n"));
    let read = load_text::<Value>(SourceFile::new("agentready.toml", pasted)).ok()?;
    let fits = read.document.lacking(wanted).is_none();
    fits.then(|| verdict::Paste { check: check.to_owned(), under: under.dotted(), line, text: lines })
}

/// Changes since the lock that a note names.
const MOST_CHANGES: usize = 5;

/// What is not as the lock holds it, in one line; nothing without a lock.
fn since_lock(evidence: &Value) -> Option<String> {
    let lock = evidence.pointer("/facts/lock")?;
    let changes = lock.get("changed")?.as_array().filter(|changes| !changes.is_empty())?;
    let word = |change: &Value, key: &str| change.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let named = changes.iter().take(MOST_CHANGES);
    let named: Vec<String> =
        named.map(|change| format!("{} {}", word(change, "kind"), word(change, "entry"))).collect();
    let more = match changes.len().saturating_sub(MOST_CHANGES) {
        0 => String::new(),
        left => format!(" and {left} more; `agentready lock --check` names all"),
    };
    Some(format!("since {}: {}{more}", word(lock, "path"), named.join(", ")))
}

/// What `--offline` cost.
fn unasked(evidence: &Value) -> Option<String> {
    let places = evidence.pointer("/facts/unasked")?.as_array()?;
    let places: Vec<&str> = places.iter().filter_map(Value::as_str).collect();
    let (count, plural) = (places.len(), if places.len() == 1 { "" } else { "s" });
    let places = places.join(", ");
    Some(format!(
        "--offline left {count} server{plural} unasked: {places}; what only an answer can tell counts as not shown"
    ))
}

/// Where the facts come from, each with its age on the day of the verdict.
fn sources(evidence: &Value, today: &str) -> Vec<verdict::Source> {
    let today: Option<jiff::civil::Date> = today.parse().ok();
    let age = |on: &Option<String>| {
        let on: jiff::civil::Date = on.as_ref()?.parse().ok()?;
        u32::try_from(today?.since((jiff::Unit::Day, on)).ok()?.get_days()).ok()
    };
    let all = facts::sources(evidence.get("facts").unwrap_or(&Value::Null)).into_iter();
    all.map(|source| verdict::Source {
        kind: source.kind.word().to_owned(),
        age_days: age(&source.on),
        state: source.state.map(|state| state.word().to_owned()),
        from: source.from,
        facts: source.facts,
        on: source.on,
        by: source.by,
        at_latest: source.at_latest,
        asked: source.asked,
        copy_s: source.copy_s,
    })
    .collect()
}

fn run(case: &Case, header: &RunHeader, closing: &Closing) -> verdict::Run {
    let digest = header.inputs.get(&case.manifest.name).map(|input| input.digest.clone()).unwrap_or_default();
    verdict::Run {
        id: header.id.clone(),
        started: header.started.clone(),
        duration_ms: closing.duration_ms,
        seed: header.seed,
        manifest: verdict::ManifestRef { path: case.manifest.name.clone(), digest },
        correlation: header.correlation.clone(),
        record: closing.record.clone(),
    }
}

/// What drills are made from: the evidence without what a run shows.
pub(crate) fn evidence_before_drills(case: &Case, header: &RunHeader) -> Value {
    let known = Known { claims: case.claims(), facts: header.facts.clone() };
    evidence((case, known), header, &Closing::default(), (&Measured::default(), &Book::default()))
}

/// The one value that every check and profile is an expression over.
fn evidence(
    (case, known): (&Case, Known),
    header: &RunHeader,
    closing: &Closing,
    (measured, book): (&Measured, &Book),
) -> Value {
    let Known { claims: mut evidence, mut facts } = known;
    let document = evidence.as_object_mut().expect("the evidence document is a map");
    if let Some(facts) = facts.as_object_mut() {
        facts.insert("live".to_owned(), closing.live.into());
    }
    if let Some(tools) = document.get_mut("tools").and_then(Value::as_array_mut) {
        facts::settle(tools, facts.get("effects").unwrap_or(&Value::Null));
    }
    document.insert("facts".to_owned(), facts);
    document.insert("live".to_owned(), closing.live.into());
    document.insert("now".to_owned(), header.today.clone().into());
    document.insert("drills".to_owned(), book.to_json());
    let numbers: Map<String, Value> =
        measured.numbers.iter().map(|(name, value)| (name.clone(), number(*value))).collect();
    document.insert("metrics".to_owned(), Value::Object(numbers));
    document.insert("traced".to_owned(), measured.traced.as_ref().map_or_else(|| json!({}), |traced| json!(traced)));
    document.insert("thresholds".to_owned(), case.thresholds.to_json());
    document.insert("loosened".to_owned(), json!(case.thresholds.loosened));
    let mut suites = case.suites.clone();
    if closing.live {
        super::suites::add_results(&mut suites, &measured.scenarios);
    }
    let nothing = Value::Null;
    let part = |name: &str| document.get(name).unwrap_or(&nothing);
    let rows = closing.live.then_some(measured.scenarios.as_slice());
    let sides = Sides { scenarios: &case.ids, manifest: part("manifest"), facts: part("facts"), rows };
    super::joined::join(&mut suites, &sides);
    document.insert("suites".to_owned(), suites);
    evidence
}

fn assess(case: &Case, evidence: &mut Value) -> Assessment {
    let gate = &case.manifest.raw.gate;
    let waivers = gate.waivers.iter().map(|waiver| checklist::WaiverClaim {
        check: waiver.check.clone(),
        reason: waiver.reason.clone(),
        approved_by: waiver.approved_by.clone(),
        expires: waiver.expires.to_string(),
    });
    // Many findings stand at one tool, and a large manifest is long to search.
    let known: RefCell<BTreeMap<Route, Spot>> = RefCell::default();
    let locate = |route: &Route| {
        let found = known.borrow().get(route).cloned();
        found.unwrap_or_else(|| {
            let found = case.manifest.spot(route, &case.shown);
            known.borrow_mut().insert(route.clone(), found.clone());
            found
        })
    };
    let view = checklist::ManifestView {
        autonomy: case.manifest.raw.agent.autonomy,
        profiles: case.profiles.clone(),
        waivers: waivers.collect(),
        non_negotiables: gate.non_negotiables.clone(),
        locate: &locate,
    };
    checklist::assess(&case.catalogue, evidence, &view)
}

/// Whether some expectation can only be judged when calls are seen.
fn needs_calls(case: &Case) -> bool {
    case.plan.scenarios.iter().any(|scenario| {
        let expected = scenario.expect.iter().chain(scenario.turns.iter().flat_map(|turn| &turn.expect));
        expected.into_iter().any(|e| e.raw.never.is_some() || e.raw.call.is_some() || e.raw.calls.is_some())
    })
}

/// Every input file that was read, with its digest; of the manifest, the text as it may be shown. Scenarios and worlds stay
/// as they are: their made-up secrets are what trials are judged by.
pub(crate) fn inputs(files: &Files, manifest: &SourceFile) -> BTreeMap<String, crate::record::Input> {
    files.seen().into_iter().map(|(name, text)| input(name, &text, manifest)).collect()
}

/// The manifest alone, for a report of which no record is kept.
pub(crate) fn manifest_input(files: &Files, manifest: &SourceFile) -> BTreeMap<String, crate::record::Input> {
    let text = files.peek(manifest.name()).ok();
    text.into_iter().map(|file| input(manifest.name().to_owned(), file.text(), manifest)).collect()
}

fn input(name: String, text: &str, manifest: &SourceFile) -> (String, crate::record::Input) {
    let kept = if name == manifest.name() { manifest.text() } else { text };
    (name, crate::record::Input { digest: Files::digest(text), text: kept.to_owned() })
}

/// A number as checks and their findings see it: whole numbers stay whole.
fn number(value: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "only whole numbers far below 2^53 are cast")]
    let whole = value as i64;
    if value.fract() == 0.0 && value.abs() < 1e15 { whole.into() } else { value.into() }
}
