//! Our own small programs, compiled once into Cargo's folder for tests.
//!
//! Each is built beside its place and moved there, so that two runs at once do no harm.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
};

/// A C program: Rust's own linker is a C compiler.
pub fn c(name: &str) -> PathBuf {
    compiled(name, |built| {
        let mut command = Command::new("cc");
        command.arg("-pthread").arg("-o").arg(built.join(name)).arg(source(&format!("{name}.c")));
        command
    })
}

/// A Go program.
pub fn go(name: &str) -> PathBuf {
    go_at(&source(&format!("{name}.go")), name)
}

/// One that lies elsewhere.
pub fn go_at(source: &Path, name: &str) -> PathBuf {
    compiled(name, |built| {
        let mut command = Command::new("go");
        command.args(["build", "-o"]).arg(built.join(name)).arg(source);
        command
    })
}

/// A Java class, in its file.
pub fn java(name: &str) -> PathBuf {
    compiled(&format!("{name}.class"), |built| {
        let mut command = Command::new("javac");
        command.args(["-nowarn", "-d"]).arg(built).arg(source(&format!("{name}.java")));
        command
    })
}

fn source(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("integration/programs").join(file)
}

fn compiled(name: &str, compiler: impl FnOnce(&Path) -> Command) -> PathBuf {
    static COMPILED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut done = COMPILED.lock().expect("everything compiles");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let path = folder.join(name);
    if done.insert(name.to_owned()) {
        let built = tempfile::tempdir_in(folder).expect("a folder to build in");
        let mut command = compiler(built.path());
        let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name} compiles: {said}");
        std::fs::rename(built.path().join(name), &path).expect("a place for the program");
    }
    path
}
