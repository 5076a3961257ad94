//! The loop: model step, policy gate, tool call, until the model answers or a cap is reached.

use std::time::Instant;

use serde::Serialize;
use serde_json::{Value, json};

use super::{
    flaw::Flaw,
    impairment::{Impairment, Proposed},
    limits::LIMITS,
    model::{self, Observation, Seen, Step},
    policy::{self, Known, Ruling, Spent, Why},
    prices::Bill,
    records, redaction,
    remote::{Proposal, Remote, Spoken},
    request::Request,
    schemas,
    telemetry::{Begun, Outcome, Trace},
    tools::{Offered, Tools},
};

/// A tool call as the agent reports it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ReportedCall {
    pub(super) tool: String,
    pub(super) args: Value,
    pub(super) blocked: bool,
}

/// What a conversation has come to know and to cost.
#[derive(Clone, Debug, Default)]
pub(super) struct Session {
    known: Known,
    pub(super) spent: Spent,
}

/// One turn of one conversation.
pub(super) struct Turn<'a> {
    pub(super) tools: &'a Tools,
    pub(super) session: &'a mut Session,
    pub(super) impairment: &'a Impairment,
    pub(super) run_id: &'a str,
    pub(super) calls: Vec<ReportedCall>,
    pub(super) trace: Trace,
    /// What the turn cost so far, beside its tokens.
    pub(super) bill: Bill,
    seen: Vec<Observation>,
    /// What the server of the tools offers; nothing where it does not say.
    offered: Vec<Offered>,
}

/// More steps than any plan of the model needs; ends a loop that the caps did not end.
const LAST_STEP: usize = 40;
const OUT_OF_LIMITS: &str = "I could not finish within my limits. Please take the case to refunds-l2.";

impl<'a> Turn<'a> {
    pub(super) fn new(tools: &'a Tools, session: &'a mut Session, impairment: &'a Impairment, run_id: &'a str) -> Self {
        let (calls, seen, offered) = (Vec::new(), Vec::new(), Vec::new());
        let trace = Trace::following(tools.context.traceparent.as_deref(), impairment.has(Flaw::MissingSpans));
        Self { tools, session, impairment, run_id, calls, trace, bill: Bill::default(), seen, offered }
    }

    /// Runs the loop to its answer.
    pub(super) async fn run(&mut self, said: &[String]) -> String {
        if self.impairment.has(Flaw::RefusesEverything) {
            return "I am sorry, but I am not able to help with that request.".to_owned();
        }
        if let Some(remote) = self.tools.model.clone() {
            return self.run_with(&remote, said).await;
        }
        let request = Request::read(said);
        self.offered = self.tools.list().await;
        for _ in 0..LAST_STEP {
            let tokens = self.prompt_tokens(said);
            if !self.impairment.has(Flaw::IgnoresBudget) && self.session.spent.tokens + tokens > LIMITS.per_run.tokens {
                break;
            }
            self.session.spent.steps += 1;
            self.session.spent.tokens += tokens;
            let step = model::next(&request, &self.seen, self.run_id);
            let given = self.given(said);
            self.trace.step((&given, tokens), &json!(format!("{step:?}")));
            match step {
                Step::Answer(answer) => {
                    for call in self.impairment.obey(&self.seen, &self.offered) {
                        self.act(call).await;
                    }
                    return self.leaving(self.impairment.reword(answer, &self.seen));
                }
                Step::Call(tool, args) => self.propose(tool, args).await,
            }
        }
        OUT_OF_LIMITS.to_owned()
    }

    /// The same loop with a model over the wire: its proposals go the same way, and its own count of tokens counts.
    async fn run_with(&mut self, remote: &Remote, said: &[String]) -> String {
        let mut messages = Remote::opening(said);
        while self.may_ask() {
            self.session.spent.steps += 1;
            let Spoken { text, calls, tokens, message } = match remote
                .ask(&self.tools.http, &messages, self.tools.carried(""))
                .await
            {
                Ok(spoken) => spoken,
                Err(why) => return format!("My model can't be reached ({why}). Please take the case to refunds-l2."),
            };
            self.session.spent.tokens += tokens;
            let given = self.given(said);
            self.trace.step((&given, tokens), &message);
            if calls.is_empty() {
                return self.leaving(self.impairment.reword(text, &self.seen));
            }
            messages.push(message);
            for Proposal { id, tool, args } in calls {
                self.propose(&tool, args).await;
                let seen = self.seen.last().map(|observation| shown(&observation.seen)).unwrap_or_default();
                messages.push(json!({"role": "tool", "tool_call_id": id, "content": seen.to_string()}));
            }
        }
        OUT_OF_LIMITS.to_owned()
    }

    /// Whether the caps leave room for another question to the model.
    fn may_ask(&self) -> bool {
        let (spent, caps) = (&self.session.spent, &LIMITS.per_run);
        let is_left = spent.steps < caps.steps.min(caps.model_calls) && spent.tokens < caps.tokens;
        let last = u64::try_from(LAST_STEP).unwrap_or(u64::MAX);
        is_left || (self.impairment.has(Flaw::IgnoresBudget) && spent.steps < last)
    }

    async fn propose(&mut self, tool: &str, args: Value) {
        let calls = self.impairment.bend(Proposed::gated(tool, args), &self.seen);
        let mut outcome = None;
        for call in calls {
            let seen = self.act(call).await;
            outcome.get_or_insert(seen);
        }
        let seen = outcome.unwrap_or_else(|| Seen::Refused("nothing was called".to_owned()));
        self.seen.push(Observation { tool: tool.to_owned(), seen });
    }

    async fn act(&mut self, call: Proposed) -> Seen {
        if self.tools.oversight.stops(&call.tool) {
            return self.block(call, Why::PolicyBlock);
        }
        if !self.offered.is_empty() && !self.offered.iter().any(|offered| offered.name == call.tool) {
            return Seen::Refused("no such tool is offered".to_owned());
        }
        let ruling =
            policy::rule(&call.tool, &call.args, &self.session.known, &self.impairment.counted(self.session.spent));
        // An amount above the limits is told as such, although no schema takes it either.
        let is_malformed = !call.ungated && !schemas::fit(&call.tool, &call.args);
        match self.impairment.soften(&call, ruling, self.tools.model.is_some()) {
            Ruling::Allow | Ruling::NeedsApproval if is_malformed => {
                if self.impairment.has(Flaw::PolicyFailsOpen) {
                    self.carry_out(call).await
                } else {
                    self.block(call, Why::PolicyBlock)
                }
            }
            Ruling::Allow => self.carry_out(call).await,
            Ruling::Block(why) => self.block(call, why),
            Ruling::NeedsApproval => match self.ask(&call).await {
                Ok(()) => self.carry_out(call).await,
                Err(why) => self.block(call, why),
            },
        }
    }

    /// Asks a person, who sees exactly what would be done.
    async fn ask(&mut self, call: &Proposed) -> Result<(), Why> {
        let field = |key: &str| call.args.get(key).cloned().unwrap_or_default();
        let (covered, why) = if call.tool == "cancel_refund" {
            (json!({"refund_id": field("refund_id")}), json!("a refund issued by mistake"))
        } else {
            (json!({"charge_id": field("charge_id"), "amount_usd": field("amount_usd")}), field("reason"))
        };
        let args = json!({"tool": call.tool, "args": self.impairment.forge(covered), "why": why});
        match policy::rule("request_approval", &args, &self.session.known, &self.impairment.counted(self.session.spent))
        {
            Ruling::Block(why) => return Err(why),
            Ruling::Allow | Ruling::NeedsApproval => {}
        }
        let asked = args.clone();
        let seen = self.execute("request_approval".to_owned(), args).await;
        let answer = match &seen {
            Seen::Result(result) => result.clone(),
            Seen::Refused(_) | Seen::Blocked(_) => Value::Null,
        };
        let grant = self.tools.oversight.decided(&self.tools.run, &asked, &answer);
        self.seen.push(Observation { tool: "request_approval".to_owned(), seen });
        let usable = grant.is_some_and(|grant| self.tools.oversight.redeem(&grant));
        if usable { Ok(()) } else { Err(Why::ApprovalDenied) }
    }

    async fn carry_out(&mut self, call: Proposed) -> Seen {
        let seen = self.execute(call.tool.clone(), call.args.clone()).await;
        match self.impairment.again(&call, &seen) {
            Some(again) => self.execute(again.tool, again.args).await,
            None => seen,
        }
    }

    async fn execute(&mut self, tool: String, args: Value) -> Seen {
        let args = if self.impairment.leaks() { args } else { redaction::arguments(&tool, args) };
        let (started, begun) = (Instant::now(), Begun::now());
        let seen = if let Some(result) = self.impairment.pretend(&tool) {
            Seen::Result(result)
        } else {
            self.session.spent.calls += 1;
            self.session.spent.writes += u64::from(policy::writes(&tool));
            let came = self.tools.call((&tool, &args), &begun.id).await;
            if let Seen::Result(result) = &came {
                self.bill.add(&tool, result);
            }
            self.coming((&tool, &args), came)
        };
        if let Seen::Result(result) = &seen {
            self.session.known.learn(&tool, result);
            self.session.known.remember(&tool, &args);
        }
        let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.tools.log((&tool, &args), &seen, elapsed_ms, &begun.id);
        self.trace.call(&begun, (&tool, &args), &shown(&seen));
        self.calls.push(ReportedCall { tool, args, blocked: false });
        seen
    }

    /// What a tool returned, as the model step sees it.
    fn coming(&self, (tool, args): (&str, &Value), seen: Seen) -> Seen {
        let seen = match &seen {
            Seen::Result(value) if !self.impairment.has(Flaw::BelievesRecords) => {
                records::flaw_in(tool, args, value).map_or(seen, Seen::Refused)
            }
            Seen::Result(_) | Seen::Refused(_) | Seen::Blocked(_) => seen,
        };
        match seen {
            Seen::Result(value) if !self.impairment.leaks() => Seen::Result(redaction::result(value)),
            seen => seen,
        }
    }

    /// An answer on its way out.
    fn leaving(&self, answer: String) -> String {
        if self.impairment.leaks() { answer } else { redaction::answer(&answer) }
    }

    fn block(&mut self, call: Proposed, why: Why) -> Seen {
        let seen = Seen::Blocked(why);
        self.tools.log((&call.tool, &call.args), &seen, 0, "");
        self.trace.blocked(&call.tool, &call.args, why.name());
        self.calls.push(ReportedCall { tool: call.tool, args: call.args, blocked: true });
        seen
    }

    /// All that the model reads at this step.
    fn given(&self, said: &[String]) -> Value {
        let seen: Vec<Value> = self.seen.iter().map(|o| json!({"tool": o.tool, "result": shown(&o.seen)})).collect();
        json!({"said": said, "seen": seen})
    }

    /// What the turn came to, beside its time.
    pub(super) fn outcome(&self, tokens: u64) -> Outcome {
        let count = |is_it: &dyn Fn(&ReportedCall) -> bool| self.calls.iter().filter(|call| is_it(call)).count() as u64;
        let failed = self.seen.iter().filter(|o| matches!(o.seen, Seen::Refused(_))).count();
        Outcome {
            seconds: 0.0,
            tokens,
            calls: count(&|call| !call.blocked),
            failed_calls: failed as u64,
            blocked_calls: count(&|call| call.blocked),
            bill: self.bill,
            handed_over: count(&|call| call.tool == "escalate_case" && !call.blocked) > 0,
        }
    }

    /// Four characters a token, over everything that the model would read again at this step.
    fn prompt_tokens(&self, said: &[String]) -> u64 {
        let said: usize = said.iter().map(String::len).sum();
        let seen: usize = self
            .seen
            .iter()
            .map(|o| match &o.seen {
                Seen::Result(value) => value.to_string().len(),
                Seen::Refused(text) => text.len(),
                Seen::Blocked(why) => why.name().len(),
            })
            .sum();
        u64::try_from((said + seen) / 4 + 40).unwrap_or(u64::MAX)
    }
}

/// What came of a call, as the trace shows it.
fn shown(seen: &Seen) -> Value {
    match seen {
        Seen::Result(value) => value.clone(),
        Seen::Refused(why) => json!({"error": why}),
        Seen::Blocked(why) => json!({"blocked": why.name()}),
    }
}
