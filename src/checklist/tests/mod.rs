//! Every shipped check against its own examples, and the tables of rungs, waivers, thresholds and profiles.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use proptest::prelude::{ProptestConfig, prop_assert, proptest};
use serde_json::{Value, json};

use super::{
    Assessment, Autonomy, Catalogue, CheckFile, Example, Examples, Framework, ManifestView, ProfileFile, RuleResult,
    Rung, Threshold, WaiverClaim, WaiverState, assess, catalogue, explain, framework, framework_named, frameworks,
    list, profiles, resolve, select, sound, thresholds,
};
use crate::{
    expr::Expr,
    source::{Files, SourceFile, load_text, render},
};

mod causes;
mod cost;
mod examples;
mod flaws;
mod guards;
mod told;

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(Catalogue::embedded);

fn evidence(example: &Example) -> Value {
    sound::with(example).expect("the merged manifest loads").evidence
}

fn assessed(document: &Value, waivers: Vec<WaiverClaim>, names: &[&str]) -> Assessment {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let agent = sound::with(&Example::default()).expect("loads");
    let manifest = ManifestView {
        profiles: select(&names).expect("known"),
        non_negotiables: vec!["change/versions-pinned".to_owned()],
        ..agent.view(waivers)
    };
    assess(&CATALOGUE, &mut document.clone(), &manifest)
}

fn result<'a>(assessment: &'a Assessment, id: &str) -> &'a super::CheckResult {
    assessment.checks.iter().find(|check| check.id == id).expect("asked")
}

#[test]
fn every_shipped_check_loads_and_has_examples_and_sources() {
    let catalogue = Catalogue::embedded();
    let known = thresholds();
    let source = regex::Regex::new("^00[0-4]/[0-9A-Z]+\\.[0-9]*[a-z]?$").expect("valid");
    for id in catalogue.ids() {
        let check = catalogue.get(id).expect("listed");
        let whole = catalogue.file(id).expect("listed");
        assert!(!whole.examples.trips.is_empty(), "{id} has an example that trips it");
        assert!(!whole.examples.passes.is_empty(), "{id} has an example that passes");
        let rest = CheckFile { examples: Examples::default(), ..whole };
        let (rest, asked) = (json!(rest), json!(*check.file));
        assert_eq!(rest, asked, "{id}: nothing comes after the examples, which a check is compiled without");
        assert!(
            check.file.sources.iter().all(|s| source.is_match(s)) && !check.file.sources.is_empty(),
            "{id} sources"
        );
        assert!(check.file.thresholds.iter().all(|name| known.contains_key(name)), "{id} thresholds");
        let area = id.split('/').next().expect("has an area");
        assert_eq!(catalogue.path(id), Some(format!("checks/{id}.yaml").as_str()), "{area}");
    }
    insta::assert_snapshot!("ids", catalogue.ids().collect::<Vec<_>>().join("\n"));
}

#[test]
fn every_shipped_file_has_its_shape() {
    for id in CATALOGUE.ids() {
        let file = CATALOGUE.source(id).expect("listed");
        let loaded = load_text::<CheckFile>(file).expect(id);
        // Which a shipped check leaves for later: its templates are parsed, too.
        assert!(super::check::Check::compile(id, &loaded).is_ok(), "{id}");
        let built = json!(CATALOGUE.file(id).expect("listed"));
        assert_eq!(built, json!(loaded.value), "the build reads {id} in another way");
    }
    let data = |folder: &str| {
        let paths = catalogue::names(folder).into_iter().map(move |name| format!("{folder}/{name}.yaml"));
        paths.map(|path: String| catalogue::data(&path).expect("listed")).collect::<Vec<_>>()
    };
    for file in data("profiles") {
        let name = file.name().to_owned();
        assert!(load_text::<ProfileFile>(file).is_ok(), "{name}");
    }
    for file in data("frameworks") {
        let name = file.name().to_owned();
        assert!(load_text::<Framework>(file).is_ok(), "{name}");
    }
    let numbers = catalogue::data("thresholds.yaml").expect("shipped");
    assert!(load_text::<BTreeMap<String, Threshold>>(numbers).is_ok());
}

#[test]
fn the_sound_agent_meets_every_check() {
    let case = sound::with(&Example::default()).expect("loads");
    let assessment = assess(&CATALOGUE, &mut case.evidence.clone(), &case.view(case.waivers()));
    let unmet: Vec<_> = assessment.checks.iter().filter(|check| !check.met || check.inconclusive).collect();
    assert!(unmet.is_empty(), "{unmet:#?}\n{:#?}", assessment.findings);
    assert!(assessment.findings.is_empty());
    let gate = assessed(&case.evidence, Vec::new(), &["go-no-go"]);
    assert!(gate.rules.iter().all(|rule| rule.met), "{:#?}", gate.rules);
}

#[test]
fn every_check_is_asked_of_every_fixture() {
    for (name, folder, manifest) in [
        ("minimal", "manifests", "minimal.yaml"),
        ("demo", "demo", "agentready.yaml"),
        ("selftest", "selftest", "agentready.yaml"),
        ("coding", "strangers/coding", "agentready.yaml"),
        ("on-call", "strangers/on-call", "agentready.toml"),
        ("rma", "strangers/rma", "agentready.yaml"),
        ("wiki", "strangers/wiki", "agentready.yaml"),
    ] {
        let case = sound::fixture(folder, manifest);
        let assessment = assess(&CATALOGUE, &mut case.evidence.clone(), &case.view(case.waivers()));
        let rows = assessment.checks.iter().map(|check| {
            let doubt = if check.inconclusive { ", inconclusive" } else { "" };
            let head = match (check.applies, check.met) {
                (false, _) => format!("{}: does not apply", check.id),
                (true, true) => format!("{}: {}", check.id, check.rung),
                (true, false) => format!("{}: {} of {}{doubt}", check.id, check.rung, check.needed),
            };
            let own = assessment.findings.iter().filter(|f| f.check.split('#').next() == Some(&check.id));
            own.fold(head, |text, finding| format!("{text}\n  {}: {}", finding.location.file, finding.message))
        });
        insta::assert_snapshot!(format!("fixture-{name}"), rows.collect::<Vec<_>>().join("\n"));
    }
}

#[test]
fn a_manifest_alone_is_never_enough() {
    let example = Example { evidence: json!({"live": false, "metrics": {}, "facts": null}), ..Example::default() };
    let mut document = evidence(&example);
    document["metrics"] = json!({});
    document["drills"] = json!({});
    let assessment = assessed(&document, Vec::new(), &["go-no-go"]);
    assert!(assessment.checks.iter().all(|check| check.rung < Rung::Proven));
    assert!(assessment.checks.iter().any(|check| check.demanded && !check.met));
    assert!(assessment.rules.iter().all(|rule| !rule.met && rule.inconclusive), "{:#?}", assessment.rules);
}

#[test]
fn too_few_prompts_are_not_enough_and_those_not_run_leave_doubt() {
    for (written, is_open) in [(50, false), (1000, true)] {
        let few = json!({"suites": {"adversarial": {"scenarios": written, "clusters": 12}},
            "metrics": {"adversarial_planned": written, "adversarial_run": 50, "adversarial_clusters": 12}});
        let example = Example { evidence: few, ..Example::default() };
        let assessment = assessed(&evidence(&example), Vec::new(), &["go-no-go"]);
        let unmet: Vec<_> = assessment.checks.iter().filter(|check| !check.met).collect();
        assert!(unmet.len() == 1 && unmet.iter().all(|check| check.inconclusive == is_open), "{unmet:#?}");
        let broken: Vec<_> = assessment.rules.iter().filter(|rule| !rule.met).collect();
        assert!(broken.len() == 1 && broken.iter().all(|rule| rule.inconclusive), "{broken:#?}");
        assert_eq!(
            broken.first().map(|rule| rule.says.as_str()),
            Some("at least 1000 adversarial prompts were run to a verdict")
        );
    }
}

#[test]
fn an_expression_that_fails_is_inconclusive_and_never_met() {
    let example = Example { evidence: json!({"metrics": {"category_c": "none"}}), ..Example::default() };
    let assessment = assessed(&evidence(&example), Vec::new(), &["go-no-go"]);
    let seen = result(&assessment, "evals/category-c-zero");
    assert!(!seen.met && seen.inconclusive, "{seen:#?}");
    assert!(seen.evidence.contains("could not be evaluated"), "{}", seen.evidence);
}

fn claim(check: &str, expires: &str) -> WaiverClaim {
    WaiverClaim {
        check: check.to_owned(),
        reason: "due soon".to_owned(),
        approved_by: "lead@acme.example".to_owned(),
        expires: expires.to_owned(),
    }
}

#[test]
fn waivers_lower_one_step_and_say_what_became_of_them() {
    let no_owner = json!({"facts": {"owners": []}});
    let nothing = json!({});
    let exceeded = json!({"metrics": {"max_tool_calls_per_run": 31, "max_tokens_per_run": 999_999}});
    let absent = json!({"agent": {"owner": {}}});
    let rows: [(&Value, WaiverClaim, WaiverState, bool); 11] = [
        (&no_owner, claim("identity/human-owner", "2027-01-31"), WaiverState::Used, true),
        (&no_owner, claim("identity/human-owner", "2026-11-21"), WaiverState::Used, true),
        (&no_owner, claim("identity/human-owner", "2026-11-20"), WaiverState::Expired, false),
        (&no_owner, claim("identity/human-owner", "soon"), WaiverState::Refused, false),
        (
            &no_owner,
            WaiverClaim { reason: " ".into(), ..claim("identity/human-owner", "2027-01-31") },
            WaiverState::Refused,
            false,
        ),
        (&nothing, claim("identity/human-owner", "2027-01-31"), WaiverState::Unused, true),
        (&nothing, claim("identity/human-ownre", "2027-01-31"), WaiverState::Refused, true),
        (&exceeded, claim("budgets/tool-calls-per-run", "2027-01-31"), WaiverState::Refused, false),
        (&exceeded, claim("budgets/tokens-per-run", "2027-01-31"), WaiverState::Used, true),
        (
            &json!({"metrics": {"category_c": 1}}),
            claim("evals/category-c-zero", "2027-01-31"),
            WaiverState::Refused,
            false,
        ),
        (
            &json!({"facts": {"lock": {"parts": {"prompts": {"stale": ["p"]}}}}}),
            claim("change/versions-pinned", "2027-01-31"),
            WaiverState::Refused,
            false,
        ),
    ];
    for (patch, claim, state, met) in rows {
        let example = Example { evidence: patch.clone(), ..Example::default() };
        let assessment = assessed(&evidence(&example), vec![claim.clone()], &["go-no-go"]);
        let waiver = assessment.waivers.first().expect("one per claim");
        assert_eq!(waiver.state, state, "{claim:?}: {}", waiver.why);
        if let Some(check) = assessment.checks.iter().find(|check| check.id == claim.check) {
            assert_eq!(check.met, met, "{claim:?}");
            assert_eq!(check.waived, state == WaiverState::Used);
        }
    }
    let twice = vec![claim("identity/human-owner", "2027-01-31"); 2];
    let example = Example { evidence: absent, ..Example::default() };
    let mut document = evidence(&example);
    document["agent"]["owner"] = json!({});
    let assessment = assessed(&document, twice, &["go-no-go"]);
    assert!(!result(&assessment, "identity/human-owner").met, "two waivers are not two steps");
}

#[test]
fn needs_follow_severity_autonomy_and_ceiling() {
    let catalogue = Catalogue::embedded();
    let rows: Vec<String> = catalogue
        .all()
        .map(|check| {
            let needs = Autonomy::ALL.iter().map(|level| check.need(*level, None).word()).collect::<Vec<_>>();
            format!("{:<38} {:<8} {:<9} {}", check.id, check.file.severity, check.ceiling(), needs.join(" "))
        })
        .collect();
    insta::assert_snapshot!("needs", rows.join("\n"));
}

#[test]
fn wrong_thresholds_are_all_reported_at_their_places() {
    let text = "gate:\n  thresholds:\n    golden_scenario: 250\n    scenario_pass_rate: 0.97\n    ramp_interval: 7\n    \
                category_c: 0.5\n    amount_auto_max: lots\n    judge_agreement: 70%\n";
    let loaded = load_text::<Value>(SourceFile::new("agentready.yaml", text)).expect("is YAML");
    let claims = serde_json::from_value(loaded.value["gate"]["thresholds"].clone()).expect("a map");
    let problems = resolve(&claims, &[]).expect_err("none of them is right");
    let diagnostics: Vec<_> = problems.iter().map(|problem| problem.diagnostic(&loaded.document)).collect();
    insta::assert_snapshot!("thresholds", render(&diagnostics, false));
}

#[test]
fn profiles_load_and_their_expressions_parse() {
    for (name, profile) in profiles() {
        for rule in &profile.rules {
            for text in [&rule.when, &rule.that, &rule.unknown].into_iter().flatten() {
                Expr::parse(text).expect(&name);
            }
            let asks = rule.that.is_some() || !rule.checks.is_empty() || rule.non_negotiables.is_some();
            assert!(asks, "{name}: {} asks nothing", rule.says);
            assert!(rule.unknown.is_none() || rule.waits.is_some(), "{name}: {} waits for nothing", rule.says);
        }
        assert!(profile.includes.iter().all(|other| profiles().contains_key(other)), "{name} includes what exists");
    }
    let wrong = select(&["go-nogo".to_owned(), "whatever".to_owned()]).expect_err("neither exists");
    assert_eq!(wrong.first().and_then(|one| one.near.as_deref()), Some("go-no-go"));
    assert_eq!(wrong.len(), 2);
}

#[test]
fn profiles_demand_what_their_list_demands() {
    let broken = Example {
        evidence: json!({"facts": {"owners": []}, "metrics": {"max_tokens_per_run": null}}),
        ..Example::default()
    };
    let document = evidence(&broken);
    let advisory = assessed(&document, Vec::new(), &["advisory"]);
    assert!(advisory.checks.iter().all(|check| !check.demanded) && advisory.rules.is_empty());
    assert!(advisory.findings.iter().all(|finding| !finding.blocks) && !advisory.findings.is_empty());
    let gate = assessed(&document, Vec::new(), &["go-no-go"]);
    assert!(result(&gate, "budgets/tokens-per-run").demanded, "a major of list 002");
    assert!(!result(&gate, "identity/human-owner").demanded, "a major of list 001 only");
}

#[test]
fn what_was_not_measured_leaves_a_rule_open() {
    let case = sound::with(&Example::default()).expect("loads");
    let rows = |names: &[&str], patch: Value| -> Vec<String> {
        let mut document = case.evidence.clone();
        sound::merge(&mut document, &patch);
        let rules = assessed(&document, Vec::new(), names).rules;
        let word = |rule: &RuleResult| match (rule.met, rule.inconclusive) {
            (true, _) => "holds",
            (false, true) => "open",
            (false, false) => "fails",
        };
        rules.iter().map(|rule| format!("{} {}", rule.says.split(' ').next().unwrap_or_default(), word(rule))).collect()
    };
    let bound = |upper: f64| json!({"metrics": {"critical_error_upper95": upper}});
    let third = |rows: Vec<String>| rows.into_iter().filter(|row| row.starts_with("(c)")).collect::<Vec<_>>();
    assert_eq!(third(rows(&["autopilot"], json!({}))), ["(c) open"], "nobody measured it");
    assert_eq!(third(rows(&["autopilot"], bound(0.0009))), ["(c) holds"]);
    assert_eq!(third(rows(&["autopilot"], bound(0.002))), ["(c) fails"]);
    assert_eq!(third(rows(&["strict"], bound(0.002))), ["(c) fails"], "strict stands for the others");
    let none = json!({"live": false, "metrics": null});
    for name in ["accountability", "agentops", "autopilot", "enterprise", "go-no-go", "strict"] {
        let standing = rows(&[name], none.clone());
        assert!(standing.iter().any(|row| row.ends_with("open")), "{name}: {standing:?}");
        assert!(!standing.iter().any(|row| row.starts_with("at ") && row.ends_with("holds")), "{name}: {standing:?}");
    }
}

#[test]
fn a_rule_says_which_check_keeps_it_and_what_that_waits_for() {
    let loose = json!({"agent": {"owner": null}, "tools": []});
    let document = sound::with(&Example { evidence: loose, ..Example::default() }).expect("loads").evidence;
    let rules = assessed(&document, Vec::new(), &["accountability"]).rules;
    let listed = rules.first().expect("has rules");
    assert!(!listed.met && !listed.inconclusive, "{listed:#?}");
    assert!(listed.checks.contains(&"scope/tool-inventory".to_owned()), "{listed:#?}");
    assert!(listed.stands.contains("scope/tool-inventory stands at absent, proven is asked"), "{}", listed.stands);
}

#[test]
fn a_check_of_some_profiles_is_asked_under_them_only() {
    let text = "title: T\nwhy: W.\nseverity: blocker\nprofiles: [enterprise]\ndeclared: has(agent.seal)\nfinding: F.\n\
                fix: X.\nsources: [house/1]\n";
    let files = Files::texts([("c/team/seal.yaml".to_owned(), Arc::from(text))].into());
    let catalogue = Catalogue::embedded().with_folder(&files, "c").expect("loads");
    let document = evidence(&Example::default());
    let agent = sound::with(&Example::default()).expect("loads");
    for (name, applies, demanded) in [("go-no-go", false, false), ("advisory", true, false), ("enterprise", true, true)]
    {
        let view = ManifestView { profiles: select(&[name.to_owned()]).expect("known"), ..agent.view(Vec::new()) };
        let assessment = assess(&catalogue, &mut document.clone(), &view);
        let seen = result(&assessment, "team/seal");
        assert_eq!((seen.applies, seen.demanded), (applies, demanded), "{name}");
        assert_eq!(assessment.findings.iter().any(|finding| finding.check == "team/seal"), applies, "{name}");
        assert_eq!(seen.evidence.starts_with("not demanded: only profile enterprise"), !applies, "{name}");
    }
    let shown = explain(&catalogue, "team/seal").expect("exists").to_string();
    assert!(shown.contains("Asked for by profile enterprise only"), "{shown}");
    let wrong = text.replace("[enterprise]", "[enterprize]");
    let files = Files::texts([("c/team/seal.yaml".to_owned(), Arc::from(wrong.as_str()))].into());
    let problems = Catalogue::embedded().with_folder(&files, "c").expect_err("no such profile");
    assert!(render(&problems.0, false).contains("there is no profile `enterprize`"));
}

#[test]
fn every_control_that_a_check_names_exists() {
    let known = frameworks();
    assert!(known.len() >= 9, "{:?}", known.keys());
    for (name, framework) in &known {
        assert_eq!(name.split('@').nth(1), Some(framework.version.as_str()), "{name}");
        assert!(framework.applies_from.keys().all(|id| framework.controls.contains_key(id)), "{name}");
    }
    let wrong: Vec<String> = CATALOGUE
        .all()
        .flat_map(|check| {
            let loaded = load_text::<CheckFile>(CATALOGUE.source(&check.id).expect("shipped")).expect("loads");
            let problems = framework::dangling(&loaded.value, &loaded.document).into_iter();
            problems.map(|problem| format!("{}: {}", check.id, problem.message)).collect::<Vec<_>>()
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(framework_named("owasp-llm").map(|(name, _)| name).as_deref(), Some("owasp-llm@2026"), "the newest");
    let text = "title: T\nwhy: W.\nseverity: minor\ndeclared: has(agent.name)\nfinding: F.\nfix: X.\n\
                controls: {owasp-asi@2026: [ASI11], owasp-asi@2027: [ASI01]}\n";
    let files = Files::texts([("c/team/x.yaml".to_owned(), Arc::from(text))].into());
    let problems = Catalogue::embedded().with_folder(&files, "c").expect_err("neither exists");
    let said = render(&problems.0, false);
    assert!(said.contains("has no control `ASI11`") && said.contains("did you mean `owasp-asi@2026`?"), "{said}");
}

#[test]
fn a_check_is_explained_in_full() {
    let catalogue = Catalogue::embedded();
    let shown = explain(&catalogue, "identity/human-owner").expect("exists");
    insta::assert_snapshot!("explanation", shown.to_string());
    assert_eq!(shown.json()["id"], json!("identity/human-owner"));
    assert_eq!(
        explain(&catalogue, "identity/human-ownr").expect_err("misspelt").near.as_deref(),
        Some("identity/human-owner")
    );
    let listed: Vec<String> = list(&catalogue).into_iter().map(|one| one.id).collect();
    assert_eq!(listed, catalogue.ids().map(str::to_owned).collect::<Vec<_>>());
}

#[test]
fn a_teams_own_checks_join_and_cant_shadow() {
    let own =
        "title: T\nwhy: W.\nseverity: minor\ndeclared: has(agent.name)\nfinding: F.\nfix: X.\nsources: [house/1]\n";
    let files = |entries: &[(&str, &str)]| {
        let texts = entries.iter().map(|(name, text)| ((*name).to_owned(), Arc::from(*text))).collect();
        Files::texts(texts)
    };
    let joined = Catalogue::embedded().with_folder(&files(&[("ops/checks/team/named.yaml", own)]), "./ops/checks");
    let joined = joined.expect("loads");
    assert!(joined.is_own("team/named") && joined.get("team/named").is_ok());
    let broken = files(&[
        ("c/scope/autonomy-level.yaml", own),
        ("c/deep/er/x.yaml", own),
        ("c/team/typo.yaml", &own.replace("declared: has(agent.name)", "declard: has(agent.name)\ndeclared: has(")),
        ("c/team/cel.yaml", &own.replace("has(agent.name)", "agent.name +").replace("F.", "'{{ open'")),
    ]);
    let problems = Catalogue::embedded().with_folder(&broken, "c").expect_err("all four are wrong");
    insta::assert_snapshot!("own_checks", render(&problems.0, false));
    assert!(Catalogue::embedded().with_folder(&files(&[]), "c").is_err(), "an empty folder is a mistake");
}

#[test]
fn the_shape_of_a_check_is_published() {
    let schema = schemars::schema_for!(CheckFile).to_value();
    assert_eq!(schema["additionalProperties"], json!(false));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn more_failures_never_meet_a_demanded_check(
        which in 0_usize..7,
        more in 1_i64..100_000,
        start in 0_i64..40,
        lost in 0_i64..120,
    ) {
        let names = ["category_c", "max_tool_calls_per_run", "max_tokens_per_run", "effects_above_level",
            "calls_unlisted", "amount_breaches", "golden_passed"];
        let name = names[which];
        let with = |value: i64, passed: i64| {
            let share = f64::from(i32::try_from(passed).expect("small")) / 120.0;
            let mut metrics = json!({"golden_passed": passed, "scenario_pass_rate": share});
            if name != "golden_passed" {
                metrics[name] = json!(value);
            }
            evidence(&Example { evidence: json!({"metrics": metrics}), ..Example::default() })
        };
        let before = assessed(&with(start, 120), Vec::new(), &["go-no-go"]);
        let after = assessed(&with(start + more, 120 - lost), Vec::new(), &["go-no-go"]);
        for (before, after) in before.checks.iter().zip(&after.checks) {
            prop_assert!(before.met || !after.met, "{} became met by more {name}", before.id);
        }
        for (before, after) in before.rules.iter().zip(&after.rules) {
            prop_assert!(before.met || !after.met, "{} became met by more {name}", before.says);
        }
    }
}

#[test]
fn lines_that_a_check_suggests_are_a_manifest() {
    let mut count = 0;
    for check in CATALOGUE.all() {
        let Some(lines) = &check.file.paste else { continue };
        let piece = load_text::<Value>(SourceFile::new("paste.yaml", lines.as_str()));
        let manifest = piece.unwrap_or_else(|problems| panic!("{}: {problems}", check.id)).value;
        let example = Example { manifest, ..Example::default() };
        if let Err(problems) = sound::with(&example) {
            panic!("{}: {problems}", check.id);
        }
        count += 1;
    }
    assert!(count >= 20, "{count}");
}
