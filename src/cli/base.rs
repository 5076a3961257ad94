//! What got weaker since a base: the base's manifest, scenarios and own checks, from a record, from a file or from git.
//! Runs `git` to read, never to change. What counts as weaker is for `checklist::weakenings`.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use serde_json::{Value, json};

use super::case::{self, Case};
use crate::{
    checklist::{self, Catalogue, Severity, State, Thresholds},
    context::Context,
    exit::Fault,
    manifest::{self, Manifest},
    record,
    scenario::{self, Scenario},
    source::{Files, MAX_INPUT_BYTES},
};

/// The word for the newest record.
const LAST: &str = "last";

/// Compares with a base and gives the fact `base`: its name and every step back.
pub(crate) fn compare(
    base: &str,
    case: &Case,
    checks: Option<&str>,
    (records, context): (&Path, &Context),
) -> Result<Value, Fault> {
    let (files, name) = open(base, case, checks, (records, context))?;
    let before = Before::load(&files, &name, checks)?;
    let scenarios = ids(&scenario::load(&case.files, &scenario_files(&case.files, &case.manifest))?);
    let now = State {
        evidence: &case.evidence,
        thresholds: &case.thresholds,
        scenarios: &scenarios,
        checks: &own(&case.catalogue),
    };
    let found = checklist::weakenings(&before.state(), &now);
    Ok(json!({"name": base, "weakened": found}))
}

struct Before {
    evidence: Value,
    thresholds: Thresholds,
    scenarios: BTreeSet<String>,
    checks: BTreeMap<String, Severity>,
}

impl Before {
    fn load(files: &Files, name: &str, checks: Option<&str>) -> Result<Self, Fault> {
        let manifest = manifest::load(files, name)?;
        // The base is held against its own profiles, whatever is asked of the new state.
        let profiles = case::profiles(&manifest, &[])?;
        let thresholds = case::thresholds(&manifest, &profiles)?;
        let scenarios = ids(&scenario::load(files, &scenario_files(files, &manifest))?);
        let mut catalogue = Catalogue::embedded();
        if let Some(folder) = checks.filter(|folder| !files.glob(&format!("{folder}/**/*.y*ml")).is_empty()) {
            catalogue = catalogue.with_folder(files, folder)?;
        }
        let checks = own(&catalogue);
        Ok(Self { evidence: manifest::evidence(&manifest), thresholds, scenarios, checks })
    }

    fn state(&self) -> State<'_> {
        State {
            evidence: &self.evidence,
            thresholds: &self.thresholds,
            scenarios: &self.scenarios,
            checks: &self.checks,
        }
    }
}

fn own(catalogue: &Catalogue) -> BTreeMap<String, Severity> {
    let own = catalogue.ids().filter(|id| catalogue.is_own(id));
    own.filter_map(|id| Some((id.to_owned(), catalogue.file(id).ok()?.severity))).collect()
}

/// Scenarios that are not skipped, as `suite/id`.
fn ids(scenarios: &[Scenario]) -> BTreeSet<String> {
    let suite = |scenario: &Scenario| match scenario.suite {
        scenario::Suite::Golden => "golden",
        scenario::Suite::Adversarial => "adversarial",
        scenario::Suite::Incident => "incident",
    };
    let tried = scenarios.iter().filter(|scenario| scenario.skip.is_none());
    tried.map(|scenario| format!("{}/{}", suite(scenario), scenario.id)).collect()
}

fn patterns(manifest: &Manifest) -> Vec<String> {
    let evals = &manifest.raw.evals;
    let patterns = evals.golden.iter().chain(&evals.adversarial).chain(&evals.incidents);
    patterns.filter(|pattern| !pattern.starts_with("pack:")).map(|pattern| manifest.resolve(pattern)).collect()
}

fn scenario_files(files: &Files, manifest: &Manifest) -> Vec<String> {
    let names: BTreeSet<String> = patterns(manifest).iter().flat_map(|pattern| files.glob(pattern)).collect();
    names.into_iter().collect()
}

/// The base's files, and the name of its manifest among them.
fn open(
    base: &str,
    case: &Case,
    checks: Option<&str>,
    (records, context): (&Path, &Context),
) -> Result<(Files, String), Fault> {
    let run =
        if base == LAST { last(records)? } else { super::check::record_folder(records, Path::new(base), context) };
    if run.join("run.json").is_file() {
        let header = record::read_header(&run).map_err(|error| {
            Fault::usage(format!("the base's record can't be read: {error}"), "name another run, a file or a revision")
        })?;
        let texts = header.inputs.iter().map(|(name, input)| (name.clone(), Arc::from(input.text.as_str())));
        return Ok((Files::texts(texts.collect()), header.manifest));
    }
    let file = context.path(Path::new(base));
    if file.is_file() {
        return case::find(Some(&file), &context.cwd, true);
    }
    let root = case.files.root().unwrap_or(&context.cwd);
    let git = Git { root, revision: base };
    Ok((git.files(&case.manifest.name, checks)?, case.manifest.name.clone()))
}

fn last(records: &Path) -> Result<std::path::PathBuf, Fault> {
    let runs = std::fs::read_dir(records).into_iter().flatten().flatten().map(|entry| entry.path());
    // Ids begin with the time, so that the newest is the last by name.
    runs.filter(|path| path.join("run.json").is_file()).max().ok_or_else(|| {
        Fault::usage(
            format!("there is no record below `{}`", records.display()),
            "run `agentready check` once, or name a revision such as `--base origin/main`",
        )
    })
}

struct Git<'a> {
    root: &'a Path,
    revision: &'a str,
}

impl Git<'_> {
    /// The manifest, the scenario files that it names and the team's own checks, as they are in the revision.
    fn files(&self, manifest: &str, checks: Option<&str>) -> Result<Files, Fault> {
        let text = self.show(manifest)?;
        let mut texts = BTreeMap::from([(manifest.to_owned(), text)]);
        let listing = self.git(&["ls-tree", "-r", "-z", "--name-only", "--full-tree", self.revision])?;
        let listing = String::from_utf8_lossy(&listing).into_owned();
        let known: BTreeMap<String, Arc<str>> =
            listing.split('\0').filter(|name| !name.is_empty()).map(|name| (name.to_owned(), Arc::from(""))).collect();
        let names = Files::texts(known);
        let parsed = manifest::load(&Files::texts(texts.clone()), manifest)?;
        let mut wanted: BTreeSet<String> = scenario_files(&names, &parsed).into_iter().collect();
        wanted.extend(checks.into_iter().flat_map(|folder| names.glob(&format!("{folder}/**/*.y*ml"))));
        for name in wanted {
            let text = self.show(&name)?;
            texts.insert(name, text);
        }
        Ok(Files::texts(texts))
    }

    fn show(&self, name: &str) -> Result<Arc<str>, Fault> {
        let bytes = self.git(&["cat-file", "blob", &format!("{}:{name}", self.revision)])?;
        if bytes.len() as u64 > MAX_INPUT_BYTES {
            return Err(Fault::usage(
                format!("`{name}` is larger than 4 MiB in `{}`", self.revision),
                "name another base",
            ));
        }
        String::from_utf8(bytes).map(Arc::from).map_err(|_error| {
            Fault::usage(format!("`{name}` is no UTF-8 text in `{}`", self.revision), "name another base")
        })
    }

    fn git(&self, arguments: &[&str]) -> Result<Vec<u8>, Fault> {
        let wrong = |why: &str| {
            Fault::usage(
                format!("there is no base `{}`: {}", self.revision, crate::text::printable_line(why.trim())),
                "name a git revision that holds the manifest, a manifest file, a run of a record, or `last`",
            )
        };
        if self.revision.starts_with('-') || self.revision.is_empty() {
            return Err(wrong("it is no run, no file and no revision"));
        }
        let done = Command::new("git")
            .args(["--no-optional-locks", "-C"])
            .arg(self.root)
            .args(arguments)
            .env("GIT_TERMINAL_PROMPT", "0")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| wrong(&format!("git can't be run: {error}")))?;
        if done.status.success() { Ok(done.stdout) } else { Err(wrong(&String::from_utf8_lossy(&done.stderr))) }
    }
}
