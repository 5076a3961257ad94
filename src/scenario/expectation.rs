//! The rules of one expectation, and its compiled form.

use super::{AnswerExpectation, Expectation, Expected, Times, entry::Surroundings, inspection::Inspection};
use crate::{expr::Expr, source::Route};

/// Variables of `where` beside `call` and `never`.
const OF_CALL: &[&str] = &["args", "result", "state"];
/// Variables of `state`.
const OF_STATE: &[&str] = &["state", "before", "calls", "answer"];
/// Variables of `answer.where`.
const OF_ANSWER: &[&str] = &["answer"];

/// Checks and compiles the `expect` of a scenario or turn.
pub(super) fn compile_all(
    inspection: &mut Inspection<'_>,
    around: &Surroundings<'_>,
    owner: &Route,
    expectations: &[Expectation],
) -> Vec<Expected> {
    let list = owner.join("expect");
    expectations.iter().enumerate().map(|(index, raw)| compile(inspection, around, list.join(index), raw)).collect()
}

fn compile(inspection: &mut Inspection<'_>, around: &Surroundings<'_>, route: Route, raw: &Expectation) -> Expected {
    check_kinds(inspection, &route, raw);
    check_companions(inspection, &route, raw);
    check_emptiness(inspection, &route, raw);
    check_tools(inspection, around, &route, raw);
    if around.world.is_none() && raw.state.is_some() {
        let hint = "add `world` to the file";
        inspection.mistaken_key(&route.join("state"), "`state` is a world's, and the file names none", hint);
    }
    let mut expr = |key: &str, source: &Option<String>, variables: &[&str]| -> Option<Expr> {
        inspection.expr(&Route::pointer(format!("{route}{key}")), source.as_deref()?, variables)
    };
    let filter = expr("/where", &raw.filter, OF_CALL);
    let state = expr("/state", &raw.state, OF_STATE);
    let answer = raw.answer.as_ref();
    let at = route.join("answer");
    let answer_filter = answer.and_then(|a| inspection.expr(&at.join("where"), a.filter.as_deref()?, OF_ANSWER));
    let answer_pattern = answer.and_then(|a| inspection.pattern(&at.join("matches"), a.matches.as_deref()?));
    let answer_schema = answer.and_then(|a| inspection.schema(&at.join("schema"), a.schema.as_ref()?));
    Expected {
        raw: raw.clone(),
        filter,
        state,
        answer_filter,
        answer_pattern,
        answer_schema,
        category: raw.category(),
        location: inspection.document().locate(&route),
        route,
    }
}

fn check_kinds(inspection: &mut Inspection<'_>, route: &Route, raw: &Expectation) {
    let kinds = [
        ("call", raw.call.is_some()),
        ("calls", raw.calls.is_some()),
        ("never", raw.never.is_some()),
        ("changes", raw.changes.is_some()),
        ("keeps", raw.keeps.is_some()),
        ("answer", raw.answer.is_some()),
        ("state", raw.state.is_some()),
        ("budget", raw.budget.is_some()),
        ("handoff", raw.handoff.is_some()),
        ("refusal", raw.refusal.is_some()),
    ];
    let given: Vec<&str> = kinds.iter().filter(|(_, given)| *given).map(|(kind, _)| *kind).collect();
    match given.as_slice() {
        [_] => {}
        [] => {
            let all: Vec<&str> = kinds.iter().map(|(kind, _)| *kind).collect();
            let hint = format!("give one of {}", all.join(", "));
            inspection.mistaken_key(&first_key(route, raw), "nothing is expected here", hint);
        }
        [first, second, ..] => {
            let message = format!("`{first}` and `{second}` are two expectations");
            inspection.mistaken_key(&route.join(second), message, "write each as an item of its own");
        }
    }
}

/// A short place for an expectation without a kind.
fn first_key(route: &Route, raw: &Expectation) -> Route {
    let named = [("fails", raw.fails.is_some()), ("with", raw.with.is_some()), ("where", raw.filter.is_some())];
    let key = named.iter().find(|(_, given)| *given).map(|(key, _)| route.join(key));
    key.unwrap_or_else(|| route.clone())
}

fn check_companions(inspection: &mut Inspection<'_>, route: &Route, raw: &Expectation) {
    let (call, calls, never) = (raw.call.is_some(), raw.calls.is_some(), raw.never.is_some());
    for (key, given, fits, owner) in [
        ("with", raw.with.is_some(), call, "`call`"),
        ("where", raw.filter.is_some(), call || never, "`call` or `never`"),
        ("times", raw.times.is_some(), call, "`call`"),
        ("exactly", raw.exactly, calls, "`calls`"),
    ] {
        if given && !fits {
            let hint = match key {
                "where" if raw.answer.is_some() => "put it inside `answer`".to_owned(),
                "exactly" if call => "for one tool, write `calls: [tool]` with `exactly: true`".to_owned(),
                _ => format!("add {owner} here, or remove `{key}`"),
            };
            inspection.mistaken_key(&route.join(key), format!("`{key}` belongs to {owner}"), hint);
        }
    }
}

/// Expectations that every agent meets are mistakes.
fn check_emptiness(inspection: &mut Inspection<'_>, route: &Route, raw: &Expectation) {
    if raw.calls.as_ref().is_some_and(Vec::is_empty) && !raw.exactly {
        let hint = "name tools, or add `exactly: true` for no calls at all";
        inspection.mistaken_key(&route.join("calls"), "no calls in any order always hold", hint);
    }
    if raw.never.as_ref().is_some_and(Vec::is_empty) {
        inspection.mistaken_key(&route.join("never"), "`never` names no tool", "name tools; `\"*\"` means every tool");
    }
    if raw.keeps.as_ref().is_some_and(Vec::is_empty) {
        inspection.mistaken_key(&route.join("keeps"), "`keeps` names no canary", "name canaries of the world");
    }
    if raw.budget.as_ref().is_some_and(|b| (b.steps, b.tool_calls, b.tokens, b.within) == (None, None, None, None)) {
        let hint = "give `steps`, `tool_calls`, `tokens` or `within`";
        inspection.mistaken_key(&route.join("budget"), "the budget has no limit", hint);
    }
    if let Some(answer) = &raw.answer {
        check_answer(inspection, &route.join("answer"), answer);
    }
    if let Some(Times::Between(bounds)) = raw.times {
        let (least, most) = (bounds.at_least.unwrap_or(0), bounds.at_most.unwrap_or(u32::MAX));
        if least > most {
            let message = format!("no count is at least {least} and at most {most}");
            inspection.mistaken_key(&route.join("times"), message, "exchange the two");
        } else if least == 0 && bounds.at_most.is_none() {
            let hint = "give `at_least` of 1 or more, or `at_most`";
            inspection.mistaken_key(&route.join("times"), "every count fits these bounds", hint);
        }
    }
}

fn check_answer(inspection: &mut Inspection<'_>, route: &Route, answer: &AnswerExpectation) {
    let texts = [("contains", &answer.contains), ("excludes", &answer.excludes)];
    let lists_are_empty = texts.iter().all(|(_, list)| list.is_empty());
    let others = (&answer.matches, &answer.equals, &answer.filter);
    if lists_are_empty && others == (&None, &None, &None) && answer.schema.is_none() {
        let hint = "give `contains`, `excludes`, `matches`, `equals`, `schema` or `where`";
        inspection.mistaken_key(route, "every answer fits", hint);
    }
    for (key, list) in texts {
        for (index, _) in list.iter().enumerate().filter(|(_, text)| text.is_empty()) {
            let at = route.join(key).join(index);
            inspection.mistake(&at, "an empty text occurs in every answer", "remove it, or write the text");
        }
    }
}

fn check_tools(inspection: &mut Inspection<'_>, around: &Surroundings<'_>, route: &Route, raw: &Expectation) {
    let Some(known) = around.tools() else { return };
    let single = raw.call.iter().map(|tool| (route.join("call"), tool));
    let lists = [("calls", &raw.calls), ("never", &raw.never)];
    let listed = lists.into_iter().flat_map(|(key, tools)| {
        let at = route.join(key);
        tools.iter().flatten().enumerate().map(move |(index, tool)| (at.join(index), tool))
    });
    let changes = raw.changes.iter().flatten().enumerate();
    let changes = changes.map(|(index, change)| (route.join("changes").join(index).join("call"), &change.call));
    for (at, tool) in single.chain(listed).chain(changes) {
        let is_pattern = raw.never.is_some() && tool.contains('*');
        if !is_pattern && !known.contains(&tool.as_str()) {
            inspection.unknown(&at, format!("the world has no tool `{tool}`"), tool, &known);
        }
    }
}
