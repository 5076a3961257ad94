//! What stands behind the manifest's claims: documents, schemas, the lock, code owners, other manifests.
//!
//! Every file is read through `source::Files`, so that a record holds what was seen. What lies on the network
//! (an OIDC discovery document, a server's tools) is fetched by the caller and handed in as [`Fetched`].
//! Must not judge: a fact says what is there, a check says whether that suffices.

mod apis;
mod caps;
mod card;
mod chain;
mod change;
mod code;
mod consent;
mod data;
mod defaults;
mod document;
mod hooks;
mod incidents;
mod infra;
mod kpis;
mod labels;
mod named;
mod oidc;
mod operation;
mod owners;
mod prose;
mod reaction;
mod resilience;
mod retries;
mod rules;
mod runbook;
mod schemas;
mod secrets;
mod settings;
mod sources;
mod spec;
mod systems;
mod table;
mod trail;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::source::{Files, FilesError, SourceFile, load_text};

pub use change::{
    BranchAnswers, BranchRules, Change, Commit, GitQuestions, GitSeen, LockError, LockFile, Protection,
    canonical_digest, git_questions, is_snapshot, own_repository, present_lock, repositories,
};
pub use kpis::Target;
pub use oidc::TokenClaims;
pub use prose::anchor;
pub use secrets::{mask, masked};
pub use sources::add_pages;
pub use sources::{FileDay, FileState, Receipt, Source, SourceKind, date, named_files, sources};
pub(crate) use systems::settle;

/// What the caller fetched from addresses that the manifest names.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fetched {
    /// The document at [`oidc_url`] with the issuer's keys as its `jwks` (else `jwks_error`), or why there is none; nothing
    /// when it was not asked for.
    pub oidc: Option<Result<Value, String>>,
    /// What a system's MCP server answered to `tools/list`, by system.
    pub tools: BTreeMap<String, Result<Value, String>>,
    /// What the tokens of the credentials say, by `system.kind`.
    pub tokens: BTreeMap<String, TokenClaims>,
    /// `OpenAPI` documents and the agent card, by address.
    pub documents: BTreeMap<String, Result<Value, String>>,
    /// What git says of the files in [`GitQuestions`]; nothing without a repository.
    pub git: Option<GitSeen>,
    /// What branches demand, by `github:owner/name@branch`; those that were not asked for are missing.
    pub branch_rules: BTreeMap<String, BranchRules>,
    /// The series of `observability.metrics`, `{<name>: {<day>: <value>}}`; nothing when they were not asked for.
    pub series: Option<Result<Value, String>>,
    /// What came along with each answer, by address.
    pub receipts: BTreeMap<String, Receipt>,
}

/// How facts are collected.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Trials are run.
    pub live: bool,
    /// The network is left alone.
    pub offline: bool,
    /// Name of the manifest file; paths in the manifest are relative to its folder.
    pub manifest: String,
    /// The checks that judge, as a lock holds them: the program's own by its version under `checks`, a team's files by
    /// their digests.
    pub checks: BTreeMap<String, String>,
    /// What was fetched.
    pub fetched: Fetched,
}

/// Where an issuer serves its discovery document (`OpenID` Connect Discovery 1.0, section 4).
pub fn oidc_url(issuer: &str) -> String {
    format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))
}

/// Collects the `facts` of the evidence document; `evidence` is what `manifest::evidence` gives, or the manifest alone.
pub fn collect(files: &Files, evidence: &Value, options: &Options) -> Value {
    let manifest = evidence.get("manifest").filter(|inner| inner.is_object()).unwrap_or(evidence);
    let shelf = Shelf::new(files, &options.manifest);
    let claims = Claims::new(manifest, evidence);
    let (manifests, (systems, tools), repository) = std::thread::scope(|scope| {
        let repository = scope.spawn(|| Repository::look(&shelf, manifest, options));
        let manifests = other_manifests(&shelf.on("manifests"));
        let tokens = oidc::tokens(&claims, options);
        let (mut systems, tools) = systems::facts(&shelf, &claims, (&options.fetched, &manifests, &tokens));
        systems.insert("oidc".to_owned(), oidc::facts(options, manifest, &tokens));
        systems.insert("tokens".to_owned(), tokens);
        (manifests, (systems, tools), repository.join().expect("collecting facts does not panic"))
    });
    let claims = Claims { tools: &tools, ..claims };
    let mut facts = std::thread::scope(|scope| {
        let tools = scope.spawn(|| of_tools(&shelf, &claims, &systems, options.fetched.git.as_ref()));
        let mut facts = of_documents(&shelf, &claims, &repository, options);
        facts.extend(tools.join().expect("collecting facts does not panic"));
        facts
    });
    facts.insert("sources".to_owned(), sources::facts(&shelf, manifest, options));
    facts.insert("live".to_owned(), options.live.into());
    facts.insert("manifests".to_owned(), manifests);
    facts.insert("pages".to_owned(), Value::Object(Map::new()));
    facts.extend(repository.facts);
    facts.extend(systems);
    Value::Object(facts)
}

/// What models cost by the file that the manifest names, else by the shipped table; `claims` is what `manifest::evidence`
/// gives, and `name` the manifest's file.
pub fn prices(files: &Files, claims: &Value, name: &str) -> crate::record::Prices {
    operation::prices(&Shelf::new(files, name), claims.get("manifest").unwrap_or(claims))
}

/// What does not hang on the tools.
struct Repository {
    facts: Map<String, Value>,
    settings: Vec<settings::Setting>,
    locked: BTreeSet<String>,
}

impl Repository {
    fn look(shelf: &Shelf<'_>, manifest: &Value, options: &Options) -> Self {
        let settings = settings::scan(&shelf.on("tracing"));
        let (mut facts, locked) = change::facts(shelf, manifest, options);
        let (incidents, exercises) = incidents::facts(&shelf.on("incidents"), manifest);
        let others = [
            ("codeowners", owners::rules(&shelf.on("codeowners"))),
            ("owners", owners::facts(&shelf.on("owners"), manifest)),
            ("apis", apis::facts(&shelf.on("apis"), manifest)),
            ("infra", infra::facts(&shelf.on("infra"), manifest)),
            ("hooks", hooks::facts(&shelf.on("hooks"), manifest)),
            ("incidents", incidents.into()),
            ("exercises", exercises.into()),
            ("runbook", runbook::facts(&shelf.on("runbook"), manifest)),
            ("caps", caps::facts(manifest, &settings)),
            ("reaction", reaction::facts(&shelf.on("reaction"), manifest, &settings)),
            ("resilience", resilience::facts(manifest, &settings)),
            ("judge", labels::facts(&shelf.on("judge"), manifest)),
            ("kpis", kpis::facts(&shelf.on("kpis"), manifest).into()),
        ];
        facts.extend(others.map(|(name, fact)| (name.to_owned(), fact)));
        Self { facts, settings, locked }
    }
}

/// What is said of the tools, one by one.
fn of_tools(
    shelf: &Shelf<'_>,
    claims: &Claims<'_>,
    systems: &Map<String, Value>,
    git: Option<&GitSeen>,
) -> Map<String, Value> {
    let effects = systems.get("effects").unwrap_or(&Value::Null);
    let facts = [
        ("approvals", consent::facts(&shelf.on("approvals"), claims, git)),
        ("policy", rules::facts(&shelf.on("policy"), claims, git)),
        ("schemas", schemas::facts(&shelf.on("schemas"), claims).into()),
        ("retried_writes", retries::facts(&shelf.on("retried_writes"), claims, effects)),
    ];
    facts.into_iter().map(|(name, fact)| (name.to_owned(), fact)).collect()
}

/// What the documents say that the manifest names.
fn of_documents(
    shelf: &Shelf<'_>,
    claims: &Claims<'_>,
    repository: &Repository,
    options: &Options,
) -> Map<String, Value> {
    let named = named::facts(&shelf.on("files"), claims.manifest, claims.tools);
    let mut facts = operation::facts(shelf, claims, (&repository.settings, &options.fetched));
    let others = [
        ("data", data::facts(&shelf.on("data"), claims, &options.fetched, &named)),
        ("secrets", secrets::facts(&shelf.on("secrets"), claims.manifest, &named)),
        ("files", named),
        ("audit", trail::facts(&shelf.on("audit"), claims, &repository.locked)),
        ("card", card::facts(&shelf.on("card"), claims, &options.fetched)),
        ("spec", spec::facts(&shelf.on("spec"), claims)),
    ];
    facts.extend(others.map(|(name, fact)| (name.to_owned(), fact)));
    facts
}

/// How a tool of the evidence may be called: `never`, `approval`, `tiers` or `auto`.
fn mode(tool: &Value) -> Option<&str> {
    tool.get("allow")?.get("mode")?.as_str()
}

/// Whether a tool of the evidence may be called at all.
fn may_run(tool: &Value) -> bool {
    mode(tool) != Some("never")
}

/// Whether a tool of the evidence can change something.
fn is_write(tool: &Value) -> bool {
    tool.get("is_write") == Some(&Value::Bool(true))
}

/// The claims, with the lists that the manifest module derives of them: effects and allowances of tools worked out; none
/// when there is the manifest alone.
struct Claims<'a> {
    manifest: &'a Value,
    tools: &'a [Value],
    systems: &'a [Value],
    credentials: &'a [Value],
}

impl<'a> Claims<'a> {
    fn new(manifest: &'a Value, evidence: &'a Value) -> Self {
        let list = |name: &str| evidence.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        Self { manifest, tools: list("tools"), systems: list("systems"), credentials: list("credentials") }
    }
}

/// The files of a run, seen from the manifest's folder.
struct Shelf<'a> {
    files: &'a Files,
    from: &'a str,
    opened: Arc<document::Opened>,
    /// The fact that is being collected.
    topic: &'static str,
    asked: Arc<sources::Asked>,
}

impl<'a> Shelf<'a> {
    fn new(files: &'a Files, from: &'a str) -> Self {
        Self { files, from, opened: Arc::default(), topic: "", asked: Arc::default() }
    }

    /// The same files, opened for one fact.
    fn on(&self, topic: &'static str) -> Self {
        let (opened, asked) = (Arc::clone(&self.opened), Arc::clone(&self.asked));
        Self { files: self.files, from: self.from, opened, topic, asked }
    }

    /// A path of the manifest as a name of the file set.
    fn name(&self, path: &str) -> String {
        Files::resolve(self.from, path)
    }

    /// The text of a path of the manifest.
    fn open(&self, path: &str) -> Result<SourceFile, FilesError> {
        self.read(&self.name(path))
    }

    /// The text of a file of the set.
    fn read(&self, name: &str) -> Result<SourceFile, FilesError> {
        let file = self.files.read(name)?;
        self.asked.note(self.topic, file.name());
        Ok(file)
    }

    fn text(&self, path: &str) -> Option<SourceFile> {
        self.open(path).ok()
    }

    /// The text of a path, not kept for the record.
    fn peek(&self, path: &str) -> Option<SourceFile> {
        self.files.peek(&self.name(path)).ok()
    }

    /// Whether there is such a file.
    fn has(&self, path: &str) -> bool {
        document::exists(self, path)
    }

    /// The files that match a pattern of the manifest, by names relative to the manifest's folder.
    fn matching(&self, pattern: &str) -> Vec<String> {
        self.glob(&self.name(pattern)).iter().map(|name| self.seen(name)).collect()
    }

    /// The files of the set that match a pattern of names.
    fn glob(&self, pattern: &str) -> Vec<String> {
        document::matching(self, pattern)
    }

    /// A name of the file set, relative to the manifest's folder.
    fn seen(&self, name: &str) -> String {
        seen_from(&self.name("."), name)
    }
}

/// A name relative to a folder, both relative to the root.
fn seen_from(folder: &str, name: &str) -> String {
    let above: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    let below: Vec<&str> = name.split('/').collect();
    let shared = above.iter().zip(&below).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n("..", above.len() - shared);
    up.chain(below.into_iter().skip(shared)).collect::<Vec<_>>().join("/")
}

/// Names under which a manifest is found.
const MANIFEST_NAMES: [&str; 3] = ["agentready.yaml", "agentready.yml", "agentready.toml"];

/// The other manifests of the repository, so that an identity can be seen to be used twice.
fn other_manifests(shelf: &Shelf<'_>) -> Value {
    let is_manifest = |name: &String| MANIFEST_NAMES.iter().any(|known| name.rsplit('/').next() == Some(known));
    let names = shelf.glob("**/agentready.*").into_iter().filter(is_manifest);
    let own = Files::resolve("", shelf.from);
    let others = names.filter(|name| *name != own).filter_map(|name| {
        let text = shelf.read(&name).ok()?;
        let claims = load_text::<Value>(text).ok()?.value;
        let subject = claims.pointer("/identity/subject").cloned().unwrap_or(Value::Null);
        let workflow = claims.pointer("/agent/workflow").cloned().unwrap_or(Value::Null);
        let credentials = credential_sources(&claims);
        Some(json!({"path": name, "subject": subject, "workflow": workflow, "credentials": credentials}))
    });
    others.collect()
}

/// Where another manifest's credentials come from: roles, and secrets by the names of their variables.
fn credential_sources(claims: &Value) -> Vec<String> {
    let systems = claims.get("systems").and_then(Value::as_object).into_iter().flat_map(Map::values);
    let credentials = systems.filter_map(|system| system.get("credentials")?.as_object()).flat_map(Map::values);
    let sources = credentials.flat_map(|one| {
        let text = |key: &str| one.get(key).and_then(Value::as_str);
        let secret = text("secret").filter(|secret| secret.starts_with("env:")).map(str::to_owned);
        secret.into_iter().chain(text("role").map(|role| format!("role:{role}")))
    });
    sources.collect()
}

#[cfg(test)]
mod tests;
