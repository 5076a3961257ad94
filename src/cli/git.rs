//! Asks git about the files behind the claims. A repository without git, without commits or without an answer in time
//! is "not asked": what git would say is then unknown, never assumed.

use std::{path::Path, process::Stdio, time::Duration};

use tokio::process::Command;

use crate::facts::{Commit, GitQuestions, GitSeen};

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
    let mut command = Command::new("git");
    command.arg("-C").arg(root).args(["--no-pager", "--no-optional-locks", "--literal-pathspecs"]);
    command.args(["-c", "core.fsmonitor=false", "-c", "core.quotepath=off", "-c", "log.showSignature=false"]);
    command.args(args).env("GIT_TERMINAL_PROMPT", "0").stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    for name in NOT_OURS {
        command.env_remove(name);
    }
    let output = tokio::time::timeout(PATIENCE, command.output()).await.ok()?.ok()?;
    if output.status.success() { String::from_utf8(output.stdout).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::{ask, at_github, commit};
    use crate::facts::GitQuestions;

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
    }
}
