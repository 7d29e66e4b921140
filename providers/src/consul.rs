//! Consul KV: one recursive blocking query for each source, and proofs on a second connection.
//!
//! Owns what Consul's answers mean. Must not back off: an error is an item and the core decides
//! when the next request goes out.

mod answer;
mod body;
mod follow;
mod pace;
mod wire;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::stream;

use crate::{Provider, Snapshot, Updates, settings::ConsulSettings};
use follow::Following;

/// Keys below a prefix of Consul's KV store.
pub struct Consul {
    settings: ConsulSettings,
    timers: Timers,
    trusted: Trusted,
}

/// The last snapshot without doubts: what later ones lost is measured against it, also in the next
/// stream, because a full read says nothing about what the rights hide.
type Trusted = Arc<Mutex<Option<Snapshot>>>;

/// The protocol's own intervals.
#[derive(Clone, Copy, Debug)]
struct Timers {
    /// Between two proofs.
    proof: Duration,
    /// Between two reads while a snapshot has doubts: a running blocking query keeps the rights it
    /// started with, so waiting in one would hide their return.
    doubt: Duration,
    /// The deadline of a read that does not block.
    probe: Duration,
}

impl Consul {
    /// A provider for these settings; nothing is contacted or read before it is followed.
    pub fn new(settings: ConsulSettings) -> Self {
        let timers = Timers {
            proof: Duration::from_secs(30),
            doubt: Duration::from_secs(2),
            probe: Duration::from_secs(10),
        };
        Self { settings, timers, trusted: Trusted::default() }
    }

    /// For the behaviour suite: proofs this often instead of each 30 s.
    #[doc(hidden)]
    #[must_use]
    pub fn with_proof_every(mut self, every: Duration) -> Self {
        self.timers.proof = every;
        self
    }
}

impl Provider for Consul {
    fn follow(&self) -> Updates {
        let following =
            Following::new(self.settings.clone(), self.timers, Arc::clone(&self.trusted));
        Box::pin(stream::unfold(following, async |mut following| {
            let item = following.next().await;
            Some((item, following))
        }))
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
