//! P13, P14, P15: mounts at the wrong place, too small, or read-only.

use std::fs;

use super::{app, publishes, refuses, shows};
use crate::support::{
    app::App, canary::unhide, namespace::Namespace, patience::eventually, process::scratch,
};

const OUTPUTS: [&str; 2] = ["conf/a", "b"];

fn text(path: &std::path::Path) -> String {
    path.to_str().expect("UTF-8").to_owned()
}

#[test]
fn p13_a_file_mounted_as_the_volume_is_a_start_error_that_names_the_fix() {
    let mounts = Namespace::of_mounts();
    let mut app = app("set", &OUTPUTS);
    let file = app.folder().join("file");
    fs::write(&file, "").expect("a file");
    fs::remove_dir(app.volume()).expect("an empty volume");
    fs::write(app.volume(), "").expect("a mount point");
    mounts.run(&["mount", "--bind", &text(&file), &text(&app.volume())]);
    let (status, log) = app.start_through(&mounts.entry()).ends();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains(&text(&app.volume())) && log.contains("mount the whole volume"), "{log}");
}

#[test]
fn p13_a_file_mounted_where_an_output_belongs_is_named_with_the_fix() {
    for layout in ["set", "files"] {
        let mounts = Namespace::of_mounts();
        let mut app = app(layout, &OUTPUTS);
        let (theirs, at) = (app.folder().join("theirs"), app.volume().join("b"));
        fs::write(&theirs, "theirs").expect("a file");
        fs::write(&at, "").expect("a mount point");
        mounts.run(&["mount", "--bind", &text(&theirs), &text(&at)]);
        app.start_through(&mounts.entry());
        refuses(&app, &["publish: ", &text(&at), "mount the folder that holds it instead"]);
        app.answers("/readyz", 503);
        assert_eq!(fs::read_to_string(&theirs).expect("a file"), "theirs");
        mounts.run(&["umount", &text(&at)]);
        fs::remove_file(&at).expect("the mount point");
        // Tried again by itself.
        shows(&app, &OUTPUTS, "0");
        // One that comes later, over a file of ours.
        if layout == "files" {
            mounts.run(&["mount", "--bind", &text(&theirs), &text(&at)]);
            app.put("a", "1");
            refuses(&app, &["publish: ", &text(&at), "mount the folder that holds it instead"]);
            mounts.run(&["umount", &text(&at)]);
        }
        publishes(&app, &OUTPUTS, "2");
        app.answers("/freshz", 200);
    }
}

/// A key that long; the volume has a mebibyte.
fn long(kibibytes: usize, digit: char) -> String {
    digit.to_string().repeat(kibibytes << 10)
}

#[test]
fn p14_a_small_volume_in_memory_refuses_what_does_not_fit_beside_what_is_visible() {
    for layout in ["set", "files"] {
        let mounts = Namespace::of_mounts();
        let mut app = App::new();
        app.quiet();
        super::configure(&app, layout, &["a"], "keep: 2");
        let volume = text(&app.volume());
        mounts.run(&["mount", "-t", "tmpfs", "-o", "size=1m", "none", &volume]);
        let inside = mounts.path(&app.volume());
        app.put("a", &long(300, '0'));
        app.start_through(&mounts.entry()).ready();
        let shown = |value: &str| {
            eventually(format_args!("{} bytes; {}", value.len(), app.tail()), || {
                let read = unhide(&fs::read_to_string(inside.join("a")).ok()?);
                (read.strip_prefix("a ") == Some(value)).then_some(())
            });
        };
        // Three of them have no room, so the earlier ones yield, though they are still to be kept.
        for digit in ['1', '2', '3', '4'] {
            app.put("a", &long(300, digit));
            shown(&long(300, digit));
        }
        // This one has none beside the visible one, whatever yields.
        app.put("a", &long(800, '5'));
        refuses(&app, &["publish: ", "No space left"]);
        shown(&long(300, '4'));
        app.answers("/readyz", 200);
        app.put("a", &long(200, '6'));
        shown(&long(200, '6'));
        app.answers("/freshz", 200);
    }
}

#[test]
fn p15_with_everything_read_only_and_no_place_of_its_own_it_works() {
    for layout in ["set", "files"] {
        let mounts = Namespace::of_mounts();
        let mut app = app(layout, &OUTPUTS);
        let (volume, elsewhere) = (text(&app.volume()), scratch());
        // The volume stays a mount of its own, and writable.
        mounts.run(&["mount", "--bind", &volume, &volume]);
        let roots = ["/", "/dev/shm", "/dev", "/run", "/var", "/home", "/tmp"];
        for root in roots {
            // What is no mount of its own goes with the one above it.
            let words = ["mount", "-o", "remount,bind,ro", root];
            drop(mounts.command(&words).output().expect("mount of util-linux"));
        }
        let can = |path: String| {
            mounts.command(&["touch", &path]).output().expect("touch").status.success()
        };
        let writable = [text(&elsewhere.path().join("x")), "/x".into(), "/tmp/x".into()];
        for path in writable {
            assert!(!can(path.clone()), "{path} can be written");
        }
        let mut words = mounts.entry();
        words.extend(["env", "-u", "HOME", "-u", "TMPDIR", "-u", "PATH"].map(str::to_owned));
        app.start_through(&words).ready();
        shows(&app, &OUTPUTS, "0");
        publishes(&app, &OUTPUTS, "1");
        app.answers("/freshz", 200);
        app.stop();
        app.start_through(&words).ready();
        publishes(&app, &OUTPUTS, "2");
        app.answers("/freshz", 200);
    }
}
