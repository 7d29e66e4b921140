//! X02: what lies on the volume before a start, at the names that a start uses.

use std::{fs, path::Path};

use super::{
    Scene,
    attacker::{PLANTS, Plant, remove},
    without_openat2,
};
use crate::support::{patience::eventually, process::scratch};

/// Names that a start opens, reads, makes or sweeps.
const NAMES: [&str; 12] = [
    "..rehup",
    "..rehup/lock",
    "..rehup/journal",
    "..rehup/key",
    "..rehup/sources",
    "..rehup/manifest",
    "..rehup/.new-abcdef",
    "..data",
    "..tmp-abcdef",
    "..gen-99-abcd",
    "conf",
    "d",
];

/// Moves what is there away, plants, starts, and puts it back.
#[track_caller]
fn starts_with(scene: &mut Scene, words: &[String], name: &str, plant: Plant) {
    let volume = scene.app.volume();
    let (path, kept) = (volume.join(name), scene.lair.join("kept"));
    if name.starts_with("..rehup/") {
        fs::create_dir_all(volume.join("..rehup")).expect("what a first start makes");
    }
    let was_there = fs::rename(&path, &kept).is_ok();
    let last = Path::new(name).file_name().and_then(|it| it.to_str()).expect("a name");
    scene.attacker(&volume).make(plant, last, &path);
    scene.app.start_through(words);
    let what = format!("{plant:?} at {name}");
    let says = volume.display().to_string();
    // It has nothing to do with it, or says what is in the way: it ends, or waits for a hand.
    let ended = eventually(format_args!("{what}: an end or a start"), || {
        if scene.app.process().exited().is_some() {
            return Some(true);
        }
        let status = scene.app.get("/readyz").map(|answer| answer.status);
        let log = scene.app.log();
        let named = log.lines().any(|line| line.contains("WARN") && line.contains(&says));
        (status == Some(200) || named).then_some(false)
    });
    scene.canary.is_untouched(&format!("{what}; {}", scene.app.tail()));
    if ended {
        let log = scene.app.log();
        assert!(log.contains(&says), "{what} is named: {log}");
        scene.app.kill();
    } else {
        scene.app.stop();
    }
    remove(&path);
    // A link of an earlier generation may lead nowhere by now.
    if was_there && name != "..data" {
        fs::rename(&kept, &path).expect("it was there");
    }
    remove(&kept);
}

/// Every plant at every name.
fn every_start(layout: &str, words: &[String]) {
    let mut scene = Scene::new(layout);
    scene.app.start().ready();
    scene.app.stop();
    for name in NAMES {
        for plant in PLANTS {
            starts_with(&mut scene, words, name, plant);
        }
    }
    scene.app.start().ready();
    scene.publishes("1");
    scene.canary.is_untouched("all");
}

#[test]
fn x02_nothing_that_lies_on_a_set_before_a_start_leads_outside() {
    every_start("set", &[]);
}

#[test]
fn x02_nothing_that_lies_among_single_files_before_a_start_leads_outside() {
    every_start("files", &[]);
}

#[test]
fn x02_a_folder_without_a_bottom_is_left_alone() {
    let mut scene = Scene::new("set");
    let top = scene.app.volume().join("..gen-5-deep");
    let mode = rustix::fs::Mode::from_raw_mode(0o755);
    let flags = rustix::fs::OFlags::DIRECTORY;
    fs::create_dir(&top).expect("a folder");
    let mut at = rustix::fs::open(&top, flags, mode).expect("a folder");
    for _ in 0..6_000 {
        rustix::fs::mkdirat(&at, "d", mode).expect("a folder");
        at = rustix::fs::openat(&at, "d", flags, mode).expect("a folder");
    }
    // As many descriptors as there may be: containers often have a million.
    let most = "ulimit -n \"$(ulimit -Hn)\" && exec \"$@\"";
    scene.app.start_through(&["sh", "-c", most, "sh"]).ready();
    scene.publishes("1");
    let said = top.display().to_string();
    assert!(scene.app.log().contains(&said), "it is named: {}", scene.app.log());
    scene.app.stop();
    // No call of the standard library removes that.
    let aside = scene.lair.join("deep");
    fs::rename(&top, &aside).expect("a folder");
    let status = std::process::Command::new("rm").arg("-rf").arg(&aside).status().expect("rm");
    assert!(status.success(), "it is removed");
}

#[test]
fn x02_without_openat2_nothing_that_lies_among_single_files_leads_outside() {
    let folder = scratch();
    every_start("files", &without_openat2("EPERM", &folder.path().join("trace")));
}
