//! Does not believe a great loss of keys at once: a store that lost its rights, its content or its
//! mind looks just like one that was emptied.
//!
//! Owns what passed last, also across restarts. Pure: no I/O, and the caller brings the time.

use std::{collections::BTreeMap, time::Duration};

use providers::Snapshot;
use tokio::time::Instant;

use crate::{
    config::shape,
    digest::{Digest, DigestKey},
};

mod memory;

use memory::Remembered;

/// The least time between the read that was held and the one that confirms it.
pub const SECOND_READ: Duration = Duration::from_secs(5);

/// From how many keys on a share of them means something.
const COUNTS_FROM: usize = 10;

/// What may be done with a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It is the truth.
    Pass,
    /// It stays outside the view.
    Hold(Hold),
}

/// A snapshot that is not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The snapshot digest; shown through the volume's key.
    pub digest: Digest,
    /// How many keys it has.
    pub keys: usize,
    /// How many of the known keys are gone.
    pub removed: usize,
    /// Why, in one sentence.
    pub reason: String,
    /// Since when this loss is seen.
    pub since: Instant,
    /// When a second read can confirm it; none if only an operator can.
    pub recheck: Option<Instant>,
}

/// What each source's last passed snapshot was, and what is held.
pub struct Guard {
    key: DigestKey,
    settings: shape::Guard,
    sources: BTreeMap<String, Watched>,
}

#[derive(Default)]
struct Watched {
    passed: Option<Snapshot>,
    remembered: Option<Remembered>,
    held: Option<Held>,
    /// The memory differs from what was given out last.
    unwritten: bool,
}

/// A held snapshot and the first one that showed its loss.
struct Held {
    first: Snapshot,
    first_read: u64,
    newest: Snapshot,
    reads: u64,
    hold: Hold,
}

impl Held {
    /// Whether a read that shows the same loss is late and independent enough to be believed.
    fn is_confirmed_by(&self, reads: u64, now: Instant) -> bool {
        reads > self.first_read && self.hold.recheck.is_some_and(|at| now >= at)
    }
}

impl Guard {
    /// A guard that remembers what `memory` says; what cannot be read is not remembered.
    pub fn new(key: DigestKey, settings: shape::Guard, memory: Option<&[u8]>) -> Self {
        let sources = memory.map(memory::read).unwrap_or_default().into_iter();
        let watched = |remembered| Watched { remembered: Some(remembered), ..Watched::default() };
        let sources = sources.map(|(name, remembered)| (name, watched(remembered))).collect();
        Self { key, settings, sources }
    }

    /// Follows these sources, each with the digest of its settings: another store behind the same
    /// name is not compared with the old one.
    pub fn configure(&mut self, settings: shape::Guard, sources: &BTreeMap<String, Digest>) {
        self.settings = settings;
        self.sources.retain(|name, _| sources.contains_key(name));
        for (name, origin) in sources {
            let watched = self.sources.entry(name.clone()).or_default();
            match &mut watched.remembered {
                Some(remembered) if remembered.origin == *origin => {}
                _ => {
                    let fresh = Remembered::of(*origin);
                    *watched = Watched { remembered: Some(fresh), ..Watched::default() };
                }
            }
        }
    }

    /// Judges a snapshot. `reads` counts the full reads of its stream: a higher one is an
    /// independent second opinion.
    pub fn judge(
        &mut self,
        source: &str,
        snapshot: &Snapshot,
        reads: u64,
        now: Instant,
    ) -> Judgement {
        let Some(watched) = self.sources.get_mut(source) else { return Judgement::Pass };
        let removed = watched.removed(&self.key, snapshot);
        let Some(suspicion) = watched.suspicion(&self.settings, snapshot, removed) else {
            watched.pass(snapshot);
            return Judgement::Pass;
        };
        let digest = Digest::from(snapshot.digest().0);
        let earlier = watched.held.take();
        let earlier = earlier.filter(|held| watched.same_gone(&self.key, &held.first, snapshot));
        // What was read in doubt is no first read: the time begins with the first one without.
        let earlier =
            earlier.filter(|held| held.hold.recheck.is_some() || !suspicion.second_read_helps);
        let confirmed = suspicion.second_read_helps
            && earlier.as_ref().is_some_and(|held| held.is_confirmed_by(reads, now));
        if watched.accepted() == Some(digest) || confirmed {
            watched.pass(snapshot);
            return Judgement::Pass;
        }
        let (first, first_read, since) = match earlier {
            Some(held) => (held.first, held.first_read, held.hold.since),
            None => (snapshot.clone(), reads, now),
        };
        let hold = Hold {
            digest,
            keys: snapshot.entries.len(),
            removed,
            reason: suspicion.reason,
            since,
            recheck: suspicion.second_read_helps.then_some(since + SECOND_READ),
        };
        let newest = snapshot.clone();
        watched.held = Some(Held { first, first_read, newest, reads, hold: hold.clone() });
        Judgement::Hold(hold)
    }

    /// What is held, with its count of reads: to be judged once more when the settings changed.
    pub fn held(&self) -> Vec<(String, Snapshot, u64)> {
        let held = |(name, watched): (&String, &Watched)| {
            let held = watched.held.as_ref()?;
            Some((name.clone(), held.newest.clone(), held.reads))
        };
        self.sources.iter().filter_map(held).collect()
    }

    /// When the next held snapshot can be confirmed by a second read, and whose it is.
    pub fn recheck(&self) -> Option<(Instant, &str)> {
        let waiting = self.sources.iter().filter_map(|(name, watched)| {
            Some((watched.held.as_ref()?.hold.recheck?, name.as_str()))
        });
        waiting.min()
    }

    /// An operator lets the held snapshot with this shown digest through; gives it back.
    pub fn accept(&mut self, source: &str, shown: &str) -> Option<Snapshot> {
        let watched = self.sources.get_mut(source)?;
        let held = watched.held.take_if(|held| self.key.show(&held.hold.digest) == shown)?;
        watched.pass(&held.newest);
        watched.refresh(&self.key);
        watched.remembered.get_or_insert_default().accepted = Some(held.hold.digest);
        watched.unwritten = true;
        Some(held.newest)
    }

    /// What was given out could not be written: it is given out again.
    pub fn memory_was_not_written(&mut self) {
        for watched in self.sources.values_mut() {
            watched.unwritten = true;
        }
    }

    /// What must be remembered now, if it differs from what was given out last.
    pub fn memory(&mut self) -> Option<Vec<u8>> {
        let mut changed = false;
        for watched in self.sources.values_mut() {
            watched.refresh(&self.key);
            changed |= std::mem::take(&mut watched.unwritten);
        }
        changed.then(|| {
            let sources = self.sources.iter();
            let remembered = sources.filter_map(|(name, watched)| {
                watched.remembered.as_ref().map(|remembered| (name.as_str(), remembered))
            });
            memory::write(remembered)
        })
    }
}

/// Why a snapshot may not be the truth.
struct Suspicion {
    reason: String,
    second_read_helps: bool,
}

impl Watched {
    /// How many known keys the snapshot does not have.
    fn removed(&self, key: &DigestKey, snapshot: &Snapshot) -> usize {
        match (&self.passed, &self.remembered) {
            (Some(passed), _) => lost(passed, snapshot),
            (None, Some(remembered)) => remembered.lost(key, snapshot),
            (None, None) => 0,
        }
    }

    /// How many keys were known; none if no snapshot has ever passed.
    fn known(&self) -> Option<usize> {
        match (&self.passed, &self.remembered) {
            (Some(passed), _) => Some(passed.entries.len()),
            (None, Some(remembered)) => remembered.count(),
            (None, None) => None,
        }
    }

    fn suspicion(
        &self,
        settings: &shape::Guard,
        snapshot: &Snapshot,
        removed: usize,
    ) -> Option<Suspicion> {
        let known = self.known();
        if !snapshot.doubts.is_empty() && (removed > 0 || known.is_none()) {
            let doubts: Vec<_> = snapshot.doubts.iter().map(|doubt| doubt.as_str()).collect();
            let reason = format!(
                "{removed} keys are gone and the answer is in doubt ({}); check the rights, or accept it",
                doubts.join(", ")
            );
            return Some(Suspicion { reason, second_read_helps: false });
        }
        if snapshot.entries.is_empty() && !settings.allow_empty {
            let reason =
                "it has no keys; check prefix and rights, accept it, or set guard.allow_empty";
            return Some(Suspicion { reason: reason.to_owned(), second_read_helps: false });
        }
        let known = known.unwrap_or(0);
        let share = usize::from(settings.max_removed.0);
        (known >= COUNTS_FROM && removed * 100 > known * share).then(|| Suspicion {
            reason: format!("{removed} of {known} keys are gone; a second read decides"),
            second_read_helps: true,
        })
    }

    /// Whether the same known keys are gone: one that is back makes it another loss, and so does one
    /// more that is gone, which was seen only once.
    fn same_gone(&self, key: &DigestKey, first: &Snapshot, newest: &Snapshot) -> bool {
        let known = |name: &providers::Key| match (&self.passed, &self.remembered) {
            (Some(passed), _) => passed.entries.contains_key(name),
            (None, Some(remembered)) => remembered.knows(key, name),
            (None, None) => false,
        };
        let covers = |one: &Snapshot, other: &Snapshot| {
            other.entries.keys().all(|name| one.entries.contains_key(name) || !known(name))
        };
        covers(first, newest) && covers(newest, first)
    }

    fn accepted(&self) -> Option<Digest> {
        self.remembered.as_ref()?.accepted
    }

    fn pass(&mut self, snapshot: &Snapshot) {
        self.held = None;
        self.passed = Some(snapshot.clone());
        if let Some(remembered) = &mut self.remembered {
            self.unwritten |= remembered.end_acceptance(snapshot);
        }
    }

    /// Brings the memory up to what passed.
    fn refresh(&mut self, key: &DigestKey) {
        if let (Some(passed), Some(remembered)) = (&self.passed, &mut self.remembered) {
            self.unwritten |= remembered.refresh(key, passed);
        }
    }
}

/// How many keys of `old` are not in `new`; cheap where the two share most of their content.
fn lost(old: &Snapshot, new: &Snapshot) -> usize {
    if old.entries.ptr_eq(&new.entries) {
        return 0;
    }
    old.entries
        .diff(&new.entries)
        .filter(|item| matches!(item, imbl::ordmap::DiffItem::Remove(..)))
        .count()
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
