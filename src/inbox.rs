//! From source tasks to the pipeline: the newest snapshot of each source, and nothing older.
//!
//! Level-triggered: whoever misses an arrival still finds its content. Must not judge or count.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use providers::Snapshot;
use tokio::{sync::Notify, time::Instant};

/// A snapshot as its source's task saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The whole content.
    pub snapshot: Snapshot,
    /// How many full reads of the store this task has made: a higher count is an independent read.
    pub reads: u64,
    /// When it arrived.
    pub at: Instant,
}

/// The newest snapshot of each source that the pipeline has not taken yet.
#[derive(Debug, Default)]
pub struct Inbox {
    newest: Mutex<BTreeMap<String, Seen>>,
    arrival: Notify,
}

impl Inbox {
    /// Leaves a snapshot; an untaken older one of the same source is dropped.
    pub fn put(&self, source: &str, seen: Seen) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        newest.insert(source.to_owned(), seen);
        drop(newest);
        self.arrival.notify_one();
    }

    /// Takes everything that is there.
    pub fn take(&self) -> BTreeMap<String, Seen> {
        std::mem::take(&mut *self.newest.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until something was left since the last wait.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when this is dropped: arrivals stay until they are taken.
    pub async fn arrival(&self) {
        self.arrival.notified().await;
    }
}
