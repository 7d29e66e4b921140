//! A main process that counts reload signals: a C program, because each delivery must be counted by
//! the handler itself.

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

use super::{
    patience::eventually,
    process::{Process, scratch},
    program::compiled,
};

/// A running counter; its name in `/proc` is `counter`.
pub struct Counter {
    process: Process,
    folder: tempfile::TempDir,
}

impl Counter {
    /// Starts one; its pid file and its log are in a folder of its own.
    pub fn start() -> Self {
        Self::start_with(false)
    }

    /// One that kills the process named by [`Self::aim`] from inside its next handler call.
    pub fn that_kills() -> Self {
        Self::start_with(true)
    }

    /// Names the process to kill.
    pub fn aim(&self, victim: u32) {
        std::fs::write(self.folder.path().join("victim"), victim.to_string()).expect("a file");
    }

    fn start_with(kills: bool) -> Self {
        let folder = scratch();
        let log = folder.path().join("signals");
        let mut arguments = vec!["catch".to_owned(), log.display().to_string()];
        let victim = folder.path().join("victim").display().to_string();
        arguments.extend(kills.then_some(victim));
        let output = folder.path().join("output");
        let process = Process::start(program(), arguments, &output, |_| ());
        let counter = Self { process, folder };
        // The log exists just before the handler does; the pid file comes after both.
        eventually("the counter has its handler", || {
            let status = format!("/proc/{}/status", counter.process.pid());
            let status = std::fs::read_to_string(status).ok()?;
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"))?;
            let caught = u64::from_str_radix(caught.trim(), 16).ok()?;
            (caught & 1 == 1).then_some(())
        });
        std::fs::write(counter.pid_file(), counter.process.pid().to_string()).expect("a pid file");
        counter
    }

    /// One that takes the signal only after a while, and would die of it before.
    pub fn that_starts_slowly(milliseconds: u32) -> Self {
        let folder = scratch();
        let log = folder.path().join("signals").display().to_string();
        let arguments = ["-w".to_owned(), milliseconds.to_string(), "catch".to_owned(), log];
        let output = folder.path().join("output");
        let process = Process::start(program(), arguments, &output, |_| ());
        // Until then it is `setpriv`, which ends in another program.
        let name = format!("/proc/{}/comm", process.pid());
        eventually("the counter runs", || {
            std::fs::read_to_string(&name).is_ok_and(|name| name == "counter\n").then_some(())
        });
        Self { process, folder }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
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

    /// How many signals were delivered.
    pub fn count(&self) -> usize {
        std::fs::read(self.folder.path().join("signals")).map_or(0, |log| log.len())
    }
}

/// The compiled program.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| compiled("counter"))
}
