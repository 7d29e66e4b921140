//! Runs a program with a deadline: never through a shell, in a process group of its own that is
//! killed as a whole, its output thrown away because it may hold values.

use std::{
    ffi::OsStr,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::process::{Child, Command};

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

/// Runs `words` (a program and its arguments) with `extra` environment variables.
///
/// # Cancel safety
///
/// Dropping the future kills the process group.
pub async fn run<S: AsRef<OsStr>>(
    words: &[S],
    extra: &[(&str, String)],
    deadline: Duration,
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
    match tokio::time::timeout(deadline, group.0.wait()).await {
        Ok(Ok(status)) => Ended::Exited(status),
        Ok(Err(error)) => Ended::NotStarted(error),
        Err(_) => Ended::Deadline,
    }
}

/// A process group that does not outlive its owner.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        // Once the leader was waited for its number may be somebody else's; its own children, if
        // it left any, are then on their own.
        if let Some(leader) = self.0.id().and_then(|id| i32::try_from(id).ok())
            && let Err(error) = killpg(Pid::from_raw(leader), Signal::SIGKILL)
        {
            tracing::debug!(%error, "the process group is gone already");
        }
    }
}
