//! Starting and ending programs: the agent under test, and the processes of protocol `command`.
//!
//! A program runs in a process group of its own, so that everything it starts ends with it.

use std::{
    collections::BTreeMap,
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use reqwest::Url;
use tokio::{
    process::{Child, Command},
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use super::{
    client::{is_loopback, prober},
    group::{Group, spawn},
    tail::Tail,
};
use crate::{manifest::endpoint::Ready, units::format_duration};

/// How long a group has to end by itself.
const GRACE: Duration = Duration::from_secs(2);
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
const PROBE: Duration = Duration::from_secs(2);

/// Why the agent could not be started.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum StartError {
    /// The readiness URL or `endpoint.url` cannot be used.
    #[error("`{0}` is no URL whose readiness can be waited for")]
    Url(String),
    /// Something else already answers there, so the answers would not be this agent's.
    #[error("something already listens at {0}, so the agent cannot be started there")]
    Taken(String),
    /// The command itself could not be run.
    #[error("the agent could not be started: {0}")]
    Spawn(String),
    /// It ended before it was ready.
    #[error("the agent ended with {status} before it was ready{}", indented(.tail))]
    Died {
        /// The exit status in words.
        status: String,
        /// The last lines that it wrote.
        tail: Vec<String>,
    },
    /// It runs but never became ready.
    #[error("the agent was not ready at {at} within {}{}", format_duration(*.within), indented(.tail))]
    NotReady {
        /// What was waited for.
        at: String,
        /// How long.
        within: Duration,
        /// The last lines that it wrote.
        tail: Vec<String>,
    },
}

fn indented(tail: &[String]) -> String {
    if tail.is_empty() {
        return "; it wrote nothing".to_owned();
    }
    format!("; the last it wrote:\n{}", tail.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n"))
}

/// A started agent. Dropping it kills its whole process group.
#[derive(Debug)]
pub struct Process {
    child: Child,
    group: Group,
    tail: Tail,
    readers: Vec<JoinHandle<()>>,
    exit: Option<ExitStatus>,
}

impl Process {
    /// Runs a shell command and waits until the agent at `url` is ready. A command that ends with success (such as
    /// `docker compose up --wait`) is taken to have left something running, and waiting goes on.
    pub async fn start(
        command: &str,
        env: BTreeMap<String, String>,
        cwd: &Path,
        ready: &Ready,
        url: &str,
    ) -> Result<Self, StartError> {
        let probe = Probe::new(ready, url)?;
        if probe.is_taken().await {
            return Err(StartError::Taken(probe.shown()));
        }
        let cwd = if cwd.as_os_str().is_empty() { Path::new(".") } else { cwd };
        let mut shell = shell(command);
        shell.envs(env).current_dir(cwd).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let (mut child, group) = spawn(&mut shell).map_err(|error| StartError::Spawn(error.to_string()))?;
        let tail = Tail::default();
        let mut readers = Vec::new();
        readers.extend(child.stdout.take().map(|stream| tail.follow(stream)));
        readers.extend(child.stderr.take().map(|stream| tail.follow(stream)));
        let mut process = Self { child, group, tail, readers, exit: None };
        match process.wait_until_ready(&probe, ready.within.0).await {
            Ok(()) => Ok(process),
            Err(error) => {
                process.stop().await;
                Err(error)
            }
        }
    }

    /// The last lines that it wrote, oldest first, harmless to print.
    pub fn tail(&self) -> Vec<String> {
        self.tail.lines()
    }

    /// Whether it has ended with a failure; `None` while it runs or after an end with success.
    pub fn has_died(&mut self) -> Option<String> {
        if self.exit.is_none() {
            self.exit = self.child.try_wait().ok().flatten();
        }
        self.exit.filter(|status| !status.success()).map(|status| status.to_string())
    }

    /// Ends the whole process group: first asks, then kills.
    pub async fn stop(mut self) {
        self.group.ask_to_end();
        let deadline = Instant::now() + GRACE;
        while Instant::now() < deadline {
            let is_gone = self.child.try_wait().ok().flatten().is_some() && !self.group.is_alive();
            if is_gone {
                break;
            }
            sleep(FIRST_PAUSE).await;
        }
        self.group.kill();
        drop(self.child.start_kill());
        drop(timeout(GRACE, self.child.wait()).await);
    }

    async fn wait_until_ready(&mut self, probe: &Probe, within: Duration) -> Result<(), StartError> {
        let deadline = Instant::now() + within;
        let mut pause = FIRST_PAUSE;
        loop {
            if let Some(status) = self.has_died() {
                self.drain().await;
                return Err(StartError::Died { status, tail: self.tail() });
            }
            if timeout(deadline - Instant::now(), probe.is_ready()).await.unwrap_or(false) {
                // A port that answers although the command failed belongs to somebody else.
                sleep(FIRST_PAUSE).await;
                match self.has_died() {
                    None => return Ok(()),
                    Some(status) => {
                        self.drain().await;
                        return Err(StartError::Died { status, tail: self.tail() });
                    }
                }
            }
            if Instant::now() >= deadline {
                return Err(StartError::NotReady { at: probe.shown(), within, tail: self.tail() });
            }
            sleep(pause.min(deadline - Instant::now())).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Lets the readers take what a dead process left in its pipes.
    async fn drain(&mut self) {
        for reader in &mut self.readers {
            drop(timeout(Duration::from_millis(200), reader).await);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.group.kill();
        self.readers.iter().for_each(JoinHandle::abort);
    }
}

/// A command as the system's shell runs it.
pub(super) fn shell(command: &str) -> Command {
    let (program, flag) = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
    let mut shell = Command::new(program);
    shell.arg(flag).arg(command);
    shell
}

/// How readiness is asked for.
struct Probe {
    host: String,
    port: u16,
    page: Option<(reqwest::Client, Url)>,
}

impl Probe {
    fn new(ready: &Ready, url: &str) -> Result<Self, StartError> {
        let text = ready.url.as_deref().unwrap_or(url);
        let unusable = || StartError::Url(text.to_owned());
        let parsed = Url::parse(text).map_err(|_syntax| unusable())?;
        let host = parsed.host_str().ok_or_else(unusable)?.trim_matches(['[', ']']).to_owned();
        let port = parsed.port_or_known_default().ok_or_else(unusable)?;
        let page = match ready.url {
            None => None,
            Some(_) => Some((prober(&parsed, PROBE).map_err(|_builder| unusable())?, parsed)),
        };
        Ok(Self { host, port, page })
    }

    fn shown(&self) -> String {
        match &self.page {
            Some((_, url)) => url.to_string(),
            None => format!("{}:{}", self.host, self.port),
        }
    }

    /// Whether somebody is there already; asked only on this machine, since a command may well update what runs
    /// elsewhere.
    async fn is_taken(&self) -> bool {
        is_loopback(&self.host) && self.connects(Duration::from_millis(300)).await
    }

    async fn is_ready(&self) -> bool {
        match &self.page {
            None => self.connects(PROBE).await,
            Some((client, url)) => {
                client.get(url.clone()).send().await.is_ok_and(|reply| !reply.status().is_server_error())
            }
        }
    }

    async fn connects(&self, within: Duration) -> bool {
        let connecting = tokio::net::TcpStream::connect((self.host.as_str(), self.port));
        matches!(timeout(within, connecting).await, Ok(Ok(_)))
    }
}
