//! Signals, with the built binary: which process is meant, whether it may be told, whether it would
//! die of it, and that it is never another one.

use std::{
    ffi::OsStr,
    time::{Duration, Instant},
};

use crate::support::{
    app::App,
    owed::{change, count, ends, owes, with_targets},
    patience::eventually,
};

mod choice;
mod handlers;
mod masters;
mod pace;
mod presence;
mod refused_calls;
mod reuse;
mod rights;

/// In `/proc` a process's start has this grain.
const TICK: Duration = Duration::from_millis(20);

/// Settings of a target that is signalled as soon as its table allows it.
fn hup(process: &str) -> String {
    format!("signal: SIGHUP, min_uptime: 0s, {process}")
}

/// An app with one target, `main`, of these settings.
fn signalling(process: &str) -> App {
    with_targets(&[("main", hup(process))])
}

/// What `rehup check --connect` says of its targets, run through these words: whether all is well,
/// and what it prints.
fn checked<S: AsRef<OsStr>>(app: &App, through: &[S]) -> (bool, String) {
    let output = app.run_through(through, &["check", "--connect"]);
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// Waits until the newest generation is owed for this reason.
#[track_caller]
fn owes_newest(app: &App, outcome: &str) {
    let newest = app.generation();
    eventually(format_args!("{newest} is owed, {outcome}; {}", app.tail()), || {
        let target = app.try_status()?["targets"]["main"].clone();
        let owed = target["owed_seconds"].is_number() && target["generation"] == newest;
        (owed && target["outcome"] == outcome).then_some(())
    });
}

/// Waits until what starts now is younger than the newest generation: in the same tick of the clock
/// that `/proc` tells, it counts as older.
fn after_the_flip() {
    let visible = Instant::now();
    eventually("a tick has passed", || (visible.elapsed() > TICK).then_some(()));
}
