//! What a branch demands of a change, in the words of GitHub's API: as it answers, or as a file holds its answers.
//!
//! ```json
//! {"repository": "github:acme/refund-agent@main", "exported": "2026-11-20",
//!  "rules": [{"type": "non_fast_forward"}],  "branch": {}, "protection": {}, "rulesets": []}
//! ```
//!
//! | key | the answer to GET /repos/{owner}/{name}/… |
//! |---|---|
//! | `rules` | `rules/branches/{branch}` |
//! | `branch`, `protection` | `branches/{branch}` and `branches/{branch}/protection`: the older kind |
//! | `rulesets` | `rulesets/{id}` of each that `rules` names: who may pass by them |
//!
//! Rules of another host can be written in the same words. Must not ask anybody.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    manifest::raw::Day,
    source::{SourceFile, load_text},
};

/// Kinds of rules that keep a change from coming in unseen.
const GUARDS: [&str; 3] = ["pull_request", "required_status_checks", "non_fast_forward"];

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

/// What the host says of a branch.
#[derive(Clone, Debug, Default)]
pub struct BranchAnswers {
    /// The rules that rulesets make for it.
    pub rules: Value,
    /// The branch itself.
    pub branch: Value,
    /// Its protection of the older kind; nothing when the token may not read it.
    pub protection: Option<Value>,
    /// The rulesets that could be read.
    pub rulesets: Vec<Value>,
}

impl BranchAnswers {
    /// The rulesets that the rules of the branch come from.
    pub fn ruleset_ids(&self) -> BTreeSet<u64> {
        let rules = self.rules.as_array().into_iter().flatten();
        rules.filter_map(|rule| rule.get("ruleset_id")?.as_u64()).collect()
    }

    /// What all of it demands of a change.
    pub fn demand(&self) -> Protection {
        let ids = self.rulesets.iter().filter_map(|set| Some((set.get("id")?.as_u64()?, set.clone())));
        let (sets, detail) = (ids.collect(), self.protection.as_ref());
        bypassed(demanded(&self.rules, &self.branch, detail), (&self.rules, &sets), detail)
    }
}

/// The answers as a file keeps them.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Export {
    /// `host:owner/name@branch`.
    pub(super) repository: String,
    /// The day on which the host gave them.
    pub(super) exported: Day,
    rules: Vec<Value>,
    #[serde(default)]
    branch: Value,
    protection: Option<Value>,
    #[serde(default)]
    rulesets: Vec<Value>,
}

impl Export {
    pub(super) fn read(file: SourceFile) -> Result<Self, String> {
        load_text::<Self>(file).map(|loaded| loaded.value).map_err(|problems| problems.to_string())
    }

    /// What the branch demanded on that day. Who exported it says nothing of the agent.
    pub(super) fn demand(&self) -> Protection {
        let answers = BranchAnswers {
            rules: Value::Array(self.rules.clone()),
            branch: self.branch.clone(),
            protection: self.protection.clone(),
            rulesets: self.rulesets.clone(),
        };
        Protection { asker: false, ..answers.demand() }
    }
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::{Export, Protection, bypassed};
    use crate::source::SourceFile;

    fn read(text: &str) -> Result<Export, String> {
        Export::read(SourceFile::new("branch.json", text))
    }

    #[test]
    fn an_export_says_what_the_host_said_and_on_which_day() {
        let text = r#"{"repository": "github:acme/bot@main", "exported": "2026-11-20", "rules": [
            {"type": "pull_request", "ruleset_id": 7, "parameters": {"required_approving_review_count": 1, "require_code_owner_review": true}},
            {"type": "required_status_checks", "ruleset_id": 7, "parameters": {"required_status_checks": [{"context": "gate"}]}}],
            "rulesets": [{"id": 7, "current_user_can_bypass": "always", "bypass_actors": [{"actor_type": "RepositoryRole", "actor_id": 4}]}]}"#;
        let export = read(text).expect("reads");
        assert_eq!(
            (export.repository.as_str(), export.exported.to_string().as_str()),
            ("github:acme/bot@main", "2026-11-20")
        );
        let seen = export.demand();
        assert!(seen.pull_request && seen.code_owners && seen.force_push && seen.open, "{seen:?}");
        assert!(!seen.asker, "who exported it is not the agent");
        assert_eq!((seen.reviews, seen.checks.as_slice()), (1, &["gate".to_owned()][..]));
        for wrong in [
            r#"{"repository": "github:acme/bot@main", "rules": []}"#,
            r#"{"repository": "github:acme/bot@main", "exported": "soon", "rules": []}"#,
            r#"{"repository": "github:acme/bot@main", "exported": "2026-11-20", "rules": {"message": "Not Found"}}"#,
            "[]",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
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
