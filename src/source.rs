//! Source: follows one provider and hands on the newest snapshot.
//!
//! Owns back-off, the full re-read, what counts as proof, and the source's part of the status. Must
//! not judge a snapshot: one with doubts is handed on, and the guard decides.

mod outage;

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use providers::{
    Cue, Doubt, Entries, ErrorKind, Note, Provider, ProviderError, Revision, Snapshot, Update,
    Updates, WatchMode, settings::NotBuilt,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout_at},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    backoff::Backoff,
    config, failpoint,
    inbox::{Inbox, Seen},
    pulse::Pulse,
    status::{Board, SourceFault, SourceStatus},
};
use outage::Outages;

/// A source that was well for this long starts its back-off anew at the next error.
const HEALTHY: Duration = Duration::from_secs(120);
/// A provider proves itself every 30 s or fails; one that does neither is opened again.
const SILENT: Duration = Duration::from_secs(120);
/// The shortest wait after an error for which a cue was given.
const PAUSE: Duration = Duration::from_millis(100);

/// Everything one source's task needs.
pub struct Follower {
    /// The source's name.
    pub name: String,
    /// Its settings.
    pub source: config::source::Source,
    /// Where the newest snapshot goes.
    pub inbox: Arc<Inbox>,
    /// A wish for a full re-read, each time it changes.
    pub resync: watch::Receiver<u64>,
    /// An operator accepted what was held, each time it changes.
    pub accepted: watch::Receiver<u64>,
    /// Where the source's state is shown.
    pub board: Board,
    /// Not read before then, unless somebody asks.
    pub first: Instant,
}

impl Follower {
    /// Follows the source, as its provider gives it, until `shutdown`.
    pub async fn run(
        self,
        open: impl Fn() -> Result<Box<dyn Provider>, NotBuilt>,
        shutdown: CancellationToken,
        pulse: Arc<Pulse>,
    ) {
        self.board.source(&self.name, |status| status.provider = self.source.provider.provider());
        // Every await of a follower may be left.
        shutdown.run_until_cancelled(self.follow_all(open, &pulse)).await;
    }

    /// Follows with one provider after the other: a new one measures losses against what an
    /// operator accepted.
    async fn follow_all(
        &self,
        open: impl Fn() -> Result<Box<dyn Provider>, NotBuilt>,
        pulse: &Pulse,
    ) {
        let mut accepted = self.accepted.clone();
        loop {
            let provider = match open() {
                Ok(provider) => provider,
                Err(problem) => {
                    error!(source = self.name, %problem, "this source cannot be followed");
                    let fault = fault(ErrorKind::Unavailable, problem.to_string());
                    self.board.source(&self.name, |status| status.error = Some(fault));
                    return pulse.wait(std::future::pending()).await;
                }
            };
            tokio::select! {
                () = self.follow(provider.as_ref(), pulse) => {}
                () = asked(&mut accepted) => {}
            }
        }
    }

    async fn follow(&self, provider: &dyn Provider, pulse: &Pulse) {
        let mut resync = self.resync.clone();
        let mut following = Following::new();
        // To read our own disk is no burden for anybody else.
        following.retry_at = self.source.provider.is_remote().then_some(self.first);
        let mut stream = provider.follow();
        let mut due = self.next_resync();
        loop {
            let reason = tokio::select! {
                biased;
                () = self.drive(&mut stream, &mut following, pulse) => "silent",
                () = asked(&mut resync) => "asked",
                () = sleep_until(due) => "interval",
            };
            if reason == "asked" {
                following.backoff.reset();
                following.retry_at = None;
            }
            // The old stream goes first: a store has one watching connection for each source.
            drop(stream);
            stream = provider.follow();
            following.full = true;
            due = self.next_resync();
            self.board.source(&self.name, |status| {
                count(status, reason);
                status.resyncing = true;
            });
        }
    }

    /// Takes what the stream says; ends only if it says nothing for too long.
    async fn drive(&self, stream: &mut Updates, following: &mut Following, pulse: &Pulse) {
        if let Some(until) = following.retry_at {
            pulse.wait(sleep_until(until)).await;
        }
        loop {
            let item = timeout_at(Instant::now() + SILENT, stream.next());
            let Ok(Some(item)) = pulse.wait(item).await else { break };
            failpoint::pass("source").await;
            following.retry_at = None;
            match item {
                Ok(Update::Snapshot(snapshot)) => self.take(snapshot, following),
                Ok(Update::Current { revision, as_of }) => {
                    self.prove(revision, as_of, following);
                }
                Ok(Update::Note(note)) => self.note(note),
                Err(error) => {
                    let wait = self.fail(&error, following);
                    following.retry_at = Some(Instant::now() + wait);
                    pulse.wait(rest(wait, error.cue.as_ref())).await;
                }
            }
        }
        following.retry_at = Some(Instant::now() + following.backoff.next(None));
    }

    fn take(&self, snapshot: Snapshot, following: &mut Following) {
        let Snapshot { revision, entries, doubts, as_of } = snapshot;
        let (entries, differs) = shared(following.last.as_ref().map(|last| &last.entries), entries);
        let answered = following.last.is_some();
        let doubts_differ = following.last.as_ref().is_none_or(|last| last.doubts != doubts);
        if doubts_differ {
            self.tell_doubts(&doubts, answered);
        }
        let full = std::mem::take(&mut following.full);
        following.reads += u64::from(full);
        let keys = entries.len();
        let snapshot = Snapshot { revision, entries, doubts, as_of };
        following.last = Some(snapshot.clone());
        if !answered {
            info!(source = self.name, %revision, keys, "the source answered");
        }
        self.well(following);
        self.board.source(&self.name, |status| {
            status.keys = keys;
            status.resyncing = false;
            status.doubts.clone_from(&snapshot.doubts);
            // A snapshot that may show less than there is proves nothing.
            let proof = snapshot.doubts.is_empty().then_some(as_of);
            proven(status, revision, proof);
        });
        if full || differs || doubts_differ {
            self.board.update(|status| {
                status.unseen_since.get_or_insert_with(Instant::now);
            });
            let seen = Seen { snapshot, reads: following.reads, at: Instant::now() };
            self.inbox.put(&self.name, seen);
        }
    }

    fn tell_doubts(&self, doubts: &[Doubt], answered: bool) {
        let words: Vec<_> = doubts.iter().map(|doubt| doubt.as_str()).collect();
        if !words.is_empty() {
            let doubts = words.join(",");
            warn!(source = self.name, doubts, "the answer may show less than the store holds");
        } else if answered {
            info!(source = self.name, "the answer shows everything again");
        }
    }

    fn prove(&self, revision: Revision, as_of: Instant, following: &mut Following) {
        self.well(following);
        let Some(last) = following.last.as_ref().filter(|_| !following.full) else { return };
        let proof = last.doubts.is_empty().then_some(as_of);
        self.board.source(&self.name, |status| {
            status.resyncing = false;
            proven(status, revision, proof);
        });
    }

    /// Shows, logs and counts what the provider says about the way it follows.
    fn note(&self, note: Note) {
        let source = &self.name;
        let mut news = false;
        self.board.source(source, |status| news = status.note(&note));
        match note {
            // A stream that was opened anew says everything again.
            _ if !news => {}
            Note::Watch(WatchMode::Events) => info!(source, "changes are told by events"),
            Note::Watch(WatchMode::Poll) => {
                warn!(source, "no events tell of changes here; they are looked for now and then");
            }
            Note::Lost(reason) => warn!(source, reason, "events were lost; all is read anew"),
            Note::Frozen(Some(why)) => warn!(source, "a part will never update: {why}"),
            Note::Frozen(None) => info!(source, "every part can change again"),
        }
    }

    /// Notes that the store answered.
    fn well(&self, following: &mut Following) {
        following.well_since.get_or_insert_with(Instant::now);
        following.outages.end(&self.name);
    }

    /// Notes an error; returns how long to wait.
    fn fail(&self, error: &ProviderError, following: &mut Following) -> Duration {
        if following.well_since.take().is_some_and(|since| since.elapsed() >= HEALTHY) {
            following.backoff.reset();
            following.outages.forget();
        }
        // A provider that lost its place reads everything anew.
        following.full |= error.kind.is_lost_history();
        let message = chain(error);
        let since = following.outages.tell(&self.name, error.kind, &message);
        self.board.source(&self.name, |status| {
            status.error = Some(SourceFault { kind: error.kind, message, since });
            if error.kind.is_lost_history() {
                count(status, error.kind.as_str());
            }
        });
        following.backoff.next(error.retry_after)
    }

    /// When the next full re-read is due: a fifth earlier or later, so that many instances spread.
    fn next_resync(&self) -> Instant {
        Instant::now() + self.source.resync.mul_f64(0.8 + 0.4 * fastrand::f64())
    }
}

/// What is remembered between the items of a source's streams.
struct Following {
    last: Option<Snapshot>,
    reads: u64,
    /// The next snapshot is a full read of its own.
    full: bool,
    backoff: Backoff,
    /// No attempt before then.
    retry_at: Option<Instant>,
    well_since: Option<Instant>,
    outages: Outages,
}

impl Following {
    fn new() -> Self {
        Self {
            last: None,
            reads: 0,
            full: true,
            backoff: Backoff::new(),
            retry_at: None,
            well_since: None,
            outages: Outages::none(),
        }
    }
}

/// Waits after an error, shorter if a cue is given; never without a pause, for cues may be many.
async fn rest(wait: Duration, cue: Option<&Cue>) {
    let end = Instant::now() + wait;
    sleep_until(end.min(Instant::now() + PAUSE)).await;
    let given = async {
        match cue {
            Some(cue) => cue.given().await,
            None => std::future::pending().await,
        }
    };
    // Either is a reason to go on.
    drop(timeout_at(end, given).await);
}

/// Completes at the next wish; never if nobody can wish any more.
async fn asked(resync: &mut watch::Receiver<u64>) {
    if resync.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn proven(status: &mut SourceStatus, revision: Revision, proof: Option<Instant>) {
    status.revision = Some(revision.0);
    status.error = None;
    status.proven = status.proven.max(proof);
}

fn count(status: &mut SourceStatus, reason: &'static str) {
    *status.resyncs.entry(reason).or_default() += 1;
}

fn fault(kind: ErrorKind, message: String) -> SourceFault {
    SourceFault { kind, message, since: Instant::now() }
}

/// The error and what is below it, in one line.
fn chain(error: &ProviderError) -> String {
    let mut text = error.to_string();
    let mut below = std::error::Error::source(error);
    while let Some(error) = below {
        text = format!("{text}: {error}");
        below = error.source();
    }
    text
}

/// The new entries, built from the old ones, so that the two share what did not change even if they
/// come from different streams; and whether they differ.
fn shared(old: Option<&Entries>, new: Entries) -> (Entries, bool) {
    use imbl::ordmap::DiffItem;
    let Some(old) = old else { return (new, true) };
    let mut entries = old.clone();
    let mut differs = false;
    for item in old.diff(&new) {
        differs = true;
        match item {
            DiffItem::Add(key, value) | DiffItem::Update { new: (key, value), .. } => {
                entries.insert(key.clone(), value.clone());
            }
            DiffItem::Remove(key, _) => {
                entries.remove(key);
            }
        }
    }
    (entries, differs)
}

#[cfg(test)]
mod tests;
