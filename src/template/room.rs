//! Room for work that recurses as deep as a template says.
//!
//! Owns one thread for the time of the work. Whoever calls may have a small stack.

use std::{io, panic::resume_unwind, thread};

/// Enough for every bound of `tame.rs` and `bounds.rs` in unoptimized code. Only pages that are
/// touched are memory.
const STACK: usize = 64 << 20;

/// Does the work on a thread with a large stack and waits for it; a panic is passed on. Fails if
/// there can be no other thread.
pub(super) fn with_room<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let builder = thread::Builder::new().name("templates".to_owned()).stack_size(STACK);
        let running = builder.spawn_scoped(scope, work)?;
        Ok(running.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}
