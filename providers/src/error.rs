//! What can go wrong while following. Every kind is retryable: rights get fixed, stores come back.

use std::time::Duration;

use crate::Cue;

/// The class of a failure; a metric label and the word in `/freshz`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Nobody answers: refused, reset, timed out, no address.
    Unavailable,
    /// The store answers but has no leader.
    NoLeader,
    /// Who we are was not accepted: password, token, expired login.
    Auth,
    /// We are known but may not read the prefix.
    Permission,
    /// The TLS handshake failed.
    Tls,
    /// More than `max_bytes`.
    TooLarge,
    /// The store asked us to slow down.
    Throttled,
    /// The answer, a key or a file is not what the protocol or the contract allows.
    Malformed,
    /// The history that a watch needs is gone, or longer than reading everything anew.
    Compacted,
    /// The store's counter went back: it was restored. What it holds now is the truth.
    Regressed,
    /// The store holds something else than the watch has told.
    Drift,
    /// The path or prefix to follow does not exist.
    NotFound,
    /// A credential or certificate file is missing or unreadable.
    Credentials,
}

impl ErrorKind {
    /// Whether what was held is of no use any more; the next poll reads everything anew.
    pub fn is_lost_history(self) -> bool {
        matches!(self, Self::Compacted | Self::Regressed | Self::Drift)
    }

    /// The kind in the words of metrics and `/freshz`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::NoLeader => "no_leader",
            Self::Auth => "auth",
            Self::Permission => "permission",
            Self::Tls => "tls",
            Self::TooLarge => "too_large",
            Self::Throttled => "throttled",
            Self::Malformed => "malformed",
            Self::Compacted => "compacted",
            Self::Regressed => "regressed",
            Self::Drift => "drift",
            Self::NotFound => "not_found",
            Self::Credentials => "credentials",
        }
    }
}

impl std::fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A failed attempt to follow; an item of the stream, never its end.
///
/// The message names the address, path or key it is about and never a value.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ProviderError {
    /// The class of the failure.
    pub kind: ErrorKind,
    /// How long the store asked us to wait.
    pub retry_after: Option<Duration>,
    /// What may end the wait for the next attempt early.
    pub cue: Option<Cue>,
    message: String,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl ProviderError {
    /// A failure of `kind`; `message` is a lower-case fragment that names what it is about.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, retry_after: None, cue: None, message: message.into(), source: None }
    }

    /// The error below this one.
    #[must_use]
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// How long the store asked us to wait.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }

    /// What may end the wait for the next attempt early.
    #[must_use]
    pub fn with_cue(mut self, cue: Cue) -> Self {
        self.cue = Some(cue);
        self
    }
}
