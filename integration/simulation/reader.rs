//! A provider of a simulated store: whole snapshots, proofs, and errors as items.

use std::time::Duration;

use futures_util::stream;
use providers::{
    Doubt, Entries, ErrorKind, Provider, ProviderError, Revision, Snapshot, Update, Updates,
};
use tokio::time::{Instant, sleep, sleep_until};

use super::store::{Mood, Store};

/// How often a provider proves itself.
const PROOF: Duration = Duration::from_secs(30);
/// The longest that one request takes, and the longest way of an event.
pub const SLOWEST: Duration = Duration::from_millis(400);
/// The longest until a request to a store that is down fails.
pub const DEADLINE: Duration = Duration::from_secs(5);

type Item = Result<Update, ProviderError>;

impl Provider for Store {
    fn follow(&self) -> Updates {
        let mut state = self.state();
        state.opens.push_back(Instant::now());
        let cut = state.cut;
        let deaf = matches!(state.mood, Mood::Lying);
        if deaf {
            state.lied = Some(Instant::now());
        }
        drop(state);
        self.ledger.note("stream opened", &self.name);
        let reader = Reader {
            store: self.clone(),
            fresh: true,
            held: None,
            cut,
            deaf,
            proof: Instant::now() + PROOF,
        };
        Box::pin(stream::unfold(reader, |mut reader| async {
            let item = reader.item().await;
            Some((item, reader))
        }))
    }
}

/// One stream.
struct Reader {
    store: Store,
    /// The next item is a full read.
    fresh: bool,
    held: Option<(Entries, Vec<Doubt>)>,
    cut: u64,
    /// It hears of no change.
    deaf: bool,
    proof: Instant,
}

/// What a stream does next.
enum Turn {
    Hang,
    Fail(Duration, ErrorKind, Option<Duration>),
    Read(Duration, Duration),
    Wait,
}

impl Reader {
    async fn item(&mut self) -> Item {
        loop {
            let mut changed = self.store.changed.subscribe();
            match self.turn() {
                Turn::Hang => return std::future::pending().await,
                Turn::Fail(after, kind, wait) => {
                    sleep(after).await;
                    return Err(self.failed(kind, wait));
                }
                Turn::Read(before, after) => {
                    let as_of = Instant::now();
                    sleep(before).await;
                    let Some(answer) = self.store.state().answer() else { continue };
                    sleep(after).await;
                    return Ok(self.snapshot(answer, as_of));
                }
                Turn::Wait => {
                    if let Some(item) = self.event().await {
                        return Ok(item);
                    }
                    tokio::select! {
                        biased;
                        _ = changed.changed() => {}
                        () = sleep_until(self.proof) => {
                            if let Some(item) = self.prove().await {
                                return Ok(item);
                            }
                        }
                    }
                }
            }
        }
    }

    fn turn(&mut self) -> Turn {
        let mut state = self.store.state();
        let slow = SLOWEST / 2;
        if let Mood::Down(kind, wait) = state.mood {
            return Turn::Fail(state.chance.up_to(DEADLINE), kind, wait);
        }
        if matches!(state.mood, Mood::Silent) {
            return Turn::Hang;
        }
        if self.cut != state.cut {
            self.cut = state.cut;
            return Turn::Fail(Duration::ZERO, ErrorKind::Unavailable, None);
        }
        if std::mem::take(&mut state.lost_history) {
            return Turn::Fail(Duration::ZERO, ErrorKind::Compacted, None);
        }
        if self.fresh {
            return Turn::Read(state.chance.up_to(slow), state.chance.up_to(slow));
        }
        Turn::Wait
    }

    /// A change on its way to us, if there is one.
    async fn event(&mut self) -> Option<Update> {
        if self.deaf {
            return None;
        }
        let as_of = Instant::now();
        let answer = self.store.state().answer()?;
        if self.held.as_ref() == Some(&answer) {
            return None;
        }
        let way = self.store.state().chance.up_to(SLOWEST / 4);
        sleep(way).await;
        Some(self.snapshot(answer, as_of))
    }

    /// The cheap proof; what it finds different is told instead.
    async fn prove(&mut self) -> Option<Update> {
        let as_of = Instant::now();
        self.proof = as_of + PROOF;
        let way = self.store.state().chance.up_to(SLOWEST / 2);
        sleep(way).await;
        let answer = self.store.state().answer()?;
        let same = self.held.as_ref() == Some(&answer);
        if !same && !self.deaf {
            return Some(self.snapshot(answer, as_of));
        }
        if !same {
            self.store.state().lied = Some(as_of);
            self.store.ledger.note("a lie", &self.store.name);
        }
        if !answer.1.is_empty() {
            return None;
        }
        let revision = Revision(self.store.state().revision);
        Some(Update::Current { revision, as_of })
    }

    fn snapshot(&mut self, answer: (Entries, Vec<Doubt>), as_of: Instant) -> Update {
        self.held = Some(answer.clone());
        (self.fresh, self.proof) = (false, Instant::now() + PROOF);
        let revision = Revision(self.store.state().revision);
        let (entries, doubts) = answer;
        let keys = entries.len();
        self.store.ledger.note("snapshot", format_args!("{} {keys} {doubts:?}", self.store.name));
        Update::Snapshot(Snapshot { revision, entries, doubts, as_of })
    }

    fn failed(&mut self, kind: ErrorKind, wait: Option<Duration>) -> ProviderError {
        self.fresh = true;
        self.store.state().failures.push_back(Instant::now());
        self.store.ledger.note(kind.as_str(), &self.store.name);
        ProviderError::new(kind, "a simulated failure").with_retry_after(wait)
    }
}
