//! What a provider says about the way it follows, and what cuts a wait short.
//!
//! Owns no content: a note is neither a snapshot nor a proof.

use std::{fmt, sync::Arc, time::Duration};

use tokio::{sync::Notify, time::timeout};

/// Something about the way a source is followed. It stands until the next note of its kind; the core
/// shows, logs and counts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// How changes are noticed from now on.
    Watch(WatchMode),
    /// Changes were lost on their way, for this reason: everything is about to be read anew.
    Lost(&'static str),
    /// A part of the content cannot change while it is set up as it is, and what to do about it, in
    /// one sentence; none: all of it can.
    Frozen(Option<String>),
}

/// How changes are noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WatchMode {
    /// By events of the kernel, and by a look now and then.
    Events,
    /// By a look now and then alone.
    Poll,
}

impl WatchMode {
    /// All modes, for metrics.
    pub const ALL: [Self; 2] = [Self::Events, Self::Poll];

    /// The mode in the words of metrics and status.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Poll => "poll",
        }
    }
}

impl fmt::Display for WatchMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// When another attempt is worth while before the core's back-off has ended: something was heard
/// that may have mended the error.
#[derive(Clone, Debug)]
pub struct Cue {
    heard: Arc<Notify>,
    at_most: Duration,
}

impl Cue {
    /// A cue that is given by `heard`, and after `at_most` in any case.
    pub fn new(heard: Arc<Notify>, at_most: Duration) -> Self {
        Self { heard, at_most }
    }

    /// Completes when the cue is given. Cancel safe.
    pub async fn given(&self) {
        // Too late is as good as heard.
        drop(timeout(self.at_most, self.heard.notified()).await);
    }
}
