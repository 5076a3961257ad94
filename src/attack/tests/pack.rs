//! The data files: complete, in their own form, and enough of them.

use std::collections::BTreeSet;

use crate::{
    attack::pack::{BASE, Way},
    scenario::SPOKEN,
};

#[test]
fn the_pack_has_what_a_red_team_expects() {
    assert!(BASE.goals.len() >= 24, "{} goals", BASE.goals.len());
    assert!(BASE.techniques.len() >= 30, "{} techniques", BASE.techniques.len());
    assert!(BASE.encodings.len() >= 21, "{} encodings", BASE.encodings.len());
    let languages = BASE.techniques["translation"].texts.len();
    assert!(languages >= 8, "{languages} languages");
    let staged = BASE.techniques.values().filter(|technique| !technique.stages.is_empty()).count();
    assert!(staged >= 8, "{staged} techniques in stages");
    for class in ["social-engineering", "ambiguity"] {
        let techniques = BASE.techniques.values().filter(|technique| technique.class.as_deref() == Some(class)).count();
        assert!(techniques >= 4, "{techniques} techniques of {class}");
    }
}

#[test]
fn every_goal_can_be_worded_and_has_an_oracle() {
    for (name, goal) in &BASE.goals {
        assert!(!goal.demand.is_empty() && !goal.expect.is_empty(), "{name}");
        assert!(!goal.file.ways.is_empty() && !goal.file.controls.is_empty(), "{name}");
        assert!(goal.file.otherwise.ends_with('.'), "{name}");
    }
}

#[test]
fn every_kind_of_fault_is_tried() {
    let tried: BTreeSet<String> = BASE
        .faults
        .values()
        .flat_map(|malady| {
            let text = serde_json::to_string(&malady.file.faults).expect("plain data") + &malady.file.each;
            let kinds = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').map(str::to_owned);
            kinds.collect::<Vec<_>>()
        })
        .chain(BASE.carriers.values().filter_map(|carrier| Some(carrier.file.fault?.name().to_owned())))
        // Words in a field that is read stand in the state of the world where attacks are generated.
        .chain(BASE.carriers.values().filter(|carrier| carrier.file.way == Way::Read).map(|_| "planted".to_owned()))
        .collect();
    let schema = serde_json::to_value(schemars::schema_for!(crate::scenario::FaultKind)).expect("a schema");
    let kinds: Vec<&str> =
        schema["oneOf"].as_array().expect("kinds").iter().filter_map(|kind| kind["const"].as_str()).collect();
    assert!(kinds.len() >= 15, "{kinds:?}");
    for kind in kinds {
        assert!(tried.contains(kind), "{kind}");
    }
    for (name, malady) in &BASE.faults {
        assert!(malady.file.otherwise.ends_with('.') && !malady.file.controls.is_empty(), "{name}");
    }
}

#[test]
fn every_technique_carries_the_demand_and_has_a_harmless_twin() {
    for (name, technique) in &BASE.techniques {
        assert!(!technique.texts.is_empty() && !technique.controls.is_empty(), "{name}");
        let demands = |text: &String| text.contains("{demand}") || text.contains("{head}") && text.contains("{tail}");
        assert!(technique.texts.iter().all(demands), "{name}");
        assert!(technique.stages.last().is_none_or(|stage| stage.contains("{demand}")), "{name}");
        assert!(technique.stages.is_empty() || technique.stages.len() >= 3, "{name}");
        assert!(!technique.twin.is_empty() && !technique.twin.contains("{demand}"), "{name}");
        let is_said = technique.ways.contains(&Way::Spoken);
        let asks = technique.asks.as_deref().unwrap_or_default();
        assert_eq!(is_said, asks.contains("{request}"), "{name}");
        // A request that is a question has to stay one.
        assert!(!is_said || asks.ends_with("{request}"), "{name}");
    }
}

#[test]
fn a_twin_has_the_words_of_its_attacks() {
    let words = |text: &str| -> BTreeSet<String> {
        let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| word.chars().count() > 2);
        words.map(str::to_lowercase).filter(|word| !["demand", "request"].contains(&word.as_str())).collect()
    };
    let shared = |name: &str, twin: &str, attacks: &[&str], least: usize| {
        let of_attacks: BTreeSet<String> = attacks.iter().flat_map(|text| words(text)).collect();
        let both: Vec<String> = words(twin).intersection(&of_attacks).cloned().collect();
        assert!(both.len() >= least, "{name}: {both:?} of {twin}");
    };
    for (name, technique) in &BASE.techniques {
        let attacks: Vec<&str> = technique.texts.iter().chain(&technique.stages).map(String::as_str).collect();
        shared(name, &technique.twin, &attacks, 3);
        if let Some(asks) = &technique.asks {
            shared(name, asks, &attacks, 2);
        }
    }
    for (name, goal) in &BASE.goals {
        let attacks: Vec<&str> = goal.file.demand.iter().chain([&goal.file.title, name]).map(String::as_str).collect();
        shared(name, &goal.file.twin, &attacks, 2);
    }
}

#[test]
fn what_the_user_says_is_known_to_reach_the_agent() {
    let spoken: Vec<&String> =
        BASE.carriers.iter().filter(|(_, c)| c.file.way == Way::Spoken).map(|(name, _)| name).collect();
    assert_eq!(spoken, SPOKEN.iter().collect::<Vec<_>>());
    for (name, carrier) in &BASE.carriers {
        assert!(carrier.file.otherwise.ends_with('.') && !carrier.file.title.is_empty(), "{name}");
        assert!(carrier.file.way == Way::Read || !carrier.file.turns.is_empty(), "{name}");
        assert!(
            carrier.file.plant.as_ref().is_none_or(|plant| plant.contains("{payload}") && plant.contains("{marker}"))
        );
    }
    let rests = BASE.carriers.values().filter(|c| c.file.way == Way::Read && c.filter.is_none());
    assert_eq!(rests.count(), 1, "one carrier takes what no other takes");
}
