//! S08: what a process would do with the signal decides whether it is sent.

use nix::sys::signal::Signal;

use super::{after_the_flip, change, checked, count, ends, owes, signalling};
use crate::support::{
    app::App, patience::eventually, process::Process, process::scratch, target::Counter,
};

/// Starts on this target, which owes for this reason, over a change and a check; nothing is sent.
fn never_told(app: &mut App, said: &str) {
    app.start().ready();
    owes(app, "main", "misconfigured", said);
    change(app);
    owes(app, "main", "misconfigured", said);
    let (good, words) = checked::<&str>(app, &[]);
    assert!(!good && words.contains(said), "{words}");
    assert_eq!(count(app, "main", "unknown"), 0, "{}", app.tail());
    // It is no reason to be unready or stale.
    app.answers("/readyz", 200);
    app.answers("/freshz", 200);
}

#[test]
fn s08_a_program_without_a_handler_or_that_ignores_it_is_never_signalled_until_it_has_one() {
    let folder = scratch();
    let pid_file = folder.path().join("pid");
    let main = |words: &[&str]| {
        let process = Process::start(words[0], &words[1..], &folder.path().join("log"), |_| {});
        let comm = format!("/proc/{}/comm", process.pid());
        eventually("it sleeps", || {
            std::fs::read_to_string(&comm).is_ok_and(|name| name == "sleep\n").then_some(())
        });
        std::fs::write(&pid_file, process.pid().to_string()).expect("a pid file");
        process
    };
    for (words, said) in [
        (&["env", "--default-signal=HUP", "sleep", "600"][..], "has no handler for SIGHUP"),
        (&["nohup", "sleep", "600"], "ignores SIGHUP"),
    ] {
        let mut process = main(words);
        let mut app = signalling(&format!("process: {{ pid_file: {} }}", pid_file.display()));
        never_told(&mut app, said);
        assert!(process.exited().is_none(), "{words:?} lives");
        // In its place one that takes it, and no restart of ours.
        process.kill();
        after_the_flip();
        let counter = Counter::start();
        std::fs::write(&pid_file, counter.pid().to_string()).expect("a pid file");
        ends(&app, "main", "confirmed");
        assert_eq!(counter.count(), 0, "it has read the newest generation");
        change(&app);
        ends(&app, "main", "unknown");
        eventually("it is told", || (counter.count() == 1).then_some(()));
    }
}

#[test]
fn s08_a_thread_that_would_die_of_it_keeps_all_from_being_signalled() {
    for mode in ["partly", "elsewhere"] {
        let mut counter = Counter::with_threads(mode);
        let mut app = signalling(&counter.process_yaml());
        never_told(&mut app, "has no handler for SIGHUP");
        assert!(counter.lives(), "{mode}");
        // The kernel agrees.
        counter.signal(Signal::SIGHUP);
        eventually(format_args!("{mode}: it would have died"), || (!counter.lives()).then_some(()));
    }
}

/// It is told of each generation.
fn told(mode: &str) {
    let mut counter = Counter::with_threads(mode);
    let mut app = signalling(&counter.process_yaml());
    app.start().ready();
    for told in 1..=2 {
        ends(&app, "main", "unknown");
        eventually(format_args!("{mode}: {told} signals"), || {
            (counter.count() == told).then_some(())
        });
        change(&app);
    }
    assert!(counter.lives(), "{mode}");
    let (good, words) = checked::<&str>(&app, &[]);
    assert!(good && words.contains("takes SIGHUP"), "{mode}: {words}");
}

#[test]
fn s08_a_program_that_reads_the_signal_from_a_descriptor_is_told() {
    told("signalfd");
}

/// While a thread waits so, its table shows the signal as not blocked.
#[test]
fn s08_a_program_with_a_thread_that_waits_for_the_signal_is_told() {
    // A confined Rehup may not look what a thread waits for.
    if std::env::var_os("REHUP_TEST_CONFINE").is_some() {
        let counter = Counter::with_threads("alone");
        let mut app = signalling(&counter.process_yaml());
        app.start().ready();
        return owes(&app, "main", "misconfigured", "has no handler for SIGHUP");
    }
    told("sigwait");
    told("alone");
}
