//! What a check says: of an item that stands too low, of what was seen, and what to do where only a run can tell.
//! Must not ask anything of the evidence: how an item stands is settled before.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::{
    check::{Because, Check, Ladder},
    evaluate::{Evidence, ItemStanding, PartStanding, Said, Subject},
    rung::Rung,
};
use crate::expr::{Draft, Names, spelled};

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

/// What decides how a message reads but for the fields that it prints: the reason, the rung, and all else that it looks at.
pub(super) type Told = (Option<usize>, Rung, String);

/// What a check says of an item that stands at a rung, for a reason if one is known.
pub(super) fn message(
    (check, ladder, said): (&Check, &Ladder, &Said),
    evidence: &Evidence<'_>,
    subject: Subject<'_>,
    (rung, reason): (Rung, Option<(usize, &Because)>),
) -> String {
    let template = reason.and_then(|(_, reason)| reason.finding.as_ref()).unwrap_or_else(|| ladder.finding(rung));
    let fill = |it: Names| evidence.fill(template, [("it", it), ("rung", Names::new(&json!(rung.word())))]);
    let plain = || format!("{}: {rung} only", check.file.title);
    let fields = template.fields("it").and_then(|fields| Some((fields, evidence.fields(subject, fields)?)));
    let Some((fields, told)) = fields else {
        return fill(evidence.whole(subject)).map_or_else(plain, on_one_line);
    };
    let printed = |(field, value): &(&str, Cow<'_, Value>)| {
        value.as_str().is_some_and(|text| !text.is_empty()) && fields.get(*field) == Some(&true)
    };
    let text = |field: &str| told.iter().find(|(name, _)| *name == field)?.1.as_str();
    let key = told.iter().try_fold(String::new(), |mut key, one| {
        // Beside its field, so that what one item lacks is not taken for what another has.
        key.extend(["/", one.0, ":"]);
        (printed(one) || spelled(&one.1, &mut key)).then_some(key)
    });
    let key = key.map(|key| (reason.map(|(at, _)| at), rung, key));
    let known = |key| said.messages.borrow().get(key)?.filled(text);
    if let Some(known) = key.as_ref().and_then(known) {
        return on_one_line(known);
    }
    let names = |mark: bool| {
        let marked = |field: &str| Names::new(&Draft::mark(field).into());
        let given =
            |one: &(&str, Cow<'_, Value>)| if mark && printed(one) { marked(one.0) } else { Names::new(&one.1) };
        Names::of(told.iter().map(|one| (one.0, given(one))))
    };
    let Some(message) = fill(names(false)) else { return plain() };
    let draft = if told.iter().any(printed) { fill(names(true)) } else { Some(message.clone()) };
    let draft = draft.map(|text| Draft::of(&text)).filter(|draft| draft.filled(text).as_ref() == Some(&message));
    if let (Some(key), Some(draft)) = (key, draft) {
        said.messages.borrow_mut().insert(key, draft);
    }
    on_one_line(message)
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
    let seen = check
        .seen
        .as_ref()
        .and_then(|seen| evidence.fill(seen, [("rung", Names::new(&json!(rung.word())))]))
        .map(on_one_line);
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
