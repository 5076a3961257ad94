//! The command `attack`: what it lists, shows and writes, and how it ends.

use serde_json::Value;

use crate::support::Bench;

#[test]
fn the_attacks_of_a_manifest_are_listed_shown_and_written() {
    let bench = Bench::new();
    let list = bench.run(&["attack", "list", "--demo", "--count", "40"]);
    assert_eq!(list.code, 0, "{}", list.all());
    for heading in ["Goals", "Carriers", "Techniques", "Encodings", "Faults"] {
        assert!(list.out.contains(heading), "{heading}: {}", list.all());
    }
    let json = bench.run(&["attack", "list", "--demo", "--count", "40", "--json"]);
    let listed: Value = serde_json::from_str(&json.out).expect("JSON");
    let ids: Vec<&str> = listed["ids"].as_array().expect("ids").iter().filter_map(Value::as_str).collect();
    assert_eq!((ids.len(), listed["attacks"].as_u64()), (40, Some(40)));
    let again = bench.run(&["attack", "list", "--demo", "--count", "40", "--json"]);
    assert_eq!(json.out, again.out, "the same seed gives the same set");

    let show = bench.run(&["attack", "show", ids[0], "--demo", "--count", "40"]);
    assert_eq!(show.code, 0, "{}", show.all());
    assert!(show.out.contains("suite: adversarial") && show.out.contains(ids[0]), "{}", show.all());

    let export = ["attack", "export", "generated", "--demo", "--count", "40", "--focus", "over-limit"];
    let done = bench.run(&export);
    assert_eq!(done.code, 0, "{}", done.all());
    assert!(bench.read("generated/over-limit.yaml").contains("over-limit--"), "{}", done.all());
    let twice = bench.run(&export);
    assert_eq!(twice.code, 2, "a folder with files in it is left alone: {}", twice.all());
    assert!(twice.err.contains("not an empty folder"), "{}", twice.all());
}

#[test]
fn what_does_not_exist_is_told_with_what_comes_nearest() {
    let bench = Bench::new();
    for (arguments, said) in [
        (vec!["attack", "list", "--demo", "--focus", "over-limt"], "did you mean `over-limit`?"),
        (vec!["attack", "export", "out", "--demo", "--focus", "win-the-lottery"], "there is no goal `win-the-lottery`"),
        (vec!["attack", "show", "no-such-attack", "--demo", "--count", "20"], "the set has no attack `no-such-attack`"),
        (vec!["attack", "list", "--manifest", "nowhere.yaml"], "nowhere.yaml"),
        (vec!["attack", "list", "--demo", "--count", "many"], "many"),
    ] {
        let done = bench.run(&arguments);
        assert_eq!(done.code, 2, "{arguments:?}: {}", done.all());
        assert!(done.err.contains(said), "{arguments:?}: {}", done.all());
    }
}
