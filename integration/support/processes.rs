//! A PID namespace of its own, in which a test decides which number a process gets.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{
    patience::eventually,
    process::{Process, scratch},
};

/// The namespace, with a `/proc` that shows nothing else. Whoever lives in it dies with it.
pub struct Processes {
    init: u32,
    _keeper: Process,
    _folder: tempfile::TempDir,
}

/// A process that lives in it.
pub struct Inhabitant {
    /// Waits for it outside.
    door: Process,
    /// Its number out here.
    outside: u32,
    /// Its number in there.
    pub inside: u32,
}

impl Processes {
    /// One whose first process only sleeps.
    pub fn new() -> Self {
        let folder = scratch();
        let words = ["--pid", "--fork", "--kill-child", "--mount-proc", "sleep", "infinity"];
        let keeper = Process::start("unshare", words, &folder.path().join("log"), |_| {});
        let init = eventually("somebody lives in there", || only_child(keeper.pid()));
        let name = format!("/proc/{init}/comm");
        eventually("its /proc is mounted", || {
            fs::read_to_string(&name).is_ok_and(|name| name.trim() == "sleep").then_some(())
        });
        Self { init, _keeper: keeper, _folder: folder }
    }

    /// The words in front of a command that is to run in there, and to die with the test.
    pub fn entry(&self) -> Vec<String> {
        let target = ["nsenter".to_owned(), "--target".to_owned(), self.init.to_string()];
        let more = ["--pid", "--mount", "--", "setpriv", "--pdeathsig", "KILL", "--"];
        target.into_iter().chain(more.map(str::to_owned)).collect()
    }

    /// Starts a program in there; its output goes to `log`.
    pub fn start<S: AsRef<OsStr>>(&self, words: &[S], log: &Path) -> Inhabitant {
        let entry = self.entry();
        let line = entry[1..].iter().map(OsStr::new).chain(words.iter().map(AsRef::as_ref));
        let mut door = Process::start(&entry[0], line, log, |_| {});
        let outside = eventually("it lives in there", || {
            assert!(door.exited().is_none(), "it has ended: {}", door.output());
            only_child(door.pid())
        });
        let inside = number_inside(outside).expect("it lives");
        Inhabitant { door, outside, inside }
    }

    /// Makes the next process in there get this number, unless another is quicker.
    pub fn next(&self, number: u32) {
        let write = format!("echo {} > /proc/sys/kernel/ns_last_pid", number - 1);
        let entry = self.entry();
        let mut command = Command::new(&entry[0]);
        let status = command.args(&entry[1..]).args(["sh", "-c", &write]).status();
        assert!(status.expect("nsenter of util-linux").success(), "the next number is {number}");
    }
}

impl Inhabitant {
    /// Its number out here.
    pub fn outside(&self) -> u32 {
        self.outside
    }

    /// Whether it lives.
    pub fn lives(&mut self) -> bool {
        self.door.exited().is_none()
    }

    /// Kills it, and waits until its number is free.
    pub fn kill(&mut self) {
        self.ends(Signal::SIGKILL);
    }

    /// The same by a signal that ends it.
    pub fn ends(&mut self, signal: Signal) {
        // It fails only when it is gone already.
        kill(Pid::from_raw(i32::try_from(self.outside).expect("a pid")), signal)
            .unwrap_or_default();
        self.door.wait();
    }
}

impl Drop for Inhabitant {
    fn drop(&mut self) {
        if self.lives() {
            self.kill();
        }
    }
}

/// The one process that this one has started.
pub fn only_child(pid: u32) -> Option<u32> {
    let path = PathBuf::from(format!("/proc/{pid}/task/{pid}/children"));
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The number of a process in the innermost namespace that it lives in.
fn number_inside(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    numbers.split_whitespace().last()?.parse().ok()
}

/// Which system call each thread of a process is held in, as `number first-argument`.
pub fn calls(pid: u32) -> Vec<(u32, u64)> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let call = |path: PathBuf| {
        let text = fs::read_to_string(path.join("syscall")).ok()?;
        let mut words = text.split_whitespace();
        let number = words.next()?.parse().ok()?;
        let first = u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok()?;
        Some((number, first))
    };
    threads.filter_map(|thread| call(thread.path())).collect()
}
