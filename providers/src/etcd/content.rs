//! What we hold: every key and value at the applied revision.
//!
//! Owns the size bound and the rule that a revision is applied once. Must not do I/O.

use etcd_client::proto::{PbEvent, PbKeyValue};
use tokio::time::Instant;

use super::{failure::Failure, range::Range};
use crate::{Entries, ErrorKind, Key, ProviderError, Revision, Snapshot, Value};

/// etcd's number for a deletion among its event types.
const DELETE: i32 = 1;

/// Entries, their size and the revision that they are from.
pub(super) struct Content {
    entries: Entries,
    bytes: u64,
    max_bytes: u64,
    applied: i64,
    /// How many keys were held after each revision since the mark, while there is one.
    tally: Option<Vec<(i64, usize)>>,
}

impl Content {
    /// Nothing yet, to be filled at `revision`.
    pub(super) fn at(revision: i64, max_bytes: u64) -> Self {
        Self { entries: Entries::new(), bytes: 0, max_bytes, applied: revision, tally: None }
    }

    /// The revision that was applied last.
    pub(super) fn applied(&self) -> i64 {
        self.applied
    }

    /// The same as the contract's type. etcd's revisions are positive.
    pub(super) fn revision(&self) -> Revision {
        Revision(self.applied.unsigned_abs())
    }

    /// What is held, as a snapshot.
    pub(super) fn snapshot(&self, as_of: Instant) -> Snapshot {
        let entries = self.entries.clone();
        Snapshot { revision: self.revision(), entries, doubts: Vec::new(), as_of }
    }

    /// Adds or replaces one key.
    pub(super) fn put(&mut self, range: &Range, pair: PbKeyValue) -> Result<(), Failure> {
        let key = range.key(&pair.key).map_err(Failure::relist)?;
        self.bytes += size(key.as_str(), pair.value.len());
        if let Some(old) = self.entries.insert(key.clone(), Value::new(pair.value)) {
            self.bytes -= size(key.as_str(), old.bytes().len());
        }
        if self.bytes > self.max_bytes { Err(self.too_large()) } else { Ok(()) }
    }

    /// Applies the events of whole revisions and says whether anything was new. After an error the
    /// content is of no revision and must be read anew.
    pub(super) fn apply(&mut self, range: &Range, events: Vec<PbEvent>) -> Result<bool, Failure> {
        let before = self.applied;
        for event in events {
            let Some(pair) = event.kv else { continue };
            // What the list or an earlier message held already comes again.
            if pair.mod_revision <= before || pair.mod_revision < self.applied {
                continue;
            }
            if pair.mod_revision != self.applied {
                if let Some(tally) = &mut self.tally {
                    tally.push((self.applied, self.entries.len()));
                }
                self.applied = pair.mod_revision;
            }
            if event.r#type == DELETE {
                self.delete(&range.key(&pair.key).map_err(Failure::relist)?);
            } else {
                self.put(range, pair)?;
            }
        }
        Ok(self.applied != before)
    }

    fn delete(&mut self, key: &Key) {
        if let Some(old) = self.entries.remove(key) {
            self.bytes -= size(key.as_str(), old.bytes().len());
        }
    }

    /// Remembers from now on how many keys were held at each revision.
    pub(super) fn mark(&mut self) {
        self.tally = Some(Vec::new());
    }

    /// Ends the remembering.
    pub(super) fn unmark(&mut self) {
        self.tally = None;
    }

    /// How many keys were held at a revision that is not before the mark.
    pub(super) fn held_at(&self, revision: i64) -> usize {
        let mut tally = self.tally.iter().flatten().rev();
        let known = tally.find(|(applied, _)| *applied <= revision);
        match known {
            Some((_, held)) if self.applied > revision => *held,
            _ => self.entries.len(),
        }
    }

    fn too_large(&self) -> Failure {
        let message = format!(
            "the keys and values below the prefix are more than {} bytes; raise max_bytes",
            self.max_bytes
        );
        Failure::relist(ProviderError::new(ErrorKind::TooLarge, message))
    }
}

fn size(key: &str, value: usize) -> u64 {
    (key.len() + value) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(key: &str, value: &str, mod_revision: i64) -> PbKeyValue {
        PbKeyValue { key: key.into(), value: value.into(), mod_revision, ..PbKeyValue::default() }
    }

    fn put(key: &str, value: &str, revision: i64) -> PbEvent {
        PbEvent { r#type: 0, kv: Some(pair(key, value, revision)), prev_kv: None }
    }

    fn delete(key: &str, revision: i64) -> PbEvent {
        PbEvent { r#type: DELETE, kv: Some(pair(key, "", revision)), prev_kv: None }
    }

    fn names(content: &Content) -> Vec<&str> {
        content.entries.keys().map(Key::as_str).collect()
    }

    #[test]
    fn events_at_or_below_the_applied_revision_are_dropped() {
        let range = Range::below("p/");
        let mut content = Content::at(5, 100);
        let news = content.apply(&range, vec![put("p/a", "1", 5), put("p/b", "1", 4)]);
        assert!(!news.is_ok_and(|news| news));
        assert!(names(&content).is_empty());
    }

    #[test]
    fn all_events_of_one_revision_are_applied() {
        let range = Range::below("p/");
        let mut content = Content::at(5, 100);
        let events = vec![put("p/a", "1", 6), put("p/b", "1", 6), delete("p/a", 7)];
        assert!(content.apply(&range, events).is_ok_and(|news| news));
        assert_eq!((names(&content), content.applied()), (vec!["b"], 7));
    }

    #[test]
    fn the_count_is_known_for_each_revision_since_the_mark() {
        let range = Range::below("p/");
        let mut content = Content::at(5, 100);
        content.mark();
        let events = vec![put("p/a", "1", 6), put("p/b", "1", 6), put("p/c", "1", 9)];
        assert!(content.apply(&range, events).is_ok());
        let held: Vec<_> = [5, 6, 8, 9, 10].map(|revision| content.held_at(revision)).into();
        assert_eq!(held, [0, 2, 2, 3, 3]);
    }

    #[test]
    fn the_size_follows_replaced_and_deleted_values() {
        let range = Range::below("p/");
        let mut content = Content::at(1, 10);
        for revision in 2..50 {
            let events = vec![put("p/a", "123456789", revision)];
            assert!(content.apply(&range, events).is_ok());
        }
        assert!(content.apply(&range, vec![delete("p/a", 50)]).is_ok());
        assert_eq!(content.bytes, 0);
    }

    #[test]
    fn more_than_the_bound_is_too_large() {
        let range = Range::below("p/");
        let failure = Content::at(1, 10).apply(&range, vec![put("p/a", "1234567890", 2)]);
        assert!(failure.is_err_and(|failure| failure.error.kind == ErrorKind::TooLarge));
    }
}
