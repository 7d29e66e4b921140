//! What a target's task waits for: a deadline, a newer generation, the end of a call.
//!
//! Decides nothing.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::matcher::Matcher;
use crate::{digest::Digest, generation::Visible};

/// How long a call in flight may go on after a shutdown.
const LAST_CALL: Duration = Duration::from_secs(1);

/// Waits for the deadline, or for ever when nothing is owed.
pub(super) async fn until(due: Option<Instant>) {
    match due {
        Some(due) if due > Instant::now() => sleep_until(due).await,
        Some(_) => {}
        None => std::future::pending().await,
    }
}

/// Returns when a generation is newest whose files for this target are others.
pub(super) async fn superseded(
    generations: &mut watch::Receiver<Option<Arc<Visible>>>,
    files: &Matcher,
    digest: Digest,
) {
    loop {
        if generations.changed().await.is_err() {
            return std::future::pending().await;
        }
        let newest = generations.borrow_and_update().clone();
        let now = newest.and_then(|v| v.generation.digest_of(|path| files.matches(path)));
        if now != Some(digest) {
            return;
        }
    }
}

/// Lets a call run to its deadline, but no longer than a second into a shutdown.
pub(super) async fn last_call<T>(
    call: impl Future<Output = T>,
    shutdown: &CancellationToken,
) -> Option<T> {
    tokio::pin!(call);
    tokio::select! {
        biased;
        done = &mut call => Some(done),
        () = shutdown.cancelled() => timeout(LAST_CALL, call).await.ok(),
    }
}
