//! A program that speaks JSON lines over stdio, one process per trial.
//!
//! In: `{"message", "history", "session_id", "run_id", "trial_id", "tools_url", "traceparent", "baggage"}`.
//! Out: one line `{"answer", "tool_calls"?, "usage"?, "error"?}`. What it writes to stderr is kept for errors.

use std::{path::PathBuf, process::Stdio, sync::Arc, time::Duration};

use futures_util::{FutureExt as _, future::BoxFuture};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
    task::JoinHandle,
};

use super::{
    AdapterError, Answer, Conversation, Kind, Message, Place, Secrets, Tools, TrialContext, TurnError, Wire,
    client::shown,
    extract::{claim, usage},
    group::{Group, spawn},
    tail::Tail,
};
use crate::{
    manifest::endpoint::{Endpoint, Protocol},
    source::Route,
};

/// What `endpoint.stand_ins` says for the trial's own tools.
const GATE_TOOLS: &str = "gate:tools";
/// How long a program has to end after its stdin was closed.
const GRACE: Duration = Duration::from_millis(500);

pub(super) const KIND: Kind = Kind {
    name: "command",
    about: "a program that answers JSON lines on stdin with JSON lines on stdout, one process per trial",
    protocol: Protocol::Command,
    build,
};

fn build(endpoint: &Endpoint, place: &Place, _secrets: &mut Secrets) -> Result<Box<dyn Wire>, AdapterError> {
    let folder = place.folder.join(endpoint.cwd.as_deref().unwrap_or(""));
    let folder = if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder };
    let filled: Vec<String> = endpoint.run.iter().map(|part| place.filled(part)).collect();
    let Some((program, arguments)) = filled.split_first().filter(|(program, _)| !program.is_empty()) else {
        return Err(AdapterError::at(&Route::pointer("/endpoint"), "protocol `command` needs `run`".to_owned()));
    };
    // A relative path means one below the working directory, on every system.
    let program = if program.contains('/') { folder.join(program) } else { PathBuf::from(program) };
    let plan = Plan {
        program,
        arguments: arguments.to_vec(),
        folder,
        stand_ins: endpoint.stand_ins.clone().into_iter().collect(),
        timeout: endpoint.timeout.0,
        max_bytes: usize::try_from(endpoint.response.max_bytes).unwrap_or(usize::MAX),
    };
    Ok(Box::new(Program { plan: Arc::new(plan) }))
}

struct Program {
    plan: Arc<Plan>,
}

struct Plan {
    program: PathBuf,
    arguments: Vec<String>,
    folder: PathBuf,
    stand_ins: Vec<(String, String)>,
    timeout: Duration,
    max_bytes: usize,
}

impl Wire for Program {
    fn open<'a>(
        &'a self,
        context: &'a TrialContext,
        _tools: Option<Tools>,
    ) -> BoxFuture<'a, Result<Box<dyn Conversation>, TurnError>> {
        async move { Ok(Box::new(Talk::start(&self.plan, context)?) as Box<dyn Conversation>) }.boxed()
    }

    fn uses_tools_url(&self) -> bool {
        true
    }
}

/// One running program. Dropping it kills its process group.
struct Talk {
    plan: Arc<Plan>,
    context: TrialContext,
    history: Vec<Message>,
    child: Child,
    group: Group,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    tail: Tail,
    reader: JoinHandle<()>,
}

impl Talk {
    fn start(plan: &Arc<Plan>, context: &TrialContext) -> Result<Self, TurnError> {
        let mut command = Command::new(&plan.program);
        command.args(&plan.arguments).current_dir(&plan.folder);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env("AGENTREADY_TOOLS_URL", &context.tools_url);
        for (name, value) in &plan.stand_ins {
            command.env(name, if value == GATE_TOOLS { &context.tools_url } else { value });
        }
        let failed =
            |error: &dyn std::fmt::Display| TurnError::Setup(format!("`{}` failed: {error}", plan.program.display()));
        let (mut child, group) = spawn(&mut command).map_err(|error| failed(&error))?;
        let streams = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(input), Some(output), Some(errors)) = streams else { return Err(failed(&"it has no stdio")) };
        let tail = Tail::default();
        let reader = tail.follow(errors);
        Ok(Self {
            plan: Arc::clone(plan),
            context: context.clone(),
            history: Vec::new(),
            child,
            group,
            input: Some(input),
            output: BufReader::new(output),
            tail,
            reader,
        })
    }

    async fn say(&mut self, prompt: &str) -> Result<Answer, TurnError> {
        let limit = self.plan.timeout;
        let Ok(line) = tokio::time::timeout(limit, self.exchange(prompt)).await else {
            self.group.kill(); // a late answer must not be taken for that of the next turn
            return Err(TurnError::Timeout(limit));
        };
        let line = line?;
        let answer = answer_in(&line)?;
        self.history.push(Message { role: "user", content: prompt.to_owned() });
        self.history.push(Message { role: "assistant", content: answer.text.clone() });
        Ok(answer)
    }

    async fn exchange(&mut self, prompt: &str) -> Result<Vec<u8>, TurnError> {
        let mut line = self.message(prompt).to_string().into_bytes();
        line.push(b'\n');
        let written = match &mut self.input {
            Some(input) => input.write_all(&line).await.is_ok() && input.flush().await.is_ok(),
            None => false,
        };
        // A program may have answered and ended without reading: what it wrote is looked at in any case.
        match self.read_line().await? {
            Some(line) => Ok(line),
            None if written => Err(self.ended("ended without an answer").await),
            None => Err(self.ended("ended before it was asked").await),
        }
    }

    fn message(&self, prompt: &str) -> Value {
        let context = &self.context;
        json!({
            "message": prompt, "history": self.history, "session_id": context.trial_id, "run_id": context.run_id,
            "trial_id": context.trial_id, "tools_url": context.tools_url, "traceparent": context.traceparent,
            "baggage": context.baggage
        })
    }

    /// The next line that is not blank, or nothing at the end of the output.
    async fn read_line(&mut self) -> Result<Option<Vec<u8>>, TurnError> {
        let mut line = Vec::new();
        loop {
            let chunk = self.output.fill_buf().await.map_err(|error| TurnError::Agent(error.to_string()))?;
            if chunk.is_empty() {
                return Ok((!line.trim_ascii().is_empty()).then_some(line));
            }
            let end = chunk.iter().position(|&byte| byte == b'\n');
            let taken = end.map_or(chunk.len(), |end| end + 1);
            line.extend_from_slice(chunk.get(..taken).unwrap_or_default());
            self.output.consume(taken);
            if line.len() > self.plan.max_bytes {
                return Err(TurnError::Agent(format!(
                    "the program wrote a line of more than {} bytes",
                    self.plan.max_bytes
                )));
            }
            if end.is_some() {
                if !line.trim_ascii().is_empty() {
                    return Ok(Some(line));
                }
                line.clear();
            }
        }
    }

    /// The error of a program that is no more, with the end of its stderr.
    async fn ended(&mut self, how: &str) -> TurnError {
        let status = tokio::time::timeout(GRACE, self.child.wait()).await;
        let status = match status {
            Ok(Ok(status)) => format!(" ({status})"),
            Ok(Err(_)) | Err(_) => String::new(),
        };
        drop(tokio::time::timeout(GRACE, &mut self.reader).await);
        let tail = self.tail.lines();
        let last = tail.get(tail.len().saturating_sub(5)..).unwrap_or_default().join(" | ");
        let said = if last.is_empty() { "it wrote nothing to stderr".to_owned() } else { last };
        TurnError::Agent(format!("the program {how}{status}: {said}"))
    }

    async fn end(&mut self) {
        self.input = None;
        drop(tokio::time::timeout(GRACE, self.child.wait()).await);
        self.group.kill();
    }
}

/// The answer in a line of output.
fn answer_in(line: &[u8]) -> Result<Answer, TurnError> {
    let body: Value = serde_json::from_slice(line)
        .map_err(|_syntax| TurnError::Agent(format!("the program wrote a line that is no JSON: {}", shown(line))))?;
    match body.get("error") {
        None | Some(Value::Null) => {}
        Some(error) => {
            let text = error.as_str().map_or_else(|| error.to_string(), str::to_owned);
            return Err(TurnError::Agent(format!("the program says: {}", shown(text.as_bytes()))));
        }
    }
    let text = body.get("answer").and_then(Value::as_str).unwrap_or_default();
    if text.trim().is_empty() {
        return Err(TurnError::Agent(format!("the program gave no text as `answer`: {}", shown(line))));
    }
    let calls = body.get("tool_calls").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let claimed = calls.iter().map(claim).collect::<Option<Vec<_>>>().ok_or_else(|| {
        TurnError::Agent(format!("the program's `tool_calls` is no list of {{tool, args}}: {}", shown(line)))
    })?;
    Ok(Answer { text: text.to_owned(), claimed, usage: body.get("usage").map(usage).unwrap_or_default() })
}

impl Drop for Talk {
    fn drop(&mut self) {
        self.group.kill();
        self.reader.abort();
    }
}

impl Conversation for Talk {
    fn turn<'a>(&'a mut self, prompt: &'a str) -> BoxFuture<'a, Result<Answer, TurnError>> {
        self.say(prompt).boxed()
    }

    fn close(&mut self) -> BoxFuture<'_, Result<(), TurnError>> {
        async move {
            self.end().await;
            Ok(())
        }
        .boxed()
    }
}
