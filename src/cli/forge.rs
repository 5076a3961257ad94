//! Asks GitHub which checks the release branch requires, when a token is given. Must not print or keep the token.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

use crate::facts::BranchRules;

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Variables that hold a token, as GitHub's own tools name them.
const TOKENS: [&str; 2] = ["GITHUB_TOKEN", "GH_TOKEN"];

/// Names of the required checks of `github:owner/name@branch`; nothing when there is no token or no such repository.
pub(crate) async fn branch_rules(repository: &str, env: &BTreeMap<String, String>) -> Option<BranchRules> {
    let token = TOKENS.iter().find_map(|name| env.get(*name)).filter(|token| !token.is_empty())?;
    let (path, branch) = place(repository)?;
    let base = env.get("GITHUB_API_URL").map_or("https://api.github.com", String::as_str).trim_end_matches('/');
    let branch = branch.replace('/', "%2F");
    let rules = get(&format!("{base}/repos/{path}/rules/branches/{branch}"), token).await;
    let classic = get(&format!("{base}/repos/{path}/branches/{branch}"), token).await;
    Some(match (rules, classic) {
        (Err(why), Err(_)) => Err(why),
        (rules, classic) => Ok(required(&rules.unwrap_or_default(), &classic.unwrap_or_default())),
    })
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

/// Check names in rulesets and in classic branch protection.
fn required(rules: &Value, classic: &Value) -> Vec<String> {
    let rules = rules.as_array().into_iter().flatten();
    let listed = rules
        .filter(|rule| rule.get("type").and_then(Value::as_str) == Some("required_status_checks"))
        .filter_map(|rule| rule.pointer("/parameters/required_status_checks")?.as_array())
        .flatten()
        .filter_map(|check| check.get("context")?.as_str());
    let contexts = classic.pointer("/protection/required_status_checks/contexts").and_then(Value::as_array);
    let mut names: Vec<String> =
        listed.chain(contexts.into_iter().flatten().filter_map(Value::as_str)).map(str::to_owned).collect();
    names.sort();
    names.dedup();
    names
}

async fn get(url: &str, token: &str) -> Result<Value, String> {
    let client = crate::agent::plain_client(url).ok_or_else(|| "the address of GitHub's API is no URL".to_owned())?;
    let said = |error: reqwest::Error| error.without_url().to_string();
    let request = client
        .get(url)
        .bearer_auth(token)
        .header("accept", "application/vnd.github+json")
        .header("user-agent", concat!("agentready/", env!("CARGO_PKG_VERSION")));
    let answer = async {
        let response = request.send().await.and_then(reqwest::Response::error_for_status).map_err(said)?;
        response.json().await.map_err(said)
    };
    tokio::time::timeout(PATIENCE, answer).await.unwrap_or_else(|_| Err("no answer within 5s".to_owned()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use axum::{Json, Router, http::StatusCode, routing::get};
    use serde_json::json;

    use super::{branch_rules, place};

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
        let rules = json!([{"type": "deletion"}, {"type": "required_status_checks",
            "parameters": {"required_status_checks": [{"context": "gate"}]}}]);
        let classic = json!({"protection": {"required_status_checks": {"contexts": ["lint", "gate"]}}});
        let router = Router::new()
            .route("/repos/acme/bot/rules/branches/main", get(|| async move { Json(rules) }))
            .route("/repos/acme/bot/branches/main", get(|| async move { Json(classic) }))
            .fallback(|| async { StatusCode::NOT_FOUND });
        let base = served(router).await;
        let with = env(&[("GITHUB_TOKEN", "t"), ("GITHUB_API_URL", &base)]);
        let names = branch_rules("github:acme/bot@main", &with).await.expect("asked").expect("answered");
        assert_eq!(names, ["gate", "lint"]);
        let why = branch_rules("github:acme/other@main", &with).await.expect("asked").expect_err("not found");
        assert!(why.contains("404") && !why.contains("acme"), "{why}");
        assert!(branch_rules("github:acme/bot@main", &env(&[])).await.is_none(), "no token, no question");
    }
}
