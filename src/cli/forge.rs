//! Asks GitHub what branches demand before they take a change, when a token is given. Must not print or keep the token.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures_util::future::join_all;
use reqwest::header::HeaderMap;
use serde_json::Value;

use super::receipts::Receipts;
use crate::facts::{BranchRules, Protection};

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Variables that hold a token, as GitHub's own tools name them.
const TOKENS: [&str; 2] = ["GITHUB_TOKEN", "GH_TOKEN"];

/// Kinds of rules that keep a change from coming in unseen.
const GUARDS: [&str; 3] = ["pull_request", "required_status_checks", "non_fast_forward"];

/// What each `github:owner/name@branch` demands; nothing without a token, and nothing of other hosts.
pub(crate) async fn branch_rules(
    repositories: &[String],
    env: &BTreeMap<String, String>,
    receipts: &Receipts,
) -> BTreeMap<String, BranchRules> {
    let token = TOKENS.iter().find_map(|name| env.get(*name)).filter(|token| !token.is_empty());
    let Some(token) = token else { return BTreeMap::new() };
    let base = env.get("GITHUB_API_URL").map_or("https://api.github.com", String::as_str).trim_end_matches('/');
    let asked = repositories.iter().filter_map(|repository| {
        let (path, branch) = place(repository)?;
        Some(async move { (repository.clone(), rules_of(base, path, branch, token, (repository, receipts)).await) })
    });
    join_all(asked).await.into_iter().collect()
}

async fn rules_of(
    base: &str,
    path: &str,
    branch: &str,
    token: &str,
    (repository, receipts): (&str, &Receipts),
) -> BranchRules {
    let branch = branch.replace('/', "%2F");
    let (rules, branches) =
        (format!("{base}/repos/{path}/rules/branches/{branch}"), format!("{base}/repos/{path}/branches/{branch}"));
    let detail = format!("{branches}/protection");
    let (rules, classic, detail) = tokio::join!(get(&rules, token), get(&branches, token), get(&detail, token));
    if let Some((_, headers)) = rules.as_ref().ok().or(classic.as_ref().ok()) {
        receipts.keep(repository, headers);
    }
    let [rules, classic, detail] = [rules, classic, detail].map(|answer| answer.map(|(answer, _)| answer));
    match (rules, classic) {
        (Err(why), Err(_)) => Err(why),
        (rules, classic) => {
            let (rules, classic, detail) = (rules.unwrap_or_default(), classic.unwrap_or_default(), detail.ok());
            let asked = rulesets(&rules).into_iter().map(|id| {
                let url = format!("{base}/repos/{path}/rulesets/{id}");
                async move { Some((id, get(&url, token).await.ok()?.0)) }
            });
            let sets = join_all(asked).await.into_iter().flatten().collect();
            Ok(bypassed(demanded(&rules, &classic, detail.as_ref()), (&rules, &sets), detail.as_ref()))
        }
    }
}

/// Owner with name, and branch; every part plain enough for an address.
fn place(repository: &str) -> Option<(&str, &str)> {
    let (path, branch) = repository.strip_prefix("github:")?.split_once('@')?;
    let plain = |text: &str, extra: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c) || extra.contains(c))
    };
    let (owner, name) = path.split_once('/')?;
    (plain(owner, "") && plain(name, "") && plain(branch, "/") && !repository.contains("..")).then_some((path, branch))
}

/// Rulesets (an array of rules) and the older branch protection, whose details only some tokens may read.
fn demanded(rules: &Value, classic: &Value, detail: Option<&Value>) -> Protection {
    let of = |kind: &'static str| {
        let rules = rules.as_array().into_iter().flatten();
        rules.filter(move |rule| rule.get("type").and_then(Value::as_str) == Some(kind))
    };
    let listed = of("required_status_checks")
        .filter_map(|rule| rule.pointer("/parameters/required_status_checks")?.as_array())
        .flatten()
        .filter_map(|check| check.get("context")?.as_str());
    let contexts = classic.pointer("/protection/required_status_checks/contexts").and_then(Value::as_array);
    let mut checks: Vec<String> =
        listed.chain(contexts.into_iter().flatten().filter_map(Value::as_str)).map(str::to_owned).collect();
    checks.sort();
    checks.dedup();
    let older = detail.and_then(|detail| detail.get("required_pull_request_reviews"));
    let reviews = |rule: &Value, key: &str| rule.get(key).and_then(Value::as_u64).unwrap_or(0);
    let holds = |rule: &Value, key: &str| rule.get(key).and_then(Value::as_bool) == Some(true);
    let parameters = || of("pull_request").filter_map(|rule| rule.get("parameters"));
    let pulls = parameters().chain(older);
    let asks_owner = parameters().any(|rule| holds(rule, "require_code_owner_review"))
        || older.is_some_and(|rule| holds(rule, "require_code_owner_reviews"));
    let forbids_force =
        detail.and_then(|detail| detail.pointer("/allow_force_pushes/enabled")) == Some(&Value::Bool(false));
    Protection {
        checks,
        pull_request: of("pull_request").next().is_some() || older.is_some(),
        reviews: pulls.map(|rule| reviews(rule, "required_approving_review_count")).max().unwrap_or(0),
        code_owners: asks_owner,
        force_push: of("non_fast_forward").next().is_none() && !forbids_force,
        unseen: classic.pointer("/protection/enabled") == Some(&Value::Bool(true)) && detail.is_none(),
        ..Protection::default()
    }
}

/// The rulesets that rules of a branch come from.
fn rulesets(rules: &Value) -> BTreeSet<u64> {
    let rules = rules.as_array().into_iter().flatten();
    rules.filter_map(|rule| rule.get("ruleset_id")?.as_u64()).collect()
}

/// Adds who may pass by the rules, as far as the token may read it (`bypass_actors` is shown to those who may write
/// the ruleset, `current_user_can_bypass` to everybody).
fn bypassed(
    mut protection: Protection,
    (rules, sets): (&Value, &BTreeMap<u64, Value>),
    detail: Option<&Value>,
) -> Protection {
    let holders = ["users", "teams", "apps"].iter().filter_map(|kind| {
        detail?.pointer(&format!("/required_pull_request_reviews/bypass_pull_request_allowances/{kind}"))?.as_array()
    });
    let named = holders.flatten().filter_map(|one| one.get("login").or_else(|| one.get("slug"))?.as_str());
    let actors = sets.values().filter_map(|set| set.get("bypass_actors")?.as_array()).flatten();
    let all: BTreeSet<String> = named.map(str::to_owned).chain(actors.map(actor)).collect();
    protection.bypass = all.into_iter().collect();
    // A rule that another ruleset makes as well holds all the same.
    let may = |passes: &dyn Fn(&Value) -> bool| {
        GUARDS.iter().any(|kind| {
            let rules = rules.as_array().into_iter().flatten();
            let mut of = rules.filter(|rule| rule.get("type").and_then(Value::as_str) == Some(kind)).peekable();
            let is_passed = |rule: &Value| {
                rule.get("ruleset_id").and_then(Value::as_u64).and_then(|id| sets.get(&id)).is_some_and(passes)
            };
            of.peek().is_some() && detail.is_none() && of.all(is_passed)
        })
    };
    protection.open = may(&|set| {
        let actors = set.get("bypass_actors").and_then(Value::as_array).into_iter().flatten();
        actors.into_iter().any(is_everybody)
    });
    protection.asker =
        may(&|set| set.get("current_user_can_bypass").and_then(Value::as_str).is_some_and(|how| how != "never"));
    protection
}

/// One who may pass by a ruleset, in words.
fn actor(actor: &Value) -> String {
    let id = actor.get("actor_id").and_then(Value::as_u64).unwrap_or_default();
    match (actor.get("actor_type").and_then(Value::as_str).unwrap_or_default(), id) {
        ("OrganizationAdmin", _) => "admins of the organization".to_owned(),
        ("RepositoryRole", 5) => "admins of the repository".to_owned(),
        ("RepositoryRole", 2) => "its maintainers".to_owned(),
        ("RepositoryRole", _) if is_everybody(actor) => "everybody who may write".to_owned(),
        ("DeployKey", _) => "deploy keys".to_owned(),
        ("Integration", id) => format!("app {id}"),
        ("Team", id) => format!("team {id}"),
        ("User", id) => format!("user {id}"),
        (_, id) => format!("role {id}"),
    }
}

/// Whether this is a role that everybody has who may push at all: read, triage or write, and not maintain or admin.
fn is_everybody(actor: &Value) -> bool {
    let id = actor.get("actor_id").and_then(Value::as_u64);
    actor.get("actor_type").and_then(Value::as_str) == Some("RepositoryRole") && matches!(id, Some(1 | 3 | 4))
}

async fn get(url: &str, token: &str) -> Result<(Value, HeaderMap), String> {
    let client = crate::agent::plain_client(url).ok_or_else(|| "the address of GitHub's API is no URL".to_owned())?;
    let said = |error: reqwest::Error| error.without_url().to_string();
    let request = client
        .get(url)
        .bearer_auth(token)
        .header("accept", "application/vnd.github+json")
        .header("user-agent", concat!("agentready/", env!("CARGO_PKG_VERSION")));
    let answer = async {
        let response = request.send().await.and_then(reqwest::Response::error_for_status).map_err(said)?;
        let headers = response.headers().clone();
        Ok((response.json().await.map_err(said)?, headers))
    };
    tokio::time::timeout(PATIENCE, answer).await.unwrap_or_else(|_| Err("no answer within 5s".to_owned()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use axum::{Json, Router, http::StatusCode, routing::get};
    use serde_json::json;

    use super::{super::receipts::Receipts, branch_rules, bypassed, place};
    use crate::facts::Protection;

    #[test]
    fn a_repository_is_read_only_when_it_is_plain() {
        assert_eq!(place("github:acme/refund-agent@main"), Some(("acme/refund-agent", "main")));
        assert_eq!(place("github:acme/refund-agent@release/v1"), Some(("acme/refund-agent", "release/v1")));
        for wrong in
            ["gitlab:a/b@main", "github:a/b", "github:a/b@", "github:a@main", "github:a/../c@x", "github:a/b?c@x"]
        {
            assert_eq!(place(wrong), None, "{wrong}");
        }
    }

    async fn served(rules: Router) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        tokio::spawn(async move { axum::serve(listener, rules).await });
        format!("http://{address}")
    }

    fn env(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
        entries.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[tokio::test]
    async fn rulesets_and_classic_protection_are_both_read() {
        let rules = json!([{"type": "deletion"}, {"type": "non_fast_forward"},
            {"type": "pull_request", "parameters": {"required_approving_review_count": 1, "require_code_owner_review": true}},
            {"type": "required_status_checks", "parameters": {"required_status_checks": [{"context": "gate"}]}}]);
        let classic =
            json!({"protection": {"enabled": true, "required_status_checks": {"contexts": ["lint", "gate"]}}});
        let old = json!({"allow_force_pushes": {"enabled": false},
            "required_pull_request_reviews": {"required_approving_review_count": 2, "require_code_owner_reviews": false}});
        let none = json!([]);
        let hidden = classic.clone();
        let router = Router::new()
            .route("/repos/acme/bot/rules/branches/main", get(|| async move { Json(rules) }))
            .route("/repos/acme/bot/branches/main", get(|| async move { Json(classic) }))
            .route("/repos/acme/bot/branches/main/protection", get(|| async move { Json(old) }))
            .route("/repos/acme/shy/rules/branches/main", get(|| async move { Json(none) }))
            .route("/repos/acme/shy/branches/main", get(|| async move { Json(hidden) }))
            .fallback(|| async { StatusCode::NOT_FOUND });
        let base = served(router).await;
        let with = env(&[("GITHUB_TOKEN", "t"), ("GITHUB_API_URL", &base)]);
        let all = ["bot", "shy", "other"].map(|name| format!("github:acme/{name}@main"));
        let receipts = Receipts::new(jiff::Timestamp::UNIX_EPOCH, std::time::Instant::now());
        let seen = branch_rules(&all, &with, &receipts).await;
        let both = Protection {
            checks: vec!["gate".to_owned(), "lint".to_owned()],
            pull_request: true,
            reviews: 2,
            code_owners: true,
            force_push: false,
            ..Protection::default()
        };
        assert_eq!(seen[&all[0]], Ok(both));
        assert_eq!(receipts.taken().into_keys().collect::<Vec<_>>(), all[..2], "who answered has a receipt");
        let shy = seen[&all[1]].clone().expect("answered");
        assert!(shy.unseen && shy.reviews == 0 && shy.force_push, "{shy:?}");
        let why = seen[&all[2]].clone().expect_err("not found");
        assert!(why.contains("404") && !why.contains("acme"), "{why}");
        assert!(branch_rules(&all, &env(&[]), &receipts).await.is_empty(), "no token, no question");
        assert!(
            branch_rules(&["gitlab:a/b@main".to_owned()], &with, &receipts).await.is_empty(),
            "GitHub alone is asked"
        );
    }

    #[test]
    fn a_rule_is_open_when_everybody_may_pass_by_every_ruleset_that_makes_it() {
        let rule = |id: u64| json!({"type": "pull_request", "ruleset_id": id});
        let set =
            |actors: serde_json::Value, mine: &str| json!({"bypass_actors": actors, "current_user_can_bypass": mine});
        let everybody = json!([{"actor_type": "RepositoryRole", "actor_id": 4, "bypass_mode": "always"}]);
        let admins =
            json!([{"actor_type": "RepositoryRole", "actor_id": 5}, {"actor_type": "Integration", "actor_id": 77}]);
        let sets = BTreeMap::from([(1, set(everybody, "never")), (2, set(admins, "always")), (3, json!({}))]);
        let detail = json!({"required_pull_request_reviews": {"bypass_pull_request_allowances": {"apps": [{"slug": "svc-bot"}]}}});
        for (rules, detail, open, asker) in [
            (json!([rule(1)]), None, true, false),
            (json!([rule(1), rule(2)]), None, false, false),
            (json!([rule(2)]), None, false, true),
            (json!([rule(3)]), None, false, false),
            (json!([rule(9)]), None, false, false),
            (json!([{"type": "deletion", "ruleset_id": 1}]), None, false, false),
            (json!([rule(1)]), Some(&detail), false, false),
            (json!([]), None, false, false),
        ] {
            let seen = bypassed(Protection::default(), (&rules, &sets), detail);
            assert_eq!((seen.open, seen.asker), (open, asker), "{rules}");
        }
        let seen = bypassed(Protection::default(), (&json!([rule(1)]), &sets), Some(&detail));
        assert_eq!(seen.bypass, ["admins of the repository", "app 77", "everybody who may write", "svc-bot"]);
    }
}
