//! Where each fact comes from, and how old that is: `facts.sources`, a list with an entry for each file that was read,
//! each address that answered, each variable whose token was read, and git.
//!
//! | key | holds |
//! |---|---|
//! | `from` | the file's name, the address, `github:owner/name@branch`, `env:NAME` or `git` |
//! | `kind` | `file`, `address`, `environment` or `command` |
//! | `facts` | the facts that come from it, by their keys in `facts` |
//! | `on` | the day of what was read: the last change of a file, the making of an answer; `age(it.on)` is its age |
//! | `by` | who says so: `git`, `disk` (the file's own time stamp), `server` (its `Date` and `Age`), `clock` (when it was asked) |
//! | `state` | of a file below version control: `committed`, `changed` or `untracked` |
//! | `at_latest` | the clone is shallow, so it may be older than `on` |
//! | `asked` | when a server was asked |
//! | `copy_s` | how many seconds before that its answer was made: a cache gave it |
//!
//! The caller asks servers and git and hands in what they say. Must not judge.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Options, Shelf};

/// Which fact asked for which file.
#[derive(Debug, Default)]
pub(super) struct Asked(Mutex<BTreeMap<String, BTreeSet<&'static str>>>);

impl Asked {
    /// Notes that a fact comes from a file.
    pub(super) fn note(&self, topic: &'static str, name: &str) {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match asked.get_mut(name) {
            Some(topics) => topics.insert(topic),
            None => asked.insert(name.to_owned(), BTreeSet::from([topic])).is_none(),
        };
    }
}

/// What came along with an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Receipt {
    /// When it was asked for, RFC 3339.
    pub asked: String,
    /// The day on which the server made it, as far as its headers tell.
    pub on: Option<String>,
    /// How many seconds before it was asked for, when a cache gave it.
    pub copy_s: Option<u64>,
}

/// A file as git knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileDay {
    /// How it stands to the last commit.
    pub state: FileState,
    /// The day of the last commit that changed it.
    pub on: Option<String>,
}

/// How a file stands to the last commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileState {
    /// It is the same there.
    Committed,
    /// It was changed since.
    Changed,
    /// Git does not keep it.
    Untracked,
}

impl FileState {
    /// The word in facts and reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Committed => "committed",
            Self::Changed => "changed",
            Self::Untracked => "untracked",
        }
    }
}

/// What kind of place a fact comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// A server that was asked.
    Address,
    /// A program that was run.
    Command,
    /// A variable of the environment.
    Environment,
    /// A file that was read.
    File,
}

impl SourceKind {
    /// The word in facts and reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Command => "command",
            Self::Environment => "environment",
            Self::File => "file",
        }
    }
}

/// One entry of `facts.sources`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The place.
    pub from: String,
    /// What kind of place.
    pub kind: SourceKind,
    /// The facts that come from it.
    pub facts: Vec<String>,
    /// The day of what was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<String>,
    /// Who says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// How a file stands to the last commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<FileState>,
    /// Whether it may be older than that day.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub at_latest: bool,
    /// When a server was asked, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<String>,
    /// How many seconds before that its answer was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy_s: Option<u64>,
}

impl Source {
    fn new(kind: SourceKind, from: &str, facts: &[&str]) -> Self {
        let facts = facts.iter().map(|fact| (*fact).to_owned()).collect();
        Self {
            from: from.to_owned(),
            kind,
            facts,
            on: None,
            by: None,
            state: None,
            at_latest: false,
            asked: None,
            copy_s: None,
        }
    }
}

/// `facts.sources`, without what git says of the files' days.
pub(super) fn facts(shelf: &Shelf<'_>, manifest: &Value, options: &Options) -> Value {
    let read = shelf.files.seen();
    let asked = shelf.asked.0.lock().unwrap_or_else(PoisonError::into_inner);
    let files = asked.iter().filter(|(name, _)| read.contains_key(*name)).map(|(name, topics)| {
        let topics: Vec<&str> = topics.iter().copied().collect();
        let day = shelf.files.modified(name).map(|at| at.strftime("%Y-%m-%d").to_string());
        let by = day.as_ref().map(|_| "disk".to_owned());
        Source { on: day, by, ..Source::new(SourceKind::File, name, &topics) }
    });
    let answers = addresses(manifest, options).into_iter().filter_map(|(address, topics)| {
        let receipt = options.fetched.receipts.get(&address)?;
        Some(answered(&address, receipt, &topics))
    });
    let tokens = options.fetched.tokens.keys().filter_map(|of| {
        let (system, kind) = of.split_once('.')?;
        let secret = manifest.get("systems")?.get(system)?.get("credentials")?.get(kind)?.get("secret")?.as_str()?;
        Some(Source::new(SourceKind::Environment, secret, &["oidc", "tokens"]))
    });
    let git = options.fetched.git.iter().map(|git| {
        let facts = ["git", "lock", "repositories", "rollback", "signoffs", "sources"];
        Source { at_latest: git.shallow, ..Source::new(SourceKind::Command, "git", &facts) }
    });
    let mut all: Vec<Source> = answers.chain(git).chain(tokens).chain(files).collect();
    all.sort_by(|a, b| (a.kind, &a.from).cmp(&(b.kind, &b.from)));
    all.dedup_by(|next, kept| (next.kind, &next.from) == (kept.kind, &kept.from));
    json!(all)
}

/// The addresses that the manifest names, with the facts that come from each.
fn addresses(manifest: &Value, options: &Options) -> BTreeMap<String, Vec<&'static str>> {
    let systems = manifest.get("systems").and_then(Value::as_object).into_iter().flatten();
    let described = systems.flat_map(|(_, system)| ["mcp", "openapi"].map(|key| system.get(key)));
    let described = described.flatten().map(|place| (place, vec!["arguments", "effects", "grants", "servers"]));
    let card = manifest.pointer("/agent/card").map(|place| (place, vec!["card"]));
    let issuer = manifest.pointer("/identity/issuer").map(|place| (place, vec!["oidc", "tokens"]));
    let named = described.chain(card).chain(issuer);
    let named = named.filter_map(|(place, topics)| Some((place.as_str()?.to_owned(), topics)));
    let repositories = options.fetched.branch_rules.keys().map(|name| (name.clone(), vec!["release", "repositories"]));
    named.chain(repositories).collect()
}

/// Adds what pages showed that the caller asked for, and the pages as its sources.
pub fn add_pages(facts: &mut Value, pages: Value, receipts: &BTreeMap<String, Receipt>) {
    let known: BTreeSet<String> = sources(facts).into_iter().map(|source| source.from).collect();
    let asked = receipts.iter().filter(|(address, _)| address.contains("://") && !known.contains(*address));
    let added = asked.map(|(address, receipt)| answered(address, receipt, &["pages"]));
    let mut all: Vec<Source> = added.chain(sources(facts)).collect();
    all.sort_by(|a, b| (a.kind, &a.from).cmp(&(b.kind, &b.from)));
    if let Some(facts) = facts.as_object_mut() {
        facts.insert("sources".to_owned(), json!(all));
        facts.insert("pages".to_owned(), pages);
    }
}

fn answered(address: &str, receipt: &Receipt, topics: &[&str]) -> Source {
    let by = if receipt.on.is_some() { "server" } else { "clock" };
    Source {
        on: receipt.on.clone().or_else(|| receipt.asked.get(..10).map(str::to_owned)),
        by: Some(by.to_owned()),
        asked: Some(receipt.asked.clone()),
        copy_s: receipt.copy_s,
        ..Source::new(SourceKind::Address, address, topics)
    }
}

/// The files among `facts.sources`, for git to be asked about them.
pub fn named_files(facts: &Value) -> Vec<String> {
    let files = sources(facts).into_iter().filter(|source| source.kind == SourceKind::File);
    files.map(|source| source.from).collect()
}

/// Enters what git says of the files: a committed file is as old as its last commit, every other as its time stamp says.
pub fn date(facts: &mut Value, days: &BTreeMap<String, FileDay>) {
    let mut all = sources(facts);
    let shallow = all.iter().any(|source| source.kind == SourceKind::Command && source.at_latest);
    for source in all.iter_mut().filter(|source| source.kind == SourceKind::File) {
        let Some(day) = days.get(&source.from) else { continue };
        source.state = Some(day.state);
        if day.state == FileState::Committed {
            source.on.clone_from(&day.on);
            source.by = day.on.as_ref().map(|_| "git".to_owned());
            source.at_latest = shallow && day.on.is_some();
        }
    }
    if let Some(facts) = facts.as_object_mut() {
        facts.insert("sources".to_owned(), json!(all));
    }
}

/// `facts.sources`; nothing in facts of a record that has none.
pub fn sources(facts: &Value) -> Vec<Source> {
    let list = facts.get("sources").and_then(Value::as_array).into_iter().flatten();
    list.filter_map(|one| Source::deserialize(one).ok()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::{FileDay, FileState, Receipt, SourceKind, date, named_files, sources};
    use crate::{
        facts::{Fetched, GitSeen, Options, TokenClaims, collect},
        source::Files,
    };

    fn manifest() -> Value {
        json!({
            "agent": {"spec": "docs/agent.md", "card": "https://agent.example/card.json"},
            "identity": {"issuer": "https://id.example"},
            "systems": {"shop": {"openapi": "https://shop.example/o.json", "credentials": {"read": {"secret": "env:SHOP"}}}},
            "incident": {"runbook": "docs/gone.md"},
        })
    }

    fn collected(folder: &std::path::Path) -> Value {
        let receipt = |on: Option<&str>, copy_s| Receipt {
            asked: "2026-11-21T10:00:00Z".to_owned(),
            on: on.map(str::to_owned),
            copy_s,
        };
        let fetched = Fetched {
            tokens: BTreeMap::from([("shop.read".to_owned(), TokenClaims::default())]),
            git: Some(GitSeen { shallow: true, ..GitSeen::default() }),
            receipts: BTreeMap::from([
                ("https://shop.example/o.json".to_owned(), receipt(Some("2026-11-19"), Some(172_800))),
                ("https://id.example".to_owned(), receipt(None, None)),
            ]),
            ..Fetched::default()
        };
        let options = Options { manifest: "agentready.yaml".to_owned(), fetched, ..Options::default() };
        collect(&Files::disk(folder, false), &manifest(), &options)
    }

    #[test]
    fn every_fact_says_where_it_comes_from_and_how_old_that_is() {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in
            [("agentready.yaml", "manifest: 1"), ("CODEOWNERS", "* @acme/ops"), ("docs/agent.md", "# Agent")]
        {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(&path, text).expect("written");
        }
        let mut facts = collected(folder.path());
        assert_eq!(
            named_files(&facts),
            ["CODEOWNERS", "agentready.yaml", "docs/agent.md"],
            "what is not there is no source"
        );
        let committed = FileDay { state: FileState::Committed, on: Some("2025-01-02".to_owned()) };
        let untracked = FileDay { state: FileState::Untracked, on: None };
        date(&mut facts, &[("CODEOWNERS".to_owned(), untracked), ("docs/agent.md".to_owned(), committed)].into());
        let all = sources(&facts);
        let of =
            |from: &str| all.iter().find(|source| source.from == from).unwrap_or_else(|| panic!("{from} in {all:?}"));
        let page = of("docs/agent.md");
        assert_eq!((page.on.as_deref(), page.by.as_deref(), page.at_latest), (Some("2025-01-02"), Some("git"), true));
        assert!(
            page.facts.iter().any(|fact| fact == "files") && page.facts.iter().any(|fact| fact == "spec"),
            "{page:?}"
        );
        let owners = of("CODEOWNERS");
        assert_eq!(
            (owners.by.as_deref(), owners.state, owners.at_latest),
            (Some("disk"), Some(FileState::Untracked), false)
        );
        let api = of("https://shop.example/o.json");
        assert_eq!(
            (api.on.as_deref(), api.by.as_deref(), api.copy_s),
            (Some("2026-11-19"), Some("server"), Some(172_800))
        );
        let issuer = of("https://id.example");
        assert_eq!((issuer.on.as_deref(), issuer.by.as_deref()), (Some("2026-11-21"), Some("clock")));
        assert_eq!(of("env:SHOP").kind, SourceKind::Environment);
        assert!(of("git").at_latest, "the shallow clone is said");
        assert!(!all.iter().any(|source| source.from.contains("card.json")), "what gave no answer is no source");
    }

    #[test]
    fn every_fact_of_a_source_is_one_that_was_collected() {
        let files = Files::disk(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/complete"), false);
        let manifest = crate::manifest::load(&files, "agentready.yaml").expect("loads");
        let evidence = crate::manifest::evidence(&manifest);
        let facts =
            collect(&files, &evidence, &Options { manifest: "agentready.yaml".to_owned(), ..Options::default() });
        let all = sources(&facts);
        assert!(all.len() > 40, "{}", all.len());
        for source in &all {
            assert!(!source.facts.is_empty(), "{source:?}");
            for fact in &source.facts {
                assert!(facts.get(fact).is_some(), "`{fact}` of {} is no fact", source.from);
            }
        }
    }
}
