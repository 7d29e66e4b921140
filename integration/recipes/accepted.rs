//! Every recipe is accepted by `rehup check`, also those whose program no test starts; the pages
//! that list them list all.

use std::{collections::BTreeSet, fs};

use crate::support::{
    app::App,
    recipe::{Places, folder, lay_out},
};

/// The recipes' folders.
fn recipes() -> BTreeSet<String> {
    let entries = fs::read_dir(folder()).expect("recipes").map(|it| it.expect("an entry"));
    let folders = entries.filter(|entry| entry.path().is_dir());
    folders.map(|entry| entry.file_name().into_string().expect("UTF-8")).collect()
}

/// The configurations of a recipe.
fn configurations(recipe: &str) -> Vec<String> {
    let entries = fs::read_dir(folder().join(recipe)).expect("a recipe");
    let names = entries.map(|it| it.expect("an entry").file_name().into_string().expect("UTF-8"));
    names
        .filter(|name| name.starts_with("rehup.") && name.rsplit('.').next() == Some("yaml"))
        .collect()
}

#[test]
fn every_recipe_is_accepted() {
    let mut files = 0;
    for recipe in recipes() {
        for file in configurations(&recipe) {
            let app = App::new();
            lay_out(&app, &recipe, &file, &Places::of(&app));
            let check = app.run(&["check"]);
            let said = String::from_utf8_lossy(&check.stderr);
            assert!(check.status.success(), "{recipe}/{file}: {said}");
            files += 1;
        }
    }
    assert!(files > 15, "only {files} configurations found");
}

#[test]
fn every_recipe_is_listed_and_says_whether_it_is_run() {
    let page = fs::read_to_string(folder().join("README.md")).expect("a page");
    let row = |recipe: &str| {
        let link = format!("| [{recipe}]({recipe}) |");
        page.lines().find(|line| line.starts_with(&link)).unwrap_or_else(|| panic!("a row {link}"))
    };
    let (run, not_run) = page.split_once("## Not run here").expect("a section of what is not run");
    for recipe in recipes() {
        let row = row(&recipe);
        let first = folder().join(&recipe).join("rehup.yaml");
        let first = fs::read_to_string(first).expect("a configuration");
        let starts = first.starts_with("# Runs: ");
        assert!(starts || first.starts_with("# Not run here: "), "{recipe} says what it is beside");
        let part = if starts { run } else { not_run };
        assert!(part.contains(row), "{recipe} is listed where it belongs");
    }
}
