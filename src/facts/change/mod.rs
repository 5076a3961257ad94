//! What stands behind the claims of change: the lock and what it pins, git, the workflows that run the gate, the
//! rollout, the way back with its rehearsals, and the sign-offs.
//!
//! | fact | holds |
//! |---|---|
//! | `lock` | by `models`, `tools` and `parts` whether it holds what is there; what `changed` since it was written |
//! | `git` | `present`, `shallow`, `head`; files of the build that are `untracked` or `changed`; the `last` commit of a file |
//! | `release` | the job that runs the gate, what does not start it, which deploys do not wait for it, the branch's rules |
//! | `rollout` | the stages in numbers, the guards between them, and the rollout `object` that has the same ones (or not) |
//! | `rollback`, `rehearsals` | the version known to be good; how many rehearsals succeeded in a row |
//! | `repositories` | the agent's own and those of systems: what their branches demand, files without a code owner |
//! | `signoffs` | by role: who, when, what it covers and states, whether the digest is the present one |

mod branch;
mod contracts;
mod git;
mod lock;
mod pins;
mod protection;
mod rollback;
mod rollout;
mod signoff;
mod workflow;

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{Options, Shelf};
use crate::source::Files;

pub use branch::{BranchAnswers, BranchRules, Protection};
pub use git::{Commit, GitSeen};
pub use lock::{Change, LockError, LockFile, is_snapshot};
pub use pins::canonical_digest;
pub(super) use pins::world;
pub use protection::{own_repository, repositories};

/// The facts of this folder, by name, and every digest that the lock vouches for.
pub(super) fn facts(shelf: &Shelf<'_>, manifest: &Value, options: &Options) -> (Map<String, Value>, BTreeSet<String>) {
    let locked = shelf.on("lock");
    let built = pins::files(&locked, manifest);
    let pins = pins::pins(&locked, manifest, &built, options);
    let git = options.fetched.git.as_ref();
    let kept = build_paths(manifest, shelf.from, &built);
    let kept: Vec<&str> = kept.iter().map(String::as_str).collect();
    let own = own_repository(manifest, git).unwrap_or_default();
    let exports = protection::exports(&shelf.on("repositories"), manifest);
    let known = protection::known(&own, options, &exports);
    let release = workflow::facts(&shelf.on("release"), manifest, &built, &known);
    let required = release.pointer("/rules/required").and_then(Value::as_bool);
    let facts = json!({
        "repositories": protection::facts(&shelf.on("repositories"), manifest, &built, (options, &exports, required)),
        "lock": lock::facts(&shelf.on("lock"), manifest, &pins, git),
        "git": git::facts(&shelf.on("git"), git, &kept),
        "release": release,
        "rollout": rollout::facts(&shelf.on("rollout"), manifest),
        "rollback": rollback::facts(&shelf.on("rollback"), manifest, &pins, git),
        "rehearsals": rollback::rehearsals(&shelf.on("rehearsals"), manifest),
        "signoffs": signoff::facts(&shelf.on("signoffs"), manifest, &built, git),
    });
    (facts.as_object().cloned().unwrap_or_default(), lock::held(&locked, manifest, &pins))
}

/// The lock that the present files ask for.
pub fn present_lock(files: &Files, evidence: &Value, options: &Options) -> LockFile {
    let manifest = evidence.get("manifest").filter(|inner| inner.is_object()).unwrap_or(evidence);
    let shelf = Shelf::new(files, &options.manifest);
    let built = pins::files(&shelf, manifest);
    lock::present(pins::pins(&shelf, manifest, &built, options))
}

/// What git is to be asked for, all names relative to the root of the files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GitQuestions {
    /// Files of the build: are they tracked, were they changed?
    pub files: Vec<String>,
    /// Files of which the last commit matters.
    pub histories: Vec<String>,
    /// Versions of which the lock matters, and where the lock lies.
    pub versions: Vec<String>,
    /// The lock.
    pub lock: String,
}

/// What git is to be asked for.
pub fn git_questions(files: &Files, evidence: &Value, name: &str) -> GitQuestions {
    let manifest = evidence.get("manifest").filter(|inner| inner.is_object()).unwrap_or(evidence);
    let shelf = Shelf::new(files, name);
    let built = pins::files(&shelf, manifest);
    let version = manifest.pointer("/change/rollback/to").and_then(Value::as_str);
    let signoffs = manifest.pointer("/change/signoffs").and_then(Value::as_object).into_iter().flat_map(Map::values);
    let signoffs = signoffs.filter_map(Value::as_str).map(|path| shelf.name(path));
    GitQuestions {
        files: build_paths(manifest, name, &built).iter().map(|path| shelf.name(path)).collect(),
        histories: signoffs.chain([Files::resolve("", name)]).collect(),
        versions: version.filter(|version| rollback::is_version(version)).map(str::to_owned).into_iter().collect(),
        lock: shelf.name(lock::path(manifest)),
    }
}

/// The manifest, its lock and the files that the lock pins, relative to the manifest.
fn build_paths(manifest: &Value, name: &str, built: &[(pins::Part, String)]) -> Vec<String> {
    let own = name.rsplit('/').next().unwrap_or(name).to_owned();
    [own, lock::path(manifest).to_owned()].into_iter().chain(built.iter().map(|(_, path)| path.clone())).collect()
}
