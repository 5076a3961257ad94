//! What one expectation looks at: the whole trial, or one turn of it.

use std::sync::LazyLock;

use serde_json::{Value, json};

use super::{Policy, Trial};
use crate::{
    expr::{Expr, Scope},
    record::{Call, CallStatus, TrialRecord, TurnRecord},
    text::shortened,
};

/// Longest piece of an agent's own text in a message.
const SHOWN: usize = 300;

/// Functions without variables; registering them anew for each expression would cost more than evaluating it.
static STANDARD: LazyLock<Scope<'static>> = LazyLock::new(Scope::new);

/// Why an expectation can't be decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Undecided(pub(super) String);

/// One way in which an expectation does not hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Slip {
    pub(super) message: String,
    pub(super) expected: Option<String>,
    pub(super) actual: Option<String>,
    /// It happened and no later event can mend it; so it counts even if the trial ended early.
    pub(super) lasting: bool,
}

/// Nothing when the expectation holds.
pub(super) type Ruling = Result<Vec<Slip>, Undecided>;

impl Slip {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }

    pub(super) fn expected(self, expected: impl Into<String>) -> Self {
        Self { expected: Some(expected.into()), ..self }
    }

    pub(super) fn actual(self, actual: impl Into<String>) -> Self {
        Self { actual: Some(actual.into()), ..self }
    }

    pub(super) fn lasting(self) -> Self {
        Self { lasting: true, ..self }
    }
}

/// The part of a trial that an expectation speaks of.
pub(super) struct Scene<'t> {
    trial: Trial<'t>,
    calls: Vec<&'t Call>,
    state: Option<&'t Value>,
    pub(super) turns: &'t [TurnRecord],
    pub(super) duration_ms: u64,
    pub(super) policy: &'t Policy,
}

impl<'t> Scene<'t> {
    /// The whole trial.
    pub(super) fn whole(trial: &Trial<'t>, policy: &'t Policy) -> Self {
        let record = trial.record;
        Self {
            trial: *trial,
            calls: record.ledger.iter().collect(),
            state: Some(&record.state),
            turns: &record.turns,
            duration_ms: record.duration_ms,
            policy,
        }
    }

    /// One turn; `None` when it was never played.
    pub(super) fn turn(trial: &Trial<'t>, policy: &'t Policy, index: usize) -> Option<Self> {
        let turns = trial.record.turns.get(index..=index)?;
        let turn = turns.first()?;
        let calls = trial.record.ledger.iter().filter(|call| usize::try_from(call.turn) == Ok(index)).collect();
        let state = turn.state.as_ref();
        Some(Self { trial: *trial, calls, state, turns, duration_ms: turn.latency_ms, policy })
    }

    /// All that happened in the trial.
    pub(super) fn record(&self) -> &'t TrialRecord {
        self.trial.record
    }

    /// The last answer.
    pub(super) fn answer(&self) -> &'t str {
        self.turns.last().map_or("", |turn| turn.answer.as_str())
    }

    /// All calls that arrived, whatever became of them.
    pub(super) fn calls(&self) -> Result<&[&'t Call], Undecided> {
        if self.trial.observable {
            Ok(&self.calls)
        } else {
            Err(Undecided("calls can't be observed: the agent's tools do not lead to the gate".to_owned()))
        }
    }

    /// The calls that took effect.
    pub(super) fn executed(&self) -> Result<Vec<&'t Call>, Undecided> {
        Ok(self.calls()?.iter().copied().filter(|call| call.status == CallStatus::Executed).collect())
    }

    /// Variables of `where` beside the call itself: `state`.
    pub(super) fn call_scope(&self) -> Scope<'_> {
        let mut scope = STANDARD.inner();
        // A world that no call can reach shows nothing, so its state stays unknown.
        if let Some(state) = self.state.filter(|_| self.trial.observable) {
            scope.set("state", state);
        }
        scope
    }

    /// Variables of `state`: `state`, `before`, `calls` and `answer`; what can't be known is left out.
    pub(super) fn state_scope(&self) -> Scope<'_> {
        let mut scope = self.call_scope();
        scope.set("before", self.trial.before);
        scope.set("answer", &Value::String(self.answer().to_owned()));
        if self.trial.observable {
            scope.set("calls", &self.calls.iter().map(|call| call_value(call)).collect());
        }
        scope
    }

    /// The same variables as they were before the trial.
    pub(super) fn before_scope(&self) -> Scope<'_> {
        STANDARD
            .inner()
            .with("state", self.trial.before)
            .with("before", self.trial.before)
            .with("answer", &json!(""))
            .with("calls", &json!([]))
    }

    /// The state for people.
    pub(super) fn state_text(&self) -> Option<String> {
        self.state.map(|state| shown(&state.to_string()))
    }
}

/// A scope with the agent's answer alone.
pub(super) fn answer_scope(answer: &str) -> Scope<'static> {
    STANDARD.inner().with("answer", &Value::String(answer.to_owned()))
}

/// Evaluates; a failure is no answer.
pub(super) fn decide(expr: &Expr, scope: &Scope<'_>) -> Result<bool, Undecided> {
    expr.test(scope).map_err(|error| Undecided(format!("`{}` can't be decided: {error}", expr.source())))
}

/// The parsed part, `None` when nothing was written; a written part that was not parsed can't be decided.
pub(super) fn parsed<'e, T>(part: Option<&'e T>, is_written: bool, name: &str) -> Result<Option<&'e T>, Undecided> {
    if is_written && part.is_none() { Err(Undecided(format!("`{name}` was not compiled"))) } else { Ok(part) }
}

/// Calls for people: `issue_refund {"amount_usd":20}; …`.
pub(super) fn listed(calls: &[&Call]) -> String {
    if calls.is_empty() {
        return "no such call".to_owned();
    }
    let calls: Vec<_> = calls.iter().map(|call| format!("{} {}", call.tool, shown(&call.args.to_string()))).collect();
    shortened(&calls.join("; "), 4 * SHOWN)
}

/// Text of the agent or the world, cut to what a message can carry.
pub(super) fn shown(text: &str) -> String {
    shortened(text, SHOWN)
}

fn call_value(call: &Call) -> Value {
    let status = match call.status {
        CallStatus::Attempted => "attempted",
        CallStatus::Blocked => "blocked",
        CallStatus::Executed => "executed",
    };
    let mut value = json!({"tool": call.tool, "args": call.args, "status": status, "result": call.result});
    if let (Some(fault), Some(entries)) = (&call.fault, value.as_object_mut()) {
        entries.insert("fault".to_owned(), fault.as_str().into());
    }
    value
}
