//! Everything that is judged, loaded from one set of files: the same from the disk, from a record and from the binary.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::attacks;
use crate::{
    attack::Order,
    checklist::{self, Catalogue, Profile, Thresholds},
    exit::Fault,
    facts,
    grade::Policy,
    manifest::{self, Manifest},
    plan::{self, Plan, Selection},
    scenario::{self, Scenario, Suite},
    source::{Diagnostic, Diagnostics, Files, Route, SourceFile},
    world::{self, World},
};

/// What the command line says about trying and judging.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// Profiles given; the manifest's when empty.
    pub(crate) profiles: Vec<String>,
    /// Folder of the team's own checks, as a name among the files.
    pub(crate) checks: Option<String>,
    /// Which scenarios.
    pub(crate) selection: Selection,
    /// Whether a plan without any trial is fine.
    pub(crate) may_be_empty: bool,
    /// How many attacks to generate; what the manifest's packs say when left out.
    pub(crate) attacks: Option<u32>,
    /// Seed of everything drawn.
    pub(crate) seed: u64,
}

/// The loaded case.
pub(crate) struct Case {
    pub(crate) files: Files,
    pub(crate) manifest: Manifest,
    pub(crate) catalogue: Catalogue,
    pub(crate) profiles: Vec<Profile>,
    pub(crate) thresholds: Thresholds,
    pub(crate) plan: Plan,
    pub(crate) worlds: Vec<Arc<World>>,
    pub(crate) policy: Policy,
    pub(crate) partial: bool,
    /// The manifest's part of the evidence document.
    pub(crate) evidence: serde_json::Value,
    /// The manifest's text as it may be shown and kept: written-out secrets masked.
    pub(crate) shown: Arc<SourceFile>,
    /// `evidence` as it follows from `shown`, where that is another text.
    masked: Option<serde_json::Value>,
    /// What the scenario files hold, before any selection.
    pub(crate) suites: serde_json::Value,
    /// Every scenario of the files that is not skipped, with its suite.
    pub(crate) ids: BTreeMap<String, Suite>,
    pub(crate) notes: Vec<String>,
    /// What became weaker since the base, when there is one.
    pub(crate) base: Option<serde_json::Value>,
}

impl Case {
    /// Loads and validates everything; all mistakes of all files at once.
    pub(crate) fn load(files: Files, manifest: &str, options: &Options) -> Result<Self, Fault> {
        let manifest = manifest::load(&files, manifest)?;
        let mut catalogue = Catalogue::embedded();
        if let Some(folder) = &options.checks {
            catalogue = catalogue.with_folder(&files, folder)?;
        }
        let profiles = profiles(&manifest, &options.profiles)?;
        let thresholds = thresholds(&manifest, &profiles)?;
        let mut notes = super::forward::notes(&manifest);
        notes.extend(unplayed(&manifest));
        let (evidence, kept, scenarios) = std::thread::scope(|scope| {
            let claims = scope.spawn(|| manifest::evidence(&manifest));
            let kept = masked(&manifest);
            let scenarios = scenarios(&files, &manifest, (&mut notes, options.may_be_empty));
            let scenarios = scenarios.and_then(|scenarios| with_worlds(&files, scenarios));
            (claims.join().expect("reading the manifest's claims does not panic"), kept, scenarios)
        });
        let (mut scenarios, mut worlds) = scenarios?;
        let (shown, masked) = kept?;
        let asked = attacks::asked(&manifest, options.attacks)?;
        let mut surfaces = Vec::new();
        let mut kept = scenarios.len();
        // What the manifest asks for is made also when fewer are tried: what the suites hold does not hang on a flag.
        let count = asked.by_manifest.unwrap_or_default().max(asked.count);
        if count > 0 {
            attacks::with_bare_tools(&files, &evidence, &mut worlds)?;
            let ground = attacks::ground(&files, &manifest, &evidence, (&scenarios, &worlds), &asked);
            let made = attacks::made(&ground, &Order { count, seed: options.seed, focus: Vec::new() });
            kept += attacks::first(&made, asked.count);
            surfaces = made.surfaces;
            scenarios.extend(made.scenarios);
        }
        let suites = super::suites::of(&scenarios, &evidence, &surfaces);
        let tried = scenarios.iter().filter(|scenario| scenario.skip.is_none());
        let ids = tried.map(|scenario| (scenario.id.clone(), scenario.suite)).collect();
        scenarios.truncate(kept);
        let selection = &options.selection;
        let fewer = asked.by_manifest.is_some_and(|wanted| asked.count < wanted);
        let partial = selection.is_partial() || fewer;
        let plan = match plan::plan(scenarios, selection, manifest.raw.evals.trials) {
            Ok(plan) => plan,
            Err(_) if options.may_be_empty && !selection.is_partial() => {
                Plan { scenarios: Vec::new(), trials: Vec::new() }
            }
            Err(problem) => return Err(Fault::Input(problem.into())),
        };
        let worlds: Vec<Arc<World>> = plan
            .scenarios
            .iter()
            .map(|s| worlds.get(s.world.as_deref().unwrap_or_default()).cloned().unwrap_or_else(World::empty))
            .collect();
        let prices = facts::prices(&files, &evidence, &manifest.name);
        let policy = Policy { prices, ..super::policy::of(&manifest, &worlds) };
        Ok(Self {
            files,
            manifest,
            catalogue,
            profiles,
            thresholds,
            plan,
            worlds,
            policy,
            partial,
            evidence,
            shown,
            masked,
            suites,
            ids,
            notes,
            base: None,
        })
    }

    /// What the manifest claims, as checks see it: of the text that the record keeps, so that a run is judged the same
    /// when it is read again.
    pub(crate) fn claims(&self) -> serde_json::Value {
        self.masked.as_ref().unwrap_or(&self.evidence).clone()
    }

    /// Whether a secret is written out in the manifest.
    pub(crate) fn holds_secrets(&self) -> bool {
        self.masked.is_some()
    }

    /// [`Self::claims`], given away.
    pub(crate) fn give_claims(&mut self) -> serde_json::Value {
        self.masked.take().unwrap_or_else(|| std::mem::take(&mut self.evidence))
    }

    /// Every text that the trials were made of: files, and what each scenario says and changes.
    pub(crate) fn own_texts(&self) -> Vec<Arc<str>> {
        let scenarios = self.plan.scenarios.iter().map(|scenario| {
            let said: Vec<&str> = scenario.turns.iter().map(|turn| turn.say.as_str()).collect();
            let given: Vec<String> = scenario.given.values().map(ToString::to_string).collect();
            format!("{}\n{}", said.join("\n"), given.join("\n")).into()
        });
        self.files.seen().into_values().chain(scenarios).collect()
    }
}

/// Stand-ins that this version does not play; the agent is started without their variables.
fn unplayed(manifest: &Manifest) -> impl Iterator<Item = String> {
    let asked = manifest.raw.endpoint.stand_ins.iter().filter(|(_, value)| *value == "gate:egress");
    asked.map(|(name, _)| {
        format!(
            "`{name}: gate:egress` is not played: what the agent reaches beside its tools, model and traces is not seen"
        )
    })
}

/// The manifest's text with written-out secrets masked, and the evidence of it where it differs.
fn masked(manifest: &Manifest) -> Result<(Arc<SourceFile>, Option<serde_json::Value>), Fault> {
    let file = manifest.document.file();
    let Cow::Owned(text) = facts::masked(file.text()) else {
        return Ok((Arc::clone(file), None));
    };
    let manifest = manifest::load_text(SourceFile::new(manifest.name.as_str(), text))?;
    Ok((Arc::clone(manifest.document.file()), Some(manifest::evidence(&manifest))))
}

/// The profiles given, or those that the manifest names.
pub(crate) fn profiles(manifest: &Manifest, given: &[String]) -> Result<Vec<Profile>, Diagnostics> {
    let names = if given.is_empty() { &manifest.raw.gate.profiles } else { given };
    if names.is_empty() {
        let route = Route::root().join("gate").join("profiles");
        let problem = Diagnostic::error("`gate.profiles` is empty, so nothing would decide");
        let problem = problem.at(manifest.document.file(), manifest.document.span(&route));
        return Err(problem.hint("name a profile, or leave the key out for `go-no-go`").into());
    }
    checklist::select(names).map_err(|unknown| {
        let problems = unknown.into_iter().map(|unknown| {
            let problem = Diagnostic::error(unknown.to_string());
            let problem = match &unknown.near {
                Some(near) => problem.hint(format!("did you mean `{near}`?")),
                None => problem.hint("`agentready list profiles` shows them all"),
            };
            let position = names.iter().position(|name| *name == unknown.name).unwrap_or_default();
            let route = Route::root().join("gate").join("profiles").join(position);
            if given.is_empty() {
                problem.at(manifest.document.file(), manifest.document.span(&route))
            } else {
                problem
            }
        });
        Diagnostics(problems.collect())
    })
}

/// The numbers that hold under the profiles.
pub(crate) fn thresholds(manifest: &Manifest, profiles: &[Profile]) -> Result<Thresholds, Diagnostics> {
    let claims = &manifest.raw.gate.thresholds;
    let claims = claims
        .iter()
        .map(|(name, value)| (name.clone(), serde_json::to_value(value).expect("a threshold is a number or a text")));
    let profiles: Vec<String> = profiles.iter().map(|profile| profile.name.clone()).collect();
    checklist::resolve(&claims.collect(), &profiles).map_err(|problems| {
        Diagnostics(problems.iter().map(|problem| problem.diagnostic(&manifest.document)).collect())
    })
}

/// Every scenario that the manifest names. A pattern that matches nothing is an error, or a note where no trial is run.
fn scenarios(
    files: &Files,
    manifest: &Manifest,
    (notes, is_lenient): (&mut Vec<String>, bool),
) -> Result<Vec<Scenario>, Diagnostics> {
    let evals = &manifest.raw.evals;
    let mut names = BTreeSet::new();
    let mut problems = Vec::new();
    for (key, patterns) in
        [("golden", &evals.golden), ("adversarial", &evals.adversarial), ("incidents", &evals.incidents)]
    {
        for (position, pattern) in patterns.iter().enumerate() {
            if pattern.starts_with("pack:") && key == "adversarial" {
                continue;
            }
            let found = files.glob(&Files::resolve(&manifest.name, pattern));
            if found.is_empty() {
                let route = Route::root().join("evals").join(key).join(position);
                let problem = Diagnostic::error(format!("`{pattern}` matches no file"));
                let problem = problem.at(manifest.document.file(), manifest.document.span(&route));
                problems.push(problem.hint(
                    "patterns are relative to the manifest; `*` stays in a folder, `**` does not\nwithout any scenario, \
                     `agentready check --static` looks at the manifest alone",
                ));
            }
            names.extend(found);
        }
    }
    if !problems.is_empty() && !is_lenient {
        return Err(Diagnostics(problems));
    }
    notes.extend(problems.into_iter().map(|problem| format!("evals: {}", problem.message)));
    scenario::load(files, &names.into_iter().collect::<Vec<_>>())
}

/// Worlds by name.
pub(crate) type Worlds = BTreeMap<String, Arc<World>>;

/// Scenarios of the manifest's files and their worlds, before any attack is made from them.
pub(crate) fn written(files: &Files, manifest: &Manifest) -> Result<(Vec<Scenario>, Worlds), Diagnostics> {
    with_worlds(files, scenarios(files, manifest, (&mut Vec::new(), true))?)
}

/// Loads each world once and holds every scenario's `given` against it.
fn with_worlds(files: &Files, scenarios: Vec<Scenario>) -> Result<(Vec<Scenario>, Worlds), Diagnostics> {
    let mut problems = Vec::new();
    let mut worlds = Worlds::new();
    let names: BTreeSet<&str> = scenarios.iter().filter_map(|scenario| scenario.world.as_deref()).collect();
    for name in names {
        match world::load(files, name) {
            Ok(world) => {
                worlds.insert(name.to_owned(), world);
            }
            Err(diagnostics) => problems.extend(diagnostics.0),
        }
    }
    for scenario in &scenarios {
        let Some(world) = scenario.world.as_deref().and_then(|name| worlds.get(name)) else { continue };
        if let Err(message) = world.initial(&scenario.given) {
            let at = &scenario.location;
            problems.push(Diagnostic::error(format!("{at}: `{}` can't set up its world: {message}", scenario.id)));
        }
    }
    if problems.is_empty() { Ok((scenarios, worlds)) } else { Err(Diagnostics(problems)) }
}

/// The manifest that a command speaks of, and the files below its repository root.
pub(crate) fn find(given: Option<&Path>, cwd: &Path, allow_outside: bool) -> Result<(Files, String), Fault> {
    let path = match given {
        Some(given) => cwd.join(given),
        None => discover(cwd).ok_or_else(|| {
            Fault::usage(
                "no manifest found",
                "write `agentready.yaml`, name a file, or see it work first: `agentready demo`",
            )
        })?,
    };
    if !path.is_file() {
        let shown = given.unwrap_or(&path).display();
        return Err(Fault::usage(format!("there is no manifest `{shown}`"), "name a YAML or TOML file"));
    }
    let path = path.canonicalize().map_err(|error| Fault::internal("resolve the manifest's path", error))?;
    let root = crate::source::repository_root(path.parent().unwrap_or(cwd));
    let name = path.strip_prefix(&root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
    Ok((Files::disk(&root, allow_outside), name))
}

fn discover(cwd: &Path) -> Option<PathBuf> {
    let root = crate::source::repository_root(cwd);
    cwd.ancestors().take_while(|folder| folder.starts_with(&root)).find_map(|folder| {
        let below = |sub: &str| {
            ["yaml", "yml", "toml"].map(|extension| folder.join(sub).join(format!("agentready.{extension}")))
        };
        below("").into_iter().chain(below(".github")).find(|path| path.is_file())
    })
}
