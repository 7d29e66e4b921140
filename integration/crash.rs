//! P01 to P04, P16, H11: the release binary is killed at, or refused, one system call after another of a
//! publication, and starts anew.
//!
//! strace does it to the real process; the kernel, the volume and the target are real too.

use std::collections::BTreeMap;

use crate::support::patience::eventually;

mod order;
mod power;
mod scene;
mod space;
pub mod trace;

use scene::{Layout, Place, Scene};
use trace::{Fault, Point, points};

/// Calls that change the volume, or make a change durable.
const CHANGES: &str = "mkdirat,openat2,renameat,renameat2,symlinkat,unlinkat,fchmod,fchown,fsync,\
                       fdatasync,write,ftruncate,flock";
/// What makes things visible.
const FLIP: &str = "renameat";
/// Whatever else names or touches a file.
const ALL: &str = "%file,%desc";
/// How many lives are tried at once.
const TOGETHER: usize = 2;

/// Tries every one, several at a time, and says how many there were.
fn each_of<T: Send>(all: Vec<T>, try_one: impl Fn(&T) + Sync) -> usize {
    let (count, queue) = (all.len(), std::sync::Mutex::new(all.into_iter()));
    std::thread::scope(|scope| {
        for _ in 0..TOGETHER {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().expect("a queue").next();
                    let Some(next) = next else { return };
                    try_one(&next);
                }
            });
        }
    });
    count
}

/// Killed at one call: readers see old or new, whole, and the next start needs no help.
fn killed(layout: Layout, folder: &std::path::Path, point: &Point) {
    let mut scene = Scene::with_an_old_generation(layout, Place::within(folder));
    scene.becomes("new");
    let died = scene.run_until_dead_or_told(point);
    scene.is_whole(&format!("{point}, died: {died}"));
    scene.restarts(&format!("{point}, died: {died}"));
}

/// Refused one call, and that call of each new thread until it was noticed: the old one stays until
/// the new one is there, without a restart.
fn refused(layout: Layout, folder: &std::path::Path, point: &Point) {
    let mut scene = Scene::with_an_old_generation(layout, Place::within(folder));
    scene.becomes("new");
    scene.starts_under(point);
    eventually(format_args!("{point} is met or all is done; {}", scene.app.tail()), || {
        (scene.met_a_fault() || scene.is_told()).then_some(())
    });
    scene.is_whole(&point.to_string());
    scene.goes_on_alone();
    eventually(format_args!("{point} is survived; {}", scene.app.tail()), || {
        scene.is_whole(&point.to_string());
        scene.is_told().then_some(())
    });
    scene.app.answers("/freshz", 200);
    // What could not be removed then goes with the next generation.
    scene.becomes("old");
    scene.waits_until_told("another change");
    eventually(format_args!("{point}: nothing is left"), || scene.untidy().is_none().then_some(()));
    scene.app.stop();
}

fn faults(layout: Layout, calls: &str, faults: &[Fault], every: usize) -> Vec<Point> {
    let place = Place::within(&scene::tmpfs());
    let counts = Scene::with_an_old_generation(layout, place).counts(calls);
    let mut all = points(&counts, faults);
    // What makes things visible always, of the rest a different part each time, and all in the soak.
    assert!(!all.is_empty(), "no call was seen: {counts:?}");
    let begin = fastrand::usize(..every.min(all.len()));
    let mut chosen = (0..).map(|at: usize| at % every == begin);
    let flips = |point: &Point| point.call == FLIP && point.fault == Fault::Kill;
    all.retain(|point| chosen.next() == Some(true) || flips(point));
    all
}

fn report(what: &str, count: usize, layout: Layout) {
    eprintln!("{count} {what} in layout {layout:?}");
}

fn kill_each(layout: Layout, calls: &str, every: usize, folder: &std::path::Path) {
    let points = faults(layout, calls, &[Fault::Kill], every);
    let count = each_of(points, |point| killed(layout, folder, point));
    report("points of death", count, layout);
}

/// Each error at the calls that can give it. Not `write`: the runtime wakes its threads by it, which
/// never fails; writes that fail are those of volumes that are full.
fn refuse_each(layout: Layout, every: usize, folder: &std::path::Path) {
    let errors: BTreeMap<&str, &[&'static str]> = [
        ("fsync", &["ENOSPC", "EDQUOT", "EIO", "EINTR"][..]),
        ("mkdirat,symlinkat", &["ENOSPC", "EDQUOT", "EIO", "EROFS"]),
        ("renameat,unlinkat,fchmod", &["EIO", "EROFS"]),
        ("openat,openat2", &["EMFILE", "ENFILE", "EIO", "EINTR"]),
    ]
    .into();
    let all = errors.into_iter().flat_map(|(calls, errors)| {
        let errors: Vec<_> = errors.iter().map(|error| Fault::Error(error)).collect();
        faults(layout, calls, &errors, every)
    });
    let count = each_of(all.collect(), |point| refused(layout, folder, point));
    report("errors", count, layout);
}

#[test]
fn p01_killed_at_any_change_of_the_volume_leaves_a_whole_set() {
    kill_each(Layout::Set, CHANGES, 6, &scene::tmpfs());
}

#[test]
fn p01_killed_at_any_change_of_the_volume_leaves_whole_files() {
    kill_each(Layout::Files, CHANGES, 6, &scene::tmpfs());
}

#[test]
fn p04_an_error_at_any_change_of_the_volume_is_survived() {
    refuse_each(Layout::Set, 60, &scene::tmpfs());
    refuse_each(Layout::Files, 60, &scene::tmpfs());
}

#[test]
fn p04_without_a_descriptor_at_the_start_it_waits_for_one() {
    let turns = (1..=6).map(|turn| {
        let (call, fault) = ("openat2".to_owned(), Fault::Error("EMFILE"));
        Point { call, turn, fault }
    });
    each_of(turns.collect(), |point| refused(Layout::Set, &scene::tmpfs(), point));
}

mod soak {
    use super::*;

    #[test]
    fn p01_killed_at_each_call_on_tmpfs() {
        kill_each(Layout::Set, ALL, 1, &scene::tmpfs());
        kill_each(Layout::Files, ALL, 1, &scene::tmpfs());
    }

    #[test]
    fn p01_killed_at_each_change_on_a_disk() {
        kill_each(Layout::Set, CHANGES, 1, &scene::disk());
        kill_each(Layout::Files, CHANGES, 1, &scene::disk());
    }

    #[test]
    fn p04_each_error_at_each_call() {
        refuse_each(Layout::Set, 1, &scene::tmpfs());
        refuse_each(Layout::Files, 1, &scene::disk());
    }
}
