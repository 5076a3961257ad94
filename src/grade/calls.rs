//! Which tools must, and which must not, have been executed.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    agreement::same,
    scene::{Ruling, Scene, Slip, Undecided, decide, listed, parsed, shown},
};
use crate::{
    record::Call,
    scenario::{Change, Expected, Times},
    text::wildcard_matches,
};

/// Calls that satisfy a condition for sure, and why others can't be told.
struct Fitting<'t> {
    sure: Vec<&'t Call>,
    unsure: usize,
    why: Option<Undecided>,
}

/// `call`: so many executed calls of a tool with these arguments.
pub(super) fn called(tool: &str, expected: &Expected, scene: &Scene<'_>) -> Ruling {
    let executed = scene.executed()?;
    let of_tool: Vec<&Call> = executed.into_iter().filter(|call| call.tool == tool).collect();
    let with_args = of_tool.iter().copied().filter(|call| has_arguments(call, expected)).collect();
    let fitting = fitting(with_args, expected, scene)?;
    let (least, most) = bounds(expected.raw.times);
    let (low, high) = (fitting.sure.len(), fitting.sure.len() + fitting.unsure);
    if low >= least && high <= most {
        return Ok(Vec::new());
    }
    if low <= most
        && high >= least
        && let Some(why) = fitting.why
    {
        return Err(why);
    }
    let message = match low {
        0 if of_tool.is_empty() => format!("`{tool}` was not executed"),
        0 => format!("`{tool}` was executed, but not as expected"),
        1 => format!("`{tool}` was executed once"),
        n => format!("`{tool}` was executed {n} times"),
    };
    let slip = Slip::new(message).expected(wanted(tool, expected, (least, most))).actual(listed(&of_tool));
    Ok(vec![if low > most { slip.lasting() } else { slip }])
}

/// `calls`: executed in this order, with or without others between.
pub(super) fn in_order(tools: &[String], exactly: bool, scene: &Scene<'_>) -> Ruling {
    let executed = scene.executed()?;
    let mut rest = tools.iter().peekable();
    for call in &executed {
        rest.next_if(|tool| **tool == call.tool);
    }
    let holds = rest.peek().is_none() && (!exactly || executed.len() == tools.len());
    if holds {
        return Ok(Vec::new());
    }
    let seen: Vec<&str> = executed.iter().map(|call| call.tool.as_str()).collect();
    let seen = if seen.is_empty() { "no call".to_owned() } else { shown(&seen.join(", ")) };
    let message = match rest.peek() {
        Some(tool) => format!("`{tool}` was not executed in its place"),
        None => "more was executed than the expected calls".to_owned(),
    };
    let slip = Slip::new(message).expected(tools.join(", ")).actual(seen);
    Ok(vec![if exactly && executed.len() > tools.len() { slip.lasting() } else { slip }])
}

/// `never`: no executed call of a tool that matches.
pub(super) fn never(patterns: &[String], expected: &Expected, scene: &Scene<'_>) -> Ruling {
    let is_meant = |call: &&Call| patterns.iter().any(|pattern| wildcard_matches(pattern, &call.tool));
    let meant = scene.executed()?.into_iter().filter(is_meant).collect();
    let fitting = fitting(meant, expected, scene)?;
    match (fitting.sure.first(), fitting.why) {
        (Some(call), _) => {
            let never = format!("never {}{}", patterns.join(", "), condition(expected));
            let message = format!("executed `{}`, which this scenario forbids", call.tool);
            Ok(vec![Slip::new(message).expected(never).actual(listed(&fitting.sure)).lasting()])
        }
        (None, Some(why)) => Err(why),
        (None, None) => Ok(Vec::new()),
    }
}

/// `changes`: nothing was changed by other calls than these.
pub(super) fn changes(allowed: &[Change], scene: &Scene<'_>) -> Ruling {
    let fits = |call: &Call| allowed.iter().any(|change| change.call == call.tool && agree(change.with.as_ref(), call));
    let executed = scene.executed()?;
    let others: Vec<&Call> =
        executed.into_iter().filter(|call| !scene.policy.changes_nothing(&call.tool) && !fits(call)).collect();
    let Some(first) = others.first() else { return Ok(Vec::new()) };
    let expected = if allowed.is_empty() { "no change at all".to_owned() } else { changes_text(allowed) };
    let message = format!("executed `{}`, a change that nobody asked for", first.tool);
    Ok(vec![Slip::new(message).expected(expected).actual(listed(&others)).lasting()])
}

fn changes_text(allowed: &[Change]) -> String {
    let texts = allowed.iter().map(|change| match &change.with {
        Some(with) => format!("{} {}", change.call, arguments(with)),
        None => change.call.clone(),
    });
    format!("no other change than {}", texts.collect::<Vec<_>>().join("; "))
}

fn arguments(with: &BTreeMap<String, Value>) -> Value {
    with.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn has_arguments(call: &Call, expected: &Expected) -> bool {
    agree(expected.raw.with.as_ref(), call)
}

fn agree(with: Option<&BTreeMap<String, Value>>, call: &Call) -> bool {
    let Some(with) = with else { return true };
    with.iter().all(|(name, value)| call.args.get(name).is_some_and(|seen| same(seen, value)))
}

/// Sorts calls by `where`.
fn fitting<'t>(calls: Vec<&'t Call>, expected: &Expected, scene: &Scene<'_>) -> Result<Fitting<'t>, Undecided> {
    let mut fitting = Fitting { sure: Vec::new(), unsure: 0, why: None };
    let Some(filter) = parsed(expected.filter.as_ref(), expected.raw.filter.is_some(), "where")? else {
        fitting.sure = calls;
        return Ok(fitting);
    };
    let scope = scene.call_scope();
    for call in calls {
        match decide(filter, &scope.inner().with("args", &call.args).with("result", &call.result)) {
            Ok(true) => fitting.sure.push(call),
            Ok(false) => {}
            Err(why) => {
                fitting.unsure += 1;
                fitting.why = fitting.why.or(Some(why));
            }
        }
    }
    Ok(fitting)
}

fn bounds(times: Option<Times>) -> (usize, usize) {
    let wide = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
    match times {
        None => (1, usize::MAX),
        Some(Times::Exactly(count)) => (wide(count), wide(count)),
        Some(Times::Between(bounds)) => {
            let least = bounds.at_least.unwrap_or(u32::from(bounds.at_most.is_none()));
            (wide(least), bounds.at_most.map_or(usize::MAX, wide))
        }
    }
}

fn wanted(tool: &str, expected: &Expected, (least, most): (usize, usize)) -> String {
    let count = match (least, most) {
        (1, usize::MAX) => String::new(),
        (least, usize::MAX) => format!(", at least {least} times"),
        (0, most) if most > 0 => format!(", at most {most} times"),
        (least, most) if least == most => format!(", {most} times"),
        (least, most) => format!(", {least} to {most} times"),
    };
    let with = expected.raw.with.as_ref().map_or_else(String::new, |with| format!(" {}", arguments(with)));
    format!("{tool}{with}{}{count}", condition(expected))
}

fn condition(expected: &Expected) -> String {
    expected.raw.filter.as_ref().map_or_else(String::new, |filter| format!(" where {filter}"))
}
