//! S05, S12, S15: targets that are not there, come and go, stand still, or are new under an old
//! name.

use nix::sys::signal::Signal;

use super::{after_the_flip, change, count, ends, hup, owes, owes_newest, signalling};
use crate::support::{
    endpoint::{Endpoint, Manner},
    owed::with_targets,
    patience::eventually,
    target::Counter,
};

/// A name that nobody else on this machine has.
fn name() -> String {
    let more = std::iter::repeat_with(|| fastrand::char('a'..='z'));
    "main-".chars().chain(more.take(10)).collect()
}

#[test]
fn s05_a_target_that_comes_late_goes_and_comes_back_twenty_times_is_told_of_the_newest() {
    let name = name();
    let mut app = signalling(&format!("process: {{ name: {name} }}"));
    app.start().ready();
    for _ in 0..3 {
        owes(&app, "main", "not_up", "no running process matches");
        change(&app);
        app.answers("/freshz", 200);
    }
    for round in 1..=20 {
        // It finds the newest generation.
        after_the_flip();
        let counter = Counter::named(&name);
        ends(&app, "main", "confirmed");
        assert_eq!(counter.count(), 0, "round {round}");
        change(&app);
        ends(&app, "main", "unknown");
        eventually(format_args!("round {round}: it is told"), || {
            (counter.count() == 1).then_some(())
        });
        drop(counter);
        change(&app);
        owes_newest(&app, "not_up");
    }
    // An absence is told when it begins, and not at each look.
    let told = app.log().matches("no running process matches").count();
    assert!(told <= 22, "told {told} times; {}", app.tail());
    assert_eq!(count(&app, "main", "unknown"), 20);
}

#[test]
fn s15_a_new_instance_is_recognised_and_has_to_be_ready_anew() {
    let (name, door) = (name(), Endpoint::start(Manner::Status(200)));
    let ready = format!("ready: {{ url: \"{}\" }}", door.url("/ready"));
    let process = format!("process: {{ name: {name} }}, {ready}");
    let mut app = with_targets(&[("main", hup(&process))]);
    let mut counter = Counter::named(&name);
    app.start().ready();
    ends(&app, "main", "unknown");
    for round in 1..=10 {
        let asked = door.requests().len();
        change(&app);
        ends(&app, "main", "unknown");
        assert_eq!(door.requests().len(), asked, "one that was ready is not asked again");
        drop(counter);
        door.turn(Manner::Status(503));
        counter = Counter::named(&name);
        change(&app);
        owes(&app, "main", "not_up", "ready answered 503");
        assert_eq!(counter.count(), 0, "round {round}: it is not ready");
        door.turn(Manner::Status(200));
        ends(&app, "main", "unknown");
        eventually(format_args!("round {round}: it is told"), || {
            (counter.count() == 1).then_some(())
        });
    }
}

#[test]
fn s01_a_young_process_is_not_signalled_before_its_time() {
    let counter = Counter::start();
    let young = format!("signal: SIGHUP, min_uptime: 8s, {}", counter.process_yaml());
    let mut app = with_targets(&[("main", young)]);
    app.start().ready();
    owes(&app, "main", "not_up", "the process is younger than 8s");
    assert_eq!(counter.count(), 0);
    ends(&app, "main", "unknown");
    eventually("it is told", || (counter.count() == 1).then_some(()));
}

#[test]
fn s12_a_program_that_is_stopped_is_unknown_and_never_confirmed() {
    let counter = Counter::start();
    let mut app = signalling(&counter.process_yaml());
    app.start().ready();
    ends(&app, "main", "unknown");
    eventually("it is told", || (counter.count() == 1).then_some(()));
    counter.signal(Signal::SIGSTOP);
    for _ in 0..3 {
        change(&app);
        ends(&app, "main", "unknown");
    }
    assert_eq!(counter.count(), 1, "it stands still");
    counter.signal(Signal::SIGCONT);
    eventually("what waits for it is taken", || (counter.count() == 2).then_some(()));
    change(&app);
    ends(&app, "main", "unknown");
    eventually("it is told", || (counter.count() == 3).then_some(()));
    assert_eq!(count(&app, "main", "confirmed"), 0);
}

#[test]
fn s12_a_program_that_waits_in_the_kernel_is_unknown_and_not_rejected() {
    let mut counter = Counter::with_threads("vfork");
    let verify = "verify: { workers: changed, timeout: 1s }, tries: 1";
    let mut app = signalling(&format!("{}, {verify}", counter.process_yaml()));
    app.start().ready();
    for _ in 0..2 {
        let told = ends(&app, "main", "unknown");
        assert_eq!(told["detail"], "the process waits in the kernel", "{told}");
        change(&app);
    }
    assert!(counter.lives());
}
