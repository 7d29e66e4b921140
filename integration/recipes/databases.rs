//! A database, by a bare signal and by a script that proves the reload.

use std::path::{Path, PathBuf};

use crate::support::{
    patience::eventually,
    recipe::{Ends, Recipe},
};

/// Where Debian puts the server, which no `PATH` has.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL: run `make test`");
    let mut versions: Vec<_> = versions.map(|it| it.expect("an entry").path()).collect();
    versions.sort();
    versions.pop().expect("a version of PostgreSQL").join("bin")
}

/// A server that runs on what a recipe's Rehup publishes.
struct Database {
    recipe: Recipe,
    sockets: PathBuf,
    port: String,
}

impl Database {
    fn start(file: &str) -> Self {
        let mut recipe = Recipe::new("postgresql");
        recipe.as_user("postgres");
        recipe.finds_in(&programs());
        let port = recipe.port("5432").port().to_string();
        let (data, sockets) = (recipe.folder("/data"), recipe.folder("/run/postgresql"));
        recipe.put("work_mem", "4MB");
        std::fs::create_dir(recipe.app.folder().join("base/clients")).expect("a folder");
        recipe.put("clients/web", "10.0.0.0/8");
        recipe.lay_out("postgresql", file);
        let cluster = ["initdb", "--no-sync", "--username=postgres", "--auth=peer", "-D"];
        recipe.does(&[&cluster[..], &[path(&data)]].concat());
        recipe.start(Ends::Once);
        Self { recipe, sockets, port }
    }

    fn asks(&self, query: &str) -> String {
        let (sockets, port) = (path(&self.sockets), self.port.as_str());
        let line = ["psql", "-XAtqw", "-U", "postgres", "-h", sockets, "-p", port, "-c", query];
        self.recipe.does(&line)
    }

    #[track_caller]
    fn uses(&self, setting: &str, value: &str) {
        eventually(format_args!("{setting} is {value}; {}", self.recipe.app.tail()), || {
            (self.asks(&format!("show {setting}")) == value).then_some(())
        });
    }
}

fn path(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn postgresql_gets_a_change_by_a_signal_and_no_broken_file() {
    let database = Database::start("rehup.yaml");
    database.uses("work_mem", "4MB");
    database.recipe.put("work_mem", "5MB");
    database.uses("work_mem", "5MB");
    // It was signalled, and nothing tells what it made of that.
    database.recipe.ends("unknown");

    database.recipe.put("work_mem", "much");
    database.recipe.is_refused();
    database.uses("work_mem", "5MB");
    database.recipe.put("work_mem", "6MB");
    database.uses("work_mem", "6MB");
}

#[test]
fn postgresql_proves_a_change_to_a_script_and_what_it_rejects_is_rolled_back() {
    let database = Database::start("rehup.psql.yaml");
    database.recipe.put("work_mem", "5MB");
    database.uses("work_mem", "5MB");
    database.recipe.ends("confirmed");

    database.recipe.put("work_mem", "much");
    database.recipe.is_refused();
    database.recipe.put("work_mem", "6MB");
    database.recipe.ends("confirmed");

    // No checker reads this one, but the server does.
    database.recipe.put("clients/web", "10.0.0.0/800");
    database.recipe.ends("confirmed");
    assert_eq!(database.recipe.app.status()["generation"]["rollback"], true);
    let rules = database.asks("select count(*) from pg_hba_file_rules where error is not null");
    assert_eq!(rules, "0", "the file is the one before");
    database.uses("work_mem", "6MB");
}
