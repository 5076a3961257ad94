//! Asks git about the files behind the claims. A repository without git, without commits or without an answer in time
//! is "not asked": what git would say is then unknown, never assumed.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
};

use crate::facts::{Commit, FileDay, FileState, GitQuestions, GitSeen};

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Names that fit into one command line on every system.
const NAMES: usize = 400;
/// What a hook that runs the gate hands down, and what would point git at another repository.
const NOT_OURS: [&str; 4] = ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"];

/// Everything that git says; nothing where `root` is no repository or git does not answer.
pub(crate) async fn ask(root: &Path, questions: &GitQuestions) -> Option<GitSeen> {
    if !root.join(".git").exists() {
        return None;
    }
    let (shallow, head, remote) = tokio::join!(
        git(root, &["rev-parse", "--is-shallow-repository"]),
        git(root, &["rev-parse", "--verify", "--quiet", "HEAD"]),
        git(root, &["remote", "get-url", "origin"]),
    );
    let mut seen = GitSeen {
        shallow: shallow?.trim() == "true",
        head: head.map(|head| head.trim().to_owned()),
        remote: remote.and_then(|url| at_github(url.trim())),
        ..GitSeen::default()
    };
    for names in questions.files.chunks(NAMES) {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let tracked = git(root, &[&["ls-files", "-z", "--"], names.as_slice()].concat()).await?;
        seen.tracked.extend(zero_terminated(&tracked));
        if seen.head.is_some() {
            let changed = git(root, &[&["diff", "--name-only", "-z", "HEAD", "--"], names.as_slice()].concat()).await?;
            seen.changed.extend(zero_terminated(&changed));
        }
    }
    for name in &questions.histories {
        let said = git(root, &["log", "-1", "--format=%H%x00%cs%x00%ae%x00%G?", "--", name]).await;
        if let Some(commit) = said.as_deref().and_then(commit) {
            seen.last.insert(name.clone(), commit);
        }
    }
    for version in &questions.versions {
        let tags = [version.clone(), format!("v{version}")];
        let mut lock = None;
        for tag in tags {
            let place = format!("refs/tags/{tag}:{}", questions.lock);
            lock = lock.or(git(root, &["cat-file", "blob", &place]).await);
        }
        seen.versions.insert(version.clone(), lock);
    }
    Some(seen)
}

/// How files stand to the last commit, and when they last changed; files that git does not tell of are left out.
pub(crate) async fn days(root: &Path, names: &[String]) -> BTreeMap<String, FileDay> {
    let mut days = BTreeMap::new();
    let inside: Vec<&str> = names.iter().map(String::as_str).filter(|name| !name.starts_with("..")).collect();
    for names in inside.chunks(NAMES) {
        let (kept, differ) = (
            [&["ls-files", "-z", "--"], names].concat(),
            [&["diff", "--name-only", "-z", "HEAD", "--"], names].concat(),
        );
        let (tracked, changed) = tokio::join!(git(root, &kept), git(root, &differ));
        let (Some(tracked), Some(changed)) = (tracked, changed) else { continue };
        let (tracked, changed): (BTreeSet<String>, BTreeSet<String>) =
            (zero_terminated(&tracked).collect(), zero_terminated(&changed).collect());
        let committed = tracked.difference(&changed).map(String::as_str).collect();
        let mut last = last_changes(root, committed).await;
        days.extend(names.iter().map(|name| {
            let state = match (tracked.contains(*name), changed.contains(*name)) {
                (false, _) => FileState::Untracked,
                (true, true) => FileState::Changed,
                (true, false) => FileState::Committed,
            };
            ((*name).to_owned(), FileDay { state, on: last.remove(*name) })
        }));
    }
    days
}

/// The day of the last commit of each file, in one walk through history that ends when all are found, or in time.
async fn last_changes(root: &Path, mut wanted: BTreeSet<&str>) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let names: Vec<&str> = wanted.iter().copied().collect();
    let args = [&["log", "--format=%x01%cs", "--name-only", "--no-renames", "--"], names.as_slice()].concat();
    let walk = async {
        if wanted.is_empty() {
            return;
        }
        let Ok(mut child) = command(root, &args).stdout(Stdio::piped()).spawn() else { return };
        let Some(out) = child.stdout.take() else { return };
        let (mut lines, mut day) = (BufReader::new(out).lines(), String::new());
        while let Ok(Some(line)) = lines.next_line().await {
            if let Some(on) = line.strip_prefix('\u{1}') {
                on.clone_into(&mut day);
            } else if wanted.remove(line.as_str()) {
                found.insert(line, day.clone());
            }
            if wanted.is_empty() {
                break;
            }
        }
    };
    // What was not found in time is of unknown age.
    tokio::time::timeout(PATIENCE, walk).await.unwrap_or_default();
    found
}

fn zero_terminated(text: &str) -> impl Iterator<Item = String> {
    text.split('\0').filter(|name| !name.is_empty()).map(str::to_owned)
}

fn commit(line: &str) -> Option<Commit> {
    let mut parts = line.trim_end().split('\0').map(str::to_owned);
    let (id, on, author, signature) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    (!id.is_empty()).then(|| Commit { id, on, author, signature: signature.chars().next().unwrap_or('N') })
}

/// `owner/name` of a remote at GitHub.
fn at_github(url: &str) -> Option<String> {
    let path = ["https://github.com/", "git@github.com:", "ssh://git@github.com/"]
        .iter()
        .find_map(|prefix| url.strip_prefix(prefix))?;
    let path = path.strip_suffix(".git").unwrap_or(path).trim_end_matches('/');
    (path.matches('/').count() == 1).then(|| path.to_owned())
}

async fn git(root: &Path, args: &[&str]) -> Option<String> {
    let output = tokio::time::timeout(PATIENCE, command(root, args).output()).await.ok()?.ok()?;
    if output.status.success() { String::from_utf8(output.stdout).ok() } else { None }
}

fn command(root: &Path, args: &[&str]) -> Command {
    let mut command = Command::new("git");
    command.arg("-C").arg(root).args(["--no-pager", "--no-optional-locks", "--literal-pathspecs"]);
    command.args([
        "-c",
        "core.fsmonitor=false",
        "-c",
        "core.quotepath=off",
        "-c",
        "log.showSignature=false",
        "-c",
        "log.showRoot=true",
    ]);
    command.args(args).env("GIT_TERMINAL_PROMPT", "0").stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    for name in NOT_OURS {
        command.env_remove(name);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::{ask, at_github, commit, days};
    use crate::facts::{FileState, GitQuestions};

    #[test]
    fn remotes_at_github_are_known_in_every_spelling() {
        for (url, expected) in [
            ("https://github.com/acme/refund-agent.git", Some("acme/refund-agent")),
            ("git@github.com:acme/refund-agent", Some("acme/refund-agent")),
            ("ssh://git@github.com/acme/refund-agent.git", Some("acme/refund-agent")),
            ("https://gitlab.example/acme/refund-agent", None),
            ("https://github.com/acme", None),
        ] {
            assert_eq!(at_github(url).as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn a_commit_is_read_from_one_line() {
        let read = commit("abc\u{0}2026-11-10\u{0}ana@acme.example\u{0}N\n").expect("a commit");
        assert_eq!((read.on.as_str(), read.author.as_str(), read.signature), ("2026-11-10", "ana@acme.example", 'N'));
        assert_eq!(commit(""), None);
    }

    #[tokio::test]
    async fn git_tells_tracked_from_changed_from_new() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        assert!(ask(root, &GitQuestions::default()).await.is_none(), "no repository is not asked");
        let write = |name: &str, text: &str| std::fs::write(root.join(name), text).expect("written");
        let run = |args: &[&str]| {
            let author = ["-c", "user.name=Ana", "-c", "user.email=ana@acme.example", "-c", "commit.gpgsign=false"];
            let done = std::process::Command::new("git").arg("-C").arg(root).args(author).args(args).output();
            assert!(done.expect("git runs").status.success(), "{args:?}");
        };
        run(&["init", "--quiet"]);
        write("agentready.lock", "version = 1\n");
        write("prompt.md", "Decide.");
        run(&["add", "."]);
        run(&["commit", "--quiet", "-m", "first"]);
        run(&["tag", "v1.0.0"]);
        write("prompt.md", "Pay.");
        write("new.md", "New.");
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let questions = GitQuestions {
            files: names(&["agentready.lock", "prompt.md", "new.md"]),
            histories: names(&["prompt.md", "new.md"]),
            versions: names(&["1.0.0", "0.9.0"]),
            lock: "agentready.lock".to_owned(),
        };
        let seen = ask(root, &questions).await.expect("a repository");
        assert!(!seen.shallow && seen.head.is_some());
        assert_eq!(seen.tracked.iter().collect::<Vec<_>>(), ["agentready.lock", "prompt.md"]);
        assert_eq!(seen.changed.iter().collect::<Vec<_>>(), ["prompt.md"]);
        assert_eq!(seen.last.keys().collect::<Vec<_>>(), ["prompt.md"]);
        assert_eq!(seen.last["prompt.md"].author, "ana@acme.example");
        assert_eq!(seen.versions["1.0.0"].as_deref(), Some("version = 1\n"));
        assert_eq!(seen.versions["0.9.0"], None);
        let days = days(root, &names(&["agentready.lock", "prompt.md", "new.md", "../beyond.md"])).await;
        let of = |name: &str| (days[name].state, days[name].on.is_some());
        assert_eq!(of("agentready.lock"), (FileState::Committed, true));
        assert_eq!(of("prompt.md"), (FileState::Changed, false), "what was changed is as old as its time stamp");
        assert_eq!(of("new.md"), (FileState::Untracked, false));
        assert!(!days.contains_key("../beyond.md"));
    }
}
