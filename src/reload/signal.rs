//! Signalling one process, and never one that would die of it.
//!
//! Owns the pidfd, the identity check after opening it and the gate. Must not choose the process.

use std::{fs, os::fd::OwnedFd, sync::Once};

use nix::sys::signal::Signal;
use rustix::{
    io::Errno,
    process::{Pid, PidfdFlags, pidfd_open},
};
use tokio::time::Instant;

use super::process::Stat;

/// Blocked system calls are told once.
static BLOCKED: Once = Once::new();

/// What a process would do with a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// A handler is installed.
    Caught,
    /// Blocked in every thread: for signalfd or sigwait, or for a moment only.
    Blocked,
    /// It would take the default action, which may be death.
    Unhandled,
    /// It is ignored.
    Ignored,
}

/// The masks in a `status` file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Masks {
    blocked: u64,
    ignored: u64,
    caught: u64,
}

impl Masks {
    fn parse(text: &str) -> Option<Self> {
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            u64::from_str_radix(line.trim(), 16).ok()
        };
        Some(Self {
            blocked: field("SigBlk:")?,
            ignored: field("SigIgn:")?,
            caught: field("SigCgt:")?,
        })
    }
}

/// Looks at the tables of every thread; `None` when the process is gone.
pub(super) fn gate(pid: i32, signal: Signal) -> Option<Gate> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten();
    let threads: Vec<Masks> = tasks
        .filter_map(|task| Masks::parse(&fs::read_to_string(task.path().join("status")).ok()?))
        .collect();
    (!threads.is_empty()).then(|| judge(&threads, signal as i32))
}

fn judge(threads: &[Masks], signal: i32) -> Gate {
    let bit = 1_u64 << (signal - 1);
    let everywhere = |has: fn(&Masks) -> u64| threads.iter().all(|masks| has(masks) & bit != 0);
    if everywhere(|masks| masks.caught) {
        Gate::Caught
    } else if everywhere(|masks| masks.blocked) {
        // The kernel keeps a blocked signal for who reads it, also one that is ignored: whoever
        // started the program may have ignored it, and that is inherited.
        Gate::Blocked
    } else if threads.iter().any(|masks| masks.ignored & bit != 0) {
        Gate::Ignored
    } else {
        Gate::Unhandled
    }
}

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
    /// Opens a pidfd and checks that the number still means the process that was found.
    pub(super) fn open(stat: Stat) -> Option<Self> {
        let fd = match pidfd_open(Pid::from_raw(stat.pid)?, PidfdFlags::empty()) {
            Ok(fd) => Some(fd),
            Err(Errno::SRCH) => return None,
            Err(error) => {
                BLOCKED.call_once(|| {
                    tracing::warn!(%error, "pidfd_open is blocked; using kill with a check");
                });
                None
            }
        };
        let held = Self { stat, fd, found: Instant::now(), ready: false, blocked: None };
        held.is_same().then_some(held)
    }

    /// Whether the number still means this process.
    pub(super) fn is_same(&self) -> bool {
        Stat::read(self.stat.pid).is_some_and(|now| now.start == self.stat.start)
    }

    /// Whether it is stopped, so that nobody can know what it will do.
    pub(super) fn is_stopped(&self) -> bool {
        Stat::read(self.stat.pid).is_some_and(|now| matches!(now.state, b'T' | b't'))
    }

    /// Sends the signal; `None` asks only for permission.
    pub(super) fn send(&self, signal: Option<Signal>) -> Result<(), nix::Error> {
        let number =
            signal.map(|signal| signal as i32).and_then(rustix::process::Signal::from_named_raw);
        if let (Some(fd), Some(number)) = (&self.fd, number) {
            match rustix::process::pidfd_send_signal(fd, number) {
                Err(Errno::NOSYS | Errno::PERM) => {}
                other => return other.map_err(|e| nix::Error::from_raw(e.raw_os_error())),
            }
        }
        if !self.is_same() {
            return Err(nix::Error::ESRCH);
        }
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.stat.pid), signal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HUP: u64 = 1;

    #[test]
    fn the_masks_are_read_from_a_status_file() {
        let text = "Name:\tx\nSigBlk:\t0000000000000001\nSigIgn:\t0000000000001000\nSigCgt:\t0000000180014a07\n";
        let masks = Masks::parse(text).unwrap();
        assert_eq!((masks.blocked, masks.ignored, masks.caught), (1, 0x1000, 0x1_8001_4a07));
    }

    #[test]
    fn only_a_handler_or_a_block_in_every_thread_opens_the_gate() {
        let caught = Masks { caught: HUP, ..Masks::default() };
        let blocked = Masks { blocked: HUP, ..Masks::default() };
        let ignored = Masks { ignored: HUP, ..Masks::default() };
        let inherited = Masks { ignored: HUP, blocked: HUP, ..Masks::default() };
        assert_eq!(judge(&[caught, caught], 1), Gate::Caught);
        assert_eq!(judge(&[blocked, blocked], 1), Gate::Blocked);
        assert_eq!(judge(&[blocked, Masks::default()], 1), Gate::Unhandled);
        assert_eq!(judge(&[ignored], 1), Gate::Ignored);
        assert_eq!(judge(&[inherited], 1), Gate::Blocked);
        assert_eq!(judge(&[inherited, ignored], 1), Gate::Ignored);
    }
}
