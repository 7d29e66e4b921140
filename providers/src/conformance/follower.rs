//! A reader of updates as patient as the core: after an error it polls again.

use std::{collections::BTreeMap, time::Duration};

use futures_util::StreamExt;
use tokio::time::{Instant, timeout};

use crate::{ErrorKind, Provider, Revision, Snapshot, Update, Updates};

/// How long an item may take before the behaviour fails; speed is not tested here.
const PATIENCE: Duration = Duration::from_secs(60);

/// The wait after an error, where the core would back off.
const PAUSE: Duration = Duration::from_millis(20);

/// One followed stream.
pub struct Follower(Updates);

impl Follower {
    /// Opens the stream.
    pub fn new(provider: &dyn Provider) -> Self {
        Self(provider.follow())
    }

    /// The next item, error or not; notes are passed over.
    pub async fn item(&mut self) -> Result<Update, ErrorKind> {
        let next = async {
            loop {
                let item = self.0.next().await;
                if !matches!(item, Some(Ok(Update::Note(_)))) {
                    return item;
                }
            }
        };
        let item = timeout(PATIENCE, next).await.expect("an item before patience ends");
        match item.expect("a stream never ends by itself") {
            Ok(update) => Ok(update),
            Err(error) => {
                assert!(!error.to_string().is_empty(), "an error says what it is about");
                tokio::time::sleep(PAUSE).await;
                Err(error.kind)
            }
        }
    }

    /// The next snapshot; errors are polled over.
    pub async fn snapshot(&mut self) -> Snapshot {
        loop {
            if let Ok(Update::Snapshot(snapshot)) = self.item().await {
                return snapshot;
            }
        }
    }

    /// The first snapshot with this content; others before it are skipped.
    pub async fn until(&mut self, expected: &[(&str, &[u8])]) -> Snapshot {
        let expected: BTreeMap<_, _> =
            expected.iter().map(|(key, value)| ((*key).to_owned(), value.to_vec())).collect();
        let end = Instant::now() + PATIENCE;
        loop {
            let snapshot = self.snapshot().await;
            let seen = content(&snapshot);
            if seen == expected {
                return snapshot;
            }
            assert!(Instant::now() < end, "still {:?}", seen.keys());
        }
    }

    /// The next proof, with the snapshot revision that it was for.
    pub async fn proof(&mut self) -> (Revision, Instant) {
        loop {
            if let Ok(Update::Current { revision, as_of }) = self.item().await {
                return (revision, as_of);
            }
        }
    }

    /// The next error; updates before it are skipped.
    pub async fn error(&mut self) -> ErrorKind {
        loop {
            if let Err(kind) = self.item().await {
                return kind;
            }
        }
    }
}

/// A snapshot's content, comparable.
pub(super) fn content(snapshot: &Snapshot) -> BTreeMap<String, Vec<u8>> {
    let entries = snapshot.entries.iter();
    entries.map(|(key, value)| (key.to_string(), value.bytes().to_vec())).collect()
}
