//! A rollback that is killed at any step goes on with the next start.

use std::{fs, path::PathBuf, sync::Mutex};

use serde_json::Value;

use super::{CONFIRMED, Scene};
use crate::{
    crash::trace::{Fault, Point, counts, points, watch},
    support::{app::App, endpoint::Manner, patience::eventually},
};

/// Calls that change the volume, or make a change durable, and those that tell a target.
const CALLS: &str = "mkdirat,openat2,renameat,symlinkat,unlinkat,fchmod,fsync,connect";

/// A life begins with a confirmed generation and a change that a target will reject.
fn begun() -> Scene {
    let mut scene = Scene::new();
    scene.app.start();
    scene.settles(["1", "1"], CONFIRMED);
    assert!(scene.app.stop().success());
    scene.becomes("bad", "2");
    scene
}

fn is_done(scene: &Scene) -> bool {
    let Some(status) = scene.app.try_status() else { return false };
    let settled = |name: &str| {
        let target = &status["targets"][name];
        target["outcome"] == "confirmed" && target["owed_seconds"].is_null()
    };
    status["generation"]["rollback"] == true
        && scene.app.read("left").as_deref() == Some("1")
        && scene.app.read("right").as_deref() == Some("1")
        && scene.quarantined().len() == 1
        && settled("left")
        && settled("right")
}

fn all_points() -> Vec<Point> {
    let mut scene = begun();
    let log = scene.app.folder().join("trace");
    scene.app.start_through(&watch(CALLS, &log));
    eventually(format_args!("it is rolled back; {}", scene.app.tail()), || {
        is_done(&scene).then_some(())
    });
    scene.app.stop();
    let log = fs::read_to_string(log).expect("what strace saw");
    points(&counts(&log), &[Fault::Kill])
}

/// Killed there, and started without help: the good one is visible, told and confirmed.
fn killed(point: &Point) {
    let mut scene = begun();
    let log = scene.app.folder().join("trace");
    scene.app.start_through(&point.words(&log));
    eventually(format_args!("{point} is met or all is done"), || {
        (scene.app.process().exited().is_some() || is_done(&scene)).then_some(())
    });
    scene.app.kill();
    scene.app.start();
    eventually(format_args!("{point}: it is rolled back; {}", scene.app.tail()), || {
        is_done(&scene).then_some(())
    });
    // What was rolled back before the kill is known before the source has answered.
    eventually(format_args!("{point}: it says why; {}", scene.app.tail()), || {
        let told = scene.app.get("/freshz").filter(|answer| answer.status == 503)?.body;
        told.contains("quarantined: the newest").then_some(())
    });
    let last = scene.left.posts().pop().expect("it was told");
    let visible = scene.app.generation().to_string();
    assert_eq!(last.header("x-rehup-generation"), Some(visible.as_str()), "{point}");
    scene.becomes("3", "3");
    scene.settles(["3", "3"], CONFIRMED);
    scene.app.answers("/freshz", 200);
}

/// Every so many of all points, others each time.
fn kill_each(every: usize) {
    let all = all_points();
    let begin = fastrand::usize(..every.min(all.len()));
    let chosen: Vec<_> = all.into_iter().skip(begin).step_by(every).collect();
    eprintln!("{} points of death", chosen.len());
    let queue = Mutex::new(chosen.into_iter());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().expect("a queue").next();
                    let Some(next) = next else { return };
                    killed(&next);
                }
            });
        }
    });
}

/// The journal on the volume.
fn journal(scene: &Scene) -> Value {
    let text = fs::read(journal_file(scene)).expect("a journal");
    serde_json::from_slice(&text).expect("JSON")
}

fn journal_file(scene: &Scene) -> PathBuf {
    scene.app.volume().join("..rehup/journal")
}

#[test]
fn h10_a_rejection_that_was_written_down_before_a_kill_is_rolled_back_after_it() {
    let mut scene =
        Scene::of(App::with_failpoints("10m"), "on_reject: rollback", "on_reject: keep");
    scene.app.start();
    scene.settles(["1", "1"], CONFIRMED);
    scene.becomes("bad", "2");
    // Nobody takes the verdict.
    let (staged, points) =
        (scene.app.folder().join("points"), scene.app.folder().join("failpoints"));
    scene.left.decide(move |_| {
        fs::write(&staged, "silence 10m\npipeline hang\n").expect("failpoints");
        fs::rename(&staged, &points).expect("failpoints");
        Manner::Status(422)
    });
    eventually(format_args!("the rejection is written down; {}", scene.app.tail()), || {
        (journal(&scene)["targets"]["left"]["settled"]["outcome"] == "rejected").then_some(())
    });
    scene.app.kill();
    assert_eq!(scene.app.read("left").as_deref(), Some("bad"), "nothing was rolled back yet");
    scene.app.fail("");
    scene.rejects("left", "bad");
    scene.app.start();
    scene.rolls_back_to(["1", "1"]);
}

#[test]
fn h10_a_rollback_that_a_kill_kept_from_being_written_down_is_still_one() {
    let mut scene = begun();
    scene.app.start();
    scene.rolls_back_to(["1", "1"]);
    scene.app.kill();
    let mut before = journal(&scene);
    before["published"].as_array_mut().expect("a list").pop();
    fs::write(journal_file(&scene), before.to_string()).expect("a journal");
    scene.app.start();
    scene.rolls_back_to(["1", "1"]);
}

#[test]
fn h10_a_rollback_that_is_killed_at_any_step_is_done_after_the_next_start() {
    kill_each(8);
}

mod soak {
    #[test]
    fn h10_a_rollback_is_killed_at_each_step() {
        super::kill_each(1);
    }
}
