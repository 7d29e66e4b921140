//! `make mutants`: switches off one guard after another in a copy of the sources and requires that
//! the test which stands for it fails.
//!
//! Owns nothing of the tests; `mutants/*.toml` name guard, change and test. A mutant that survives
//! means a test that cannot fail.

#![expect(clippy::disallowed_methods, reason = "it runs cargo, and reads which rows are wanted")]
#![expect(clippy::print_stdout, reason = "it is a report")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    time::Instant,
};

use serde::Deserialize;

/// One file of `mutants/`.
#[derive(Deserialize)]
struct File {
    mutant: Vec<Mutant>,
}

/// One guard, how it is switched off, and which test must notice.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mutant {
    row: String,
    guard: String,
    file: PathBuf,
    find: String,
    replace: String,
    test: String,
}

/// What became of a mutant.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Its test failed, as it must.
    Killed,
    /// Its test passed: it does not test the guard.
    Survived,
    /// It cannot be judged: it does not fit, does not compile, or its test does not exist.
    Broken(&'static str),
}

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let wanted = std::env::var("ROW").unwrap_or_default();
    let mut mutants = mutants(root);
    let wanted: Vec<_> = wanted.split_whitespace().collect();
    mutants.retain(|mutant| wanted.is_empty() || wanted.contains(&mutant.row.as_str()));
    let tree = root.join("target/mutants/tree");
    copy(root, &tree);
    let names: Vec<_> = mutants.iter().map(|mutant| mutant.test.as_str()).collect();
    println!("{} mutants; first their tests without any change", mutants.len());
    if run(&tree, &names) != Fate::Survived {
        println!("the tests do not pass without a mutant: see {}", log(&tree).display());
        return ExitCode::FAILURE;
    }
    let fates: Vec<_> = mutants.iter().map(|mutant| judge(&tree, mutant)).collect();
    let count = |fate| fates.iter().filter(|it| **it == fate).count();
    let (killed, survived) = (count(Fate::Killed), count(Fate::Survived));
    let broken = fates.len() - killed - survived;
    println!("{killed} killed, {survived} survived, {broken} could not be judged");
    if killed == fates.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn mutants(root: &Path) -> Vec<Mutant> {
    let folder = fs::read_dir(root.join("integration/mutants")).expect("the folder of mutants");
    let mut paths: Vec<_> = folder.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a file of mutants");
        let file: File =
            toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        file.mutant
    };
    paths.into_iter().flat_map(read).collect()
}

/// Copies what Git does not ignore; files that are the same keep their time, so that little is built anew.
fn copy(root: &Path, tree: &Path) {
    let listed = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(["ls-files", "-z", "-co", "--exclude-standard"])
        .output();
    let listed = String::from_utf8(listed.expect("git").stdout).expect("names are UTF-8");
    for name in listed.split_terminator('\0') {
        let (from, to) = (root.join(name), tree.join(name));
        let Ok(content) = fs::read(&from) else { continue };
        if fs::read(&to).is_ok_and(|old| old == content) {
            continue;
        }
        fs::create_dir_all(to.parent().expect("a folder")).expect("a folder in the copy");
        fs::copy(&from, &to).expect("a copy");
    }
    // The servers are built already.
    let servers = tree.join("target/servers");
    if servers.symlink_metadata().is_err() {
        fs::create_dir_all(tree.join("target")).expect("a folder in the copy");
        std::os::unix::fs::symlink(root.join("target/servers"), servers).expect("a link");
    }
}

fn judge(tree: &Path, mutant: &Mutant) -> Fate {
    let path = tree.join(&mutant.file);
    let source = fs::read_to_string(&path).unwrap_or_default();
    let started = Instant::now();
    let fate = if source.matches(&mutant.find).count() == 1 {
        fs::write(&path, source.replacen(&mutant.find, &mutant.replace, 1)).expect("a mutant");
        let fate = run(tree, &[&mutant.test]);
        fs::write(&path, source).expect("the source as it was");
        fate
    } else {
        Fate::Broken("does not fit")
    };
    let word = match fate {
        Fate::Killed => "killed",
        Fate::Survived => "SURVIVED",
        Fate::Broken(why) => why,
    };
    let seconds = started.elapsed().as_secs();
    println!("{word:9} {:4} {} ({seconds} s): {}", mutant.row, mutant.test, mutant.guard);
    fate
}

/// Runs these tests in the copy.
fn run(tree: &Path, tests: &[&str]) -> Fate {
    let out = fs::File::create(log(tree)).expect("a log");
    let mut cargo = Command::new("timeout");
    // A guard that is switched off may leave a test waiting.
    cargo.args(["--kill-after=10", "1200", env!("CARGO"), "test", "--locked", "--workspace"]);
    cargo.args(["--lib", "--bins", "--tests", "--no-fail-fast", "--", "--exact"]).args(tests);
    cargo.current_dir(tree).env_remove("REHUP").env_remove("CARGO_TARGET_DIR");
    cargo.stdin(Stdio::null()).stdout(out.try_clone().expect("a log")).stderr(out);
    let success = cargo.status().expect("cargo").success();
    let said = fs::read_to_string(log(tree)).unwrap_or_default();
    let passed = |test: &&str| said.contains(&format!("test {test} ... ok"));
    let failed = |test: &&str| said.contains(&format!("test {test} ... FAILED"));
    match success {
        true if tests.iter().all(passed) => Fate::Survived,
        true => Fate::Broken("no such test"),
        false if tests.iter().any(failed) => Fate::Killed,
        false => Fate::Broken("does not compile, or hangs"),
    }
}

fn log(tree: &Path) -> PathBuf {
    tree.with_file_name("log")
}
