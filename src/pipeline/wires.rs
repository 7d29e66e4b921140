//! What the pipeline is connected to: a plan in, wishes in, generations out.

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    bells::Bells,
    config::shape,
    digest::{Digest, DigestKey},
    flow::SourceRules,
    generation::Visible,
    inbox::Inbox,
    metrics::Metrics,
    pulse::Pulse,
    reload::Verdict,
    rollback::Rollback,
    status::Board,
    template::TemplateSet,
};

/// What one accepted configuration means for the pipeline.
pub struct Plan {
    /// The sources' rules.
    pub rules: BTreeMap<String, SourceRules>,
    /// When a loss is not believed.
    pub guard: shape::Guard,
    /// How long a burst is coalesced.
    pub settle: shape::Settle,
    /// What must say yes.
    pub checks: Arc<[shape::Check]>,
    /// The compiled templates.
    pub templates: TemplateSet,
    /// Who may ask for a rollback, and who is told of one.
    pub rollback: Rollback,
    /// Publish again what somebody else changed.
    pub self_heal: bool,
    /// The digest of configuration and templates.
    pub digest: Digest,
}

/// What an operator asks for.
#[derive(Debug)]
pub enum Command {
    /// Let the held snapshot of this source with this shown digest through.
    Accept {
        /// The source.
        source: String,
        /// The digest as `/status` shows it.
        digest: String,
        /// `false`: nothing of that digest is held.
        done: oneshot::Sender<bool>,
    },
    /// Let the quarantined rendering with this shown digest be published again.
    Unquarantine {
        /// The digest as `/status` shows it.
        digest: String,
        /// `false`: nothing of that digest is quarantined.
        done: oneshot::Sender<bool>,
    },
}

/// What the pipeline is connected to.
pub struct Connections<W> {
    /// The newest snapshots.
    pub inbox: Arc<Inbox>,
    /// Accepted configurations.
    pub plans: mpsc::Receiver<Plan>,
    /// An operator's wishes.
    pub commands: mpsc::Receiver<Command>,
    /// Rejections that ask for a rollback.
    pub verdicts: mpsc::Receiver<Verdict>,
    /// Where the newest generation is announced.
    pub generations: watch::Sender<Option<Arc<Visible>>>,
    /// How many times the newest view was found or made visible.
    pub rendered: watch::Sender<u64>,
    /// How sources are asked for a full read.
    pub resyncs: Bells,
    /// How sources are told that an operator accepted what was held.
    pub accepted: Bells,
    /// What is outside: the volume, checkers, the place for long work.
    pub world: W,
    /// The volume's key.
    pub key: DigestKey,
    /// Where all this is shown.
    pub board: Board,
    /// Where it is counted.
    pub metrics: Arc<Metrics>,
    /// How it says that it is alive.
    pub pulse: Arc<Pulse>,
}
