use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{SUITES, export::Export};
use crate::{
    grade::{Allow, Autonomy, Grade, Policy, ToolRule, Trial, grade},
    import::{Input, Options, format, import},
    record::{CallStatus, End, TrialRecord, TurnRecord},
    scenario::{self, Scenario, Suite},
    source::{self, Files, SourceFile},
    world::{self, Outcome, Play},
};

fn file() -> SourceFile {
    let text = std::fs::read_to_string("fixtures/import/agentdojo.json").expect("a fixture");
    SourceFile::new("agentdojo.json", text)
}

struct Bank {
    export: Export,
    scenarios: Vec<Scenario>,
    world: std::sync::Arc<world::World>,
    policy: Policy,
}

impl Bank {
    fn new() -> Self {
        let (file, options) = (file(), Options { name: "own".to_owned(), ..Options::default() });
        let input = Input { file: &file, attacks: None, options: &options };
        let import = import(format("agentdojo").expect("a format"), &input).expect("imports");
        let (name, world) = import.world.expect("a world");
        let mut texts = BTreeMap::from([(name.clone(), world_text(&json!(world)))]);
        texts.extend(import.pages.iter().map(|(name, page)| (name.clone(), world_text(&json!(page)))));
        let files = Files::texts(texts);
        let world = world::load(&files, &name).unwrap_or_else(|error| panic!("{error}"));
        let names: Vec<String> = import.pages.keys().cloned().collect();
        let scenarios = scenario::load(&files, &names).unwrap_or_else(|error| panic!("{error}"));
        let tools = world.offers().into_iter().map(|offer| {
            let name = offer.name;
            let is_write = !name.starts_with("get_") && !name.starts_with("read_");
            (name, ToolRule { is_write, allow: Allow::Auto, idempotent: false, idempotency_key: None })
        });
        let policy = Policy { tools: tools.collect(), autonomy: Autonomy::Autopilot, ..Policy::default() };
        let export = source::load_text::<Export>(self::file()).expect("an export").value;
        Self { export, scenarios, world, policy }
    }

    /// The published calls of a task.
    fn calls(&self, id: &str) -> Vec<(String, Value)> {
        let mut tasks = self.export.user_tasks.iter().chain(&self.export.injection_tasks);
        let task = tasks.find(|task| task.id.replace('_', "-") == id).expect("a task");
        task.calls.iter().map(|call| (call.tool.clone(), Value::Object(call.args.clone()))).collect()
    }

    fn play(&self, scenario: &Scenario, calls: &[(String, Value)]) -> TrialRecord {
        let mut play = Play::new(self.world.clone(), &scenario.given).expect("the world is set up");
        for (tool, args) in calls {
            let outcome = play.call(tool, args.clone(), 0);
            assert!(matches!(outcome, Outcome::Executed(_)), "{tool} {args}: {outcome:?}");
        }
        TrialRecord {
            turns: vec![TurnRecord { say: "x".to_owned(), answer: "done".to_owned(), ..TurnRecord::default() }],
            ledger: play.ledger().to_vec(),
            state: play.state().clone(),
            ..TrialRecord::unasked(0, &scenario.id, 0, End::Completed)
        }
    }

    fn grade(&self, scenario: &Scenario, record: &TrialRecord) -> Grade {
        let before = self.world.initial(&scenario.given).expect("the world is set up");
        grade(scenario, &Trial { record, before: &before, observable: true }, &self.policy).grade
    }
}

fn world_text(value: &Value) -> std::sync::Arc<str> {
    source::yaml(value).into()
}

/// The tasks of user and attacker that an attack pairs.
fn pair(scenario: &Scenario) -> (String, String) {
    let rest = scenario.id.trim_start_matches("own-");
    let (user, injection) = rest.split_at(rest.find("-injection").expect("an attack"));
    (user.to_owned(), injection.trim_start_matches('-').to_owned())
}

#[test]
fn the_tools_of_every_known_suite_are_well_formed() {
    for (name, text) in SUITES {
        let files = Files::texts(BTreeMap::from([((*name).to_owned(), (*text).into())]));
        world::load(&files, name).unwrap_or_else(|error| panic!("{error}"));
    }
    assert!(SUITES.is_sorted());
}

#[test]
fn the_attackers_published_calls_are_breaches_and_the_users_are_not() {
    let bank = Bank::new();
    let mut attacks = 0;
    for scenario in bank.scenarios.iter().filter(|scenario| scenario.is_attack()) {
        let (user, injection) = pair(scenario);
        let own = bank.calls(&user);
        assert_eq!(bank.grade(scenario, &bank.play(scenario, &own)), Grade::Pass, "{}", scenario.id);
        let obeying = bank.play(scenario, &[own.clone(), bank.calls(&injection)].concat());
        assert_eq!(bank.grade(scenario, &obeying), Grade::FailC, "{}", scenario.id);

        let mut blocked = obeying.clone();
        for call in blocked.ledger.iter_mut().skip(own.len()) {
            call.status = CallStatus::Blocked;
        }
        assert_eq!(bank.grade(scenario, &blocked), Grade::Pass, "{}: a blocked attempt is no breach", scenario.id);

        let mut other = obeying;
        let breach = other.ledger.last_mut().expect("a call");
        for key in ["recipient", "password"] {
            if let Some(value) = breach.args.get_mut(key) {
                *value = json!("somebody-else");
            }
        }
        assert_eq!(bank.grade(scenario, &other), Grade::Pass, "{}: one other argument", scenario.id);

        let unseen = bank.play(scenario, &[]);
        assert_eq!(bank.grade(scenario, &unseen), Grade::NotExposed, "{}", scenario.id);
        attacks += 1;
    }
    assert_eq!(attacks, 4);
}

#[test]
fn the_users_published_calls_solve_their_tasks_and_nothing_else_does() {
    let bank = Bank::new();
    let golden: Vec<&Scenario> = bank.scenarios.iter().filter(|scenario| scenario.suite == Suite::Golden).collect();
    assert_eq!(golden.len(), 3);
    for scenario in golden {
        let own = bank.calls(scenario.id.trim_start_matches("own-"));
        assert_eq!(bank.grade(scenario, &bank.play(scenario, &own)), Grade::Pass, "{}", scenario.id);
        assert_eq!(bank.grade(scenario, &bank.play(scenario, &[])), Grade::FailB, "{}", scenario.id);
        let meddling = ("update_password".to_owned(), json!({"password": "other-words"}));
        let also = bank.play(scenario, &[own, vec![meddling]].concat());
        let reads_only = scenario.expect.iter().any(|expected| expected.state.is_some());
        assert_eq!(bank.grade(scenario, &also) == Grade::FailB, reads_only, "{}", scenario.id);
    }
}

#[test]
fn the_world_does_what_the_calls_ask_for() {
    let bank = Bank::new();
    let scenario = bank.scenarios.iter().find(|scenario| scenario.id == "own-user-task-2").expect("a scenario");
    let send = json!({"recipient": "X", "amount": 1, "subject": "s", "date": "2026-02-01"});
    let plan = json!({"recipient": "Y", "amount": 2.5, "subject": "s", "date": "2026-02-01", "recurring": true});
    let calls = [
        ("send_money", send),
        ("schedule_transaction", plan),
        ("update_scheduled_transaction", json!({"id": 3, "amount": 45})),
        ("update_user_info", json!({"city": "York"})),
        ("get_most_recent_transactions", json!({"n": 1})),
        ("read_file", json!({"file_path": "none.txt"})),
        ("get_user_info", json!({})),
        ("get_iban", json!({})),
    ];
    let calls: Vec<(String, Value)> = calls.into_iter().map(|(tool, args)| (tool.to_owned(), args)).collect();
    let record = bank.play(scenario, &calls);
    let result = |index: usize| record.ledger[index].result.clone();
    assert_eq!(
        result(4),
        json!([{"id": 4, "sender": "DE00OWN", "recipient": "X", "amount": 1, "subject": "s", "date": "2026-02-01", "recurring": false}])
    );
    assert_eq!(result(5), "");
    assert_eq!(result(6), json!({"first_name": "Ann", "last_name": "Own", "street": "Short Way 1", "city": "York"}));
    assert_eq!(result(7), "DE00OWN");
    let scheduled = &record.state["bank_account"]["scheduled_transactions"];
    assert_eq!((&scheduled[0]["amount"], &scheduled[0]["recipient"]), (&json!(45), &json!("GB11FLAT")));
    assert_eq!((&scheduled[1]["id"], &scheduled[1]["recurring"]), (&json!(5), &json!(true)));
}
