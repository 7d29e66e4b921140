//! P09: files become folders, folders become files, names come and go.

use std::fs;

use super::{app, configure, publishes};
use crate::support::{app::App, patience::eventually};

/// Each follows the one before, and the first the last.
const SHAPES: [&[&str]; 9] = [
    &["a", "b"],
    // A file becomes a folder.
    &["a/x", "b"],
    // A folder becomes a file, another file goes.
    &["a"],
    // A folder in a folder becomes a file, and two names come.
    &["a/x/y/z", "b/c", "d"],
    &["a/x", "b/c/d", "d/e"],
    // Everything another.
    &["e", "f/g"],
    // And only one that was there.
    &["f/g"],
    &["f"],
    &["a/b", "b", "f/g/h"],
];

/// Every plain file and every empty folder that a reader finds, but nothing of ours.
fn visible(app: &App) -> Vec<String> {
    let (mut files, mut folders) = (Vec::new(), vec![String::new()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(app.volume().join(&folder)).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            if name.starts_with("..") {
                continue;
            }
            // A link that leads nowhere counts: a reader stumbles over it.
            if entry.path().is_dir() {
                let empty = fs::read_dir(entry.path()).is_ok_and(|mut it| it.next().is_none());
                files.extend(empty.then(|| format!("{path}/")));
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

#[test]
fn p09_every_change_of_shape_is_one_generation_and_leaves_nothing() {
    for layout in ["set", "files"] {
        let mut app = app(layout, SHAPES[0]);
        app.start().ready();
        for (turn, shape) in SHAPES.iter().cycle().take(2 * SHAPES.len()).enumerate() {
            let before = app.metric("rehup_generation");
            configure(&app, layout, shape, "keep: 1, grace: 0s");
            eventually(format_args!("{shape:?} in layout {layout}; {}", app.tail()), || {
                (visible(&app) == *shape).then_some(())
            });
            if turn > 0 {
                eventually("it is counted", || {
                    (app.metric("rehup_generation") > before).then_some(())
                });
                assert_eq!(app.count("rehup_generation"), turn as u64 + 1, "one for each shape");
            }
            publishes_as_well(&mut app, layout, shape, turn);
        }
        app.answers("/freshz", 200);
        assert!(!app.log().contains("somebody"), "nobody else was here: {}", app.log());
    }
}

/// A restart in the middle, and the same content: neither makes another generation.
fn publishes_as_well(app: &mut App, layout: &str, shape: &[&str], turn: usize) {
    if turn % 4 == 3 {
        let before = app.metric("rehup_generation");
        app.stop();
        app.start().ready();
        assert_eq!(visible(app), shape, "layout {layout}");
        assert!((app.metric("rehup_generation") - before).abs() < 0.5, "nothing is new");
    }
}

#[test]
fn p09_a_shape_that_somebody_else_blocks_waits_and_then_comes() {
    for layout in ["set", "files"] {
        let mut app = app(layout, &["a", "b"]);
        app.start().ready();
        let blocked = app.volume().join("c");
        fs::create_dir(&blocked).expect("a folder");
        fs::write(blocked.join("theirs"), "theirs").expect("a file");
        configure(&app, layout, &["a", "c"], "keep: 1, grace: 0s");
        super::refuses(&app, &["publish: ", &blocked.display().to_string(), "remove it"]);
        super::shows(&app, &["a", "b"], "0");
        app.answers("/readyz", 200);
        fs::remove_dir_all(&blocked).expect("their folder");
        publishes(&app, &["a", "c"], "1");
        eventually("the name that is gone is gone", || {
            app.volume().join("b").symlink_metadata().is_err().then_some(())
        });
        app.answers("/freshz", 200);
    }
}
