//! How many scenarios are cases of their own. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::Scenario;

/// The share of words that two texts must have in common to be one, in percent.
const ALIKE: usize = 90;

/// Counts scenarios; one that says what another says, or nearly that and expects the same, counts once with it. What
/// has digits in it (amounts, numbers of orders) tells cases apart, and so does what is given.
pub fn distinct<'s>(scenarios: impl Iterator<Item = &'s Scenario>) -> usize {
    let mut kept = BTreeMap::<String, Vec<(BTreeSet<String>, String)>>::new();
    for scenario in scenarios {
        let said = scenario.turns.iter().flat_map(|turn| turn.say.split(|c: char| !c.is_alphanumeric()));
        let said = said.filter(|word| !word.is_empty()).map(str::to_lowercase);
        let (numbers, words): (Vec<String>, Vec<String>) = said.partition(|word| word.contains(char::is_numeric));
        let group = json!([scenario.turns.len(), scenario.given, numbers]).to_string();
        let expects: Vec<_> = scenario.expectations().map(|expected| json!(expected.raw)).collect();
        let one = (BTreeSet::from_iter(words), json!(expects).to_string());
        let others = kept.entry(group).or_default();
        if !others.iter().any(|other| is_alike(other, &one)) {
            others.push(one);
        }
    }
    kept.values().map(Vec::len).sum()
}

fn is_alike(one: &(BTreeSet<String>, String), other: &(BTreeSet<String>, String)) -> bool {
    let common = one.0.intersection(&other.0).count();
    let all = one.0.len() + other.0.len() - common;
    one.0 == other.0 || one.1 == other.1 && common * 100 > all * ALIKE
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::distinct;
    use crate::{scenario::load, source::Files};

    #[test]
    fn what_says_nearly_the_same_and_expects_the_same_is_one() {
        let long = "Hello, the mug of order A-1 came broken this morning when I opened the box, and my guests will be here on \
                    Sunday evening";
        let case = |name: &str, say: &str, expect: &str| format!("  {name}: {{say: \"{say}\", expect: [{expect}]}}\n");
        let (refund, other) = ("{call: pay}", "{handoff: true}");
        for (name, second, expected) in [
            ("the same", case("b", &long.to_uppercase(), refund), 1),
            ("the same, whatever it expects", case("b", long, other), 1),
            ("one word more", case("b", &format!("{long} please"), refund), 1),
            ("one word more that matters", case("b", &format!("{long} please"), other), 2),
            ("another order", case("b", &long.replace("A-1", "A-2"), refund), 2),
            ("half of it", case("b", &long[..60], refund), 2),
        ] {
            let text = format!("suite: golden\nscenarios:\n{}{second}", case("a", long, refund));
            let files = Files::texts(BTreeMap::from([("a.yaml".to_owned(), text.into())]));
            let scenarios = load(&files, &["a.yaml".to_owned()]).expect("scenarios");
            assert_eq!(distinct(scenarios.iter()), expected, "{name}");
        }
    }
}
