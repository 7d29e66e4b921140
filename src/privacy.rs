//! Keeps the memory of this process to itself: it holds credentials and everybody's values.
//!
//! No core dump is written and no process of the same user may read our memory or environment,
//! which in a shared PID namespace includes the target's. Must not hide anything from an operator
//! with `CAP_SYS_PTRACE`.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Closes the process; what the system refuses is logged, because everything works without.
pub fn keep() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::warn!(%error, "core dumps cannot be switched off: one would hold values");
    }
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "processes of the same user may read our memory");
    }
}
