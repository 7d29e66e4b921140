//! Heartbeats: each task says by when it will be heard of again, and a task that misses that is named.
//!
//! Only the task itself says so, at its own turns: nothing here beats by a timer, so a task that is
//! stuck in its own code is not kept alive by one. To wait for the outside is no hanging, so a task
//! says that it does: for as long as that takes ([`Pulse::wait`]) or up to a deadline of its own
//! ([`Pulse::within`]).

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How long a task may stay silent.
const SILENCE: Duration = Duration::from_secs(60);

/// When each task is expected back; none while it waits. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Pulses {
    silence: Duration,
    due: Arc<Mutex<BTreeMap<String, Option<Instant>>>>,
}

impl Default for Pulses {
    fn default() -> Self {
        Self { silence: crate::failpoint::silence().unwrap_or(SILENCE), due: Arc::default() }
    }
}

impl Pulses {
    /// A task's own pulse. It counts until it is dropped.
    pub fn task(&self, name: impl Into<String>) -> Pulse {
        let pulse = Pulse { name: name.into(), all: self.clone() };
        pulse.beat();
        pulse
    }

    /// Tasks that have been silent for too long.
    pub fn silent(&self, now: Instant) -> Vec<String> {
        let due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let late = |due: &Option<Instant>| due.is_some_and(|due| now > due);
        due.iter().filter(|(_, due)| late(due)).map(|(name, _)| name.clone()).collect()
    }
}

/// The pulse of one task.
#[derive(Debug)]
pub struct Pulse {
    name: String,
    all: Pulses,
}

impl Pulse {
    /// Still here, and back within the silence that is allowed.
    pub fn beat(&self) {
        self.expect(Some(Instant::now() + self.all.silence));
    }

    /// Has nothing to do until somebody else acts; the next [`Self::beat`] ends that.
    pub fn rest(&self) {
        self.expect(None);
    }

    /// Waits for what may take for ever: a message, a moment, a store, another task with a pulse of
    /// its own. None of the task's own work may be in it: nobody would notice that it hangs.
    ///
    /// # Cancel safety
    ///
    /// That of `outside`; the task counts as working again.
    pub async fn wait<T>(&self, outside: impl Future<Output = T>) -> T {
        let _back = Back(self);
        self.rest();
        outside.await
    }

    /// Waits for what ends by itself after `deadline`; the task is silent if it does not.
    ///
    /// # Cancel safety
    ///
    /// That of `call`; the task counts as working again.
    pub async fn within<T>(&self, deadline: Duration, call: impl Future<Output = T>) -> T {
        let _back = Back(self);
        self.expect(Some(Instant::now() + deadline + self.all.silence));
        call.await
    }

    /// The pulse of a helper that this task waits for.
    #[must_use]
    pub fn helper(&self, name: impl Into<String>) -> Self {
        self.all.task(name)
    }

    fn expect(&self, due: Option<Instant>) {
        let mut all = self.all.due.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(self.name.clone(), due);
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        let mut all = self.all.due.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(&self.name);
    }
}

/// The end of a wait, also of one that was given up.
struct Back<'a>(&'a Pulse);

impl Drop for Back<'_> {
    fn drop(&mut self) {
        self.0.beat();
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::{sleep, timeout};

    use super::*;

    async fn after(time: Duration, pulses: &Pulses) -> Vec<String> {
        sleep(time).await;
        pulses.silent(Instant::now())
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_waits_is_alive_and_one_that_does_not_come_round_is_named() {
        let pulses = Pulses::default();
        let (waiting, stuck) = (pulses.task("waiting"), pulses.task("stuck"));
        tokio::select! {
            () = waiting.wait(pending::<()>()) => unreachable!("it waits for ever"),
            silent = after(2 * SILENCE, &pulses) => assert_eq!(silent, ["stuck"]),
        }
        drop(stuck);
        assert!(pulses.silent(Instant::now()).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_was_given_up_counts_no_longer() {
        let pulses = Pulses::default();
        let task = pulses.task("task");
        drop(timeout(SILENCE, task.wait(pending::<()>())).await);
        assert!(after(SILENCE, &pulses).await.is_empty(), "it just came round");
        assert_eq!(after(Duration::from_secs(1), &pulses).await, ["task"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_is_not_kept_is_noticed() {
        let pulses = Pulses::default();
        let task = pulses.task("task");
        let deadline = Duration::from_secs(100);
        tokio::select! {
            () = task.within(deadline, pending::<()>()) => unreachable!("it never ends"),
            () = async {
                assert!(after(deadline + SILENCE, &pulses).await.is_empty());
                assert_eq!(after(Duration::from_secs(1), &pulses).await, ["task"]);
            } => {}
        }
    }
}
