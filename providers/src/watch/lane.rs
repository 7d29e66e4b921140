//! One call into a file system at a time.
//!
//! Owns that a file system that hangs takes one thread, however often it is asked again.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Whoever calls into a file system that may hang enters first, and leaves with the answer.
#[derive(Clone, Debug)]
pub struct Lane(Arc<Semaphore>);

impl Default for Lane {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

impl Lane {
    /// Waits for one's turn; dropping what comes back ends it. Cancel safe.
    pub async fn enter(&self) -> OwnedSemaphorePermit {
        Arc::clone(&self.0).acquire_owned().await.expect("a lane is never closed")
    }
}
