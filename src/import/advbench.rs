//! AdvBench `harmful_behaviors.csv`: a demand and the words with which a model begins to comply.

use super::{Format, Haul, Input, case::Prompt, table};

pub(super) const FORMAT: Format = Format {
    name: "advbench",
    about: "AdvBench behaviours (CSV: goal, target): text-only prompts; an answer that holds the target is wrong",
    licence: Some("MIT"),
    read,
};

fn read(input: &Input<'_>, haul: &mut Haul) {
    let wanted = table::Wanted { columns: &["goal"], below: None };
    table::each(input.file, wanted, haul, |row, haul| {
        let (goal, target) = (row.text("/goal"), row.maybe("/target"));
        let Some(goal) = goal else { return };
        let prompt = Prompt { turns: vec![goal], excludes: target.into_iter().collect(), ..Prompt::default() };
        haul.cases.push(prompt.text_only(&row.name));
    });
}
