//! `deploy/README.md`: every file is in one of its tables, every row has a test that exists.

use std::{collections::BTreeSet, path::Path, process::Command};

use super::{files, none};

/// Tests that read a file without running what is in it.
const READERS: &str = "deploy::";

/// A row of a table: what lies there, and what the last column says.
struct Row {
    paths: Vec<String>,
    shown_by: String,
}

/// What stands in backticks.
fn quoted(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The rows of every table, without heads and rules.
fn rows(text: &str) -> Vec<Row> {
    let cells = |line: &str| -> Vec<String> {
        line.trim().trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    let lines = text.lines().filter(|line| line.starts_with("| ")).map(cells);
    let row = |cells: Vec<String>| Row {
        paths: quoted(&cells[0]),
        shown_by: cells.last().cloned().unwrap_or_default(),
    };
    lines.map(row).filter(|row| !row.paths.is_empty()).collect()
}

/// The names of every test of this binary.
fn tests() -> BTreeSet<String> {
    let myself = std::env::current_exe().expect("this test binary");
    let list = Command::new(myself).args(["--list", "--format", "terse"]).output();
    let list = String::from_utf8(list.expect("this test binary starts").stdout).expect("UTF-8");
    let tests: BTreeSet<_> =
        list.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect();
    assert!(tests.len() > 20, "only {} tests are listed", tests.len());
    tests
}

/// Whether there is such a test, such a module of tests, or such a script.
fn is_known(name: &str, tests: &BTreeSet<String>) -> bool {
    if name.contains("::") {
        let inside = format!("{}::", name.trim_end_matches("::"));
        return tests.iter().any(|test| test == name || test.starts_with(&inside));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    name.contains('/') && path.extension().is_some_and(|it| it == "sh") && path.is_file()
}

/// Whether a row's path stands for a file: the file itself, or a folder that is one thing.
fn covers(path: &str, file: &str) -> bool {
    let folder = path.trim_end_matches('/');
    // `kubernetes/` is no one thing.
    let is_one = folder.contains('/') || folder == "image" || folder == "compose";
    file == path || (is_one && file.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')))
}

/// What people read and nothing runs.
fn is_prose(file: &str) -> bool {
    Path::new(file).file_name().is_some_and(|name| name == "README.md")
}

/// What is wrong with the tables for these files and tests.
fn mistakes(text: &str, files: &[String], tests: &BTreeSet<String>) -> Vec<String> {
    let rows = rows(text);
    let mut mistakes = Vec::new();
    for file in files.iter().filter(|file| !is_prose(file)) {
        let covered = rows.iter().flat_map(|row| &row.paths).any(|path| covers(path, file));
        if !covered {
            mistakes.push(format!("{file} is in no table"));
        }
    }
    for row in &rows {
        for path in &row.paths {
            if !files.iter().any(|file| covers(path, file)) {
                mistakes.push(format!("{path} is listed and not there"));
            }
        }
        let what = row.paths.join(", ");
        let named = quoted(&row.shown_by);
        if named.is_empty() {
            mistakes.push(format!("{what}: no test is named"));
        }
        let unknown = named.iter().filter(|name| !is_known(name, tests));
        mistakes.extend(unknown.map(|name| format!("{what}: there is no `{name}`")));
        let only_read = named.iter().all(|name| name.starts_with(READERS));
        if only_read && !row.shown_by.contains("not run") {
            mistakes.push(format!("{what}: only read by tests, and does not say \"not run\""));
        }
    }
    mistakes
}

#[test]
fn every_file_is_listed_with_a_test_that_exists() {
    let (text, files) = (files::text("README.md"), files::names());
    assert!(rows(&text).len() >= 8 && files.len() >= 9, "tables and files are read");
    none(mistakes(&text, &files, &tests()));
}

#[test]
fn each_mistake_in_the_tables_is_found() {
    let tests = BTreeSet::from(["e2e::job::a_job_completes".to_owned(), "deploy::x".to_owned()]);
    let known = ["README.md", "kubernetes/job.yaml", "recipes/nginx/rehup.yaml"];
    let known: Vec<_> = known.map(str::to_owned).into();
    let table = |rows: &str| format!("| file | what | shown by |\n|---|---|---|\n{rows}");
    let good = "| `kubernetes/job.yaml` | x | `e2e::job` |\n\
                | `recipes/nginx` | x | `e2e::job::a_job_completes`, `integration/test.sh` |\n";
    assert_eq!(mistakes(&table(good), &known, &tests), Vec::<String>::new());
    let changed = [
        ("`kubernetes/job.yaml`", "`kubernetes`", "job.yaml is in no table"),
        ("`recipes/nginx`", "`recipes/nginx/gone`", "is listed and not there"),
        ("`recipes/nginx`", "`recipes/ngin`", "recipes/nginx/rehup.yaml is in no table"),
        ("`e2e::job` ", "a look ", "no test is named"),
        ("`e2e::job` ", "`e2e::jo` ", "there is no `e2e::jo`"),
        ("`e2e::job` ", "`deploy::x` ", "does not say"),
        ("integration/test.sh", "integration/gone.sh", "there is no `integration/gone.sh`"),
        ("integration/test.sh", "integration/main.rs", "there is no `integration/main.rs`"),
    ];
    for (from, to, expected) in changed {
        assert!(good.contains(from), "{from}");
        let found = mistakes(&table(&good.replace(from, to)), &known, &tests);
        assert!(found.iter().any(|it| it.contains(expected)), "{from} -> {to}: {found:?}");
    }
}
