//! Reload by a program: a list of words, never a shell, with a deadline for its whole group.

use std::{process::Stdio, time::Duration};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};

use super::attempt::{Class, Report};
use crate::rendering::OutputPath;

/// Kills the group when dropped, also when the call is abandoned.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = self.0
            && let Err(error) = killpg(pid, Signal::SIGKILL)
        {
            tracing::debug!(%error, "the group has ended already");
        }
    }
}

/// Runs the program to its end or its deadline. What it prints may hold values and is dropped.
pub(super) async fn run(
    words: &[String],
    timeout: Duration,
    generation: u64,
    changed: &[OutputPath],
) -> Report {
    let Some((program, arguments)) = words.split_first() else {
        return Report::new(Class::Misconfigured, "exec names no program");
    };
    let paths: Vec<&str> = changed.iter().map(OutputPath::as_str).collect();
    let mut command = tokio::process::Command::new(program);
    command
        .args(arguments)
        .env("REHUP_GENERATION", generation.to_string())
        .env("REHUP_CHANGED", paths.join("\n"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            return Report::new(Class::Misconfigured, format!("cannot start {program}: {error}"));
        }
    };
    // Armed only while the child is not reaped: after that the number may be somebody else's.
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).map(Pid::from_raw);
    let mut group = Group(pid);
    let ended = tokio::time::timeout(timeout, child.wait()).await;
    if ended.is_ok() {
        group.0 = None;
    }
    match ended {
        Ok(Ok(status)) if status.success() => Report::new(Class::Confirmed, "exit status 0"),
        Ok(Ok(status)) => Report::new(Class::SaidNo, status.to_string()),
        Ok(Err(error)) => Report::new(Class::CannotKnow, error.to_string()),
        Err(_) => Report::new(Class::CannotKnow, format!("no end within {timeout:?}")),
    }
}
