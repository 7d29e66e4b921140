//! P07, P08: what lies on the volume before a start, of ours and of others, and links that are gone.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use super::{app, everything, publishes, shows};
use crate::support::patience::eventually;

const OUTPUTS: [&str; 3] = ["conf/a", "conf/deep/b", "c"];

/// Names of other programs, and names that are almost ours.
fn strangers(volume: &Path) {
    for folder in [
        "..2026_08_22_10_00_00.123456",
        ".worktrees/0a1b",
        "..gen-7",
        "..gen-7-ABCD",
        "..gen-7-abcde",
        "..gen-x-abcd",
        "gen-7-abcd",
        "lost+found",
    ] {
        fs::create_dir_all(volume.join(folder)).expect("a folder");
        fs::write(volume.join(folder).join("theirs"), "theirs").expect("a file");
    }
    for file in ["..tmp-abcdef", ".a.tmp", "a.conf.new", "..gen-8-abcd", ".new-abcdef"] {
        fs::write(volume.join(file), "theirs").expect("a file");
    }
    for (link, to) in [
        ("..data_tmp", "..2026_08_22_10_00_00.123456"),
        ("tmp-link", ".worktrees/0a1b"),
        ("theirs", "nowhere"),
        ("other", "..data/another"),
        ("absolute", "/nowhere/..data/absolute"),
    ] {
        symlink(to, volume.join(link)).expect("a link");
    }
    for name in ["lost+found", ".a.tmp"] {
        fs::set_permissions(volume.join(name), fs::Permissions::from_mode(0o702)).expect("a mode");
    }
    let fifo = rustix::fs::FileType::Fifo;
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, volume.join("pipe"), fifo, mode, 0).expect("a pipe");
}

/// What a crash may have left of us.
fn leftovers(volume: &Path) -> Vec<&'static str> {
    for (folder, file) in [("..gen-7-abcd", "conf/a"), ("..gen-900-zz09", "..manifest")] {
        let path = volume.join(folder).join(file);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, "half").expect("a file");
    }
    fs::create_dir_all(volume.join("..rehup")).expect("a folder");
    fs::write(volume.join("..rehup/.new-abcdef"), "half").expect("a file");
    for (link, to) in [
        ("..tmp-uvwxyz", "..gen-7-abcd"),
        ("..tmp-dangle", "..gen-1-gone"),
        ("gone", "..data/gone"),
    ] {
        symlink(to, volume.join(link)).expect("a link");
    }
    let ours = ["..gen-7-abcd", "..gen-900-zz09", "..rehup/.new-abcdef", "..tmp-uvwxyz"];
    ours.into_iter().chain(["..tmp-dangle", "gone"]).collect()
}

#[test]
fn p07_what_is_ours_is_swept_and_what_is_not_stays() {
    for layout in ["set", "files"] {
        let mut app = app(layout, &OUTPUTS);
        let volume = app.volume();
        strangers(&volume);
        let theirs = everything(&volume);
        let ours = leftovers(&volume);
        app.start().ready();
        for value in ["1", "2", "3"] {
            publishes(&app, &OUTPUTS, value);
        }
        for name in ours {
            eventually(format_args!("{name} is swept, layout {layout}; {}", app.tail()), || {
                volume.join(name).symlink_metadata().is_err().then_some(())
            });
        }
        let now = everything(&volume);
        for (path, was) in &theirs {
            assert_eq!(now.get(path), Some(was), "{} in layout {layout}", path.display());
        }
        let number = app.metric("rehup_generation");
        assert!(number > 900.0, "numbers go on from the highest that was used: {number}");
        app.answers("/freshz", 200);
    }
}

#[test]
fn p07_names_that_others_left_never_stop_a_publication() {
    // The names with which other publishers fail for ever once they are left behind.
    for name in ["..data_tmp", "tmp-link", "..data.tmp", ".conf.tmp", "c.tmp"] {
        let mut app = app("set", &OUTPUTS);
        symlink("nowhere", app.volume().join(name)).expect("a link");
        app.start().ready();
        publishes(&app, &OUTPUTS, name);
        let to = fs::read_link(app.volume().join(name)).expect("it stays");
        assert_eq!(to, Path::new("nowhere"), "{name}");
    }
}

#[test]
fn p08_links_that_are_gone_come_back_at_a_start_and_with_nothing_new() {
    let mut app = app("set", &OUTPUTS);
    app.start().ready();
    let remove = |app: &crate::support::app::App| {
        for name in ["conf", "c"] {
            fs::remove_file(app.volume().join(name)).expect("a link");
        }
    };
    // As after a crash between flip and links; the inputs are what they were.
    app.stop();
    remove(&app);
    let generation = app.generation();
    app.start().ready();
    shows(&app, &OUTPUTS, "0");
    assert_eq!(app.generation(), generation, "there was nothing to publish");
    // And while no source answers: before anything else.
    app.stop();
    remove(&app);
    let (base, away) = (app.folder().join("base"), app.folder().join("away"));
    fs::rename(&base, &away).expect("a source");
    app.start().ready();
    assert_eq!(app.read("conf/a").as_deref(), Some("conf/a 0"), "{}", app.tail());
    app.answers("/freshz", 503);
    fs::rename(&away, &base).expect("a source");
    app.answers("/freshz", 200);
    // With something new.
    remove(&app);
    publishes(&app, &OUTPUTS, "1");
    // An input that says the same in other words is no generation, but a look at the links.
    let generation = app.generation();
    remove(&app);
    app.put("unused", "1");
    shows(&app, &OUTPUTS, "1");
    assert_eq!(app.generation(), generation, "there was nothing to publish");
    // Even the link behind all links.
    fs::remove_file(app.volume().join("..data")).expect("a link");
    app.put("unused", "2");
    shows(&app, &OUTPUTS, "1");
    app.stop();
    fs::remove_file(app.volume().join("..data")).expect("a link");
    app.start().ready();
    shows(&app, &OUTPUTS, "1");
    app.answers("/freshz", 200);
}
