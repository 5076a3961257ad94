//! A program that is spoken with over its stdio for a whole run: a server of MCP that staging has as a command. Must not know
//! what is said.

use std::{path::Path, process::Stdio as Pipes, time::Duration};

use futures_util::{FutureExt as _, future::BoxFuture};
use tokio::{process::Child, sync::Mutex, task::JoinHandle, time::timeout};

use super::{
    group::{Group, spawn},
    process::shell,
    tail::Tail,
};
use crate::standin::{Behind, Stdio};

/// How long the end of its stderr is waited for.
const GRACE: Duration = Duration::from_millis(500);
/// Lines of its stderr that are told.
const MAX_LINES: usize = 5;

/// The program, in a process group of its own.
struct Piped {
    child: Mutex<Child>,
    group: Group,
    tail: Tail,
    reader: JoinHandle<()>,
}

/// Starts a shell command in a folder.
pub fn piped(command: &str, folder: &Path) -> Result<Stdio, String> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let mut shell = shell(command);
    shell.current_dir(folder).stdin(Pipes::piped()).stdout(Pipes::piped()).stderr(Pipes::piped());
    let (mut child, group) = spawn(&mut shell).map_err(|error| format!("could not be started: {error}"))?;
    let streams = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(input), Some(output), Some(errors)) = streams else { return Err("has no stdio".to_owned()) };
    let tail = Tail::default();
    let reader = tail.follow(errors);
    let behind = Box::new(Piped { child: Mutex::new(child), group, tail, reader });
    Ok(Stdio { input: Box::new(input), output: Box::new(output), behind })
}

impl Behind for Piped {
    fn ended(&self) -> BoxFuture<'_, String> {
        async {
            let mut child = self.child.lock().await;
            let status = timeout(GRACE, child.wait()).await;
            let status = match status {
                Ok(Ok(status)) => format!(" ({status})"),
                Ok(Err(_)) | Err(_) => String::new(),
            };
            // Its last lines may still be in the pipe.
            let end = tokio::time::Instant::now() + GRACE;
            while !self.reader.is_finished() && tokio::time::Instant::now() < end {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            let lines = self.tail.lines();
            let last = lines.get(lines.len().saturating_sub(MAX_LINES)..).unwrap_or_default().join(" | ");
            let said = if last.is_empty() { "it wrote nothing to stderr".to_owned() } else { last };
            format!("ended{status}: {said}")
        }
        .boxed()
    }
}

impl Drop for Piped {
    fn drop(&mut self) {
        self.group.kill();
        self.reader.abort();
    }
}
