//! A main process that counts reload signals: a C program, because each delivery must be counted by
//! the handler itself.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use nix::sys::signal::Signal;

use super::{
    compiled,
    patience::eventually,
    process::{Process, scratch},
    program::copy,
};

/// A running counter; its name in `/proc` is `counter`, unless another was asked for.
pub struct Counter {
    process: Process,
    folder: tempfile::TempDir,
}

/// How a counter is started: through which words, which program, and what it is told.
struct Start<'a> {
    words: &'a [&'a str],
    program: PathBuf,
    arguments: &'a [&'a str],
    victim: Option<&'a str>,
}

impl Default for Start<'_> {
    fn default() -> Self {
        Self { words: &[], program: program(), arguments: &[], victim: None }
    }
}

impl Counter {
    /// Starts one that has its handler.
    pub fn start() -> Self {
        Self::start_through(&[])
    }

    /// The same through programs that replace themselves: `setpriv`.
    pub fn start_through(words: &[&str]) -> Self {
        Self::begin(&Start { words, ..Start::default() }).that_catches()
    }

    /// One that kills the process named by [`Self::aim`] from inside its next handler call.
    pub fn that_kills() -> Self {
        let start = Start { victim: Some("victim"), ..Start::default() };
        Self::begin(&start).that_catches()
    }

    /// Names the process to kill.
    pub fn aim(&self, victim: u32) {
        fs::write(self.folder.path().join("victim"), victim.to_string()).expect("a file");
    }

    /// One that takes the signal only after a while, and would die of it before.
    pub fn that_starts_slowly(milliseconds: u32) -> Self {
        let milliseconds = milliseconds.to_string();
        let arguments = &["-w", &milliseconds];
        let counter = Self::begin(&Start { arguments, ..Start::default() });
        // Until then it is `setpriv`, which ends in another program.
        let name = format!("/proc/{}/comm", counter.process.pid());
        eventually("the counter runs", || {
            fs::read_to_string(&name).is_ok_and(|name| name == "counter\n").then_some(())
        });
        counter
    }

    /// One whose program has this name.
    pub fn named(name: &str) -> Self {
        let place = scratch();
        let program = place.path().join(name);
        copy(self::program(), &program);
        // Once it runs it needs its file no more.
        Self::begin(&Start { program, ..Start::default() }).that_catches()
    }

    /// One of several threads (`programs/threads.c`), which has set them up.
    pub fn with_threads(mode: &str) -> Self {
        let program = compiled::c("threads");
        let counter = Self::begin(&Start { program, arguments: &[mode], ..Start::default() });
        eventually("its threads are set up", || counter.log().exists().then_some(()));
        counter
    }

    fn begin(start: &Start<'_>) -> Self {
        let folder = scratch();
        // Whoever it runs as.
        let all = fs::Permissions::from_mode(0o777);
        fs::set_permissions(folder.path(), all).expect("a folder for everybody");
        let file = |name: &str| folder.path().join(name).display().to_string();
        let program = if start.words.is_empty() {
            start.program.clone()
        } else {
            // Where whoever it runs as can reach it.
            copy(&start.program, folder.path().join("counter"));
            folder.path().join("counter")
        };
        let mut line: Vec<String> = start.words.iter().map(|word| (*word).to_owned()).collect();
        line.push(program.display().to_string());
        line.extend(start.arguments.iter().map(|word| (*word).to_owned()));
        line.push(file("signals"));
        line.extend(start.victim.map(file));
        let process = Process::start(&line[0], &line[1..], &folder.path().join("output"), |_| ());
        fs::write(folder.path().join("pid"), process.pid().to_string()).expect("a pid file");
        Self { process, folder }
    }

    fn that_catches(self) -> Self {
        catches(self.pid());
        self
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Sends it another signal.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Whether it lives.
    pub fn lives(&mut self) -> bool {
        self.process.exited().is_none()
    }

    /// Its pid file.
    pub fn pid_file(&self) -> PathBuf {
        self.folder.path().join("pid")
    }

    /// The part of a target's settings that finds it.
    pub fn process_yaml(&self) -> String {
        format!("process: {{ pid_file: {} }}", self.pid_file().display())
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("signals")
    }

    /// How many signals were delivered.
    pub fn count(&self) -> usize {
        count(&self.log())
    }
}

/// Waits until a process has a handler.
pub fn catches(pid: u32) {
    let path = format!("/proc/{pid}/status");
    eventually("it has its handler", || {
        let status = fs::read_to_string(&path).ok()?;
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"))?;
        (u64::from_str_radix(caught.trim(), 16).ok()? & 1 == 1).then_some(())
    });
}

/// How many signals a counter with this log was delivered.
pub fn count(log: &Path) -> usize {
    fs::read(log).map_or(0, |log| log.len())
}

/// The compiled program.
pub fn program() -> PathBuf {
    compiled::c("counter")
}
