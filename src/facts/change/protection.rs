//! Repositories whose content is a permission: the agent's own and those of the systems, with the rules of their
//! branches as the caller fetched them, and the files of the build that no code owner has. Must not judge.
//!
//! `facts.repositories`: `repository` (`github:owner/name@branch`), `own`, `named` (whether it has that form), `known`
//! (else `why`), `pull_request`, `reviews`, `code_owners`, `force_push`, `checks`, `release_required`, `unowned`, and
//! `exported` (the day, when an exported file says it and not the host's answer), `unseen` when the branch has protection of the older kind that the token may not read; who may `bypass` the rules, as far
//! as the token may read it, and those of them who must not (`bypassed_by`: everybody, the agent itself).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    super::{Options, Shelf, document, owners},
    branch::{BranchRules, Export, Protection},
    git::GitSeen,
    pins::Part,
};
use crate::source::Files;

/// Credentials of the agent that hold the token with which GitHub is asked.
const TOKENS: [&str; 2] = ["env:GITHUB_TOKEN", "env:GH_TOKEN"];

/// Most files that are named in one fact.
const NAMED: usize = 12;

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
    (options, exports, release_required): (&Options, &Exports, Option<bool>),
) -> Value {
    let own = own_repository(manifest, options.fetched.git.as_ref()).unwrap_or_default();
    let first = described(
        &own,
        (options, exports),
        manifest,
        json!({"at": "/change/repository", "own": true, "release_required": release_required, "unowned": unowned(shelf, built),
            "owners": !owners::parsed(shelf).is_empty()}),
    );
    let others = of_systems(manifest).map(|(name, repository)| {
        let at = crate::source::Route::pointer("/systems").join(name).join("repository");
        described(repository, (options, exports), manifest, json!({"at": at.as_str(), "own": false, "unowned": []}))
    });
    std::iter::once(first).chain(others).collect()
}

/// What exported files say, by repository; and what is wrong with the first that can't be read.
pub(super) struct Exports {
    read: BTreeMap<String, Export>,
    broken: Option<String>,
}

/// Reads the files of `change.branch_rules`.
pub(super) fn exports(shelf: &Shelf<'_>, manifest: &Value) -> Exports {
    let mut exports = Exports { read: BTreeMap::new(), broken: None };
    let patterns = document::each_text(manifest, "change.branch_rules");
    for path in patterns.into_iter().flat_map(|pattern| shelf.matching(pattern)) {
        let read = shelf.open(&path).map_err(|error| error.to_string()).and_then(Export::read);
        match read {
            Ok(export) => drop(exports.read.insert(export.repository.clone(), export)),
            Err(why) => drop(exports.broken.get_or_insert(format!("`{path}` is no export of branch rules: {why}"))),
        }
    }
    exports
}

/// What is known of a branch, and how.
pub(super) struct Known {
    /// What it demands or why that is not known; nothing when nobody asked and no file says it.
    pub(super) rules: Option<BranchRules>,
    /// The day of the exported file that says it.
    pub(super) exported: Option<String>,
}

/// What the host answered, else what was exported.
pub(super) fn known(repository: &str, options: &Options, exports: &Exports) -> Known {
    let asked = options.fetched.branch_rules.get(repository);
    match (asked, exports.read.get(repository)) {
        (Some(Ok(_)), _) | (_, None) => Known { rules: asked.cloned(), exported: None },
        (_, Some(export)) => Known { rules: Some(Ok(export.demand())), exported: Some(export.exported.to_string()) },
    }
}

fn described(repository: &str, (options, exports): (&Options, &Exports), manifest: &Value, mut fact: Value) -> Value {
    let is_github = repository.starts_with("github:");
    let unasked = if let Some(broken) = &exports.broken {
        broken.as_str()
    } else if options.offline {
        "the network is left alone"
    } else if is_github {
        "without GITHUB_TOKEN nobody asked GitHub"
    } else {
        "only GitHub can be asked"
    };
    let Known { rules, exported } = known(repository, options, exports);
    let (rules, why) = match rules {
        Some(Ok(rules)) => (Some(rules), None),
        Some(Err(why)) => (None, Some(why)),
        None => (None, Some(unasked.to_owned())),
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
        fact.extend(exported.map(|day| ("exported".to_owned(), day.into())));
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

    use super::{
        super::super::Shelf, BranchRules, Part, Protection, exports as exports_of, facts, is_named, repositories,
    };
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
        exported(owners, &[], options)
    }

    fn exported(owners: &str, exports: &[(&str, &str)], options: &Options) -> Value {
        let mut texts = BTreeMap::from([("CODEOWNERS".to_owned(), Arc::from(owners))]);
        texts.extend(exports.iter().map(|(name, text)| (format!("bot/rules/{name}"), Arc::from(*text))));
        let files = Files::texts(texts);
        let shelf = Shelf::new(&files, "bot/agentready.yaml");
        let built = [(Part::Prompts, "prompts/a.md".to_owned()), (Part::Scenarios, "evals/a.yaml".to_owned())];
        let manifest = json!({"change": {"repository": "github:acme/bot@main", "branch_rules": ["rules/*.json"]}});
        facts(&shelf, &manifest, &built, (options, &exports_of(&shelf, &manifest), Some(true)))
    }

    #[test]
    fn an_exported_file_speaks_where_the_host_did_not() {
        let export =
            r#"{"repository": "github:acme/bot@main", "exported": "2026-11-20", "rules": [{"type": "pull_request"}]}"#;
        let other = r#"{"repository": "github:acme/kb@main", "exported": "2026-11-20", "rules": []}"#;
        let said = |answer: BranchRules| {
            let branch_rules = BTreeMap::from([("github:acme/bot@main".to_owned(), answer)]);
            Options { fetched: Fetched { branch_rules, ..Fetched::default() }, ..Options::default() }
        };
        let (answered, refused) = (said(Ok(Protection::default())), said(Err("404".to_owned())));
        for (files, options, known, day, pull_request) in [
            (vec![("bot.json", export)], &Options::default(), true, json!("2026-11-20"), true),
            (vec![("bot.json", export)], &refused, true, json!("2026-11-20"), true),
            (vec![("bot.json", export)], &answered, true, json!(null), false),
            (vec![("kb.json", other)], &Options::default(), false, json!(null), false),
            (vec![("kb.json", other)], &refused, false, json!(null), false),
        ] {
            let seen = &exported("", &files, options)[0];
            let found = (&seen["known"], &seen["exported"], &seen["pull_request"]);
            assert_eq!(found, (&json!(known), &day, &json!(pull_request)), "{files:?}");
        }
        let broken = &exported("", &[("bot.json", "[]")], &Options::default())[0];
        let why = broken["why"].as_str().expect("says why");
        assert!(why.starts_with("`rules/bot.json` is no export of branch rules: "), "{why}");
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
