//! HarmBench behaviours: demands, some with a text that they are about.

use super::{Format, Haul, Input, case::Prompt, table};

pub(super) const FORMAT: Format = Format {
    name: "harmbench",
    about: "HarmBench text behaviours (CSV: Behavior, FunctionalCategory, ContextString …): text-only prompts",
    licence: Some("MIT"),
    read,
};

fn read(input: &Input<'_>, haul: &mut Haul) {
    let wanted = table::Wanted { columns: &["Behavior", "FunctionalCategory", "BehaviorID"], below: None };
    table::each(input.file, wanted, haul, |row, haul| {
        let (behaviour, kind) = (row.text("/Behavior"), row.maybe("/FunctionalCategory"));
        let (context, goal, id) =
            (row.maybe("/ContextString"), row.maybe("/SemanticCategory"), row.maybe("/BehaviorID"));
        if kind.as_deref() == Some("copyright") {
            haul.leave_out("copyright behaviours are judged by hashes of the works, which are not part of the file");
            return;
        }
        if row.maybe("/ImageFileName").is_some() {
            haul.leave_out("the behaviour is about an image");
            return;
        }
        let Some(behaviour) = behaviour else { return };
        let text = context.map_or_else(|| behaviour.clone(), |context| format!("{context}\n\n---\n\n{behaviour}"));
        let prompt = Prompt { id, goal, technique: kind, turns: vec![text], ..Prompt::default() };
        haul.cases.push(prompt.text_only(&row.name));
    });
}
