//! The promises about what becomes visible and who is told, checked at the moment when it happens.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use rehup::{journal::Entry, publish::Staged};
use tokio::time::Instant;

use super::{
    disk::{Disk, Files, Whole},
    ledger::Ledger,
    setup::Setup,
    store::{Answer, Content, Known, Store, text},
};

/// The least time before a second read may confirm a loss.
const SECOND_READ: Duration = Duration::from_secs(5);
/// From how many keys on a share of them counts.
const COUNTS_FROM: usize = 10;

/// What a generation shows: the edit of the configuration, and each source's content.
pub struct Shown {
    pub version: u64,
    pub sources: BTreeMap<String, Content>,
}

/// Everything that must be known to judge.
#[derive(Clone)]
pub struct Promises {
    pub ledger: Ledger,
    pub stores: BTreeMap<String, Store>,
    /// Every configuration there was, by version.
    pub setups: Arc<Mutex<BTreeMap<u64, Setup>>>,
    /// What an operator let through: source and text.
    pub accepted: Arc<Mutex<BTreeSet<(String, String)>>>,
    /// The newest generation that each target was told of.
    attempted: Arc<Mutex<BTreeMap<String, u64>>>,
}

impl Promises {
    /// Nothing has happened yet.
    pub fn new(ledger: Ledger, stores: BTreeMap<String, Store>) -> Self {
        Self {
            ledger,
            stores,
            setups: Arc::default(),
            accepted: Arc::default(),
            attempted: Arc::default(),
        }
    }

    /// What was told before a power cut may be told again.
    pub fn forget(&self) {
        self.attempted.lock().expect("nobody panics with it").clear();
    }

    /// The configuration of a version.
    pub fn setup(&self, version: u64) -> Setup {
        self.setups.lock().expect("nobody panics with it")[&version].clone()
    }

    /// Takes files apart again.
    pub fn shown(files: &Files) -> Shown {
        let mut shown = Shown { version: 0, sources: BTreeMap::new() };
        for (path, bytes) in files {
            let value = String::from_utf8_lossy(bytes).into_owned();
            if path.as_str() == "version.conf" {
                shown.version = value.parse().expect("a number");
            } else if let Some((source, key)) = path.as_str().split_once('/') {
                let content = shown.sources.entry(source.to_owned()).or_default();
                content.insert(key.to_owned(), value);
            }
        }
        shown
    }

    /// A generation is about to become visible.
    pub fn before_flip(&self, disk: &Disk, staged: &Staged, rollback: bool) {
        let whole = disk.staged().expect("something is staged");
        let number = whole.generation.number;
        self.ledger.promise("I4", whole.generation == staged.generation, || {
            format!("{number} is flipped to, {} was staged", staged.generation.number)
        });
        if let Some((visible, _)) = &disk.visible {
            let newest = visible.generation.number;
            self.ledger.promise("I8", number > newest, || format!("{number} after {newest}"));
            let differs = visible.generation.rendering != whole.generation.rendering;
            self.ledger.promise("I12", differs || disk.drift.is_some(), || {
                format!("{number} is {newest} again")
            });
        }
        let barred = disk.known.quarantined.contains(&whole.generation.rendering);
        self.ledger.promise("I6", !barred, || format!("{number} is quarantined"));
        if !rollback {
            self.is_whole(whole);
            self.is_believable(disk, whole);
        }
    }

    /// Every file is what one state of each store makes of it.
    fn is_whole(&self, whole: &Whole) {
        let number = whole.generation.number;
        let mut shown = Self::shown(&whole.files);
        let setup = self.setup(shown.version);
        for name in &setup.sources {
            shown.sources.entry(name.clone()).or_default();
        }
        let expected = setup.render(&shown.sources);
        self.ledger.promise("I3", expected.as_ref() == Some(&whole.files), || {
            format!("{number} is no rendering of one state: {:?}", whole.files)
        });
        for (name, content) in &shown.sources {
            let known = self.stores[name].state().known.contains_key(&text(content));
            self.ledger.promise("I3", known, || format!("{number} mixes states of {name}"));
        }
    }

    /// No loss that should not be believed.
    fn is_believable(&self, disk: &Disk, whole: &Whole) {
        let number = whole.generation.number;
        let now = Instant::now();
        let shown = Self::shown(&whole.files);
        let setup = self.setup(shown.version);
        let before = disk.visible.as_ref().map(|(visible, _)| Self::shown(&visible.files));
        for name in &setup.sources {
            let content = shown.sources.get(name).cloned().unwrap_or_default();
            let accepted = self.accepted.lock().expect("nobody panics with it");
            if accepted.contains(&(name.clone(), text(&content))) {
                continue;
            }
            let accepted: BTreeSet<String> = accepted
                .iter()
                .filter(|(source, _)| source == name)
                .map(|(_, text)| text.clone())
                .collect();
            let state = self.stores[name].state();
            let first = before.as_ref().map_or(1, |before| before.version);
            let setups: Vec<_> = (first..=shown.version).map(|it| self.setup(it)).collect();
            let shown_before = before.as_ref().is_some_and(|it| !it.sources.contains_key(name));
            let empty_is_fine = shown_before || setups.iter().any(|setup| setup.allow_empty);
            self.ledger.promise("I6", empty_is_fine || !content.is_empty(), || {
                format!("{number} shows an emptiness of {name} that nobody trusted")
            });
            let known = &state.known[&text(&content)];
            // Nothing that was believed before had a key that this one lacks.
            let as_much = |(text, before): (&String, &Known)| {
                let believed = before.held || accepted.contains(text);
                believed && before.content.keys().all(|key| content.contains_key(key))
            };
            let doubtful = !known.held && !state.known.iter().any(as_much);
            self.ledger.promise("I6", !doubtful, || {
                format!("{number} lost keys of {name} to an answer in doubt")
            });
            let Some(before) = &before else { continue };
            let Some(old) = before.sources.get(name) else { continue };
            let was_followed = setups.iter().all(|setup| setup.sources.contains(name));
            let share = setups.iter().map(|setup| setup.max_removed).max().unwrap_or_default();
            let lost = old.keys().filter(|key| !content.contains_key(*key)).count();
            let great = old.len() >= COUNTS_FROM && lost * 100 > old.len() * usize::from(share);
            let (old, new) = (text(old), text(&content));
            let rows: Vec<_> = state.answers.iter().collect();
            let at = |row: &Answer| row.text == new;
            let newest = rows.windows(2).rposition(|pair| pair[0].text != new && at(pair[1]));
            // Read twice before, and nothing since then brought a key back that was not in doubt.
            let brings_back = |row: &&Answer| !row.doubtful && row.text != new;
            let believed_before = |until: usize| {
                let twice = |row: &&Answer| at(row) && row.last - row.first >= SECOND_READ;
                let earlier = rows[..=until].iter().rposition(twice);
                earlier.is_some_and(|twice| !rows[twice..=until].iter().any(brings_back))
            };
            let direct = newest.filter(|at| rows[*at].text == old && !believed_before(*at));
            let since = direct.map(|at| rows[at + 1].first);
            if let Some(since) = since.filter(|_| great && was_followed) {
                self.ledger.promise("I6", now - since >= SECOND_READ, || {
                    format!("{number} lost {lost} keys of {name} after {:?}", now - since)
                });
            }
        }
    }

    /// The journal is about to be changed.
    pub fn before_record(&self, disk: &Disk, entry: &Entry) {
        let Entry::Attempt(name, attempt) = entry else { return };
        let settled = disk.known.targets.get(name).and_then(|target| target.settled.as_ref());
        let again = settled.is_some_and(|settled| settled.digest == attempt.digest);
        self.ledger.promise("I8", !again, || {
            format!("{name} is told of {} though that is settled", attempt.generation)
        });
        let mut attempted = self.attempted.lock().expect("nobody panics with it");
        let newest = attempted.entry(name.clone()).or_default();
        self.ledger.promise("I8", attempt.generation >= *newest, || {
            format!("{name} is told of {} after {newest}", attempt.generation)
        });
        *newest = attempt.generation;
    }
}
