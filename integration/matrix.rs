//! The fault matrix in `README.md` beside this file: every row is there, every test it names exists,
//! every mutant still fits.

use std::{collections::BTreeSet, fs, path::Path};

use serde::Deserialize;

#[derive(Deserialize)]
struct Mutants {
    mutant: Vec<Mutant>,
}

#[derive(Deserialize)]
struct Mutant {
    row: String,
    file: String,
    find: String,
    test: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The rows that must be there, and which of them have a star.
fn rows() -> Vec<String> {
    let all = |letter: &str, numbers: &mut dyn Iterator<Item = u32>| -> Vec<String> {
        numbers.map(|number| format!("{letter}{number:02}")).collect()
    };
    [
        all("E", &mut (1..=22)),
        all("C", &mut (1..=18)),
        all("F", &mut (1..=13)),
        all("R", &mut (1..=14).filter(|number| *number != 8)),
        all("P", &mut (1..=17)),
        all("S", &mut (1..=15)),
        all("H", &mut (1..=13)),
        all("X", &mut (1..=12)),
        all("L", &mut (1..=13)),
    ]
    .concat()
}

const STARRED: [&str; 20] = [
    "C01", "C05", "E01", "E03", "E05", "E06", "E09", "F01", "H03", "L05", "P01", "P02", "P03",
    "P05", "R02", "S01", "S03", "X01", "X02", "X03",
];

/// The lines of the matrix, each as its cells.
fn lines() -> Vec<Vec<String>> {
    let text = fs::read_to_string(root().join("integration/README.md")).expect("README.md");
    let cells = |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).collect();
    let lines = text.lines().filter(|line| line.starts_with("| "));
    lines.map(cells).filter(|cells: &Vec<String>| is_row(&cells[1])).collect()
}

fn is_row(cell: &str) -> bool {
    cell.len() == 3
        && cell.starts_with(['E', 'C', 'F', 'R', 'P', 'S', 'H', 'X', 'L'])
        && cell[1..].parse::<u8>().is_ok()
}

fn mutants() -> Vec<Mutant> {
    let folder = fs::read_dir(root().join("integration/mutants")).expect("mutants");
    let read = |path: &Path| {
        let text = fs::read_to_string(path).expect("UTF-8");
        let file: Mutants =
            toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        file.mutant
    };
    folder.flat_map(|entry| read(&entry.expect("an entry").path())).collect()
}

/// Every `fn` of the sources and of the tests, as text to look for a name in.
fn functions() -> BTreeSet<String> {
    let mut functions = BTreeSet::new();
    let mut folders =
        vec![root().join("src"), root().join("providers"), root().join("integration")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry"))
        {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("UTF-8");
                let names = text.split("fn ").skip(1);
                let end = |rest: &str| rest.find(|c: char| !c.is_alphanumeric() && c != '_');
                functions.extend(names.filter_map(|rest| Some(rest[..end(rest)?].to_owned())));
            }
        }
    }
    functions
}

/// Whether a cell names a test, or a script that is one.
fn is_test(name: &str) -> bool {
    name.contains("::") || name.starts_with("integration/")
}

/// Whether there is a test of this path, or one whose name begins with what is before a `*`.
fn is_known(path: &str, functions: &BTreeSet<String>) -> bool {
    if !path.contains("::") {
        return root().join(path).is_file();
    }
    let last = path.rsplit("::").next().unwrap_or_default();
    match last.strip_suffix('*') {
        Some(begin) => functions.iter().any(|name| name.starts_with(begin)),
        None => functions.contains(last),
    }
}

#[test]
fn every_row_has_a_line_with_tests_that_exist() {
    let (lines, functions) = (lines(), functions());
    let mut missing = Vec::new();
    for row in rows() {
        let Some(cells) = lines.iter().find(|cells| cells[1] == row) else {
            missing.push(format!("{row} has no line"));
            continue;
        };
        let starred = STARRED.contains(&row.as_str());
        if starred != (cells[2] == "★") {
            missing.push(format!("the star of {row}"));
        }
        let quoted = cells[3].split('`').skip(1).step_by(2);
        let named: Vec<_> = quoted.filter(|name| is_test(name)).collect();
        if named.is_empty() {
            missing.push(format!("{row} names no test"));
        }
        let unknown = named.iter().filter(|name| !is_known(name, &functions));
        missing.extend(unknown.map(|name| format!("{row}: no test `{name}`")));
    }
    assert!(missing.is_empty(), "\n  {}", missing.join("\n  "));
}

#[test]
fn every_mutant_fits_its_file_and_names_a_test() {
    let functions = functions();
    let mut wrong = Vec::new();
    for Mutant { row, file, find, test } in mutants() {
        let text = fs::read_to_string(root().join(&file)).unwrap_or_default();
        let times = text.matches(&find).count();
        if times != 1 {
            wrong.push(format!("{row}: {times} times in {file}: {find}"));
        }
        let last = test.rsplit("::").next().unwrap_or_default();
        if !functions.contains(last) {
            wrong.push(format!("{row}: no test {test}"));
        }
    }
    assert!(wrong.is_empty(), "\n  {}", wrong.join("\n  "));
}

#[test]
fn every_starred_row_has_a_mutant() {
    let proven: BTreeSet<_> = mutants().into_iter().map(|mutant| mutant.row).collect();
    let missing: Vec<_> = STARRED.iter().filter(|row| !proven.contains(**row)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
