//! Programs of one's own, in Go, Python and Node, as they lie beside their recipes to be copied.

use crate::support::{
    compiled,
    recipe::{self, Ends, Recipe},
};

/// A change, a broken value, and another change.
fn follows(mut recipe: Recipe, name: &str) {
    let at = recipe.port("8080");
    recipe.put("greeting", "hello");
    recipe.lay_out(name, "rehup.yaml");
    recipe.start(Ends::Once);
    recipe.serves(at, "/", "hello");

    recipe.put("greeting", "good \"morning\"");
    recipe.serves(at, "/", "good \"morning\"");
    recipe.ends("confirmed");

    // The program itself says no before anybody sees it.
    recipe.put("limit", "0");
    recipe.is_refused();
    recipe.serves(at, "/", "good \"morning\"");
    recipe.put("limit", "20");
    recipe.ends("confirmed");
}

/// A recipe with its folder where its image has the program's.
fn with_source(name: &str) -> Recipe {
    let mut recipe = Recipe::new("app");
    let app = recipe.folder("/app");
    for entry in std::fs::read_dir(recipe::folder().join(name)).expect("a recipe") {
        let from = entry.expect("an entry").path();
        std::fs::copy(&from, app.join(from.file_name().expect("a name"))).expect("a copy");
    }
    recipe
}

#[test]
fn a_program_in_go_gets_a_change_and_no_broken_file() {
    let recipe = Recipe::new("app");
    recipe.brings("app", &compiled::go_at(&recipe::folder().join("go/main.go"), "recipe-go"));
    follows(recipe, "go");
}

#[test]
fn a_program_in_python_gets_a_change_and_no_broken_file() {
    follows(with_source("python"), "python");
}

#[test]
fn a_program_in_node_gets_a_change_and_no_broken_file() {
    follows(with_source("node"), "node");
}
