//! The small files of `..rehup`: journal, key, the guard's memory, the marker of inputs.
//!
//! Each is written whole: a random name, then a rename. Must not interpret what they hold.

use serde::{Deserialize, Serialize};

use super::{
    Inputs, PublishError, manifest,
    root::{self, Dir},
};
use crate::{
    digest::{Digest, DigestKey},
    journal::Journal,
};

pub(super) const JOURNAL: &str = "journal";
pub(super) const SOURCES: &str = "sources";
pub(super) const MANIFEST: &str = "manifest";
const INPUTS: &str = "inputs";
const KEY: &str = "key";
const TEMPORARY: &str = ".new-";

/// The most that is read of a file: far above what we write there.
fn limit(name: &str) -> u64 {
    match name {
        SOURCES | MANIFEST => manifest::LIMIT,
        // A target has two kilobytes in it, and its records take more memory than text.
        JOURNAL => 4 << 20,
        _ => 4 << 10,
    }
}

/// Replaces a file of `..rehup`; `durable` means that it survives a power cut.
pub(super) fn write(
    private: &Dir,
    name: &str,
    bytes: &[u8],
    durable: bool,
) -> Result<(), PublishError> {
    let (temporary, written) = root::unique(TEMPORARY, 6, |temporary| {
        match private.write_new(temporary, bytes, manifest::PRIVATE, durable) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                Err(rustix::io::Errno::EXIST)
            }
            // Any other failure leaves the name behind, so it must come out with it.
            answer => Ok(answer),
        }
    })
    .map_err(|error| private.error("cannot write", name, error))?;
    let renamed = written
        .and_then(|()| Ok(private.rename(&temporary, private, name)?))
        .map_err(|error| private.error("cannot write", name, error));
    if renamed.is_err() {
        private.tidy(&temporary);
    }
    renamed?;
    if durable {
        private.sync().map_err(|error| private.error("cannot sync", "", error))?;
    }
    Ok(())
}

/// Reads a file of `..rehup`; `None` if it is not there, and also, said aloud, if it is larger than
/// any that we write.
pub(super) fn read(private: &Dir, name: &str) -> Result<Option<Vec<u8>>, PublishError> {
    match private.read_below(name, limit(name)) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == std::io::ErrorKind::FileTooLarge => {
            let path = private.path().join(name);
            tracing::warn!(path = %path.display(), %error, "this is none of ours, starting without");
            Ok(None)
        }
        Err(error) => Err(private.error("cannot read", name, error)),
    }
}

/// Removes leftovers of writes that a crash cut short.
pub(super) fn sweep(private: &Dir) -> Result<(), PublishError> {
    let failed = |error| private.error("cannot list", "", error);
    for (name, _) in private.names().map_err(failed)? {
        if name.starts_with(TEMPORARY) {
            private.unlink(&name).map_err(|error| private.error("cannot remove", &name, error))?;
        }
    }
    Ok(())
}

/// The journal; an unreadable one counts as none, and is said aloud: debts are owed again.
pub(super) fn journal(private: &Dir) -> Result<Journal, PublishError> {
    let Some(bytes) = read(private, JOURNAL)? else { return Ok(Journal::default()) };
    Ok(serde_json::from_slice(&bytes).unwrap_or_else(|error| {
        let path = private.path().join(JOURNAL);
        tracing::warn!(path = %path.display(), %error, "the journal is unreadable, starting anew");
        Journal::default()
    }))
}

/// This volume's key, made when it is missing or not whole.
pub(super) fn key(private: &Dir) -> Result<DigestKey, PublishError> {
    let held = read(private, KEY)?.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    if let Some(bytes) = held {
        return Ok(DigestKey::new(bytes));
    }
    let mut bytes = [0; 32];
    let filled = rustix::rand::getrandom(&mut bytes[..], rustix::rand::GetRandomFlags::empty())
        .map_err(|error| private.error("no random bytes for", KEY, error))?;
    debug_assert_eq!(filled, bytes.len(), "up to 256 bytes come whole");
    write(private, KEY, &bytes, true)?;
    Ok(DigestKey::new(bytes))
}

#[derive(Serialize, Deserialize)]
struct Marker {
    inputs: Digest,
    ended: u32,
}

/// The inputs whose render the last process did not survive. A marker that is found was not
/// cleared, so the process that wrote it ended: that one counts too.
pub(super) fn inputs(private: &Dir) -> Result<Option<Inputs>, PublishError> {
    let marker = read(private, INPUTS)?.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    Ok(marker
        .map(|Marker { inputs, ended }| Inputs { digest: inputs, ended: ended.saturating_add(1) }))
}

/// Writes or removes the marker. It has to outlive a process, not a power cut: no sync.
pub(super) fn mark(private: &Dir, inputs: Option<Inputs>) -> Result<(), PublishError> {
    let Some(Inputs { digest, ended }) = inputs else {
        return match private.unlink(INPUTS) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
            Err(error) => Err(private.error("cannot remove", INPUTS, error)),
        };
    };
    let bytes = serde_json::to_vec(&Marker { inputs: digest, ended })
        .map_err(|error| private.error("cannot write", INPUTS, error))?;
    write(private, INPUTS, &bytes, false)
}
