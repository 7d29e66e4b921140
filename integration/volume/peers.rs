//! What the publishers of mounted volumes and of checked-out trees test of themselves.

use std::fs;

use super::{app, configure, publishes, refuses, shows};
use crate::support::{app::App, patience::eventually};

/// Paths that a payload may have, and that it may not have.
fn accepted(path: &str) -> bool {
    let app = App::new();
    app.put("a", "0");
    app.configure(format!(
        "sources: {{ base: {{ files: {{ path: {}/base }} }} }}\n\
         templates: [{{ to: \"{path}\", inline: \"{{{{ base.a }}}}\" }}]\n",
        app.folder().display()
    ));
    let output = app.run(&["check"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() || said.contains("templates[0].to"), "{path}: {said}");
    output.status.success()
}

#[test]
fn paths_are_judged_as_by_a_mounted_volume_and_a_little_more() {
    let (name, folder) = ("n".repeat(255), "d/".repeat(1000));
    for good in
        ["simple", "a/b/c", ".dot", "a/.dot/b", "a..b", "a/..b", "...", &name, &folder[..1999]]
    {
        let reserved = good == "...";
        assert_eq!(accepted(good), !reserved, "{good}");
    }
    let (long, deep) = ("n".repeat(256), format!("{}x", "d/".repeat(2048)));
    for bad in [
        "", "/a", "..", "../a", "a/../b", "a/..", "..a", "..a/b", "a//b", "a/", "./a", &long, &deep,
    ] {
        assert!(!accepted(bad), "{bad}");
    }
}

/// Each payload follows the one before on the same volume.
const PAYLOADS: [&[&str]; 8] = [
    &["foo", "bar/zab", ".dot", "a/b/.dot/c"],
    // The same again.
    &["foo", "bar/zab", ".dot", "a/b/.dot/c"],
    &["foo", "bar/zab", "bar/new", "new/deep/er", ".dot", "a/b/.dot/c"],
    &["foo", "bar/new"],
    &["only"],
    &["foo", "bar/zab/zib", "bar/zab/zob", "x"],
    &["bar/zab/zob", "y/z"],
    &["foo"],
];

#[test]
fn payloads_follow_each_other_and_a_foreign_file_survives_them_all() {
    for layout in ["set", "files"] {
        let mut app = app(layout, PAYLOADS[0]);
        fs::write(app.volume().join("sentinel"), "theirs").expect("a file");
        app.start().ready();
        for (turn, payload) in PAYLOADS.into_iter().enumerate() {
            configure(&app, layout, payload, "keep: 1, grace: 0s");
            publishes(&app, payload, &turn.to_string());
            let stays = |path: &str| {
                payload.iter().any(|it| format!("{it}/").starts_with(&format!("{path}/")))
            };
            for path in PAYLOADS.concat().into_iter().filter(|path| !stays(path)) {
                let at = app.volume().join(path);
                eventually(format_args!("{path} is gone in payload {turn}, {layout}"), || {
                    at.symlink_metadata().is_err().then_some(())
                });
            }
            assert_eq!(app.read("sentinel").as_deref(), Some("theirs"), "payload {turn}");
        }
        // Back, and forth again: older content is as new as any other.
        for value in ["0", "1", "0"] {
            publishes(&app, &["foo"], value);
        }
    }
}

#[test]
fn the_volume_may_be_named_through_a_link_and_dots() {
    let mut app = app("set", &["conf/a"]);
    let link = app.folder().join("link");
    std::os::unix::fs::symlink("volume", &link).expect("a link");
    let odd = app.folder().join("base/../link/./");
    app.variable("REHUP_OUTPUT", odd);
    app.start().ready();
    publishes(&app, &["conf/a"], "1");
    let data = fs::read_link(app.volume().join("..data")).expect("a link");
    assert!(data.is_relative(), "it may be mounted elsewhere for others");
}

#[test]
fn a_tree_that_was_removed_by_hand_is_built_again_by_the_next_change() {
    for layout in ["set", "files"] {
        let outputs = ["conf/a", "b"];
        let mut app = app(layout, &outputs);
        app.start().ready();
        publishes(&app, &outputs, "1");
        for entry in fs::read_dir(app.volume()).expect("a volume").flatten() {
            let path = entry.path();
            let removed = if entry.file_type().is_ok_and(|it| it.is_dir()) {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
            removed.expect("a removal");
        }
        publishes(&app, &outputs, "2");
        app.answers("/freshz", 200);
        // What was made anew takes one Rehup, as before.
        let second = app.run(&["once", "--timeout", "1s", "--require-fresh"]);
        assert_eq!(second.status.code(), Some(1), "one volume takes one");
        let number = app.count("rehup_generation");
        app.stop();
        app.start().ready();
        shows(&app, &outputs, "2");
        assert_eq!(app.count("rehup_generation"), number, "layout {layout}: nothing is new");
        publishes(&app, &outputs, "3");
    }
}

#[test]
fn a_tree_whose_folder_was_removed_is_not_called_good_at_a_start() {
    let outputs = ["conf/a", "b"];
    let mut app = app("set", &outputs);
    app.start().ready();
    app.stop();
    let folder = fs::canonicalize(app.volume().join("..data")).expect("a generation");
    fs::remove_dir_all(folder).expect("a removal");
    app.start().ready();
    shows(&app, &outputs, "0");
    app.stop();
    // Somebody else's tree under our link.
    fs::create_dir(app.volume().join("..theirs")).expect("a folder");
    fs::remove_file(app.volume().join("..data")).expect("a link");
    std::os::unix::fs::symlink("..theirs", app.volume().join("..data")).expect("a link");
    let (status, log) = app.start().ends();
    assert!(!status.success() && log.contains("..data is in the way"), "{log}");
    fs::remove_file(app.volume().join("..data")).expect("a link");
    app.start().ready();
    shows(&app, &outputs, "0");
}

#[test]
fn a_payload_that_cannot_be_leaves_the_old_one_whole() {
    let mut app = app("set", &["foo", "bar/zab"]);
    app.start().ready();
    app.configure(format!(
        "sources: {{ base: {{ files: {{ path: {}/base }} }} }}\nsettle: off\n\
         templates: [{{ to: foo, inline: x }}, {{ to: bar, inline: \"{{{{ base.missing }}}}\" }}]\n",
        app.folder().display()
    ));
    refuses(&app, &["render: "]);
    shows(&app, &["foo", "bar/zab"], "0");
    app.put("missing", "there");
    app.shows("bar", "there");
}
