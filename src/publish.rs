//! The volume: stages, flips, repairs and collects generations. Nothing else writes it.
//!
//! [`Volume`] is a handle; one dedicated thread does the work, in the order it was asked.
//! Must not know templates, sources or targets.
//!
//! What is ours on the volume, by name and by owner; nothing else is touched:
//!
//! | name | |
//! |---|---|
//! | `..data` | a link to the visible generation's folder: renaming it is the flip |
//! | `..gen-42-k3v9` | a generation: its files, and `..manifest` (0600) |
//! | `..tmp-…` | a link on its way to `..data` |
//! | `NAME` | a link to `..data/NAME` (`files` layout: a plain file or a folder) |
//! | `..rehup/` | 0700: `lock`, `key`, `journal`, `sources`, `inputs`; `manifest` in the `files` layout |
//!
//! Order of a publication, each step synced before the next: files, manifest, folders, links for
//! new names, flip, root, journal. A crash between any two leaves the old or the new generation
//! whole, and leftovers that the next start sweeps.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, mpsc},
    time::Duration,
};

use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::{
    config::shape::Layout,
    digest::{Digest, DigestKey},
    generation::{Generation, Visible},
    journal::{Entry, Journal},
    pulse::{Pulse, Pulses},
    rendering::{OutputPath, Rendering},
};

mod error;
mod root;
mod manifest;
mod lock;
mod state;
mod stage;
mod truth;
mod adopt;
mod set;
mod files;
mod collect;
mod thread;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

pub use error::PublishError;
use thread::{Keeper, Work};

/// How a volume is to be opened and kept.
#[derive(Clone, Debug, PartialEq)]
pub struct VolumeOptions {
    /// The output root.
    pub path: PathBuf,
    /// How files become visible.
    pub layout: Layout,
    /// Previous generations to keep; more than 10 counts as 10.
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
    /// What is not as the manifest says, in one sentence. While there is any, the visible
    /// generation is good for readers but does not count as already rendered.
    pub drift: Option<String>,
    /// Inputs whose render ended a process, if the last one was not cleared.
    pub inputs: Option<Inputs>,
}

/// Inputs that were being rendered when a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inputs {
    /// Their digest, as given to [`Volume::mark_inputs`].
    pub digest: Digest,
    /// How many processes in a row ended while they were being rendered.
    pub ended: u32,
}

/// A generation that is written and synced but not visible. One at a time: staging again throws
/// the one before away, so an aborted run leaves nothing.
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
    /// The root or the journal could not be synced after the flip: a power cut may undo it.
    pub not_durable: bool,
}

/// A handle to the volume's thread; cheap to clone. The thread ends, and the lock is free, when the
/// last one is dropped.
///
/// Every method may be dropped while it waits: the work is done all the same, in the order asked.
#[derive(Clone, Debug)]
pub struct Volume {
    requests: mpsc::Sender<Work>,
    ended: CancellationToken,
    asked_by: Option<Arc<Pulse>>,
}

impl Volume {
    /// A good generation on the volume, without the lock and without changing anything: for
    /// probes while a configuration is refused or another Rehup holds the lock, and for exit codes.
    /// Names and sizes are looked at, contents are not.
    pub fn glance(options: &VolumeOptions) -> Option<Generation> {
        adopt::glance(options)
    }

    /// Opens the root, takes the lock, adopts what is good, repairs links and sweeps the rest.
    /// Fails at once with [`PublishError::Locked`] when somebody else has the lock: the caller
    /// decides how long to wait.
    pub async fn open(options: VolumeOptions) -> Result<(Self, Opened), PublishError> {
        Self::open_watched(options, Pulses::default().task("volume")).await
    }

    /// The same; `pulse` is the heartbeat of the volume's thread.
    pub async fn open_watched(
        options: VolumeOptions,
        pulse: Pulse,
    ) -> Result<(Self, Opened), PublishError> {
        let (reply, answer) = oneshot::channel();
        let (path, ended) = (options.path.clone(), CancellationToken::new());
        let started = thread::start(options, pulse, reply, ended.clone());
        let requests = started.map_err(|source| PublishError::Io {
            action: "cannot start the thread for",
            path,
            source,
        })?;
        let opened = answer.await.map_err(|_| PublishError::Gone)??;
        Ok((Self { requests, ended, asked_by: None }, opened))
    }

    /// Completes when the volume's thread has ended, which it does by itself only in a panic: then
    /// nobody may learn of it who asks for nothing.
    pub fn ended(&self) -> WaitForCancellationFutureOwned {
        self.ended.clone().cancelled_owned()
    }

    /// A handle for the task with this heartbeat: while it waits here, it is the volume's thread
    /// that has to be heard of.
    #[must_use]
    pub fn asked_by(mut self, pulse: Arc<Pulse>) -> Self {
        self.asked_by = Some(pulse);
        self
    }

    /// Writes and syncs a rendering under a random name (in the `files` layout: one staging
    /// folder). A full volume is answered by collecting what only `grace` or `keep` holds, and
    /// trying again.
    pub async fn stage(
        &self,
        rendering: Arc<Rendering>,
        sources: BTreeMap<String, u64>,
    ) -> Result<Staged, PublishError> {
        self.ask(move |keeper| keeper.stage(&rendering, sources)).await?
    }

    /// Stages a kept generation again, under a new number: a rollback's first half. The `files`
    /// layout keeps none.
    pub async fn restage(&self, number: u64) -> Result<Staged, PublishError> {
        self.ask(move |keeper| keeper.restage(number)).await?
    }

    /// Flips to what was staged; returns when readers see it and the journal has it. After an error
    /// the staged folder is gone and the last good generation is untouched (`files` layout: a
    /// failure between two renames leaves old and new mixed; the next publication finishes it).
    pub async fn publish(&self, staged: Staged, rollback: bool) -> Result<Published, PublishError> {
        self.ask(move |keeper| keeper.publish(staged, rollback)).await?
    }

    /// Throws away what was staged.
    pub async fn discard(&self, staged: Staged) {
        // Without its thread there is nothing to tidy: the next start sweeps.
        drop(self.ask(move |keeper| keeper.discard(&staged)).await);
    }

    /// Repairs links, also when nothing changed, and says what is not as the manifest says.
    pub async fn repair(&self) -> Result<Option<String>, PublishError> {
        self.ask(Keeper::repair).await?
    }

    /// Removes generations that are not visible, not among the last `keep`, not in `protect` (the
    /// caller's rollback candidates) and past `grace`; more than 10 are never kept beside those in
    /// `protect`. Gives what is still kept, oldest first. `protect` also holds when a full volume
    /// makes [`Self::stage`] collect.
    pub async fn collect(&self, protect: BTreeSet<u64>) -> Result<Vec<Generation>, PublishError> {
        self.ask(move |keeper| keeper.collect(protect)).await
    }

    /// Writes one change of the journal; returns when it is on the volume, with the new record.
    /// After an error the change holds in memory, and the next write carries it.
    pub async fn record(&self, entry: Entry) -> Result<Arc<Journal>, PublishError> {
        self.ask(move |keeper| keeper.record(entry)).await?
    }

    /// The journal as it is now, also with changes that could not be written yet.
    pub async fn journal(&self) -> Result<Arc<Journal>, PublishError> {
        self.ask(|keeper| Arc::clone(&keeper.journal)).await
    }

    /// Writes what the guard remembers to `..rehup/sources`.
    pub async fn remember(&self, memory: Vec<u8>) -> Result<(), PublishError> {
        self.ask(move |keeper| keeper.remember(&memory)).await?
    }

    /// Writes (`Some`, before a render) or removes (`None`, after it) the marker of inputs that are
    /// being rendered. A process that ends in between leaves it, and the next [`Opened::inputs`]
    /// counts that. It survives a process, not a power cut.
    pub async fn mark_inputs(&self, inputs: Option<Digest>) -> Result<(), PublishError> {
        self.ask(move |keeper| keeper.mark_inputs(inputs)).await?
    }

    async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Keeper) -> T + Send + 'static,
    ) -> Result<T, PublishError> {
        let (reply, answer) = oneshot::channel();
        let work: Work = Box::new(move |keeper| {
            // Nobody waits any more: the work is done all the same.
            drop(reply.send(work(keeper)));
        });
        self.requests.send(work).map_err(|_| PublishError::Gone)?;
        let answer = match &self.asked_by {
            Some(pulse) => pulse.wait(answer).await,
            None => answer.await,
        };
        answer.map_err(|_| PublishError::Gone)
    }
}
