//! One volume takes one Rehup: a lock that the kernel frees when its holder dies.
//!
//! `..rehup/lock`. Must not wait: the caller decides how long.

use std::{
    fs::File,
    io::{Read, Write},
};

use rustix::{
    fs::{FileType, FlockOperation, Mode, OFlags},
    io::Errno,
};

use super::{PublishError, root::Dir};

const NAME: &str = "lock";

/// The lock; dropping it frees the volume.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// Takes the lock, or says who has it.
pub(super) fn take(private: &Dir, root: &Dir) -> Result<Lock, PublishError> {
    let failed = |error: std::io::Error| private.error("cannot lock", NAME, error);
    // A FIFO at the name must not hang us.
    let flags =
        OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(private.fd(), NAME, flags, Mode::from_raw_mode(0o600)).map_err(
        |error| {
            let unusable = PublishError::not_writable(root.path(), error);
            unusable.unwrap_or_else(|| failed(error.into()))
        },
    )?;
    let mut file = File::from(fd);
    let stat = rustix::fs::fstat(&file).map_err(|error| failed(error.into()))?;
    // What has another name too may lie anywhere, and we are about to write.
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || stat.st_nlink > 1 {
        let what = "the name is ours, but this is not; remove it".to_owned();
        return Err(PublishError::Foreign { path: private.path().join(NAME), what });
    }
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => {
            let mut holder = String::new();
            // Only for the message; a holder that has not written itself down yet is one too.
            let read = file.take(256).read_to_string(&mut holder);
            let known = read.is_ok() && !holder.trim().is_empty();
            let holder = if known { holder.trim().to_owned() } else { "just starting".to_owned() };
            return Err(PublishError::Locked { path: root.path().to_owned(), holder });
        }
        Err(error) => return Err(failed(error.into())),
    }
    file.set_len(0).and_then(|()| writeln!(file, "{}", ourselves())).map_err(failed)?;
    Ok(Lock { _file: file })
}

fn ourselves() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = if host.trim().is_empty() { "an unknown host" } else { host.trim() };
    format!("process {} on {host}", std::process::id())
}
