//! Heartbeats: each task says itself that it came round; nobody says it for another.
//!
//! Waiting within a deadline is no hanging, so a task that waits beats while it waits.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How long a task may stay silent.
const SILENCE: Duration = Duration::from_secs(60);

/// How often a task that waits says so.
const BEAT: Duration = Duration::from_secs(10);

/// The last beat of every task; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Pulses(Arc<Mutex<BTreeMap<String, Instant>>>);

impl Pulses {
    /// A task's own pulse. It counts until it is dropped.
    pub fn task(&self, name: impl Into<String>) -> Pulse {
        let pulse = Pulse { name: name.into(), all: self.clone() };
        pulse.beat();
        pulse
    }

    /// Tasks that have been silent for too long.
    pub fn silent(&self, now: Instant) -> Vec<String> {
        let beats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let late = |at: &Instant| now.saturating_duration_since(*at) > SILENCE;
        beats.iter().filter(|(_, at)| late(at)).map(|(name, _)| name.clone()).collect()
    }
}

/// The pulse of one task.
#[derive(Debug)]
pub struct Pulse {
    name: String,
    all: Pulses,
}

impl Pulse {
    /// Still here.
    pub fn beat(&self) {
        let mut beats = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        beats.insert(self.name.clone(), Instant::now());
    }

    /// Runs a task that only waits and acts in short steps, and beats as long as it yields.
    pub async fn keep<T>(self, task: impl Future<Output = T>) -> T {
        tokio::pin!(task);
        loop {
            self.beat();
            tokio::select! {
                biased;
                done = &mut task => return done,
                () = tokio::time::sleep(BEAT) => {}
            }
        }
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        let mut beats = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        beats.remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_task_that_waits_is_alive_and_one_that_does_not_beat_is_named() {
        let pulses = Pulses::default();
        let waiting = pulses.task("waiting").keep(std::future::pending::<()>());
        let stuck = pulses.task("stuck");
        tokio::select! {
            () = waiting => unreachable!("it waits for ever"),
            () = tokio::time::sleep(2 * SILENCE) => {
                assert_eq!(pulses.silent(Instant::now()), ["stuck"]);
            }
        }
        drop(stuck);
        assert!(pulses.silent(Instant::now()).is_empty());
    }
}
