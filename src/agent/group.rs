//! Process groups: a program runs in one of its own, so that everything it starts ends with it.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use tokio::process::{Child, Command};

/// The groups of this process, for an end that drops nothing.
static LIVING: Living = Living(Mutex::new(BTreeSet::new()));

/// Kills every group that was started and not ended yet.
pub fn end_all() {
    LIVING.kill();
}

/// Spawns a program in a process group of its own.
pub(super) fn spawn(command: &mut Command) -> std::io::Result<(Child, Group)> {
    #[cfg(unix)]
    command.process_group(0);
    let child = command.kill_on_drop(true).spawn()?;
    let group = Group::of(&child);
    Ok((child, group))
}

/// The process group of a child.
#[derive(Debug)]
pub(super) struct Group {
    leader: Option<i32>,
}

impl Group {
    fn of(child: &Child) -> Self {
        let leader = child.id().and_then(|id| i32::try_from(id).ok());
        LIVING.with(|all| all.extend(leader));
        Self { leader }
    }

    /// Asks what is left of the group to end.
    pub(super) fn ask_to_end(&self) {
        self.leader.into_iter().for_each(signal::ask_to_end);
    }

    /// Kills what is left of the group.
    pub(super) fn kill(&self) {
        self.leader.into_iter().for_each(signal::kill);
    }

    /// Whether something is left of it.
    pub(super) fn is_alive(&self) -> bool {
        self.leader.is_some_and(signal::is_alive)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.leader {
            LIVING.with(|all| all.retain(|living| *living != leader));
        }
    }
}

/// Groups by their leaders.
struct Living(Mutex<BTreeSet<i32>>);

impl Living {
    fn with(&self, change: impl FnOnce(&mut BTreeSet<i32>)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Waits for nobody: whoever holds the list may be the one who fails.
    fn kill(&self) {
        if let Ok(all) = self.0.try_lock() {
            all.iter().copied().for_each(signal::kill);
        }
    }
}

#[cfg(unix)]
mod signal {
    use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};

    pub(super) fn ask_to_end(leader: i32) {
        send(leader, Signal::TERM);
    }

    pub(super) fn kill(leader: i32) {
        send(leader, Signal::KILL);
    }

    pub(super) fn is_alive(leader: i32) -> bool {
        Pid::from_raw(leader).is_some_and(|leader| test_kill_process_group(leader).is_ok())
    }

    fn send(leader: i32, signal: Signal) {
        if let Some(leader) = Pid::from_raw(leader) {
            // Fails when nothing is left to signal, which is what is wanted.
            let _nothing_left = kill_process_group(leader, signal);
        }
    }
}

/// Leaves the end to `kill_on_drop`: there are no process groups.
#[cfg(not(unix))]
mod signal {
    pub(super) fn ask_to_end(_leader: i32) {}

    pub(super) fn kill(_leader: i32) {}

    pub(super) fn is_alive(_leader: i32) -> bool {
        false
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::{collections::BTreeSet, sync::Mutex, time::Duration};

    use tokio::process::Command;

    use super::{LIVING, Living, spawn};

    #[tokio::test]
    async fn an_end_that_drops_nothing_leaves_no_group_behind() {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg("sleep 600 & sleep 600");
        let (mut child, group) = spawn(&mut shell).expect("a shell");
        let leader = group.leader.expect("it runs");
        LIVING.with(|all| assert!(all.contains(&leader)));
        // A list of its own: other tests have groups, too.
        Living(Mutex::new(BTreeSet::from([leader]))).kill();
        tokio::time::timeout(Duration::from_secs(10), child.wait()).await.expect("it ends").expect("its status");
        let gone = async {
            while group.is_alive() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), gone).await.expect("all of it ends");
        drop(group);
        LIVING.with(|all| assert!(!all.contains(&leader)));
    }
}
