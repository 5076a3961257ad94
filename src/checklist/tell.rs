//! What a check says: of an item that stands too low, of what was seen, and what to do where only a run can tell.
//! Must not ask anything of the evidence: how an item stands is settled before.

use std::collections::BTreeSet;

use serde_json::json;

use super::{
    check::{Because, Check, Ladder},
    evaluate::{Evidence, ItemStanding, PartStanding, Said, Subject},
    rung::Rung,
};
use crate::expr::Names;

/// What to do where only a run of the agent can tell, more of it later or not.
pub(super) fn run_fix(check: &Check, has_more: bool) -> String {
    let waits = check.file.waits.as_deref().map(|waits| match waits.split_once("; beyond that, ") {
        Some((now, _)) if has_more => now,
        Some((_, then)) => then,
        None => waits,
    });
    let waits = waits.map(|waits| format!(": the gate waits for {}", waits.trim_end_matches('.')));
    format!("Check without `--static`, so that the agent is run{}.", waits.unwrap_or_default())
}

/// What a check says of an item that stands at a rung, for a reason if one is known.
pub(super) fn message(
    (check, ladder, said): (&Check, &Ladder, &Said),
    evidence: &Evidence<'_>,
    subject: Subject<'_>,
    (rung, reason): (Rung, Option<(usize, &Because)>),
) -> String {
    let template = reason.and_then(|(_, reason)| reason.finding.as_ref()).unwrap_or_else(|| ladder.finding(rung));
    let key = (reason.map(|(at, _)| at), rung);
    let is_shared = template.fields("it").is_some_and(BTreeSet::is_empty);
    if is_shared && let Some(known) = said.messages.borrow().get(&key) {
        return known.clone();
    }
    let extra = [("it", evidence.told(subject, template)), ("rung", Names::new(&json!(rung.word())))];
    let text = evidence.fill(template, extra).unwrap_or_else(|| format!("{}: {rung} only", check.file.title));
    if is_shared {
        said.messages.borrow_mut().insert(key, text.clone());
    }
    text
}

/// What was seen, in one line.
pub(super) fn describe(
    check: &Check,
    evidence: &Evidence<'_>,
    rung: Rung,
    parts: &[PartStanding],
    unsure: Option<&str>,
) -> String {
    let plain = || match rung {
        Rung::Refuted => "the gate saw the opposite".to_owned(),
        Rung::Absent => "nothing says it".to_owned(),
        Rung::Declared => "the manifest says it".to_owned(),
        Rung::Verified => "what stands behind the claim was opened and agrees".to_owned(),
        Rung::Proven => "the gate exercised it and saw the result".to_owned(),
    };
    let seen = check.seen.as_ref().and_then(|seen| evidence.fill(seen, [("rung", Names::new(&json!(rung.word())))]));
    let mut text = seen.unwrap_or_else(plain);
    let items: Vec<&ItemStanding> = parts.iter().flat_map(|part| &part.items).collect();
    let lowest = items.iter().filter(|item| item.rung == rung).count();
    if items.len() > lowest {
        text = format!("{text} ({lowest} of {} stand at {rung})", items.len());
    }
    match unsure {
        Some(why) => format!("{text}; could not tell more: {why}"),
        None => text,
    }
}

/// A text with single spaces between its words; most are written that way.
pub(super) fn on_one_line(text: String) -> String {
    let mut after_space = true;
    let is_plain = text.bytes().all(|byte| {
        let is_second = byte == b' ' && after_space;
        after_space = byte == b' ';
        !is_second && (byte.is_ascii_graphic() || byte == b' ')
    });
    if is_plain && !after_space {
        return text;
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The start of an expression, on one line.
pub(super) fn one_line(text: &str) -> String {
    crate::text::shortened(&text.split_whitespace().collect::<Vec<_>>().join(" "), 160)
}
