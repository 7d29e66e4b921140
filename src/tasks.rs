//! Every task of the process: named, watched, stopped. The only place that spawns.
//!
//! A task that ends on its own or panics ends the process: half alive is worse than dead.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::pulse::{Pulse, Pulses};

/// How long tasks may take to stop.
const GRACE: Duration = Duration::from_millis(1500);

/// A task ended that should have gone on.
#[derive(Debug, thiserror::Error)]
#[error("the task `{task}` {how}")]
pub struct TaskEnded {
    task: String,
    how: &'static str,
}

/// All running tasks.
#[derive(Debug, Default)]
pub struct Tasks {
    set: JoinSet<()>,
    running: BTreeMap<String, Running>,
    shutdown: CancellationToken,
    pulses: Pulses,
}

#[derive(Debug)]
struct Running {
    id: tokio::task::Id,
    stop: CancellationToken,
    stopped: CancellationToken,
}

impl Tasks {
    /// No tasks yet; all of them end when `shutdown` is cancelled.
    pub fn new(shutdown: CancellationToken, pulses: Pulses) -> Self {
        Self { set: JoinSet::new(), running: BTreeMap::new(), shutdown, pulses }
    }

    /// Starts a task: it is given its token and its heartbeat.
    pub fn start<F>(&mut self, name: &str, task: impl FnOnce(CancellationToken, Arc<Pulse>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stop = self.shutdown.child_token();
        let stopped = CancellationToken::new();
        let guard: DropGuard = stopped.clone().drop_guard();
        let work = task(stop.clone(), Arc::new(self.pulses.task(name)));
        let handle = self.set.spawn(async move {
            let _stopped = guard;
            work.await;
        });
        self.running.insert(name.to_owned(), Running { id: handle.id(), stop, stopped });
    }

    /// Stops one task and waits for its end.
    pub async fn stop(&mut self, name: &str) {
        if let Some(task) = self.running.remove(name) {
            task.stop.cancel();
            task.stopped.cancelled().await;
        }
    }

    /// Waits for a task that ends though nobody asked it to; for ever if none does.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when this is dropped.
    pub async fn unexpected_end(&mut self) -> TaskEnded {
        loop {
            let Some(ended) = self.set.join_next_with_id().await else {
                return std::future::pending().await;
            };
            if self.shutdown.is_cancelled() && ended.is_ok() {
                continue;
            }
            let (id, how) = match &ended {
                Ok((id, ())) => (*id, "ended on its own"),
                Err(error) => (error.id(), "panicked"),
            };
            let name = self.running.iter().find(|(_, task)| task.id == id);
            let name = name.map(|(name, _)| name.clone());
            match name {
                Some(task) => return TaskEnded { task, how },
                None if ended.is_err() => {
                    return TaskEnded { task: "a stopped task".to_owned(), how };
                }
                None => {}
            }
        }
    }

    /// Asks every task to end and waits for them, but not for ever; `false` if one had to be left.
    pub async fn finish(mut self) -> bool {
        self.shutdown.cancel();
        let all = async { while self.set.join_next().await.is_some() {} };
        tokio::time::timeout(GRACE, all).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tasks() -> Tasks {
        Tasks::new(CancellationToken::new(), Pulses::default())
    }

    #[tokio::test]
    async fn a_task_that_panics_or_ends_on_its_own_is_named() {
        let mut tasks = tasks();
        tasks.start("patient", |stop, _| async move { stop.cancelled().await });
        tasks.start("quitter", |_, _| async {});
        assert_eq!(tasks.unexpected_end().await.to_string(), "the task `quitter` ended on its own");
        tasks.start("panicker", |_, _| async { panic!("on purpose") });
        assert_eq!(tasks.unexpected_end().await.to_string(), "the task `panicker` panicked");
        assert!(tasks.finish().await);
    }

    #[tokio::test]
    async fn a_task_that_was_stopped_is_no_fault() {
        let mut tasks = tasks();
        tasks.start("one", |stop, _| async move { stop.cancelled().await });
        tasks.stop("one").await;
        tokio::select! {
            biased;
            ended = tasks.unexpected_end() => panic!("{ended}"),
            () = tokio::task::yield_now() => {}
        }
    }
}
