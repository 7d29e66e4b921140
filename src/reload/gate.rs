//! What a process would do with a signal: the gate before each one.
//!
//! Owns the reading of every thread's table. Must not signal anything.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
    path::Path,
};

use nix::{libc, sys::signal::Signal};

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

/// The masks of one thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Masks {
    blocked: u64,
    ignored: u64,
    caught: u64,
}

impl Masks {
    /// From its `status` file.
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

    fn read(task: &Path, bit: u64) -> Option<Self> {
        let mut masks = Self::parse(&fs::read_to_string(task.join("status")).ok()?)?;
        if (masks.caught | masks.blocked) & bit == 0 {
            masks.blocked |= awaited(task).unwrap_or_default();
        }
        Some(masks)
    }
}

/// The signals that a thread waits for with `sigwait`: for as long as it waits, the kernel shows
/// them as not blocked. Only its own memory says which they are, and whoever may not look there
/// (another user, a Yama that forbids it, Landlock) sees a thread that blocks nothing.
fn awaited(task: &Path) -> Option<u64> {
    let call = || fs::read_to_string(task.join("syscall")).ok();
    let before = call()?;
    let set = waits(&before)?;
    let mut signals = [0; size_of::<u64>()];
    File::open(task.join("mem")).ok()?.read_exact_at(&mut signals, set).ok()?;
    // What was read is its set only if it still waits in the same call.
    (call()? == before).then(|| u64::from_ne_bytes(signals))
}

/// Where the set lies that a thread waits for, if that is what it does.
fn waits(call: &str) -> Option<u64> {
    let mut words = call.split_ascii_whitespace();
    let number: libc::c_long = words.next()?.parse().ok()?;
    let set = u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok()?;
    (number == libc::SYS_rt_sigtimedwait).then_some(set)
}

/// Looks at the tables of every thread; `None` when the process is gone.
pub(super) fn gate(pid: i32, signal: Signal) -> Option<Gate> {
    let bit = 1_u64 << (signal as i32 - 1);
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten();
    let threads: Vec<Masks> = tasks.filter_map(|task| Masks::read(&task.path(), bit)).collect();
    (!threads.is_empty()).then(|| judge(&threads, bit))
}

fn judge(threads: &[Masks], bit: u64) -> Gate {
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

#[cfg(test)]
mod tests {
    use super::*;

    const HUP: u64 = 1;

    #[test]
    fn the_masks_are_read_from_a_status_file() {
        let text = "Name:\tx\nSigBlk:\t0000000000000001\nSigIgn:\t0000000000001000\n\
                    SigCgt:\t0000000180014a07\n";
        let masks = Masks::parse(text).unwrap();
        assert_eq!((masks.blocked, masks.ignored, masks.caught), (1, 0x1000, 0x1_8001_4a07));
    }

    #[test]
    fn only_a_handler_or_a_block_in_every_thread_opens_the_gate() {
        let caught = Masks { caught: HUP, ..Masks::default() };
        let blocked = Masks { blocked: HUP, ..Masks::default() };
        let ignored = Masks { ignored: HUP, ..Masks::default() };
        let inherited = Masks { ignored: HUP, blocked: HUP, ..Masks::default() };
        assert_eq!(judge(&[caught, caught], HUP), Gate::Caught);
        assert_eq!(judge(&[blocked, blocked], HUP), Gate::Blocked);
        assert_eq!(judge(&[blocked, Masks::default()], HUP), Gate::Unhandled);
        assert_eq!(judge(&[ignored], HUP), Gate::Ignored);
        assert_eq!(judge(&[inherited], HUP), Gate::Blocked);
        assert_eq!(judge(&[inherited, ignored], HUP), Gate::Ignored);
    }

    #[test]
    fn only_the_call_that_waits_for_signals_has_a_set_of_them() {
        let wait = libc::SYS_rt_sigtimedwait;
        assert_eq!(
            waits(&format!("{wait} 0x7ffd0010 0x0 0x0 0x8 0x0 0x0 0x1 0x2\n")),
            Some(0x7ffd_0010)
        );
        assert_eq!(waits(&format!("{} 0x7ffd0010 0x0", wait + 1)), None);
        for other in ["running\n", "", "-1 0x1 0x2\n", "128"] {
            assert_eq!(waits(other), None, "{other}");
        }
    }
}
