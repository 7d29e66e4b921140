//! Signalling one process, and never another that has taken its number.
//!
//! Owns the pidfd and the identity check after opening it. Must not choose the process, and does
//! not know what it would do with the signal: that is the gate's.

use std::{os::fd::OwnedFd, sync::Once};

use nix::sys::signal::Signal;
use rustix::{
    io::Errno,
    process::{Pid, PidfdFlags, pidfd_open},
};
use tokio::time::Instant;

use super::process::Stat;

/// Blocked system calls are told once.
static BLOCKED: Once = Once::new();

/// One process, held so that its number cannot be taken by another.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) stat: Stat,
    /// `None` where the system call is blocked: then `kill` with a check just before.
    fd: Option<OwnedFd>,
    /// When it was last looked for among all processes.
    pub(super) found: Instant,
    /// `ready` answered after it was opened.
    pub(super) ready: bool,
    /// Since when the signal was seen blocked in every thread.
    pub(super) blocked: Option<Instant>,
}

impl Held {
    /// Opens a pidfd and checks that the number still means the process that was found, and that it
    /// still `matches`: by now it may run another program.
    pub(super) fn open(stat: Stat, matches: impl Fn(&Stat) -> bool) -> Option<Self> {
        let fd = match pidfd_open(Pid::from_raw(stat.pid)?, PidfdFlags::empty()) {
            Ok(fd) => Some(fd),
            Err(Errno::SRCH) => return None,
            Err(error) => {
                tell_blocked("pidfd_open", error);
                None
            }
        };
        let held = Self { stat, fd, found: Instant::now(), ready: false, blocked: None };
        held.now().is_some_and(|now| matches(&now)).then_some(held)
    }

    /// What this process is now; `None` if it has ended, also if its number means another.
    fn now(&self) -> Option<Stat> {
        Stat::read(self.stat.pid).filter(|now| now.start == self.stat.start)
    }

    /// Whether the number still means this process.
    pub(super) fn is_same(&self) -> bool {
        self.now().is_some()
    }

    /// Why nobody can know what it will do: it cannot run.
    pub(super) fn stands(&self) -> Option<&'static str> {
        match self.now()?.state {
            b'T' | b't' => Some("the process is stopped"),
            b'D' => Some("the process waits in the kernel"),
            _ => None,
        }
    }

    /// Sends the signal; `None` asks only for permission.
    pub(super) fn send(&self, signal: Option<Signal>) -> Result<(), nix::Error> {
        let number =
            signal.map(|signal| signal as i32).and_then(rustix::process::Signal::from_named_raw);
        let mut blocked = None;
        if let (Some(fd), Some(number)) = (&self.fd, number) {
            match rustix::process::pidfd_send_signal(fd, number) {
                Err(error @ (Errno::NOSYS | Errno::PERM)) => blocked = Some(error),
                other => return other.map_err(|e| nix::Error::from_raw(e.raw_os_error())),
            }
        }
        if !self.is_same() {
            return Err(nix::Error::ESRCH);
        }
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.stat.pid), signal)?;
        if let Some(error) = blocked {
            tell_blocked("pidfd_send_signal", error);
        }
        Ok(())
    }
}

fn tell_blocked(call: &str, error: Errno) {
    BLOCKED.call_once(|| tracing::warn!(%error, "{call} is blocked; using kill with a check"));
}
