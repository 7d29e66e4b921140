//! S09: a container's seccomp profile refuses what holds a process; then `kill` with a check.

use nix::libc::{ENOSYS, EPERM};

use super::{change, ends, owes, signalling};
use crate::support::{compiled, patience::eventually, target::Counter};

/// A filter of the kernel's own; `x09_an_old_kernel_*` has both calls refused at once.
#[test]
fn s09_a_call_that_is_refused_has_a_fallback_which_is_told_once() {
    for (call, error) in [
        ("pidfd_open", EPERM),
        ("pidfd_open", ENOSYS),
        ("pidfd_send_signal", EPERM),
        ("pidfd_send_signal", ENOSYS),
    ] {
        let (counter, without) = (Counter::start(), compiled::c("without"));
        let mut app = signalling(&counter.process_yaml());
        let without = without.display().to_string();
        app.start_through(&[without.as_str(), &error.to_string(), call]).ready();
        for told in 1..=3 {
            ends(&app, "main", "unknown");
            eventually(format_args!("{call}: {told} signals"), || {
                (counter.count() == told).then_some(())
            });
            change(&app);
        }
        let said = format!("{call} is blocked; using kill with a check");
        assert_eq!(app.log().matches(&said).count(), 1, "{}", app.tail());
    }
}

/// The first call is refused in the same way.
#[test]
fn s09_another_user_s_process_is_no_blocked_call() {
    let counter = Counter::start();
    let mut app = signalling(&counter.process_yaml());
    let stranger = ["--reuid", "65532", "--regid", "65532", "--clear-groups", "--"];
    super::rights::open_to_all(&mut app);
    app.start_through(&[&["setpriv"], &stranger[..]].concat()).ready();
    owes(&app, "main", "misconfigured", "run as the same user");
    assert!(!app.log().contains("is blocked"), "{}", app.tail());
    assert_eq!(counter.count(), 0);
}
