//! The newest snapshot of every source; complete only once each has one.
//!
//! Must not judge a snapshot: that is the guard's. No I/O, no clock.

use std::collections::{BTreeMap, BTreeSet};

use imbl::ordmap::DiffItem;
use providers::{Entries, Key, Snapshot, Value};

use crate::digest::{Digest, DigestBuilder};

/// The newest accepted snapshot of each configured source.
#[derive(Clone, Debug, Default)]
pub struct View {
    sources: BTreeMap<String, Option<(Snapshot, ContentSum)>>,
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
        let (before, sum) = match slot.take() {
            Some((old, sum)) => (Some(old.entries), sum),
            None => (None, ContentSum::default()),
        };
        let (new, sum) =
            (before.is_none(), sum.moved(&before.unwrap_or_default(), &snapshot.entries));
        let differs = new || sum.changed;
        *slot = Some((snapshot, sum.sum));
        differs
    }

    /// The newest accepted snapshot of a source.
    pub fn snapshot(&self, source: &str) -> Option<&Snapshot> {
        self.sources.get(source)?.as_ref().map(|(snapshot, _)| snapshot)
    }

    /// Sources that have not answered yet.
    pub fn missing(&self) -> impl Iterator<Item = &str> {
        self.sources.iter().filter(|(_, slot)| slot.is_none()).map(|(name, _)| name.as_str())
    }

    /// The whole view, once every source has answered.
    pub fn complete(&self) -> Option<Complete> {
        let mut identity = DigestBuilder::default();
        let mut snapshots = BTreeMap::new();
        for (name, slot) in &self.sources {
            let (snapshot, sum) = slot.as_ref()?;
            identity.part(name.as_bytes()).part(&sum.bytes());
            snapshots.insert(name.clone(), snapshot.clone());
        }
        Some(Complete { snapshots, identity: identity.finish() })
    }

    /// Whether every source has answered.
    pub fn is_complete(&self) -> bool {
        self.sources.values().all(Option::is_some)
    }
}

/// A sum over the digests of all entries: a change of one of ten thousand keys costs one addition
/// and one subtraction. It tells contents apart; it is no proof against an attacker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct ContentSum([u64; 4]);

/// A sum after a change of content.
struct Moved {
    sum: ContentSum,
    changed: bool,
}

impl ContentSum {
    fn moved(mut self, old: &Entries, new: &Entries) -> Moved {
        if old.ptr_eq(new) {
            return Moved { sum: self, changed: false };
        }
        let mut changed = false;
        for item in old.diff(new) {
            changed = true;
            match item {
                DiffItem::Add(key, value) => self.add(key, value),
                DiffItem::Remove(key, value) => self.subtract(key, value),
                DiffItem::Update { old: (key, before), new: (_, after) } => {
                    self.subtract(key, before);
                    self.add(key, after);
                }
            }
        }
        Moved { sum: self, changed }
    }

    fn add(&mut self, key: &Key, value: &Value) {
        for (lane, word) in self.0.iter_mut().zip(words(key, value)) {
            *lane = lane.wrapping_add(word);
        }
    }

    fn subtract(&mut self, key: &Key, value: &Value) {
        for (lane, word) in self.0.iter_mut().zip(words(key, value)) {
            *lane = lane.wrapping_sub(word);
        }
    }

    fn bytes(self) -> Vec<u8> {
        self.0.iter().flat_map(|lane| lane.to_le_bytes()).collect()
    }
}

/// The digest of one entry, as numbers.
fn words(key: &Key, value: &Value) -> impl Iterator<Item = u64> {
    let mut builder = DigestBuilder::default();
    let digest = *builder.part(key.as_str().as_bytes()).part(value.bytes()).finish().as_bytes();
    (0..4).map(move |lane| {
        let word = digest[lane * 8..lane * 8 + 8].try_into().expect("eight bytes");
        u64::from_le_bytes(word)
    })
}

/// A view in which every source has answered: the only thing a template can see.
#[derive(Clone, Debug)]
pub struct Complete {
    snapshots: BTreeMap<String, Snapshot>,
    identity: Digest,
}

impl Complete {
    /// A view made of fixtures instead of stores: for `render --data` and tests.
    pub fn from_snapshots(snapshots: BTreeMap<String, Snapshot>) -> Self {
        let mut view = View::default();
        view.configure(&snapshots.keys().cloned().collect());
        for (name, snapshot) in snapshots {
            view.accept(&name, snapshot);
        }
        view.complete().expect("every source has a snapshot")
    }

    /// What tells this content from another, whatever the revisions.
    pub fn identity(&self) -> &Digest {
        &self.identity
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

#[cfg(test)]
mod tests {
    use providers::Revision;
    use tokio::time::Instant;

    use super::*;

    fn snapshot(entries: &[(&str, &str)]) -> Snapshot {
        let entry =
            |(key, value): &(&str, &str)| (Key::from(*key), Value::new((*value).to_owned()));
        Snapshot {
            revision: Revision(1),
            entries: entries.iter().map(entry).collect(),
            doubts: Vec::new(),
            as_of: Instant::now(),
        }
    }

    fn view(names: &[&str]) -> View {
        let mut view = View::default();
        view.configure(&names.iter().map(|name| (*name).to_owned()).collect());
        view
    }

    #[test]
    fn a_view_is_complete_once_every_source_has_answered() {
        let mut view = view(&["a", "b"]);
        assert!(view.accept("a", snapshot(&[])), "an empty first answer is news");
        assert!(view.complete().is_none());
        assert_eq!(view.missing().collect::<Vec<_>>(), ["b"]);
        view.accept("b", snapshot(&[("k", "v")]));
        assert!(view.complete().is_some());
    }

    #[test]
    fn equal_content_is_no_news_whatever_the_revision() {
        let mut view = view(&["a"]);
        assert!(view.accept("a", snapshot(&[("k", "v")])));
        assert!(!view.accept("a", Snapshot { revision: Revision(2), ..snapshot(&[("k", "v")]) }));
        assert!(view.accept("a", snapshot(&[("k", "w")])));
    }

    #[test]
    fn the_same_content_has_the_same_identity_however_it_came_to_be() {
        let mut wandering = view(&["a"]);
        wandering.accept("a", snapshot(&[("k", "v"), ("gone", "x")]));
        wandering.accept("a", snapshot(&[("k", "w"), ("l", "y")]));
        let direct = Complete::from_snapshots(
            [("a".to_owned(), snapshot(&[("k", "w"), ("l", "y")]))].into(),
        );
        assert_eq!(wandering.complete().expect("whole").identity(), direct.identity());
    }

    #[test]
    fn a_source_with_other_settings_must_answer_again() {
        let mut view = view(&["a"]);
        view.accept("a", snapshot(&[("k", "v")]));
        view.forget("a");
        assert!(view.complete().is_none());
    }
}
