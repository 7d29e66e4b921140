//! Faults of mounts: file systems without events, files that are mounts, mounts that go away.

use std::{fs, path::Path};

use super::scene::{Scene, replace};
use crate::support::namespace::Namespace;

fn word(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// Waits until looks at the source have come and gone, which show nothing new.
#[track_caller]
fn nothing_new(scene: &Scene, content: &str) {
    let generation = scene.app.generation();
    for _ in 0..3 {
        scene.proven_again();
    }
    assert_eq!(scene.app.read("content").as_deref(), Some(content));
    assert_eq!(scene.app.generation(), generation);
}

#[test]
fn f05_a_change_in_the_lower_layer_of_an_overlay_is_found_by_the_poll() {
    let mounts = Namespace::of_mounts();
    let mut scene = Scene::at("base", "300ms");
    let base = scene.base();
    let folder = |name: &str| {
        let path = scene.app.folder().join(name);
        fs::create_dir(&path).expect("a layer");
        path
    };
    let (lower, upper, work) = (folder("lower"), folder("upper"), folder("work"));
    fs::write(lower.join("level"), "1").expect("a file");
    let layers = format!(
        "lowerdir={},upperdir={},workdir={}",
        lower.display(),
        upper.display(),
        work.display()
    );
    mounts.run(&["mount", "-t", "overlay", "overlay", "-o", &layers, word(&base)]);
    scene.app.start_through(&mounts.entry()).ready();
    scene.shows("level=1;");
    scene.watches("events");
    for value in ["2", "3"] {
        fs::write(lower.join("level"), value).expect("a file");
        scene.shows(&format!("level={value};"));
        scene.live();
        // Nothing told of it, and that is no secret.
        scene.watches("poll");
    }
    // What is changed through the mount is told by events.
    fs::write(mounts.path(&base).join("level"), "4").expect("a file");
    scene.shows("level=4;");
    scene.watches("events");
    scene.live();
}

#[test]
fn f06_a_file_that_is_mounted_by_itself_is_told_from_the_start() {
    // The folder with such a file in it, and such a file alone.
    for path in ["base", "base/level"] {
        let mounts = Namespace::of_mounts();
        let mut scene = Scene::at(path, "300ms");
        let place = scene.base().join("level");
        scene.write("level", "what lies below the mount");
        let version = scene.app.folder().join("version");
        fs::write(&version, "1").expect("a file");
        mounts.run(&["mount", "--bind", word(&version), word(&place)]);
        scene.app.start_through(&mounts.entry()).ready();
        scene.shows("level=1;");
        let source = scene.source("known never to update", |source| source["frozen"].is_string());
        let why = source["frozen"].as_str().expect("it is a text");
        assert!(why.contains(word(&place)), "{why}");
        assert!(why.contains("will never update: mount its folder"), "{why}");
        assert!(scene.app.log().contains("mount its folder"), "{}", scene.app.tail());
        scene.measures("rehup_source_frozen{source=\"base\"} 1");
        replace(&version, "2");
        nothing_new(&scene, "level=1;");
        // Mended: what is there now is no mount.
        mounts.run(&["umount", word(&place)]);
        scene.shows("level=what lies below the mount;");
        scene.source("able to update", |source| source["frozen"].is_null());
        scene.measures("rehup_source_frozen{source=\"base\"} 0");
        scene.write("level", "3");
        scene.shows("level=3;");
        scene.live();
    }
}

/// Rehup on a folder of a small file system that comes and goes.
fn remounted(path: &str, gone: impl Fn(&Scene)) {
    let mounts = Namespace::of_mounts();
    let mut scene = Scene::at(path, "300ms");
    let root = scene.base();
    let source = scene.app.folder().join(path);
    let fill = |value: &str| {
        mounts.run(&["mount", "-t", "tmpfs", "none", word(&root)]);
        let inside = mounts.path(&source);
        fs::create_dir_all(&inside).expect("a folder");
        fs::write(inside.join("level"), value).expect("a file");
    };
    fill("1");
    scene.app.start_through(&mounts.entry()).ready();
    scene.shows("level=1;");
    scene.watches("events");
    for value in ["2", "3"] {
        mounts.run(&["umount", word(&root)]);
        gone(&scene);
        scene.app.answers("/readyz", 200);
        fill(value);
        scene.shows(&format!("level={value};"));
        scene.live();
        // And events tell of it again, at the latest after one change that they did not tell of.
        for more in ["+", ""] {
            let value = format!("{value}{more}");
            fs::write(mounts.path(&source).join("level"), &value).expect("a file");
            scene.shows(&format!("level={value};"));
        }
        scene.watches("events");
    }
}

#[test]
fn f09_a_folder_whose_file_system_goes_away_and_comes_back_is_followed_again() {
    remounted("base/below", |scene| {
        let last = scene.app.read("content").expect("a generation");
        scene.degraded("not_found", &last);
    });
}

/// Then there is a folder, but an empty one, which nobody may believe.
#[test]
fn f09_a_mount_point_that_lost_its_mount_is_held() {
    remounted("base", |scene| {
        let last = scene.app.read("content").expect("a generation");
        scene.source("held", |source| source["held"].is_object());
        assert!(scene.app.answers("/freshz", 503).contains("held: base"));
        scene.measures("rehup_held{source=\"base\"} 1");
        scene.shows(&last);
    });
}
