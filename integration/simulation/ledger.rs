//! What happened in one simulated life: its trace, its counts, and the promises that it broke.
//!
//! The digest of the trace tells whether two lives were the same.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Display,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::time::Instant;

/// How many lines of the trace are told of a life that broke a promise.
const TOLD: usize = 150;

/// Shared by every part of one world.
#[derive(Clone)]
pub struct Ledger(Arc<Mutex<Pages>>);

/// What is written down.
pub struct Pages {
    start: Instant,
    trace: DefaultHasher,
    last: VecDeque<String>,
    /// How often each thing happened.
    pub counts: BTreeMap<String, u64>,
    /// Broken promises.
    pub broken: Vec<String>,
}

impl Ledger {
    /// An empty ledger that begins now.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Pages {
            start: Instant::now(),
            trace: DefaultHasher::new(),
            last: VecDeque::new(),
            counts: BTreeMap::new(),
            broken: Vec::new(),
        })))
    }

    /// Writes down that something happened, and counts it.
    pub fn note(&self, what: &str, detail: impl Display) {
        let mut pages = self.pages();
        let line = format!("{:>12?} {what}: {detail}", pages.start.elapsed());
        line.hash(&mut pages.trace);
        if pages.last.len() == TOLD {
            pages.last.pop_front();
        }
        pages.last.push_back(line);
        drop(pages);
        self.count(what);
    }

    /// Counts alone.
    pub fn count(&self, what: &str) {
        let mut pages = self.pages();
        match pages.counts.get_mut(what) {
            Some(count) => *count += 1,
            None => drop(pages.counts.insert(what.to_owned(), 1)),
        }
    }

    /// One look at a promise: `holds` or it is broken.
    pub fn promise(&self, which: &str, holds: bool, otherwise: impl FnOnce() -> String) {
        self.count("checks");
        if !holds {
            let line = format!("{which} is broken: {}", otherwise());
            self.note("BROKEN", &line);
            self.pages().broken.push(line);
        }
    }

    /// The digest of everything that was noted.
    pub fn digest(&self) -> u64 {
        self.pages().trace.finish()
    }

    /// The newest lines.
    pub fn told(&self) -> String {
        self.pages().last.iter().cloned().collect::<Vec<_>>().join("\n")
    }

    /// Counts and broken promises.
    pub fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().expect("nobody panics with it")
    }
}
