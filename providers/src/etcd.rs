//! Keys below a prefix of etcd: a paged list at one revision, then a watch from that revision.
//!
//! Owns everything that knows etcd's protocol. Each failure is an item and leads to one of a few
//! recoveries; the core decides when the next poll tries it. Must not be trusted on the watch
//! alone: a counted key more or less than we hold is told as lost history.

mod content;
mod failure;
mod follow;
mod lessons;
mod list;
mod proof;
mod range;
mod session;
mod watch;

use std::time::Duration;

use futures_util::stream;

use crate::{Provider, Updates, settings::EtcdSettings};
use follow::Follow;
use lessons::Lessons;

/// How far apart two proofs are.
const PROOF_EVERY: Duration = Duration::from_secs(30);

/// Follows the keys below a prefix of etcd; versions from 3.4 on.
pub struct Etcd {
    settings: EtcdSettings,
    proof_every: Duration,
    lessons: Lessons,
}

impl Etcd {
    /// A provider with these settings; nothing is contacted yet.
    pub fn new(settings: EtcdSettings) -> Self {
        Self { settings, proof_every: PROOF_EVERY, lessons: Lessons::default() }
    }

    /// Another interval of proofs, for tests that do not want to wait for one.
    #[doc(hidden)]
    #[must_use]
    pub fn with_proof_every(mut self, every: Duration) -> Self {
        self.proof_every = every;
        self
    }
}

impl Provider for Etcd {
    fn follow(&self) -> Updates {
        let lessons = self.lessons.clone();
        let follow = Follow::new(self.settings.clone(), self.proof_every, lessons);
        Box::pin(stream::unfold(follow, async |mut follow| {
            let item = follow.next().await;
            Some((item, follow))
        }))
    }
}
