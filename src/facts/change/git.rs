//! What git says of the files behind the claims: tracked or not, changed since the last commit, who changed a file
//! last and whether that commit is signed. The caller runs git; here stands only what becomes of its answers.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::Shelf;

/// What git answered, as the caller read it; names are relative to the root of the files.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct GitSeen {
    /// The commit that is checked out.
    pub head: Option<String>,
    /// The clone does not hold the whole history.
    pub shallow: bool,
    /// `owner/name` at GitHub, from the remote `origin`.
    pub remote: Option<String>,
    /// The files that were asked for and are under version control.
    pub tracked: BTreeSet<String>,
    /// Those of them that differ from the last commit.
    pub changed: BTreeSet<String>,
    /// The last commit of a file.
    pub last: BTreeMap<String, Commit>,
    /// The lock at a version that the manifest names, by version; nothing when the version bears no lock.
    pub versions: BTreeMap<String, Option<String>>,
}

/// One commit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Commit {
    /// Its hash.
    pub id: String,
    /// `YYYY-MM-DD`, the committer's day.
    pub on: String,
    /// The author's mail address.
    pub author: String,
    /// Git's letter for the signature: `G` good, `U` good with an unknown owner, `N` none, …
    pub signature: char,
}

/// Facts over the files of the build; `present` is false where there is no repository to ask.
pub(super) fn facts(shelf: &Shelf<'_>, seen: Option<&GitSeen>, paths: &[&str]) -> Value {
    let Some(git) = seen else { return json!({"present": false, "shallow": false}) };
    let loose = |set: &dyn Fn(&str) -> bool| -> Vec<&str> {
        paths.iter().copied().filter(|path| set(&shelf.name(path)) && shelf.text(path).is_some()).collect()
    };
    let last: Map<String, Value> = git.last.iter().map(|(name, commit)| (name.clone(), commit_facts(commit))).collect();
    json!({
        "present": true,
        "head": git.head,
        "shallow": git.shallow,
        "untracked": loose(&|name| !git.tracked.contains(name)),
        "changed": loose(&|name| git.changed.contains(name)),
        "last": last,
    })
}

fn commit_facts(commit: &Commit) -> Value {
    json!({
        "commit": commit.id,
        "on": commit.on,
        "author": commit.author,
        "signature": match commit.signature {
            'G' | 'U' | 'X' | 'Y' => "good",
            'N' => "none",
            'B' | 'R' => "bad",
            _ => "unknown",
        },
    })
}
