//! Why an attempt to read ended.

use std::{
    io,
    path::{Path, PathBuf},
};

use rustix::{fs::FileType, io::Errno};

use crate::{ErrorKind, ProviderError};

/// Why an attempt to read ended.
pub(super) enum Fault {
    /// Something was swapped, deleted or replaced meanwhile: start over.
    Moved(PathBuf),
    /// Another attempt would find the same.
    Failed(ProviderError),
}

impl Fault {
    /// A call about `place`, which was there a moment ago, failed.
    pub(super) fn errno(errno: Errno, place: &Path) -> Self {
        let kind = match errno {
            // LOOP: with O_NOFOLLOW, it has become a link.
            Errno::NOENT | Errno::NOTDIR | Errno::STALE | Errno::LOOP => {
                return Self::Moved(place.to_owned());
            }
            Errno::ACCESS | Errno::PERM => ErrorKind::Permission,
            _ => ErrorKind::Unavailable,
        };
        Self::Failed(failed(kind, place, errno.into()))
    }

    /// As [`Self::errno`], for calls of the standard library, which follow links.
    pub(super) fn io(error: io::Error, place: &Path) -> Self {
        match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::LOOP) => Self::Failed(failed(ErrorKind::Malformed, place, error)),
            Some(errno) => Self::errno(errno, place),
            None => Self::Failed(failed(ErrorKind::Unavailable, place, error)),
        }
    }

    /// The followed path itself cannot be found.
    pub(super) fn root(path: &Path, error: io::Error) -> Self {
        match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::NOENT | Errno::NOTDIR) => {
                let message = format!("{} does not exist", path.display());
                Self::Failed(ProviderError::new(ErrorKind::NotFound, message))
            }
            _ => Self::io(error, path),
        }
    }

    /// `place` is neither folder, file nor link.
    pub(super) fn strange(kind: FileType, place: &Path) -> Self {
        let kind = match kind {
            FileType::Fifo => "a FIFO",
            FileType::Socket => "a socket",
            _ => "a device",
        };
        let message = format!("{} is {kind}; only files can be followed", place.display());
        Self::Failed(ProviderError::new(ErrorKind::Malformed, message))
    }
}

impl From<ProviderError> for Fault {
    fn from(error: ProviderError) -> Self {
        Self::Failed(error)
    }
}

fn failed(kind: ErrorKind, place: &Path, error: io::Error) -> ProviderError {
    ProviderError::new(kind, format!("{} cannot be read", place.display())).with_source(error)
}
