//! The manifest's rules in the form that the oracles hold an agent to.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    grade::{Allow, Policy, ToolRule},
    manifest::{
        Manifest,
        raw::{self, ClassRule, DataClass, Effect, Handling},
    },
    record::{Class, Prices},
    world::World,
};

/// Rules of the agent, and the canaries of the worlds it is tried in.
pub(crate) fn of(manifest: &Manifest, worlds: &[Arc<World>]) -> Policy {
    let raw = &manifest.raw;
    let tools = raw.tools.iter().map(|(name, tool)| (name.clone(), rule(tool))).collect();
    let drafts = raw.tools.iter().filter(|(_, tool)| tool.kinds.iter().any(|kind| kind == "drafts"));
    let mut canaries = BTreeMap::<String, String>::new();
    for world in worlds {
        for (name, value) in world.canaries() {
            // Worlds may use one name for different values; each value is looked for everywhere.
            let names = std::iter::once(name.clone()).chain((2_u32..).map(|n| format!("{name} ({n})")));
            let free = names.into_iter().find(|name| canaries.get(name).is_none_or(|known| known == value));
            canaries.insert(free.expect("there is always a next number"), value.clone());
        }
    }
    Policy {
        tools,
        autonomy: raw.agent.autonomy,
        handoff_tool: raw.handoff.tool.clone(),
        drafting: drafts.map(|(name, _)| name.clone()).collect(),
        handoff_queue: raw.handoff.queue.clone(),
        run_id_member: manifest.raw.audit.run_id.baggage.clone(),
        canaries,
        prices: Prices::default(),
    }
}

/// What the stand-in may see in prompts by pattern and the model may not: fields are not looked for, since what stands in them
/// may be a token already.
pub(crate) fn kept_from_model(manifest: &Manifest) -> Vec<Class> {
    classes(manifest).into_iter().filter(|class| !class.patterns.is_empty()).collect()
}

/// The data classes whose values are not kept on record. A pattern that is no regular expression recognises nothing;
/// the check of the class says so.
pub(crate) fn classes(manifest: &Manifest) -> Vec<Class> {
    let handled = manifest.raw.data.classes.iter().filter_map(|(name, rule)| match rule {
        ClassRule::Handled(class) if class.model != Some(Handling::Allowed) => Some((name, class)),
        ClassRule::Handled(_) | ClassRule::Absent(_) => None,
    });
    let of = |(name, class): (&String, &DataClass)| Class {
        name: name.clone(),
        fields: class.fields.clone(),
        patterns: class.patterns.iter().filter_map(|text| regex::Regex::new(text).ok()).collect(),
    };
    handled.map(of).filter(|class| !class.fields.is_empty() || !class.patterns.is_empty()).collect()
}

fn rule(tool: &raw::Tool) -> ToolRule {
    ToolRule {
        is_write: tool.known_effect().0 != Effect::Read,
        allow: match tool.allowance().as_ref() {
            raw::Allow::Word(raw::AllowWord::Auto) => Allow::Auto,
            raw::Allow::Word(raw::AllowWord::Approval) => Allow::Approval,
            raw::Allow::Word(raw::AllowWord::Never) => Allow::Never,
            raw::Allow::Tiers(tiers) => Allow::Tiers {
                by: tiers.by.clone(),
                auto_up_to: tiers.auto_up_to.unwrap_or(0.0),
                approval_up_to: tiers.approval_up_to,
            },
        },
        idempotent: tool.idempotent.unwrap_or(false),
        idempotency_key: tool.idempotency_key.clone().filter(|key| key.starts_with('/')),
    }
}
