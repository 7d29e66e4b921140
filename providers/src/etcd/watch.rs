//! The watch of one session: what its messages mean, and its proofs.
//!
//! Owns that a revision is applied whole and that silence is not taken for peace. One watch for
//! each stream, so that no other can mute its progress answers.

use std::time::Duration;

use etcd_client::{
    WatchOptions, WatchStream,
    proto::{PbEvent, PbWatchResponse},
};
use tokio::time::Instant;

use super::{
    content::Content,
    failure::Failure,
    proof::{Count, Proof, Turn},
    range::Range,
    session::{Session, bounded},
};
use crate::{ErrorKind, ProviderError, Snapshot, Update};

/// A running watch and what it keeps up to date.
pub(super) struct Watch {
    stream: WatchStream,
    endpoint: String,
    range: Range,
    content: Content,
    parts: Parts,
    proof: Proof,
}

impl Watch {
    /// Watches from the content's revision, and not from the next: on an idle store that would be
    /// in the future, and no request for progress would be answered before the first write.
    pub(super) async fn open(
        session: &Session,
        range: Range,
        content: Content,
        proof_every: Duration,
    ) -> Result<Self, Failure> {
        let options = WatchOptions::new()
            .with_range(range.end())
            .with_start_revision(content.applied())
            .with_progress_notify()
            .with_fragment();
        let endpoint = session.endpoint().to_owned();
        let mut client = session.watch();
        let call = client.watch(range.start(), Some(options));
        let mut stream = bounded(&endpoint, "the watch", call).await?;
        let first = bounded(&endpoint, "the watch", stream.message()).await?;
        match meaning(&endpoint, content.applied(), first.map(|first| first.0))? {
            Meaning::Created => {}
            _ => return Err(malformed(&endpoint, "a watch that was not created first")),
        }
        tracing::debug!(endpoint, revision = content.applied(), "the watch is open");
        let parts = Parts::new(session.decode_limit());
        let proof = Proof::new(endpoint.clone(), proof_every);
        Ok(Self { stream, endpoint, range, content, parts, proof })
    }

    /// What is held now.
    pub(super) fn snapshot(&self, as_of: Instant) -> Snapshot {
        self.content.snapshot(as_of)
    }

    /// Waits for the next change or proof. After an error the watch must be dropped.
    pub(super) async fn next(&mut self, session: &Session) -> Result<Update, Failure> {
        loop {
            tokio::select! {
                message = self.stream.message() => {
                    let message = message.map_err(|error| {
                        Failure::of_call(&self.endpoint, "the watch", error)
                    })?;
                    if let Some(update) = self.receive(message.map(|message| message.0))? {
                        return Ok(update);
                    }
                }
                turn = self.proof.turn() => self.take(turn?, session).await?,
            }
        }
    }

    fn receive(&mut self, message: Option<PbWatchResponse>) -> Result<Option<Update>, Failure> {
        let as_of = Instant::now();
        match meaning(&self.endpoint, self.content.applied(), message)? {
            Meaning::Created => Ok(None),
            Meaning::Progress(revision) => match self.proof.answered(revision) {
                Some((count, asked)) => self.compare(count, asked),
                None => Ok(None),
            },
            Meaning::Events { events, more } => {
                let Some(events) = self.parts.join(events, more)? else { return Ok(None) };
                let news = self.content.apply(&self.range, events)?;
                Ok(news.then(|| Update::Snapshot(self.content.snapshot(as_of))))
            }
        }
    }

    /// The watch has told everything up to the count's revision: now both must agree.
    fn compare(&mut self, count: Count, as_of: Instant) -> Result<Option<Update>, Failure> {
        let held = self.content.held_at(count.revision);
        if i64::try_from(held) == Ok(count.keys) {
            self.content.unmark();
            self.proof.agreed();
            return Ok(Some(Update::Current { revision: self.content.revision(), as_of }));
        }
        if self.proof.may_differ() {
            return Ok(None);
        }
        let message = format!(
            "etcd at {}: the watch left {held} keys where the store counts {}",
            self.endpoint, count.keys
        );
        Err(Failure::relist(ProviderError::new(ErrorKind::Drift, message)))
    }

    async fn take(&mut self, turn: Turn, session: &Session) -> Result<(), Failure> {
        match turn {
            Turn::Count => {
                self.content.mark();
                self.proof.count(session, &self.range, self.content.applied());
                Ok(())
            }
            Turn::Ask => bounded(&self.endpoint, "the watch", self.stream.request_progress()).await,
        }
    }
}

/// What a message of a watch is.
enum Meaning {
    Created,
    /// Everything up to this revision was told.
    Progress(i64),
    Events {
        events: Vec<PbEvent>,
        /// Further parts of the same revisions follow.
        more: bool,
    },
}

/// Reads one message; cancellations in all their shapes are failures.
fn meaning(
    endpoint: &str,
    applied: i64,
    message: Option<PbWatchResponse>,
) -> Result<Meaning, Failure> {
    let Some(message) = message else {
        let error = ProviderError::new(
            ErrorKind::Unavailable,
            format!("etcd at {endpoint}: the server ended the watch"),
        );
        return Err(Failure::reconnect(error));
    };
    // A refused creation has the id -1, sometimes without the flag; so have progress answers.
    if message.canceled || (message.created && message.watch_id < 0) {
        let compacted = message.compact_revision > 0;
        return Err(Failure::of_cancel(endpoint, compacted, &message.cancel_reason));
    }
    let Some(header) = message.header else {
        return Err(malformed(endpoint, "a watch message without a header"));
    };
    let created = message.created;
    if !created && message.events.is_empty() && !message.fragment {
        // Servers tell an event shortly before their own counter shows it, so an answer that was
        // under way may be below it. One that stays below completes no proof.
        return Ok(Meaning::Progress(header.revision));
    }
    if header.revision < applied {
        let (before, now) = (applied.unsigned_abs(), header.revision.unsigned_abs());
        return Err(Failure::went_back(endpoint, before, now));
    }
    if created {
        return Ok(Meaning::Created);
    }
    Ok(Meaning::Events { events: message.events, more: message.fragment })
}

fn malformed(endpoint: &str, what: &str) -> Failure {
    let message = format!("etcd at {endpoint}: {what}");
    Failure::reconnect(ProviderError::new(ErrorKind::Malformed, message))
}

/// The parts of a message that was too long for one.
struct Parts {
    events: Vec<PbEvent>,
    bytes: usize,
    max_bytes: usize,
}

impl Parts {
    fn new(max_bytes: usize) -> Self {
        Self { events: Vec::new(), bytes: 0, max_bytes }
    }

    /// All events once the last part is there: a revision may be split over parts.
    fn join(&mut self, events: Vec<PbEvent>, more: bool) -> Result<Option<Vec<PbEvent>>, Failure> {
        if !more && self.events.is_empty() {
            return Ok(Some(events));
        }
        self.bytes += events.iter().map(size).sum::<usize>();
        if self.bytes > self.max_bytes {
            let message = "a watch message is longer than reading everything anew";
            return Err(Failure::relist(ProviderError::new(ErrorKind::Compacted, message)));
        }
        self.events.extend(events);
        if more {
            return Ok(None);
        }
        self.bytes = 0;
        Ok(Some(std::mem::take(&mut self.events)))
    }
}

fn size(event: &PbEvent) -> usize {
    event.kv.as_ref().map_or(0, |pair| pair.key.len() + pair.value.len())
}

#[cfg(test)]
mod tests;
