//! Where the core meets what is outside of it: stores, the volume, checkers, targets.
//!
//! The tasks of an [`Engine`](crate::engine::Engine) reach the outside through a [`World`] and in
//! no other way, so that a simulated one can drive all of them, in its own time and with every fault.

use std::{collections::BTreeMap, collections::BTreeSet, future::Future, path::Path, sync::Arc};

use providers::{Provider, settings::NotBuilt};

use crate::{
    check::{self, CheckError, Skipped},
    config::{shape, source::Source},
    digest::Digest,
    generation::Generation,
    journal::{Entry, Journal},
    publish::{PublishError, Published, Staged, Volume},
    pulse::Pulse,
    reload::{Tell, Teller},
    rendering::Rendering,
};

/// Everything outside of the core; cheap to clone.
pub trait World: Clone + Send + Sync + 'static {
    /// Where generations are published.
    type Volume: Publisher;
    /// What tells a target.
    type Teller: Tell;

    /// The provider of a source, ready to be followed.
    fn provider(&self, source: &Source) -> Result<Box<dyn Provider>, NotBuilt>;

    /// The volume.
    fn volume(&self) -> &Self::Volume;

    /// The same world, for a task that waits for its volume: that is no silence of the task's own.
    #[must_use]
    fn asked_by(&self, pulse: Arc<Pulse>) -> Self;

    /// What tells this target; an error says what is wrong with its settings.
    fn teller(&self, target: &shape::Target) -> Result<Self::Teller, String>;

    /// Does long work where it holds up no other task.
    fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = T> + Send;

    /// Asks the checks about what is staged in `dir`; see [`check::run`]. May be dropped.
    fn check(
        &self,
        checks: &[shape::Check],
        dir: &Path,
        rendering: &Rendering,
    ) -> impl Future<Output = Result<Vec<Skipped>, CheckError>> + Send;
}

/// Where the journal is written.
pub trait Recorder: Send + Sync {
    /// Writes one change; returns when it is durable, with the new record.
    fn record(
        &self,
        entry: Entry,
    ) -> impl Future<Output = Result<Arc<Journal>, PublishError>> + Send;
}

/// Where generations are published: what the pipeline asks of a [`Volume`], whose methods of these
/// names say what is promised.
pub trait Publisher: Recorder + Clone + 'static {
    /// As [`Volume::stage`].
    fn stage(
        &self,
        rendering: Arc<Rendering>,
        sources: BTreeMap<String, u64>,
    ) -> impl Future<Output = Result<Staged, PublishError>> + Send;

    /// As [`Volume::restage`].
    fn restage(&self, number: u64) -> impl Future<Output = Result<Staged, PublishError>> + Send;

    /// As [`Volume::publish`].
    fn publish(
        &self,
        staged: Staged,
        rollback: bool,
    ) -> impl Future<Output = Result<Published, PublishError>> + Send;

    /// As [`Volume::discard`].
    fn discard(&self, staged: Staged) -> impl Future<Output = ()> + Send;

    /// As [`Volume::repair`].
    fn repair(&self) -> impl Future<Output = Result<Option<String>, PublishError>> + Send;

    /// As [`Volume::collect`].
    fn collect(
        &self,
        protect: BTreeSet<u64>,
    ) -> impl Future<Output = Result<Vec<Generation>, PublishError>> + Send;

    /// As [`Volume::journal`].
    fn journal(&self) -> impl Future<Output = Result<Arc<Journal>, PublishError>> + Send;

    /// As [`Volume::remember`].
    fn remember(&self, memory: Vec<u8>) -> impl Future<Output = Result<(), PublishError>> + Send;

    /// As [`Volume::mark_inputs`].
    fn mark_inputs(
        &self,
        inputs: Option<Digest>,
    ) -> impl Future<Output = Result<(), PublishError>> + Send;
}

/// Real stores, a real volume, real processes.
#[derive(Clone, Debug)]
pub struct RealWorld {
    volume: Volume,
}

impl RealWorld {
    /// The world around an open volume.
    pub fn new(volume: Volume) -> Self {
        Self { volume }
    }
}

impl World for RealWorld {
    type Volume = Volume;
    type Teller = Teller;

    fn provider(&self, source: &Source) -> Result<Box<dyn Provider>, NotBuilt> {
        source.provider.open()
    }

    fn volume(&self) -> &Volume {
        &self.volume
    }

    fn asked_by(&self, pulse: Arc<Pulse>) -> Self {
        Self { volume: self.volume.clone().asked_by(pulse) }
    }

    fn teller(&self, target: &shape::Target) -> Result<Teller, String> {
        Teller::new(target.clone())
    }

    async fn aside<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        tokio::task::spawn_blocking(work).await.expect("a panic ends the process")
    }

    async fn check(
        &self,
        checks: &[shape::Check],
        dir: &Path,
        rendering: &Rendering,
    ) -> Result<Vec<Skipped>, CheckError> {
        check::run(checks, dir, rendering).await
    }
}

impl Recorder for Volume {
    async fn record(&self, entry: Entry) -> Result<Arc<Journal>, PublishError> {
        Self::record(self, entry).await
    }
}

impl Publisher for Volume {
    async fn stage(
        &self,
        rendering: Arc<Rendering>,
        sources: BTreeMap<String, u64>,
    ) -> Result<Staged, PublishError> {
        Self::stage(self, rendering, sources).await
    }

    async fn restage(&self, number: u64) -> Result<Staged, PublishError> {
        Self::restage(self, number).await
    }

    async fn publish(&self, staged: Staged, rollback: bool) -> Result<Published, PublishError> {
        Self::publish(self, staged, rollback).await
    }

    async fn discard(&self, staged: Staged) {
        Self::discard(self, staged).await;
    }

    async fn repair(&self) -> Result<Option<String>, PublishError> {
        Self::repair(self).await
    }

    async fn collect(&self, protect: BTreeSet<u64>) -> Result<Vec<Generation>, PublishError> {
        Self::collect(self, protect).await
    }

    async fn journal(&self) -> Result<Arc<Journal>, PublishError> {
        Self::journal(self).await
    }

    async fn remember(&self, memory: Vec<u8>) -> Result<(), PublishError> {
        Self::remember(self, memory).await
    }

    async fn mark_inputs(&self, inputs: Option<Digest>) -> Result<(), PublishError> {
        Self::mark_inputs(self, inputs).await
    }
}
