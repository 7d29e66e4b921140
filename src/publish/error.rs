//! Why the volume could not be used, in words that name the path and what to do.

use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// Why the volume could not be used. Each names the path and what to do.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// A system call failed.
    #[error("{action} {}", path.display())]
    Io {
        /// What was tried: `cannot create`.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// The root cannot hold generations.
    #[error("cannot publish to {}: {what}", path.display())]
    Unusable {
        /// The root.
        path: PathBuf,
        /// Why, and what to do.
        what: &'static str,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// A kept generation that is asked for is not there, or not what it was.
    #[error("generation {number} on {} cannot be published again: {what}", path.display())]
    NotKept {
        /// The volume.
        path: PathBuf,
        /// The generation's number.
        number: u64,
        /// Why.
        what: &'static str,
    },
    /// Another Rehup has the volume.
    #[error("another rehup ({holder}) uses {}; one volume takes one", path.display())]
    Locked {
        /// The volume.
        path: PathBuf,
        /// Process id and host of the holder, as it wrote them.
        holder: String,
    },
    /// Something that is not ours is in the way.
    #[error("{} is in the way: {what}", path.display())]
    Foreign {
        /// The path.
        path: PathBuf,
        /// What was found, and what to do.
        what: String,
    },
    /// The volume was made by another user.
    #[error("{} belongs to user {theirs}, we are user {ours}; run `once` and `run` as one user", path.display())]
    Owner {
        /// The path.
        path: PathBuf,
        /// Whose it is.
        theirs: u32,
        /// Who we are.
        ours: u32,
    },
    /// The volume's thread is gone: only after a panic or a shutdown.
    #[error("the volume's thread has ended")]
    Gone,
}

impl PublishError {
    pub(super) fn unusable(
        path: &Path,
        what: &'static str,
        source: impl Into<std::io::Error>,
    ) -> Self {
        Self::Unusable { path: path.to_owned(), what, source: source.into() }
    }

    /// Something that is not ours lies where an output would: a mount, or anything else.
    pub(super) fn in_the_way(root: &super::root::Dir, name: &str) -> Self {
        let what = if root.is_mount(name) {
            "a mount of its own (subPath?); mount the folder that holds it instead"
        } else {
            "something that Rehup did not make; remove it or give the output another name"
        };
        Self::Foreign { path: root.path().join(name), what: what.to_owned() }
    }

    /// The answers of a root that is not writable at all; any other is `None`.
    pub(super) fn not_writable(root: &Path, error: Errno) -> Option<Self> {
        let what = match error {
            Errno::ROFS => "it is mounted read-only; mount it writable for Rehup",
            Errno::ACCESS | Errno::PERM => {
                "we may not write there; set fsGroup, or runAsUser to the owner"
            }
            _ => return None,
        };
        Some(Self::unusable(root, what, error))
    }

    /// Whether the system lacked something for a moment, so that nothing is known of the volume:
    /// descriptors, memory, an answer of the disk.
    pub fn is_passing(&self) -> bool {
        let (Self::Io { source, .. } | Self::Unusable { source, .. }) = self else { return false };
        let passing =
            [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::INTR, Errno::AGAIN, Errno::IO];
        Errno::from_io_error(source).is_some_and(|error| passing.contains(&error))
    }

    /// Whether the volume, or our share of it, is full.
    pub fn is_full(&self) -> bool {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        let kind = match self {
            Self::Io { source, .. } | Self::Unusable { source, .. } => source.kind(),
            _ => return false,
        };
        matches!(kind, StorageFull | QuotaExceeded)
    }
}
