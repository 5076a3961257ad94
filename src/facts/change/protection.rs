//! Repositories whose content is a permission: the agent's own and those of the systems, with the rules of their
//! branches as the caller fetched them, and the files of the build that no code owner has. Must not judge.
//!
//! `facts.repositories`: `repository` (`github:owner/name@branch`), `own`, `named` (whether it has that form), `known`
//! (else `why`), `pull_request`, `reviews`, `code_owners`, `force_push`, `checks`, `release_required`, `unowned`, and
//! `unseen` when the branch has protection of the older kind that the token may not read; who may `bypass` the rules, as far
//! as the token may read it, and those of them who must not (`bypassed_by`: everybody, the agent itself).

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::{Options, Shelf, document, owners},
    git::GitSeen,
    pins::Part,
};
use crate::source::Files;

/// Credentials of the agent that hold the token with which GitHub is asked.
const TOKENS: [&str; 2] = ["env:GITHUB_TOKEN", "env:GH_TOKEN"];

/// Most files that are named in one fact.
const NAMED: usize = 12;

/// What the rules of a branch demand, rulesets and protection of the older kind together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own on GitHub's page")]
pub struct Protection {
    /// Names of the required status checks.
    pub checks: Vec<String>,
    /// Whether a change has to come by a pull request.
    pub pull_request: bool,
    /// Approvals that a pull request needs.
    pub reviews: u64,
    /// Whether a code owner has to be among them.
    pub code_owners: bool,
    /// Whether history may be rewritten.
    pub force_push: bool,
    /// Whether there is protection of the older kind that the token may not read.
    pub unseen: bool,
    /// Who may pass by the rules, as far as the token may read it.
    pub bypass: Vec<String>,
    /// Whether everybody may who may write.
    pub open: bool,
    /// Whether the identity may whose token asked.
    pub asker: bool,
}

/// What a branch demands, or why nothing is known.
pub type BranchRules = Result<Protection, String>;

/// `github:owner/name@branch` of the agent's own code: as stated, else git's remote with the usual branch.
pub fn own_repository(manifest: &Value, git: Option<&GitSeen>) -> Option<String> {
    let stated = manifest.pointer("/change/repository").and_then(Value::as_str).map(str::to_owned);
    stated.or_else(|| Some(format!("github:{}@main", git?.remote.as_ref()?)))
}

/// Every repository whose rules matter, the agent's own first.
pub fn repositories(manifest: &Value, git: Option<&GitSeen>) -> Vec<String> {
    let others = of_systems(manifest).map(|(_, repository)| repository.to_owned());
    let mut all: Vec<String> = own_repository(manifest, git).into_iter().chain(others).collect();
    all.dedup();
    all
}

fn of_systems(manifest: &Value) -> impl Iterator<Item = (&String, &str)> {
    let systems = manifest.get("systems").and_then(Value::as_object).into_iter().flatten();
    systems.filter_map(|(name, system)| Some((name, system.get("repository")?.as_str()?)))
}

/// Facts of all of them.
pub(super) fn facts(
    shelf: &Shelf<'_>,
    manifest: &Value,
    built: &[(Part, String)],
    (options, release_required): (&Options, Option<bool>),
) -> Value {
    let own = own_repository(manifest, options.fetched.git.as_ref()).unwrap_or_default();
    let first = described(
        &own,
        options,
        manifest,
        json!({"at": "/change/repository", "own": true, "release_required": release_required, "unowned": unowned(shelf, built),
            "owners": !owners::parsed(shelf).is_empty()}),
    );
    let others = of_systems(manifest).map(|(name, repository)| {
        let at = crate::source::Route::pointer("/systems").join(name).join("repository");
        described(repository, options, manifest, json!({"at": at.as_str(), "own": false, "unowned": []}))
    });
    std::iter::once(first).chain(others).collect()
}

fn described(repository: &str, options: &Options, manifest: &Value, mut fact: Value) -> Value {
    let is_github = repository.starts_with("github:");
    let unasked = if options.offline {
        "the network is left alone"
    } else if is_github {
        "without GITHUB_TOKEN nobody asked GitHub"
    } else {
        "only GitHub can be asked"
    };
    let seen = options.fetched.branch_rules.get(repository);
    let rules = seen.and_then(|seen| seen.as_ref().ok()).cloned();
    let why = match seen {
        Some(Ok(_)) => None,
        Some(Err(why)) => Some(why.as_str()),
        None => Some(unasked),
    };
    let known = rules.is_some();
    let rules = rules.unwrap_or_default();
    let rest = json!({
        "repository": repository,
        "branch": repository.rsplit_once('@').map(|(_, branch)| branch),
        "named": is_named(repository),
        "known": known,
        "why": why,
        "pull_request": rules.pull_request,
        "reviews": rules.reviews,
        "code_owners": rules.code_owners,
        "force_push": rules.force_push,
        "unseen": rules.unseen,
        "checks": rules.checks,
        "bypass": rules.bypass,
        "bypassed_by": bypassed_by(&rules, manifest),
    });
    if let (Some(fact), Value::Object(rest)) = (fact.as_object_mut(), rest) {
        fact.extend(rest);
    }
    fact
}

/// Those who may pass by the rules and must not: everybody, and the agent itself.
fn bypassed_by(rules: &Protection, manifest: &Value) -> Vec<&'static str> {
    let subject = manifest.pointer("/identity/subject").and_then(Value::as_str);
    let is_named = subject.is_some_and(|own| rules.bypass.iter().any(|who| who.trim_end_matches("[bot]") == own));
    let secrets = document::each_text(manifest, "systems.*.credentials.*.secret");
    let is_asker = rules.asker && secrets.iter().any(|secret| TOKENS.contains(secret));
    let everybody = rules.open.then_some("everybody who may write");
    everybody.into_iter().chain((is_named || is_asker).then_some("the agent itself")).collect()
}

/// `host:owner/name@branch`.
fn is_named(repository: &str) -> bool {
    let parts = repository.split_once(':').and_then(|(host, rest)| {
        let (path, branch) = rest.split_once('@')?;
        let (owner, name) = path.split_once('/')?;
        Some([host, owner, name, branch])
    });
    parts.is_some_and(|parts| parts.iter().all(|part| !part.is_empty() && !part.contains(char::is_whitespace)))
}

/// The manifest, and prompts, schemas and policies of the build, as far as CODEOWNERS gives them to nobody.
fn unowned(shelf: &Shelf<'_>, built: &[(Part, String)]) -> Vec<String> {
    let parts = [Part::Prompts, Part::ToolSchemas, Part::Policies];
    let files = built.iter().filter(|(part, _)| parts.contains(part)).map(|(_, path)| shelf.name(path));
    let names: Vec<String> = std::iter::once(Files::resolve("", shelf.from)).chain(files).collect();
    let mut free = owners::unowned(shelf, names);
    free.dedup();
    free.truncate(NAMED);
    free
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use serde_json::{Value, json};

    use super::{super::super::Shelf, Part, facts, is_named, repositories};
    use crate::{
        facts::{Fetched, GitSeen, Options},
        source::Files,
    };

    #[test]
    fn a_repository_has_a_host_an_owner_a_name_and_a_branch() {
        for (text, named) in [
            ("github:acme/bot@main", true),
            ("gitlab:acme/group/bot@release/1", true),
            ("acme/bot", false),
            ("github:acme/bot", false),
            ("https://github.com/acme/bot", false),
            ("github:acme/@main", false),
            ("", false),
        ] {
            assert_eq!(is_named(text), named, "{text}");
        }
    }

    #[test]
    fn the_remote_stands_in_for_a_repository_that_is_not_named() {
        let git = GitSeen { remote: Some("acme/bot".to_owned()), ..GitSeen::default() };
        let manifest = json!({"systems": {"kb": {"repository": "github:acme/kb@main"}, "shop": {}}});
        assert_eq!(repositories(&manifest, Some(&git)), ["github:acme/bot@main", "github:acme/kb@main"]);
        assert_eq!(repositories(&manifest, None), ["github:acme/kb@main"]);
        let stated = json!({"change": {"repository": "github:acme/other@live"}});
        assert_eq!(repositories(&stated, Some(&git)), ["github:acme/other@live"]);
    }

    fn seen(owners: &str, options: &Options) -> Value {
        let texts = BTreeMap::from([("CODEOWNERS".to_owned(), Arc::from(owners))]);
        let files = Files::texts(texts);
        let shelf = Shelf::new(&files, "bot/agentready.yaml");
        let built = [(Part::Prompts, "prompts/a.md".to_owned()), (Part::Scenarios, "evals/a.yaml".to_owned())];
        facts(&shelf, &json!({"change": {"repository": "github:acme/bot@main"}}), &built, (options, Some(true)))
    }

    #[test]
    fn what_is_not_known_says_why_and_files_without_an_owner_are_named() {
        let plain = Options::default();
        let offline = Options { offline: true, ..Options::default() };
        let refused = Fetched {
            branch_rules: BTreeMap::from([("github:acme/bot@main".to_owned(), Err("403".to_owned()))]),
            ..Fetched::default()
        };
        let refused = Options { fetched: refused, ..Options::default() };
        for (options, why) in [
            (&plain, "without GITHUB_TOKEN nobody asked GitHub"),
            (&offline, "the network is left alone"),
            (&refused, "403"),
        ] {
            let seen = seen("", options);
            assert_eq!((&seen[0]["known"], &seen[0]["why"]), (&json!(false), &json!(why)));
        }
        for (owners, unowned) in [
            ("", json!(["bot/agentready.yaml", "bot/prompts/a.md"])),
            ("/bot/prompts/ @acme/x", json!(["bot/agentready.yaml"])),
            ("* @acme/x\n/bot/prompts/\n", json!(["bot/prompts/a.md"])),
            ("* @acme/x", json!([])),
        ] {
            assert_eq!(seen(owners, &plain)[0]["unowned"], unowned, "{owners}");
        }
    }
}
