//! How tasks are asked for something out of turn: a source for a full read, a target for a reload
//! that is settled already.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::watch;

/// A bell for each name; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Bells(Arc<Mutex<BTreeMap<String, watch::Sender<u64>>>>);

impl Bells {
    /// The bell of one task: it changes with each wish.
    pub fn bell(&self, name: &str) -> watch::Receiver<u64> {
        self.with(|bells| {
            let bell = bells.entry(name.to_owned()).or_insert_with(|| watch::Sender::new(0));
            bell.subscribe()
        })
    }

    /// Asks one task; `false` if there is none of that name.
    pub fn ask(&self, name: &str) -> bool {
        self.with(|bells| match bells.get(name) {
            Some(bell) => {
                bell.send_modify(|wishes| *wishes += 1);
                true
            }
            None => false,
        })
    }

    /// Forgets a task that is gone.
    pub fn remove(&self, name: &str) {
        self.with(|bells| bells.remove(name));
    }

    /// Asks every task.
    pub fn ask_all(&self) {
        self.with(|bells| bells.values().for_each(|bell| bell.send_modify(|wishes| *wishes += 1)));
    }

    fn with<T>(&self, act: impl FnOnce(&mut BTreeMap<String, watch::Sender<u64>>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
