//! The provider contract of Rehup and its implementations.
//!
//! A provider turns its settings into a stream of whole [`Snapshot`]s and proofs that the last one
//! still holds. It must not retry on its own account, log above debug, count anything, or know who
//! reads the stream: back-off, de-duplication, staleness and metrics live once, in the core.
//!
//! The contract, each line a case of the behaviour suite (`conformance`):
//!
//! 1. The first item that is not an error is a complete snapshot, freshly read; so is every later
//!    snapshot, each from one revision.
//! 2. An error is an item, never an end. The next poll tries again: the core decides when. An error
//!    may carry a [`Cue`] that makes it sooner.
//! 3. The stream never ends by itself.
//! 4. Dropping the stream closes its connections, threads and watches.
//! 5. Equal snapshots may repeat; the core drops them.
//! 6. Revisions may go back (a restored store): that is a new truth, not an error.
//! 7. No wait is unbounded, and every 30 s there is one cheap proof, told as [`Update::Current`].
//! 8. Values are bytes; keys are UTF-8 with the configured prefix removed.

use std::pin::Pin;

use futures_util::Stream;

#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "consul")]
pub mod consul;
mod error;
#[cfg(feature = "etcd")]
pub mod etcd;
#[cfg(feature = "files")]
pub mod files;
#[cfg(feature = "http")]
pub mod http;
mod note;
mod secret;
pub mod settings;
mod snapshot;
#[cfg(feature = "watch")]
pub mod watch;

pub use error::{ErrorKind, ProviderError};
pub use note::{Cue, Note, WatchMode};
pub use secret::Secret;
pub use settings::Settings;
pub use snapshot::{Doubt, Entries, Key, Revision, Snapshot, SnapshotDigest, Value};

use tokio::time::Instant;

/// What a provider has to say.
#[derive(Clone, Debug)]
pub enum Update {
    /// The whole content at one revision.
    Snapshot(Snapshot),
    /// The last snapshot was still current when the proving request started.
    Current {
        /// The revision that was proven; equal to the last snapshot's, or one at which the
        /// followed keys are the same.
        revision: Revision,
        /// When the proving request started.
        as_of: Instant,
    },
    /// Something about the way the source is followed; never the first item of a stream.
    Note(Note),
}

/// Updates and errors of one source, for ever; dropping it stops the provider.
pub type Updates = Pin<Box<dyn Stream<Item = Result<Update, ProviderError>> + Send>>;

/// An origin of configuration, ready to be followed.
pub trait Provider: Send + Sync {
    /// Follows the origin: its whole content, again after each change, and proofs between.
    ///
    /// Each call is a fresh start with a full read. Nothing happens until the stream is polled,
    /// and everything stops when it is dropped.
    fn follow(&self) -> Updates;
}
