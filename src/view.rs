//! The newest snapshot of every source; complete only once each has one.
//!
//! Must not judge a snapshot: that is the guard's. No I/O, no clock.

use std::collections::{BTreeMap, BTreeSet};

use providers::Snapshot;

/// The newest accepted snapshot of each configured source.
#[derive(Clone, Debug, Default)]
pub struct View {
    sources: BTreeMap<String, Option<Snapshot>>,
}

impl View {
    /// Follows these sources: new ones have no snapshot yet, gone ones are forgotten.
    pub fn configure(&mut self, names: &BTreeSet<String>) {
        self.sources.retain(|name, _| names.contains(name));
        for name in names {
            self.sources.entry(name.clone()).or_default();
        }
    }

    /// Forgets a source's snapshot: its settings changed, so it must answer again.
    pub fn forget(&mut self, source: &str) {
        if let Some(slot) = self.sources.get_mut(source) {
            *slot = None;
        }
    }

    /// Takes a snapshot; `true` if keys or values differ from the one before.
    pub fn accept(&mut self, source: &str, snapshot: Snapshot) -> bool {
        let Some(slot) = self.sources.get_mut(source) else { return false };
        let differs = slot.as_ref().is_none_or(|old| old.entries != snapshot.entries);
        *slot = Some(snapshot);
        differs
    }

    /// The newest accepted snapshot of a source.
    pub fn snapshot(&self, source: &str) -> Option<&Snapshot> {
        self.sources.get(source)?.as_ref()
    }

    /// Sources that have not answered yet.
    pub fn missing(&self) -> impl Iterator<Item = &str> {
        self.sources.iter().filter(|(_, slot)| slot.is_none()).map(|(name, _)| name.as_str())
    }

    /// The whole view, once every source has answered.
    pub fn complete(&self) -> Option<Complete> {
        let snapshots = self
            .sources
            .iter()
            .map(|(name, slot)| slot.clone().map(|snapshot| (name.clone(), snapshot)))
            .collect::<Option<_>>()?;
        Some(Complete { snapshots })
    }
}

/// A view in which every source has answered: the only thing a template can see.
#[derive(Clone, Debug)]
pub struct Complete {
    snapshots: BTreeMap<String, Snapshot>,
}

impl Complete {
    /// A view made of fixtures instead of stores: for `render --data` and tests.
    pub fn from_snapshots(snapshots: BTreeMap<String, Snapshot>) -> Self {
        Self { snapshots }
    }

    /// Each source's snapshot, by name.
    pub fn snapshots(&self) -> &BTreeMap<String, Snapshot> {
        &self.snapshots
    }

    /// The revision of each source's snapshot.
    pub fn revisions(&self) -> BTreeMap<String, u64> {
        self.snapshots.iter().map(|(name, snapshot)| (name.clone(), snapshot.revision.0)).collect()
    }
}
