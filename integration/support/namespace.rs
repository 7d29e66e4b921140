//! A namespace of its own for mounts or limits: what a test does to it ends with the test.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    patience::eventually,
    process::{Process, scratch},
};

/// A mount namespace, or a user namespace, kept by a process that sleeps in it.
pub struct Namespace {
    keeper: Process,
    flags: &'static [&'static str],
    _folder: tempfile::TempDir,
}

impl Namespace {
    /// One whose mounts nobody else sees.
    pub fn of_mounts() -> Self {
        Self::new(&["--mount", "--propagation", "private"], &["--mount"], "mnt")
    }

    /// One whose user is root inside and has limits of its own.
    pub fn of_users() -> Self {
        let enter = &["--user", "--preserve-credentials"];
        Self::new(&["--user", "--map-root-user"], enter, "user")
    }

    fn new(make: &[&str], enter: &'static [&'static str], kind: &str) -> Self {
        let folder = scratch();
        let words = make.iter().chain(&["--", "sleep", "infinity"]);
        let keeper = Process::start("unshare", words, &folder.path().join("log"), |_| {});
        let link = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).ok();
        let comm = format!("/proc/{}/comm", keeper.pid());
        eventually("a namespace of its own", || {
            let moved = link(&keeper.pid().to_string()).is_some_and(|it| Some(it) != link("self"));
            // Its user is root only once the map is written, just before the program is replaced.
            let sleeps = std::fs::read_to_string(&comm).is_ok_and(|name| name.trim() == "sleep");
            (moved && sleeps).then_some(())
        });
        Self { keeper, flags: enter, _folder: folder }
    }

    /// The words in front of a command that is to run inside.
    pub fn entry(&self) -> Vec<String> {
        let target = ["nsenter".to_owned(), "--target".to_owned(), self.keeper.pid().to_string()];
        let flags = self.flags.iter().map(|flag| (*flag).to_owned());
        target.into_iter().chain(flags).chain(["--".to_owned()]).collect()
    }

    /// A command that runs inside.
    pub fn command<S: AsRef<OsStr>>(&self, words: &[S]) -> Command {
        let entry = self.entry();
        let mut command = Command::new(&entry[0]);
        command.args(&entry[1..]).args(words);
        command
    }

    /// Runs a command inside, which must succeed.
    #[track_caller]
    pub fn run<S: AsRef<OsStr>>(&self, words: &[S]) {
        let said: Vec<_> = words.iter().map(|word| word.as_ref().to_string_lossy()).collect();
        let output = self.command(words).output().expect("nsenter of util-linux");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{} inside the namespace: {error}", said.join(" "));
    }

    /// A path as it looks inside, for use from outside.
    pub fn path(&self, inside: &Path) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.keeper.pid()));
        root.join(inside.strip_prefix("/").expect("an absolute path"))
    }
}
