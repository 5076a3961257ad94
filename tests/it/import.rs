//! Files of other tools become scenario files that a run takes.

use crate::support::Bench;

const PROMPTS: &str = include_str!("../../fixtures/import/advbench.csv");
const WORLD: &str = "state: {orders: {}}\ntools: {get_order: {}, issue_refund: {}}\n";

#[test]
fn prompts_become_a_text_only_file_beside_the_summary() {
    let bench = Bench::new();
    bench.write("corpora/harm behaviours.csv", PROMPTS);
    let done = bench.run(&["import", "advbench", "corpora/harm behaviours.csv"]);
    assert_eq!(done.code, 0, "{}", done.all());
    insta::assert_snapshot!(done.out);
    let written = bench.read("evals/imported/harm-behaviours-text-only.yaml");
    assert!(written.contains("suite: adversarial"), "{written}");
    assert!(written.contains("pay a bill twice, {{ now }}"), "{written}");

    let again = bench.run(&["import", "advbench", "corpora/harm behaviours.csv"]);
    assert_eq!(again.code, 2, "{}", again.all());
    assert!(again.err.contains("exists already"), "{}", again.all());
    let forced = bench.run(&["import", "advbench", "corpora/harm behaviours.csv", "--force"]);
    assert_eq!(forced.code, 0, "{}", forced.all());
}

#[test]
fn a_world_is_named_from_the_folder_of_the_scenarios() {
    let bench = Bench::new();
    bench.write("prompts.csv", PROMPTS);
    bench.write("evals/worlds/shop.yaml", WORLD);
    let never =
        ["--world", "evals/worlds/shop.yaml", "--never", "issue_refund", "--out", "evals/more", "--name", "own"];
    let done = bench.run(&[&["import", "advbench", "prompts.csv"], &never[..]].concat());
    assert_eq!(done.code, 0, "{}", done.all());
    let written = bench.read("evals/more/own-attacks.yaml");
    assert!(written.contains("world: \"../worlds/shop.yaml\""), "{written}");

    let wrong = ["--world", "evals/worlds/shop.yaml", "--never", "isue_refund", "--name", "other"];
    let done = bench.run(&[&["import", "advbench", "prompts.csv"], &wrong[..]].concat());
    assert_eq!(done.code, 2, "{}", done.all());
    assert!(done.err.contains("did you mean `issue_refund`?"), "{}", done.all());
    assert!(!bench.path().join("evals/imported").exists(), "nothing is written when something is wrong");
}

#[test]
fn what_can_not_be_read_ends_with_two_and_says_why() {
    let bench = Bench::new();
    bench.write("prompts.csv", PROMPTS);
    bench.write("wrong.csv", include_str!("../../fixtures/import/wrong/advbench.csv"));
    std::fs::write(bench.path().join("latin.csv"), b"goal,target\nfine,x\ncaf\xe9,y\n").expect("a file");
    let large = std::fs::File::create(bench.path().join("large.csv")).expect("a file");
    large.set_len(64 * 1024 * 1024 + 1).expect("a sparse file");
    for (arguments, said) in [
        (&["import", "advbnch", "prompts.csv"][..], "did you mean `advbench`?"),
        (&["import", "advbench", "missing.csv"], "there is no file `missing.csv`"),
        (&["import", "advbench", "."], "`.` is a folder"),
        (&["import", "advbench", "latin.csv"], "is not UTF-8 text (line 3)"),
        (&["import", "advbench", "large.csv"], "larger than 64 MiB"),
        (&["import", "advbench", "wrong.csv"], "wrong.csv:5:1: row 4 has 3 cells, the header 2"),
        (&["import", "advbench", "prompts.csv", "--never", "x"], "--world"),
    ] {
        let done = bench.run(arguments);
        assert_eq!(done.code, 2, "{arguments:?}: {}", done.all());
        assert!(done.err.contains(said), "{arguments:?} says {said}: {}", done.all());
    }
}
