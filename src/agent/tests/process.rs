#![cfg(unix)]

use std::{collections::BTreeMap, path::Path, time::Duration};

use super::stub::soon;
use crate::{
    agent::{Process, StartError},
    manifest::endpoint::Ready,
    units::Span,
};

fn ready(within_ms: u64) -> Ready {
    Ready { url: None, within: Span(Duration::from_millis(within_ms)) }
}

fn free_url() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    format!("http://{}/chat", listener.local_addr().expect("bound"))
}

fn server(url: &str) -> String {
    let port = url.trim_end_matches("/chat").rsplit(':').next().expect("a port").to_owned();
    format!("exec python3 -m http.server --bind 127.0.0.1 {port}")
}

/// The process whose id stands in the file does not run any more.
pub(super) async fn assert_gone(pid_file: &Path) {
    let pid = std::fs::read_to_string(pid_file).expect("a pid");
    for _ in 0..100 {
        let shown = tokio::process::Command::new("ps").args(["-o", "stat=", "-p", pid.trim()]).output().await;
        let state = String::from_utf8(shown.expect("ps runs").stdout).expect("text");
        // An orphan that nobody has waited for yet is dead as well.
        if state.trim().is_empty() || state.trim().starts_with('Z') {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("process {pid} still runs");
}

#[tokio::test]
async fn an_agent_that_dies_shows_what_it_wrote() {
    let command = "echo starting; echo \"no key $WHO\" >&2; exit 7";
    let env: BTreeMap<_, _> = [("WHO".to_owned(), "for blue".to_owned())].into();
    let outcome = soon(Process::start(command, env, Path::new("."), &ready(5000), &free_url())).await;
    let Err(StartError::Died { status, mut tail }) = outcome else { panic!("{outcome:?}") };
    tail.sort();
    assert_eq!((status.as_str(), tail), ("exit status: 7", vec!["no key for blue".to_owned(), "starting".to_owned()]));
}

#[tokio::test]
async fn an_agent_that_never_listens_is_not_ready() {
    let url = free_url();
    let outcome = soon(Process::start("echo busy; sleep 30", BTreeMap::new(), Path::new("."), &ready(300), &url)).await;
    let Err(error @ StartError::NotReady { .. }) = outcome else { panic!("{outcome:?}") };
    assert!(error.to_string().contains("within 300ms; the last it wrote:\n  busy"), "{error}");
    let done = soon(Process::start("true", BTreeMap::new(), Path::new("."), &ready(200), &url)).await;
    assert!(matches!(done, Err(StartError::NotReady { .. })), "{done:?}");
}

#[tokio::test]
async fn a_port_that_is_in_use_is_not_taken_for_the_agent() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let outcome = soon(Process::start("sleep 30", BTreeMap::new(), Path::new("."), &ready(500), &url)).await;
    assert!(matches!(outcome, Err(StartError::Taken(_))), "{outcome:?}");
}

#[tokio::test]
async fn a_ready_agent_ends_with_all_it_started() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = free_url();
    let command = format!("sleep 30 & echo $! > pid; {}", server(&url));
    let page = Ready { url: Some(url.replace("/chat", "/")), ..ready(5000) };
    let mut process = Process::start(&command, BTreeMap::new(), folder.path(), &page, &url).await.expect("ready");
    assert_eq!(process.has_died(), None);
    soon(process.stop()).await;
    assert_gone(&folder.path().join("pid")).await;
}

#[tokio::test]
async fn what_a_finished_command_left_running_counts_and_ends_on_drop() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = free_url();
    let command = format!("(echo $$ > unused; {}) > /dev/null 2>&1 & echo $! > pid", server(&url));
    let process = Process::start(&command, BTreeMap::new(), folder.path(), &ready(5000), &url).await.expect("ready");
    drop(process);
    assert_gone(&folder.path().join("pid")).await;
}
