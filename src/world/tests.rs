use std::{collections::BTreeMap, sync::Arc};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{MAX_ARGUMENT_BYTES, MAX_CALLS, Outcome, Play, World, load};
use crate::{
    record::{CallStatus, Grant},
    source::{Files, render},
};

const SHOP: &str = r#"
title: A shop
state:
  orders:
    "1042": {customer: ann, charge: ch_1, paid_usd: 80, delivered: true}
    "1043": {customer: bob, charge: ch_2, paid_usd: 12.5, delivered: false}
  refunds: {}
  log: []
schema:
  properties:
    log: {maxItems: 3}
canaries: {api-key: CANARY-7f3a}
tools:
  get_order:
    about: Looks an order up.
    input: {type: object, required: [id], properties: {id: {type: string}}, additionalProperties: false}
    requires:
      - {that: args.id in state.orders, otherwise: "no order {{ args.id }}"}
    returns: state.orders[args.id]
  issue_refund:
    let:
      - order: state.orders[args.id]
      - left: number(order.paid_usd) - state.refunds.filter(r, state.refunds[r].order == args.id).map(r, state.refunds[r].amount_usd).sum()
    requires:
      - {that: order.delivered, otherwise: "order {{ args.id }} is on its way"}
      - {that: number(args.amount_usd) <= left, otherwise: "only {{ left }} USD are left"}
    sets:
      "/refunds/{{ new_id('re') }}": "{'order': args.id, 'amount_usd': args.amount_usd, 'id': new_id}"
      /last: new_id
    returns: "{'refund_id': new_id, 'count': state.refunds.size()}"
  note:
    sets: {/log/-: args.text}
  move_order:
    sets: {"/orders/{{ args.to }}": "state.orders[args.from]"}
    removes: ["/orders/{{ args.from }}"]
  log_then_fail:
    sets: {/log/-: "'written'", "/refunds/{{ new_id('re') }}": "1"}
    returns: state.nothing_there
  request_approval:
    returns: "{'granted': args.reason != 'none'}"
    approves: {tool: args.tool, args: args.args, granted: result.granted}
  poll_approval:
    returns: "{'granted': args.granted}"
    approves: {tool: "'note'", args: args, granted: result.granted, minutes: args.minutes}
"#;

fn files(text: &str) -> Files {
    Files::texts(BTreeMap::from([("w.yaml".to_owned(), Arc::from(text))]))
}

fn shop() -> Arc<World> {
    match load(&files(SHOP), "w.yaml") {
        Ok(world) => world,
        Err(problems) => panic!("{}", render(&problems.0, false)),
    }
}

fn play() -> Play {
    Play::new(shop(), &BTreeMap::new()).expect("the world as written")
}

/// A short form of an outcome for tables.
fn told(outcome: Outcome) -> (&'static str, Value) {
    match outcome {
        Outcome::Executed(value) => ("executed", value),
        Outcome::Blocked(text) => ("blocked", text.into()),
        Outcome::Unknown(text) => ("unknown", text.into()),
        Outcome::Malformed(text) => ("malformed", text.into()),
        Outcome::Faulty(mishap) => panic!("no tool misbehaves here: {mishap:?}"),
    }
}

#[test]
fn the_minutes_of_a_person_count_whatever_the_word_and_a_question_in_between_counts_nothing() {
    let seen = |tool: &str, args: Value| {
        let mut play = play();
        let (kind, _) = told(play.call(tool, args, 0));
        let call = play.ledger().first().expect("a call").clone();
        (kind, call.grants.is_some(), call.review.map(|review| review.minutes))
    };
    let polled = |granted: bool, minutes: Value| seen("poll_approval", json!({"granted": granted, "minutes": minutes}));
    assert_eq!(polled(true, json!(2.5)), ("executed", true, Some(Some(2.5))));
    assert_eq!(polled(false, json!(4)), ("executed", false, Some(Some(4.0))));
    assert_eq!(polled(false, Value::Null), ("executed", false, None));
    assert_eq!(polled(true, json!(-1)).0, "malformed");
    assert_eq!(polled(true, json!("long")).0, "malformed");
    let asked = json!({"tool": "note", "args": {}, "reason": "none"});
    assert_eq!(seen("request_approval", asked), ("executed", false, Some(None)), "a world that does not say");
    assert_eq!(seen("note", json!({"text": "x"})).2, None);
}

#[test]
fn guards_answer_in_order() {
    for (tool, args, expected, said) in [
        ("get_order", json!({"id": "1043"}), "executed", ""),
        ("get_order", json!({"id": "9"}), "blocked", "no order 9"),
        ("get_order", json!({}), "malformed", "wrong arguments: \"id\" is a required property"),
        ("get_order", json!({"id": 7}), "malformed", "wrong arguments: /id: 7 is not of type \"string\""),
        ("get_order", json!([1]), "malformed", "wrong arguments: the arguments must be a JSON object"),
        ("get_orders", json!({}), "unknown", "there is no tool `get_orders`; did you mean `get_order`?"),
        ("issue_refund", json!({"id": "1043", "amount_usd": 99}), "blocked", "order 1043 is on its way"),
        ("issue_refund", json!({"id": "1042", "amount_usd": 80.5}), "blocked", "only 80 USD are left"),
        ("issue_refund", json!({"id": "1042", "amount_usd": 80}), "executed", ""),
        (
            "issue_refund",
            json!({"id": "1042"}),
            "malformed",
            "the call does not fit the tool: `amount_usd` does not exist",
        ),
        (
            "issue_refund",
            json!({"id": "nobody"}),
            "malformed",
            "the call does not fit the tool: `nobody` does not exist",
        ),
        ("note", Value::Null, "malformed", "the call does not fit the tool: `text` does not exist"),
    ] {
        let (kind, value) = told(play().call(tool, args.clone(), 0));
        assert_eq!(kind, expected, "{tool} {args}: {value}");
        if kind != "executed" {
            assert_eq!(value, said, "{tool} {args}");
        }
    }
}

#[test]
fn effects_are_seen_by_what_follows() {
    let mut play = play();
    let refund = |usd: f64| json!({"id": "1042", "amount_usd": usd});
    assert_eq!(
        told(play.call("issue_refund", refund(50.0), 1)),
        ("executed", json!({"count": 1, "refund_id": "re_1"}))
    );
    assert_eq!(told(play.call("issue_refund", refund(40.0), 2)), ("blocked", json!("only 30 USD are left")));
    assert_eq!(
        told(play.call("issue_refund", refund(30.0), 3)),
        ("executed", json!({"count": 2, "refund_id": "re_2"}))
    );
    assert_eq!(play.state()["last"], "re_2");
    assert_eq!(play.state()["refunds"]["re_1"], json!({"order": "1042", "amount_usd": 50.0, "id": "re_1"}));
}

#[test]
fn values_are_found_before_anything_is_written_or_removed() {
    let mut play = play();
    play.call("move_order", json!({"from": "1042", "to": "a/b"}), 0);
    assert_eq!(play.state()["orders"]["a/b"]["customer"], "ann");
    assert_eq!(play.state()["orders"].get("1042"), None);
}

#[test]
fn a_failing_call_changes_nothing() {
    let mut play = play();
    let before = play.state().clone();
    assert_eq!(told(play.call("log_then_fail", json!({}), 0)).0, "malformed");
    assert_eq!(play.state(), &before);
    for _ in 0..3 {
        assert_eq!(told(play.call("note", json!({"text": "x"}), 0)), ("executed", json!({})));
    }
    let (kind, said) = told(play.call("note", json!({"text": "x"}), 0));
    assert_eq!(kind, "malformed");
    assert!(
        said.as_str().is_some_and(|said| said.starts_with("the call would leave an impossible state: /log:")),
        "{said}"
    );
    assert_eq!(play.state()["log"], json!(["x", "x", "x"]));
    let refund = told(play.call("issue_refund", json!({"id": "1042", "amount_usd": 1}), 0)).1;
    assert_eq!(refund["refund_id"], "re_1", "ids of failed calls are not used up");
}

#[test]
fn the_ledger_tells_status_turn_and_time() {
    let mut play = play();
    play.call("get_order", json!({"id": "1042"}), 5);
    play.next_turn();
    play.call("get_order", json!({"id": "9"}), 7);
    play.call("nobody", json!({"a": 1}), 9);
    let lines: Vec<_> = play.ledger().iter().map(|c| (c.seq, c.turn, c.tool.as_str(), c.status, c.at_ms)).collect();
    assert_eq!(
        lines,
        [
            (0, 0, "get_order", CallStatus::Executed, 5),
            (1, 1, "get_order", CallStatus::Blocked, 7),
            (2, 1, "nobody", CallStatus::Attempted, 9),
        ]
    );
    assert_eq!(play.ledger()[1].result, "no order 9");
}

#[test]
fn an_approval_is_read_out_of_the_call() {
    let mut play = play();
    let ask = |reason: &str| json!({"tool": "issue_refund", "args": {"id": "1042"}, "reason": reason});
    play.call("request_approval", ask("broken"), 0);
    play.call("request_approval", ask("none"), 0);
    play.call("request_approval", json!({"tool": 5, "args": {}, "reason": "x"}), 0);
    let granted = Grant { tool: "issue_refund".to_owned(), args: json!({"id": "1042"}) };
    assert_eq!(play.ledger()[0].grants, Some(granted));
    assert_eq!((play.ledger()[1].status, &play.ledger()[1].grants), (CallStatus::Executed, &None));
    assert_eq!((play.ledger()[2].status, &play.ledger()[2].grants), (CallStatus::Attempted, &None));
}

#[test]
fn given_changes_one_trial_only() {
    let world = shop();
    let given =
        BTreeMap::from([("/orders/1043/delivered".to_owned(), json!(true)), ("/flags/vip".to_owned(), json!(1))]);
    let changed = world.initial(&given).expect("fits");
    assert_eq!((&changed["orders"]["1043"]["delivered"], &changed["flags"]["vip"]), (&json!(true), &json!(1)));
    assert_eq!(world.initial(&BTreeMap::new()).expect("fits")["orders"]["1043"]["delivered"], false);
    let wrong = |pointer: &str, value: Value| world.initial(&BTreeMap::from([(pointer.to_owned(), value)]));
    assert!(wrong("orders", json!(1)).is_err());
    assert!(wrong("/log", json!([1, 2, 3, 4])).is_err());
    assert!(wrong("/orders/1042/customer/name", json!(1)).is_err());
}

#[test]
fn caps_hold() {
    let mut play = play();
    let (kind, said) = told(play.call("note", json!({"text": "x".repeat(MAX_ARGUMENT_BYTES)}), 0));
    assert_eq!((kind, said), ("malformed", json!("the arguments are larger than 256 KiB")));
    assert_eq!(play.ledger()[0].args, Value::Null);
    for _ in 1..=MAX_CALLS {
        play.call("request_approval", json!({"reason": "none"}), 0);
    }
    assert_eq!(play.ledger().len(), MAX_CALLS);
    assert_eq!(told(play.call("note", json!({"text": "late"}), 0)).0, "malformed");
    assert_eq!(play.state()["log"], json!([]));
}

#[test]
fn tools_are_offered_with_their_schema() {
    let world = shop();
    let offers = world.offers();
    assert_eq!(offers.len(), 7);
    assert_eq!((offers[0].name.as_str(), offers[0].about.as_str()), ("get_order", "Looks an order up."));
    assert_eq!(offers[0].input["required"], json!(["id"]));
    assert_eq!(offers[1].input, json!({"type": "object"}));
    assert_eq!(world.canaries()["api-key"], "CANARY-7f3a");
}

#[test]
fn every_mistake_of_a_world_is_shown_at_its_place() {
    let text = r#"
state:
  orders: {"1": {paid_usd: -5}}
schema:
  properties: {orders: {additionalProperties: {properties: {paid_usd: {minimum: 0}}}}}
canaries: {key: abc}
tools:
  get order:
    returns: state.orders[
  issue_refund:
    input: {type: objekt}
    let:
      - order: stat.orders[args.id]
      - state: "1"
      - amount-usd: "2"
    requires:
      - {that: args.id.startWith('a'), otherwise: "no {{ arg.id }}"}
      - {that: "true", otherwise: "open {{ args"}
    sets:
      refunds/x: "1"
      "/refunds/{{ newid('re') }}": new_id + amuont
    removes: ["orders/1"]
    returns: result
    approves: {tool: "'x'", args: args, granted: result.ok &&}
"#;
    let problems = load(&files(text), "w.yaml").expect_err("is full of mistakes");
    insta::assert_snapshot!(render(&problems.0, false));
}

#[test]
fn worlds_and_plays_cross_threads() {
    fn crosses<T: Send + Sync>() {}
    crosses::<World>();
    crosses::<Play>();
}

#[test]
fn the_schema_of_world_files_is_a_schema() {
    let schema = super::schema();
    assert_eq!(schema["title"], "World file of agentready");
    assert!(jsonschema::validator_for(&schema).is_ok());
}

fn any_call() -> impl Strategy<Value = (String, Value)> {
    let tool = prop::sample::select(vec![
        "get_order",
        "issue_refund",
        "note",
        "move_order",
        "log_then_fail",
        "request_approval",
        "nobody",
    ]);
    let id = prop::sample::select(vec!["1042", "1043", "a/b", "~", ""]);
    (tool, id.clone(), id, -10i32..100, any::<bool>()).prop_map(|(tool, id, to, usd, text)| {
        let mut args = json!({"id": id, "from": id, "to": to, "amount_usd": usd, "reason": id, "tool": to, "args": {}});
        match (tool, text) {
            ("get_order", true) => args = json!({"id": id}),
            (_, true) => args["text"] = json!("t"),
            (_, false) => {}
        }
        (tool.to_owned(), args)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_calls_are_all_in_the_ledger_and_replay_to_the_same_state(calls in prop::collection::vec(any_call(), 0..30)) {
        let world = shop();
        let run = || {
            let mut play = Play::new(Arc::clone(&world), &BTreeMap::new()).expect("the world as written");
            for (at, (tool, args)) in calls.iter().enumerate() {
                let before = play.state().clone();
                let outcome = play.call(tool, args.clone(), u64::try_from(at).expect("small"));
                if !matches!(outcome, Outcome::Executed(_)) {
                    assert_eq!(play.state(), &before);
                }
            }
            play
        };
        let (first, second) = (run(), run());
        prop_assert_eq!(first.ledger().len(), calls.len());
        prop_assert_eq!(first.ledger(), second.ledger());
        prop_assert_eq!(first.state().to_string(), second.state().to_string());
    }
}
