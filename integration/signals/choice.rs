//! S10: names that are tricks, and processes that are never meant.

use super::{after_the_flip, change, ends, hup, owes, signalling};
use crate::support::{
    owed::with_targets,
    patience::eventually,
    process::{Process, scratch},
    processes::Processes,
    program::copy,
    target::{Counter, program},
};

/// A name that nobody else on this machine has, of `length` characters.
fn name(begin: &str, length: usize) -> String {
    let more = std::iter::repeat_with(|| fastrand::char('a'..='z'));
    begin.chars().chain(more).take(length).collect()
}

#[test]
fn s10_odd_names_mean_the_process_that_has_them() {
    for name in [
        name("a) b (c ", 13),
        name("(sd) S 1 ", 15),
        name("fifteen-", 15),
        name("sixteen-", 16),
        name("a name that is much longer than fifteen characters ", 60),
        name("näme ", 9),
    ] {
        let counter = Counter::named(&name);
        let mut app = signalling(&format!("process: {{ name: \"{name}\" }}"));
        app.start().ready();
        for told in 1..=2 {
            ends(&app, "main", "unknown");
            eventually(format_args!("{name}: {told} signals"), || {
                (counter.count() == told).then_some(())
            });
            change(&app);
        }
    }
}

/// Longer names are known by the command line alone, and a process may say there what it likes.
#[test]
fn s10_a_command_line_that_was_rewritten_is_found_as_it_reads() {
    let (folder, title) = (scratch(), name("renamed-", 24));
    let log = folder.path().join("signals");
    let counter = program();
    let script = format!("exec -a '{title}: master process' \"$0\" \"$1\"");
    let words = ["-c", script.as_str(), path(&counter), path(&log)];
    let mut process = Process::start("bash", words, &folder.path().join("output"), |_| {});
    let count = || crate::support::target::count(&log);
    eventually("it is set up", || log.exists().then_some(()));
    let whole = format!("process: {{ name: counter, cmdline: \"^{title}: master process /\" }}");
    let first_word = format!("process: {{ name: \"{title}\" }}");
    let mut app = with_targets(&[("whole", hup(&whole)), ("first", hup(&first_word))]);
    app.start().ready();
    ends(&app, "whole", "unknown");
    eventually("it is told", || (count() == 1).then_some(()));
    owes(&app, "first", "not_up", "no running process matches");
    assert!(process.exited().is_none());
}

#[test]
fn s10_a_zombie_is_nobody() {
    let name = name("zombie-", 15);
    let mut dead = Counter::named(&name);
    let mut app = signalling(&format!("process: {{ name: {name} }}"));
    app.start().ready();
    ends(&app, "main", "unknown");
    eventually("it is told", || (dead.count() == 1).then_some(()));
    // Its parent, this test, does not ask how it ended.
    dead.signal(nix::sys::signal::Signal::SIGKILL);
    let stat = format!("/proc/{}/stat", dead.pid());
    eventually("it is a zombie", || {
        std::fs::read_to_string(&stat).is_ok_and(|text| text.contains(") Z ")).then_some(())
    });
    change(&app);
    owes(&app, "main", "not_up", "no running process matches");
    after_the_flip();
    let alive = Counter::named(&name);
    ends(&app, "main", "confirmed");
    change(&app);
    ends(&app, "main", "unknown");
    eventually("the one that lives is told", || (alive.count() == 1).then_some(()));
    assert!(!dead.lives() && dead.count() == 1);
}

/// With a `/proc` of its own, where no other Rehup and no other program has these names.
#[test]
fn s10_we_ourselves_and_the_pause_process_and_the_kernel_are_never_chosen() {
    let processes = Processes::new();
    let folder = scratch();
    let pause = folder.path().join("pause");
    copy(program(), &pause);
    let log = folder.path().join("signals");
    let words = [path(&pause), path(&log)];
    let mut pause = processes.start(&words, &folder.path().join("output"));
    eventually("it is set up", || log.exists().then_some(()));
    let mut app = with_targets(&[
        ("ourselves", hup("process: { name: rehup }")),
        ("by-words", hup("process: { cmdline: \"(rehup|nsenter|setpriv) ?.* run$\" }")),
        ("pause", hup("process: { name: pause }")),
        ("pause-by-words", hup("process: { cmdline: \"/pause /\" }")),
        ("kernel", hup("process: { name: kthreadd }")),
    ]);
    app.start_through(&processes.entry()).ready();
    for round in 0..2 {
        for target in ["ourselves", "by-words", "pause", "pause-by-words", "kernel"] {
            owes(&app, target, "not_up", "no running process matches");
        }
        if round == 0 {
            change(&app);
        }
    }
    assert_eq!(crate::support::target::count(&log), 0);
    assert!(pause.lives());
}

fn path(path: &std::path::Path) -> &str {
    path.to_str().expect("UTF-8")
}
