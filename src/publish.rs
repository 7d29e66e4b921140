//! The volume: stages, flips, repairs and collects generations. Nothing else writes it.
//!
//! [`Volume`] is a handle; one dedicated thread does the work, in the order it was asked.
//! Must not know templates, sources or targets.

use std::{path::PathBuf, sync::Arc, time::Duration};

use crate::{
    config::shape::Layout,
    digest::{Digest, DigestKey},
    generation::{Generation, Visible},
    journal::{Entry, Journal},
    rendering::{OutputPath, Rendering},
};

/// How a volume is to be opened and kept.
#[derive(Clone, Debug, PartialEq)]
pub struct VolumeOptions {
    /// The output root.
    pub path: PathBuf,
    /// How files become visible.
    pub layout: Layout,
    /// Previous generations to keep.
    pub keep: usize,
    /// How long each is kept at least.
    pub grace: Duration,
}

/// What the volume held when it was opened, after repair and sweeping.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The good generation that readers see, if there is one.
    pub visible: Option<Visible>,
    /// Earlier good generations, oldest first: what a rollback may publish again.
    pub kept: Vec<Generation>,
    /// The journal.
    pub journal: Journal,
    /// What `..rehup/sources` remembers (the guard's own format), if anything.
    pub memory: Option<Vec<u8>>,
    /// This volume's key.
    pub key: DigestKey,
    /// What is not as the manifest says, in one sentence.
    pub drift: Option<String>,
}

/// A generation that is written and synced but not visible.
#[derive(Debug)]
pub struct Staged {
    /// Its folder, for checks.
    pub dir: PathBuf,
    /// What it is.
    pub generation: Generation,
}

/// A generation that became visible.
#[derive(Clone, Debug)]
pub struct Published {
    /// The generation and the moment of its flip.
    pub visible: Visible,
    /// New, changed and gone paths.
    pub changed: Vec<OutputPath>,
    /// The root could not be synced after the flip: a power cut may undo it.
    pub not_durable: bool,
}

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

/// A handle to the volume's thread; cheap to clone.
#[derive(Clone, Debug)]
pub struct Volume {}

#[allow(clippy::unused_async, clippy::todo, unused_variables, missing_docs, reason = "being written")]
impl Volume {
    /// A good generation on the volume, without the lock and without changing anything: for
    /// probes while a configuration is refused or another Rehup holds the lock, and for exit codes.
    pub fn glance(options: &VolumeOptions) -> Option<Generation> {
        todo!()
    }

    /// Opens the root, takes the lock, adopts what is good, repairs links and sweeps the rest.
    /// Fails at once with [`PublishError::Locked`] when somebody else has the lock: the caller
    /// decides how long to wait.
    pub async fn open(options: VolumeOptions) -> Result<(Self, Opened), PublishError> {
        todo!()
    }

    /// Writes and syncs a rendering under a random name (in the `files` layout: one staging folder).
    pub async fn stage(
        &self,
        rendering: Arc<Rendering>,
        sources: std::collections::BTreeMap<String, u64>,
    ) -> Result<Staged, PublishError> {
        todo!()
    }

    /// Stages a kept generation again, under a new number: a rollback's first half.
    pub async fn restage(&self, number: u64) -> Result<Staged, PublishError> {
        todo!()
    }

    /// Flips to what was staged; returns when readers see it and the journal has it.
    pub async fn publish(&self, staged: Staged, rollback: bool) -> Result<Published, PublishError> {
        todo!()
    }

    /// Throws away what was staged.
    pub async fn discard(&self, staged: Staged) {
        todo!()
    }

    /// Repairs links, also when nothing changed, and says what is not as the manifest says.
    pub async fn repair(&self) -> Result<Option<String>, PublishError> {
        todo!()
    }

    /// Removes generations that are neither visible, nor kept, nor in grace.
    pub async fn collect(&self) -> Result<(), PublishError> {
        todo!()
    }

    /// Writes one change of the journal; returns when it is on the volume, with the new record.
    pub async fn record(&self, entry: Entry) -> Result<Arc<Journal>, PublishError> {
        todo!()
    }

    /// Writes what the guard remembers to `..rehup/sources`.
    pub async fn remember(&self, memory: Vec<u8>) -> Result<(), PublishError> {
        todo!()
    }

    /// Writes (`Some`) or removes (`None`) the marker of inputs that are being rendered, with how
    /// often they ended the process; see design of poisonous inputs.
    pub async fn mark_inputs(&self, inputs: Option<Digest>) -> Result<(), PublishError> {
        todo!()
    }
}
