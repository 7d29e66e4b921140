//! Reading beside the runtime: a file system that hangs hangs one thread and nothing else.
//!
//! Owns that there is never a second read beside one that hangs, whoever asks. Must not judge what
//! was read.

use std::{path::PathBuf, time::Duration};

use tokio::{
    sync::Mutex,
    task::{JoinHandle, spawn_blocking},
    time::{Instant, timeout},
};

use super::tree::{self, Tree};
use crate::{ErrorKind, ProviderError, settings::FilesSettings, watch::Lane};

/// How long somebody waits for a read. One that takes longer goes on, and the next who asks gets
/// what it found.
const READ: Duration = Duration::from_secs(10);

/// Reads one path, for all streams of a provider.
#[derive(Debug)]
pub(super) struct Reader {
    path: PathBuf,
    max_bytes: u64,
    lane: Lane,
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    begun: Instant,
    task: JoinHandle<Result<Tree, ProviderError>>,
}

impl Reader {
    pub(super) fn new(settings: &FilesSettings, lane: Lane) -> Self {
        let FilesSettings { path, max_bytes, .. } = settings.clone();
        Self { path, max_bytes, lane, running: Mutex::default() }
    }

    /// Everything, as a read found it that began no earlier than `since`; and when it began.
    ///
    /// Cancel safe: a read that was begun is there for the next call.
    pub(super) async fn read(&self, since: Instant) -> Result<(Tree, Instant), ProviderError> {
        timeout(READ, self.finish(since)).await.unwrap_or_else(|_| {
            let message = format!("reading {} takes too long", self.path.display());
            Err(ProviderError::new(ErrorKind::Unavailable, message))
        })
    }

    async fn finish(&self, since: Instant) -> Result<(Tree, Instant), ProviderError> {
        let mut running = self.running.lock().await;
        loop {
            if running.is_none() {
                *running = Some(self.begin().await);
            }
            let run = running.as_mut().expect("it was set above");
            let joined = (&mut run.task).await;
            let begun = run.begun;
            *running = None;
            if begun < since {
                continue;
            }
            let tree = joined.unwrap_or_else(|error| {
                let message = format!("reading {} was cut off", self.path.display());
                Err(ProviderError::new(ErrorKind::Unavailable, message).with_source(error))
            });
            return Ok((tree?, begun));
        }
    }

    async fn begin(&self) -> Running {
        let (path, max_bytes) = (self.path.clone(), self.max_bytes);
        let place = self.lane.enter().await;
        let begun = Instant::now();
        let task = spawn_blocking(move || {
            let read = tree::read(&path, max_bytes);
            drop(place);
            read
        });
        Running { begun, task }
    }
}
