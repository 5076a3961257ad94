//! A server of MCP that is spoken with over its stdio: one process for the whole run, one line a message. Answers find their
//! calls by the id of JSON-RPC. What is no message of the protocol is not looked at.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::BoxFuture;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader},
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use super::aside;

/// Longest line of the server.
const MAX_LINE: u64 = 4 * 1024 * 1024;
/// Messages that wait to be written.
const MAX_WAITING: usize = 1024;

/// A program behind the pipe. Dropping it ends the program and all that it started.
pub trait Behind: Send + Sync {
    /// How it ended, with the last that it wrote to its stderr.
    fn ended(&self) -> BoxFuture<'_, String>;
}

/// A running server and its stdio.
pub struct Stdio {
    /// What it reads.
    pub input: Box<dyn AsyncWrite + Send + Unpin>,
    /// What it writes.
    pub output: Box<dyn AsyncRead + Send + Unpin>,
    /// The program.
    pub behind: Box<dyn Behind>,
}

impl fmt::Debug for Stdio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stdio")
    }
}

/// What a server said to one message, and what it asked for meanwhile.
pub(super) struct Back {
    pub(super) message: Value,
    pub(super) refused: Vec<String>,
}

/// Calls that wait for their answers, by id; nothing once the server is gone.
type Waiting = Option<BTreeMap<u64, Call>>;

struct Call {
    back: oneshot::Sender<Back>,
    refused: Vec<String>,
}

/// The gate's end.
pub(super) struct Pipe {
    lines: mpsc::Sender<Vec<u8>>,
    waiting: Arc<Mutex<Waiting>>,
    behind: Box<dyn Behind>,
    tasks: [JoinHandle<()>; 2],
    timeout: Duration,
}

impl fmt::Debug for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipe").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Pipe {
    pub(super) fn new(stdio: Stdio, timeout: Duration) -> Self {
        let Stdio { input, output, behind } = stdio;
        let (lines, written) = mpsc::channel(MAX_WAITING);
        let waiting = Arc::new(Mutex::new(Some(BTreeMap::new())));
        let reader = tokio::spawn(read(output, Arc::clone(&waiting), lines.clone()));
        let writer = tokio::spawn(write(input, written));
        Self { lines, waiting, behind, tasks: [reader, writer], timeout }
    }

    /// Sends a request and waits for what is said to it.
    pub(super) async fn ask(&self, id: u64, message: &Value, at_most: Duration) -> Result<Back, String> {
        let limit = self.timeout.min(at_most);
        let (back, answered) = oneshot::channel();
        let Some(()) =
            held(&self.waiting).as_mut().map(|calls| drop(calls.insert(id, Call { back, refused: Vec::new() })))
        else {
            return Err(self.behind.ended().await);
        };
        let exchange = async {
            self.tell(message).await;
            answered.await.ok()
        };
        match tokio::time::timeout(limit, exchange).await {
            Ok(Some(back)) => Ok(back),
            Ok(None) => Err(self.behind.ended().await),
            Err(_late) => {
                held(&self.waiting).as_mut().and_then(|calls| calls.remove(&id));
                Err(format!("gave no answer within {}", crate::units::format_duration(limit)))
            }
        }
    }

    /// Sends a message that nothing is said to. Where the server reads no more, its end tells so.
    pub(super) async fn tell(&self, message: &Value) {
        let _ = self.lines.send(line(message)).await;
    }
}

fn held(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

fn line(message: &Value) -> Vec<u8> {
    let mut line = message.to_string().into_bytes();
    line.push(b'\n');
    line
}

async fn write(mut input: impl AsyncWrite + Unpin, mut lines: mpsc::Receiver<Vec<u8>>) {
    while let Some(line) = lines.recv().await {
        if input.write_all(&line).await.is_err() || input.flush().await.is_err() {
            return;
        }
    }
}

/// Hands each answer to its call until the server is gone, or writes more than anyone keeps.
async fn read(output: impl AsyncRead + Unpin, waiting: Arc<Mutex<Waiting>>, lines: mpsc::Sender<Vec<u8>>) {
    let mut output = BufReader::new(output);
    let mut text = Vec::new();
    loop {
        text.clear();
        let count = (&mut output).take(MAX_LINE).read_until(b'\n', &mut text).await;
        let is_whole = text.last() == Some(&b'\n') || u64::try_from(text.len()).is_ok_and(|length| length < MAX_LINE);
        if !matches!(count, Ok(1..)) || !is_whole {
            break;
        }
        // Servers write other things there as well; that is their fault and no answer.
        let Ok(message) = serde_json::from_slice::<Value>(&text) else { continue };
        if let Some(aside) = aside::read(&message) {
            for call in held(&waiting).iter_mut().flat_map(BTreeMap::values_mut) {
                call.refused.extend(aside.refused.clone().filter(|_| call.refused.len() < aside::MOST));
            }
            // A server that does not read what it asked for gets no more answers; calls must not wait for it.
            let _ = lines.try_send(line(&aside.answer));
            continue;
        }
        let id = message.get("id").and_then(Value::as_u64).filter(|_| message.get("method").is_none());
        let call = id.and_then(|id| held(&waiting).as_mut()?.remove(&id));
        if let Some(Call { back, refused }) = call {
            let _ = back.send(Back { message, refused });
        }
    }
    // Those who wait learn of it by their senders being dropped.
    *held(&waiting) = None;
}
