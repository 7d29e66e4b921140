//! File systems that tell nothing, or do not answer: a small one of our own, mounted through the
//! kernel's FUSE.

use std::{fs, time::Duration};

use nix::sys::signal::Signal;

use super::scene::{Scene, replace};
use crate::support::{
    fuse::Fuse,
    http,
    namespace::Namespace,
    patience::{eventually, within},
};

#[test]
fn f05_a_file_system_without_events_is_polled() {
    let mounts = Namespace::of_mounts();
    let mut scene = Scene::at("base", "300ms");
    let fuse = Fuse::mount(&mounts, &scene.base(), "1");
    scene.app.start_through(&mounts.entry()).ready();
    scene.shows("level=1;");
    for value in ["2", "3"] {
        fuse.write(value);
        scene.shows(&format!("level={value};"));
        scene.live();
        scene.watches("poll");
    }
}

/// How many threads it has.
fn threads(scene: &mut Scene) -> usize {
    let tasks = format!("/proc/{}/task", scene.app.process().pid());
    fs::read_dir(tasks).expect("a running rehup").count()
}

#[tokio::test]
async fn f10_a_file_system_that_hangs_stops_nothing_else_and_is_asked_once() {
    let mounts = Namespace::of_mounts();
    let mut scene = Scene::beside("base", "300ms");
    let fuse = Fuse::mount(&mounts, &scene.base(), "1");
    scene.app.start_through(&mounts.entry()).ready();
    scene.shows("1");
    fuse.hang(true);
    let error = scene.degraded("unavailable", "1");
    assert!(error.contains("takes too long"), "{error}");
    replace(&scene.app.folder().join("good/key"), "goes on");
    scene.app.shows("good", "goes on");
    let before = threads(&mut scene);
    for _ in 0..3 {
        let asked = http::post(scene.app.listen(), "/-/reload", &[]).expect("an answer");
        assert!(asked.status < 300, "{}", asked.status);
        // The other source shows that the wish has been granted.
        replace(&scene.app.folder().join("good/key"), "still");
        scene.app.shows("good", "still");
        replace(&scene.app.folder().join("good/key"), "goes on");
        scene.app.shows("good", "goes on");
    }
    // A rendering has a thread of its own while it lasts.
    eventually(format_args!("{before} threads do not become more: none hangs anew"), || {
        (threads(&mut scene) <= before + 1).then_some(())
    });
    fuse.write("2");
    fuse.hang(false);
    scene.shows("2");
    scene.live();
}

#[tokio::test]
async fn f10_a_read_that_hangs_does_not_keep_a_process_that_is_told_to_end() {
    let mounts = Namespace::of_mounts();
    let mut scene = Scene::at("base", "300ms");
    let fuse = Fuse::mount(&mounts, &scene.base(), "1");
    scene.app.start_through(&mounts.entry()).ready();
    scene.shows("level=1;");
    fuse.hang(true);
    scene.degraded("unavailable", "level=1;");
    scene.app.process().signal(Signal::SIGTERM);
    let ended = async || scene.app.process().exited();
    let status = within(Duration::from_secs(2), "it ends", ended).await;
    assert!(status.success(), "{status}");
}
