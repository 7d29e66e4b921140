//! What a template read while it was rendered: exactly these keys, and which names were below these
//! prefixes. It decides which templates a change concerns.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use imbl::ordmap::DiffItem;
use providers::Snapshot;

use super::tree::has_below;

/// A place in a source: its name, and a key or a prefix.
type Place = (String, String);

/// Notes taken during one rendering.
#[derive(Debug, Default)]
pub(super) struct Reads(Mutex<Notes>);

/// The notes.
#[derive(Clone, Debug, Default)]
pub(super) struct Notes {
    /// Keys that were asked for, there or not.
    keys: BTreeSet<Place>,
    /// Prefixes of which it was asked whether there is anything below.
    some_below: BTreeSet<Place>,
    /// Prefixes whose names were listed.
    listed: BTreeSet<Place>,
    /// The last thing that was asked for and was not there: how a template writes it, and the name
    /// of its last step.
    missing: Option<(String, String)>,
}

impl Reads {
    pub(super) fn key(&self, source: &str, key: &str) {
        self.notes().keys.insert((source.to_owned(), key.to_owned()));
    }

    pub(super) fn some_below(&self, source: &str, prefix: &str) {
        self.notes().some_below.insert((source.to_owned(), prefix.to_owned()));
    }

    pub(super) fn listed(&self, source: &str, prefix: &str) {
        self.notes().listed.insert((source.to_owned(), prefix.to_owned()));
    }

    pub(super) fn missing(&self, what: String, name: &str) {
        self.notes().missing = Some((what, name.to_owned()));
    }

    /// What to say of something undefined, from the last thing that was asked for in vain. An
    /// earlier one may have had a default, so it is blamed only if the line that failed has its
    /// name. Where that stands nowhere in the template it was computed, maybe from a value: then it
    /// is not told.
    pub(super) fn undefined(&self, template: &str, line: usize) -> Option<String> {
        let (what, name) = self.notes().missing.clone()?;
        if !template.contains(&name) {
            return Some("there is no key of that computed name".to_owned());
        }
        let failed = template.lines().nth(line.checked_sub(1)?)?;
        Some(if failed.contains(&name) {
            format!("there is no {what}")
        } else {
            format!("something is not defined; the last key that was not there is {what}")
        })
    }

    /// All notes.
    pub(super) fn take(&self) -> Notes {
        std::mem::take(&mut *self.notes())
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// From places to the templates that read them.
#[derive(Debug, Default)]
pub(super) struct Index {
    keys: HashMap<Place, BTreeSet<usize>>,
    some_below: HashMap<Place, BTreeSet<usize>>,
    listed: HashMap<Place, BTreeSet<usize>>,
    notes: BTreeMap<usize, Notes>,
}

impl Index {
    /// Notes what a template read; what it read before is forgotten.
    pub(super) fn put(&mut self, template: usize, notes: Notes) {
        if let Some(old) = self.notes.remove(&template) {
            for (map, places) in self.maps(&old) {
                for place in places {
                    if let Some(readers) = map.get_mut(place) {
                        readers.remove(&template);
                        if readers.is_empty() {
                            map.remove(place);
                        }
                    }
                }
            }
        }
        for (map, places) in self.maps(&notes) {
            for place in places {
                map.entry(place.clone()).or_default().insert(template);
            }
        }
        self.notes.insert(template, notes);
    }

    #[expect(clippy::type_complexity, reason = "three maps beside three sets, only here")]
    fn maps<'a>(
        &mut self,
        notes: &'a Notes,
    ) -> [(&mut HashMap<Place, BTreeSet<usize>>, &'a BTreeSet<Place>); 3] {
        [
            (&mut self.keys, &notes.keys),
            (&mut self.some_below, &notes.some_below),
            (&mut self.listed, &notes.listed),
        ]
    }

    /// Adds the templates that the difference between two snapshots of a source concerns.
    pub(super) fn affected(
        &self,
        source: &str,
        old: &Snapshot,
        new: &Snapshot,
        affected: &mut BTreeSet<usize>,
    ) {
        if old.entries.ptr_eq(&new.entries) {
            return;
        }
        let mut place = (source.to_owned(), String::new());
        let mut moved = HashSet::new();
        for item in old.entries.diff(&new.entries) {
            let (key, names_differ) = match &item {
                DiffItem::Add(key, _) | DiffItem::Remove(key, _) => (key.as_str(), true),
                DiffItem::Update { new: (key, _), .. } => (key.as_str(), false),
            };
            key.clone_into(&mut place.1);
            affected.extend(self.keys.get(&place).into_iter().flatten());
            if names_differ {
                moved.insert(String::new());
                moved.extend(key.match_indices('/').map(|(at, _)| key[..=at].to_owned()));
            }
        }
        for prefix in moved {
            let flipped = || has_below(&old.entries, &prefix) != has_below(&new.entries, &prefix);
            place.1.clone_from(&prefix);
            affected.extend(self.listed.get(&place).into_iter().flatten());
            if let Some(readers) = self.some_below.get(&place).filter(|_| flipped()) {
                affected.extend(readers);
            }
        }
    }
}
