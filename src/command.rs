//! Runs a program with a deadline: never through a shell, in a process group of its own that is
//! killed as a whole at the deadline, its output thrown away because it may hold values.

use std::{
    ffi::OsStr,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use nix::{
    sys::{
        signal::{Signal, killpg},
        wait::{Id, WaitPidFlag, WaitStatus, waitid},
    },
    unistd::Pid,
};
use tokio::{
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
};

/// How a program ended.
#[derive(Debug)]
pub enum Ended {
    /// By itself.
    Exited(ExitStatus),
    /// At the deadline; its process group was killed.
    Deadline,
    /// It could not be started.
    NotStarted(std::io::Error),
}

/// What becomes of processes that a program leaves behind when it ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftBehind {
    /// They end too: a question leaves nothing running.
    Killed,
    /// They go on: what was told to reload may have started what it reloads.
    Kept,
}

/// Runs `words` (a program and its arguments) with `extra` environment variables.
///
/// # Cancel safety
///
/// Dropping the future kills the process group.
pub async fn run<S: AsRef<OsStr>>(
    words: &[S],
    extra: &[(&str, String)],
    deadline: Duration,
    left_behind: LeftBehind,
) -> Ended {
    let Some((program, arguments)) = words.split_first() else {
        return Ended::NotStarted(std::io::ErrorKind::InvalidInput.into());
    };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .envs(extra.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0);
    let mut group = match command.spawn() {
        Ok(child) => Group(child),
        Err(error) => return Ended::NotStarted(error),
    };
    let ended = async {
        if left_behind == LeftBehind::Killed {
            group.ends().await?;
            group.kill();
        }
        group.0.wait().await
    };
    match tokio::time::timeout(deadline, ended).await {
        Ok(Ok(status)) => Ended::Exited(status),
        Ok(Err(error)) => Ended::NotStarted(error),
        Err(_) => Ended::Deadline,
    }
}

/// A process group that does not outlive its owner.
struct Group(Child);

impl Group {
    /// Waits until the leader has ended, and leaves it to be waited for: until then nobody else can
    /// have its number.
    async fn ends(&self) -> std::io::Result<()> {
        let mut children = signal(SignalKind::child())?;
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        while let Some(leader) = self.leader() {
            if waitid(Id::Pid(leader), flags)? != WaitStatus::StillAlive {
                break;
            }
            children.recv().await;
        }
        Ok(())
    }

    fn kill(&self) {
        // Once the leader was waited for its number may be somebody else's.
        if let Some(leader) = self.leader()
            && let Err(error) = killpg(leader, Signal::SIGKILL)
        {
            tracing::debug!(%error, "the process group is gone already");
        }
    }

    fn leader(&self) -> Option<Pid> {
        self.0.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}
