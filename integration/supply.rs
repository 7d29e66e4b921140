//! X11: what ships tells nothing of the machine that built it, so that others can build the same.
//!
//! Two whole builds are compared by `make reproducible`.

use std::{collections::BTreeSet, path::PathBuf};

/// Where this machine keeps what a build reads and writes.
fn folders() -> BTreeSet<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("..");
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let cargo = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let rustup = std::env::var_os("RUSTUP_HOME").map(PathBuf::from);
    let below = |folder: &str| Some(home.as_ref()?.join(folder));
    let defaults = [below(".cargo"), below(".rustup")];
    let known = [Some(root), target.canonicalize().ok(), cargo, rustup].into_iter().chain(defaults);
    known.flatten().filter(|folder| folder.is_absolute()).collect()
}

/// What ships is the release build, which `make test` names; one for debugging may tell more.
#[test]
fn x11_what_ships_names_no_folder_of_the_machine_that_built_it() {
    let Some(path) = std::env::var_os("REHUP").map(PathBuf::from) else { return };
    let program = std::fs::read(&path).expect("the binary under test");
    let text = String::from_utf8_lossy(&program);
    let places = folders().into_iter().map(|folder| folder.display().to_string());
    let mut named = Vec::new();
    for place in places.chain(["registry/src/".to_owned()]) {
        named.extend(text.match_indices(&place).map(|(at, _)| {
            let rest = text[at..].chars().take_while(|c| !c.is_control());
            rest.take(120).collect::<String>()
        }));
    }
    assert!(
        named.is_empty(),
        "{} places in {}, `cargo clean` once if it is older than `.cargo/compile`: {:#?}",
        named.len(),
        path.display(),
        &named[..named.len().min(10)]
    );
    assert!(text.contains("/build/"), "places are told by names of our own");
}
