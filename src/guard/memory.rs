//! What the guard remembers of a source across restarts: never a name, only keyed hashes.

use std::collections::{BTreeMap, BTreeSet};

use providers::{Entries, Key, Snapshot};
use serde::{Deserialize, Serialize};

use crate::digest::{Digest, DigestKey};

/// What is remembered of the last snapshot that passed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Remembered {
    /// The digest of the source's settings: what these keys belong to.
    pub(super) origin: Digest,
    /// Its revision.
    pub(super) revision: u64,
    /// The keyed hashes of its key names; none before a first snapshot passed.
    pub(super) names: Option<BTreeSet<u64>>,
    /// The digest of the snapshot that an operator accepted.
    pub(super) accepted: Option<Digest>,
    /// The entries behind `names`, to see cheaply that nothing must be written.
    #[serde(skip)]
    entries: Entries,
}

impl Remembered {
    /// Nothing is known of a source with these settings.
    pub(super) fn of(origin: Digest) -> Self {
        Self { origin, ..Self::default() }
    }

    /// How many keys are remembered; none before a first snapshot passed.
    pub(super) fn count(&self) -> Option<usize> {
        self.names.as_ref().map(BTreeSet::len)
    }

    /// Whether a key was there.
    pub(super) fn knows(&self, key: &DigestKey, name: &Key) -> bool {
        self.names.as_ref().is_some_and(|names| names.contains(&key.name(name.as_str())))
    }

    /// How many remembered keys a snapshot does not have.
    pub(super) fn lost(&self, key: &DigestKey, snapshot: &Snapshot) -> usize {
        let Some(names) = &self.names else { return 0 };
        let present: BTreeSet<u64> = hashes(key, &snapshot.entries);
        names.difference(&present).count()
    }

    /// An acceptance holds for one content alone; `true` if it ended here.
    pub(super) fn end_acceptance(&mut self, passed: &Snapshot) -> bool {
        let other = |accepted: &mut Digest| *accepted != Digest::from(passed.digest().0);
        self.accepted.take_if(other).is_some()
    }

    /// Takes over what passed; `true` if the names changed, so that it must be written. A revision
    /// alone is in the manifest already.
    pub(super) fn refresh(&mut self, key: &DigestKey, passed: &Snapshot) -> bool {
        self.revision = passed.revision.0;
        if self.names.is_some() && same_keys(&self.entries, &passed.entries) {
            self.entries = passed.entries.clone();
            return false;
        }
        self.entries = passed.entries.clone();
        let names = Some(hashes(key, &passed.entries));
        let changed = names != self.names;
        self.names = names;
        changed
    }
}

fn same_keys(old: &Entries, new: &Entries) -> bool {
    old.ptr_eq(new)
        || old.diff(new).all(|item| matches!(item, imbl::ordmap::DiffItem::Update { .. }))
}

fn hashes(key: &DigestKey, entries: &Entries) -> BTreeSet<u64> {
    entries.keys().map(|name| key.name(name.as_str())).collect()
}

/// Reads the memory; what is not readable is forgotten.
pub(super) fn read(bytes: &[u8]) -> BTreeMap<String, Remembered> {
    serde_json::from_slice(bytes).unwrap_or_default()
}

/// Writes the memory.
pub(super) fn write<'a>(sources: impl Iterator<Item = (&'a str, &'a Remembered)>) -> Vec<u8> {
    let sources: BTreeMap<_, _> = sources.collect();
    serde_json::to_vec(&sources).expect("maps with text keys are JSON")
}

#[cfg(test)]
mod properties;
