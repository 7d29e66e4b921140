//! House rules that no linter knows, as tests.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The longest file, in lines.
const LONGEST: usize = 400;

/// Files that may be longer, and why.
const LONGER: &[(&str, usize, &str)] = &[
    ("src/config/shape.rs", 700, "one table: every key of the configuration with its meaning"),
    ("src/publish/tests.rs", 480, "one table of volumes, crashed in each way"),
    ("src/template/tests.rs", 430, "one table of templates and what becomes of them"),
];

/// Names that say nothing about what a file owns.
const VAGUE: &[&str] = &["common", "helper", "helpers", "misc", "shared", "util", "utils"];

/// What may stand at the top of the repository; tool settings are dotfiles.
const TOP: &[&str] = &[
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "Makefile",
    "README.md",
    "deploy",
    "docs",
    "integration",
    "providers",
    "src",
    "target",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below the folders that we write, as a path from the root, with its text.
fn sources() -> Vec<(String, String)> {
    let mut folders: Vec<PathBuf> =
        ["src", "providers", "integration"].map(|folder| root().join(folder)).into();
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a readable folder").map(|it| it.expect("entry"))
        {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).expect("below the root").display().to_string();
                sources.push((name, fs::read_to_string(&path).expect("UTF-8")));
            }
        }
    }
    assert!(sources.len() > 50, "only {} files found", sources.len());
    sources
}

/// Fails with every breach at once.
#[track_caller]
fn none(breaches: impl IntoIterator<Item = String>) {
    let breaches: Vec<_> = breaches.into_iter().collect();
    assert!(breaches.is_empty(), "\n  {}", breaches.join("\n  "));
}

#[test]
fn every_module_says_what_it_is_for() {
    // The tests of a module belong to it.
    let ours = sources().into_iter().filter(|(name, _)| !name.ends_with("/tests.rs"));
    none(ours.filter(|(_, text)| !text.starts_with("//! ")).map(|(name, _)| name));
}

#[test]
fn no_file_is_too_long_to_know() {
    none(sources().into_iter().filter_map(|(name, text)| {
        let limit = LONGER.iter().find(|(longer, ..)| *longer == name).map_or(LONGEST, |it| it.1);
        let lines = text.lines().count();
        (lines > limit).then(|| format!("{name}: {lines} lines, {limit} at most"))
    }));
}

#[test]
fn nothing_is_left_to_do_and_no_test_is_skipped() {
    // A test that is a process of other tests is no test by itself.
    let process = concat!("#[ig", "nore = \"run by the other tests of this file\"]");
    // Put together here, so that this file does not match itself.
    let marks =
        [["to", "do!("], ["unimple", "mented!("], ["#[ig", "nore"], ["TO", "DO"], ["FIX", "ME"]];
    let marks = marks.map(|halves| halves.concat());
    let mut breaches = Vec::new();
    for (name, text) in sources() {
        for (number, line) in text.lines().enumerate() {
            if line != process && marks.iter().any(|mark| line.contains(mark.as_str())) {
                breaches.push(format!("{name}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    none(breaches);
}

#[test]
fn every_name_says_what_it_holds() {
    let vague = |(name, _): &(String, String)| {
        Path::new(name).with_extension("").iter().any(|part| VAGUE.iter().any(|it| part == *it))
    };
    none(sources().into_iter().filter(vague).map(|(name, _)| name));
}

#[test]
fn the_top_level_holds_only_what_was_agreed() {
    let entries = fs::read_dir(root()).expect("the repository");
    let names = entries.map(|it| it.expect("entry").file_name().into_string().expect("UTF-8"));
    none(names.filter(|name| !name.starts_with('.') && !TOP.contains(&name.as_str())));
}

#[test]
fn every_dependency_has_a_reason_and_only_the_features_that_are_named() {
    let mut breaches = Vec::new();
    for manifest in ["Cargo.toml", "providers/Cargo.toml"] {
        let text = fs::read_to_string(root().join(manifest)).expect("a manifest");
        let (mut of_dependencies, mut previous) = (false, "");
        for line in text.lines() {
            if let Some(section) = line.strip_prefix('[') {
                of_dependencies = section.trim_end_matches(']').ends_with("dependencies");
            } else if of_dependencies && line.contains('=') && !line.starts_with('#') {
                let name = line.split([' ', '.']).next().unwrap_or_default();
                // The reason stands where the version does.
                let elsewhere = line.contains("workspace = true");
                if !elsewhere && !previous.starts_with('#') {
                    breaches.push(format!("{manifest}: {name} has no comment that says why"));
                }
                let ours = line.contains("path = ");
                if !elsewhere && !ours && !line.contains("default-features = false") {
                    breaches.push(format!("{manifest}: {name} brings its default features"));
                }
            }
            previous = line;
        }
    }
    none(breaches);
}

#[test]
fn every_test_that_may_be_left_out_exists() {
    let myself = std::env::current_exe().expect("this test binary");
    let list = Command::new(myself).args(["--list", "--format", "terse"]).output();
    let list = String::from_utf8(list.expect("this test binary starts").stdout).expect("UTF-8");
    let tests: BTreeSet<_> = list.lines().filter_map(|line| line.strip_suffix(": test")).collect();
    assert!(tests.len() > 20, "only {} tests are listed", tests.len());
    let needs = fs::read_to_string(root().join("integration/needs")).expect("integration/needs");
    let lines = needs.lines().filter(|line| !line.starts_with('#'));
    let names = lines.flat_map(|line| line.split_whitespace().skip(1));
    none(names.filter(|name| !tests.iter().any(|test| test.contains(*name))).map(str::to_owned));
}
