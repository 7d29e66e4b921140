//! The whole content of one source at one revision.
//!
//! Owns the invariants of keys and snapshots. Must not know where a snapshot came from.

use std::{borrow::Borrow, fmt, sync::Arc};

use bytes::Bytes;
use imbl::OrdMap;
use tokio::time::Instant;

/// A key with the configured prefix removed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Arc<str>);

impl Key {
    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for Key {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The bytes of one key: maybe a secret, so it has no way to be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Value(Bytes);

impl Value {
    /// These bytes.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }

    /// The bytes, for templates and files only.
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} bytes>", self.0.len())
    }
}

/// All keys and values; two versions share what did not change.
pub type Entries = OrdMap<Key, Value>;

/// The store's own counter: etcd's revision, Consul's index, the number of reads of files that
/// found a difference. It may go back when a store is restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Revision(pub u64);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A reason why a snapshot may show less than the store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Doubt {
    /// The store says that rules of access left something out.
    Filtered,
    /// The store denies by default and no token was sent.
    DefaultDeny,
    /// Keys are gone though the store's counter stood still.
    GoneInPlace,
    /// The answer came from a server that may be behind.
    Stale,
}

impl Doubt {
    /// The doubt in the words of logs and status.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Filtered => "filtered",
            Self::DefaultDeny => "default_deny",
            Self::GoneInPlace => "gone_in_place",
            Self::Stale => "stale",
        }
    }
}

/// The digest over all keys and values of a snapshot. Not for the outside as it is: the core keys it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SnapshotDigest(pub [u8; 32]);

/// The whole content of one source at one revision; cheap to clone, never partial.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The store's counter for this content.
    pub revision: Revision,
    /// Every key and value.
    pub entries: Entries,
    /// Why it may show less than there is; empty for an answer that can be trusted.
    pub doubts: Vec<Doubt>,
    /// When the request that read it started, or when the event that made it arrived: the snapshot
    /// was current then.
    pub as_of: Instant,
}

impl Snapshot {
    /// The digest over keys and values, whatever the revision.
    pub fn digest(&self) -> SnapshotDigest {
        let mut hasher = blake3::Hasher::new();
        for (key, value) in &self.entries {
            for part in [key.as_str().as_bytes(), value.bytes().as_ref()] {
                hasher.update(&(part.len() as u64).to_le_bytes());
                hasher.update(part);
            }
        }
        SnapshotDigest(*hasher.finalize().as_bytes())
    }
}
