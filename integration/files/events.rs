//! Faults of inotify: its queue overflows, its limits are reached.

use std::{fs, time::Duration};

use nix::sys::signal::Signal;

use super::scene::{Scene, replace};
use crate::support::{namespace::Namespace, patience::within};

/// How often the log says something.
fn told(scene: &Scene, words: &str) -> usize {
    scene.app.log().lines().filter(|line| line.contains(words)).count()
}

/// What is said when no events can be had.
const POLLING: &str = "no events tell of changes";

#[tokio::test]
async fn f03_after_an_overflow_of_the_queue_everything_is_read_anew() {
    let mut scene = Scene::new();
    scene.write("level", "1");
    scene.start().shows("level=1;");
    scene.watches("events");
    scene.app.process().signal(Signal::SIGSTOP);
    // A hidden name is no reason to look, so only the overflow itself can be one.
    let noise = scene.base().join(".noise");
    for _ in 0..10_000 {
        fs::write(&noise, "").expect("a file");
        fs::remove_file(&noise).expect("a file");
    }
    replace(&scene.base().join("level"), "2");
    scene.app.process().signal(Signal::SIGCONT);
    within(Duration::from_secs(1), "what happened after the overflow is seen", async || {
        (scene.app.read("content").as_deref() == Some("level=2;")).then_some(())
    })
    .await;
    scene.measures("rehup_source_resyncs_total{source=\"base\",reason=\"overflow\"} 1");
    assert_eq!(told(&scene, "events were lost"), 1, "{}", scene.app.tail());
    replace(&scene.base().join("level"), "3");
    scene.shows("level=3;");
    scene.live();
    scene.watches("events");
}

/// Our own look at so many files makes more events than the queue holds: that must not make us look
/// without end.
#[test]
fn f03_a_folder_with_more_files_than_the_queue_holds_events_is_followed() {
    let mut scene = Scene::new();
    for number in 0..20_000 {
        fs::write(scene.base().join(format!("key-{number}")), "x").expect("a key");
    }
    scene.app.configure(scene_of_one_key(&scene));
    scene.start().shows("x");
    for value in ["1", "2", "3"] {
        replace(&scene.base().join("key-7"), value);
        scene.shows(value);
    }
    scene.live();
    let resyncs = scene.app.get("/metrics").expect("metrics").body;
    let overflows = resyncs.lines().find(|line| line.contains("reason=\"overflow\"")).unwrap_or("");
    assert!(
        overflows.rsplit(' ').next().is_none_or(|n| n.parse().unwrap_or(0) < 10),
        "{overflows}"
    );
}

fn scene_of_one_key(scene: &Scene) -> String {
    format!(
        "sources: {{ base: {{ files: {{ path: {} }} }} }}\n\
         templates:\n  - {{ inline: \"{{{{ base['key-7'] }}}}\", to: content }}\nsettle: off\n",
        scene.base().display()
    )
}

/// Sets a limit of inotify for the users of a namespace.
fn limit(users: &Namespace, what: &str, number: u32) {
    let script = format!("echo {number} > /proc/sys/user/max_inotify_{what}");
    users.run(&["sh", "-c", &script]);
}

/// Starts with so few that not everything can be watched, and gets enough later.
fn polls_until_there_are_enough(what: &str, few: u32) {
    let users = Namespace::of_users();
    limit(&users, what, few);
    let mut scene = Scene::at("base", "300ms");
    scene.write("level", "1");
    scene.app.start_through(&users.entry()).ready();
    scene.watches("poll");
    for value in ["2", "3", "4"] {
        scene.write("level", value);
        scene.shows(&format!("level={value};"));
        scene.live();
    }
    assert_eq!(told(&scene, POLLING), 1, "{few} {what}: {}", scene.app.tail());
    limit(&users, what, 100);
    scene.watches("events");
    scene.write("level", "5");
    scene.shows("level=5;");
    scene.live();
    assert_eq!(told(&scene, POLLING), 1, "{few} {what}: {}", scene.app.tail());
}

#[test]
fn f04_without_inotify_instances_changes_are_polled_until_there_are_some() {
    // One is that of the configuration.
    for few in [0, 1] {
        polls_until_there_are_enough("instances", few);
    }
}

#[test]
fn f04_without_inotify_watches_changes_are_polled_until_there_are_some() {
    for few in [0, 1, 2] {
        polls_until_there_are_enough("watches", few);
    }
}

#[test]
fn f04_watches_that_run_out_later_lead_to_polls_until_there_are_more() {
    let users = Namespace::of_users();
    let mut scene = Scene::copied("300ms");
    scene.app.start_through(&users.entry()).ready();
    scene.watches("events");
    limit(&users, "watches", 1);
    fs::create_dir(scene.base().join("new")).expect("a folder");
    scene.write("new/key", "1");
    scene.app.shows("all/new/key", "1");
    scene.watches("poll");
    scene.write("new/key", "2");
    scene.app.shows("all/new/key", "2");
    limit(&users, "watches", 100);
    scene.watches("events");
    scene.write("new/key", "3");
    scene.app.shows("all/new/key", "3");
    scene.live();
    assert_eq!(told(&scene, POLLING), 1, "{}", scene.app.tail());
}
