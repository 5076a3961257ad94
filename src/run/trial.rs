//! One trial from its first request to its record.

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use tokio::time::{Instant, sleep, timeout};

use super::{Cancel, Pace, RunEvent};
use crate::{
    agent::{Adapter, Answer, Session, Tools, TrialContext, TurnError},
    plan::PlannedTrial,
    record::{DROPPED, End, ModelCall, TrialRecord, TurnRecord, unanswered},
    scenario::{PlannedTurn, Scenario},
    standin::{Gateway, Lane, Token},
    world::{Play, World},
};

/// Limits of one trial.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Time for all turns together, waiting for the pace not counted.
    pub trial: Duration,
    /// How often a transport error is tried again.
    pub retries: u32,
    /// How long a trial may wait for a rate limited agent in all.
    pub patience: Duration,
}

/// How calls find their trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Each trial has a tool URL of its own.
    Url,
    /// All share one, and calls bear `baggage` or `traceparent`.
    Hints(Lane),
    /// One trial at a time has it.
    Lane(Lane),
}

/// What every trial of a run shares, on one agent process.
pub struct Stage<'a> {
    /// How to reach the agent.
    pub adapter: &'a Adapter,
    /// The tool stand-in.
    pub gateway: &'a Arc<Gateway>,
    /// The run's id.
    pub run_id: &'a str,
    /// How the agent's tool calls are told apart.
    pub reach: Reach,
    /// The lane at which the agent finds its model, where the gate plays it: one trial at a time sits there.
    pub model: Option<Lane>,
    /// Nothing may take effect: the trial is there to see whether the agent answers, and how its calls arrive.
    pub is_probe: bool,
    /// The header that names the trial, where the manifest asks for one.
    pub header: Option<String>,
    /// Whether the agent was pointed to the trace receiver.
    pub is_traced: bool,
    /// The shared pace.
    pub pace: &'a Pace,
    /// Limits of one trial.
    pub limits: Limits,
    /// The switch that ends the run.
    pub cancel: &'a Cancel,
    /// Told what happens.
    pub events: &'a dyn Fn(RunEvent),
}

/// Wait after a 429 that names no time: short at first, because the shared pace already slows the run down, and spread,
/// because requests that were refused together must not come back together.
fn pause(refusals: u32) -> Duration {
    Duration::from_millis(20).saturating_mul(1 << refusals.min(8)).mul_f64(0.5 + rand::random::<f64>())
}

/// Backoff before the n-th try again.
fn backoff(attempt: u32) -> Duration {
    Duration::from_millis(200).saturating_mul(1 << attempt.min(5))
}

struct Progress {
    turns: Vec<TurnRecord>,
    attempts: u32,
    spent: Duration,
    waited: Duration,
}

impl Stage<'_> {
    /// Runs one trial; whatever happens, there is a record of it.
    pub async fn run(&self, planned: &PlannedTrial, scenario: &Scenario, world: &Arc<World>) -> TrialRecord {
        let mut attempts = 0;
        loop {
            let (mut record, again) = self.attempt(planned, scenario, world).await;
            attempts += record.attempts;
            record.attempts = attempts;
            if !again || attempts > self.limits.retries || self.cancel.reason().is_some() {
                return record;
            }
            sleep(backoff(attempts)).await;
        }
    }

    /// One try of a trial, and whether it may be tried again: only when nothing reached the agent or its tools.
    async fn attempt(&self, planned: &PlannedTrial, scenario: &Scenario, world: &Arc<World>) -> (TrialRecord, bool) {
        let token = Token::random();
        let mut progress = Progress { turns: Vec::new(), attempts: 0, spent: Duration::ZERO, waited: Duration::ZERO };
        let play = match Play::new(Arc::clone(world), &scenario.given) {
            Ok(play) => play.with_faults(&scenario.faults),
            // Loading validated `given` against the world; reaching this is the gate's own fault, never a pass.
            Err(message) => {
                let end = End::InfraError { message: format!("the world could not be set up: {message}") };
                let record = TrialRecord::unasked(planned.index, &scenario.id, planned.trial, end);
                return (record, false);
            }
        };
        let lane = match &self.reach {
            Reach::Lane(lane) => Some(lane),
            Reach::Url | Reach::Hints(_) => self.model.as_ref(),
        };
        if self.is_probe {
            self.gateway.open_probe(&token, lane);
        } else {
            self.gateway.open(&token, lane, play);
            if !scenario.model.is_empty() {
                self.gateway.follow(&token, scenario.model.clone());
            } else if !scenario.needs_world() {
                self.gateway.forward(&token);
            }
        }
        let result = tokio::select! {
            result = self.converse(&token, planned, scenario, &mut progress) => result,
            () = self.cancel.killed() => Err(Stop::Killed),
        };
        let is_telling = !progress.turns.is_empty() || result.is_ok();
        if self.is_traced && is_telling && !self.is_probe && !matches!(result, Err(Stop::Killed)) {
            self.gateway.settle(&token, progress.turns.len()).await;
        }
        let finished = self.gateway.close(&token);
        let untouched = finished.ledger.is_empty() && progress.turns.is_empty();
        let again = matches!(&result, Err(Stop::Turn(TurnError::Transport(_)))) && untouched;
        let record = TrialRecord {
            index: planned.index,
            scenario: scenario.id.clone(),
            trial: planned.trial,
            turns: progress.turns,
            ledger: finished.ledger,
            shown: finished.shown,
            looked: finished.looked,
            state: finished.state,
            end: answered(end_of(result), &finished.model_calls),
            attempts: progress.attempts,
            duration_ms: u64::try_from(progress.spent.as_millis()).unwrap_or(u64::MAX),
            model_calls: finished.model_calls,
            drill: None,
            telemetry: self.is_traced.then_some(finished.telemetry),
            ruling: None,
        };
        (record, again)
    }

    async fn converse(
        &self,
        token: &Token,
        planned: &PlannedTrial,
        scenario: &Scenario,
        progress: &mut Progress,
    ) -> Result<(), Stop> {
        let context = self.context(token, planned, scenario);
        let began = Instant::now();
        let session = timeout(self.limits.trial, self.adapter.open(&context, self.tools(token))).await;
        progress.spent += began.elapsed();
        let mut session = match session {
            Ok(session) => session?,
            Err(_) => return Err(Stop::Turn(TurnError::Timeout(self.limits.trial))),
        };
        let mut outcome = Ok(());
        for (position, turn) in scenario.turns.iter().enumerate() {
            if position > 0 {
                self.gateway.next_turn(token);
            }
            match self.turn(&mut session, &turn.say, progress).await {
                Ok(answered) => progress.turns.push(self.note(token, turn, answered)),
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        // Closing is bounded and its failure changes nothing: the answers are already there.
        let _ = timeout(Duration::from_secs(5), session.close()).await;
        outcome
    }

    /// One turn, with waiting for the pace and for a rate limited agent.
    async fn turn(
        &self,
        session: &mut Session,
        say: &str,
        progress: &mut Progress,
    ) -> Result<(Answer, Duration), Stop> {
        for refusals in 0_u32.. {
            self.pace.turn().await;
            progress.attempts += 1;
            let left = self.limits.trial.saturating_sub(progress.spent);
            let began = Instant::now();
            let result = timeout(left, session.turn(say)).await;
            let took = began.elapsed();
            progress.spent += took;
            match result {
                Err(_) => return Err(Stop::Turn(TurnError::Timeout(self.limits.trial))),
                Ok(Ok(answer)) => {
                    self.pace.accepted();
                    return Ok((answer, took));
                }
                Ok(Err(TurnError::RateLimited { retry_after })) => {
                    let pause = retry_after.unwrap_or_default().max(pause(refusals));
                    progress.waited += pause;
                    if progress.waited > self.pace.patience(self.limits.patience) || self.cancel.reason().is_some() {
                        self.pace.gave_up();
                        return Err(Stop::Turn(TurnError::RateLimited { retry_after }));
                    }
                    // Who is refused in vain says nothing about the pace.
                    self.pace.refused();
                    if pause > Duration::from_secs(5) {
                        (self.events)(RunEvent::Waiting { for_: pause, why: "the rate limited agent".to_owned() });
                    }
                    sleep(pause).await;
                }
                Ok(Err(error)) => return Err(Stop::Turn(error)),
            }
        }
        Err(Stop::Turn(TurnError::RateLimited { retry_after: None }))
    }

    fn note(&self, token: &Token, turn: &PlannedTurn, (answer, latency): (Answer, Duration)) -> TurnRecord {
        let keep_state = turn.expect.iter().any(|expected| expected.state.is_some());
        let state = keep_state.then(|| self.gateway.state(token));
        TurnRecord {
            say: turn.say.clone(),
            answer: answer.text,
            claimed: answer.claimed,
            usage: answer.usage,
            latency_ms: u64::try_from(latency.as_millis()).unwrap_or(u64::MAX),
            state,
        }
    }

    fn context(&self, token: &Token, planned: &PlannedTrial, scenario: &Scenario) -> TrialContext {
        let run_id = self.run_id.to_owned();
        TrialContext {
            trial_id: format!("{}#{}", scenario.id, planned.trial),
            token: token.as_str().to_owned(),
            tools_url: match &self.reach {
                Reach::Url => self.gateway.tools_url(token),
                Reach::Hints(lane) | Reach::Lane(lane) => self.gateway.lane_url(lane, None),
            },
            traceparent: token.traceparent(),
            // A trial is one run of the agent, so each has an id of its own.
            baggage: format!(
                "run_id={run_id}.{},agentready.trial={token}",
                token.as_str().get(..8).unwrap_or_default()
            ),
            header: self.header.clone().map(|name| (name, token.as_str().to_owned())),
            run_id,
        }
    }

    /// What a bare model is offered, and who carries its calls out.
    fn tools(&self, token: &Token) -> Option<Tools> {
        if !self.adapter.runs_tools() {
            return None;
        }
        let offers = self.gateway.offers(token);
        let gateway = Arc::clone(self.gateway);
        let token = token.clone();
        let run = Arc::new(move |tool: String, args: serde_json::Value| {
            let (gateway, token) = (Arc::clone(&gateway), token.clone());
            async move { gateway.call(&token, &tool, args).await }.boxed()
        });
        Some(Tools { offers, run })
    }
}

enum Stop {
    Turn(TurnError),
    Killed,
}

impl From<TurnError> for Stop {
    fn from(error: TurnError) -> Self {
        Self::Turn(error)
    }
}

/// The end of a trial whose model could be asked: where the provider failed, nothing is the agent's doing.
fn answered(end: End, calls: &[ModelCall]) -> End {
    let Some(why) = unanswered(calls) else { return end };
    match end {
        End::Completed => End::InfraError { message: why.to_owned() },
        End::AgentError { message } | End::InfraError { message } => {
            End::InfraError { message: format!("{why}; then: {message}") }
        }
        End::Skipped { .. } => end,
    }
}

fn end_of(result: Result<(), Stop>) -> End {
    match result {
        Ok(()) => End::Completed,
        Err(Stop::Killed) => End::Skipped { message: DROPPED.to_owned() },
        Err(Stop::Turn(error)) => {
            let message = error.to_string();
            match error {
                TurnError::Transport(_) | TurnError::RateLimited { .. } | TurnError::Setup(_) => {
                    End::InfraError { message }
                }
                TurnError::Agent(_) | TurnError::Timeout(_) => End::AgentError { message },
            }
        }
    }
}
