//! The pinned programs that render and judge, as `integration/servers/build.sh` brings them.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// A file or folder of the repository.
pub fn at(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// One of them, as its variable names it or from `target/servers`. It finds nobody to ask: there is
/// a dead end wherever it would look for a proxy, and nothing of this user's settings.
fn program(name: &str, home: &Path) -> Command {
    let variable = name.to_uppercase().replace('-', "_");
    let built = at("target/servers").join(name);
    let program = std::env::var_os(&variable).map_or(built, PathBuf::from);
    assert!(
        program.is_file(),
        "no {name} at {}: run `integration/servers/build.sh {name}`, or set {variable}",
        program.display()
    );
    let mut command = Command::new(program);
    command.env_clear().env("HOME", home).env("PATH", "/usr/bin:/bin");
    for proxy in ["HTTP_PROXY", "HTTPS_PROXY"] {
        command.env(proxy, "http://127.0.0.1:1");
    }
    command
}

/// What a program did, in words for whoever reads a failed test.
#[derive(Debug)]
pub struct Ran {
    pub succeeded: bool,
    pub stdout: String,
    pub stderr: String,
}

/// Runs one in its own empty home.
pub fn run<S: AsRef<std::ffi::OsStr>>(name: &str, words: impl IntoIterator<Item = S>) -> Ran {
    let home = crate::support::process::scratch();
    let output = program(name, home.path()).args(words).output();
    let Output { status, stdout, stderr } = output.unwrap_or_else(|it| panic!("{name}: {it}"));
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Ran { succeeded: status.success(), stdout: text(stdout), stderr: text(stderr) }
}

impl Ran {
    /// What it printed, where it must not fail.
    #[track_caller]
    pub fn good(self) -> String {
        assert!(self.succeeded, "{}{}", self.stdout, self.stderr);
        self.stdout
    }

    /// Why it refused, where it must.
    #[track_caller]
    pub fn refused(self) -> String {
        assert!(!self.succeeded, "nothing was refused:\n{}", self.stdout);
        self.stdout + &self.stderr
    }
}
