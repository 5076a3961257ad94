//! Asks GitHub what branches demand before they take a change, when a token is given. Must not print or keep the token.

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::join_all;
use reqwest::header::HeaderMap;
use serde_json::Value;

use super::receipts::Receipts;
use crate::facts::{BranchAnswers, BranchRules};

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Variables that hold a token, as GitHub's own tools name them.
const TOKENS: [&str; 2] = ["GITHUB_TOKEN", "GH_TOKEN"];

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
            let mut answers = BranchAnswers {
                rules: rules.unwrap_or_default(),
                branch: classic.unwrap_or_default(),
                protection: detail.ok(),
                rulesets: Vec::new(),
            };
            let asked = answers.ruleset_ids().into_iter().map(|id| {
                let url = format!("{base}/repos/{path}/rulesets/{id}");
                async move { Some(get(&url, token).await.ok()?.0) }
            });
            answers.rulesets = join_all(asked).await.into_iter().flatten().collect();
            Ok(answers.demand())
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

    use super::{super::receipts::Receipts, branch_rules, place};
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
}
