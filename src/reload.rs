//! Reload: tells one target about the newest generation, until that is settled.
//!
//! Owns what is owed, the three ways to reload, verification and outcomes. Only this module
//! touches a target. Must not write the volume (the journal goes through [`Volume::record`]) and
//! must not decide a rollback (a [`Verdict`] goes to the pipeline).

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    config::shape, digest::Digest, generation::Visible, journal::Journal, publish::Volume,
    status::Board,
};

/// A generation that a target with `on_reject: rollback` rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The target.
    pub target: String,
    /// The generation's number.
    pub generation: u64,
    /// Its rendering digest.
    pub rendering: Digest,
}

/// Everything one target's task needs.
pub struct Reloader {
    /// The target's settings.
    pub target: shape::Target,
    /// The newest visible generation.
    pub generations: watch::Receiver<Option<Arc<Visible>>>,
    /// Where the journal is written.
    pub volume: Volume,
    /// The journal when this task was started.
    pub journal: Arc<Journal>,
    /// Where a rejection is told that asks for a rollback.
    pub verdicts: mpsc::Sender<Verdict>,
    /// An operator's wish to repeat a settled reload.
    pub repeat: watch::Receiver<u64>,
    /// Where outcomes are shown.
    pub board: Board,
    /// Where durations are counted.
    pub metrics: Arc<crate::metrics::Metrics>,
}

#[allow(clippy::unused_async, clippy::todo, unused_variables, reason = "being written")]
impl Reloader {
    /// Follows generations and settles what is owed, until `shutdown`; then starts no reload and
    /// returns within a second.
    pub async fn run(self, shutdown: CancellationToken) {
        todo!()
    }

    /// Whether the target could be told now, without telling it: `check --connect`. The answer is
    /// one sentence.
    pub async fn diagnose(target: &shape::Target) -> Result<String, String> {
        todo!()
    }
}
